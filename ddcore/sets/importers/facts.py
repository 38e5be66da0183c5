"""What files turned out to hold: counts, values, labels; every check that needs no dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddcore.base.errors import DataError
from ddcore.sets.importers import scales
from ddcore.sets.importers.base import CHANNELS, MAX_IMAGES, SIDES, Importer, ReadSet, Stored
from ddcore.sets.torch_files import MAX_VALUES

LABELS = {
    "keep": "As they are",
    "softmax": "Their softmax (they are scores, as DATM's)",
    "argmax": "The largest only (hard labels)",
}
LARGEST = 1e6
LARGEST_LABEL = 1e9
SEAM = 1.5  # differences across a line, beside those across other lines, that say two images meet


@dataclass(frozen=True)
class SetFacts:
    """What a set is, in numbers. `labels` is hard, probabilities or scores."""

    images: int
    shape: tuple[int, int, int]  # C, H, W
    classes: int
    per_class: int
    dtype: str
    labels: str
    disagree: int  # images whose soft label favours another class than their place says
    values: scales.Values
    tiles: int  # how many images seem to lie beside each other in a stored one, each way


@dataclass(frozen=True, eq=False)
class Report:
    """A set that may be opened: whose layout, the set, its figures, the likely scale."""

    importer: Importer
    files: tuple[tuple[str, str], ...]  # (name, sha256), in the order given
    found: ReadSet
    facts: SetFacts
    guess: scales.Guess
    experiment: int = 0  # which of several sets in the files

    @property
    def names(self) -> list[str]:
        """Names of the files."""
        return [name for name, _ in self.files]


def report(
    chosen: Importer, files: Sequence[Stored], found: ReadSet, experiment: int = 0
) -> Report:
    """Check a set and measure it; `DataError` says in one sentence what is wrong with it."""
    facts = _facts(found, chosen.tiled)
    if found.made:
        likely = scales.Guess("own", "A file of this program says how its numbers are meant.")
    else:
        likely = scales.guess(facts.values, chosen.scale)
    stored = tuple((f.name, f.sha256) for f in files)
    return Report(chosen, stored, found, facts, likely, experiment)


def _facts(found: ReadSet, tiled: bool) -> SetFacts:
    images, labels = found.images, found.labels
    check_images(images)
    _check_labels(labels, len(images))
    classes = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
    order, disagree = class_order(labels, classes, found.steps)
    per_class = len(order) // classes
    if found.lrs is not None and not np.isfinite(found.lrs).all():
        raise DataError("Its learned step sizes are not all finite numbers: the run diverged.")
    return SetFacts(
        images=len(images),
        shape=tuple(images.shape[1:]),
        classes=classes,
        per_class=per_class,
        dtype=str(images.dtype),
        labels=_kind(labels),
        disagree=disagree,
        values=scales.measure(images),
        tiles=seams(images) if tiled else 1,
    )


# --- images ---------------------------------------------------------------------------------------


def images_of(array: np.ndarray, name: str) -> np.ndarray:
    """An array as images (M, C, H, W): a missing channel is added, channels at the end come forward."""
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4:
        raise DataError(
            f"The images in {name} have shape {array.shape}: expected (count, channels, height, width)."
        )
    if array.shape[1] not in CHANNELS and array.shape[3] in CHANNELS:
        array = np.moveaxis(array, 3, 1)
    return array


def check_images(images: np.ndarray) -> None:
    """Refuse what cannot be images of a set, before any of them is converted."""
    count, channels, *sides = images.shape
    low, high = SIDES
    if images.dtype.kind not in "iuf":
        raise DataError(f"Its images are of type {images.dtype}: expected numbers.")
    if not 1 <= count <= MAX_IMAGES:
        raise DataError(f"It has {count:,} images: from 1 to {MAX_IMAGES:,} can be opened.")
    if channels not in CHANNELS:
        raise DataError(f"Its images have {channels} channels: expected 1 (grey) or 3 (colour).")
    if not all(low <= side <= high for side in sides):
        size = " x ".join(map(str, sides))
        raise DataError(f"Its images have {size} pixels: expected {low} to {high} a side.")
    if images.size > MAX_VALUES:
        raise DataError(f"Its images have {images.size:,} numbers: at most {MAX_VALUES:,}.")
    if bad := sum(int((~np.isfinite(x)).sum()) for x in scales.blocks(images)):
        raise DataError(
            f"{bad:,} of its {images.size:,} numbers are not finite (NaN or infinite): the run "
            "diverged, or the file is damaged."
        )
    least, most = float(images.min()), float(images.max())
    if least == most:
        raise DataError(f"All its numbers are {least:g}: there is nothing to see or learn.")
    if max(-least, most) > LARGEST:
        raise DataError(f"Its numbers go from {least:.3g} to {most:.3g}: the run diverged.")


def seams(images: np.ndarray) -> int:
    """Into how many parts each way the stored images are split: 1, or 2 or 3 as IDC does.

    Where two pictures meet, values jump: the mean difference across such lines is compared with that
    across all other lines.
    """
    sides = images.shape[2:]
    rows, columns = np.zeros(sides[0] - 1), np.zeros(sides[1] - 1)
    for block in scales.blocks(images):
        x = block.astype(np.float32, copy=False)
        rows += np.abs(np.diff(x, axis=2)).sum((0, 1, 3), dtype=np.float64)
        columns += np.abs(np.diff(x, axis=3)).sum((0, 1, 2), dtype=np.float64)
    count = images.shape[0] * images.shape[1]
    rows, columns = rows / (count * sides[1]), columns / (count * sides[0])
    best, strongest = 1, SEAM
    for factor in (2, 3):
        if min(sides) < 4 * factor:
            continue
        ratios = []
        for steps, side in ((rows, sides[0]), (columns, sides[1])):
            tile = -(-side // factor)
            lines = np.arange(tile, side, tile) - 1
            others = np.delete(steps, lines)
            ratios.append(steps[lines].min() / max(others.mean(), 1e-12))
        if min(ratios) > strongest:
            best, strongest = factor, min(ratios)
    return best


# --- labels ---------------------------------------------------------------------------------------


def labels_of(array: np.ndarray, name: str) -> np.ndarray:
    """Labels (M,) int64, or (M, K) float32; whole numbers stored as floats count as hard labels."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind not in "iubf" or array.ndim not in (1, 2):
        raise DataError(
            f"The labels in {name} have shape {array.shape} and type {array.dtype}: expected one class "
            "number per image, or one row of class values per image."
        )
    if array.ndim == 2:
        with np.errstate(over="ignore"):  # what becomes infinite is refused as such
            return array.astype(np.float32)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array % 1 == 0).all()):
        raise DataError(f"The labels in {name} are not whole numbers: expected class numbers.")
    if array.size and max(abs(float(array.min())), abs(float(array.max()))) > LARGEST_LABEL:
        raise DataError(
            f"The labels in {name} go up to {float(array.max()):.3g}: expected class numbers."
        )
    return array.astype(np.int64)


