"""Spec of continual learning: in which order classes come, what is kept of them, how networks go on.

The protocol is that of Zhao & Bilen 2021 (Distribution Matching, their `CL_DM.py`): class orders are numpy's
permutations, each step's memory is made from its own classes alone, and fresh networks are trained on the
union (GDumb, Prabhu et al. 2020). No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ddcore.base.errors import SpecError
from ddcore.base.fields import choice, flag, number, numbers, part, seed
from ddcore.base.specs import TaskSpec
from ddcore.data.registry import OWN, get
from ddcore.data.spec import DataSpec, dataset_task, form
from ddcore.distil.contract import DistillSpec, method
from ddcore.distil.estimate import distillation
from ddcore.measure.spec import BASELINES, BaselineTask
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import cost
from ddcore.tasks.store import Store
from ddcore.training.estimate import BASE_BYTES, START_S, Estimate, protocol_work
from ddcore.training.protocols import PROTOCOLS, Protocol, whole_protocol
from ddcore.training.speed import speed

STRATEGIES = {
    "scratch": "fresh networks on the memory alone, after every step",
    "replay": "networks go on, on the new images and what the memory holds of earlier classes",
    "finetune": "networks go on, on the new images alone: nothing is kept (a floor)",
    "joint": "fresh networks on all images so far: everything is kept (a ceiling)",
}
REAL = ("finetune", "joint")  # without a memory
DISTILLED, NOTHING = "distilled", "none"
CHOSEN = ("random", "class_mean", "kmeans", "herding", "kcenter")
SOURCES = {name: BASELINES[name] for name in CHOSEN} | {
    DISTILLED: "a distilled set: a method with its settings, as distill says"
}
CLASS_WISE = ("random", "class_mean", "kmeans")  # look at no class but the image's own
WITH_NETWORK = ("herding", "kcenter")
SAVED_BYTES = 400_000  # of distilled images that are kept with the result


@dataclass(frozen=True, kw_only=True)
class ContinualTask(TaskSpec):
    """Accuracy while classes arrive in steps, over several orders of the classes.

    Each step's memory is a task of its own on the data of its classes alone (class by class where the source
    treats them apart), found again by every order. With one step it is the ordinary set of that size.
    """

    KIND: ClassVar[str] = "continual"
    RUNNER: ClassVar[str] = "analysis.uses.continual.compute:run"
    ESTIMATE: ClassVar[str] = "analysis.uses.continual.spec:estimate"

    data: DataSpec = part(
        lambda: DataSpec(preprocess="scale"),
        "The dataset; nothing may be known of classes to come.",
    )
    steps: int = number(5, 1, 1000, "In how many steps all classes arrive.", unit="steps")
    orders: tuple[int, ...] = numbers(
        (0, 1, 2, 3, 4),
        0,
        2**31 - 1,
        "different seeds",
        "Seeds of the orders of classes, as numpy.random.RandomState(seed).permutation gives them.",
    )
    strategy: str = choice("scratch", STRATEGIES, "What networks are trained on.")
    source: str = choice("random", SOURCES, "What is kept of a class.", also=(NOTHING,))
    ipc: int = number(5, 1, 1000, "Images kept of each class.", unit="images")
    distill: DistillSpec | None = part(None, "How sets are distilled where they are the memory.")
    repeated: bool = flag(
        False,
        "Each order has its memory made anew, with a seed of its own, so that intervals hold what making it "
        "leaves to chance; otherwise orders share what they can.",
    )
    balanced: bool = flag(
        True, "In replay the memory is repeated until an old class counts as much as a new one."
    )
    net: NetSpec = part(lambda: NetSpec(width=16, depth=2), "The networks that learn.")
    protocol: Protocol | None = part(
        None,
        "How they are trained; none: quick on a memory, and on real images as often as their number asks.",
        names=lambda: PROTOCOLS,
    )
    nets: int = number(3, 1, 1000, "Networks for each order.", unit="networks")
    seed: int = seed()

    def __post_init__(self) -> None:
        for name, kind in (("data", DataSpec), ("distill", DistillSpec)):
            if isinstance(value := getattr(self, name), dict):
                object.__setattr__(self, name, kind.from_dict(value))
        if self.strategy in REAL:  # one key for one computation
            changes: dict[str, Any] = {"source": NOTHING, "ipc": 1, "distill": None}
        elif self.source != DISTILLED:
            changes = {"distill": None}
        else:
            own = self.distill
            changes = {"distill": own and own.replace(data=self.data, ipc=self.ipc)}
        if self.strategy != "replay":
            changes["balanced"] = False
        if (
            self.source == "random" or self.strategy in REAL
        ):  # every order has a draw of its own anyway
            changes["repeated"] = False
        if self.strategy == "scratch" and self.protocol is None:
            changes["protocol"] = PROTOCOLS["quick"]
        for name, value in changes.items():
            object.__setattr__(self, name, value)
        super().__post_init__()

    def validate(self) -> None:
        """Check what belongs together; that nothing of later classes is known beforehand."""
        self.require("orders", 0 < len(set(self.orders)) == len(self.orders))
        self.require("source", (self.source == NOTHING) == (self.strategy in REAL))
        if self.data.preprocess != "scale":
            why = "scale: other statistics are those of classes that are still to come"
            raise SpecError("data.preprocess", self.data.preprocess, why)
        if self.data.classes:
            raise SpecError("data.classes", self.data.classes, "all classes of a dataset")
        if self.data.name not in OWN:
            self.require_range("steps", 1, len(get(self.data.name).classes))
        if self.source == DISTILLED:
            self.require("distill", self.distill is not None, "a run where source is distilled")
            if self.distill and not _plain(self.distill.protocol):
                any_order = "a method whose sets train networks in any order"
                raise SpecError("distill.method", self.distill.method, any_order)
        if self.protocol is not None and (not _plain(self.protocol) or self.protocol.learned_lr):
            own = "a protocol that trains networks with a step size of its own"
            raise SpecError("protocol", self.protocol.name, own)

    # --- who comes when -------------------------------------------------------------------------

    def groups(self, classes: int) -> list[list[tuple[int, ...]]]:
        """Of each order the classes of every step, sorted within it."""
        found = []
        for each in self.orders:
            order = np.random.RandomState(each).permutation(classes)
            parts = np.array_split(order, self.steps)
            found.append([tuple(sorted(map(int, part))) for part in parts])
        return found

    @property
    def class_wise(self) -> bool:
        """Whether a class is kept without a look at others, even those of its own step."""
        if self.source == DISTILLED and self.distill:
            return bool(method(self.distill.method).class_wise(self.distill))
        return self.source in CLASS_WISE

    def pieces(self, group: tuple[int, ...], classes: int) -> list[tuple[int, ...]]:
        """The parts in which a step's memory is made: single classes, or all of the step together."""
        alone = self.class_wise and len(group) < classes
        return [(c,) for c in group] if alone else [group]

    def maker(
        self, piece: tuple[int, ...], classes: int, order: int = 0
    ) -> DistillSpec | BaselineTask:
        """The task that makes what one of the orders keeps of these classes, from their images alone."""
        data = self.data.replace(classes=() if len(piece) == classes else piece)
        further = order if self.repeated else 0
        if self.distill:
            return self.distill.replace(data=data, seed=self.distill.seed + further)
        return BaselineTask(
            name=self.source,
            data=data,
            ipc=self.ipc,
            seed=self.seed + further,
            draws=len(self.orders) if self.source == "random" else 1,
            net=self.net if self.source in WITH_NETWORK else None,
        )

    def makers(self, classes: int) -> Iterator[DistillSpec | BaselineTask]:
        """All tasks that make memories, each once."""
        if self.strategy in REAL:
            return
        made = (
            self.maker(piece, classes, place)
            for place, order in enumerate(self.groups(classes))
            for group in order
            for piece in self.pieces(group, classes)
        )
        yield from {task.key: task for task in made}.values()

    # --- for people -----------------------------------------------------------------------------

    def source_title(self) -> str:
        """What is kept, in few words."""
        if self.strategy == "finetune":
            return "Nothing kept"
        if self.strategy == "joint":
            return "Everything kept"
        name = method(self.distill.method).title if self.distill else SOURCE_TITLES[self.source]
        return f"{name}, replayed" if self.strategy == "replay" else name

    def title(self) -> str:
        """Line for lists."""
        kept = self.source_title()
        kept += f", {self.ipc} per class" if self.strategy not in REAL else ""
        return f"{self.data.name} in {self.steps} step{'s' * (self.steps > 1)}: {kept}"


