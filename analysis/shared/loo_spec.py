"""Specs of leave-one-out retraining, and what all analyses of it share. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.runs import Chosen
from analysis.shared import fields as shared
from ddcore.base.errors import SpecError
from ddcore.base.fields import REQUIRED, number, text
from ddcore.nets.architectures import ARCHITECTURES
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network, parse
from ddcore.pools.real_spec import Counts, Need, Pool

AT_ONCE = 64  # networks trained together, for the estimate of memory


@dataclass(frozen=True, kw_only=True)
class LeaveOneOut(Pool):
    """M + 1 networks from each of some shared starts: one without each image of a set, one with all.

    Full-batch gradient descent on hard labels (protocol t300 of Yang et al. 2024). Stored: influence (inits,
    M, N) half precision, the loss with all images (inits, N) and accuracies (inits, M + 1), the last with
    all; the weights of these networks.
    """

    KIND: ClassVar[str] = "leave_one_out"
    RUNNER: ClassVar[str] = "analysis.shared.loo:run"

    run_key: str = text(REQUIRED, "The key of the set.")
    images: int = number(REQUIRED, 2, 100_000, "How many it has.", unit="images")
    inits: int = shared.inits()
    iterations: int = shared.iterations()
    batch: int = number(
        0, 0, 0, "Always 0.", expected="0: leaving out is exact with all images at once"
    )
    precision: str = shared.precision()

    def title(self) -> str:
        """Line for lists."""
        nets = self.inits * (self.images + 1)
        return f"{nets} networks {self.net.label()} without one image of {self.run_key}"

    def work(self, shape: Shape, classes: int, tests: int) -> float:
        """Multiply-adds: training on all images (those left out are computed too), one test pass."""
        nets = self.inits * (self.images + 1)
        one = net_cost(self.net.plan(shape, classes), shape)
        twice = shared.PRECISIONS[self.precision]
        return nets * (3.0 * twice * self.iterations * self.images + tests) * one.macs

    def cost(self, shape: Shape, classes: int, counts: Counts) -> Need:
        """Training and testing."""
        one = net_cost(self.net.plan(shape, classes), shape)
        batch = min(AT_ONCE, self.images + 1) * self.images
        pairs = self.inits * (self.images + 1.0) * counts.test
        need = self._need(one, 0, 0, batch, 2 * pairs + 4.0 * self.inits * one.parameters)
        return Need(self.work(shape, classes, counts.test), need.memory / 4 + 12 * pairs, need.disk)


def loo_network() -> Any:
    """The field for a network whose batch norm does not let images see each other."""
    return text(
        "convnet-16", f"What is retrained, without batch norm. {shared.WORD}", grammar=_network
    )


def _network(field: str, name: str) -> None:
    arch, _ = parse(field, name)
    if ARCHITECTURES[arch].knobs.get("norm") == "batch":
        allowed = "a network without batch norm, in which an image left out would still count"
        raise SpecError(field, name, allowed)


def loo_presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Narrow networks; published: the paper's, with its steps, from three initialisations.

    All analyses that share the retrained networks have these.
    """
    large = ipc > 5 or shape[1] >= 28
    quick = {"network": "convnet-8", "iterations": 100} if large else {"network": "convnet-16"}
    fewer = {"iterations": 100} if shape[1] >= 28 else {}
    return {
        "quick": {**quick, "inits": 2},
        "teaching": {"network": "convnet-16", "inits": 3, **fewer},
        "published": {"network": "convnet-128", "inits": 3},
    }


def loo_pools(spec: Any, chosen: Chosen) -> dict[str, LeaveOneOut]:
    """The retrained networks of each run by its key, for any spec with the fields of training."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    return {
        run.key: LeaveOneOut(
            data=chosen.data,
            net=net,
            seed=spec.seed,
            lr=spec.lr,
            run_key=run.key,
            images=run.images,
            inits=spec.inits,
            iterations=spec.iterations,
            precision=spec.precision,
        )
        for run in chosen.runs
    }
