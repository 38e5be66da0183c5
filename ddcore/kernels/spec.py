"""Which kernel machine: a feature map or a kernel, and its ridge. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from ddcore.base.errors import SpecError
from ddcore.base.fields import choice, flag, number, part, seed
from ddcore.base.specs import Spec
from ddcore.nets.architectures import NetSpec

MAPS = {
    "linear": "pixels",
    "fcnn": "random fully connected layers that can be undone",
    "rff": "random Fourier features",
    "affine": "random linear layers with biases, wider than the image",
}
KERNELS = {
    "ntk": "neural tangent kernel of infinitely wide fully connected networks",
    "nngp": "covariance of infinitely wide fully connected networks",
    "features": "features of random networks",
}


@dataclass(frozen=True, kw_only=True)
class KernelSpec(Spec):
    """Ridge regression on features of a map (`MAPS`), or with a kernel (`KERNELS`).

    The ridge is absolute for maps, where the loss is a sum over images (lambda of Chen et al. 2024), and
    relative to the mean of the kernel's diagonal for kernels (Nguyen et al. 2021).
    """

    kind: str = choice("ntk", {**MAPS, **KERNELS}, "The map or the kernel.")
    depth: int = number(1, 1, 20, "Layers of a map; hidden layers of ntk and nngp.")
    width: int = number(
        0,
        0,
        20_000,
        "Features of a map's layers; 0: as many as the image has numbers, affine half as many again.",
    )
    orthogonal: bool = flag(False, "Orthogonal weights of a map: better conditioned.")
    variance: float = number(1e-3, 1e-9, 1e3, "Of random Fourier weights.")
    bias: float = number(1.0, 0, 1e3, "Standard deviation of affine offsets.")
    seed: int = seed(help="The map is drawn from it.")
    net: NetSpec | None = part(None, "The random networks of kind features.")
    nets: int = number(0, 0, 10_000, "How many of them, drawn anew for every machine.")
    ridge: float = number(1e-6, 0, 1e9, "Absolute for maps, relative for kernels.")

    def validate(self) -> None:
        """Check that there are networks where they are needed."""
        if self.kind == "features":
            self.require("net", self.net is not None, "an architecture for its random networks")
            self.require_range("nets", 1, 10_000)

    @property
    def explicit(self) -> bool:
        """Whether features are computed one by one, so that the model has weights."""
        return self.kind in MAPS

    @property
    def random(self) -> bool:
        """Whether every machine draws a kernel of its own."""
        return self.kind == "features"

    @property
    def drawn(self) -> NetSpec:
        """The architecture of its random networks, which only kind "features" has."""
        if self.net is None:
            raise SpecError("kind", self.kind, "features, the kernel that has networks")
        return self.net

    def label(self) -> str:
        """Short name for tables."""
        layers = f"{self.depth} hidden layer{'s' if self.depth > 1 else ''}"
        if self.kind == "features":
            return f"Kernel of {self.nets} random {self.drawn.label()}"
        names = {
            "linear": "Linear ridge",
            "fcnn": f"Ridge on FCNN, {layers}",
            "rff": "Ridge on Fourier features",
            "affine": f"Ridge on linear network, {layers}",
            "ntk": f"NTK, {layers}",
            "nngp": f"NNGP, {layers}",
        }
        return names[self.kind]
