"""Nearest real images: is a distilled image a copy of a training image, or something new?

For every distilled image the k training images at the smallest Euclidean distance between pixels (0..1
for real images, never clamped), and as a yardstick the same distance for real images held out of
training: an image nearer to the training images than unseen real ones are is suspiciously close.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ddcore.base import rng
from ddcore.base.fields import REQUIRED, number, text
from ddcore.base.specs import TaskSpec
from ddcore.data import ensure
from ddcore.data.spec import DataSpec
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.worker import Context

START_S = 2.0  # a fresh process, reading the images
MACS_PER_S = 5e9  # one core, 64 bit
CHUNK_FLOATS = 1 << 22  # of one block of training images or distances: 32 MB
SPARE = 8  # candidates kept beyond k, so that rounding cannot lose a neighbour
COPY = 0.5 / 255  # mean distance per pixel below which an 8-bit display shows no difference


@dataclass(frozen=True, kw_only=True)
class NearestTask(TaskSpec):
    """The training images nearest to every image of a run, with real ones to compare."""

    KIND: ClassVar[str] = "nearest"
    RUNNER: ClassVar[str] = "analysis.single.nearest:run"
    SLOT: ClassVar[str] = "light"

    run_key: str = text(REQUIRED, "The key of the run.")
    k: int = number(5, 1, 50, "How many.", unit="images")
    held_out: int = number(
        1000, 1, 100_000, "Real images to compare at most, from the validation part.", unit="images"
    )

    def title(self) -> str:
        """Line for lists."""
        return f"nearest real images of {self.run_key[:8]}"


@dataclass(frozen=True)
class Neighbours:
    """The nearest training images of one distilled image, nearest first."""

    images: np.ndarray  # (k, C, H, W) uint8
    classes: np.ndarray  # (k,)
    indices: np.ndarray  # (k,) in the training part
    distances: np.ndarray  # (k,)
    psnr: np.ndarray  # (k,) in dB at peak 1; infinite for a copy
    agrees: np.ndarray  # (k,) bool: of the class of the distilled image
    held_out_farther: float  # share of the held-out images whose nearest training image is farther


# --- the task -------------------------------------------------------------------------------------


def run(context: Context[NearestTask]) -> None:
    """Task `nearest`."""
    spec = context.spec
    made = DistilledSet.from_task(context.need_key(spec.run_key))
    of_run = context.store.find(spec.run_key).document()["spec"]["data"]
    only_pixels = DataSpec.from_dict(of_run).replace(preprocess="normalise")
    data = ensure(context, only_pixels)
    queries, train = flat(made.pixels()), data.train_images
    held = held_out_sample(len(data.val_images), spec.held_out)
    reference = flat(data.val_images[held])
    total = len(queries) + len(reference)

    def report(offset: int, size: int) -> Callable[[float], None]:
        return lambda share: context.progress(int(offset + share * size), total)

    context.progress(0, total)
    indices, distances = nearest(queries, train, spec.k, report(0, len(queries)))
    theirs, apart = nearest(reference, train, 1, report(len(queries), len(reference)))
    context.progress(total, total)
    pictures, places = np.unique(indices, return_inverse=True)
    classes = data.train_labels[indices]
    agrees = classes == made.hard_labels[:, None]
    agrees_held = data.train_labels[theirs[:, 0]] == data.val_labels[held]
    context.save_arrays(
        {
            "indices": indices,
            "distances": distances,
            "psnr": psnr(distances, queries.shape[1]),
            "classes": classes,
            "agrees": agrees,
            "held_out": np.sort(apart[:, 0]),
            "pictures": train[pictures],  # each neighbour once, so that no page needs the dataset
            "places": places.reshape(indices.shape),
        }
    )
    context.save_result(
        summary(distances, apart, agrees, agrees_held, queries.shape[1], len(train))
        | {"k": indices.shape[1], "data_label": data.label, "seconds": context.seconds}
    )


def summary(
    distances: np.ndarray,
    held_out: np.ndarray,
    agrees: np.ndarray,
    agrees_held_out: np.ndarray,
    pixels: int,
    train_images: int,
) -> dict[str, Any]:
    """The figures of result.json, all about the single nearest training image of each image."""
    first, reference = distances[:, 0], held_out[:, 0]
    middle = float(np.median(reference))
    return {
        "images": len(first),
        "train_images": train_images,
        "held_out_images": len(reference),
        "median_distance": float(np.median(first)),
        "median_held_out": middle,
        "share_nearer": float(np.mean(first < middle)),
        "copies": int(np.sum(first < COPY * pixels**0.5)),
        "class_agreement": float(np.mean(agrees[:, 0])),
        "class_agreement_held_out": float(np.mean(agrees_held_out)),
    }


def held_out_sample(available: int, wanted: int) -> np.ndarray:
    """Sorted indices of the held-out images that are compared: all, or a fixed random draw."""
    if available <= wanted:
        return np.arange(available)
    drawn = rng.numpy_generator(0, "nearest held out").choice(available, wanted, replace=False)
    return np.sort(drawn)


# --- numbers --------------------------------------------------------------------------------------


def nearest(
    queries: np.ndarray,
    train: np.ndarray,
    k: int,
    on_share: Callable[[float], None] = lambda share: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and Euclidean distances (M, k) of the nearest of `train`, nearest first; ties by index.

    `queries` are flat float64 pixels (M, D), `train` uint8 images (N, ...); or both are float features.
    Candidates come from |a|² + |b|² - 2ab, block by block; their distances are then taken from the
    differences, so a copy has distance 0 and the result equals that of comparing every pair.
    """
    m, dims = queries.shape
    k = min(k, len(train))
    keep = min(k + SPARE, len(train))
    best = np.full((m, 0), np.inf)
    found = np.zeros((m, 0), np.int64)
    squares = (queries**2).sum(1)
    step = max(1, CHUNK_FLOATS // max(dims, m))
    for start in range(0, len(train), step):
        block = flat(train[start : start + step])
        apart = squares[:, None] + (block**2).sum(1) - 2 * (queries @ block.T)
        rows = np.broadcast_to(np.arange(start, start + len(block)), apart.shape)
        best = np.concatenate([best, apart], 1)
        found = np.concatenate([found, rows], 1)
        if best.shape[1] > keep:
            chosen = np.argpartition(best, keep - 1, axis=1)[:, :keep]
            best = np.take_along_axis(best, chosen, 1)
            found = np.take_along_axis(found, chosen, 1)
        on_share(min(1.0, (start + step) / len(train)))
    return _ranked(queries, train, found, k)


def _ranked(
    queries: np.ndarray, train: np.ndarray, found: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of each row's candidates by their exact distance, then by index."""
    indices = np.empty((len(queries), k), np.int64)
    distances = np.empty((len(queries), k))
    for i, candidates in enumerate(found):
        exact = np.sqrt(((flat(train[candidates]) - queries[i]) ** 2).sum(1))
        order = np.lexsort((candidates, exact))[:k]
        indices[i], distances[i] = candidates[order], exact[order]
    return indices, distances


def psnr(distances: np.ndarray, pixels: int) -> np.ndarray:
    """Peak signal-to-noise ratio in dB at peak 1 from Euclidean distances; infinite at 0."""
    with np.errstate(divide="ignore"):
        return -20 * np.log10(distances / pixels**0.5)


def flat(images: np.ndarray) -> np.ndarray:
    """(N, D) float64 pixels of float images, or of uint8 ones on the 0..1 scale."""
    scale = 255 if images.dtype == np.uint8 else 1
    return images.reshape(len(images), -1).astype(np.float64) / scale


# --- reading --------------------------------------------------------------------------------------


def expected_seconds(images: int, train_images: int, pixels: int, spec: NearestTask) -> float:
    """Seconds the task will take, from the number of comparisons."""
    held = min(spec.held_out, train_images // 9)
    return START_S + (images + held) * train_images * pixels / MACS_PER_S


def of_image(arrays: dict[str, np.ndarray], image: int) -> Neighbours:
    """The neighbours of one image from a finished task's arrays."""
    first = arrays["distances"][image, 0]
    reference = arrays["held_out"]
    return Neighbours(
        images=arrays["pictures"][arrays["places"][image]],
        classes=arrays["classes"][image],
        indices=arrays["indices"][image],
        distances=arrays["distances"][image],
        psnr=arrays["psnr"][image],
        agrees=arrays["agrees"][image],
        held_out_farther=float(np.mean(reference > first)),
    )
