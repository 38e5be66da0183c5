"""Which class each image of a sheet belongs to: sheets hold no labels, so the dataset has to tell.

A ridge classifier of real images says what class each image looks like; how often it is wrong, and with
what, is counted on other real images. That gives each image a likelihood for every class, each order of
classes a likelihood, and each claim about the order a probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddcore.base import rng
from ddcore.base.errors import DataError
from ddcore.base.texts import percent
from ddcore.data import Dataset

ARRANGEMENTS = {
    "blocks": "all images of a class, then the next class (rows of a class, as save_image(nrow=ipc) gives)",
    "turns": "an image of each class in turn (columns of a class)",
}
TRAINING, COUNTED = 6000, 3000  # real images for the classifier and for counting its errors
LARGEST = 32  # side of what is classified: a 64-pixel colour image has 12,288 numbers to weigh
RIDGE = 1e-2  # of the mean eigenvalue of the pixels' covariance
# Images of one class are made together and err together: more than so many count as so many.
INDEPENDENT = 4
SHUFFLES = 9999
CHANCE = 0.01  # how seldom another order may do as well
# How much likelier than any other an order has to be: that of the dataset, which is usual, and another one.
# With any two classes exchanged (43 shipped sets, 45 pairs) 23 sheets were taken to be in order where that
# had to be possible only, 1 where it had to be the likeliest, none where it had to be 2.7 times as likely.
CLEAR, CERTAIN = np.log(10), np.log(100)


@dataclass(frozen=True)
class Arrangement:
    """`labels` (N,) of the images in a sheet's order, how they are arranged, how it was found.

    `classes`: the class of each block, or of each image of a turn. `chance` is the share of random orders
    that fit as well (None if the order was given).
    """

    labels: np.ndarray
    name: str
    classes: tuple[int, ...]
    chance: float | None = None

    def sentence(self, names: tuple[str, ...]) -> str:
        """For people; `names` are the classes' names."""
        how = "class after class" if self.name == "blocks" else "one image of each class in turn"
        shuffled = self.classes != tuple(range(len(self.classes)))
        order = ", ".join(names[c] for c in self.classes) if shuffled else "the dataset's order"
        if self.chance is None:
            return f"Images lie {how}, in {order}, as stated."
        return f"Images lie {how}, in {order}: {percent(self.chance)} of random orders fit as well."


def labels_for(name: str, classes: tuple[int, ...], count: int) -> np.ndarray:
    """(count,) labels of images arranged so."""
    order = np.asarray(classes)
    per_class = count // len(order)
    return np.repeat(order, per_class) if name == "blocks" else np.tile(order, per_class)


def stated(name: str, classes: tuple[int, ...], count: int, known: int) -> Arrangement:
    """The arrangement a person names: one of `ARRANGEMENTS`, the order of all classes (() for 0, 1, ...)."""
    classes = classes or tuple(range(known))
    if sorted(classes) != list(range(known)):
        raise DataError(f"The order of classes {classes} must name each of 0 to {known - 1} once.")
    if count % known:
        raise DataError(f"The sheet has {count} images, which {known} classes cannot share evenly.")
    return Arrangement(labels_for(name, classes, count), name, classes)


def find(pixels: np.ndarray, dataset: Dataset) -> Arrangement:
    """The arrangement of images (N, C, H, W) by the looks of each; `DataError` if it cannot be told."""
    known = dataset.num_classes
    stated("blocks", (), len(pixels), known)  # refuses what cannot be shared evenly
    likely = _log_likelihood(pixels, dataset)
    best = max((_Fit.of(likely, name, known) for name in ARRANGEMENTS), key=lambda fit: fit.score)
    chance = best.chance()
    needed = CLEAR if best.classes == tuple(range(known)) else CERTAIN
    if chance <= CHANCE and best.margin() >= needed:
        labels = labels_for(best.name, best.classes, len(pixels))
        return Arrangement(labels, best.name, best.classes, chance)
    raise DataError(
        "The order of the classes in the sheet cannot be told from the images: state whether class follows "
        "class (blocks) or each class has an image in turn (turns), and the classes' numbers in their order."
    )


