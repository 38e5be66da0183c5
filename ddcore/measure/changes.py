"""A set used otherwise than it was made to be: does it need its order, its step sizes, its labels?

Sets that are learned together with the order and step sizes of their use (Wang et al. 2018) may be
worth little without them, and learned or soft labels may carry more than the images. No torch here: the
networks are trained in `changed`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ddcore.base.fields import REQUIRED, number, seed, text
from ddcore.base.specs import TaskSpec
from ddcore.sets.distilled import DistilledSet

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
    """Test accuracy of networks, in the way a run is meant to be used and in others.

    The networks are those of the run's evaluation: the row "as made" repeats its figure.
    """

    KIND: ClassVar[str] = "changes"
    RUNNER: ClassVar[str] = "ddcore.measure.changed:run"

    run_key: str = text(REQUIRED, "The key of the run.")
    nets: int = number(10, 1, 1000, "Networks trained in each way.", unit="networks")
    seed: int = seed()

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
    own = made.step_sizes
    lrs = {
        "mean": np.full_like(own, own.mean()),
        "half": own * np.float32(0.5),
        "double": own * np.float32(2),
    }[change]
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
        lrs=made.step_sizes[order],
        parametrization="pixels",
        stored={},
    )
