"""What a method is given (`Problem`) and what the runner drives (`Distiller`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol as Interface

import numpy as np
import torch
from torch import Tensor

from ddcore import rng
from ddcore.data.tensors import DeviceData
from ddcore.labels import HardLabels
from ddcore.methods.spec import DistillSpec
from ddcore.nets.network import Network
from ddcore.parametrizations import Pixels


@dataclass(frozen=True)
class Problem:
    """A run's fixed surroundings: the spec, the data on the device and the device itself."""

    spec: DistillSpec
    data: DeviceData
    device: str

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.data.num_classes

    def network(self, num_nets: int, *, fused_norm: bool = True) -> Network:
        """The spec's architecture for these images."""
        return Network(
            self.spec.net, self.data.shape, self.classes, num_nets, fused_norm=fused_norm
        )

    def generator(self, *labels: object) -> torch.Generator:
        """A random stream of this run. Naming the iteration in it makes resuming exact."""
        return rng.generator(self.spec.seed, *labels)

    def pixels(self, labels: HardLabels) -> Pixels:
        """The parametrization at its start."""
        return Pixels(self.spec.init, labels.targets(), self.data, self.generator("images"))


@dataclass(frozen=True)
class Current:
    """The set as it stands: what a `DistilledSet` needs beyond the spec."""

    images: np.ndarray
    labels: np.ndarray
    steps: int
    lrs: np.ndarray | None
    init_weights: dict[str, np.ndarray]


class Distiller(Interface):
    """A method at work. All randomness of iteration t comes from streams that name t."""

    optimiser: torch.optim.Optimizer

    def tensors(self) -> dict[str, Tensor]:
        """Learnable tensors by name; with the optimiser's state, the whole state of the run."""

    def step(self, iteration: int) -> dict[str, float]:
        """Put gradients on the tensors; returns metrics, `loss` among them. The runner steps."""

    def lr_factor(self, iteration: int) -> float:
        """The schedule: factor on every base step size."""

    def current(self) -> Current:
        """The set now."""


def to_numpy(tensor: Tensor) -> np.ndarray:
    """A detached copy on the CPU."""
    return tensor.detach().cpu().numpy().copy()
