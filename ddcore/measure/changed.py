"""Task `changes`: the accuracies of a set that is used otherwise than it was made to be."""

from __future__ import annotations

import torch

from ddcore.base import rng
from ddcore.base.spread import summary
from ddcore.data import ensure
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData
from ddcore.measure.changes import (
    CHANGES,
    SHUFFLED,
    ChangesTask,
    changed,
    changes_of,
    in_order,
)
from ddcore.nets.network import Network, select
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.use import Use
from ddcore.tasks.worker import Context
from ddcore.training.chunks import limit_threads


def run(context: Context[ChangesTask]) -> None:
    """Task `changes`: one row per change with every network's accuracy."""
    spec = context.spec
    made = DistilledSet.from_task(context.need_key(spec.run_key))
    data = DeviceData(ensure(context, DataSpec.from_dict(made.data)), context.device)
    limit_threads(Network(made.net, data.shape, data.num_classes), context.device)
    seeds = [rng.derive(spec.seed, "evaluation", i) for i in range(spec.nets)]
    todo = changes_of(made)
    rows = []
    for index, change in enumerate(todo):
        context.progress(index, len(todo), message=CHANGES[change])
        if change == SHUFFLED:
            found = _shuffled(context, data, made, seeds)
        else:
            found = _accuracies(context, data, changed(made, change), seeds)
        rows.append({"change": change, **summary(found), "accuracies": found})
    context.progress(len(todo), len(todo))
    context.save_result(
        {"rows": rows, "arch": made.net.label(), "protocol": made.protocol.to_dict()}
    )


def _shuffled(
    context: Context[ChangesTask], data: DeviceData, made: DistilledSet, seeds: list[int]
) -> list[float]:
    """Test accuracies of networks that each see the steps in an order of their own."""
    found = []
    for i, seed in enumerate(seeds):
        order = rng.generator(seed, "order")
        uses = torch.randperm(len(made.step_sizes), generator=order).numpy()
        found += _accuracies(context, data, in_order(made, uses), seeds, slice(i, i + 1))
    return found


def _accuracies(
    context: Context[ChangesTask],
    data: DeviceData,
    made: DistilledSet,
    seeds: list[int],
    which: slice = slice(None),
) -> list[float]:
    """Test accuracies of the networks `which` (all that differ), trained on a set by its own protocol."""
    use = Use(made, made.protocol, made.net)
    weights = use.bank("held_out", len(seeds), data.device, context.need)
    if weights is not None:
        weights = select(weights, which)
    images, labels = use.arrays(data.device)
    few = use.few(seeds[which])
    trained = use.train(images, labels, few, weights, lambda *_: context.check_cancel())
    return use.scores(trained, data.test)
