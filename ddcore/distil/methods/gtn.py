"""Generative teaching networks: Such, Rawal, Lehman, Stanley & Clune (2020).

A generator network makes every training batch; it is learned by differentiating the real loss through
the training on its batches. The learner's weight normalisation of the paper is left out: networks here
are as everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.errors import SpecError
from ddcore.base.fields import choice, flag, number
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Params, Work
from ddcore.distil.parametrizations import generator
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, small
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem

CURRICULA = {
    "learned": "batch t is made of its own learned noise and always comes t-th",
    "shuffled": "the batches come in a random order while learning",
    "none": "noise is drawn anew in each iteration, only the generator is learned",
}


@dataclass(frozen=True, kw_only=True)
class GTNParams(Params):
    """Batches are used in order; every update has its own learned step size, the momentum is learned too."""

    curriculum: str = choice("learned", CURRICULA, "What the batches are made of.")
    steps: int = shared.steps()
    passes: int = shared.passes(1)
    lr0: float = shared.first_lr()
    momentum0: float = number(0.5, 0.01, 0.99, "First value of the momentum.")
    intermediate: bool = flag(True, "Count the loss after every update, not only after the last.")
    iterations: int = 2000
    nets: int = shared.nets()
    real_batch: int = shared.real_images(128)
    lr: float = number(0.02, 1e-7, 100, "Adam's step size for noise and generator.")
    lr_rates: float = number(0.02, 0, 100, "Step size of the learned step sizes and momentum.")
    floor: float = number(0.1, 0.001, 1, "Along a cosine both fall to this share of themselves.")
    clip: float = shared.clip(0.0)

    def check_with(self, spec: DistillSpec) -> None:
        """Whole batches, an unambiguous learner, and noise only where there is a generator."""
        if spec.ipc % self.steps:
            raise SpecError("steps", self.steps, f"a divisor of ipc = {spec.ipc}")
        if spec.net.norm == "batch":
            raise SpecError("net.norm", "batch", "a norm without running statistics")
        if self.curriculum == "none" and spec.parametrization != "generator":
            allowed = "learned or shuffled: only a generator makes images of new noise"
            raise SpecError("curriculum", "none", allowed)


def build(problem: Problem[DistillSpec[GTNParams]]) -> Distiller:
    """Meta-learning through momentum on the generator's batches in their order."""
    from ddcore.distil.engines import meta
    from ddcore.distil.engines.rules import GradientDescent

    p = problem.spec.params
    inner = meta.Inner(
        steps=p.steps * p.passes,
        lr=p.lr0,
        rule=GradientDescent(p.momentum0),
        learned="step",
        learn_momentum=True,
        shuffle=p.curriculum == "shuffled",
        fresh=p.curriculum == "none",
    )
    outer = meta.Outer(
        real_batch=p.real_batch,
        lr=p.lr,
        lr_rates=p.lr_rates,
        intermediate=p.intermediate,
        clip=p.clip,
        cosine=p.floor,
    )
    return meta.MetaLearning(problem, inner, outer, meta.fresh(problem, p.nets), p.nets)


def cost(spec: DistillSpec[GTNParams], shape: Shape, classes: int) -> Work:
    """Per update 3 passes for its gradient and 9 for its recomputation; the images made once.

    Real images are looked at after every update, or after the last one.
    """
    p = spec.params
    images = classes * spec.images_per_class(shape, classes)
    looks = p.steps * p.passes if p.intermediate else 1
    seen = p.nets * (12 * p.passes * images + 3 * looks * p.real_batch)
    made = 0.0
    if isinstance(spec.knobs, generator.GeneratorKnobs):
        made = 3 * images * generator.macs(spec.knobs, shape, classes)
    macs = p.iterations * (seen * image_macs(spec.net, shape, classes) + made)
    held = p.nets * max(3 * images / p.steps, p.real_batch)
    return Work(macs, held, p.nets * 2 * (p.steps * p.passes + 2))


def presets(
    data: str, shape: Shape, ipc: int, variant: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Small images: a small generator. Larger ones: the published generator, shorter training."""
    steps = ipc if ipc <= 20 else 10 if ipc % 10 == 0 else 1
    common: dict[str, Any] = {
        "protocol": PROTOCOLS["native-2018"],
        "parametrization": "generator",
        "init": "noise",
    }
    passes = max(1, 10 // steps)
    params = {
        "curriculum": variant.get("curriculum", "learned"),
        "steps": steps,
        "passes": passes,
    }
    if small(shape):
        common |= {
            "net": NetSpec(width=16, depth=2),
            "knobs": {"noise_dim": 32, "hidden": 64, "channels": 32},
            "val_nets": 10,
        }
        params |= {"lr0": 0.1, "lr": 0.01, "real_batch": 64, "nets": 2}
        return {
            "quick": {**common, "params": {**params, "iterations": 200}},
            "teaching": {**common, "params": {**params, "iterations": 1000}},
            "paper": {**common, "params": {**params, "iterations": 4000}},
        }
    narrow = {**common, "net": NetSpec(width=32, depth=3), "validations": 4}
    narrow["knobs"] = {"noise_dim": 64, "hidden": 256, "channels": 64}
    return {
        "quick": {**narrow, "params": {**params, "iterations": 100, "real_batch": 64}},
        "teaching": {**narrow, "params": {**params, "iterations": 1000}},
        "paper": {**common, "net": NetSpec(width=128, depth=3), "params": params},
    }


METHOD = Method(
    name="gtn",
    title="Generative teaching network",
    family="store",
    idea="A generator network learns to make the batches on which a fresh network learns fastest.",
    explanation="A generator turns noise and a class into images, one batch for each step of a short "
    "training with momentum. The loss on real data after every step is differentiated through the "
    "training and the generator. Noise, generator, step sizes and momentum are all learned, so the "
    "batches become a curriculum with an order.",
    paper="Such, Rawal, Lehman, Stanley & Clune 2020, Generative Teaching Networks",
    formula=r"\min_{w,z,\eta,m} \; \mathbb{E}_{\theta_0} \sum_{t=1}^{K} \ell(T, \theta_t), \quad "
    r"\theta_t = \mathrm{SGD}_{\eta_t,m}\big(\theta_{t-1}, \, G_w(z_t, y_t)\big)",
    params=GTNParams,
    build=build,
    cost=cost,
    presets=presets,
    variants={"curriculum": tuple(CURRICULA)},
    shipped=(({}, (1, 10)),),
    smallest={"passes": "3", "real_batch": "16", "nets": "1"},
    caveat="`ipc` counts images, not numbers: the generator's weights are more numbers than its images "
    "have pixels where there are few of them.",
    not_labels={
        "soft": "the first images come from an untrained generator and show nothing to judge"
    },
    not_parametrizations={
        "canvas": "every step has images of its own, and a canvas gives another crop in each use"
    },
)
