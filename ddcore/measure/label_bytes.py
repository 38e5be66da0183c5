"""How many bytes the labels of a set take: under large teachers often more than its images. No torch."""

from __future__ import annotations

from ddcore.base.texts import size
from ddcore.measure.regimes import HARD, ONLINE

HALF = 2  # bytes of a number of 16 bits, in which soft labels are kept


def kept_per_epoch(images: int, classes: int, epochs: int) -> int:
    """Bytes of the labels of Shen & Xing 2022, which SRe2L keeps: K numbers for each image and epoch."""
    return images * classes * epochs * HALF


def kept_once(images: int, classes: int) -> int:
    """Bytes of one soft label for each image."""
    return images * classes * HALF


def sentence(kind: str, images: int, classes: int, epochs: int) -> str:
    """What labels of a kind (`measure.regimes`) take here, and as others keep them."""
    if kind == HARD:
        return f"labels: a class for each image, {size(images * HALF)}"
    once = f"{size(kept_once(images, classes))} in float16"
    if kind != ONLINE:
        return f"labels: {classes:,} numbers for each image, {once}"
    each = size(kept_per_epoch(images, classes, epochs))
    return (
        f"labels: the teacher is asked on every batch, nothing is kept; kept in float16 for every image in "
        f"{epochs:,} epochs they take {each}, once for each image {once}"
    )
