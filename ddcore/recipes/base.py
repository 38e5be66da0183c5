"""What a recipe is: published figures, the runs that are to reach them, and how these are judged.

A recipe is data. It is made by `ddcore.recipes.make`, step by step, each step an ordinary task: stopped
at any moment, it goes on where it was. No torch here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ddcore.base.specs import TaskSpec
from ddcore.base.spread import plus_minus
from ddcore.data import resolve
from ddcore.data.spec import form
from ddcore.distil.contract import DistillSpec, method
from ddcore.distil.estimate import distillation
from ddcore.distil.settings import make_spec
from ddcore.measure import label_bytes
from ddcore.measure.estimate import evaluation
from ddcore.measure.regimes import regime, with_loss
from ddcore.measure.spec import EvaluateTask, default_evaluation
from ddcore.nets.plan import Shape
from ddcore.nets.words import judge
from ddcore.tasks.store import Store
from ddcore.training.estimate import Estimate
from ddcore.training.protocols import protocol

# What several recipes say.
SPLIT = "A tenth of the training images is held out to choose the checkpoint"
NOT_READ = "The paper's figure was not read in a source"
README = "official README of Zhao et al."
MACHINES = {"gpu": "a graphics card (days on a processor)", "cpu": "a processor: minutes to hours"}


@dataclass(frozen=True)
class Published:
    """A figure of others in per cent, whose it is and where it was read. Only what was read in a source."""

    mean: float
    source: str
    std: float | None = None

    def figure(self) -> dict[str, float | None]:
        """Mean and spread (None where none was given) as shares, as our own figures are stored."""
        return {"mean": self.mean / 100, "std": None if self.std is None else self.std / 100}

    def text(self) -> str:
        """ "79.5 ± 8.1 %" """
        return f"{plus_minus(f'{self.mean:.1f}', self.std)} %"


@dataclass(frozen=True)
class Judged:
    """One line of the table: a set under a protocol ("" for the run's own), and what was published.

    `net` is the network as a word ("convnet-128"; "" for the run's own), `nets` how many are trained (0:
    as many as the protocol says). `labels` are those of all sets, one of `measure.regimes.REGIMES`, the
    teacher's at `temperature` ("" for those that each set has); `teacher` names one from a file.
    """

    protocol: str = ""
    published: Published | None = None
    net: str = ""
    nets: int = 0
    labels: str = ""
    temperature: float | None = None
    teacher: str = ""


@dataclass(frozen=True, kw_only=True)
class RecipeRow:
    """One distilled set: a preset with some settings, the protocols that judge it, what differs.

    `whiten` is ZCA whitening of the data, `preprocess` another way than the usual one. `differs` says in one
    or two sentences what is not as published, or why no published figure stands there. `quoted` names
    findings of the run, or figures of an attack, that belong beside its accuracy.
    """

    name: str
    method: str
    dataset: str
    ipc: int
    seed: int = 0
    preset: str = "paper"
    settings: dict[str, str] = field(default_factory=dict)
    whiten: bool = False
    preprocess: str = ""
    judged: tuple[Judged, ...] = (Judged(),)
    differs: str = ""
    quoted: tuple[str, ...] = ()

    def run(self, rehearsal: bool = False) -> DistillSpec:
        """The distillation; as a rehearsal two iterations on digits, with everything else as small."""
        if rehearsal:
            return self._rehearsed()
        way = "zca" if self.whiten else self.preprocess
        changed: dict[str, Any] = {"preprocess": way} if way else {}
        data = resolve(self.dataset, **changed)
        # Given as such, another dataset's files need not be here: what will be done can be said.
        source = self.settings.get("source")
        return make_spec(
            self.method,
            data,
            form(data)[0],
            ipc=self.ipc,
            seed=self.seed,
            preset=self.preset,
            settings=list(self.settings.items()),
            given={"source_data": resolve(source).to_dict()} if source else None,
        )

    def _rehearsed(self) -> DistillSpec:
        known, data = method(self.method), resolve("digits")
        kept = {k: v for k, v in self.settings.items() if k in known.variants}
        settings = list((kept | known.smallest).items())
        spec = make_spec(self.method, data, form(data)[0], ipc=self.ipc, settings=settings)
        params = spec.params.replace(iterations=min(spec.params.iterations, 2))
        return spec.replace(params=params, validations=1, val_nets=1)

    def evaluation(self, run: DistillSpec, key: str, judged: Judged) -> EvaluateTask:
        """How the run with this key is judged."""
        chosen = protocol(judged.protocol) if judged.protocol else run.protocol
        changes: dict[str, Any] = {"protocol": chosen, "nets": judged.nets or chosen.nets}
        if judged.net:
            changes["archs"] = (judge("net", judged.net, run.net, *form(run.data)),)
        if judged.labels:
            changes["labels"] = regime(judged.labels, run.data, run.net, published=judged.teacher)
            changes["protocol"] = with_loss(chosen, judged.labels, temperature=judged.temperature)
        return default_evaluation(key, run, **changes)


@dataclass(frozen=True)
class Step:
    """One task of a recipe; `row` is what it belongs to ("" for what follows on all rows).

    `only_for` is the task that alone needs it, if one does: experts are not trained for a finished set.
    `labels` says what labels take, where a teacher gives them.
    """

    spec: TaskSpec
    row: str
    estimate: Callable[[Store], Estimate]
    only_for: TaskSpec | None = None
    labels: str = ""

    def is_done(self, store: Store) -> bool:
        """Whether there is nothing left to do."""
        wanted = [self.spec, self.only_for] if self.only_for else [self.spec]
        return any(store.task(spec).is_done() for spec in wanted)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Rows that belong together. `follow(runs, rehearsal)` are steps that need all their runs.

    `repeats` says that another recipe shows these rows in the table.
    """

    name: str
    title: str
    about: str
    machine: str
    order: int
    rows: tuple[RecipeRow, ...]
    repeats: bool = False
    follow: Callable[[list[DistillSpec], bool], list[Step]] = lambda runs, rehearsal: []

    def steps(self, only: str = "", rehearsal: bool = False) -> Iterator[Step]:
        """Every task in order: each set and its figures, then what needs all of them."""
        for row in self.rows:
            if only in ("", row.name):
                yield from row_steps(row, rehearsal)
        if not only:
            yield from self.follow([row.run(rehearsal) for row in self.rows], rehearsal)


def row_steps(row: RecipeRow, rehearsal: bool = False) -> Iterator[Step]:
    """What the run needs beforehand, the run, its evaluations."""
    run = row.run(rehearsal)
    shape, classes = form(run.data)
    for spec in method(run.method).prepares(run):
        yield Step(spec, row.name, partial(_prepared_estimate, spec), only_for=run)
    yield Step(run, row.name, lambda store: distillation(run, store, shape, classes))
    for judged in row.judged:
        task = row.evaluation(run, run.key, judged)
        if rehearsal:
            short = task.protocol.replace(epochs=min(task.protocol.epochs, 2))
            task = task.replace(protocol=short, nets=2)
        yield Step(
            task,
            row.name,
            partial(_judging_estimate, task, run, shape, classes),
            labels=_labels(task, run, shape, classes),
        )


def _prepared_estimate(spec: TaskSpec, store: Store) -> Estimate:
    module, _, function = spec.ESTIMATE.partition(":")
    return getattr(importlib.import_module(module), function)(spec, store)


def _labels(task: EvaluateTask, run: DistillSpec, shape: Shape, classes: int) -> str:
    """What the labels of one of the sets that are judged take; "" where each has its own."""
    if task.labels is None:
        return ""
    images = classes * run.images_per_class(shape, classes)
    return label_bytes.sentence(task.labels.kind, images, classes, task.protocol.epochs)


def _judging_estimate(
    task: EvaluateTask, run: DistillSpec, shape: Shape, classes: int, store: Store
) -> Estimate:
    return evaluation(task, run, store, shape, classes)
