"""Specs of banks: networks trained on all real training data, and sets made for such networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ddcore.base.fields import REQUIRED, choice, flag, number, part, seed
from ddcore.base.specs import Spec, TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.precision import precision

TEACHERS = 5  # networks whose mean prediction makes soft labels
PARTS = {
    "training": "a set is made with them",
    "validation": "they choose the best set during a run",
    "held_out": "they judge the result",
}


@dataclass(frozen=True, kw_only=True)
class BankTask(TaskSpec):
    """Networks, each from its own initial weights and order of images.

    Networks of different parts are different networks, whatever their number. Stored: weights after
    training, and each network's accuracy on validation and test data.
    """

    KIND: ClassVar[str] = "bank"
    RUNNER: ClassVar[str] = "ddcore.pools.bank:run"

    data: DataSpec = part(REQUIRED, "What they are trained on.")
    net: NetSpec = part(REQUIRED, "Their architecture.")
    nets: int = number(10, 1, 2000, "How many.", unit="networks")
    part: str = choice("training", PARTS, "What they are for.")
    seed: int = seed()
    epochs: int = number(0, 0, 10_000, "How often all images are seen; 0: chosen by their number.")
    colour: bool = flag(False, "Repeat grey images in three channels, for use on coloured data.")
    precision: str = precision()

    def title(self) -> str:
        """Line for lists."""
        role = self.part.replace("_", "-")
        return f"{self.nets} {role} networks {self.net.label()} trained on {self.data.title()}"


WEIGHTS = ("imagenet", "random")


@dataclass(frozen=True, kw_only=True)
class Start(Spec):
    """The weights from which networks are trained that a set is made for. No field: fresh random ones."""

    bank: BankTask | None = part(
        None, "Networks trained on real data, of which the set is made with the training part."
    )
    validation: int = number(
        0, 0, 10_000, "How many of the bank's validation part judge the set during the run."
    )
    weights: str = choice(
        "", ("", *WEIGHTS), "One known AlexNet, pretrained on ImageNet or random; empty: neither."
    )
    seed: int = seed(help="Random weights of it are drawn from it.")

    def validate(self) -> None:
        """Check that there is one start only."""
        self.require("weights", not (self.bank and self.weights), "nothing beside a bank")

    @property
    def fresh(self) -> bool:
        """Whether networks start from random weights of their own."""
        return self.bank is None and not self.weights

    @property
    def known(self) -> bool:
        """Whether all networks start from the same weights."""
        return bool(self.weights)

    def describe(self) -> str:
        """What kind of network the set is made for, in the plural."""
        if self.bank:
            return f"networks trained on {self.bank.data.title()}"
        if self.weights:
            return f"AlexNets with {'ImageNet' if self.weights == 'imagenet' else 'random'} weights"
        return "networks with fresh random weights"
