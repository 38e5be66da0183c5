"""Trajectory matching (MTT): Cazenavette et al., "Dataset Distillation by Matching Training
Trajectories" (2022), differentiated exactly, or as TESLA (Cui et al. 2023) does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.fields import choice, number
from ddcore.data.registry import mirrored
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Params, Work
from ddcore.distil.presets import dsa_strategy, hour
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, small
from ddcore.pools.trajectory_spec import TrajectoryTask
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.engines.trajectory_match import Stretches
    from ddcore.distil.problem import Distiller, Problem

GRADIENTS = {  # the last is what pages begin with
    "tesla": "the gradient through the inner weights is left out",
    "exact": "nothing is left out",
}


@dataclass(frozen=True, kw_only=True)
class MTTParams(Params):
    """Experts are trained on real data, once for all runs that ask for the same ones.

    In each iteration networks start as a random expert was, take some steps on the set, and should arrive
    where the expert is later.
    """

    iterations: int = 5000
    gradient: str = choice("exact", GRADIENTS, "How steps on the set are differentiated.")
    experts: int = number(100, 1, 10_000, "Networks trained on real data.", unit="networks")
    epochs: int = number(50, 2, 10_000, "Epochs of each expert.", unit="epochs")
    expert_lr: float = number(0.01, 1e-6, 100, "Step size of experts.")
    expert_momentum: float = number(0.0, 0, 0.999, "Momentum of experts.")
    expert_batch: int = number(256, 1, 100_000, "Images per step of experts.", unit="images")
    inner_steps: int = shared.inner_steps(30)
    expert_epochs: int = number(
        2, 1, 9999, "So many of an expert's epochs are to be repeated.", unit="epochs"
    )
    max_start: int = number(
        20, 1, 9999, "Networks start from experts younger than this.", unit="epochs"
    )
    batch_syn: int = number(0, 0, 1_000_000, "Synthetic images per step; 0: all.", unit="images")
    lr: float = shared.lr(100.0, high=1e6, help="Step size")
    lr_rates: float = number(0.1, 0, 1000, "Step size of the logarithm of the inner step size.")
    optimiser: str = shared.optimiser()
    momentum: float = shared.momentum()
    lr0: float = number(0.01, 1e-7, 100, "First value of the inner step size, which is learned.")
    nets: int = shared.nets(help="Networks that start in every iteration.")
    augment: str = shared.augment(help="Drawn per image, for experts and synthetic images.")

    def validate(self) -> None:
        """What is repeated lies within an expert's training."""
        self.require_range("expert_epochs", 1, self.epochs - 1)
        self.require_range("max_start", 1, self.epochs - self.expert_epochs)

    def check_with(self, spec: DistillSpec) -> None:
        """Running statistics are no weights: a trajectory of weights does not say them."""
        shared.require_weights_only(spec.net)


def experts(spec: DistillSpec[MTTParams]) -> TrajectoryTask:
    """The expert trajectories that a run follows."""
    return shared.experts(spec, spec.params.augment)


def stretches(p: MTTParams) -> Stretches:
    """What the engine follows."""
    from ddcore.distil.engines.trajectory_match import Stretches

    return Stretches(
        nets=p.nets,
        inner_steps=p.inner_steps,
        expert_epochs=p.expert_epochs,
        max_start=p.max_start,
        batch_syn=p.batch_syn,
        augment=p.augment,
        exact=p.gradient == "exact",
        lr0=p.lr0,
        lr=p.lr,
        lr_rates=p.lr_rates,
        optimiser=p.optimiser,
        momentum=p.momentum,
    )


def build(problem: Problem[DistillSpec[MTTParams]]) -> Distiller:
    """Trajectory matching on trained experts; trains them first if nobody has."""
    from ddcore.distil.engines.trajectory_match import TrajectoryMatching
    from ddcore.pools.trajectory import Trajectories

    spec = problem.spec
    trained = Trajectories(problem.need(experts(spec)))
    return TrajectoryMatching(problem, trained, stretches(spec.params))


def cost(spec: DistillSpec[MTTParams], shape: Shape, classes: int) -> Work:
    """Per inner step a gradient (3 passes) and its recomputation with a double backward (9).

    Experts are not included: they are another task, which is computed once for many runs.
    """
    p = spec.params
    images = classes * spec.images_per_class(shape, classes)
    batch = min(p.batch_syn or images, images)
    macs = p.iterations * p.nets * 12 * p.inner_steps * batch
    return Work(
        macs * image_macs(spec.net, shape, classes),
        images=3 * p.nets * batch,
        weights=p.nets * (p.inner_steps + 6),
    )


# Settings of the paper's CIFAR runs, by images per class.
_PUBLISHED = ("inner_steps", "expert_epochs", "max_start", "lr", "lr_rates", "lr0", "batch_syn")
_TABLE: dict[str, dict[int, tuple[float, ...]]] = {
    "cifar10": {
        1: (50, 2, 2, 100.0, 1e-7, 0.01, 0),
        10: (30, 2, 20, 100.0, 1e-5, 0.001, 0),
        50: (30, 2, 40, 1000.0, 1e-5, 0.001, 0),
    },
    "cifar100": {
        1: (20, 3, 20, 1000.0, 1e-5, 0.01, 0),
        10: (20, 2, 20, 1000.0, 1e-5, 0.01, 0),
        50: (80, 2, 40, 1000.0, 1e-5, 0.01, 125),
    },
}


