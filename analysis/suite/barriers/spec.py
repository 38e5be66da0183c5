"""What `barriers` is asked: its spec, presets, pool and cost. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from analysis.shared.sources import REAL
from analysis.shared.stand_ins import image_counts
from ddcore.base.errors import SpecError
from ddcore.base.fields import number, text
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Norm, Plan, Residual, Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, Need, RealPool
from ddcore.training import strategies
from ddcore.training.protocols import PROTOCOLS, Protocol

ORDER, START, SET_REAL = "order", "start", "real"  # what the networks of a pair differ in
KINDS = {
    SET_REAL: "one trained on real images, same start",
    ORDER: "same start, other order",
    START: "other start",
}
AS_IS, MATCHED = "as_is", "matched"
TRAININGS = 3  # on every source: a start in two orders, and another start


@dataclass(frozen=True, kw_only=True)
class BarriersTask(AnalysisTask):
    """Loss along straight lines between networks trained on the sets and on real images."""

    KIND: ClassVar[str] = "barriers"
    RUNNER: ClassVar[str] = "analysis.suite.barriers.compute:run"

    network: str = shared.network("What is trained; one without batch norm.")
    nets: int = shared.nets(5, help="Pairs of each kind.")
    points: int = number(11, 3, 1001, "Places along a path, its ends among them.")
    iterations: int = shared.iterations(help="Steps of training on a set, a batch each.")
    parts: int = number(4, 2, 1000, "Batches that a set is cut into, anew in every epoch.")
    augment: str = text(
        "",
        "How images of sets are augmented, as in protocols; empty for none.",
        grammar=lambda field, strategy: strategies.stages(strategy),
    )
    epochs: int = shared.epochs()
    batch: int = shared.batch()
    lr: float = shared.lr(0.01)

    def recipe(self, images: int) -> Protocol:
        """Minibatches of a set of so many images, as many steps as asked for or a little more."""
        batch = math.ceil(images / self.parts)
        epochs = math.ceil(self.iterations / math.ceil(images / batch))
        changes = {"lr": self.lr, "epochs": epochs, "batch": batch, "augment": self.augment}
        return PROTOCOLS["t300"].replace(**changes)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """A narrow network; published: the paper's width."""
    small = shape[1] < 28
    return {
        "quick": {"network": "convnet-8", "iterations": 200, "epochs": 15 if small else 3},
        "teaching": {"epochs": 15 if small else 5, "points": 21},
        "published": {
            "network": "convnet-128",
            "nets": 5,
            "points": 25,
            "epochs": 40,
            "batch": 256,
        },
    }


def net_of(spec: BarriersTask, chosen: Chosen) -> NetSpec:
    """The network; `SpecError` if it has batch norms, whose running statistics fit no network between two."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    if batch_norms(net.plan(chosen.shape, chosen.classes)):
        allowed = (
            "a network without batch norm, whose statistics would not be those of networks between"
        )
        raise SpecError("network", spec.network, allowed)
    return net


def batch_norms(plan: Plan) -> bool:
    """Whether there are batch norms, in residual branches or outside."""
    return any(
        batch_norms(layer.body) or batch_norms(layer.shortcut)
        if isinstance(layer, Residual)
        else isinstance(layer, Norm) and layer.kind == "batch"
        for layer in plan
    )


def pools(spec: BarriersTask, chosen: Chosen) -> dict[str, RealPool]:
    """Networks trained on all real images, from every start."""
    return {
        REAL: RealPool(
            data=chosen.data,
            net=net_of(spec, chosen),
            nets=2 * spec.nets,
            seed=spec.seed,
            epochs=spec.epochs,
            batch=spec.batch,
            lr=spec.lr,
        )
    }


def cost(spec: BarriersTask, chosen: Chosen, counts: Counts) -> Need:
    """Training on every source, and on real images in another order; tests along all paths."""
    pool = pools(spec, chosen)[REAL]
    one = net_cost(pool.net.plan(chosen.shape, chosen.classes), chosen.shape)
    images = image_counts(chosen, counts)
    seen = 0.0
    for count in images:
        recipe = spec.recipe(count)
        seen += TRAININGS * float(recipe.epochs) * count
    seen += float(pool.epochs_for(counts.train)) * counts.train
    kinds = len(KINDS) * len(images) + 2
    tested = 2.0 * kinds * spec.points * counts.test
    held = 12.0 * one.activations * max(200, spec.batch)
    return Need(spec.nets * one.macs * (3 * seen + tested), held, 2e5)
