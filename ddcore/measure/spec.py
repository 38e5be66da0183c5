"""Specs of measuring: baselines, one accuracy, and a run beside its baselines. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, runtime_checkable
from typing import Protocol as Interface

from ddcore.base.errors import SpecError
from ddcore.base.specs import TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.pools.bank_spec import Start
from ddcore.tasks.store import Task
from ddcore.training.protocols import PROTOCOLS, Protocol

BASELINES = {
    "random": "random real images, drawn anew for every network",
    "class_mean": "means of random parts of each class (one image per class: the class mean)",
    "optimised_random": "the best random draws of many, chosen on training data",
    "kmeans": "k-means centroids of each class",
    "herding": "real images whose running feature mean stays nearest the class mean",
    "kcenter": "real images that cover the class: farthest first in feature space",
}
LABELLED = "random_labelled"  # the random images again, with labels made as those of the set
WHOLE = "whole"  # the whole training set: a ceiling rather than a set of the same size
BEFORE = "before"  # no set at all: the networks that a set is made for, as they start


@runtime_checkable
class Run(Interface):
    """What measuring has to know of a run's spec, however the set is made."""

    @property
    def data(self) -> DataSpec:
        """The dataset it is made from."""

    @property
    def ipc(self) -> int:
        """Its budget in images per class."""

    @property
    def net(self) -> NetSpec:
        """The network it is made for."""

    @property
    def protocol(self) -> Protocol:
        """How it is meant to be judged."""

    @property
    def labels(self) -> str:
        """Where its labels come from."""

    @property
    def start(self) -> Start:
        """The weights that the set is made for."""

    def images_per_class(self, shape: Shape, classes: int) -> int:
        """Images of each class that a network sees."""


def run_of(task: Task) -> Run:
    """The spec of a task that makes a set; `SpecError` for others."""
    spec = task.spec()
    if not isinstance(spec, Run):
        raise SpecError("run", task.key, "a run, or a set that was opened")
    return spec


@dataclass(frozen=True, kw_only=True)
class BaselineTask(TaskSpec):
    """Sets of the same size made without distilling; `draws` of them where chance is involved.

    `net` gives the features for herding and k-center, judges the optimised draws and teaches the labels
    of "random_labelled"; the others do not use it and are stored once for all networks.
    """

    KIND: ClassVar[str] = "baseline"
    RUNNER: ClassVar[str] = "ddcore.measure.baselines:run"

    name: str
    data: DataSpec
    ipc: int
    seed: int = 0
    draws: int = 1
    net: NetSpec | None = None

    def validate(self) -> None:
        """Check ranges."""
        self.require_choice("name", (*BASELINES, LABELLED))
        if self.name == LABELLED:
            self.require("net", self.net is not None, f"a network that labels {LABELLED}")
        self.require_range("ipc", 1, 1000)
        self.require_range("draws", 1, 1000)

    @property
    def judge(self) -> NetSpec:
        """The network that chooses or labels; `SpecError` where none was given."""
        if self.net is None:
            raise SpecError("net", None, f"a network for baseline {self.name}")
        return self.net

    def title(self) -> str:
        """Line for lists."""
        return f"baseline {self.name}, {self.ipc} per class of {self.data.name}"


@dataclass(frozen=True, kw_only=True)
class AccuracyTask(TaskSpec):
    """Test accuracy of `nets` networks trained on one set.

    `subject` is the key of a run or a baseline, "whole", or "before" for networks that are not trained.
    `like` is a run whose steps, step sizes, initial weights and changed labels are used, which the
    ordered protocol needs ("" otherwise); of a bank they are the held-out networks. `fresh` starts from
    fresh random weights instead: how a set made for other weights does on those.
    """

    KIND: ClassVar[str] = "accuracy"
    RUNNER: ClassVar[str] = "ddcore.measure.accuracy:run_accuracy"

    subject: str
    data: DataSpec
    net: NetSpec
    protocol: Protocol
    nets: int = 10
    seed: int = 0
    like: str = ""
    fresh: bool = False

    def title(self) -> str:
        """Line for lists."""
        return f"accuracy of {self.subject} in {self.net.label()}"


@dataclass(frozen=True, kw_only=True)
class EvaluateTask(TaskSpec):
    """A run beside its baselines under one protocol, for one or several architectures."""

    KIND: ClassVar[str] = "evaluate"
    RUNNER: ClassVar[str] = "ddcore.measure.evaluate:run_evaluate"

    run_key: str
    protocol: Protocol = field(default_factory=lambda: PROTOCOLS["quick"])
    nets: int = 10
    archs: tuple[NetSpec, ...] = ()
    baselines: tuple[str, ...] = ("random", "class_mean")
    seed: int = 0

    def validate(self) -> None:
        """Check ranges; random and class mean are always part of it."""
        self.require_range("nets", 1, 1000)
        known = (*BASELINES, LABELLED, WHOLE)
        for name in self.baselines:
            if name not in known:
                self.require("baselines", False, "any of " + ", ".join(known))
        for name in ("random", "class_mean"):
            self.require("baselines", name in self.baselines, f"a list that contains {name}")
        self.require("archs", len(self.archs) > 0, "at least one architecture")

    def title(self) -> str:
        """Line for lists."""
        return f"evaluation of {self.run_key}, {self.protocol.name}"


def default_evaluation(run_key: str, run: Run, **changes: Any) -> EvaluateTask:
    """The evaluation that belongs to a run: its own network and protocol.

    For a run made for a bank's networks `nets` is how many held-out ones it is judged on. A set with a
    teacher's soft labels is also compared with random images that have them.
    """
    own: dict[str, Any] = {"protocol": run.protocol, "nets": run.protocol.nets, "archs": (run.net,)}
    task = EvaluateTask(run_key=run_key, **(own | changes))
    if run.labels != "soft" or LABELLED in task.baselines:
        return task
    return task.replace(baselines=(*task.baselines, LABELLED))
