"""What the Open page shows of an uploaded set: what was found, how it is to be understood, where to go on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from ddcore.base.errors import DDError
from ddcore.base.fields import declared
from ddcore.base.foreign_text import plain
from ddcore.base.texts import percent
from ddcore.data.registry import datasets
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.nets.architectures import ARCHITECTURES, NetSpec
from ddcore.nets.plan import cost
from ddcore.sets import imported
from ddcore.sets.imported_spec import (
    PIXELS,
    ImportTask,
    likely_labels,
    likely_whitening,
    misfit,
    propose,
    size_text,
    stated_method,
)
from ddcore.sets.importers import Report, importers, reading
from ddcore.sets.importers.facts import LABELS
from ddcore.sets.importers.files import check_size
from ddcore.sets.importers.scales import SCALES, SLACK, WHITENED
from ddcore.training.protocols import PROTOCOLS, PURPOSE, Protocol
from pages.components import data_views, runs, shell

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

SAMPLE = 500  # images on which the meaning of a scale is judged
SHOWN = 5_000_000  # numbers looked at, 20 MB as float32: fewer images where they are large
SIDE_BY_SIDE = {1: "One", 2: "2 × 2, enlarged", 3: "3 × 3, enlarged"}


# --- reading --------------------------------------------------------------------------------------


def read(uploads: Sequence[UploadedFile], experiment: int) -> Report:
    """The report on uploaded files; `DDError` with one sentence if they are no set."""
    check_size(sum(f.size for f in uploads), "The upload")
    ids = tuple(f.file_id for f in uploads)
    return _read(ids, experiment, tuple(uploads))


@st.cache_resource(max_entries=2, show_spinner="Reading the files ...")
def _read(ids: tuple[str, ...], experiment: int, _uploads: tuple[Any, ...]) -> Report:
    return reading.read([(f.name, f.getbuffer()) for f in _uploads], experiment=experiment)


def layouts() -> str:
    """A table of what can be opened."""
    rows = [f"| **{i.title}** | {i.files[:1].upper()}{i.files[1:]} | {i.about} |" for i in _known()]
    return "\n".join(["| Made with | Files | What is in them |", "| --- | --- | --- |", *rows])


def _known() -> list[Any]:
    return sorted(importers().values(), key=lambda i: i.name != "own")


# --- what was found -------------------------------------------------------------------------------


def found(report: Report) -> None:
    """Figures of the set, and whatever is worth knowing before it is opened."""
    facts = report.facts
    kinds = {"hard": "one class each", "probabilities": "soft", "scores": "soft (scores)"}
    cells = {
        "Images": f"{facts.images:,}",
        "Classes": f"{facts.classes:,}",
        "Images per class": f"{facts.per_class:,}",
        "Size": size_text(facts.shape).replace(" x ", " × ").replace(" pixels", ""),
        "Labels": kinds[facts.labels],
    }
    st.markdown(f"**{report.importer.title}**: {report.importer.about}")
    for column, (label, value) in zip(st.columns([2, 2, 2, 3, 3]), cells.items()):
        column.metric(label, value)
    st.caption(f"{facts.values.sentence()} Stored as {facts.dtype}.{_steps(report)}")
    notes = list(report.found.notes)
    if facts.disagree:
        notes.append(
            f"{facts.disagree:,} soft labels favour another class than their place in the file says. "
            "Images are shown with the class of their place."
        )
    for note in notes:
        st.info(plain(note), icon=":material/info:")
    for warning in facts.values.warnings() if report.guess.scale in PIXELS else ():
        st.warning(plain(warning), icon=":material/contrast:")


def _steps(report: Report) -> str:
    steps, lrs = report.found.steps, report.found.lrs
    if lrs is None:
        return ""
    sizes = f"{lrs.min():.3g}" + (f" to {lrs.max():.3g}" if len(lrs) > 1 else "")
    if len(lrs) == 1:
        return f" Learned step size {sizes}."
    part = f"{steps} steps of {report.facts.images // steps} images" if steps > 1 else "1 step"
    return f" {part}, in {len(lrs) // steps} passes, with learned step sizes {sizes}."


# --- choices --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """A dataset that an uploaded set may belong to, and its mean and standard deviation if known."""

    title: str
    spec: DataSpec
    mean: np.ndarray | None = None
    std: np.ndarray | None = None


def candidates(report: Report) -> dict[str, Candidate]:
    """Datasets that are here and fit: those of the same size first, then registered ones resized."""
    from ddcore.data.lookup import resolve

    facts, fit, resized = report.facts, {}, {}
    for i, known in data_views.choices(shell.store()).items():
        if not misfit(report, known.shape, known.classes):
            fit[i] = _candidate(known.title, known.spec)
        elif i in datasets() and known.classes == facts.classes and _can_become(i, facts.shape):
            c, side, _ = facts.shape
            spec = resolve(i, resolution=side, grey=c < known.shape[0])
            resized[f"{i}.{c}.{side}"] = _candidate(runs.data_title(spec.to_dict()), spec)
    made = report.found.made
    return dict(sorted(fit.items(), key=lambda item: not _own(item[1], made))) | resized


def _can_become(name: str, shape: tuple[int, int, int]) -> bool:
    """Whether a registered dataset can have images like these."""
    source = datasets()[name]
    fits = shape[1] == shape[2] and shape[0] <= source.shape[0] and shape[1] >= 4
    return fits and source.stands_for_files


def _own(candidate: Candidate, made: Any) -> bool:
    return made is not None and made.data.get("name") == candidate.spec.name


def _candidate(title: str, spec: DataSpec) -> Candidate:
    decoded = shell.store().task(dataset_task(spec))
    if decoded.is_done():
        result = decoded.result()
        return Candidate(title, spec, np.array(result["mean"]), np.array(result["std"]))
    source = datasets().get(spec.name)
    if source and source.mean and not (spec.resolution or spec.grey):
        return Candidate(title, spec, np.array(source.mean), np.array(source.std))
    return Candidate(title, spec)


def ask(
    report: Report, known: dict[str, Candidate], key: str, settled: bool = False
) -> tuple[ImportTask, Candidate]:
    """How the set is to be understood, as chosen; `SpecError` if the choices do not go together.

    `settled`: the dataset has been chosen before, and is the only one known.
    """
    name = next(iter(known))
    if not settled:
        name = st.selectbox(
            "Dataset", list(known), format_func=lambda i: known[i].title, key=f"{key}.data"
        )
    chosen = known[name]
    choices: dict[str, Any] = {}
    if report.found.made is None:
        choices |= _scale(report, chosen, f"{key}.scale")
        if choices["scale"] not in WHITENED and report.facts.shape[0] == 3:
            choices["whiten"] = st.checkbox(
                "Judge it under ZCA whitening",
                value=likely_whitening(report),
                key=f"{key}.whiten",
                help="For images that come from a whitened run and were written as pixels, as "
                "images_zca_... of MTT are: networks see them, and test images, whitened.",
            )
    if report.facts.labels != "hard":
        choices["labels"] = _labels(report, f"{key}.labels")
    if report.importer.tiled:
        choices["tiles"] = st.selectbox(
            "Images in each stored one",
            list(SIDE_BY_SIDE),
            index=report.facts.tiles - 1,
            format_func=SIDE_BY_SIDE.get,
            key=f"{key}.tiles",
            help="The file does not say. The suggestion is made by looking for edges in the middle.",
        )
    if report.importer.name == "mtt" and report.found.lrs is None:
        choices["lr"] = _step_size(f"{key}.lr")
    choices["spread"] = () if chosen.std is None else chosen.std
    base = propose(report, chosen.spec, **choices)
    with st.expander("Method, network and protocol", icon=":material/tune:", key=f"{key}.more"):
        choices["method"] = _method(base.method, f"{key}.method")
        choices["net"] = _network(base.net, report, f"{key}.net")
        choices["protocol"] = _protocol(base.protocol, report, f"{key}.protocol")
    return propose(report, chosen.spec, **choices), chosen


def _scale(report: Report, chosen: Candidate, key: str) -> dict[str, Any]:
    """The scale of the numbers, with what each would mean; other constants if wanted."""
    options = [s for s in SCALES if s != "own" and (s not in WHITENED or report.facts.tiles == 1)]
    likely = report.guess.scale
    scale = st.radio(
        "Its numbers are",
        options,
        index=options.index(likely),
        format_func=lambda s: SCALES[s] + (" (fits best)" if s == likely else ""),
        captions=[meaning(report, s, chosen) for s in options],
        key=key,
    )
    real = "" if chosen.mean is None else f" The mean of real images is {chosen.mean.mean():.2f}."
    st.caption(report.guess.why + real)
    if scale != "normalised":
        return {"scale": scale}
    mean, std = report.importer.constants.get(chosen.spec.name, ((), ()))
    with st.expander("Another mean and standard deviation", key=f"{key}.constants"):
        st.caption(
            "Per channel, on the 0..1 scale, as the code that made the set has them. Left empty, they are "
            "the dataset's."
        )
        return {
            "scale": scale,
            "mean": _numbers("Mean", mean, chosen.mean, f"{key}.mean"),
            "std": _numbers("Standard deviation", std, chosen.std, f"{key}.std"),
        }


def _numbers(
    label: str, given: tuple[float, ...], usual: np.ndarray | None, key: str
) -> tuple[float, ...]:
    text = st.text_input(
        label,
        value=_joined(given),
        placeholder="" if usual is None else _joined(usual),
        key=key,
    )
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise DDError(f"{label} is {text!r}: expected numbers such as 0.49, 0.48, 0.45.") from None


def _joined(values: Sequence[float]) -> str:
    return ", ".join(f"{v:.6g}" for v in values)


def meaning(report: Report, scale: str, chosen: Candidate) -> str:
    """What reading the numbers so would make of them."""
    if scale in WHITENED:
        return "Seen through the inverse once it is open."
    count = report.facts.images
    most = max(1, min(SAMPLE, SHOWN // math.prod(report.facts.shape)))
    rows = np.linspace(0, count - 1, min(count, most)).astype(int)
    pixels = imported.preview(report, rows, scale, chosen.mean, chosen.std)
    if pixels is None:
        return "The dataset's, known once it has been read."
    outside = float(((pixels < -SLACK) | (pixels > 1 + SLACK)).mean())
    return f"{percent(outside)} outside 0..1, mean {pixels.mean():.2f}."


def _labels(report: Report, key: str) -> str:
    likely = likely_labels(report)
    return st.selectbox(
        "Its soft labels are taken",
        list(LABELS),
        index=list(LABELS).index(likely),
        format_func=LABELS.get,
        key=key,
    )


def _step_size(key: str) -> float:
    said = declared(ImportTask)["lr"]
    typed = st.number_input(
        "Learned step size",
        min_value=float(said.low),
        max_value=float(said.high),
        value=None,
        format="%g",
        key=key,
        placeholder="not known: 0.01",
        help="This method learns it with the images; its code writes it to lr_best.pt or to the log.",
    )
    return typed or 0.0


def _method(own: str, key: str) -> str:
    """What made the set, as the files' names say or somebody knows; "" if nobody does."""
    typed = st.text_input(
        "Method that made it",
        value=own,
        placeholder="not known",
        key=key,
        help="A short name such as dsa, by which lists tell sets apart.",
    )
    return own if typed == own else stated_method(typed) if typed.strip() else ""


