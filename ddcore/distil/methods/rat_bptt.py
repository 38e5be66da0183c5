"""RaT-BPTT: random truncated windows through Adam (Feng, Vedantam & Kempe 2024)."""

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
class RaTParams(Params):
    """A fresh network takes Adam steps on the set; only a window of them counts.

    It begins at a random step; training stops at its end, and only its steps are differentiated.
    """

    iterations: int = 10_000
    inner_steps: int = shared.inner_steps(200)
    window: int = number(60, 1, 10_000, "Steps that are differentiated.", unit="steps")
    inner_lr: float = shared.inner_lr(0.001, high=1)
    batch: int = shared.inner_batch(10)
    real_batch: int = shared.real_images(5000)
    nets: int = shared.nets()
    augment: str = shared.augment("", "Drawn for every image, real or synthetic.")
    lr: float = shared.lr(0.001)
    clip: float = number(
        2.0, 0, 1e6, "Bound of the gradient's norm, in units of its moving average; 0: none."
    )
    clip_ema: float = number(
        0.9, 0, 0.9999, "Of that average, over about 1 / (1 - `clip_ema`) iterations."
    )

    def validate(self) -> None:
        """The window lies within the training."""
        self.require_range("window", 1, self.inner_steps)

    def check_with(self, spec: DistillSpec) -> None:
        """Running statistics have no place in a functional inner loop."""
        if spec.net.norm == "batch":
            raise SpecError("net.norm", "batch", "a norm without running statistics")


def build(problem: Problem[DistillSpec[RaTParams]]) -> Distiller:
    """Meta-learning through a random window of Adam steps."""
    from ddcore.distil.engines import meta
    from ddcore.distil.engines.rules import Adam

    p = problem.spec.params
    inner = meta.Inner(
        steps=p.inner_steps,
        window=p.window,
        lr=p.inner_lr,
        rule=Adam(),
        batch=min(p.batch, problem.per_class),
    )
    outer = meta.Outer(
        real_batch=p.real_batch,
        lr=p.lr,
        augment=p.augment,
        siamese=False,
        clip=p.clip,
        clip_ema=p.clip_ema,
    )
    return meta.MetaLearning(problem, inner, outer, meta.fresh(problem, p.nets), p.nets)


def cost(spec: DistillSpec[RaTParams], shape: Shape, classes: int) -> Work:
    """On average half of the steps before the window (3 passes each), then the window (12 each)."""
    p = spec.params
    batch = classes * (p.batch or spec.images_per_class(shape, classes))
    passes = 3 * (p.inner_steps - p.window) / 2 + 12 * p.window
    macs = p.iterations * p.nets * (passes * batch + 3 * p.real_batch)
    held = p.nets * max(3 * batch, p.real_batch)
    weights = p.nets * 3 * (p.window + 3)
    return Work(macs * image_macs(spec.net, shape, classes), held, weights)


def presets(
    data: str, shape: Shape, ipc: int, variant: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Small images: short windows at a larger step size. Others: narrow, then as published."""
    batch = 10 if ipc > 10 else 0
    if small(shape):
        common = {"net": NetSpec(width=16, depth=2), "protocol": PROTOCOLS["quick"], "init": "mean"}
        common |= {"labels": "learned", "label_lr": 0.01}
        quick = {
            "inner_steps": 40,
            "window": 15,
            "inner_lr": 0.01,
            "batch": batch,
            "real_batch": 256,
            "nets": 2,
            "lr": 0.03,
        }
        paper = {"batch": batch, "real_batch": 1000, "inner_lr": 0.001}
        return {
            "quick": {**common, "params": {**quick, "iterations": 200}},
            "teaching": {**common, "params": {**quick, "iterations": 1000}},
            "paper": {**common, "params": paper},
        }
    flips = mirrored(data)
    narrow = {"net": NetSpec(width=32, depth=3), "protocol": PROTOCOLS["quick"].replace(nets=5)}
    short = {
        "inner_steps": 30,
        "window": 10,
        "inner_lr": 0.003,
        "batch": batch,
        "real_batch": 128,
        "lr": 0.03,
    }
    return {
        "quick": {**narrow, "validations": 4, "params": {**short, "iterations": 60}},
        "teaching": {**narrow, "params": {**short, "iterations": 1000, "real_batch": 256}},
        "paper": {
            "net": NetSpec(width=128, depth=3),
            "protocol": PROTOCOLS["rat-bptt" if flips else "rat-bptt-digits"],
            "init": "noise",
            "validations": 10,
            "params": {"batch": min(ipc, 10), "augment": "flip_rotate" if flips else ""},
        },
    }


METHOD = Method(
    name="rat-bptt",
    title="Random truncated windows (RaT-BPTT)",
    family="unroll",
    idea="Differentiate through a short window at a random place of a long training with Adam.",
    explanation="Differentiating through a long training is costly and its gradient explodes. Here a "
    "fresh network is trained with Adam, and only a short window of steps, at a place drawn anew each "
    "time, is differentiated. The images therefore learn to help early and late in training, and the "
    "gradient's norm is bounded by its own moving average.",
    paper="Feng, Vedantam & Kempe 2024, Embarrassingly Simple Dataset Distillation",
    formula=r"\min_{S} \; \mathbb{E}_{\theta_0, u} \, \ell(T, \theta_{u+W}), \quad "
    r"\tfrac{\partial \theta_u}{\partial S} := 0",
    params=RaTParams,
    build=build,
    cost=cost,
    presets=presets,
    smallest={"inner_steps": "6", "window": "3", "real_batch": "32", "nets": "1"},
    caveat="Images are meant for training with Adam; other optimisers reach less with them.",
)
