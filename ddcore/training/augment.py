"""Differentiable siamese augmentation (Zhao & Bilen 2021): one random operation per image.

A `Draw` is made once from an explicit generator and applied as often as needed, so real and synthetic
images can share it ("siamese") and a resumed run repeats it. Sizes are ratios of the side; a draw
depends neither on the image size nor on the device.

    draw = sample("color_crop_cutout_flip_scale_rotate", classes, generator)
    real = apply(real, draw.take(real_labels))
    synthetic = apply(synthetic, draw.take(labels))

Everything is differentiable twice with respect to the images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import chain, islice
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base.placing import placed_together
from ddcore.training.strategies import OPERATIONS, parse

NONE = -1  # the operation of an entry that stays as it is
CUTOUT = 0.5  # side of the hole, as a share of the image's side
UNIFORMS = 12  # random numbers per entry


@dataclass(frozen=True)
class _Sizes:
    """How strong the geometric operations are."""

    crop: float  # largest shift, as a share of the side
    rotate: float  # largest angle in degrees


_DSA = _Sizes(crop=0.125, rotate=15)
# "rotate45" marks DC's own augmentation, which also shifts by 4 of 28 pixels and scales by 1 +- 0.2.
_DC = _Sizes(crop=4 / 28, rotate=45)


@dataclass(frozen=True, eq=False)
class Draw:
    """Operation and parameters of n entries, on the CPU; each operation reads only its own parameters."""

    op: Tensor  # (n,) int64: index into the operations, or NONE
    mirror: Tensor  # (n,) bool
    reach: Tensor  # (n,) largest shift as a share of the side
    shift: Tensor  # (n, 2) uniform in [0, 1): vertical, horizontal
    hole: Tensor  # (n, 2) uniform in [0, 1): centre of the cutout
    stretch: Tensor  # (n, 2) source pixels per pixel, vertical and horizontal: above 1 shrinks
    angle: Tensor  # (n,) radians, counter-clockwise as seen
    colour: Tensor  # (n, 3) added brightness, factor of saturation, factor of contrast

    def __len__(self) -> int:
        return len(self.op)

    def take(self, index: Tensor) -> Self:
        """Entries at `index` (m,), for example the labels of images whose classes share a draw.

        An index on the CPU avoids waiting for a GPU.
        """
        index = index.to(self.op.device)
        return self._map(lambda values: values.index_select(0, index))

    @classmethod
    def cat(cls, draws: Sequence[Self]) -> Self:
        """The entries of several draws, one after the other."""
        return cls(*(torch.cat([getattr(d, f.name) for d in draws]) for f in fields(cls)))

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(*(function(getattr(self, f.name)) for f in fields(self)))


def sample(strategy: str, n: int, generator: torch.Generator, *, together: bool = False) -> Draw:
    """Draw an operation and its parameters for n entries, on the CPU.

    All parameters are drawn whatever the operation, so the stream moves on by the same amount. `together`:
    all entries have the operation of the first, each with its own parameters.
    """
    names = parse(strategy)
    # float64: no product with a number of pixels can be rounded up to the excluded end.
    u = torch.rand(n, UNIFORMS, generator=generator, dtype=torch.float64)
    which = (u[:, 0] * len(names)).long()
    if together:
        which = which[:1].expand(n)
    codes = torch.tensor([_CODES[name] for name in names] or [NONE])
    sizes = _DC if "rotate45" in names else _DSA
    if sizes is _DC:
        stretch = 1 / (0.8 + 0.4 * u[:, 6:8])  # the image is scaled by U(0.8, 1.2)
    else:
        stretch = 1 / 1.2 + (1.2 - 1 / 1.2) * u[:, 6:8]  # the sampling grid is
    angle = torch.deg2rad((2 * u[:, 8] - 1) * sizes.rotate)
    # brightness +U(-.5, .5), saturation xU(0, 2), contrast xU(.5, 1.5)
    colour = u[:, 9:12] * torch.tensor([1.0, 2.0, 1.0]) + torch.tensor([-0.5, 0.0, 0.5])
    return Draw(
        op=codes[which],
        mirror=u[:, 1] < 0.5,
        reach=torch.full((n,), sizes.crop, dtype=torch.float64),
        shift=u[:, 2:4],
        hole=u[:, 4:6],
        stretch=stretch,
        angle=angle,
        colour=colour,
    )


def apply(images: Tensor, draw: Draw) -> Tensor:
    """Augment float images (B, C, H, W) by a draw with B entries; out of place, twice differentiable.

    Shifting, mirroring and cutting out move or clear whole pixels; scaling and rotating interpolate
    bilinearly with zeros around the image. Each operation runs once, on the images that have it.
    """
    if len(draw) != len(images):
        raise ValueError(f"{len(images)} images cannot be augmented by {len(draw)} drawn entries.")
    codes = draw.op.unique().tolist()
    if not codes:
        return images
    # All that depends on the draw alone is found on the CPU and put beside the images by one copy.
    groups = [(draw.op == code).nonzero().flatten() for code in codes]
    asked = [_asked(code, draw.take(group), images) for code, group in zip(codes, groups)]
    order = torch.cat(groups).argsort()
    placed = iter(placed_together([order, *groups, *chain(*asked)], images.device))
    order, *groups = islice(placed, 1 + len(groups))
    parts = []
    for code, group, own in zip(codes, groups, asked):
        part = images if len(codes) == 1 else images.index_select(0, group)
        parts.append(_applied(code, part, list(islice(placed, len(own)))))
    return parts[0] if len(codes) == 1 else torch.cat(parts).index_select(0, order)


def _asked(code: int, draw: Draw, images: Tensor) -> tuple[Tensor, ...]:
    return () if code == NONE else _OPERATIONS[code][1](draw, images)


def _applied(code: int, images: Tensor, asked: list[Tensor]) -> Tensor:
    return images if code == NONE else _OPERATIONS[code][2](images, *asked)


# --- the operations ---------------------------------------------------------------------------------
# Each is two functions: what it asks of a draw of B entries, as small tensors on the CPU, given images
# (B, C, H, W) of which only size and kind count; and what it does to the images with these.


def _colours(draw: Draw, images: Tensor) -> tuple[Tensor]:
    return (draw.colour.to(images.dtype),)


def _colour(x: Tensor, colour: Tensor) -> Tensor:
    """Brightness, saturation about the channel mean, contrast about the image mean, in this order."""
    brightness, saturation, contrast = colour[:, :, None, None, None].unbind(1)
    x = x + brightness
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * saturation + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * contrast + mean


def _moves(draw: Draw, images: Tensor) -> tuple[Tensor, ...]:
    """Source index (B, side) of each row and column, wrapped, and which of them were outside."""
    rows, row_outside = _moved(draw.shift[:, 0], draw.reach, images.shape[2])
    columns, column_outside = _moved(draw.shift[:, 1], draw.reach, images.shape[3])
    return rows * images.shape[3], row_outside, columns, column_outside


def _moved(uniform: Tensor, reach: Tensor, side: int) -> tuple[Tensor, Tensor]:
    most = (reach * side + 0.5).floor()
    shift = (uniform * (2 * most + 1)).floor() - most
    source = torch.arange(side) - shift.long()[:, None]
    return source % side, (source < 0) | (source >= side)


def _crop(
    x: Tensor, rows: Tensor, row_outside: Tensor, columns: Tensor, column_outside: Tensor
) -> Tensor:
    """Move by whole pixels, both ways up to `reach`; what comes in is zero."""
    # Shifting around the border is a permutation, so the gradient never adds two pixels up.
    index = rows[:, :, None] + columns[:, None, :]
    moved = x.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, x.shape[1], -1))
    outside = row_outside[:, :, None] | column_outside[:, None, :]
    return moved.view_as(x).masked_fill(outside[:, None], 0)


def _holes(draw: Draw, images: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows (B, H) and which columns (B, W) are in the hole."""
    rows, columns = (_hole(draw.hole[:, axis], images.shape[2 + axis]) for axis in (0, 1))
    return rows, columns


