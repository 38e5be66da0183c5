"""What to measure: protocol, networks, architectures and baselines of an evaluation, all in the link."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import streamlit as st

from ddcore.base.errors import SpecError
from ddcore.base.fields import declared
from ddcore.distil.contract import DistillSpec
from ddcore.measure.regimes import REGIMES, regime, with_loss
from ddcore.measure.spec import (
    BASELINES,
    CORESETS,
    LABELLED,
    WHOLE,
    EvaluateTask,
    default_evaluation,
)
from ddcore.nets.architectures import ARCHITECTURES, NetSpec
from ddcore.nets.plan import Shape, cost
from ddcore.nets.words import judge, word
from ddcore.training.protocols import PROTOCOLS, PURPOSE, Protocol, in_stages
from pages.components import charts, links, teach, views

ALWAYS = ("random", "class_mean")
OWN = "own"
LABELS = {
    OWN: "As each set has them",
    "hard": "Hard for all",
    "soft": "A teacher's, fixed",
    "online": "A teacher's, on every batch",
}


AT_END = "0"
TESTED = {
    AT_END: "At the end only",
    **{n: f"Also every {n} epochs: the best, as published" for n in ("10", "20", "50")},
}


@dataclass(frozen=True)
class Options:
    """What fits a run: protocols and networks by their id in links, and why others do not fit."""

    run: DistillSpec
    protocols: dict[str, Protocol]
    nets: dict[str, NetSpec]
    unfit: tuple[str, ...]
    key: str  # of the run's folder
    shape: Shape
    classes: int

    def named(self, text: str) -> NetSpec:
        """The network behind an id, or behind a text such as convnet-32; `SpecError` if there is none."""
        if text in self.nets:
            return self.nets[text]
        return trainable(judge("network", text, self.run.net, self.shape, self.classes), self.run)


def options(run: DistillSpec, shape: Shape, classes: int, key: str = "") -> Options:
    """The choices for a run on images of `shape`; `key` names its folder if another version made it."""
    fit, unfit = {run.net.arch: run.net}, []
    for name in ARCHITECTURES:
        if name == run.net.arch:
            continue
        try:
            fit[name] = network(name, run, shape, classes)
        except SpecError as error:
            unfit.append(str(error))
    return Options(run, protocols(run), fit, tuple(unfit), key or run.key, shape, classes)


def protocols(run: DistillSpec) -> dict[str, Protocol]:
    """The run's own under its name, for a set in parts also part by part, and all that are named.

    Ordered ones need learned step sizes.
    """
    own = {run.protocol.name: run.protocol}
    if run.steps > 1 and not run.protocol.ordered:
        staged = in_stages(run.protocol, run.steps)
        own[staged.name] = staged
    usable = {n: p for n, p in PROTOCOLS.items() if run.protocol.ordered or not p.ordered}
    return {**own, **usable, **own}


def network(name: str, run: DistillSpec, shape: Shape, classes: int) -> NetSpec:
    """Another architecture, no wider than the run's own; `SpecError` if it does not fit the images."""
    architecture = ARCHITECTURES[name]
    if min(shape[1:]) < architecture.min_side:
        side = architecture.min_side
        raise SpecError("network", architecture.title, f"images of at least {side} × {side} pixels")
    knobs: dict[str, object] = {"arch": name, "init": run.net.init}
    width = architecture.knobs.get("width")
    if width and run.net.width and name != "mlp":
        knobs["width"] = min(width, run.net.width)
    net = trainable(NetSpec(**knobs), run)
    cost(net.plan(shape, classes), shape)
    return net


def trainable(net: NetSpec, run: DistillSpec) -> NetSpec:
    """The network with a norm under which the run's protocol can train it."""
    if run.protocol.ordered and net.norm == "batch":
        return net.replace(
            norm="instance"
        )  # a few bare gradient steps gather no running statistics
    return net


def ask(given: Options) -> EvaluateTask:
    """The evaluation as chosen; without any choice the run's own."""
    run = given.run
    left, right = st.columns(2, gap="medium")
    with left:
        name = links.choice(
            "Protocol", protocol_names(given), "protocol", default=run.protocol.name
        )
        protocol = given.protocols[name]
        st.caption(PURPOSE.get(name) or _purpose(protocol))
        nets = networks(protocol)
        labels = ask_labels(protocol)
        best = ask_best(protocol)
    with right:
        archs = links.several(
            "Architectures",
            {k: net.label() for k, net in given.nets.items()},
            "archs",
            (run.net.arch,),
            named=lambda text: given.named(text).label(),
            help="A set may only help the network it was made with: add others to see, or type one with "
            "its width, such as convnet-32.",
        )
        extra = links.several(
            "More baselines",
            {b: charts.subject(b)[0] for b in (*BASELINES, *CORESETS, WHOLE) if b not in ALWAYS},
            "baselines",
            (),
            placeholder="Random images and class means are always there",
        )
    return evaluation(given, name, nets, archs, extra, labels, best)


