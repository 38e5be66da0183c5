"""What `dynamics` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from ddcore.base.fields import number
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, Need

TEST = "test"
MOMENT = 100  # the iteration that the answer names
MEASURES = {
    "accuracy": "called the intended class",
    "loss": "mean cross-entropy",
    "probability": "mean true-class probability",
}
LEAST_RISE = 0.01  # a smaller rise of the accuracy does not end a plateau
LEAST_LENGTH = 0.2  # of all iterations: what is shorter is not called a plateau


@dataclass(frozen=True, kw_only=True)
class DynamicsTask(AnalysisTask):
    """Networks in their first iterations on all real training images, tested along the way."""

    KIND: ClassVar[str] = "dynamics"
    RUNNER: ClassVar[str] = "analysis.suite.dynamics.compute:run"

    network: str = shared.network()
    nets: int = shared.nets()
    iterations: int = shared.iterations(help="Steps of training, on shuffled batches.")
    every: int = shared.every(1, "How often all images of all sets are classified.")
    batch: int = shared.batch()
    lr: float = shared.lr()
    test_images: int = number(
        2000, 0, 1_000_000, "Test images that are classified too; 0: all.", unit="images"
    )

    def validate(self) -> None:
        """Check that there is a test."""
        super().validate()
        self.require_range("every", 1, self.iterations)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Fewer tests on larger images; published: the paper's network and batch, more than its one run."""
    if shape[1] < 28:
        quick: dict[str, Any] = {"nets": 2, "every": 4}
        teaching: dict[str, Any] = {"nets": 5}
    else:
        quick = {"nets": 2, "every": 10, "test_images": 500}
        teaching = {
            "nets": 3,
            "every": 5,
            "test_images": 2000,
            "network": "convnet-32",
            "batch": 256,
        }
    published = {"network": "convnet-128", "batch": 256, "test_images": 0}
    return {"quick": quick, "teaching": teaching, "published": published}


def cost(spec: DynamicsTask, chosen: Chosen, counts: Counts) -> Need:
    """Training, and a pass over all sets and the test images at each test."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    batch = min(spec.batch, counts.train)
    images = sum(r.images for r in chosen.runs) + min(spec.test_images or counts.test, counts.test)
    tests = 1 + spec.iterations // spec.every
    macs = spec.nets * (3 * spec.iterations * batch + tests * images) * one.macs
    held = max(12.0 * one.activations * batch, 4.0 * one.activations * min(images, 2000))
    values = 4.0 * len(MEASURES) * spec.nets * tests * (len(chosen.runs) + 1)
    return Need(macs, memory=held + values, disk=values + 1e5)