SOURCE_TITLES = {
    "random": "Random images",
    "class_mean": "Class means",
    "kmeans": "k-means",
    "herding": "Herding",
    "kcenter": "k-center",
}


def _plain(protocol: Protocol) -> bool:
    return not protocol.ordered and not protocol.closed_form


def estimate(spec: ContinualTask, store: Store) -> Estimate:
    """What a task will take, with the memories that are still to be made."""
    shape, classes = form(spec.data)
    real = get(spec.data.name).train_size
    if (decoded := store.task(dataset_task(spec.data))).is_done():
        real = sum(decoded.result()["counts"]["train"])
    seconds, disk, basis = START_S, 1e5, ""
    for made in spec.makers(classes):
        if isinstance(made, DistillSpec) and not store.task(made).is_done():
            guess = distillation(made, store, shape, len(made.data.classes) or classes)
            seconds, disk = seconds + guess.seconds - START_S, disk + guess.disk
            basis = guess.basis
    work = 0.0
    for step in range(1, spec.steps + 1):
        share = {"finetune": 1, "replay": 1, "joint": step}.get(spec.strategy, 0) / spec.steps
        images = math.ceil(share * real) or math.ceil(spec.ipc * classes * step / spec.steps)
        protocol = spec.protocol or whole_protocol(images)
        work += protocol_work(protocol, spec.net, shape, classes, images)
    work *= spec.nets * len(spec.orders)
    rate, own = speed(store, "accuracy", work, image_macs(spec.net, shape, classes))
    activations = cost(spec.net.plan(shape, classes), shape).activations
    held = 12.0 * activations * min(real, 1000) * spec.nets
    return Estimate(seconds + work / rate, BASE_BYTES + held, disk, basis or own)
