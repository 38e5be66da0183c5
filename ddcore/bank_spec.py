"""Spec of a bank: networks trained on all real training data, shared by whoever needs trained networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ddcore.data.spec import DataSpec
from ddcore.nets.architectures import NetSpec
from ddcore.specs import TaskSpec


@dataclass(frozen=True, kw_only=True)
class BankTask(TaskSpec):
    """`nets` networks, each from its own initial weights and order of images; `epochs` 0 chooses by size.

    Stored: weights after training, and each network's accuracy on validation and test data.
    """

    KIND: ClassVar[str] = "bank"
    RUNNER: ClassVar[str] = "ddcore.bank:run"

    data: DataSpec
    net: NetSpec
    nets: int = 10
    seed: int = 0
    epochs: int = 0

    def validate(self) -> None:
        """Check ranges."""
        self.require_range("nets", 1, 2000)
        self.require_range("seed", 0, 2**31 - 1)
        self.require_range("epochs", 0, 10_000)

    def title(self) -> str:
        """Line for lists."""
        return f"{self.nets} networks {self.net.label()} trained on {self.data.title()}"
