"""What `recognition` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask, Cost
from analysis.runs import Chosen
from analysis.shared.real import real_pool
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import parse
from ddcore.pools.real_spec import Counts, RealPool

REAL = "real"
SHOWN = 10  # images of a set that are shown


@dataclass(frozen=True, kw_only=True)
class RecognitionTask(AnalysisTask):
    """`nets` networks of each of several architectures (`networks`), trained on all real training data.

    A network is written as an architecture and its width, such as convnet-16. `epochs` 0 chooses by the
    number of images; `batch` and `lr` are those of plain SGD with momentum 0.9.
    """

    KIND: ClassVar[str] = "recognition"
    RUNNER: ClassVar[str] = "analysis.suite.recognition.compute:run"

    networks: tuple[str, ...] = ("mlp-64", "convnet-16", "convnet-64", "resnet18-8")
    nets: int = 3
    epochs: int = 0
    batch: int = 64
    lr: float = 0.02

    def validate(self) -> None:
        """Check ranges and the networks' names."""
        super().validate()
        several = 1 <= len(set(self.networks)) == len(self.networks) <= 8
        self.require("networks", several, "1 to 8 different networks")
        for text in self.networks:
            parse("networks", text)
        self.require_range("nets", 1, 100)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Narrow networks; published: the paper's four, those with plain layers by its recipe."""
    small = shape[1] < 28
    quick = ("mlp-64", "convnet-16") if small else ("convnet-16", "convnet-32")
    teaching = ("mlp-64", "convnet-16", "convnet-64", "resnet18-8")
    if not small:  # the paper's families, narrower
        teaching = ("convnet-16", "convnet-32", "convnet-64", "resnet18-8")
    published = ("convnet-16", "convnet-128", "resnet18-64", "resnet34-64")
    return {
        "quick": {"networks": quick, "epochs": 15 if small else 3},
        "teaching": {"networks": teaching, "epochs": 15 if small else 5},
        "published": {"networks": published, "epochs": 40, "batch": 256, "lr": 0.01},
    }


def pools(spec: RecognitionTask, chosen: Chosen) -> dict[str, RealPool]:
    """One pool for each architecture, by its name."""
    return {text: real_pool(spec, chosen, "networks", text) for text in spec.networks}


def cost(spec: RecognitionTask, chosen: Chosen, counts: Counts) -> Cost:
    """One pass over each set (and a real one of the largest size) in every network."""
    images = sum(r.images for r in chosen.runs) + max(r.images for r in chosen.runs)
    one = [
        net_cost(p.net.plan(chosen.shape, chosen.classes), chosen.shape)
        for p in pools(spec, chosen).values()
    ]
    macs = sum(c.macs for c in one) * spec.nets * images
    largest = max(c.activations for c in one)
    return Cost(macs, memory=4.0 * largest * images, disk=images * spec.nets * len(one) + 1e5)
