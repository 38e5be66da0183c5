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

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.strategies import OPERATIONS, parse

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
    """Operation and parameters of n entries; each operation reads only its own parameters.

    `op` always stays on the CPU: `apply` branches on it, which would stall a GPU.
    """

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
        at = {device: index.to(device) for device in {self.op.device, self.mirror.device}}
        return self._map(lambda values: values.index_select(0, at[values.device]))

    def to(self, device: str | torch.device) -> Self:
        """With the parameters on `device`."""
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "op"}
        return type(self)(op=self.op, **moved)

    @classmethod
    def cat(cls, draws: list[Self]) -> Self:
        """The entries of several draws, one after the other."""
        return cls(*(torch.cat([getattr(d, f.name) for d in draws]) for f in fields(cls)))

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(*(function(getattr(self, f.name)) for f in fields(self)))


def sample(strategy: str, n: int, generator: torch.Generator) -> Draw:
    """Draw an operation and its parameters for n entries, on the CPU.

    All parameters are drawn whatever the operation, so the stream moves on by the same amount.
    """
    names = parse(strategy)
    # float64: no product with a number of pixels can be rounded up to the excluded end.
    u = torch.rand(n, UNIFORMS, generator=generator, dtype=torch.float64)
    which = (u[:, 0] * len(names)).long()
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
    if len(codes) == 1:
        return _apply_one(codes[0], images, draw)
    indices = [(draw.op == code).nonzero().flatten() for code in codes]
    parts = [
        _apply_one(code, images.index_select(0, i.to(images.device)), draw.take(i))
        for code, i in zip(codes, indices)
    ]
    back = torch.cat(indices).argsort().to(images.device)
    return torch.cat(parts).index_select(0, back)


def _apply_one(code: int, images: Tensor, draw: Draw) -> Tensor:
    return images if code == NONE else _OPERATIONS[code][1](images, draw.to(images.device))


# --- the operations: images (B, C, H, W) and a draw of B entries on the same device -----------------


def _colour(x: Tensor, draw: Draw) -> Tensor:
    """Brightness, saturation about the channel mean, contrast about the image mean, in this order."""
    brightness, saturation, contrast = draw.colour.to(x.dtype)[:, :, None, None, None].unbind(1)
    x = x + brightness
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * saturation + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * contrast + mean


def _crop(x: Tensor, draw: Draw) -> Tensor:
    """Move by whole pixels, both ways up to `reach`; what comes in is zero."""
    rows, row_outside = _moved(draw.shift[:, 0], draw.reach, x.shape[2])
    columns, column_outside = _moved(draw.shift[:, 1], draw.reach, x.shape[3])
    # Shifting around the border is a permutation, so the gradient never adds two pixels up.
    index = rows[:, :, None] * x.shape[3] + columns[:, None, :]
    moved = x.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, x.shape[1], -1))
    outside = row_outside[:, :, None] | column_outside[:, None, :]
    return moved.view_as(x).masked_fill(outside[:, None], 0)


def _moved(uniform: Tensor, reach: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Source index (B, side) of each pixel along one axis, wrapped, and whether it was outside."""
    most = (reach * side + 0.5).floor()
    shift = (uniform * (2 * most + 1)).floor() - most
    source = torch.arange(side, device=uniform.device) - shift.long()[:, None]
    return source % side, (source < 0) | (source >= side)


def _cutout(x: Tensor, draw: Draw) -> Tensor:
    """Clear a square of half the side around a random centre; what sticks out is lost."""
    rows = _hole(draw.hole[:, 0], x.shape[2])
    columns = _hole(draw.hole[:, 1], x.shape[3])
    return x.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _hole(uniform: Tensor, side: int) -> Tensor:
    """Which pixels (B, side) along one axis are in the hole."""
    size = int(CUTOUT * side + 0.5)
    centre = (uniform * (side + 1 - size % 2)).long()
    distance = torch.arange(side, device=uniform.device) - (centre - size // 2)[:, None]
    return (distance >= 0) & (distance < size)


def _flip(x: Tensor, draw: Draw) -> Tensor:
    """Mirror left and right, half of the images."""
    return torch.where(draw.mirror[:, None, None, None], x.flip(3), x)


def _scale(x: Tensor, draw: Draw) -> Tensor:
    """Scale height and width independently about the centre."""
    return _warp(x, torch.diag_embed(draw.stretch))


def _rotate(x: Tensor, draw: Draw) -> Tensor:
    """Rotate about the centre."""
    sin, cos = draw.angle.sin(), draw.angle.cos()
    rows = (torch.stack([cos, sin], dim=1), torch.stack([-sin, cos], dim=1))
    return _warp(x, torch.stack(rows, dim=1))


def _warp(x: Tensor, matrices: Tensor) -> Tensor:
    """Each pixel from the place `matrix @ (y, x)`, both in pixels from the centre; (B, 2, 2)."""
    h, w = x.shape[2:]
    matrices = matrices.to(x.dtype)
    y = torch.arange(h, device=x.device, dtype=matrices.dtype) - (h - 1) / 2
    z = torch.arange(w, device=x.device, dtype=matrices.dtype) - (w - 1) / 2
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


_OPERATIONS: tuple[tuple[str, Callable[[Tensor, Draw], Tensor]], ...] = (
    ("color", _colour),
    ("crop", _crop),
    ("cutout", _cutout),
    ("flip", _flip),
    ("scale", _scale),
    ("rotate", _rotate),
)
assert tuple(name for name, _ in _OPERATIONS) == OPERATIONS
_CODES = {name: code for code, name in enumerate(OPERATIONS)} | {
    "rotate45": OPERATIONS.index("rotate")
}