def published(data: str, ipc: int) -> dict[str, Any]:
    """The paper's settings for the nearest published number of images; ours for other data.

    Its CIFAR-10 images were whitened (ZCA) with 1 and 10 per class, its CIFAR-100 images with 1 and 50.

    The paper steps on the step size itself. A step on its logarithm has the same effect at the start
    when it is larger by 1 / lr0^2.
    """
    if data not in _TABLE:
        found = {"inner_steps": 20, "max_start": 10, "lr": 0.02, "lr_rates": 0.005}
        return {**found, "optimiser": "adam"}
    row = _TABLE[data][min(_TABLE[data], key=lambda known: abs(known - ipc))]
    found = dict(zip(_PUBLISHED, row))
    return {**found, "lr_rates": found["lr_rates"] / found["lr0"] ** 2}


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Small images: a few short experts. Others: narrow with few experts, then as published."""
    strategy = dsa_strategy(data)
    if small(shape):
        return _for_digits()
    narrow = {
        "net": NetSpec(width=32, depth=3),
        "protocol": PROTOCOLS["quick"].replace(nets=5),
        "init": "mean",
        "validations": 4,
    }
    short = {
        "epochs": 4,
        "expert_lr": 0.02,
        "expert_batch": 128,
        "inner_steps": 10,
        "expert_epochs": 1,
        "max_start": 2,
        "optimiser": "adam",
        "lr": 0.03,
        "lr_rates": 0.01,
        "lr0": 0.02,
        "augment": strategy,
    }
    teaching = {**narrow, "params": {**short, "iterations": 1000, "experts": 10}}
    longer = {
        "iterations": 1000,
        "experts": 8,
        "epochs": 10,
        "inner_steps": 20,
        "expert_epochs": 2,
        "max_start": 8,
        "batch_syn": 50,
    }
    return {
        "quick": {**narrow, "params": {**short, "iterations": 60, "experts": 2}},
        "teaching": teaching,
        **hour(shape, teaching, **longer),
        "paper": {
            "net": NetSpec(width=128, depth=3),
            "protocol": PROTOCOLS["mtt" if mirrored(data) else "mtt-digits"],
            "validations": 10,
            "params": {"augment": strategy, **published(data, ipc)},
        },
    }


def _for_digits() -> dict[str, dict[str, Any]]:
    common = {"net": NetSpec(width=16, depth=2), "protocol": PROTOCOLS["quick"], "init": "mean"}
    quick = {
        "experts": 10,
        "epochs": 12,
        "expert_lr": 0.05,
        "expert_batch": 64,
        "inner_steps": 10,
        "max_start": 10,
        "optimiser": "adam",
        "lr": 0.015,
        "lr_rates": 0.01,
        "lr0": 0.05,
        "nets": 4,
        "augment": "",
    }
    return {
        "quick": {**common, "params": {**quick, "iterations": 250}},
        "teaching": {**common, "params": {**quick, "iterations": 1000, "experts": 20}},
        "paper": {**common, "params": {**quick, "iterations": 5000, "experts": 100}},
    }


METHOD = Method(
    name="mtt",
    title="Trajectory matching",
    family="trajectory",
    idea="A few training steps on the synthetic images should lead to the weights that whole epochs on "
    "real data lead to.",
    explanation="Networks are first trained on the real data, and their weights are kept after every "
    "epoch. From such a point a network then takes a few steps on the synthetic images, and the images "
    "and the step size move so that it ends where the real training was some epochs later. The gradient "
    "through all these steps is exact, while the setting tesla leaves out how earlier steps change "
    "later ones, which is an approximation.",
    paper="Cazenavette et al. 2022, Dataset Distillation by Matching Training Trajectories; "
    "tesla: Cui et al. 2023, Scaling Up Dataset Distillation to ImageNet-1K with Constant Memory",
    formula=r"\min_{S,\alpha} \; \mathbb{E}_{\theta^*,t} \; "
    r"\frac{\| \hat\theta_{t+N} - \theta^*_{t+M} \|^2}{\| \theta^*_t - \theta^*_{t+M} \|^2}, \quad "
    r"\hat\theta_{k+1} = \hat\theta_k - \alpha \nabla \ell(S_k, \hat\theta_k), \; "
    r"\hat\theta_t = \theta^*_t",
    params=MTTParams,
    build=build,
    cost=cost,
    presets=presets,
    prepares=lambda spec: [experts(spec)],
    variants={"gradient": tuple(GRADIENTS)},
    shipped=(({}, (1, 10)),),
    smallest={
        "experts": "2",
        "epochs": "3",
        "max_start": "2",
        "expert_epochs": "1",
        "inner_steps": "3",
        "nets": "2",
    },
    caveat="Its experts are trained first and kept for other runs; estimates of time leave them out. "
    "The paper's figures on CIFAR are mostly with ZCA whitening, which is a setting of the data.",
)
