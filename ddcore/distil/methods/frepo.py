"""Neural feature regression with pooling (FRePo): Zhou, Nezhadarya & Ba, NeurIPS 2022."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.errors import SpecError
from ddcore.base.fields import number
from ddcore.data.registry import mirrored
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Params, Work
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, small
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem


@dataclass(frozen=True, kw_only=True)
class FRePoParams(Params):
    """A pool of networks, some of which are used in an iteration, and then trained by one step on the set."""

    iterations: int = 50_000
    pool: int = number(10, 1, 1000, "Networks that are kept.", unit="networks")
    nets: int = shared.nets(help="Networks of the pool that an iteration uses.")
    max_age: int = number(100, 0, 100_000, "Steps after which a network starts afresh.")
    net_lr: float = number(3e-4, 1e-7, 1, "Adam's step size for the networks.")
    real_batch: int = shared.kernel_images(1024)
    ridge: float = shared.ridge(1e-6)
    lr: float = shared.lr(3e-4)

    def validate(self) -> None:
        """No more networks than there are."""
        self.require_range("nets", 1, self.pool)

    def check_with(self, spec: DistillSpec) -> None:
        """The pool keeps no running statistics."""
        if spec.net.norm == "batch":
            raise SpecError("net.norm", "batch", "a norm without running statistics")


def build(problem: Problem[DistillSpec[FRePoParams]]) -> Distiller:
    """Kernel regression on the features of a pool."""
    from ddcore.distil.engines import kernel_regression as kr

    p = problem.spec.params
    pool = kr.NetPool(
        nets=p.nets,
        pool=p.pool,
        max_age=p.max_age,
        net_lr=p.net_lr,
        real_batch=p.real_batch,
        ridge=p.ridge,
        lr=p.lr,
    )
    return kr.FeaturePool(problem, pool)


def cost(spec: DistillSpec[FRePoParams], shape: Shape, classes: int) -> Work:
    """Real images forward, the set forward and backward twice: for the images and for the weights."""
    p, m = spec.params, classes * spec.images_per_class(shape, classes)
    images = p.nets * (p.real_batch + 6 * m)
    macs = p.iterations * (images * image_macs(spec.net, shape, classes) + p.nets * m**3)
    return Work(macs, p.nets * (p.real_batch + 3 * m), 3 * p.pool)


def presets(
    data: str, shape: Shape, ipc: int, variant: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Small images: perceptrons, large steps. Others: ConvNets of constant width."""
    learned = {"labels": "learned", "init": "real"}
    if small(shape):
        common = {
            **learned,
            "label_lr": 0.01,
            "net": NetSpec(arch="mlp", width=256, depth=2),
            "protocol": PROTOCOLS["frepo-small"],
        }
        quick = {"pool": 5, "nets": 2, "max_age": 50, "net_lr": 0.003, "lr": 0.02}
        return {
            "quick": {**common, "params": {**quick, "iterations": 300}},
            "teaching": {**common, "params": {**quick, "iterations": 2000}},
            "paper": {**common, "params": {"iterations": 20_000, "lr": 0.003, "net_lr": 0.001}},
        }
    narrow = {
        **learned,
        "label_lr": 0.003,
        "net": NetSpec(width=32, depth=3),
        "protocol": PROTOCOLS["frepo-small"].replace(nets=5),
        "validations": 4,
    }
    quick = {"pool": 5, "max_age": 50, "net_lr": 0.001, "lr": 0.01, "real_batch": 256}
    return {
        "quick": {**narrow, "params": {**quick, "iterations": 200}},
        "teaching": {**narrow, "params": {**quick, "iterations": 2000, "real_batch": 512}},
        "paper": {
            **learned,
            "label_lr": 3e-4,
            "net": NetSpec(width=128, depth=3),
            "protocol": PROTOCOLS["frepo" if mirrored(data) else "frepo-digits"],
            "validations": 20,
            "params": {"iterations": 500_000},
        },
    }


METHOD = Method(
    name="frepo",
    title="Feature regression with a pool (FRePo)",
    family="kernel",
    idea="Regression on the features of networks that are themselves being trained on the set.",
    explanation="Only the last layer's training is differentiated, and that has a closed form: regression "
    "on the features below it. The features come from a pool of networks that were trained on the set for "
    "different times. So the images suit networks early and late in training, at the cost of one pass.",
    paper="Zhou, Nezhadarya & Ba 2022, Dataset Distillation using Neural Feature Regression",
    formula=r"\min_{X_S, Y_S} \; \mathbb{E}_{\theta \in \mathrm{pool}} \tfrac{1}{2} \left\| Y_T - "
    r"K^{\theta}_{TS} (K^{\theta}_{SS} + \rho I)^{-1} Y_S \right\|^2, \quad "
    r"K^\theta = f_\theta f_\theta^{\top}",
    params=FRePoParams,
    build=build,
    cost=cost,
    presets=presets,
    shipped=(({}, (1, 10)),),
    smallest={"pool": "3", "nets": "2", "max_age": "4", "real_batch": "50"},
    caveat="Adam in place of the authors' LAMB, and networks of constant width.",
    not_labels={"soft": "fixed labels are those of the classes; choose learned"},
)
