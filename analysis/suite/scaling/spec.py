"""What `scaling` is asked: its spec, presets, pool and cost. No torch here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen, Run
from analysis.shared import fields as shared
from analysis.shared.real import real_pool
from analysis.shared.set_ups import ALL, FACTORS, FEW, GRIDS, levels
from analysis.shared.sources import MEAN, RANDOM
from ddcore.base.fields import choice, choices, number, numbers
from ddcore.distil.contract import methods
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.pools.real_spec import Counts, Need, RealPool

RUNS, PARTS = "runs", "parts"
HOW = {
    RUNS: "a set made for each size",
    PARTS: "parts of one set",
    RANDOM: "random real images",
    MEAN: "means of parts of a class",
}
LR = 0.05  # in the usual set-up


@dataclass(frozen=True, kw_only=True)
class ScalingTask(AnalysisTask):
    """Networks trained on sets and real images of growing size, in several set-ups."""

    KIND: ClassVar[str] = "scaling"
    RUNNER: ClassVar[str] = "analysis.suite.scaling.compute:run"

    sizes: tuple[int, ...] = numbers(
        (1, 2, 5, 10, 20, 50),
        1,
        1000,
        "one or more different numbers of images per class, from 1 to 1000",
        "Sizes of random images and class means, and, where they fit, of parts of sets; those that the data "
        "do not have are left out.",
        unit="images per class",
    )
    factors: tuple[str, ...] = choices(
        ("optimiser", "step_size", "architecture", "loss"),
        FACTORS,
        "different factors of " + ", ".join(FACTORS),
        "What is changed to find the worst set-up.",
    )
    grid: str = choice(FEW, GRIDS, "How much of it.")
    nets: int = shared.nets(5, "How many are trained on each set each time, and on all data.")
    network: str = shared.network()
    iterations: int = number(300, 10, 100_000, "Steps of training, with all images at once.")
    epochs: int = shared.epochs()
    batch: int = shared.batch(0)
    lr: float = shared.lr(0.02, "Step size of those trained on all data: sgd with momentum 0.9.")

    def validate(self) -> None:
        """Each size and factor once."""
        super().validate()
        self.require("sizes", 0 < len(set(self.sizes)) == len(self.sizes))
        self.require("factors", len(set(self.factors)) == len(self.factors))


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few networks and set-ups; published: all factors and the width of the other analyses."""
    quick: dict[str, Any] = {
        "sizes": (1, 2, 3, 5, 10),
        "factors": ("optimiser", "loss"),
        "nets": 4,
        "network": "convnet-8",
        "iterations": 100,
        "epochs": 15 if shape[1] < 28 else 3,
    }
    return {
        "quick": quick,
        "teaching": {},
        "published": {"factors": tuple(FACTORS), "grid": ALL, "network": "convnet-128", "nets": 10},
    }


@dataclass(frozen=True)
class Grown:
    """Runs that are one source: several of one method and different sizes, or one whose parts are taken."""

    runs: tuple[Run, ...]

    @property
    def alone(self) -> bool:
        """Whether parts of one set stand for smaller ones."""
        return len(self.runs) == 1

    @property
    def last(self) -> Run:
        """The largest."""
        return self.runs[-1]

    @property
    def label(self) -> str:
        """The method for several runs, as each has its size in its name."""
        known = methods().get(self.last.method)
        return known.title if known and not self.alone else self.last.label

    def sizes(self, spec: ScalingTask) -> tuple[int, ...]:
        """Images per class, from the smallest on."""
        if not self.alone:
            return tuple(run.ipc for run in self.runs)
        return tuple(sorted({*(k for k in spec.sizes if k < self.last.ipc), self.last.ipc}))


def grown(chosen: Chosen) -> list[Grown]:
    """Sources in the order of figures: runs of a known method go together if their sizes all differ."""
    found: list[Grown] = []
    for method in dict.fromkeys(run.method for run in chosen.runs):
        own = [run for run in chosen.runs if run.method == method]
        most = max(Counter(run.ipc for run in own).values())
        if most == 1 and method in methods():
            found.append(Grown(tuple(sorted(own, key=lambda run: run.ipc))))
        else:
            found += [Grown((run,)) for run in own]
    return found


def real_sizes(spec: ScalingTask, chosen: Chosen, least: int) -> list[int]:
    """Images per class of real images, of which the smallest class has `least`."""
    return sorted(k for k in {*spec.sizes, *(run.ipc for run in chosen.runs)} if k <= least)


def pools(spec: ScalingTask, chosen: Chosen) -> dict[str, RealPool]:
    """Networks trained on all data: what the gap is measured from."""
    return {"whole": real_pool(spec, chosen, "network", spec.network)}


def cost(spec: ScalingTask, chosen: Chosen, counts: Counts) -> Need:
    """Training and testing at every size in every set-up."""
    real = real_sizes(spec, chosen, counts.train // chosen.classes)
    sizes = [k for of in grown(chosen) for k in of.sizes(spec)] + 2 * real
    images = [k * chosen.classes for k in sizes]
    macs = largest = 0.0
    for level in levels(spec, chosen, LR):
        one = net_cost(level.net.plan(chosen.shape, chosen.classes), chosen.shape)
        macs += sum(3.0 * level.seen(m) + counts.test for m in images) * one.macs
        largest = max(largest, one.activations)
    return Need(spec.nets * macs, memory=12.0 * largest * max(200, *images))
