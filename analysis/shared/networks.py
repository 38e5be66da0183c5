"""What networks see in images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ddcore.base.errors import DataError

if TYPE_CHECKING:
    from ddcore.training.trained import Images, TrainedNets

AT_ONCE = 500  # images in a network


def features_of(nets: TrainedNets, which: int, images: Images) -> np.ndarray:
    """Penultimate features (B, F) of preprocessed images in one of the networks."""
    from ddcore.nets.network import select
    from ddcore.training.trained import TrainedNets

    params, stats = select(nets.params, which), select(nets.stats, which)
    one = TrainedNets(nets.network.with_nets(1), params, stats)
    found = one.features(images, AT_ONCE)[0].numpy()
    if not np.isfinite(found).all():
        raise DataError("The features of a network are not finite: train it with a smaller lr.")
    return found
