"""Operations in other words, for which the compiler writes vector instructions of a processor.

For the derivative of pooling it otherwise writes a loop over single numbers, which takes as long as all
convolutions of a ConvNet together. Values are the same but for the order of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

SIDE = 2  # of the windows that are written anew


def table() -> dict[Any, Callable[..., Any]]:
    """What stands for an operation; it may say `NotImplemented`."""
    import torch

    found = torch.ops.aten
    return {
        found.avg_pool2d.default: pooled,
        found.avg_pool2d_backward.default: spread,
    }


def pooled(
    images: Any,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    *others: Any,
) -> Any:
    """Means of squares of 2 x 2 pixels that meet: (B, C, H, W) to (B, C, H / 2, W / 2)."""
    if not _meet(images.shape, kernel, stride, padding, others):
        return NotImplemented
    squares = images.unflatten(3, (-1, SIDE)).unflatten(2, (-1, SIDE))
    above, below = squares.unbind(3)
    return (sum(above.unbind(-1)) + sum(below.unbind(-1))) * SIDE**-2


def spread(
    gradient: Any,
    images: Any,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    *others: Any,
) -> Any:
    """The adjoint of `pooled`: columns by a product with a matrix, rows by repeating them."""
    import torch

    if not _meet(images.shape, kernel, stride, padding, others):
        return NotImplemented
    half = gradient.shape[3]
    columns = torch.eye(half, dtype=gradient.dtype, device=gradient.device) * SIDE**-2
    wide = gradient.reshape(-1, half) @ columns.repeat_interleave(SIDE, 1)
    rows = wide.view(*gradient.shape[:3], 1, SIDE * half)
    return rows.expand(-1, -1, -1, SIDE, -1).flatten(2, 3)


def _meet(
    shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    others: Sequence[Any],
) -> bool:
    """Whether windows of 2 x 2 cover images of this shape without gaps or overlaps."""
    usual = (False, True, None)  # ceil_mode, count_include_pad, divisor_override
    even = not any(side % SIDE for side in shape[2:])
    windows = {*kernel, *(stride or kernel)} == {SIDE}
    return even and windows and not any(padding) and tuple(others) == usual[: len(others)]
