"""SRe2L: Yin, Xing & Shen, "Squeeze, Recover and Relabel" (NeurIPS 2023).

A trained network is inverted: images start from noise and become such as it is sure of, with the statistics
that its norms know of the real data. It sees no real image then. The teacher labels what came out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.errors import SpecError
from ddcore.base.fields import number
from ddcore.data.registry import mirrored
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Params, Work
from ddcore.nets import plan
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, small
from ddcore.pools.teaching import teaching
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.engines.inversion import Inverted
    from ddcore.distil.problem import Distiller, Problem


FLOATS = 64_000_000  # activations at a time, which bounds memory


@dataclass(frozen=True, kw_only=True)
class SRe2LParams(Params):
    """The teacher is trained on real data, once for all runs; of it the first `nets` networks are inverted.
    Adam's step size falls to 0 along a cosine."""

    iterations: int = 4000
    nets: int = shared.nets(1, "Networks of the teacher that are inverted, all at once.")
    statistics: float = number(
        0.01, 0, 1000, "Weight of the distance of means and variances in front of the norms."
    )
    first: float = number(10.0, 0, 1000, "How many times more the first norm's count.")
    together: int = number(
        1, 0, 1000, "Images of each class whose statistics are matched as one; 0: all of them."
    )
    variation: float = number(
        0.0, 0, 1000, "Weight of the differences between neighbouring pixels, as mean size."
    )
    square: float = number(0.0, 0, 1000, "Weight of the mean square of the numbers in the images.")
    roll: int = number(
        4,
        0,
        64,
        "Largest shift of all images round their edges, drawn in every iteration.",
        unit="pixels",
    )
    lr: float = shared.lr(0.25)
    teacher: str = shared.teacher()

    @property
    def teaches(self) -> str:
        """The teacher labels, too."""
        return self.teacher

    @property
    def asks(self) -> bool:
        """The images are made by it."""
        return True

    def check_with(self, spec: DistillSpec) -> None:
        """Networks that there are; images that may be moved."""
        there = teaching(spec.data, spec.net, self.teacher).nets
        if self.nets > there:
            raise SpecError("nets", self.nets, f"at most {there}, the networks of the teacher")
        if self.roll:
            shared.require_movable(spec)


def build(problem: Problem[DistillSpec[SRe2LParams]]) -> Distiller:
    """Inversion; trains the teacher first if nobody has."""
    from ddcore.distil.engines.inversion import Inversion

    return Inversion(problem, inverted(problem))


def inverted(problem: Problem[DistillSpec[SRe2LParams]]) -> Inverted:
    """The engine's own form of these parameters."""
    from ddcore.distil.engines.inversion import Inverted, Terms

    p, at_once = (
        problem.spec.params,
        groups_at_once(problem.spec, problem.data.shape, problem.classes),
    )
    terms = Terms(statistics=p.statistics, first=p.first, variation=p.variation, square=p.square)
    return Inverted(
        nets=p.nets, together=p.together, at_once=at_once, roll=p.roll, lr=p.lr, terms=terms
    )


def groups_at_once(spec: DistillSpec[SRe2LParams], shape: Shape, classes: int) -> int:
    """So many groups of images go through the networks together as `FLOATS` activations allow."""
    one = plan.cost(spec.net.plan(shape, classes), shape).activations
    return max(1, FLOATS // (one * _group(spec, shape, classes)))


def _group(spec: DistillSpec[SRe2LParams], shape: Shape, classes: int) -> int:
    """Images in all networks whose statistics are matched as one."""
    p, each = spec.params, spec.images_per_class(shape, classes)
    return p.nets * classes * min(p.together or each, each)


def cost(spec: DistillSpec[SRe2LParams], shape: Shape, classes: int) -> Work:
    """All images forward and backward in the networks, in every iteration."""
    p, net = spec.params, teaching(spec.data, spec.net, spec.params.teacher).net
    images = p.nets * classes * spec.images_per_class(shape, classes)
    held = _group(spec, shape, classes) * groups_at_once(spec, shape, classes)
    return Work(3.0 * p.iterations * images * image_macs(net, shape, classes), min(images, held))


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Small images: the networks of other methods, so that figures compare; others: batch norms."""
    # What a teacher says of one window of a canvas is not true of the next.
    labels = "hard" if typed.get("parametrization") == "canvas" else "soft"
    common = {"init": "noise", "labels": labels, "validations": 1}
    side = max(shape[1:])
    rolled = max(1, side // 8)  # 4 of 32 pixels, as published
    if small(shape):
        common |= {"net": NetSpec(width=16, depth=2), "protocol": PROTOCOLS["quick"]}
        short = {"roll": rolled}
        return {
            "quick": {**common, "params": {**short, "iterations": 300}},
            "teaching": {**common, "params": {**short, "iterations": 1000}},
            "paper": {
                **common,
                "net": NetSpec(width=16, depth=2, norm="batch"),
                "params": {**short, "iterations": 4000},
            },
        }
    narrow = {
        **common,
        "net": NetSpec(width=32, depth=3, norm="batch"),
        "protocol": PROTOCOLS["quick"].replace(nets=5),
    }
    return {
        "quick": {**narrow, "params": {"iterations": 100, "roll": rolled}},
        "teaching": {**narrow, "params": {"iterations": 400, "roll": rolled}},
        "paper": {
            **common,
            "net": NetSpec(width=128, depth=3, norm="batch"),
            "protocol": PROTOCOLS["dsa" if mirrored(data) else "dsa-digits"],
            # As published for CIFAR-100 and Tiny ImageNet, and for ImageNet.
            "params": {"iterations": 1000 if side <= 64 else 4000, "roll": rolled},
        },
    }


METHOD = Method(
    name="sre2l",
    title="Inverted teacher (SRe2L)",
    family="invert",
    idea="Ask a trained network what it remembers: images it is sure of, with the statistics it knows.",
    explanation="A network is trained on the real data once. Images that start as noise are then changed "
    "until it is sure of their class. In front of each of its norms their means and variances should be "
    "those of real images, which batch norms remember. No real image is looked at; the teacher labels what "
    "came out.",
    paper="Yin, Xing & Shen 2023, Squeeze, Recover and Relabel",
    formula=r"\min_S \; \overline{\ell_\theta(S_c, c)} + \lambda \sum_l w_l \Big( "
    r"\big\| \mu_l(S) - \mu_l^* \big\| + \big\| \sigma_l^2(S) - \sigma_l^{2*} \big\| \Big)",
    params=SRe2LParams,
    build=build,
    cost=cost,
    presets=presets,
    shipped=(({}, (1, 10)),),
    labels_last=True,
    not_labels={
        "learned": "labels do not enter; the teacher's are those of labels = soft",
    },
    caveat="A picture of what a network remembers, not a way to high accuracy: compare with random images "
    "that have the teacher's labels. Only batch norms remember statistics; for other networks they are "
    "measured on all real training images, which is ours. Images are rolled, not cropped.",
)
