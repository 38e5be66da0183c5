"""Runs side by side: choosing them, and how accurate they are under one protocol."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ddcore.base import texts
from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.measure import estimate
from ddcore.measure.ranking import difference
from ddcore.measure.spec import EvaluateTask, default_evaluation
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import jobs
from ddcore.tasks.store import Task
from ddcore.training.protocols import PURPOSE, Protocol
from pages.components import (
    charts,
    evaluation_form,
    evaluation_views,
    evolution,
    graph_links,
    links,
    permissions,
    runs,
    shell,
    task_panel,
    teach,
)

PARAMETER = "runs"
MOST = 8
LETTERS = "ABCDEFGH"
OWN = "own"  # each run under its own protocol
ALIKE = 1.1  # budgets that differ by less are the same for a comparison
FREE = ("random", "class_mean")


@dataclass(frozen=True)
class Side:
    """One of the runs, with the letter and colour it has on the page."""

    place: int
    task: Task
    card: runs.Card

    @property
    def letter(self) -> str:
        """A to H."""
        return LETTERS[self.place]

    @property
    def name(self) -> str:
        """ "A · Distribution matching on Digits"."""
        return f"{self.letter} · {self.card.title}"

    @cached_property
    def made(self) -> DistilledSet:
        """Its set."""
        return evolution.made_by(self.task)

    @cached_property
    def spec(self) -> Any:
        """What was asked for."""
        return self.task.spec()


# --- choosing -------------------------------------------------------------------------------------


def choose(bar: DeltaGenerator) -> list[Side]:
    """The finished runs chosen in `bar`; the link keeps their keys.

    At first these are the current run and one like it.
    """
    store = shell.store()
    known = {c.key: c for c in runs.finished(store)}
    absent = [k for k in st.query_params.get(PARAMETER, "").split(",") if k and k not in known]
    if absent := graph_links.point(absent[:MOST]):
        st.warning(
            f"Not among the finished runs here: {plain(', '.join(k[:16] for k in absent[:MOST]))}.",
            icon=":material/link_off:",
        )
    if not known:
        return []
    with (
        bar,
        teach.part("run", "compare.sets"),
        st.popover("Sets", icon=":material/layers:", key="compare.sets"),
    ):
        chosen = links.several(
            f"Runs (two to {MOST})",
            {key: card.line for key, card in known.items()},
            PARAMETER,
            proposed(known, shell.run_key()),
            most=MOST,
            explained=True,
        )
    tasks = [task for task in map(store.find, chosen) if _readable(task)]
    return [Side(i, task, known[task.key]) for i, task in enumerate(tasks)]


def _readable(task: Task) -> bool:
    """Whether its set can be read; says why not."""
    try:
        evolution.made_by(task)
    except DDError as error:
        st.error(plain(f"{runs.card(task).line}: {error}"), icon=":material/error:")
        return False
    return True


def proposed(known: dict[str, runs.Card], current: str) -> tuple[str, ...]:
    """The current run and the one most comparable with it, in the order of the list."""
    first = known.get(current) or runs.featured(shell.store()) or next(iter(known.values()))

    def unlike(other: runs.Card) -> tuple:
        return (
            other.dataset != first.dataset,
            other.ipc != first.ipc,
            (other.method, other.variant) == (first.method, first.variant),
        )

    others = sorted((c for c in known.values() if c.key != first.key), key=unlike)
    pair = {c.key for c in (first, *others[:1])}
    return tuple(key for key in known if key in pair)


# --- accuracy -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JudgedSides:
    """By letter, what measures each run, and the rows by subject that were found ({} for none)."""

    wanted: dict[str, EvaluateTask]
    found: dict[str, dict[str, dict[str, Any]]]


def judge(sides: list[Side]) -> JudgedSides:
    """Ask for a protocol; the figures of every run under it."""
    wanted = {side.letter: evaluation(side, name) for side, name in _protocols(sides)}
    return JudgedSides(wanted, {s.letter: stored(s, wanted[s.letter].protocol) for s in sides})


def accuracy(sides: list[Side], judged: JudgedSides) -> None:
    """The figures of every run under one protocol, and a button for those that are missing."""
    wanted, found = judged.wanted, judged.found
    ready = [side for side in sides if found[side.letter]]
    missing = [side for side in sides if not found[side.letter]]
    if ready:
        rows = {side.letter: found[side.letter] for side in ready}
        st.markdown(verdict(ready, rows))
        table(ready, rows, {letter: task.protocol for letter, task in wanted.items()})
    if text := unfair(sides, [wanted[side.letter].protocol for side in sides]):
        st.warning(text, icon=":material/warning:")
    if missing:
        measure(missing, wanted)


def _protocols(sides: list[Side]) -> list[tuple[Side, Protocol]]:
    """The protocol each run is judged by, as chosen."""
    each = [evaluation_form.protocols(side.spec) for side in sides]
    common = [n for n in each[0] if all(n in one for one in each)]
    own = ", ".join(dict.fromkeys(side.spec.protocol.name for side in sides))
    options = {OWN: f"each run's own ({own})"}
    options |= {n: f"{n}: {PURPOSE[n]}" for n in common if n in PURPOSE}
    name = links.choice(
        "Protocol", options, "protocol", width="stretch", label_visibility="collapsed"
    )
    return [
        (side, side.spec.protocol if name == OWN else one[name]) for side, one in zip(sides, each)
    ]


def evaluation(side: Side, protocol: Protocol) -> EvaluateTask:
    """The evaluation of a run in its own network."""
    return default_evaluation(side.task.key, side.spec, protocol=protocol, nets=protocol.nets)


def stored(side: Side, protocol: Protocol) -> dict[str, dict[str, Any]]:
    """Rows by subject of the run's finished evaluation with most networks; {} if there is none."""
    arch, best = side.spec.net.label(), {}
    for task in runs.evaluations(shell.store(), side.task.key):
        if not task.is_done() or task.result()["protocol"] != protocol.to_dict():
            continue
        rows = runs.accuracies(task, arch)
        if rows and rows["distilled"]["n"] > best.get("distilled", {"n": 0})["n"]:
            best = rows
    return best


