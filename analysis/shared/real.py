"""Networks trained on all real images, as several analyses ask for them."""

from __future__ import annotations

from typing import Any

from analysis.runs import Chosen
from ddcore.nets.words import network
from ddcore.pools.real_spec import RealPool


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
