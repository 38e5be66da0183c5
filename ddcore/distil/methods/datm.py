"""DATM: Guo et al. 2024, "Towards Lossless Dataset Distillation via Difficulty-Aligned Trajectory Matching".

Trajectory matching with the stretches that suit the set's size: early ones for few images, late ones for
many, in a window that widens; labels are the experts' at first and learned along.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.errors import SpecError
from ddcore.base.fields import flag, number
from ddcore.data.registry import mirrored
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Work
from ddcore.distil.methods import mtt
from ddcore.distil.methods.mtt import MTTParams
from ddcore.distil.presets import dsa_strategy
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, small
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem


@dataclass(frozen=True, kw_only=True)
class DATMParams(MTTParams):
    """As mtt, but networks start from experts of an age that grows, and badly matched stretches are left out.

    With labels = learned these are the experts' at first.
    """

    iterations: int = 10_000
    epochs: int = number(100, 2, 10_000, "Epochs of each expert.", unit="epochs")
    inner_steps: int = shared.inner_steps(80)
    min_start: int = number(
        0, 0, 9998, "Networks start from experts of this age or older.", unit="epochs"
    )
    first_start: int = number(
        0,
        0,
        9999,
        "`max_start` in the first iteration, from where it grows; 0: it is the same all along.",
        unit="epochs",
    )
    widening: int = number(1000, 1, 10_000_000, "Iterations until `max_start` is reached.")
    most: float = number(
        1.0, 0, 1e6, "Networks that end with a larger loss than this teach nothing; 0: all teach."
    )
    correct: bool = flag(True, "Begin with real images that an expert gets right.")
    label_momentum: float = number(0.9, 0, 0.999, "Momentum of sgd for labels that are learned.")

    @property
    def idle(self) -> frozenset[str]:
        """What does not grow takes no time."""
        return super().idle | (frozenset() if self.first_start else frozenset({"widening"}))

    def validate(self) -> None:
        """The window lies within an expert's training and is never empty."""
        super().validate()
        first = self.first_start or self.max_start
        self.require("first_start", first <= self.max_start, f"at most {self.max_start}, max_start")
        self.require("min_start", self.min_start < first, f"at most {first - 1}, below first_start")

    def check_with(self, spec: DistillSpec) -> None:
        """Experts have nothing to say about noise."""
        super().check_with(spec)
        if spec.labels == "learned" and spec.init == "noise":
            raise SpecError("init", "noise", "real or mean with labels that an expert gives")


def build(problem: Problem[DistillSpec[DATMParams]]) -> Distiller:
    """Trajectory matching within a window; trains the experts first if nobody has."""
    from ddcore.distil.engines.aligned_match import AlignedMatching, Alignment
    from ddcore.pools.trajectory import Trajectories

    spec = problem.spec
    p = spec.params
    trained = Trajectories(problem.need(mtt.experts(spec)))
    stretches = dataclasses.replace(mtt.stretches(p), most=p.most or math.inf)
    alignment = Alignment(
        min_start=p.min_start,
        first_start=p.first_start,
        widening=p.widening if p.first_start else 0,
        epochs=p.epochs,
        correct=p.correct and spec.init != "noise",
        label_momentum=p.label_momentum,
    )
    return AlignedMatching(problem, trained, stretches, alignment)


def cost(spec: DistillSpec[DATMParams], shape: Shape, classes: int) -> Work:
    """As mtt, and all experts' labels of the first images; one pass over the data is not counted."""
    work = mtt.cost(spec, shape, classes)
    if spec.labels != "learned":
        return work
    images = classes * spec.images_per_class(shape, classes)
    labels = spec.params.experts * images * image_macs(spec.net, shape, classes)
    return dataclasses.replace(work, macs=work.macs + labels)


