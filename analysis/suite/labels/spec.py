"""What `labels` is asked: its spec, presets, pool and cost. No torch here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from analysis.shared.sources import MEAN
from ddcore.base.fields import choice, choices, number, numbers
from ddcore.measure.regimes import (
    HARD,
    KL_TEMPERATURE,
    ONLINE,
    REGIMES,
    SOFT,
    TEACHER_NETS,
    teacher_pool,
    with_loss,
)
from ddcore.measure.spec import BASELINES, CORESETS
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, Need, RealPool
from ddcore.training.protocols import PROTOCOLS, Protocol

ORDER = (HARD, SOFT, ONLINE)
SELECTIONS = {
    MEAN: BASELINES[MEAN],
    **{name: CORESETS[name] for name in ("easiest", "medium", "hardest")},
}
MIXING = {
    "mixup": "each image averaged with another",
    "cutmix": "a box of each image pasted from another",
    "none": "images as they are, where a teacher says of every batch what it said before",
}
TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 20.0)
AS_IS = "as_is"
EDITS = {
    AS_IS: "as the teacher says",
    "top1": "only the largest entry",
    "top3": "only the three largest entries",
    "swap_second": "second largest and smallest exchanged",
    "swap_first": "largest and smallest exchanged",
    "no_column": "the last class's entry removed",
    "no_images": "the last class's images removed",
}


@dataclass(frozen=True, kw_only=True)
class LabelsTask(AnalysisTask):
    """Networks trained on sets and on real images of several sizes under three regimes of labels."""

    KIND: ClassVar[str] = "labels"
    RUNNER: ClassVar[str] = "analysis.suite.labels.compute:run"

    sizes: tuple[int, ...] = numbers(
        (1, 10, 50),
        1,
        1000,
        "one or more different numbers of images per class, from 1 to 1000",
        "Sizes of random images and coresets, beside those of the sets; those that the data do not have are "
        "left out.",
        unit="images per class",
    )
    selections: tuple[str, ...] = choices(
        tuple(SELECTIONS),
        SELECTIONS,
        "different names of " + ", ".join(SELECTIONS),
        "What is chosen or made of real images beside random ones.",
    )
    nets: int = shared.nets(5, help="How many are trained on each set under each regime.")
    network: str = shared.network(help="What is trained, and what teaches.")
    iterations: int = number(200, 10, 100_000, "Steps of training, with all images at once.")
    mixing: str = choice("mixup", MIXING, "How images of a batch are mixed, in all regimes alike.")
    temperature: float = number(
        KL_TEMPERATURE, 0.01, 1000, "What divides the teacher's outputs before they are labels."
    )
    teacher_epochs: int = shared.epochs()

    def validate(self) -> None:
        """Each size and selection once."""
        super().validate()
        self.require("sizes", 0 < len(set(self.sizes)) == len(self.sizes))
        self.require("selections", len(set(self.selections)) == len(self.selections))

    @property
    def temperatures(self) -> tuple[float, ...]:
        """At which fixed labels are compared: its own and the usual ones, from the lowest on."""
        return tuple(sorted({*TEMPERATURES, self.temperature}))

    def recipe(self, kind: str, temperature: float | None = None) -> Protocol:
        """How networks are trained with labels of this kind: alike but for labels and their loss."""
        mixed = {} if self.mixing == "none" else {self.mixing: 1.0}
        plain = PROTOCOLS["quick"].replace(epochs=self.iterations, **mixed)
        asked = None if kind == HARD else temperature or self.temperature
        return with_loss(plain, kind, temperature=asked)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few narrow networks; published: the paper's width."""
    quick: dict[str, Any] = {
        "network": "convnet-8",
        "nets": 3,
        "iterations": 100,
        "selections": ("class_mean", "easiest", "hardest"),
    }
    if shape[1] >= 28:
        quick |= {"sizes": (1, 10), "teacher_epochs": 3}
    return {
        "quick": quick,
        "teaching": {"nets": 5},
        "published": {"nets": 5, "network": "convnet-128", "iterations": 300},
    }


def net_of(spec: LabelsTask, chosen: Chosen) -> NetSpec:
    """The network that is trained and that teaches."""
    return network("network", spec.network, chosen.shape, chosen.classes)


def pools(spec: LabelsTask, chosen: Chosen) -> dict[str, RealPool]:
    """The networks that teach: those that any evaluation with such labels asks."""
    net = net_of(spec, chosen)
    return {"teacher": teacher_pool(chosen.data, net, spec.teacher_epochs, spec.seed)}


def shown_size(chosen: Chosen) -> int:
    """Images per class of the sets that are looked at closely: what most have, of these nearest to ten."""
    sizes = [run.ipc for run in chosen.runs]
    return max(sizes, key=lambda ipc: (sizes.count(ipc), -abs(math.log(ipc / 10))))


def sizes_of(spec: LabelsTask, chosen: Chosen) -> list[int]:
    """Images per class of the random sets, from the smallest on: those asked for, and of every set."""
    return sorted({*spec.sizes, *(run.ipc for run in chosen.runs)})


def changes(spec: LabelsTask) -> Iterator[tuple[float, str]]:
    """Temperatures and edits of fixed labels that are measured; one of the two differs from the usual."""
    yield from ((t, AS_IS) for t in spec.temperatures)
    yield from ((spec.temperature, edit) for edit in EDITS if edit != AS_IS)


def cost(spec: LabelsTask, chosen: Chosen, counts: Counts) -> Need:
    """Training and testing on every set, a teacher that is asked on every batch and once about all images."""
    one = net_cost(net_of(spec, chosen).plan(chosen.shape, chosen.classes), chosen.shape)
    made = [run.images for run in chosen.runs]
    real = [
        ipc * chosen.classes
        for ipc in sizes_of(spec, chosen)
        if ipc * chosen.classes <= counts.train
    ]
    images = made + real * (1 + len(spec.selections))
    size = shown_size(chosen)
    close = [run.images for run in chosen.runs if run.ipc == size] + [size * chosen.classes]
    seen = len(ORDER) * sum(images) + (len(list(changes(spec))) - 1) * sum(close)
    trained = 3.0 * spec.nets * spec.iterations * seen
    asked = 1.0 * spec.nets * spec.iterations * sum(images) * TEACHER_NETS
    cells = len(ORDER) * len(images) + len(list(changes(spec))) * len(close)
    tested = 1.0 * spec.nets * cells * counts.test + TEACHER_NETS * counts.train
    held = 12.0 * one.activations * max(200, *images)
    return Need(one.macs * (trained + asked + tested), held, 4e4 * (len(close) + 1))


assert tuple(REGIMES) == ORDER
