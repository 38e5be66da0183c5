"""What `mixing` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from ddcore.base.fields import choice, numbers
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, Need

WEIGHTINGS = {
    "images": "every image counts the same",
    "halves": "distilled and added real images are each half of the loss",
}
STEPS = {
    "fixed": "as many for every mixture",
    "scaled": "as many times more as the mixture is larger than the set",
}


@dataclass(frozen=True, kw_only=True)
class MixingTask(AnalysisTask):
    """Each set with no and more real images added to it, on networks of its own."""

    KIND: ClassVar[str] = "mixing"
    RUNNER: ClassVar[str] = "analysis.suite.mixing.compute:run"

    added: tuple[int, ...] = numbers(
        (0, 2, 10, 50, 250),
        0,
        100_000,
        "0 and one or more growing numbers of images per class",
        "Real images that are added.",
        unit="images per class",
    )
    nets: int = shared.nets(help="How many are trained on each mixture.")
    network: str = shared.network()
    iterations: int = shared.iterations()
    steps: str = choice("fixed", STEPS, "How many steps.")
    weighting: str = choice("images", WEIGHTINGS, "What images count.")

    def validate(self) -> None:
        """Mixtures grow from the set alone."""
        super().validate()
        rising = list(self.added) == sorted(set(self.added)) and len(self.added) >= 2
        self.require("added", rising and self.added[0] == 0)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few mixtures of narrow networks; published: T300, up to 250 per class where there are so many."""
    small, one = shape[1] < 28, ipc < 5
    published = {"added": (0, 2, 10, 50) if small else (0, 2, 10, 50, 250)}
    teaching = {"added": (0, 1, 5, 25) if one else (0, 2, 10, 25), "nets": 5}
    if not (small or one):
        teaching = {**published, "network": "convnet-32"}
    return {
        "quick": {"added": (0, 1, 5) if one else (0, 2, 10)},
        "teaching": teaching,
        "published": {**published, "network": "convnet-128"},
    }


def cost(spec: MixingTask, chosen: Chosen, counts: Counts) -> Need:
    """Training on every mixture, and a pass over the test images."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    own = [r.images for r in chosen.runs]
    own += [ipc * chosen.classes for ipc in sorted({r.ipc for r in chosen.runs})]
    seen = sum(_work(spec, m, m + k * chosen.classes) for m in own for k in spec.added)
    tested = len(own) * len(spec.added) * counts.test
    largest = max(own) + spec.added[-1] * chosen.classes
    return Need(
        spec.nets * (3.0 * seen + tested) * one.macs, memory=12.0 * one.activations * largest
    )


def _iterations(spec: MixingTask, own: int, size: int) -> int:
    """Steps on a mixture of `size` images, `own` of which are the set."""
    return spec.iterations if spec.steps == "fixed" else round(spec.iterations * size / own)


def _work(spec: MixingTask, own: int, size: int) -> int:
    """Images that a network sees in training."""
    return _iterations(spec, own, size) * size
