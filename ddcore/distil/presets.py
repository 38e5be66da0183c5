"""What the presets of several methods share."""

from __future__ import annotations

from typing import Any

from ddcore.data.registry import mirrored
from ddcore.nets.plan import Shape, small
from ddcore.training.protocols import PROTOCOLS


def hour(shape: Shape, teaching: dict[str, Any], **params: Any) -> dict[str, dict[str, Any]]:
    """The preset "hour" by its name: what two cores carry in about an hour for ten images per class.

    It is `teaching` with some `params`, judged after 300 epochs and chosen among eight checkpoints. Empty
    for small images, on which "teaching" leaves little to gain, and for larger ones than 32 pixels, on
    which that takes an hour by itself.
    """
    if small(shape) or max(shape[1:]) > 32:
        return {}
    own = {
        "protocol": PROTOCOLS["t300"],
        "validations": 8,
        "params": {**teaching["params"], **params},
    }
    return {"hour": {**teaching, **own}}


def dsa_strategy(data: str) -> str:
    """Augmentation of Zhao & Bilen 2021 for this data."""
    flip = "flip_" if mirrored(data) else ""
    return f"color_crop_cutout_{flip}scale_rotate"
