"""What `recognition` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from analysis.shared.real import real_pool
from ddcore.base.fields import text
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import parse
from ddcore.pools.real_spec import Counts, Need, RealPool

REAL = "real"
SHOWN = 10  # images of a set that are shown


@dataclass(frozen=True, kw_only=True)
class RecognitionTask(AnalysisTask):
    """Networks of several architectures, trained on all real training data."""

    KIND: ClassVar[str] = "recognition"
    RUNNER: ClassVar[str] = "analysis.suite.recognition.compute:run"

    networks: tuple[str, ...] = text(
        ("mlp-64", "convnet-16", "convnet-64", "resnet18-8"),
        "Architectures and their widths, such as convnet-16.",
        grammar=parse,
    )
    nets: int = shared.nets(help="How many of each are trained.")
    epochs: int = shared.epochs()
    batch: int = shared.batch(0)
    lr: float = shared.lr(0.02)

    def validate(self) -> None:
        """Each network once."""
        super().validate()
        several = 1 <= len(set(self.networks)) == len(self.networks) <= 8
        self.require("networks", several, "1 to 8 different networks")


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


def cost(spec: RecognitionTask, chosen: Chosen, counts: Counts) -> Need:
    """One pass over each set (and a real one of the largest size) in every network."""
    images = sum(r.images for r in chosen.runs) + max(r.images for r in chosen.runs)
    one = [
        net_cost(p.net.plan(chosen.shape, chosen.classes), chosen.shape)
        for p in pools(spec, chosen).values()
    ]
    macs = sum(c.macs for c in one) * spec.nets * images
    largest = max(c.activations for c in one)
    return Need(macs, memory=4.0 * largest * images, disk=images * spec.nets * len(one) + 1e5)
