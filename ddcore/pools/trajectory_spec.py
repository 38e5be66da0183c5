"""Spec of expert trajectories: trainings on all real data whose every epoch is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ddcore.base.specs import TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.nets.architectures import NetSpec
from ddcore.training import strategies


@dataclass(frozen=True, kw_only=True)
class TrajectoryTask(TaskSpec):
    """`nets` experts, each from its own initial weights, order of images and augmentation.

    Plain training of Cazenavette et al. 2022: SGD with step size `lr` and `momentum`, constant, on
    minibatches of `batch` images under `augment`, for `epochs` epochs. Stored: each expert's weights at
    its start and after every epoch, and its accuracy there on validation and test data.
    """

    KIND: ClassVar[str] = "trajectories"
    RUNNER: ClassVar[str] = "ddcore.pools.trajectory:run"

    data: DataSpec
    net: NetSpec
    nets: int = 100
    epochs: int = 50
    lr: float = 0.01
    momentum: float = 0.0
    batch: int = 256
    augment: str = ""
    seed: int = 0

    def validate(self) -> None:
        """Check ranges; running statistics of a batch norm are no weights, so they would be lost."""
        self.require_range("nets", 1, 10_000)
        self.require_range("epochs", 1, 10_000)
        self.require_range("lr", 1e-6, 100)
        self.require_range("momentum", 0, 0.999)
        self.require_range("batch", 1, 100_000)
        self.require_range("seed", 0, 2**31 - 1)
        self.require("net", self.net.norm != "batch", "a norm without running statistics")
        strategies.parse(self.augment)

    def title(self) -> str:
        """Line for lists."""
        return f"{self.nets} experts {self.net.label()} trained on {self.data.title()}"
