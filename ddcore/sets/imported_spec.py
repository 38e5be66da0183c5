"""The spec of a set made elsewhere, so that everything which looks at runs can look at it. No torch."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ddcore.base.errors import DataError, SpecError
from ddcore.base.fields import REQUIRED, choice, number, numbers, part, text
from ddcore.base.specs import Spec, TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.pools.bank_spec import Start
from ddcore.sets.importers import Report, importer, importers
from ddcore.sets.importers.facts import LABELS
from ddcore.sets.importers.scales import REGULARISED, SCALES, WHITENED
from ddcore.training.protocols import PROTOCOLS, Protocol

SHA256 = re.compile(r"[0-9a-f]{64}")
METHOD = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")
MAX_TILES = 3
# Where the constants that everybody normalises with are not the deviation of all pixels.
DEVIATIONS = {"cifar10": (0.2470, 0.2435, 0.2616)}
PIXELS = ("unit", "byte", "signed")


@dataclass(frozen=True, kw_only=True)
class SetParams(Spec):
    """What is known of how a set was made, under the names that methods' parameters have.

    They follow from the files.
    """

    steps: int = number(1, 1, 100_000, "Parts used one after the other.")
    setting: str = choice(
        "", ("", "fixed"), "fixed: for the one known initialisation that its file holds."
    )
    relabel: tuple[int, ...] = numbers(
        (), 0, 1_000_000, "two classes, or none", "(a, b): networks are to call class a class b."
    )

    def validate(self) -> None:
        """Check that there are two classes."""
        self.require("relabel", len(self.relabel) in (0, 2))


@dataclass(frozen=True, kw_only=True)
class ImportTask(TaskSpec):
    """A set from files, and how they are to be understood.

    `data`, `ipc`, `net`, `protocol`, `params`, `start` and `seed` are as of a run, so that a set made
    elsewhere is judged beside the same baselines. Pixels and normalised images may be judged under whitening
    (`data.preprocess`) too, as runs are whose images were written as pixels.
    """

    KIND: ClassVar[str] = "import"
    RUNNER: ClassVar[str] = "ddcore.sets.imported:run"
    SLOT: ClassVar[str] = "light"

    format: str = choice(REQUIRED, importers, "The layout of the files.")
    files: tuple[str, ...] = text(REQUIRED, "Their sha256, 64 hex digits each.")
    data: DataSpec = part(REQUIRED, "The dataset that the set stands for.")
    ipc: int = number(REQUIRED, 1, 100_000, "As many numbers as that many images per class have.")
    per_class: int = number(0, 0, 100_000, "Images of each class that networks see; 0: `ipc`.")
    method: str = text("", "What made it; empty: unknown.")
    seed: int = number(0, 0, 0, "Always 0: files have none.")
    net: NetSpec = part(NetSpec, "The network it was made with.")
    protocol: Protocol = part(
        lambda: PROTOCOLS["quick"], "How it is meant to be used.", names=lambda: PROTOCOLS
    )
    params: SetParams = part(SetParams, "What is known of how it was made.")
    start: Start = part(Start, "The weights it was made for.")
    experiment: int = number(0, 0, 10_000, "Which of several sets in a file.")
    scale: str = choice("normalised", SCALES, "What the numbers are.")
    mean: tuple[float, ...] = numbers(
        (),
        -1e6,
        1e6,
        "one value for each channel",
        "Per channel, what images were normalised with where it is not the dataset's own.",
    )
    std: tuple[float, ...] = numbers(
        (), 0, 1e6, "values above 0", "Deviations that belong to `mean`."
    )
    labels: str = choice("keep", LABELS, "How soft labels are taken.")
    tiles: int = number(1, 1, MAX_TILES, "So many images lie in each stored one, each way (IDC).")
    lr: float = number(0.0, 0, 1e3, "A learned step size that is in no file; 0: none.")

    def validate(self) -> None:
        """Check files, and that scale and preprocessing go together."""
        self.require("files", 1 <= len(self.files) <= 3, "one to three files")
        for digest in self.files:
            self.require("files", bool(SHA256.fullmatch(digest)), "64 hex digits each")
        self.require(
            "scale", (self.scale == "own") == (self.format == "own"), self._allowed_scale()
        )
        whitens = self.data.preprocess == "zca"
        if self.scale in WHITENED and not whitens:
            raise SpecError("preprocess", self.data.preprocess, f"zca with scale {self.scale}")
        self.require("std", len(self.mean) == len(self.std), "as many values as mean has")
        self.require("std", all(s > 0 for s in self.std))
        normalised = self.scale == "normalised"
        self.require("mean", normalised or not self.mean, "nothing, since scale is not normalised")
        self.require("tiles", self.tiles == 1 or not whitens, "1 for whitened images")

    def _allowed_scale(self) -> str:
        if self.format == "own":
            return "own for a file of this program"
        return "one of " + ", ".join(s for s in SCALES if s != "own")

    @property
    def steps(self) -> int:
        """Into how many parts the set is split that are used one after the other."""
        return self.params.steps

    def images_per_class(self, shape: Shape, classes: int) -> int:
        """Images of each class that a network sees."""
        return self.per_class or self.ipc

    def title(self) -> str:
        """Line for lists."""
        what = self.method or importer(self.format).title
        return f"set from elsewhere ({what}) on {self.data.title()}"

    def follow_ups(self) -> list[TaskSpec]:
        """Nothing: its protocol may take hours, so it is measured when asked."""
        return []


def misfit(report: Report, shape: Shape, classes: int) -> str:
    """Why a set is none of a dataset with such images and classes; "" if it can be."""
    facts = report.facts
    if facts.shape != tuple(shape):
        return f"its images are {size_text(facts.shape)} and the dataset's {size_text(shape)}"
    if facts.classes != classes:
        return f"it has {facts.classes} classes and the dataset {classes}"
    return ""


def size_text(shape: Sequence[int]) -> str:
    """ "32 x 32 pixels, colour"."""
    c, h, w = shape
    return f"{h} x {w} pixels, {'grey' if c == 1 else 'colour'}"


def propose(
    report: Report,
    data: DataSpec,
    whiten: bool | None = None,
    spread: Sequence[float] = (),
    **choices: Any,
) -> ImportTask:
    """The task for a set, with what its layout and numbers suggest; `choices` override single fields.

    Fields that follow from others (whitening, the budget, constants) are filled in. `whiten`: whether
    pixels are judged under whitening (None: if their names say so); `spread` is the dataset's
    standard deviation per channel, which the regularised whitening depends on.
    """
    source, found, facts = report.importer, report.found, report.facts
    whiten = likely_whitening(report) if whiten is None else whiten
    made = found.made
    scale = choices.get("scale", report.guess.scale)
    tiles = choices.get("tiles", facts.tiles)
    values: dict[str, Any] = {
        "format": source.name,
        "files": tuple(sha for _, sha in report.files),
        "data": _data(report, data, scale, whiten, spread),
        "ipc": _budget(report),
        "method": made.method if made else source.method(report.names),
        "net": made.net if made else source.net(facts.shape),
        "params": _params(report, choices.get("net")),
        "start": Start.from_dict(made.start) if made else Start(),
        "experiment": report.experiment,
        "scale": scale,
        "tiles": tiles,
        "labels": likely_labels(report),
    }
    values["per_class"] = facts.per_class * tiles**2
    if values["per_class"] == values["ipc"]:
        values["per_class"] = 0
    if scale == "normalised" and data.name in source.constants:
        values["mean"], values["std"] = source.constants[data.name]
    if "protocol" not in choices:
        name = source.protocol(data.name, report.names, facts.shape)
        values["protocol"] = made.protocol if made else PROTOCOLS[name]
    return ImportTask(**{**values, **choices})


def stated_method(text: str) -> str:
    """What a person calls the method that made a set, as files and runs call it; `SpecError` if no name."""
    name = text.strip().lower()
    if not METHOD.fullmatch(name):
        raise SpecError("method", text[:40], "a short name such as dsa or datm")
    return name


def likely_labels(report: Report) -> str:
    """How soft labels are taken unless somebody says otherwise."""
    if report.importer.labels or report.found.made:
        return report.importer.labels or "keep"
    return "softmax" if report.facts.labels == "scores" else "keep"


def likely_whitening(report: Report) -> bool:
    """Whether pixels seem to come from a whitened run: the code of MTT calls its files images_zca_...."""
    pixels = report.guess.scale in PIXELS
    return pixels and any("zca" in name.lower() for name in report.names)


def _data(
    report: Report, data: DataSpec, scale: str, whiten: bool, spread: Sequence[float]
) -> DataSpec:
    """The dataset with the whitening, and of our own files the split, that the set was made with."""
    made = report.found.made
    if made is None and scale == "zca-regularised":
        return data.replace(
            preprocess="zca", zca_eps=regularised_eps(DEVIATIONS.get(data.name, spread))
        )
    if made is None:
        return data.replace(preprocess="zca" if scale == "zca" or whiten else "normalise")
    names = ("val_fraction", "split_seed", "preprocess", "zca_eps")
    kept = {n: made.data[n] for n in names if n in made.data}
    return data.replace(**{"preprocess": "zca" if made.preprocess.whitens else "normalise", **kept})


def _budget(report: Report) -> int:
    """Images per class worth of stored numbers: the size of the sets it is compared with."""
    facts, made = report.facts, report.found.made
    if made is None:
        return facts.per_class
    return max(1, round(made.floats / (math.prod(facts.shape) * facts.classes)))


def _params(report: Report, net: NetSpec | None) -> SetParams:
    made = report.found.made
    fixed = made is not None and bool(made.init_weights) and net in (None, made.net)
    relabel = (made.relabel or ()) if made else ()
    return SetParams(
        steps=report.found.steps, setting="fixed" if fixed else "", relabel=tuple(relabel)
    )


def regularised_eps(spread: Sequence[float]) -> float:
    """What the regularised whitening adds to variances of pixels on the 0..1 scale.

    It divides channels by their standard deviation, then adds a tenth of the mean variance, which is 1. Where
    channels have nearly the same deviation that is whitening with a tenth of its square.
    """
    if not len(spread):
        raise SpecError("scale", "zca-regularised", "another scale until the dataset has been read")
    return float(f"{REGULARISED * float(np.mean(np.square(spread))):.4g}")


def constants(spec: ImportTask) -> tuple[np.ndarray, np.ndarray] | None:
    """The mean and standard deviation a set was normalised with, None for the dataset's own."""
    if not spec.mean:
        return None
    return np.array(spec.mean, np.float32), np.array(spec.std, np.float32)


def require_fit(report: Report, shape: Shape, classes: int, title: str) -> None:
    """`DataError` if a set is none of the dataset."""
    if why := misfit(report, shape, classes):
        raise DataError(f"This set is not one of {title}: {why}.")
