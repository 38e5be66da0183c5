"""Label Solve: Nguyen, Chen & Lee 2021. Real images stay; their best labels are one linear solve away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.fields import number
from ddcore.distil.contract import Method, Work
from ddcore.distil.methods.kip import InfiniteParams, common
from ddcore.nets.plan import Shape

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem


@dataclass(frozen=True, kw_only=True)
class LabelSolveParams(InfiniteParams):
    """One step: there is a closed form."""

    iterations: int = number(1, 1, 1, "One.", expected="1: there is a closed form")
    real_batch: int = 10_000

    @property
    def idle(self) -> frozenset[str]:
        """There is one iteration."""
        return frozenset({"iterations"})


def build(problem: Problem[DistillSpec[LabelSolveParams]]) -> Distiller:
    """One linear solve."""
    from ddcore.distil.engines import kernel_regression as kr

    p = problem.spec.params
    kernel = kr.Infinite(
        kernel_of=p.kernel_of, depth=p.depth, real_batch=p.real_batch, ridge=p.ridge
    )
    return kr.LabelSolve(problem, kernel)


def cost(spec: DistillSpec[LabelSolveParams], shape: Shape, classes: int) -> Work:
    """Kernel entries and a pseudo-inverse."""
    p, m = spec.params, classes * spec.images_per_class(shape, classes)
    return Work(m * p.real_batch * (math.prod(shape) + 40 * p.depth + 10 * m), 0.0)


def presets(
    data: str, shape: Shape, ipc: int, variant: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """One solve; paper looks at more real images."""
    one = {**common(shape), "validations": 1, "val_nets": 1}
    return {
        "quick": {**one, "params": {"real_batch": 5000}},
        "teaching": {**one, "params": {"real_batch": 10_000}},
        "paper": {**one, "params": {"real_batch": 20_000}},
    }


METHOD = Method(
    name="label-solve",
    title="Label Solve",
    family="kernel",
    idea="Keep real images and solve for the labels with which they teach most.",
    explanation="Regression with a kernel is linear in the labels of the set. So for given images the labels "
    "that do best on all data are one linear solve away. How far that goes shows what labels alone can "
    "carry.",
    paper="Nguyen, Chen & Lee 2021, Dataset Meta-Learning from Kernel Ridge-Regression",
    formula=r"Y_S = \left( K_{TS} (K_{SS} + \rho I)^{-1} \right)^{+} Y_T",
    params=LabelSolveParams,
    build=build,
    cost=cost,
    presets=presets,
    smallest={"iterations": "1", "real_batch": "50"},
    caveat="The images are real ones, unchanged: nothing is hidden, only relabelled.",
    not_labels={
        "soft": "the labels are solved for",
        "learned": "the labels are solved for, which no learning could better",
    },
    one_parametrization=("pixels", "images stay as they are"),
)
