"""A network from torch's own layers, for use outside this project."""

from __future__ import annotations

import math

import torch.nn as nn
from torch import Tensor

from ddcore.nets.network import BN_MOMENTUM, EPS, Network, Weights
from ddcore.nets.plan import (
    Act,
    Conv,
    Layer,
    Linear,
    LocalResponseNorm,
    Norm,
    Plan,
    Pooling,
    Shape,
    output_shape,
)


class _ResidualModule(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.act = body, shortcut, act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.shortcut(x))


def to_module(
    network: Network, params: Weights, stats: Weights | None = None, index: int = 0
) -> nn.Module:
    """Network `index` as an ordinary `nn.Module` of torch's own layers, for use outside this project."""
    dtype = next(iter(params.values())).dtype
    module = _build(network.plan, network.shape).to(dtype)
    state = {name: w[index].detach().cpu() for name, w in params.items()}
    for name, value in (stats or {}).items():
        layer, which = name.rsplit(".", 1)
        state[f"{layer}.running_{which}"] = value[index].cpu()
    missing = module.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys, missing
    return module.eval()


def _build(plan: Plan, shape: Shape) -> nn.Sequential:
    modules: list[nn.Module] = []
    for layer in plan:
        modules.append(_module(layer, shape))
        shape = output_shape(layer, shape)
    return nn.Sequential(*modules)


def _module(layer: Layer, shape: Shape) -> nn.Module:
    """torch's own layer for images of `shape`."""
    if isinstance(layer, Conv):
        size = (layer.kernel, layer.stride, layer.padding)
        return nn.Conv2d(shape[0], layer.out, *size, bias=layer.bias)
    if isinstance(layer, Linear):
        return _FlatLinear(math.prod(shape), layer.out)
    if isinstance(layer, Pooling):
        kind = nn.MaxPool2d if layer.kind == "max" else nn.AvgPool2d
        return kind(layer.kernel, layer.stride, layer.padding)
    if isinstance(layer, Norm):
        return _norm(layer.kind, shape[0])
    if isinstance(layer, Act):
        kinds = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "swish": nn.SiLU}
        return nn.LeakyReLU(0.01) if layer.kind == "leaky_relu" else kinds[layer.kind]()
    if isinstance(layer, LocalResponseNorm):
        return nn.LocalResponseNorm(layer.size, layer.alpha, layer.beta, layer.k)
    return _ResidualModule(_build(layer.body, shape), _build(layer.shortcut, shape), nn.ReLU())


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == "none":
        return nn.Identity()
    if kind == "batch":
        return nn.BatchNorm2d(channels, eps=EPS, momentum=BN_MOMENTUM)
    groups = {"instance": channels, "layer": 1, "group": 4}
    return nn.GroupNorm(groups[kind], channels, EPS)


class _FlatLinear(nn.Linear):
    """A linear layer that flattens whatever arrives."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))