def _network(own: NetSpec, report: Report, key: str) -> NetSpec:
    """The network the set was made with; what does not fit the images is left out."""
    fit = [n for n in ARCHITECTURES if n == own.arch or _fits(NetSpec(arch=n), report)]
    arch = st.selectbox(
        "Network it was made with",
        fit,
        index=fit.index(own.arch),
        format_func=lambda n: ARCHITECTURES[n].title,
        key=f"{key}.arch",
        help="It is judged on this one first; Evaluate can add others.",
    )
    base = own if arch == own.arch else NetSpec(arch=arch, init=own.init)
    knobs: dict[str, Any] = {}
    for knob in ("width", "depth"):
        said = declared(NetSpec)[knob]
        if getattr(base, knob) is not None:
            knobs[knob] = st.number_input(
                knob.capitalize(),
                int(said.low),
                int(said.high),
                getattr(base, knob),
                key=f"{key}.{arch}.{knob}",
                help=said.sentences(),
            )
    net = base.replace(**knobs)
    cost(net.plan(report.facts.shape, report.facts.classes), report.facts.shape)
    return net


def _fits(net: NetSpec, report: Report) -> bool:
    if min(report.facts.shape[1:]) < ARCHITECTURES[net.arch].min_side:
        return False
    try:
        cost(net.plan(report.facts.shape, report.facts.classes), report.facts.shape)
    except DDError:
        return False
    return True


def _protocol(own: Protocol, report: Report, key: str) -> Protocol:
    """How networks are to be trained on the set."""
    ordered = report.found.lrs is not None
    usable = {n: p for n, p in PROTOCOLS.items() if ordered or not p.ordered} | {own.name: own}
    name = st.selectbox(
        "Protocol it is meant for",
        list(usable),
        index=list(usable).index(own.name),
        format_func=lambda n: f"{n} (as published)" if n == own.name else n,
        key=key,
    )
    st.caption(PURPOSE.get(name, "the set's own"))
    return usable[name]


# --- looking --------------------------------------------------------------------------------------
