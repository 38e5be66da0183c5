"""Generative teaching networks: Such, Rawal, Lehman, Stanley & Clune (2020).

A generator network makes every training batch; it is learned by differentiating the real loss through
the training on its batches. The learner's weight normalisation of the paper is left out: networks here
are as everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.errors import SpecError
from ddcore.distil.contract import Cost, Method, Params
from ddcore.distil.parametrizations import generator
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, small
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem

CURRICULA = ("learned", "shuffled", "none")


@dataclass(frozen=True, kw_only=True)
class GTNParams(Params):
    """`steps` batches, ipc / steps images of each class in each, are used in order, `passes` times over.

    `curriculum` learned: batch t is made of its own learned noise and always comes t-th; shuffled: the
    batches come in a random order while learning; none: noise is drawn anew in each iteration, only the
    generator is learned. Every update has its own learned step size, at first `lr0`; the momentum,
    `momentum0` at first, is learned too. The loss on `real_batch` real images counts after every update
    (`intermediate`) or only after the last. `nets` networks are trained at once. `lr` is Adam's step size
    for noise and generator, `lr_rates` for step sizes and momentum; both fall along a cosine to `floor`
    of themselves. `clip` bounds the norm of the images' gradient (0: no bound).
    """

    curriculum: str = "learned"
    steps: int = 1
    passes: int = 1
    lr0: float = 0.02
    momentum0: float = 0.5
    intermediate: bool = True
    iterations: int = 2000
    nets: int = 1
    real_batch: int = 128
    lr: float = 0.02
    lr_rates: float = 0.02
    floor: float = 0.1
    clip: float = 0.0

    def validate(self) -> None:
        """Check ranges."""
        super().validate()
        self.require_choice("curriculum", CURRICULA)
        self.require_range("steps", 1, 1000)
        self.require_range("passes", 1, 1000)
        self.require_range("lr0", 1e-6, 100)
        self.require_range("momentum0", 0.01, 0.99)
        self.require_range("nets", 1, 1000)
        self.require_range("real_batch", 1, 1_000_000)
        self.require_range("lr", 1e-7, 100)
        self.require_range("lr_rates", 0, 100)
        self.require_range("floor", 0.001, 1)
        self.require_range("clip", 0, 1e6)

    def check_with(self, spec: DistillSpec) -> None:
        """Whole batches, an unambiguous learner, and noise only where there is a generator."""
        if spec.ipc % self.steps:
            raise SpecError("steps", self.steps, f"a divisor of ipc = {spec.ipc}")
        if spec.net.norm == "batch":
            raise SpecError("net.norm", "batch", "a norm without running statistics")
        if self.curriculum == "none" and spec.parametrization != "generator":
            allowed = "learned or shuffled: only a generator makes images of new noise"
            raise SpecError("curriculum", "none", allowed)


def build(problem: Problem[GTNParams]) -> Distiller:
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


def cost(spec: DistillSpec[GTNParams], shape: Shape, classes: int) -> Cost:
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
    return Cost(macs, held, p.nets * 2 * (p.steps * p.passes + 2))


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
    variants={"curriculum": CURRICULA},
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
