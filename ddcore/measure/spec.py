"""Specs of measuring: baselines, one accuracy, and a run beside its baselines. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, runtime_checkable
from typing import Protocol as Interface

from ddcore.base.errors import SpecError
from ddcore.base.fields import REQUIRED, choice, choices, flag, number, part, seed, text
from ddcore.base.specs import TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.measure.regimes import LabelRegime
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
CORESETS = {  # chosen by what networks trained on the real data say about its images
    "easiest": "real images that a teacher finds easiest: least cross-entropy",
    "medium": "real images in the middle of each class by a teacher's cross-entropy",
    "hardest": "real images that a teacher finds hardest: most cross-entropy",
    "el2n": "real images with the largest error early in training (EL2N)",
    "forgetting": "real images that are most often forgotten between epochs, or never learned",
}
LABELLED = "random_labelled"  # the random images again, with labels made as those of the set
WHOLE = "whole"  # the whole training set: a ceiling rather than a set of the same size
WHOLE_NETS = 3  # trained for it, whatever else is asked
BEST_EVERY = 10  # epochs between looks at the test images where the best is asked for
# Step sizes a baseline may choose from (on validation data) where the protocol learns its own.
BASELINE_LRS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
BEFORE = "before"  # no set at all: the networks that a set is made for, as they start


@runtime_checkable
class MeasuredRun(Interface):
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


def run_of(task: Task) -> MeasuredRun:
    """The spec of a task that makes a set; `SpecError` for others."""
    spec = task.spec()
    if not isinstance(spec, MeasuredRun):
        raise SpecError("run", task.key, "a run, or a set that was opened")
    return spec


@dataclass(frozen=True, kw_only=True)
class BaselineTask(TaskSpec):
    """Sets of the same size made without distilling.

    Herding, k-center, the optimised draws, coresets by score and "random_labelled" use a network; the
    others are stored once for all.
    """

    KIND: ClassVar[str] = "baseline"
    RUNNER: ClassVar[str] = "ddcore.measure.baselines:run"

    name: str = choice(REQUIRED, (*BASELINES, *CORESETS, LABELLED), "How the images are chosen.")
    data: DataSpec = part(REQUIRED, "What they are chosen from.")
    ipc: int = number(REQUIRED, 1, 1000, "Images per class.")
    seed: int = seed()
    draws: int = number(1, 1, 1000, "How many sets, where chance is involved.")
    net: NetSpec | None = part(
        None,
        "Gives features, judges draws and teaches the labels of random_labelled, where that is needed.",
    )

    teacher: str = text(
        "", "A teacher from a file labels random_labelled; empty: those of `net`.", later=True
    )

    def validate(self) -> None:
        """Check that there is a network where labels come from one."""
        if self.name == LABELLED:
            self.require("net", self.net is not None, f"a network that labels {LABELLED}")

    @property
    def judge(self) -> NetSpec:
        """The network that chooses or labels; `SpecError` where none was given."""
        if self.net is None:
            raise SpecError("net", None, f"a network for baseline {self.name}")
        return self.net

    def title(self) -> str:
        """Line for lists."""
        return f"baseline {self.name}, {self.ipc} per class of {self.data.name}"


def _best_every() -> Any:
    """The field for the second figure."""
    return number(
        0,
        0,
        100_000,
        "Test after every so many epochs too, and keep each network's best beside its accuracy at the end, "
        "as many published figures are the best on test images; 0: do not.",
        unit="epochs",
        later=True,
    )


def _check_best(spec: Any) -> None:
    """There is a way that can be looked at where networks are trained in minibatches."""
    plain = not (spec.protocol.ordered or spec.protocol.closed_form)
    allowed = f"0 with protocol {spec.protocol.name}"
    spec.require("best_every", plain or not spec.best_every, allowed)


@dataclass(frozen=True, kw_only=True)
class AccuracyTask(TaskSpec):
    """Test accuracy of networks trained on one set."""

    KIND: ClassVar[str] = "accuracy"
    RUNNER: ClassVar[str] = "ddcore.measure.accuracy:run_accuracy"

    subject: str = text(
        REQUIRED,
        "The key of a run or a baseline, whole, or before for networks that are not trained.",
    )
    data: DataSpec = part(REQUIRED, "Which images they are tested on.")
    net: NetSpec = part(REQUIRED, "The architecture.")
    protocol: Protocol = part(REQUIRED, "How they are trained.", names=lambda: PROTOCOLS)
    nets: int = number(10, 1, 10_000, "How many.", unit="networks")
    seed: int = seed()
    like: str = text(
        "",
        "A run whose steps, step sizes, initial weights and changed labels are used, which the ordered "
        "protocol needs; of a bank they are the held-out networks. Empty: none.",
    )
    fresh: bool = flag(
        False,
        "Start from fresh random weights: how a set made for other weights does on those.",
    )
    labels: LabelRegime | None = part(None, "Labels instead of those that the set has.", later=True)
    best_every: int = _best_every()

    def validate(self) -> None:
        """Labels are chosen for sets that networks are trained on in minibatches."""
        _check_best(self)
        if self.labels:
            self.labels.check(self.protocol)
            self.require("subject", self.subject not in (WHOLE, BEFORE), "a set that is labelled")

    def title(self) -> str:
        """Line for lists."""
        return f"accuracy of {self.subject} in {self.net.label()}"


@dataclass(frozen=True, kw_only=True)
class AccuracyPart(TaskSpec):
    """Some of the networks of an `AccuracyTask`, which puts such parts together and removes them."""

    KIND: ClassVar[str] = "accuracy_part"
    RUNNER: ClassVar[str] = "ddcore.measure.accuracy:run_part"

    whole: AccuracyTask = part(REQUIRED, "What they belong to.")
    first: int = number(0, 0, 9_999, "The first of them, counted from 0.")
    nets: int = number(REQUIRED, 1, 10_000, "How many.", unit="networks")

    def validate(self) -> None:
        """Check that the whole has such networks."""
        self.require_range("nets", 1, self.whole.nets - self.first)

    def title(self) -> str:
        """Line for lists."""
        last = self.first + self.nets
        return f"networks {self.first + 1} to {last} of {self.whole.nets} for {self.whole.title()}"


@dataclass(frozen=True, kw_only=True)
class EvaluateTask(TaskSpec):
    """A run beside its baselines under one protocol, for one or several architectures."""

    KIND: ClassVar[str] = "evaluate"
    RUNNER: ClassVar[str] = "ddcore.measure.evaluate:run_evaluate"
    ESTIMATE: ClassVar[str] = "ddcore.measure.estimate:need_of_evaluation"

    run_key: str = text(REQUIRED, "The key of the run.")
    protocol: Protocol = part(
        lambda: PROTOCOLS["quick"], "How networks are trained.", names=lambda: PROTOCOLS
    )
    nets: int = number(
        10,
        1,
        1000,
        "Networks trained on each set. Each starts from other random weights: the spread over them is what "
        "± states.",
        unit="networks",
    )
    archs: tuple[NetSpec, ...] = part((), "The architectures.")
    baselines: tuple[str, ...] = choices(
        ("random", "class_mean"),
        (*BASELINES, *CORESETS, LABELLED, WHOLE),
        "any of " + ", ".join((*BASELINES, *CORESETS, LABELLED, WHOLE)),
        "What the set is compared with; random images and class means are always part of it.",
    )
    seed: int = seed()
    labels: LabelRegime | None = part(
        None, "Labels of all sets alike; none: those that each comes with.", later=True
    )
    best_every: int = _best_every()

    def validate(self) -> None:
        """Random and class mean are always part of it."""
        _check_best(self)
        for name in ("random", "class_mean"):
            self.require("baselines", name in self.baselines, f"a list that contains {name}")
        self.require("archs", len(self.archs) > 0, "at least one architecture")
        if self.labels:
            self.labels.check(self.protocol)
            expected = f"no {LABELLED} where labels are chosen for all sets"
            self.require("baselines", LABELLED not in self.baselines, expected)

    def title(self) -> str:
        """Line for lists."""
        labels = f", {self.labels.title()}" if self.labels else ""
        return f"evaluation of {self.run_key}, {self.protocol.name}{labels}"


def default_evaluation(run_key: str, run: MeasuredRun, **changes: Any) -> EvaluateTask:
    """The evaluation that belongs to a run: its own network and protocol.

    For a run made for a bank's networks `nets` is how many held-out ones it is judged on. A set with a
    teacher's soft labels is also compared with random images that have them.
    """
    own: dict[str, Any] = {"protocol": run.protocol, "nets": run.protocol.nets, "archs": (run.net,)}
    task = EvaluateTask(run_key=run_key, **(own | changes))
    if run.labels != "soft" or LABELLED in task.baselines or task.labels:
        return task
    return task.replace(baselines=(*task.baselines, LABELLED))
