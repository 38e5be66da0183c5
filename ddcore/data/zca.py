"""Runner of `ZcaTask`: the symmetric whitening of pixels, and its inverse.

With the covariance of the training part `U diag(s) U'`, the matrix is `U diag((s + eps)^-1/2) U'`
(Krizhevsky 2009, appendix A; eps = 0.1 on the [0, 1] scale as in Cazenavette et al. 2022).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ddcore.base.errors import DataError
from ddcore.base.isolated import Progress
from ddcore.data.dataset import validation_mask
from ddcore.data.preprocess import Preprocess
from ddcore.data.sources._raw import no_progress
from ddcore.data.spec import ZcaTask

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context

MAX_DIMENSIONS = 12_288  # 3 x 64 x 64: the matrix in float64 takes 1.2 GB, its eigenvectors minutes
TOLERANCE = 1e-4
BLOCK = 2048


def run(context: Context[ZcaTask]) -> None:
    """Compute, check that it can be undone, save."""
    task = context.spec
    data = context.need(task.dataset)
    arrays, classes = data.arrays(), len(data.result()["class_names"])
    labels = arrays["train_labels"]
    held = validation_mask(labels, classes, task.val_fraction, task.split_seed)
    images = arrays["train_images"][~held]
    dimensions = int(np.prod(images.shape[1:]))
    if dimensions > MAX_DIMENSIONS:
        raise DataError(
            f"preprocess = 'zca' on pictures of shape {images.shape[1:]} needs a {dimensions} x "
            f"{dimensions} matrix: expected at most {MAX_DIMENSIONS} values, choose a smaller resolution."
        )
    whitening, variances = fit(images, task.eps, context.progress)
    error = roundtrip_error(whitening, images[:BLOCK])
    if not error <= TOLERANCE:
        raise DataError(
            f"zca_eps = {task.eps:g} makes a whitening that cannot be undone (error {error:.1e}, "
            f"allowed {TOLERANCE:g}): choose a larger one."
        )
    context.save_arrays(whitening)
    context.save_result(
        {
            "images": len(images),
            "eps": task.eps,
            "largest_variance": float(variances[-1]),
            "smallest_variance": float(variances[0]),
            "roundtrip_error": error,
        }
    )


def fit(
    images: np.ndarray, eps: float, progress: Progress = no_progress
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Whitening of uint8 images: mean (D,), matrix and inverse (D, D) in float32; variances (D,).

    Everything is summed and decomposed in float64; variances are those along the principal axes,
    ascending.
    """
    flat = images.reshape(len(images), -1)
    mean = flat.mean(axis=0, dtype=np.float64) / 255
    covariance = np.zeros((flat.shape[1],) * 2)
    steps = len(flat) + len(flat) // 2  # the decomposition takes about half as long as the sums
    for start in range(0, len(flat), BLOCK):
        block = flat[start : start + BLOCK] / 255 - mean
        covariance += block.T @ block
        progress(start, steps)
    covariance /= max(1, len(flat) - 1)
    variances, axes = np.linalg.eigh(covariance)
    variances = np.maximum(variances, 0)  # rounding makes zero variances slightly negative
    root = np.sqrt(variances + eps)
    progress(steps, steps)
    arrays = {"mean": mean, "matrix": (axes / root) @ axes.T, "inverse": (axes * root) @ axes.T}
    return {name: array.astype(np.float32) for name, array in arrays.items()}, variances


def roundtrip_error(whitening: dict[str, np.ndarray], images: np.ndarray) -> float:
    """Largest difference (pixels on the [0, 1] scale) after whitening uint8 images and undoing it."""
    channels = images.shape[1]
    one = np.ones(channels, np.float32)
    arrays = {f"zca_{name}": array for name, array in whitening.items()}
    both = Preprocess(0 * one, one, **arrays)
    back = both.inverse(both.forward(images))
    return float(np.abs(back - images / np.float32(255)).max())
