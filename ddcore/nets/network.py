"""N networks of one architecture computed as one, as a pure function of their stacked weights.

Weights are a dict of tensors with a leading network axis. Activations travel as (B, N*C, H, W), so a
convolution of all networks is one grouped convolution and instance norm needs no change at all; a
linear layer is one batched product. Being a pure function, the network can be differentiated any
number of times with respect to weights and images.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base.placing import placed, placed_together
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import (
    Act,
    Conv,
    Linear,
    LocalResponseNorm,
    Norm,
    Plan,
    Pooling,
    Residual,
    Shape,
    output_shape,
)
from ddcore.nets.precision import FLOAT32

Weights = dict[str, Tensor]  # stacked weights by name
EPS = 1e-5
BN_MOMENTUM = 0.1


def shape_of(images: Tensor) -> Shape:
    """(C, H, W) of images (..., C, H, W)."""
    channels, height, width = images.shape[-3:]
    return channels, height, width


class Network:
    """`num_nets` networks of one plan; holds no weights.

    `fused_norm=False` uses norms written from elementary operations, whose derivatives of every order
    are right under each composition of torch.func (library norms are silently wrong under vmapped
    forward-over-reverse). The fused ones are right in plain autograd, second derivatives too, and 1.1 to
    1.5x faster there. With `precision` "bfloat16" convolutions, forward and backward, take and give
    numbers of 16 bits; all else stays float32. Networks that are equal compute the same.
    """

    def __init__(
        self,
        net: NetSpec,
        shape: Shape,
        classes: int,
        num_nets: int = 1,
        *,
        fused_norm: bool = True,
        precision: str = FLOAT32,
    ) -> None:
        self.net, self.shape, self.classes, self.num_nets = net, shape, classes, num_nets
        self.plan: Plan = net.plan(shape, classes)
        self.fused_norm, self.precision = fused_norm, precision

    def _value(self) -> tuple[object, ...]:
        parts = (self.net, self.shape, self.classes, self.num_nets)
        return (*parts, self.fused_norm, self.precision)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self._value() == other._value()

    def __hash__(self) -> int:
        return hash(self._value())

    def __repr__(self) -> str:
        return f"Network{self._value()}"

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The names of its weights, in their order."""
        return tuple(_names(self.plan, self.shape))

    @functools.cached_property
    def stat_names(self) -> tuple[str, ...]:
        """The names of the running statistics of its batch norms, in their order."""
        norms = _batch_norms(self.plan, self.shape)
        return tuple(f"{name}.{which}" for name, _ in norms for which in ("mean", "var"))

    @functools.cached_property
    def normed(self) -> bool:
        """Whether its plan has norms, be it such as do nothing."""
        return any(isinstance(layer, Norm) for _, layer, _ in _weighted(self.plan, self.shape))

    def in_order(self, params: Weights, stats: Weights | None = None) -> list[Tensor]:
        """Weights, then statistics, in the order of `names`: files and other people may have another."""
        of_norms = [stats[name] for name in self.stat_names] if stats else []
        return [*(params[name] for name in self.names), *of_norms]

    def split(self, tensors: Sequence[Tensor]) -> tuple[Weights, Sequence[Tensor]]:
        """Weights by name, and the rest, of tensors that begin with them in their order."""
        count = len(self.names)
        return dict(zip(self.names, tensors[:count])), tensors[count:]

    def statistics(self, tensors: Sequence[Tensor]) -> Weights | None:
        """Running statistics by name, of tensors in their order; None where there are none."""
        return dict(zip(self.stat_names, tensors)) or None

    def with_nets(self, num_nets: int) -> Network:
        """The same architecture for another number of networks."""
        return self._copy(num_nets, self.precision)

    def in_float32(self) -> Network:
        """The same networks with all numbers in 32 bits."""
        return self._copy(self.num_nets, FLOAT32)

    def _copy(self, num_nets: int, precision: str) -> Network:
        kept = (self.net, self.shape, self.classes)
        return Network(*kept, num_nets, fused_norm=self.fused_norm, precision=precision)

    # --- weights --------------------------------------------------------------------------------

    def init(
        self,
        generators: torch.Generator | Sequence[torch.Generator],
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Weights:
        """Fresh weights, drawn on the CPU.

        One generator draws all networks together; a list gives each network its own stream, so that
        network i is the same whatever the number of networks.
        """
        drawn = (
            _draw(self.plan, self.shape, self.net.init, (self.num_nets,), generators)
            if isinstance(generators, torch.Generator)
            else _stack([_draw(self.plan, self.shape, self.net.init, (), g) for g in generators])
        )
        weights = placed_together(list(drawn.values()), device)
        return {name: w.to(dtype) for name, w in zip(drawn, weights)}

    def init_stats(self, device: str | torch.device = "cpu") -> Weights:
        """Running statistics of the batch norms: zeros and ones, empty if there are none."""
        return {
            f"{name}.{which}": torch.full((self.num_nets, channels), value, device=device)
            for name, channels in _batch_norms(self.plan, self.shape)
            for which, value in (("mean", 0.0), ("var", 1.0))
        }

    # --- computing ------------------------------------------------------------------------------

    def features(
        self, params: Weights, images: Tensor, stats: Weights | None = None, training: bool = True
    ) -> Tensor:
        """Penultimate features (N, B, F) of images (B, C, H, W) shared by all, or (N, B, C, H, W)."""
        return self._run(self.plan[:-1], params, images, stats, training)

    def logits(
        self, params: Weights, images: Tensor, stats: Weights | None = None, training: bool = True
    ) -> Tensor:
        """Outputs (N, B, K). Batch norms use the batch while training (updating `stats` in place)."""
        return self._run(self.plan, params, images, stats, training)

    def watched(
        self, params: Weights, images: Tensor, stats: Weights | None = None
    ) -> tuple[Tensor, Weights]:
        """Outputs of trained networks, and by its name what enters each norm, (N, B, C, H, W).

        Of a plan without norms, what enters each activation.
        """
        seen: Weights = {}
        return self._run(self.plan, params, images, stats, False, seen), seen

    def _run(
        self,
        plan: Plan,
        params: Weights,
        x: Tensor,
        stats: Weights | None,
        training: bool,
        seen: Weights | None = None,
    ) -> Tensor:
        shared = x.ndim == 4
        if not shared:  # (N, B, C, H, W) -> (B, N*C, H, W)
            x = x.transpose(0, 1).flatten(1, 2)
        call = _Call(self, params, stats, training, shared, seen)
        x = call.layers(plan, x, "")
        return call.per_net(x).flatten(2)


class _Call:
    """One forward pass: what all layers of it need to know."""

    def __init__(
        self,
        network: Network,
        params: Weights,
        stats: Weights | None,
        training: bool,
        shared: bool,
        seen: Weights | None,
    ) -> None:
        self.n, self.fused = network.num_nets, network.fused_norm
        self.half = network.precision != FLOAT32
        self.params, self.stats, self.training, self.shared = params, stats, training, shared
        self.seen, self.watched = seen, Norm if network.normed else Act

    def per_net(self, x: Tensor) -> Tensor:
        """(B, N*C, ...) -> (N, B, C, ...)."""
        if self.shared:
            return x.unsqueeze(0).expand(self.n, *x.shape)
        return x.unflatten(1, (self.n, -1)).transpose(0, 1)

    def layers(self, plan: Plan, x: Tensor, prefix: str) -> Tensor:
        for index, layer in enumerate(plan):
            if self.seen is not None and isinstance(layer, self.watched):
                self.seen[f"{prefix}{index}"] = self.per_net(x)
            x = self.layer(layer, x, f"{prefix}{index}")
        return x

    def layer(self, layer: object, x: Tensor, name: str) -> Tensor:
        if isinstance(layer, Conv):
            return self.conv(layer, x, name)
        if isinstance(layer, Norm):
            return self.norm(layer, x, name)
        if isinstance(layer, Act):
            return _ACTIVATIONS[layer.kind](x)
        if isinstance(layer, Pooling):
            pool = F.max_pool2d if layer.kind == "max" else F.avg_pool2d
            return pool(x, layer.kernel, layer.stride, layer.padding)
        if isinstance(layer, Linear):
            return self.linear(x, name)
        if isinstance(layer, LocalResponseNorm):
            y = x.unflatten(1, (self.n, -1)).flatten(0, 1)
            y = F.local_response_norm(y, layer.size, layer.alpha, layer.beta, layer.k)
            return y.unflatten(0, (-1, self.n)).flatten(1, 2)
        assert isinstance(layer, Residual)
        body = self.layers(layer.body, x, f"{name}.body.")
        shortcut = self.layers(layer.shortcut, x, f"{name}.shortcut.") if layer.shortcut else x
        return _ACTIVATIONS[layer.act.kind](body + shortcut)

    def conv(self, layer: Conv, x: Tensor, name: str) -> Tensor:
        weight = self.params[f"{name}.weight"].flatten(0, 1)
        bias = self.params[f"{name}.bias"].flatten() if layer.bias else None
        groups = (
            1 if self.shared else self.n
        )  # shared input: one dense convolution for all networks
        self.shared = False
        size = (layer.stride, layer.padding)
        if not self.half:
            return F.conv2d(x, weight, bias, *size, groups=groups)
        rounded = (x.bfloat16(), weight.bfloat16(), None if bias is None else bias.bfloat16())
        return F.conv2d(*rounded, *size, groups=groups).to(x.dtype)

    def linear(self, x: Tensor, name: str) -> Tensor:
        x = self.per_net(x).flatten(2)
        self.shared = False
        weight, bias = self.params[f"{name}.weight"], self.params[f"{name}.bias"]
        y = torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
        return y.transpose(0, 1).flatten(1)[..., None, None]

    def norm(self, layer: Norm, x: Tensor, name: str) -> Tensor:
        if layer.kind == "none":
            return x
        weight = self.params[f"{name}.weight"].flatten()
        bias = self.params[f"{name}.bias"].flatten()
        if layer.kind == "batch":
            return self.batch_norm(x, weight, bias, name)
        channels = x.shape[1]
        groups = {"instance": channels, "layer": self.n, "group": 4 * self.n}[layer.kind]
        if self.fused:
            return F.group_norm(x, groups, weight, bias, EPS)
        grouped = x.unflatten(1, (groups, -1)).flatten(2)
        centred = grouped - grouped.mean(2, keepdim=True)
        scale = torch.rsqrt((centred * centred).mean(2, keepdim=True) + EPS)
        return (centred * scale).view_as(x) * weight[:, None, None] + bias[:, None, None]

    def batch_norm(self, x: Tensor, weight: Tensor, bias: Tensor, name: str) -> Tensor:
        stats = self.stats
        if self.training or stats is None:
            mean = x.mean((0, 2, 3))
            centred = x - mean[:, None, None]
            var = (centred * centred).mean((0, 2, 3))
            if stats is not None and self.training:
                with torch.no_grad():
                    count = x.numel() / x.shape[1]
                    unbiased = var * (count / max(count - 1, 1))
                    for which, value in (("mean", mean), ("var", unbiased)):
                        running = stats[f"{name}.{which}"]
                        running.lerp_(value.view_as(running), BN_MOMENTUM)
        else:
            mean, var = stats[f"{name}.mean"].flatten(), stats[f"{name}.var"].flatten()
            centred = x - mean[:, None, None]
        scale = torch.rsqrt(var + EPS) * weight
        return centred * scale[:, None, None] + bias[:, None, None]


_ACTIVATIONS = {
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.01),
    "sigmoid": torch.sigmoid,
    "swish": F.silu,
}


