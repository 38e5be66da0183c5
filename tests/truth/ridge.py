"""Ridge regression in float64 by scikit-learn and LAPACK, on features written down from the paper.

Model: f(x) = W phi(x) without intercept, W minimises sum |y - W phi(x)|^2 + lambda |W|^2 over one-hot rows
y (Chen, Huang & Weng 2024, section 3).
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge


def features(kind, images, arrays):
    """phi of images (B, d) for a map whose weights were exported."""
    if kind == "linear":
        return images
    depth = sum(name.startswith("exact.phi.weight.") for name in arrays)
    for layer in range(depth):
        images = images @ arrays[f"exact.phi.weight.{layer}"].T
        if kind == "affine":
            images = images + arrays[f"exact.phi.bias.{layer}"]
        else:
            images = np.where(images > 0, images, arrays["exact.phi.slope"] * images)
    return images


def of_everything(phi, labels, lam):
    """W (k, p) by scikit-learn, from features (n, p) and classes (n,)."""
    model = Ridge(alpha=lam, fit_intercept=False, solver="svd")
    return model.fit(phi, np.eye(labels.max() + 1)[labels]).coef_


def of_set(phi, labels, lam, eps=2**-52):
    """W (k, p) from few features (m, p) and targets (m, k); least norm at lambda = 0.

    `eps` is the precision of the features: smaller singular values than max(m, p) eps s_max are rounding.
    """
    left, values, right = np.linalg.svd(phi, full_matrices=False)
    known = values > (max(phi.shape) * eps * values[0] if lam == 0 else 0)
    shrunk = np.zeros_like(values)
    shrunk[known] = values[known] / (values[known] ** 2 + lam)
    return (labels.T @ left) * shrunk @ right


def error(found, true):
    """Relative difference in the Frobenius norm."""
    return np.linalg.norm(found - true) / np.linalg.norm(true)


def accuracy(phi, labels, weights):
    """Share of classes called right."""
    return ((phi @ weights.T).argmax(1) == labels).mean()


def best_lambda(phi, labels, val_phi, val_labels, grid):
    """The lambda of best validation accuracy, the largest of equals; and that accuracy."""
    found = [(accuracy(val_phi, val_labels, of_everything(phi, labels, lam)), lam) for lam in grid]
    right, lam = max(found)
    return lam, right


def in_eight_bits(images):
    """Images after the whole set's range was stored in 256 steps."""
    low, high = images.min(), images.max()
    return np.rint((images - low) / (high - low) * 255) / 255 * (high - low) + low
