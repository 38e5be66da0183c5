"""The image itself as its features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ddcore.kernels.feature_maps.base import (
    FeatureMap,
)


@dataclass(frozen=True, eq=False)
class LinearMap(FeatureMap):
    """The image itself: phi(x) = x."""

    kind: ClassVar[str] = "linear"

    size: int

    @property
    def inputs(self) -> int:
        """d."""
        return self.size

    @property
    def features(self) -> int:
        """p = d."""
        return self.size

    def __call__(self, images: Tensor) -> Tensor:
        """The images as float64."""
        return images.double()

    def preimage(self, features: Tensor) -> Tensor:
        """The features."""
        return features.double()

    exact = True
    reason = "the features are the image itself"

    def arrays(self) -> dict[str, np.ndarray]:
        """The size."""
        return {"size": np.array(self.size)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], device: str | torch.device) -> LinearMap:
        """Inverse of `arrays`."""
        return cls(int(arrays["size"]))