def _weighted(plan: Plan, shape: Shape, prefix: str = "") -> list[tuple[str, object, Shape]]:
    """(name, layer, input shape) of every layer, residual branches included, in forward order."""
    found = []
    for index, layer in enumerate(plan):
        name = f"{prefix}{index}"
        if isinstance(layer, Residual):
            found += _weighted(layer.body, shape, f"{name}.body.")
            found += _weighted(layer.shortcut, shape, f"{name}.shortcut.")
        else:
            found.append((name, layer, shape))
        shape = output_shape(layer, shape)
    return found


def _batch_norms(plan: Plan, shape: Shape) -> list[tuple[str, int]]:
    return [
        (name, s[0])
        for name, layer, s in _weighted(plan, shape)
        if isinstance(layer, Norm) and layer.kind == "batch"
    ]


def _names(plan: Plan, shape: Shape) -> Iterator[str]:
    """Of weights, in the order of `_draw`."""
    for name, layer, _ in _weighted(plan, shape):
        if isinstance(layer, (Conv, Linear)) or (isinstance(layer, Norm) and layer.kind != "none"):
            yield f"{name}.weight"
            if not isinstance(layer, Conv) or layer.bias:
                yield f"{name}.bias"


def _draw(
    plan: Plan, shape: Shape, scheme: str, lead: tuple[int, ...], generator: torch.Generator
) -> Weights:
    params: Weights = {}
    for name, layer, s in _weighted(plan, shape):
        if isinstance(layer, (Conv, Linear)):
            size = (
                (layer.out, s[0], layer.kernel, layer.kernel)
                if isinstance(layer, Conv)
                else (layer.out, s[0] * s[1] * s[2])
            )
            fan_in = math.prod(size[1:])
            fan_out = size[0] * math.prod(size[2:])
            if scheme == "xavier":
                weight = torch.randn(*lead, *size, generator=generator)
                params[f"{name}.weight"] = weight * math.sqrt(2 / (fan_in + fan_out))
            else:  # Kaiming-uniform with a = sqrt(5): bound 1/sqrt(fan_in) for weight and bias
                params[f"{name}.weight"] = _uniform((*lead, *size), fan_in, generator)
            if isinstance(layer, Linear) or layer.bias:
                zero = scheme == "xavier"
                bias = (*lead, layer.out)
                params[f"{name}.bias"] = (
                    torch.zeros(bias) if zero else _uniform(bias, fan_in, generator)
                )
        elif isinstance(layer, Norm) and layer.kind != "none":
            params[f"{name}.weight"] = torch.ones(*lead, s[0])
            params[f"{name}.bias"] = torch.zeros(*lead, s[0])
    return params


def _uniform(size: tuple[int, ...], fan_in: int, generator: torch.Generator) -> Tensor:
    return (torch.rand(size, generator=generator) * 2 - 1) / math.sqrt(fan_in)


def _stack(drawn: Sequence[Weights]) -> Weights:
    return {name: torch.stack([d[name] for d in drawn]) for name in drawn[0]}


def select(params: Weights, nets: slice | Tensor | int) -> Weights:
    """Weights of some of the networks (the leading axis is kept)."""
    index = slice(nets, nets + 1) if isinstance(nets, int) else nets
    if isinstance(index, Tensor) and params:
        index = placed(index, next(iter(params.values())).device)
    return {name: w[index] for name, w in params.items()}
