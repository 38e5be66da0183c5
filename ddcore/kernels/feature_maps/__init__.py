"""Frozen feature maps phi with their preimages, for ridge regression and its exact distillation.

Chen, Huang & Weng (NeurIPS 2024) recover a model exactly if every feature vector has an image, that is
if phi is surjective. A map is drawn from a seed and then fixed; a set made for one map is exact for no
other, so `arrays` belong into the file of a set.
"""

from __future__ import annotations

import numpy as np
import torch

from ddcore.kernels.feature_maps.affine import Affine
from ddcore.kernels.feature_maps.base import FeatureMap, Solver, require
from ddcore.kernels.feature_maps.fcnn import FCNN
from ddcore.kernels.feature_maps.linear import LinearMap
from ddcore.kernels.feature_maps.rff import RFF

__all__ = ["FCNN", "RFF", "Affine", "FeatureMap", "LinearMap", "Solver", "from_arrays"]

KINDS: dict[str, type[FeatureMap]] = {c.kind: c for c in (LinearMap, FCNN, RFF, Affine)}


def from_arrays(
    kind: str, arrays: dict[str, np.ndarray], device: str | torch.device = "cpu"
) -> FeatureMap:
    """The map that `arrays()` of this kind were taken from; `SpecError` for an unknown kind."""
    require("kind", kind, kind in KINDS, "one of " + ", ".join(KINDS))
    return KINDS[kind].from_arrays(arrays, device)