def verdict(sides: list[Side], rows: dict[str, dict]) -> str:
    """Which run is best, by how much, and whether that is more than the spread of the networks."""
    ranked = sorted(sides, key=lambda s: -rows[s.letter]["distilled"]["mean"])
    best = rows[ranked[0].letter]["distilled"]
    text = f"**{ranked[0].letter}** reaches **{evaluation_views.figure_text(best)}**"
    parts = []
    for other in ranked[1:]:
        row = rows[other.letter]["distilled"]
        note = f" ({evaluation_views.CLOSE})" if evaluation_views.within_spread(best, row) else ""
        more = difference(best, row).points().removeprefix("+")
        parts.append(f"{more} more than {other.letter}{note}")
    return f"{text}{': ' if parts else ''}{', '.join(parts)}."


def unfair(sides: list[Side], protocols: list[Protocol]) -> str:
    """In what the runs differ that makes their accuracies hard to compare; "" if in nothing."""
    facts = {
        "dataset": {side.card.dataset for side in sides},
        "protocol": {p.name for p in protocols},
        "network": {side.spec.net.label() for side in sides},
    }
    differ = [name for name, values in facts.items() if len(values) > 1]
    floats = [side.made.floats for side in sides]
    if max(floats) > ALIKE * min(floats):
        differ.append("number of stored numbers")
    if not differ:
        return ""
    return (
        f"They differ in more than the way they were made: {', '.join(differ)}. A difference in "
        "accuracy need not come from the method."
    )


def table(sides: list[Side], rows: dict[str, dict], protocols: dict[str, Protocol]) -> None:
    """Figures as stored beside those of sets that cost nothing."""
    head = ["Run", "Test accuracy", *(charts.subject(n)[0] for n in FREE), "Network, protocol"]
    body = []
    for side in sides:
        own = rows[side.letter]
        cells = [
            evaluation_views.figure_cell(own[n]) if n in own else "" for n in ("distilled", *FREE)
        ]
        how = plain(f"{side.spec.net.label()}, {protocols[side.letter].name}")
        body.append([side.letter, *cells, how])
    st.markdown(evaluation_views.markdown_table(head, body))
    st.caption("± is the standard deviation over n networks that saw nothing but the set.")


def measure(missing: list[Side], wanted: dict[str, EvaluateTask]) -> None:
    """What leads to the figures that are not there: one button, and the panels of those on their way."""
    store = shell.store()
    asked = []
    for side in missing:
        task = store.task(wanted[side.letter])
        if jobs.state(task)["state"] == "missing":
            asked.append(side)
        else:
            task_panel.show(task, key=f"compare.{side.letter}")
    if not asked:
        return
    with st.container(border=True):
        letters = ", ".join(side.letter for side in asked)
        st.markdown(f"Not measured yet in this way: **{letters}**.")
        seconds = sum(_seconds(side, wanted[side.letter]) for side in asked)
        st.caption(f"It will take about {texts.duration(seconds)}.")
        if permissions.button(
            "Measure", key="compare.go", type="primary", icon=":material/play_arrow:"
        ):
            permissions.submit(store, [wanted[side.letter] for side in asked])
            st.rerun()


def _seconds(side: Side, task: EvaluateTask) -> float:
    shape, classes = side.made.shape, side.made.num_classes
    return estimate.evaluation(task, side.spec, shell.store(), shape, classes).seconds