def ask_best(protocol: Protocol) -> str:
    """Whether the best on test stands beside the accuracy at the end, where there are epochs to look at."""
    if protocol.ordered or protocol.closed_form:
        return AT_END
    said = declared(EvaluateTask)["best_every"].sentences()
    return links.choice("Test", TESTED, "best", default=AT_END, help=said, group="settings")


def ask_labels(protocol: Protocol) -> str:
    """Which labels all sets have; no question under protocols that use a set as it was made."""
    if protocol.ordered or protocol.closed_form:
        return OWN
    chosen = links.choice("Labels", LABELS, "labels", default=OWN, group="settings")
    if chosen in REGIMES:
        st.caption(f"{REGIMES[chosen].capitalize()}.")
    return chosen


def networks(protocol: Protocol) -> int | None:
    """How many networks are trained on each set; None for as many as the protocol says."""
    said = declared(EvaluateTask)["nets"]
    low, high = int(said.low), int(said.high)
    named = st.query_params.get("nets", "")[:6]
    wanted = int(named) if named.isascii() and named.isdigit() else 0
    known = low <= wanted <= high
    st.session_state["evaluate.nets"] = wanted if known else None
    views.check("nets", named, known, f"a whole number from {low} to {high}")

    def write() -> None:
        if chosen := st.session_state["evaluate.nets"]:
            st.query_params["nets"] = str(chosen)
        else:
            st.query_params.pop("nets", None)

    return st.number_input(
        "Networks per set",
        min_value=low,
        max_value=high,
        value=None,
        key="evaluate.nets",
        on_change=write,
        disabled=teach.off("settings"),
        placeholder=f"{protocol.nets} (the protocol's)",
        help=said.sentences(),
    )


def _purpose(protocol: Protocol) -> str:
    """What a protocol without a name of its own is."""
    if protocol.stages > 1:
        return "first on the first of the set's parts, then on one more at a time (Du et al. 2023)"
    return "the run's own"


def protocol_names(given: Options) -> dict[str, str]:
    """Protocols by id."""
    own = given.run.protocol.name
    return {n: f"{n} (the run's own)" if n == own else n for n in given.protocols}


def evaluation(
    given: Options,
    protocol: str,
    nets: int | None,
    archs: Iterable[str],
    extra: Iterable[str],
    labels: str = OWN,
    best: str = "0",
) -> EvaluateTask:
    """The spec of choices, in a fixed order: the same choices are the same task."""
    chosen = given.protocols[protocol]
    archs, extra = list(archs), set(extra)
    listed = [net for k, net in given.nets.items() if k in archs]
    typed = [given.named(text) for text in archs if text not in given.nets]
    typed.sort(key=lambda net: (net.arch, net.width or 0))
    taught = labels in REGIMES
    return default_evaluation(
        given.key,
        given.run,
        protocol=with_loss(chosen, labels) if taught else chosen,
        labels=regime(labels, given.run.data, given.run.net) if taught else None,
        nets=nets or chosen.nets,
        best_every=int(best),
        archs=tuple(dict.fromkeys(listed + typed)),
        baselines=tuple(b for b in (*BASELINES, *CORESETS, WHOLE) if b in ALWAYS or b in extra),
    )


def parameters(given: Options, task: EvaluateTask) -> dict[str, str] | None:
    """The link parameters that choose this evaluation; None if no choice of the form does."""
    ids = [k for k, net in given.nets.items() if net in task.archs]
    listed = [given.nets[k] for k in ids]
    ids += [word(net) for net in task.archs if net not in listed]
    extra = [b for b in task.baselines if b not in (*ALWAYS, LABELLED)]
    labels = task.labels.kind if task.labels else OWN
    name = task.protocol.name
    if task.labels:  # which may have changed the loss, and said so
        name = name.partition(", ")[0]
    if not ids or name not in given.protocols:
        return None
    try:
        best = str(task.best_every)
        if (
            best not in TESTED
            or evaluation(given, name, task.nets, ids, extra, labels, best) != task
        ):
            return None
    except SpecError:  # a network that no word names
        return None
    own_nets = task.nets == task.protocol.nets
    found = {
        "protocol": "" if name == given.run.protocol.name else name,
        "nets": "" if own_nets else str(task.nets),
        "archs": "" if ids == [given.run.net.arch] else ",".join(ids),
        "baselines": ",".join(extra),
        "labels": "" if labels == OWN else labels,
        "best": "" if best == AT_END else best,
    }
    return {k: v for k, v in found.items() if v}


def describe(task: EvaluateTask) -> str:
    """An evaluation in one line."""
    archs = ", ".join(net.label() for net in task.archs)
    sets = "all training images, " if WHOLE in task.baselines else ""
    count = len([b for b in task.baselines if b != WHOLE])
    labels = f"{task.labels.title()}, " if task.labels else ""
    best = f", best of every {task.best_every} epochs beside it" if task.best_every else ""
    return f"{task.protocol.name}, {labels}{task.nets} networks, {archs}, {sets}{count} baselines{best}"
