"""Which kernel machine: a feature map or a kernel, and its ridge. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from ddcore.base.errors import SpecError
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
    """Ridge regression on features of a map, or with a kernel.

    Maps (`MAPS`) have `depth` layers of `width` features (0: as many as the image has numbers; affine:
    half as many again), drawn with `seed`; `orthogonal` weights are better conditioned, `variance` is that
    of random Fourier weights, `bias` the standard deviation of affine offsets. ntk and nngp have `depth`
    hidden layers. features are those of `nets` random networks `net`, drawn anew for every machine.

    `ridge` is absolute for maps, where the loss is a sum over images (lambda of Chen et al. 2024), and
    relative to the mean of the kernel's diagonal for kernels (Nguyen et al. 2021).
    """

    kind: str = "ntk"
    depth: int = 1
    width: int = 0
    orthogonal: bool = False
    variance: float = 1e-3
    bias: float = 1.0
    seed: int = 0
    net: NetSpec | None = None
    nets: int = 0
    ridge: float = 1e-6

    def validate(self) -> None:
        """Check ranges."""
        self.require_choice("kind", (*MAPS, *KERNELS))
        self.require_range("depth", 1, 20)
        self.require_range("width", 0, 20_000)
        self.require_range("variance", 1e-9, 1e3)
        self.require_range("bias", 0, 1e3)
        self.require_range("ridge", 0, 1e9)
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
