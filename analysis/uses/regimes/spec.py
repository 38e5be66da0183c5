"""Spec of regimes over seeds: with each seed sets, teacher, random images and networks are made anew.

No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.runs import planned
from analysis.settings import estimate as analysis_estimate
from analysis.suite.labels import ANALYSIS
from analysis.suite.labels.spec import MIXING, SELECTIONS, LabelsTask
from ddcore.base.errors import SpecError
from ddcore.base.fields import REQUIRED, choice, choices, number, numbers, part
from ddcore.base.fields import text as text_field
from ddcore.base.specs import TaskSpec
from ddcore.data.spec import DataSpec, form
from ddcore.distil.contract import DistillSpec
from ddcore.distil.estimate import distillation
from ddcore.nets import words
from ddcore.tasks.store import Store
from ddcore.training.estimate import Estimate


@dataclass(frozen=True, kw_only=True)
class RegimesTask(TaskSpec):
    """Accuracy of sets, coresets and random images under three regimes of labels, a figure for each seed."""

    KIND: ClassVar[str] = "regimes"
    RUNNER: ClassVar[str] = "analysis.uses.regimes.compute:run"

    data: DataSpec = part(DataSpec, "The dataset.")
    sets: tuple[DistillSpec, ...] = part(
        REQUIRED, "How sets are distilled; the seed replaces theirs."
    )
    seeds: tuple[int, ...] = numbers(
        (0, 1, 2, 3, 4), 0, 2**31 - 1, "different seeds", "With each, everything is made anew."
    )
    sizes: tuple[int, ...] = numbers(
        (1, 10, 50), 1, 1000, "different numbers of images", "Images per class of real images."
    )
    selections: tuple[str, ...] = choices(
        tuple(SELECTIONS), SELECTIONS, "any of " + ", ".join(SELECTIONS), "Beside random images."
    )
    network: str = text_field(
        "convnet-8", "What is trained, and what teaches.", grammar=words.parse
    )
    nets: int = number(3, 1, 100, "Networks for each seed.", unit="networks")
    iterations: int = number(100, 10, 100_000, "Steps of training, with all images at once.")
    mixing: str = choice("mixup", MIXING, "How images of a batch are mixed.")
    teacher_epochs: int = number(
        0, 0, 10_000, "Epochs on all real images; 0: chosen by their number."
    )

    def __post_init__(self) -> None:
        kind = DistillSpec
        own = tuple(kind.from_dict(s) if isinstance(s, dict) else s for s in self.sets)
        if all(isinstance(s, kind) for s in own):  # one key for one computation
            own = tuple(s.replace(data=self.data, seed=0) for s in own)
        object.__setattr__(self, "sets", own)
        super().__post_init__()

    def validate(self) -> None:
        """Check that there is something to compare, and each seed once."""
        self.require("sets", 1 <= len(set(self.sets)) == len(self.sets) <= 8, "1 to 8 runs")
        self.require("seeds", 0 < len(set(self.seeds)) == len(self.seeds))
        for each in self.sets:
            if each.protocol.ordered or each.protocol.closed_form:
                allowed = "methods whose sets train networks in any order"
                raise SpecError("sets", each.method, allowed)
        self.labels(self.seeds[0])

    def title(self) -> str:
        """Line for lists."""
        return f"labels of {len(self.sets)} sets of {self.data.name} over {len(self.seeds)} seeds"

    def runs(self, seed: int) -> list[DistillSpec]:
        """The sets of a seed."""
        return [each.replace(seed=seed) for each in self.sets]

    def labels(self, seed: int) -> LabelsTask:
        """The analysis of a seed."""
        return LabelsTask(
            run_keys=tuple(run.key for run in self.runs(seed)),
            seed=seed,
            sizes=self.sizes,
            selections=self.selections,
            network=self.network,
            nets=self.nets,
            iterations=self.iterations,
            mixing=self.mixing,
            teacher_epochs=self.teacher_epochs,
        )


def estimate(spec: RegimesTask, store: Store) -> Estimate:
    """What all seeds will take: the sets that are not there, and every analysis with its teacher."""
    shape, classes = form(spec.data)
    parts: list[Estimate] = []
    for seed in spec.seeds:
        runs = spec.runs(seed)
        parts += [
            distillation(run, store, shape, classes)
            for run in runs
            if not store.task(run).is_done()
        ]
        asked: Any = spec.labels(seed)
        if not store.task(asked).is_done():
            parts.append(analysis_estimate(ANALYSIS, asked, planned(runs, shape), store))
    if not parts:
        return Estimate(0.0, 0.0, 0.0, "all parts are there")
    return Estimate(
        sum(p.seconds for p in parts),
        max(p.memory for p in parts),
        sum(p.disk for p in parts),
        parts[-1].basis,
    )
