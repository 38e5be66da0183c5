"""Specs of banks: networks trained on all real training data, and sets made for such networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ddcore.base.specs import Spec, TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.nets.architectures import NetSpec

PARTS = ("training", "validation", "held_out")


@dataclass(frozen=True, kw_only=True)
class BankTask(TaskSpec):
    """`nets` networks, each from its own initial weights and order of images; `epochs` 0 chooses by size.

    Networks of different `part`s are different networks, whatever their number: those a set is made
    with (training), those that choose the best set during a run (validation) and those that judge the
    result (held_out). `colour` repeats grey images in three channels, for use on coloured data.
    Stored: weights after training, and each network's accuracy on validation and test data.
    """

    KIND: ClassVar[str] = "bank"
    RUNNER: ClassVar[str] = "ddcore.pools.bank:run"

    data: DataSpec
    net: NetSpec
    nets: int = 10
    part: str = "training"
    seed: int = 0
    epochs: int = 0
    colour: bool = False

    def validate(self) -> None:
        """Check ranges."""
        self.require_range("nets", 1, 2000)
        self.require_choice("part", PARTS)
        self.require_range("seed", 0, 2**31 - 1)
        self.require_range("epochs", 0, 10_000)

    def title(self) -> str:
        """Line for lists."""
        role = self.part.replace("_", "-")
        return f"{self.nets} {role} networks {self.net.label()} trained on {self.data.title()}"


WEIGHTS = ("imagenet", "random")


@dataclass(frozen=True, kw_only=True)
class Start(Spec):
    """The weights from which networks are trained that a set is made for. No field: fresh random ones.

    `bank`: networks trained on real data, of which the set is made with the training part;
    `validation` is how many of the validation part judge it during the run. `weights`: one known
    AlexNet, pretrained on ImageNet or (drawn with `seed`) random.
    """

    bank: BankTask | None = None
    validation: int = 0
    weights: str = ""
    seed: int = 0

    def validate(self) -> None:
        """Check that there is one start only."""
        self.require_choice("weights", ("", *WEIGHTS))
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
