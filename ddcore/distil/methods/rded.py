"""RDED: Sun, Shi, Yu & Lin, "On the Diversity and Realism of Distilled Dataset" (CVPR 2024).

Nothing is learned: crops of real images that a teacher finds easy become tiles of new images, and the
teacher labels these. Its networks are those that give soft labels anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base import environment
from ddcore.base.fields import number
from ddcore.data.registry import mirrored
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Params, Work
from ddcore.distil.fields import CANDIDATES
from ddcore.distil.selection_spec import Selection, SelectionPart, selection_work
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape, small
from ddcore.pools.teaching import teaching
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem


@dataclass(frozen=True, kw_only=True)
class RDEDParams(Params):
    """Random images of each class are looked at, several random crops of each; how the images start is of no
    account."""

    iterations: int = number(1, 1, 1, "One.", expected="1: nothing is optimised")
    candidates: int = shared.candidates()
    crops: int = shared.crops()
    area: float = shared.area()
    mosaic: int = number(1, 1, 8, "Crops each way that make an image.")
    teacher: str = shared.teacher(later=True)

    @property
    def idle(self) -> frozenset[str]:
        """There is one step."""
        return frozenset({"iterations"})

    @property
    def teaches(self) -> str:
        """The teacher labels, too."""
        return self.teacher

    @property
    def asks(self) -> bool:
        """The images are made by it."""
        return True

    @property
    def selection(self) -> Selection:
        """What is looked at."""
        return Selection(
            candidates=self.candidates, crops=self.crops, area=self.area, factor=self.mosaic
        )

    def check_with(self, spec: DistillSpec) -> None:
        """Enough crops for all tiles; images that may be moved; a teacher that knows such images."""
        teaching(spec.data, spec.net, self.teacher)
        shared.require_crops(spec, spec.ipc * self.mosaic**2)


def build(problem: Problem[DistillSpec[RDEDParams]]) -> Distiller:
    """The selection as a method of one step; trains the teacher first if nobody has."""
    from ddcore.distil.engines.selection import MosaicSelection

    return MosaicSelection(problem, problem.spec.params.selection, parts(problem.spec))


def parts(spec: DistillSpec[RDEDParams]) -> list[SelectionPart]:
    """The tasks of their own that the selection is divided into on this machine; none where it is not."""
    count = environment.selection_parts()
    common: dict[str, Any] = {
        "data": spec.data,
        "net": spec.net,
        "teacher": spec.params.teacher,
        "seed": spec.seed,
        "ipc": spec.ipc,
        "asked": spec.params.selection,
    }
    return [
        SelectionPart(place=place, parts=count, **common) for place in range(count) if count > 1
    ]


def cost(spec: DistillSpec[RDEDParams], shape: Shape, classes: int) -> Work:
    """A forward pass of every crop through the teacher, which is a task of its own."""
    asked = teaching(spec.data, spec.net, spec.params.teacher)
    work = selection_work(asked, spec.params.selection, shape, classes, classes)
    return Work(work, 2000.0)


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """As published but for networks and protocols: even of digits, larger crops were no better (one seed)."""
    common = {"labels": "soft", "validations": 1}
    seen = max(CANDIDATES, ipc)
    if small(shape):
        quick = {
            **common,
            "net": NetSpec(width=16, depth=2),
            "protocol": PROTOCOLS["quick"],
            "params": {"candidates": seen},
        }
        return {"quick": quick, "teaching": quick, "paper": quick}
    narrow = {
        **common,
        "net": NetSpec(width=32, depth=3),
        "protocol": PROTOCOLS["quick"].replace(nets=5),
        "params": {"candidates": seen},
    }
    mosaic = 2 if max(shape[1:]) >= 64 else 1  # as published for the sizes of ImageNet
    paper = {
        **narrow,
        "net": NetSpec(width=128, depth=3),
        "protocol": PROTOCOLS["dsa" if mirrored(data) else "dsa-digits"],
        "params": {"candidates": max(CANDIDATES, ipc * mosaic**2), "mosaic": mosaic},
    }
    return {"quick": narrow, "teaching": narrow, "paper": paper}


METHOD = Method(
    name="rded",
    title="Selected crops (RDED)",
    family="select",
    idea="Choose the crops of real images that a trained network finds easiest, and let it label them.",
    explanation="Nothing is learned here. Of each class some hundred real images are looked at, each through "
    "several random crops, and networks trained on the real data say how easy each crop is. The easiest "
    "crops become the images, or tiles of them, with labels from the same networks. It takes forward passes "
    "only, so it reaches the largest datasets.",
    paper="Sun, Shi, Yu & Lin 2024, On the Diversity and Realism of Distilled Dataset",
    formula=r"S_c = \mathrm{mosaic}\Big( \operatorname*{arg\,min}_{x \in T_c} \; "
    r"\min_{\omega} \; \ell\big(f_\theta(\mathrm{crop}_\omega(x)), c\big) \Big)",
    params=RDEDParams,
    build=build,
    cost=cost,
    presets=presets,
    shipped=(({}, (1, 10)),),
    labels_last=True,
    prepares=parts,
    smallest={"iterations": "1", "candidates": "20", "crops": "2"},
    caveat="Most of what such a set is worth lies in its labels: compare with random images that have them. "
    "Published figures ask the teacher about every augmented batch, which is a choice of the evaluation "
    "(labels: online).",
    not_labels={
        "learned": "nothing is learned here; the teacher's labels are those of labels = soft"
    },
    one_parametrization=("pixels", "the crops are pixels, and tiles are what mosaic makes"),
)
