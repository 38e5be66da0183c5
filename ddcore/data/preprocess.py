"""From pixels to what networks see and back: per-channel normalisation, or ZCA whitening."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

CHUNK = 2048  # numpy rows at a time: 2048 x 3072 floats are 25 MB


@dataclass(frozen=True, eq=False)
class Preprocess:
    """An invertible map between pixels on the [0, 1] scale and preprocessed float images.

    Normalising is `(x - mean) / std` per channel; whitening, if its three arrays are given, is
    `(x - zca_mean) @ zca_matrix` on flattened images and takes the place of normalising. Works on
    numpy arrays and torch tensors `(..., C, H, W)` alike, differentiably on the latter.
    """

    mean: np.ndarray  # (C,)
    std: np.ndarray  # (C,)
    zca_mean: np.ndarray | None = None  # (D,) with D = C * H * W
    zca_matrix: np.ndarray | None = None  # (D, D)
    zca_inverse: np.ndarray | None = None  # (D, D)
    # The constants as tensors, by (device, dtype): sending a 3072 x 3072 matrix each step is slow.
    _tensors: dict[Any, dict[str, Any]] = field(default_factory=dict, init=False, repr=False)

    @property
    def whitens(self) -> bool:
        """Whether this is ZCA rather than normalisation."""
        return self.zca_matrix is not None

    def forward(self, images: Any) -> Any:
        """uint8 images, or float pixels on the [0, 1] scale, to preprocessed float32."""
        return self._each(images, self._forward)

    def inverse(self, images: Any) -> Any:
        """Preprocessed images to pixels: 0..1 for real ones, never clamped."""
        return self._each(images, self._inverse)

    def _forward(self, images: Any) -> Any:
        x = images / np.float32(255) if str(images.dtype).endswith("uint8") else images
        of = self._constants(x)
        if not self.whitens:
            return (x - of["mean"][:, None, None]) / of["std"][:, None, None]
        flat = x.reshape(*x.shape[:-3], -1)
        return ((flat - of["zca_mean"]) @ of["zca_matrix"]).reshape(x.shape)

    def _inverse(self, images: Any) -> Any:
        of = self._constants(images)
        if not self.whitens:
            return images * of["std"][:, None, None] + of["mean"][:, None, None]
        flat = images.reshape(*images.shape[:-3], -1)
        return (flat @ of["zca_inverse"] + of["zca_mean"]).reshape(images.shape)

    def _each(self, images: Any, function: Any) -> Any:
        """numpy in chunks, so that whitening a whole dataset needs little beyond its result."""
        if not isinstance(images, np.ndarray):
            return function(images)
        if images.dtype not in (np.uint8, np.float32):
            images = images.astype(np.float32)
        if images.ndim != 4 or len(images) <= CHUNK:
            return function(images)
        out = np.empty(images.shape, np.float32)
        for start in range(0, len(images), CHUNK):
            out[start : start + CHUNK] = function(images[start : start + CHUNK])
        return out

    def _constants(self, like: Any) -> dict[str, Any]:
        """The arrays as the same kind of object as `like`, on its device and of its type."""
        if isinstance(like, np.ndarray):
            return self._given()
        key = (str(like.device), like.dtype)
        if key not in self._tensors:
            import torch  # certainly loaded: `like` is a tensor

            self._tensors[key] = {
                name: torch.as_tensor(array, device=like.device, dtype=like.dtype)
                for name, array in self._given().items()
            }
        return self._tensors[key]

    def _given(self) -> dict[str, np.ndarray]:
        names = ("mean", "std", "zca_mean", "zca_matrix", "zca_inverse")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    # --- carrying it along with images ----------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The small facts, ready for JSON; the arrays come from `arrays`."""
        kind = "zca" if self.whitens else "normalise"
        return {"preprocess": kind, "mean": self.mean.tolist(), "std": self.std.tolist()}

    def arrays(self, prefix: str = "preprocess.") -> dict[str, np.ndarray]:
        """Everything needed to rebuild it, for a safetensors file."""
        return {prefix + name: array for name, array in self._given().items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], prefix: str = "preprocess.") -> Self:
        """Inverse of `arrays`; other entries are ignored."""
        names = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        return cls(**names)