def _hole(uniform: Tensor, side: int) -> Tensor:
    size = int(CUTOUT * side + 0.5)
    centre = (uniform * (side + 1 - size % 2)).long()
    distance = torch.arange(side) - (centre - size // 2)[:, None]
    return (distance >= 0) & (distance < size)


def _cutout(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Clear a square of half the side around a random centre; what sticks out is lost."""
    return x.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _mirrors(draw: Draw, images: Tensor) -> tuple[Tensor]:
    return (draw.mirror,)


def _flip(x: Tensor, mirror: Tensor) -> Tensor:
    """Mirror left and right, half of the images."""
    return torch.where(mirror[:, None, None, None], x.flip(3), x)


def _scales(draw: Draw, images: Tensor) -> tuple[Tensor, ...]:
    """Height and width are scaled independently about the centre."""
    return _warped(torch.diag_embed(draw.stretch), images)


def _rotations(draw: Draw, images: Tensor) -> tuple[Tensor, ...]:
    """Rotated about the centre."""
    sin, cos = draw.angle.sin(), draw.angle.cos()
    rows = (torch.stack([cos, sin], dim=1), torch.stack([-sin, cos], dim=1))
    return _warped(torch.stack(rows, dim=1), images)


def _warped(matrices: Tensor, images: Tensor) -> tuple[Tensor, ...]:
    """Matrices (B, 2, 2), and the places of rows and columns as seen from the centre."""
    places = (torch.arange(n, dtype=images.dtype) - (n - 1) / 2 for n in images.shape[2:])
    return matrices.to(images.dtype), *places


def _warp(x: Tensor, matrices: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Each pixel from the place `matrix @ (y, z)`, both in pixels from the centre."""
    h, w = x.shape[2:]
    m = matrices[:, :, :, None, None]
    source_y = m[:, 0, 0] * y[:, None] + m[:, 0, 1] * z
    source_x = m[:, 1, 0] * y[:, None] + m[:, 1, 1] * z
    # grid_sample wants (x, y) with -1 and 1 at the outer edges of the border pixels.
    grid = torch.stack([source_x * (2 / w), source_y * (2 / h)], dim=-1)
    return _Sample.apply(x, grid)


class _Sample(torch.autograd.Function):
    """Bilinear `grid_sample` for a constant grid, differentiable any number of times.

    PyTorch has no second derivative of grid_sample. For a constant grid it is linear in the images,
    so its gradient is its adjoint and the gradient of the adjoint is sampling again.
    """

    @staticmethod
    def forward(images: Tensor, grid: Tensor) -> Tensor:
        return F.grid_sample(images, grid, align_corners=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        images, grid = inputs
        ctx.save_for_backward(grid)
        ctx.shape = images.shape

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _Spread.apply(gradient, grid, ctx.shape), None


class _Spread(torch.autograd.Function):
    """The adjoint of `_Sample`."""

    @staticmethod
    def forward(values: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        if values.device.type != "cpu":
            return _spread(values, grid, shape)
        # The kernel asks for the images only to differentiate with respect to the grid.
        unused = values.new_zeros(shape)
        modes = (0, 0, False, (True, False))  # bilinear, zeros, align_corners, which gradients
        return torch.ops.aten.grid_sampler_2d_backward(values, unused, grid, *modes)[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, torch.Size], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sample.apply(gradient, grid), None, None


def _spread(values: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
    """As the library's kernel, whose sums on a GPU are in any order; those of `index_put_` need not be."""
    count, channels, h, w = shape
    grid = grid[:, None]  # beside the four corners that share a value
    x, y = ((grid[..., i] + 1) * (side / 2) - 0.5 for i, side in enumerate((w, h)))
    corner = torch.arange(4, device=grid.device).view(4, 1, 1)
    column, row = x.floor() + corner % 2, y.floor() + corner // 2
    share = (1 - (x - column).abs()) * (1 - (y - row).abs())
    # What lies outside goes into a border that is cut off.
    column, row = ((at.clamp(-1, side) + 1).long() for at, side in ((column, w), (row, h)))
    first = torch.arange(count, device=grid.device).view(-1, 1, 1, 1) * (h + 2)
    index = ((first + row) * (w + 2) + column).flatten()
    parts = (values[:, None] * share[:, :, None]).movedim(2, -1).reshape(-1, channels)
    flat = values.new_zeros(count * (h + 2) * (w + 2), channels)
    flat.index_put_((index,), parts, accumulate=True)
    return flat.view(count, h + 2, w + 2, channels)[:, 1:-1, 1:-1].movedim(-1, 1)


_OPERATIONS: tuple[tuple[str, Callable[..., tuple[Tensor, ...]], Callable[..., Tensor]], ...] = (
    ("color", _colours, _colour),
    ("crop", _moves, _crop),
    ("cutout", _holes, _cutout),
    ("flip", _mirrors, _flip),
    ("scale", _scales, _warp),
    ("rotate", _rotations, _warp),
)
assert tuple(name for name, _, _ in _OPERATIONS) == OPERATIONS
_CODES = {name: code for code, name in enumerate(OPERATIONS)} | {
    "rotate45": OPERATIONS.index("rotate")
}
