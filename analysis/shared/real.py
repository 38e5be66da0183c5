"""Real images, and networks trained on all of them, as several analyses ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.runs import Chosen
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.nets.words import network
from ddcore.pools.real_spec import RealPool

if TYPE_CHECKING:
    from ddcore.data import Dataset


def real_pool(spec: Any, chosen: Chosen, field: str, text: str) -> RealPool:
    """Networks written as `text` in a field, trained on all real images by the spec's recipe.

    The spec has nets, seed, epochs, batch and lr; analyses with the same recipe share the pool.
    """
    return RealPool(
        data=chosen.data,
        net=network(field, text, chosen.shape, chosen.classes),
        nets=spec.nets,
        seed=spec.seed,
        epochs=spec.epochs,
        batch=spec.batch,
        lr=spec.lr,
    )


def random_real(dataset: Dataset, ipc: int, nets: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Preprocessed real images (nets, M, C, H, W), a draw for each network, and their labels (M,).

    Sorted by class; draw i of a smaller size is part of draw i of every larger one.
    """
    from ddcore.pools.real import first_per_class, per_class_orders

    classes = dataset.num_classes
    least = int(np.bincount(dataset.train_labels, minlength=classes).min())
    if ipc > least:
        raise SpecError("run_keys", ipc, f"sets with at most {least} images per class")
    draws = []
    for i in range(nets):
        stream = rng.derive(seed, "random real", i)
        draws.append(first_per_class(per_class_orders(dataset.train_labels, classes, stream), ipc))
    rows = np.stack(draws)
    images = dataset.preprocess(dataset.train_images[rows.ravel()])
    return images.reshape(*rows.shape, *images.shape[1:]), dataset.train_labels[rows[0]]
