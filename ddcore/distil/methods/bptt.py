"""Backpropagation through time with momentum: Deng & Russakovsky (2022), without their bases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.errors import SpecError
from ddcore.base.fields import flag
from ddcore.data.registry import mirrored
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Params, Work
from ddcore.distil.presets import hour
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, small
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem


@dataclass(frozen=True, kw_only=True)
class BPTTParams(Params):
    """Training a fresh network on the set is differentiated through every step."""

    iterations: int = 10_000
    inner_steps: int = shared.inner_steps(150)
    inner_lr: float = shared.inner_lr(0.01)
    inner_momentum: float = shared.inner_momentum()
    learned_lr: bool = flag(False, "Learn the inner step size too.")
    batch: int = shared.inner_batch(0)
    real_batch: int = shared.real_batch(64)
    nets: int = shared.nets()
    augment: str = shared.augment("")
    optimiser: str = shared.optimiser()
    lr: float = shared.lr(0.1, high=1e5, help="Step size")
    momentum: float = shared.momentum()
    lr_rates: float = shared.lr_rates(0.01)
    clip: float = shared.clip(2.0)
    decay: float = shared.decay()
    decay_every: int = shared.decay_every()

    def check_with(self, spec: DistillSpec) -> None:
        """Running statistics have no place in a functional inner loop."""
        if spec.net.norm == "batch":
            raise SpecError("net.norm", "batch", "a norm without running statistics")


def build(problem: Problem[DistillSpec[BPTTParams]]) -> Distiller:
    """Meta-learning through momentum and minibatches."""
    from ddcore.distil.engines import meta
    from ddcore.distil.engines.rules import GradientDescent

    p = problem.spec.params
    inner = meta.Inner(
        steps=p.inner_steps,
        lr=p.inner_lr,
        rule=GradientDescent(p.inner_momentum),
        batch=min(p.batch, problem.per_class),
        learned="shared" if p.learned_lr else "",
    )
    outer = meta.Outer(
        real_batch=p.real_batch,
        balanced=True,
        lr=p.lr,
        lr_rates=p.lr_rates,
        optimiser=p.optimiser,
        momentum=p.momentum,
        augment=p.augment,
        clip=p.clip,
        decay=p.decay,
        decay_every=p.decay_every,
    )
    return meta.MetaLearning(problem, inner, outer, meta.fresh(problem, p.nets), p.nets)


def cost(spec: DistillSpec[BPTTParams], shape: Shape, classes: int) -> Work:
    """Per inner step a gradient (3 passes) and its recomputation with a double backward (9)."""
    p = spec.params
    batch = classes * (p.batch or spec.images_per_class(shape, classes))
    real = classes * p.real_batch
    macs = p.iterations * p.nets * (12 * p.inner_steps * batch + 3 * real)
    held = p.nets * max(3 * batch, real)
    states = 2 if p.inner_momentum else 1
    weights = p.nets * (states * p.inner_steps + 4)
    return Work(macs * image_macs(spec.net, shape, classes), held, weights)


def presets(
    data: str, shape: Shape, ipc: int, variant: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Small images: short unrolling with a learned step size. Others: narrow, then as published."""
    batch = 10 if ipc > 10 else 0
    if small(shape):
        common: dict[str, Any] = {"net": NetSpec(width=16, depth=2), "init": "mean"}
        common |= {"protocol": PROTOCOLS["quick"]}
        quick = {
            "inner_steps": 15,
            "inner_lr": 0.05,
            "learned_lr": True,
            "optimiser": "adam",
            "lr": 0.03,
            "lr_rates": 0.02,
            "nets": 2,
            "real_batch": 26,
            "batch": batch,
            "decay_every": 120,
        }
        return {
            "quick": {**common, "params": {**quick, "iterations": 240}},
            "teaching": {**common, "params": {**quick, "iterations": 1000, "decay_every": 400}},
            "paper": {
                **common,
                "params": {"iterations": 10_000, "inner_steps": 150, "batch": batch},
            },
        }
    narrow: dict[str, Any] = {"net": NetSpec(width=32, depth=3), "validations": 4}
    narrow |= {"protocol": PROTOCOLS["quick"].replace(nets=5)}
    augment = "flip_rotate" if mirrored(data) else ""
    short = {
        "inner_steps": 15,
        "inner_lr": 0.02,
        "learned_lr": True,
        "optimiser": "adam",
        "lr": 0.03,
        "real_batch": 16,
        "batch": batch,
    }
    teaching = {**narrow, "params": {**short, "iterations": 1000, "real_batch": 32}}
    return {
        "quick": {**narrow, "params": {**short, "iterations": 60}},
        "teaching": teaching,
        **hour(shape, teaching, iterations=1000, decay_every=600),
        "paper": {
            "net": NetSpec(width=128, depth=3),
            "protocol": PROTOCOLS["bptt"],
            "init": "noise",
            "validations": 10,
            "params": {"batch": batch, "augment": augment},
        },
    }


METHOD = Method(
    name="bptt",
    title="Backpropagation through time",
    family="unroll",
    idea="Differentiate the real loss through a long training with momentum on the synthetic images.",
    explanation="A fresh network is trained on the synthetic images for many steps of gradient descent "
    "with momentum, as one would really train it. The loss it then has on real images is differentiated "
    "through every one of these steps. It is the 2018 idea, done with the optimiser and the minibatches "
    "that people use, so the images work without an order or step sizes of their own.",
    paper="Deng & Russakovsky 2022, Remember the Past",
    formula=r"\min_{S} \; \mathbb{E}_{\theta_0} \, \ell(T, \theta_K), \quad "
    r"v_{k+1} = m v_k + \nabla \ell(S_k, \theta_k), \; \theta_{k+1} = \theta_k - \eta v_{k+1}",
    params=BPTTParams,
    build=build,
    cost=cost,
    presets=presets,
    shipped=(({}, (1, 10)),),
    smallest={"inner_steps": "4", "real_batch": "8", "nets": "1"},
    caveat="Long unrolling is unstable: the gradient's norm is bounded, and small inner step sizes help.",
)
