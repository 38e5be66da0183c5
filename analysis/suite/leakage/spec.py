"""What `leakage` is asked: its spec, presets and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from ddcore.base.fields import number
from ddcore.measure.regimes import HARD, KL_TEMPERATURE, SOFT, with_loss
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, Need
from ddcore.training.protocols import PROTOCOLS, Protocol, whole_protocol

IMAGES, OWN, TAUGHT = "images", "own", "teacher"
KINDS = {
    IMAGES: "images, classes as labels",
    OWN: "images and their own labels",
    TAUGHT: "a teacher's labels",
}
TEACHERS = "teachers"
RATES = (0.01, 0.001)  # of false positives
RESAMPLES = 200
LEAST = 6  # shadows: every image needs two networks with it and two without, beside the pair under attack


@dataclass(frozen=True, kw_only=True)
class LeakageTask(AnalysisTask):
    """Likelihood-ratio attacks on a set's images and on its labels, and false labels that come through."""

    KIND: ClassVar[str] = "leakage"
    RUNNER: ClassVar[str] = "analysis.suite.leakage.compute:run"

    images: int = number(
        1000,
        20,
        50_000,
        "So many training images and as many held-out ones are asked about, as far as there are.",
        unit="images",
    )
    shadows: int = number(
        32,
        LEAST,
        256,
        "Teachers, each trained on a random half of these images, and networks taught by each: even.",
        unit="networks",
    )
    planted: int = number(10, 1, 1000, "Images of each half that get a false label.", unit="images")
    nets: int = shared.nets(5, "How many are trained on each set with classes as labels.")
    network: str = shared.network(help="What is trained, and what teaches.")
    iterations: int = number(200, 10, 100_000, "Steps of training, with all images at once.")
    temperature: float = number(
        KL_TEMPERATURE, 0.01, 1000, "What divides a teacher's outputs before they are labels."
    )
    epochs: int = shared.epochs()

    def validate(self) -> None:
        """Shadows come in pairs."""
        super().validate()
        self.require("shadows", self.shadows % 2 == 0, f"an even number from {LEAST} to 256")

    def recipe(self, soft: bool) -> Protocol:
        """How networks are trained on few images: alike but for labels and their loss."""
        plain = PROTOCOLS["quick"].replace(epochs=self.iterations)
        return with_loss(
            plain, SOFT if soft else HARD, temperature=self.temperature if soft else None
        )

    def teaching(self, images: int) -> Protocol:
        """How teachers are trained on half the images: without weight decay, so that they can memorise."""
        plain = whole_protocol(images).replace(weight_decay=0.0)
        return plain.replace(epochs=self.epochs) if self.epochs else plain


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few shadows of narrow networks; published: the width of the other analyses, and enough for 0.1 %."""
    small = shape[1] < 28
    quick: dict[str, Any] = {
        "images": 500,
        "shadows": 12,
        "nets": 3,
        "network": "convnet-8",
        "iterations": 80 if small else 50,
        "epochs": 40 if small else 15,
    }
    return {
        "quick": quick,
        "teaching": {},
        "published": {
            "images": 10_000,
            "shadows": 64,
            "planted": 100,
            "network": "convnet-128",
            "iterations": 300,
        },
    }


def net_of(spec: LeakageTask, chosen: Chosen) -> NetSpec:
    """The network that is trained and that teaches."""
    return network("network", spec.network, chosen.shape, chosen.classes)


def cost(spec: LeakageTask, chosen: Chosen, counts: Counts) -> Need:
    """Training teachers on halves, networks on every set by each of them, and asking about all images."""
    one = net_cost(net_of(spec, chosen).plan(chosen.shape, chosen.classes), chosen.shape)
    half = min(spec.images, counts.test, counts.train // 2)
    sizes = [run.images for run in chosen.runs]
    each = sorted(set(sizes))
    taught = spec.shadows * (sum(sizes) + max(sizes) + sum(each)) + spec.nets * sum(sizes)
    seen = spec.shadows * half * spec.teaching(max(1, half)).epochs + taught * spec.iterations
    asked = (len(sizes) + 2 + len(each)) * spec.shadows + spec.nets * len(sizes)
    macs = one.macs * (3.0 * seen + 2.0 * half * asked)
    held = 12.0 * one.activations * max(200, *sizes) + 8.0 * half * float(chosen.shape[1] ** 2)
    return Need(macs, held, 1e5 + 1e4 * len(sizes))
