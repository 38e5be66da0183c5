"""Layer plans: an architecture as plain data, from which both the module and its cost are made.

No torch here, so a page can show parameters, operations and memory of a choice at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from ddcore.base.errors import SpecError

Shape = tuple[int, int, int]  # (channels, height, width)


@dataclass(frozen=True)
class Conv:
    """2-d convolution."""

    out: int
    kernel: int
    stride: int = 1
    padding: int = 0
    bias: bool = True


@dataclass(frozen=True)
class Norm:
    """Normalisation: "none", "instance", "batch", "layer" or "group" (4 groups), with affine."""

    kind: str


@dataclass(frozen=True)
class Act:
    """Activation: "relu", "leaky_relu" (0.01), "sigmoid" or "swish"."""

    kind: str


@dataclass(frozen=True)
class Pooling:
    """Pooling: "max" or "avg"."""

    kind: str
    kernel: int
    stride: int
    padding: int = 0


@dataclass(frozen=True)
class LocalResponseNorm:
    """Local response normalisation over channels (AlexCifarNet, Krizhevsky 2012)."""

    size: int
    alpha: float
    beta: float
    k: float


@dataclass(frozen=True)
class Linear:
    """Fully connected layer on the flattened input."""

    out: int


@dataclass(frozen=True)
class Residual:
    """`act(body(x) + shortcut(x))`; an empty shortcut is the identity."""

    body: Plan
    shortcut: Plan
    act: Act


Layer = Conv | Norm | Act | Pooling | LocalResponseNorm | Linear | Residual
Plan = tuple[Layer, ...]  # the last layer is the classifier, the input of it the features


@dataclass(frozen=True)
class NetCost:
    """What one image costs in one network."""

    macs: int  # multiply-adds of a forward pass
    parameters: int
    activations: int  # floats kept for a backward pass
    features: int  # length of the penultimate feature vector


def output_shape(layer: Layer, shape: Shape) -> Shape:
    """Shape after a layer; a layer that no longer fits raises `SpecError`."""
    c, h, w = shape
    if isinstance(layer, (Conv, Pooling)):
        height, width = ((s + 2 * layer.padding - layer.kernel) // layer.stride + 1 for s in (h, w))
        if min(height, width) < 1:
            raise SpecError(
                "net", f"{layer.kernel}x{layer.kernel} on {h}x{w}", "a network that fits the images"
            )
        return (layer.out if isinstance(layer, Conv) else c, height, width)
    if isinstance(layer, Linear):
        return (layer.out, 1, 1)
    if isinstance(layer, Residual):
        for inner in layer.body:
            shape = output_shape(inner, shape)
    return shape


def cost(plan: Plan, shape: Shape) -> NetCost:
    """Operations, parameters and activations of a plan on images of `shape`."""
    macs = parameters = activations = features = 0
    for layer in plan:
        after = output_shape(layer, shape)
        size = after[0] * after[1] * after[2]
        if isinstance(layer, Conv):
            weights = layer.out * shape[0] * layer.kernel**2
            macs += weights * after[1] * after[2]
            parameters += weights + (layer.out if layer.bias else 0)
        elif isinstance(layer, Linear):
            features = shape[0] * shape[1] * shape[2]
            macs += layer.out * features
            parameters += layer.out * (features + 1)
        elif isinstance(layer, Norm) and layer.kind != "none":
            parameters += 2 * shape[0]
        elif isinstance(layer, Residual):
            for branch in (layer.body, layer.shortcut):
                inner = cost(branch, shape)
                macs += inner.macs
                parameters += inner.parameters
                activations += inner.activations
        activations += size
        shape = after
    return NetCost(macs, parameters, activations, features)


def largest(plan: Plan, shape: Shape) -> int:
    """Numbers that the largest layer makes of an image of `shape`."""
    found = 0
    for layer in plan:
        inner = [largest(branch, shape) for branch in _branches(layer)]
        shape = output_shape(layer, shape)
        found = max(found, shape[0] * shape[1] * shape[2], *inner)
    return found


def _branches(layer: Layer) -> tuple[Plan, ...]:
    return (layer.body, layer.shortcut) if isinstance(layer, Residual) else ()


def small(shape: Shape) -> bool:
    """Images small enough for the set-up of the CPU (narrow networks, few iterations)."""
    return shape[1] <= 16