# Settings of the authors' CIFAR-10 runs, by images per class, and of the labels' step size. Images were
# whitened (ZCA).
_PUBLISHED: dict[int, tuple[dict[str, Any], float]] = {
    1: ({"batch_syn": 10, "max_start": 4, "lr": 100.0, "lr_rates": 1e-7, "most": 1.1}, 5.0),
    10: (
        {"batch_syn": 100, "first_start": 10, "max_start": 20, "lr": 100.0, "lr_rates": 1e-5},
        2.0,
    ),
    50: (
        {
            "batch_syn": 500,
            "first_start": 20,
            "max_start": 40,
            "widening": 2000,
            "lr": 1000.0,
            "lr_rates": 1e-5,
        },
        2.0,
    ),
}


def published(ipc: int) -> tuple[dict[str, Any], float]:
    """The authors' settings for the nearest number of images, step sizes as in `mtt.published`."""
    found, label_lr = _PUBLISHED[min(_PUBLISHED, key=lambda known: abs(known - ipc))]
    lr0 = DATMParams().lr0
    return {**found, "lr_rates": found["lr_rates"] / lr0**2}, label_lr


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Those of mtt with a window that widens and learned labels; CIFAR-10 as published."""
    if small(shape):
        return _for_digits(data, shape, ipc, typed)
    learned = {"labels": "learned", "init": "real"}
    found = {}
    for name, preset in mtt.presets(data, shape, ipc, typed).items():
        params = preset["params"]
        if (
            name == "hour"
        ):  # as long as that of mtt, and longer than teaching with the labels of more experts
            params = {**params, "iterations": 1200}
        last = params.get("max_start", 20)
        window = {"first_start": max(1, last // 2), "widening": params.get("iterations", 1000) // 2}
        found[name] = {**preset, **learned, "params": {**params, **window}}
    settings, label_lr = published(ipc)
    found["paper"] = {
        **learned,
        "label_lr": label_lr,
        "net": NetSpec(width=128, depth=3),
        "protocol": PROTOCOLS["mtt" if mirrored(data) else "mtt-digits"],
        "validations": 10,
        "params": {"augment": dsa_strategy(data), **settings},
    }
    return found


def _for_digits(
    data: str, shape: Shape, ipc: int, typed: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """One image per class learns from the first epochs alone; many come twenty at a time."""
    window = {"max_start": 4} if ipc == 1 else {"first_start": 4, "widening": 100, "batch_syn": 20}
    learned = {"labels": "learned", "init": "real"}
    return {
        name: {**preset, **learned, "params": {**preset["params"], **window}}
        for name, preset in mtt.presets(data, shape, ipc, typed).items()
    }


METHOD = Method(
    name="datm",
    title="Difficulty-aligned trajectories (DATM)",
    family="trajectory",
    idea="Match the part of real training that suits the number of images: early parts for few, late ones "
    "for many.",
    explanation="Networks learn easy patterns early and hard ones late, and a few images can hold only the "
    "easy ones. As in trajectory matching, steps on the set should lead where real training leads. Starts "
    "come from a window of epochs that widens while the set improves. Labels are what trained networks say "
    "at first, and they are learned with the images.",
    paper="Guo et al. 2024, Towards Lossless Dataset Distillation via Difficulty-Aligned Trajectory Matching",
    formula=r"\min_{S,\alpha} \; \mathbb{E}_{\theta^*, \; T^- \le t < T(i)} \; "
    r"\frac{\| \hat\theta_{t+N} - \theta^*_{t+M} \|^2}{\| \theta^*_t - \theta^*_{t+M} \|^2}, \quad "
    r"T(i) \to T^+, \quad S = (x, \mathrm{softmax}(y))",
    params=DATMParams,
    build=build,
    cost=cost,
    presets=presets,
    prepares=lambda spec: [mtt.experts(spec)],
    variants={"gradient": tuple(mtt.GRADIENTS)},
    shipped=(({}, (1, 10)),),
    smallest={
        "experts": "2",
        "epochs": "4",
        "first_start": "1",
        "max_start": "2",
        "widening": "4",
        "expert_epochs": "1",
        "inner_steps": "3",
        "nets": "2",
    },
    caveat="Its labels carry much of what it gains: compare with random images that a teacher labels. Its "
    "experts are trained plainly, where the authors' seek flat minima. Estimates of time leave experts out.",
)
