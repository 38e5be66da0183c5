"""What a selection by class is asked, and a part of it as a task of its own. No torch.

Classes are chosen apart, each from its own random stream: a set that is put together from parts is, bit
by bit, the one that was made in one piece. Into how many parts is a matter of the machine
(`DD_SELECTION_PARTS`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ddcore.base import environment
from ddcore.base.fields import number, part, seed, text
from ddcore.base.specs import Spec, TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape
from ddcore.pools.bank_spec import BankTask
from ddcore.pools.real_spec import RealPool

MOST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Selection(Spec):
    """Of each class so many random images with so many crops each, of which the easiest become tiles."""

    candidates: int = number(300, 1, MOST, "Random images of each class.", unit="images")
    crops: int = number(5, 1, 100, "Random crops of each, of which the easiest counts.")
    area: float = number(0.08, 0.001, 1, "Smallest part of an image that a crop shows.")
    factor: int = number(1, 1, 8, "Crops each way that make an image.")


@dataclass(frozen=True, kw_only=True)
class SelectionPart(TaskSpec):
    """The images of some classes of a set.

    Stored by class: images (M, C, H, W), and the scores of the crops in them.
    """

    KIND: ClassVar[str] = "selection"
    RUNNER: ClassVar[str] = "ddcore.distil.engines.selection:run"
    ESTIMATE: ClassVar[str] = "ddcore.distil.estimate:need_of_selection"

    data: DataSpec = part(DataSpec, "The dataset, whole.")
    net: NetSpec = part(NetSpec, "The architecture of the teacher, where it is trained here.")
    teacher: str = text("", "A teacher from a file; empty: networks trained here.")
    seed: int = seed()
    ipc: int = number(1, 1, 1000, "Images of each class that are made.")
    asked: Selection = part(Selection, "What is looked at.")
    place: int = number(0, 0, environment.MAX_PARTS - 1, "Which of the parts.")
    parts: int = number(1, 1, environment.MAX_PARTS, "How many parts there are.")

    def validate(self) -> None:
        """Parts are counted from 0."""
        self.require_range("place", 0, self.parts - 1)

    def classes(self, count: int) -> range:
        """Of so many classes, those of this part."""
        return range(self.place * count // self.parts, (self.place + 1) * count // self.parts)

    def title(self) -> str:
        """Line for lists."""
        return f"crops of {self.data.title()}, part {self.place + 1} of {self.parts}"


def selection_work(
    teacher: BankTask | RealPool, asked: Selection, shape: Shape, chosen: int, classes: int
) -> float:
    """Multiply-adds of judging the crops of `chosen` classes, by a teacher that knows `classes`."""
    seen = 1.0 * teacher.nets * chosen * asked.candidates * asked.crops
    return seen * image_macs(teacher.net, shape, classes)
