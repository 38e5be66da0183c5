"""Spec of expert trajectories: trainings on all real data whose every epoch is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ddcore.base.fields import REQUIRED, number, part, seed
from ddcore.base.specs import TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.precision import precision
from ddcore.training import strategies


@dataclass(frozen=True, kw_only=True)
class TrajectoryTask(TaskSpec):
    """Experts, each from its own initial weights, order of images and augmentation.

    Plain training of Cazenavette et al. 2022: SGD with a constant step size on minibatches. Stored: each
    expert's weights at its start and after every epoch, and its accuracy there on validation and test data.
    """

    KIND: ClassVar[str] = "trajectories"
    RUNNER: ClassVar[str] = "ddcore.pools.trajectory:run"
    ESTIMATE: ClassVar[str] = "ddcore.pools.estimate:need_of_experts"

    data: DataSpec = part(REQUIRED, "What they are trained on.")
    net: NetSpec = part(REQUIRED, "Their architecture.")
    nets: int = number(100, 1, 10_000, "How many.", unit="networks")
    epochs: int = number(50, 1, 10_000, "How often all images are seen.")
    lr: float = number(0.01, 1e-6, 100, "Step size of sgd.")
    momentum: float = number(0.0, 0, 0.999, "Momentum of sgd.")
    batch: int = number(256, 1, 100_000, "Images per step.")
    augment: str = strategies.augment("", "Drawn for every image.")
    seed: int = seed()
    precision: str = precision()

    def validate(self) -> None:
        """Running statistics of a batch norm are no weights, so they would be lost."""
        self.require("net", self.net.norm != "batch", "a norm without running statistics")

    def title(self) -> str:
        """Line for lists."""
        return f"{self.nets} experts {self.net.label()} trained on {self.data.title()}"


@dataclass(frozen=True, kw_only=True)
class TrajectoryPart(TaskSpec):
    """Some experts of a `TrajectoryTask`, which puts such parts together and removes them."""

    KIND: ClassVar[str] = "trajectories_part"
    RUNNER: ClassVar[str] = "ddcore.pools.trajectory:run_part"

    whole: TrajectoryTask = part(REQUIRED, "What they belong to.")
    first: int = number(0, 0, 9_999, "The first of them, counted from 0.")
    nets: int = number(REQUIRED, 1, 10_000, "How many.", unit="networks")

    def validate(self) -> None:
        """Check that the whole has such experts."""
        self.require_range("nets", 1, self.whole.nets - self.first)

    def title(self) -> str:
        """Line for lists."""
        last = self.first + self.nets
        return f"experts {self.first + 1} to {last} of {self.whole.title()}"