def _check_labels(labels: np.ndarray, images: int) -> None:
    if len(labels) != images:
        raise DataError(f"It has {images:,} images but {len(labels):,} labels: expected as many.")
    if labels.ndim == 1 and labels.min() < 0:
        raise DataError(f"A label is {labels.min()}: expected class numbers from 0 on.")
    if labels.ndim == 1 and labels.max() >= images:
        raise DataError(
            f"A label is {labels.max():,} but there are only {images:,} images: expected an image of "
            "every class from 0 on."
        )
    if labels.ndim == 2 and labels.shape[1] < 2:
        raise DataError("Its labels are rows of one value: expected one value per class.")
    if labels.ndim == 2 and not np.isfinite(labels).all():
        raise DataError("Its labels are not all finite numbers: the run diverged.")


def _kind(labels: np.ndarray) -> str:
    if labels.ndim == 1:
        return "hard"
    likely = labels.min() >= -1e-4 and np.abs(labels.sum(1) - 1).max() < 1e-2
    return "probabilities" if likely else "scores"


def class_order(labels: np.ndarray, classes: int, steps: int = 1) -> tuple[np.ndarray, int]:
    """(indices that sort each step by class, how many soft labels favour another class).

    Every class needs the same number of images in every step, since the sets it is compared with have
    that. Soft labels need not favour the class an image stands for: if they do not, images are taken
    to be in class order, as all published code writes them.
    """
    count = len(labels)
    hard = labels.argmax(1) if labels.ndim == 2 else labels
    if labels.ndim == 1:
        _check_equal(np.bincount(labels, minlength=classes))
    if count % (classes * steps):
        raise DataError(
            f"It has {count:,} images for {classes:,} classes{_in_steps(steps)}: expected the same "
            "number for each."
        )
    rows = hard.reshape(steps, -1)
    per_step = rows.shape[1] // classes
    if all((np.bincount(row, minlength=classes) == per_step).all() for row in rows):
        starts = np.arange(steps)[:, None] * rows.shape[1]
        return (np.argsort(rows, axis=1, kind="stable") + starts).ravel(), 0
    if labels.ndim == 1:
        raise DataError(
            f"Its classes are spread unevenly over its {steps} steps: expected each in all."
        )
    place = np.tile(np.repeat(np.arange(classes), per_step), steps)
    return np.arange(count), int((hard != place).sum())


def _check_equal(counts: np.ndarray) -> None:
    missing = np.flatnonzero(counts == 0)
    if len(missing):
        which = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        word = "class" if len(missing) == 1 else "classes"
        raise DataError(
            f"It has no image of {word} {which} but labels up to {len(counts) - 1}: expected the same "
            "number of every class from 0 on."
        )
    least, most = int(counts.argmin()), int(counts.argmax())
    if counts[least] < counts[most]:
        raise DataError(
            f"Class {least} has {counts[least]:,} images and class {most} has {counts[most]:,}: "
            "expected the same number of each, as the sets it is compared with have."
        )


def _in_steps(steps: int) -> str:
    return f" in {steps} steps" if steps > 1 else ""