@dataclass(frozen=True, eq=False)
class _Fit:
    """How well each order of classes explains the groups of images of one arrangement."""

    name: str
    table: np.ndarray  # (K groups, K classes), log-likelihood
    classes: tuple[int, ...]  # the likeliest order
    score: float  # its log-likelihood

    @classmethod
    def of(cls, likely: np.ndarray, name: str, known: int) -> _Fit:
        """From the log-likelihood (N, K) of each class for each image."""
        from scipy.optimize import linear_sum_assignment

        per_class = len(likely) // known
        groups = likely.reshape(known, per_class, -1) if name == "blocks" else None
        if groups is None:
            groups = likely.reshape(per_class, known, -1).swapaxes(0, 1)
        table = groups.mean(1) * min(per_class, INDEPENDENT)
        classes = tuple(int(c) for c in linear_sum_assignment(-table)[1])
        score = float(table[np.arange(known), list(classes)].sum())
        return cls(name, table, classes, score)

    def _random(self) -> np.ndarray:
        """Log-likelihoods of random orders."""
        draw = rng.numpy_generator(0, "orders of classes")
        known = len(self.table)
        orders = np.argsort(draw.random((SHUFFLES, known)), axis=1)
        return self.table[np.arange(known), orders].sum(1)

    def chance(self) -> float:
        """Share of random orders that fit as well as the likeliest."""
        return float((1 + (self._random() >= self.score).sum()) / (1 + SHUFFLES))

    def margin(self) -> float:
        """By how much the likeliest order beats the next one, in log-likelihood."""
        from scipy.optimize import linear_sum_assignment

        rest = []
        for group, label in enumerate(self.classes):
            without = self.table.copy()
            without[group, label] = -1e9
            rows, columns = linear_sum_assignment(-without)
            rest.append(without[rows, columns].sum())
        return self.score - float(max(rest))


def _log_likelihood(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """(N, K): how likely a classifier of real images answers as it does, if the image were of each class."""
    rows = rng.numpy_generator(0, "real images for orders").permutation(len(dataset.train_labels))
    learn = rows[:TRAINING] if len(rows) >= TRAINING + COUNTED else rows[: 2 * len(rows) // 3]
    count = rows[len(learn) : len(learn) + COUNTED]
    known = dataset.num_classes
    mean, weights = _ridge(_flat(dataset.train_images[learn]), dataset.train_labels[learn], known)
    answers = (_flat(dataset.train_images[count]) - mean) @ weights
    confusion = np.ones((known, known))  # of a class, how often each answer; one of each beforehand
    np.add.at(confusion, (dataset.train_labels[count], answers.argmax(1)), 1)
    log = np.log(confusion / confusion.sum(1, keepdims=True))
    said = ((_flat(pixels) - mean) @ weights).argmax(1)
    return log[:, said].T


def _ridge(x: np.ndarray, labels: np.ndarray, known: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and weights (D, K) of ridge regression to one-hot labels."""
    mean = x.mean(0)
    x = x - mean
    gram = x.T @ x
    gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram) / len(gram)
    targets = np.eye(known, dtype=x.dtype)[labels] - 1 / known
    return mean, np.linalg.solve(gram, x.T @ targets)


def _flat(images: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) of any scale as rows, large ones made smaller by whole factors."""
    times = -(-images.shape[-1] // LARGEST)
    if times > 1:
        side = images.shape[-1] // times
        parts = images[..., : side * times, : side * times]
        parts = parts.reshape(*images.shape[:2], side, times, side, times)
        images = parts.mean((3, 5), dtype=np.float32)
    return _standard(images.reshape(len(images), -1).astype(np.float32))


def _standard(x: np.ndarray) -> np.ndarray:
    """Each image with mean 0 and unit length: brightness and contrast say nothing of its class."""
    x = x - x.mean(1, keepdims=True)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6)
