"""Dataset distillation: Wang, Zhu, Torralba & Efros (2018).

Learn images, and the step sizes they are used with, such that a network trained on them by a few steps
of gradient descent does well on real data: the gradient of that real loss is taken through training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.errors import SpecError
from ddcore.methods.base import GENERATOR_ONLY, Cost, Method, Params, image_macs
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.engines.problem import Distiller, Problem
    from ddcore.methods.spec import DistillSpec

SETTINGS = ("fixed", "unknown")


@dataclass(frozen=True, kw_only=True)
class DD2018Params(Params):
    """`setting` fixed: one known initialisation for ever; unknown: fresh ones in every iteration.

    The set is split into `steps` parts used one after the other, `passes` times over; every step of
    every pass has its own learned step size, starting at `lr0`. `lr` and `lr_rates` are Adam's step
    sizes for pixels and for the (softplus) step sizes; both are multiplied by `decay` every
    `decay_every` iterations (0: never). `clip` bounds the norm of the pixels' gradient (0: no bound).
    """

    setting: str = "unknown"
    steps: int = 1
    passes: int = 3
    lr0: float = 0.02
    iterations: int = 24_000
    nets: int = 1
    real_batch: int = 1024
    lr: float = 0.01
    lr_rates: float = 0.01
    beta1: float = 0.5
    decay: float = 0.5
    decay_every: int = 0
    clip: float = 0.0

    def validate(self) -> None:
        """Check ranges."""
        super().validate()
        self.require_choice("setting", SETTINGS)
        self.require_range("steps", 1, 1000)
        self.require_range("passes", 1, 1000)
        self.require_range("lr0", 1e-6, 100)
        self.require_range("nets", 1, 1000)
        if self.setting == "fixed":
            self.require("nets", self.nets == 1, "1 with setting = fixed (there is one network)")
        self.require_range("real_batch", 1, 1_000_000)
        self.require_range("lr", 1e-7, 100)
        self.require_range("lr_rates", 0, 100)
        self.require_range("beta1", 0, 0.999)
        self.require_range("decay", 0.01, 1)
        self.require_range("decay_every", 0, 10_000_000)
        self.require_range("clip", 0, 1e6)

    def check_with(self, spec: DistillSpec) -> None:
        """Each step needs the same number of images of every class."""
        if spec.ipc % self.steps:
            raise SpecError("steps", self.steps, f"a divisor of ipc = {spec.ipc}")
        if spec.net.norm == "batch":
            raise SpecError("net.norm", "batch", "a norm without running statistics")


def build(problem: Problem) -> Distiller:
    """Meta-learning through gradient descent in a fixed order, with learned step sizes."""
    from ddcore.engines import meta

    p = problem.spec.params
    known = p.setting == "fixed"
    return meta.MetaLearning(
        problem,
        meta.Inner(steps=p.steps * p.passes, lr=p.lr0, learned="step"),
        meta.Outer(
            real_batch=p.real_batch,
            lr=p.lr,
            lr_rates=p.lr_rates,
            betas=(p.beta1, 0.999),
            clip=p.clip,
            decay=p.decay,
            decay_every=p.decay_every,
        ),
        meta.fixed(problem) if known else meta.fresh(problem, p.nets),
        p.nets,
        known=known,
    )


def cost(spec: DistillSpec, shape: Shape, classes: int) -> Cost:
    """Per inner step a gradient (3 passes) and its recomputation with a double backward (9)."""
    p = spec.params
    images = p.passes * classes * spec.images_per_class(shape, classes)
    macs = p.iterations * p.nets * (12 * images + 3 * p.real_batch)
    held = p.nets * max(3 * images / (p.passes * p.steps), p.real_batch)
    return Cost(
        macs * image_macs(spec.net, shape, classes), held, p.nets * (p.steps * p.passes + 2)
    )


def presets(
    data: str, shape: Shape, ipc: int, variant: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Digits-sized: the CPU-scale set-up; larger: LeNet or AlexCifarNet as published."""
    setting = variant.get("setting", "unknown")
    fixed = setting == "fixed"
    protocol = PROTOCOLS["native-2018"]
    if shape[1] < 20:
        small = {
            "net": NetSpec(width=16, depth=2),
            "protocol": protocol,
            "init": "noise" if fixed else "mean",
            "val_nets": 1 if fixed else 10,
        }
        # With ten images per class each step has images of its own, as in the paper.
        steps = 10 if ipc % 10 == 0 else 1
        common = {
            "setting": setting,
            "steps": steps,
            "beta1": 0.5,
            "real_batch": 256,
            "lr_rates": 0.015 if fixed else 0.02,
        }
        if fixed:
            # Xavier weights as in the paper: they matter more than the default's small output layer,
            # which ties the images to this one network.
            small |= {"net": NetSpec(width=32, depth=2, init="xavier"), "validations": 20}
            quick = {**common, "passes": 4 if steps == 1 else 1, "lr0": 1.0, "lr": 0.1}
            quick["decay_every"] = 225
        else:
            quick = {**common, "passes": 10 if steps == 1 else 2, "lr0": 0.1, "lr": 0.05}
            quick |= {"nets": 4 if steps == 1 else 2, "clip": 2.0, "decay_every": 100}
        return {
            "quick": {**small, "params": {**quick, "iterations": 900 if fixed else 200}},
            "teaching": {**small, "params": {**quick, "iterations": 3000, "decay_every": 750}},
            "paper": {
                **small,
                "params": {**quick, "iterations": 10_000, "decay_every": 2500},
            },
        }
    grey = shape[0] == 1
    published = {
        "net": NetSpec(arch="lenet" if grey else "alexcifarnet", init="xavier"),
        "protocol": protocol,
        "init": "noise",
        "val_nets": 1 if fixed else 20,
        "validations": 20,
    }
    common = {
        "setting": setting,
        "steps": 1 if ipc == 1 else min(ipc, 10) if ipc % 10 == 0 else ipc,
        "passes": 3,
        "lr0": 0.02 if grey else 0.001,
    }
    quick = {**common, "real_batch": 256, "iterations": 1500, "decay_every": 500}
    # The published schedule in a quarter of its iterations.
    teaching = {**common, "iterations": 6000, "decay_every": 600}
    paper = {**common, "iterations": 24_000 if grey else 19_600, "decay_every": 2400}
    return {
        "quick": {**published, "params": quick},
        "teaching": {**published, "params": teaching},
        "paper": {**published, "params": paper},
    }


METHOD = Method(
    name="dd2018",
    title="Dataset distillation (2018)",
    family="unroll",
    idea="Learn images and step sizes by differentiating the real loss through training itself.",
    explanation="A network takes a few steps of gradient descent on the synthetic images; how well it "
    "then does on real data is differentiated with respect to the images and to the step sizes. With "
    "one fixed initialisation a handful of noise-like images suffices, for that network alone; with a "
    "fresh one in each iteration they must work for all.",
    paper="Wang, Zhu, Torralba & Efros 2018, Dataset Distillation",
    formula=r"\min_{X,\eta} \; \mathbb{E}_{\theta_0} \, \ell(T, \theta_K), \quad "
    r"\theta_{k+1} = \theta_k - \eta_k \nabla \ell(X_{k \bmod S}, \theta_k)",
    params=DD2018Params,
    build=build,
    cost=cost,
    presets=presets,
    smallest={"passes": "3", "real_batch": "32"},
    variants={"setting": SETTINGS},
    caveat="The images need their own order and step sizes; with a fixed initialisation they are "
    "worthless for any other, which the Evaluate page shows.",
    not_parametrizations={
        **GENERATOR_ONLY,
        "canvas": "every step has images of its own, and a canvas gives another crop in each use",
    },
)
