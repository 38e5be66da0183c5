"""Random feature approximation (RFAD): Loo, Hasani, Amini & Rus, NeurIPS 2022."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.fields import flag, number
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Params, Work
from ddcore.kernels.spec import KernelSpec
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, small
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem


@dataclass(frozen=True, kw_only=True)
class RFADParams(Params):
    """Random networks, drawn anew in every iteration, make the features."""

    iterations: int = 1000
    nets: int = shared.nets(
        8, "Random networks that make the features, drawn anew in every iteration."
    )
    real_batch: int = shared.kernel_images(5120)
    ridge: float = shared.ridge(5e-3)
    lr: float = shared.lr(1e-3)
    platt: bool = flag(
        False,
        "Take cross-entropy of scaled outputs, with a learned scale, instead of squared error.",
    )
    lr_tau: float = number(0.01, 0, 100, "Step size of that scale.")
    judges: int = number(
        32, 1, 1000, "Other random networks with whose features the set is judged.", unit="networks"
    )

    @property
    def idle(self) -> frozenset[str]:
        """The scale's step size without a scale."""
        return frozenset() if self.platt else frozenset({"lr_tau"})

    def kernel(self, spec: DistillSpec) -> KernelSpec:
        """Random networks of the run's architecture."""
        return KernelSpec(kind="features", net=spec.net, nets=self.judges, ridge=self.ridge)


def build(problem: Problem[DistillSpec[RFADParams]]) -> Distiller:
    """Kernel regression on random features."""
    from ddcore.distil.engines import kernel_regression as kr

    p = problem.spec.params
    networks = kr.RandomNets(
        nets=p.nets,
        platt=p.platt,
        lr_tau=p.lr_tau,
        real_batch=p.real_batch,
        ridge=p.ridge,
        lr=p.lr,
    )
    return kr.RandomFeatures(problem, networks)


def cost(spec: DistillSpec[RFADParams], shape: Shape, classes: int) -> Work:
    """Real images forward, the set forward and backward, in every network."""
    p, m = spec.params, classes * spec.images_per_class(shape, classes)
    images = p.nets * (p.real_batch + 3 * m)
    macs = p.iterations * (images * image_macs(spec.net, shape, classes) + m**3)
    return Work(macs, images)


def presets(
    data: str, shape: Shape, ipc: int, variant: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Small images: wide perceptrons. Others: ConvNets without norm; as published for paper."""
    common = {"protocol": PROTOCOLS["kernel"], "init": "real", "val_nets": 2}
    if small(shape):
        common["net"] = NetSpec(arch="mlp", width=512, depth=1)
        quick = {"nets": 4, "lr": 0.02, "judges": 8}
        return {
            "quick": {**common, "params": {**quick, "iterations": 300}},
            "teaching": {**common, "params": {**quick, "iterations": 1500}},
            "paper": {**common, "params": {**quick, "nets": 8, "iterations": 5000, "lr": 0.01}},
        }
    narrow = {**common, "net": NetSpec(width=32, depth=3, norm="none"), "validations": 4}
    learned = {"labels": "learned", "label_lr": 1e-3}
    return {
        "quick": {
            **narrow,
            "params": {"nets": 2, "real_batch": 200, "iterations": 200, "lr": 0.02, "judges": 8},
        },
        "teaching": {**narrow, "params": {"nets": 4, "real_batch": 500, "lr": 0.01}},
        "paper": {
            **common,
            **learned,
            "net": NetSpec(width=256, depth=3, norm="none"),
            "validations": 20,
            "params": {"iterations": 10_000, "platt": True},
        },
    }


METHOD = Method(
    name="rfad",
    title="Random feature approximation (RFAD)",
    family="kernel",
    idea="KIP with the features of a few random networks in place of the infinitely wide one.",
    explanation="The kernel of an infinitely wide convolutional network takes far too long to compute. "
    "Features of a few random finite networks approximate it at a cost that grows with the number of "
    "images, not with its square. They are drawn anew in each iteration, so the set cannot get used to them.",
    paper="Loo, Hasani, Amini & Rus 2022, Efficient Dataset Distillation using Random Feature "
    "Approximation",
    formula=r"\min_{X_S} \; \mathbb{E}_{\theta} \, \ell\left( Y_T, \; "
    r"\hat K_{TS} (\hat K_{SS} + \rho I)^{-1} Y_S \right), "
    r"\quad \hat K = 2 \, \psi_\theta \psi_\theta^{\top} + 0.01",
    params=RFADParams,
    build=build,
    cost=cost,
    presets=presets,
    shipped=(({}, (1, 10)),),
    smallest={"nets": "2", "real_batch": "50", "judges": "2"},
    caveat="Adam in place of the authors' AdaBelief, and no learned transform of the images.",
    not_labels={"soft": "fixed labels are those of the classes; choose learned"},
)
