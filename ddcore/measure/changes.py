"""A set used otherwise than it was made to be: does it need its order, its step sizes, its labels?

Sets that are learned together with the order and step sizes of their use (Wang et al. 2018) may be
worth little without them, and learned or soft labels may carry more than the images. No torch here but
in the task itself.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ddcore.base import rng
from ddcore.base.specs import TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.sets.distilled import DistilledSet

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context

AS_MADE = "as_made"
SHUFFLED = "shuffled"
HARD_LABELS = "hard_labels"
CHANGES = {
    AS_MADE: "As learned",
    HARD_LABELS: "Hard labels",
    SHUFFLED: "Steps shuffled",
    "mean": "Mean step size",
    "half": "Half step sizes",
    "double": "Double step sizes",
}
MEANING = {
    AS_MADE: "with the learned labels, order and step sizes",
    HARD_LABELS: "each image belongs wholly to its most likely class",
    SHUFFLED: "its steps in a random order for every network, each with its own images and step size",
    "mean": "every step with the mean of all step sizes",
    "half": "every step size halved",
    "double": "every step size doubled",
}


@dataclass(frozen=True, kw_only=True)
class ChangesTask(TaskSpec):
    """Test accuracy of `nets` networks, in the way the run `run_key` is meant to be used and in others.

    The networks are those of the run's evaluation: the row "as made" repeats its figure.
    """

    KIND: ClassVar[str] = "changes"
    RUNNER: ClassVar[str] = "ddcore.measure.changes:run"

    run_key: str
    nets: int = 10
    seed: int = 0

    def validate(self) -> None:
        """Check ranges."""
        self.require_range("nets", 1, 1000)

    def title(self) -> str:
        """Line for lists."""
        return f"other uses of {self.run_key}"


def changes_of(made: DistilledSet) -> tuple[str, ...]:
    """The changes that mean something for a set; none if it has neither step sizes nor soft labels."""
    found = [HARD_LABELS] if made.soft else []
    ordered = made.protocol.ordered
    if made.lrs is not None and (ordered or made.protocol.learned_lr):
        several = ordered and len(made.lrs) > 1
        found += [SHUFFLED, "mean"] if several else []
        found += ["half", "double"]
    return (AS_MADE, *found) if found else ()


def changed(made: DistilledSet, change: str) -> DistilledSet:
    """The set under a change other than shuffling."""
    if change == HARD_LABELS:
        return made.with_labels(made.hard_labels)
    if change == AS_MADE:
        return made
    lrs = {
        "mean": lambda lrs: np.full_like(lrs, lrs.mean()),
        "half": lambda lrs: lrs * np.float32(0.5),
        "double": lambda lrs: lrs * np.float32(2),
    }[change](made.lrs)
    return dataclasses.replace(made, lrs=lrs)


def in_order(made: DistilledSet, order: np.ndarray) -> DistilledSet:
    """The set with its uses in another order.

    Use k of a set with S steps takes the images of step k mod S at step size k; `order` (S * passes,)
    is a permutation of the uses. The result has as many steps as the set has uses, in one pass.
    """
    per_step = len(made.images) // made.steps
    first = (np.asarray(order) % made.steps) * per_step
    images = (first[:, None] + np.arange(per_step)).ravel()
    return dataclasses.replace(
        made,
        images=made.images[images],
        labels=made.labels[images],
        steps=len(order),
        lrs=made.lrs[order],
        parametrization="pixels",
        stored={},
    )


def run(context: Context) -> None:
    """Task `changes`: one row per change with every network's accuracy."""
    from ddcore.base.spread import summary
    from ddcore.data import ensure
    from ddcore.data.tensors import DeviceData
    from ddcore.nets.network import Network
    from ddcore.training.chunks import limit_threads

    spec: ChangesTask = context.spec
    made = DistilledSet.from_task(context.need_key(spec.run_key))
    data = DeviceData(ensure(context, DataSpec.from_dict(made.data)), context.device)
    limit_threads(Network(made.net, data.shape, data.num_classes), context.device)
    seeds = [rng.derive(spec.seed, "evaluation", i) for i in range(spec.nets)]
    todo = changes_of(made)
    rows = []
    for index, change in enumerate(todo):
        context.progress(index, len(todo), message=CHANGES[change])
        if change == SHUFFLED:
            orders = [rng.generator(s, "order") for s in seeds]
            sets = [in_order(made, _permutation(len(made.lrs), g)) for g in orders]
            found = [
                accuracy
                for i, shuffled in enumerate(sets)
                for accuracy in _accuracies(context, data, shuffled, seeds, slice(i, i + 1))
            ]
        else:
            every = slice(0, 1) if _known(made) else slice(0, len(seeds))
            found = _accuracies(context, data, changed(made, change), seeds, every)
        rows.append({"change": change, **summary(found), "accuracies": found})
    context.progress(len(todo), len(todo))
    context.save_result(
        {"rows": rows, "arch": made.net.label(), "protocol": made.protocol.to_dict()}
    )


def _permutation(count: int, generator: object) -> np.ndarray:
    import torch

    return torch.randperm(count, generator=generator).numpy()


def _known(made: DistilledSet) -> bool:
    """Whether all networks start from the same weights, so that one figure says it all."""
    from ddcore.pools.bank_spec import Start

    return bool(made.init_weights) or Start.from_dict(made.start).known


def _accuracies(
    context: Context, data: object, made: DistilledSet, seeds: list[int], which: slice
) -> list[float]:
    """Test accuracies of the networks `which`, trained on a set by its own protocol."""
    import torch

    from ddcore.nets.network import Network, select
    from ddcore.pools import bank
    from ddcore.pools.bank_spec import Start
    from ddcore.sets.use import train_for
    from ddcore.training.labels import relabelled
    from ddcore.training.trained import agreement

    images, labels = (torch.from_numpy(a).to(data.device) for a in made.for_training(made.protocol))
    start, weights = Start.from_dict(made.start), None
    if not start.fresh:
        network = Network(made.net, data.shape, data.num_classes, len(seeds))
        weights = bank.start_weights(start, network, "held_out", context.need, context.device)
        weights = select(weights, which)
    protocol = made.with_learned_lr(made.protocol)
    trained = train_for(
        images,
        labels,
        data,
        made.net,
        protocol,
        seeds[which],
        made,
        lambda *_: context.check_cancel(),
        weights,
    )
    wanted = relabelled(data.test.labels, made.relabel)
    return agreement(trained.predict(data.test), wanted.cpu())
