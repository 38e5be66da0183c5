"""Kernel inducing points (KIP): Nguyen, Chen & Lee, ICLR 2021.

In full: "Dataset Meta-Learning from Kernel Ridge-Regression".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.errors import SpecError
from ddcore.base.fields import choice, number
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Params, Work
from ddcore.kernels.spec import KernelSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape, small
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem

INFINITE = {"ntk": "their tangent kernel", "nngp": "the covariance of their outputs"}


@dataclass(frozen=True, kw_only=True)
class InfiniteParams(Params):
    """The kernel of infinitely wide fully connected networks."""

    kernel_of: str = choice("ntk", INFINITE, "Which kernel.")
    depth: int = number(1, 1, 20, "Hidden layers.")
    real_batch: int = shared.kernel_images(
        5000, "Real images in every iteration, as many of each class; all, if there are no more."
    )
    ridge: float = shared.ridge(1e-6)

    def kernel(self, spec: DistillSpec) -> KernelSpec:
        """The kernel that the set is made for."""
        return KernelSpec(kind=self.kernel_of, depth=self.depth, ridge=self.ridge)


@dataclass(frozen=True, kw_only=True)
class KIPParams(InfiniteParams):
    """The images are learned."""

    iterations: int = 1000
    lr: float = shared.lr(0.04)

    def check_with(self, spec: DistillSpec) -> None:
        """As many images as one system of equations takes."""
        if spec.ipc > 500:
            raise SpecError(
                "ipc", spec.ipc, "at most 500: a system of equations is solved in each step"
            )


def build(problem: Problem[DistillSpec[KIPParams]]) -> Distiller:
    """Kernel regression with an infinitely wide network."""
    from ddcore.distil.engines import kernel_regression as kr

    p = problem.spec.params
    kernel = kr.Infinite(
        kernel_of=p.kernel_of, depth=p.depth, real_batch=p.real_batch, ridge=p.ridge, lr=p.lr
    )
    return kr.KernelInducingPoints(problem, kernel)


def cost(spec: DistillSpec[KIPParams], shape: Shape, classes: int) -> Work:
    """Kernel entries forward and backward (some 40 operations each beside the product), and a solve."""
    p, m = spec.params, classes * spec.images_per_class(shape, classes)
    entries = m * (m + p.real_batch)
    macs = p.iterations * (3 * entries * (math.prod(shape) + 40 * p.depth) + m**3)
    return Work(macs, 0.0)


def common(shape: Shape) -> dict[str, Any]:
    """What kernel methods' presets share: judged by the kernel; a small network for other protocols."""
    net = NetSpec(width=16, depth=2) if small(shape) else NetSpec(width=32, depth=3)
    return {"net": net, "protocol": PROTOCOLS["kernel"], "init": "real"}


def presets(
    data: str, shape: Shape, ipc: int, variant: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Quick with fixed labels; teaching and paper learn them too."""
    learned = {**common(shape), "labels": "learned", "label_lr": 0.04}
    batch = 5000 if small(shape) else 1000
    return {
        "quick": {**common(shape), "params": {"iterations": 300, "real_batch": batch}},
        "teaching": {**learned, "params": {"iterations": 1000, "real_batch": batch}},
        "paper": {**learned, "params": {"iterations": 5000}},
    }


METHOD = Method(
    name="kip",
    title="Kernel inducing points (KIP)",
    family="kernel",
    idea="Learn images on which regression with the kernel of an infinitely wide network does well.",
    explanation="An infinitely wide network trained by gradient descent is regression with a fixed kernel, "
    "whose solution is one linear system. So the loss of real images after training on the set can be "
    "differentiated directly, without unrolling anything. Images, and labels if wanted, follow it.",
    paper="Nguyen, Chen & Lee 2021, Dataset Meta-Learning from Kernel Ridge-Regression",
    formula=r"\min_{X_S, Y_S} \; \tfrac{1}{2} \left\| Y_T - K_{TS} (K_{SS} + \rho I)^{-1} Y_S \right\|^2",
    params=KIPParams,
    build=build,
    cost=cost,
    presets=presets,
    shipped=(({}, (1, 10)),),
    smallest={"real_batch": "50"},
    caveat="Judged by its own kernel, which no finite network is: on networks the images are worth less.",
    not_labels={"soft": "fixed labels are those of the classes; choose learned"},
)
