"""N networks of one architecture computed as one, as a pure function of their stacked weights.

Weights are a dict of tensors with a leading network axis. Activations travel as (B, N*C, H, W), so a
convolution of all networks is one grouped convolution and instance norm needs no change at all; a
linear layer is one batched product. Being a pure function, the network can be differentiated any
number of times with respect to weights and images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddcore.base.placing import placed, placed_together
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import (
    Act,
    Conv,
    Layer,
    Linear,
    LocalResponseNorm,
    Norm,
    Plan,
    Pool,
    Residual,
    Shape,
    output_shape,
)

Params = dict[str, Tensor]  # stacked weights by name
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
    1.5x faster there.
    """

    def __init__(
        self,
        net: NetSpec,
        shape: Shape,
        classes: int,
        num_nets: int = 1,
        *,
        fused_norm: bool = True,
    ) -> None:
        self.net, self.shape, self.classes, self.num_nets = net, shape, classes, num_nets
        self.plan: Plan = net.plan(shape, classes)
        self.fused_norm = fused_norm

    def with_nets(self, num_nets: int) -> Network:
        """The same architecture for another number of networks."""
        return Network(self.net, self.shape, self.classes, num_nets, fused_norm=self.fused_norm)

    # --- weights --------------------------------------------------------------------------------

    def init(
        self,
        generators: torch.Generator | Sequence[torch.Generator],
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Params:
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

    def init_stats(self, device: str | torch.device = "cpu") -> Params:
        """Running statistics of the batch norms: zeros and ones, empty if there are none."""
        return {
            f"{name}.{which}": torch.full((self.num_nets, channels), value, device=device)
            for name, channels in _batch_norms(self.plan, self.shape)
            for which, value in (("mean", 0.0), ("var", 1.0))
        }

    # --- computing ------------------------------------------------------------------------------

    def features(
        self, params: Params, images: Tensor, stats: Params | None = None, training: bool = True
    ) -> Tensor:
        """Penultimate features (N, B, F) of images (B, C, H, W) shared by all, or (N, B, C, H, W)."""
        return self._run(self.plan[:-1], params, images, stats, training)

    def logits(
        self, params: Params, images: Tensor, stats: Params | None = None, training: bool = True
    ) -> Tensor:
        """Outputs (N, B, K). Batch norms use the batch while training (updating `stats` in place)."""
        return self._run(self.plan, params, images, stats, training)

    def _run(
        self, plan: Plan, params: Params, x: Tensor, stats: Params | None, training: bool
    ) -> Tensor:
        shared = x.ndim == 4
        if not shared:  # (N, B, C, H, W) -> (B, N*C, H, W)
            x = x.transpose(0, 1).flatten(1, 2)
        call = _Call(self, params, stats, training, shared)
        x = call.layers(plan, x, "")
        return call.per_net(x).flatten(2)


class _Call:
    """One forward pass: what all layers of it need to know."""

    def __init__(
        self, network: Network, params: Params, stats: Params | None, training: bool, shared: bool
    ) -> None:
        self.n, self.fused = network.num_nets, network.fused_norm
        self.params, self.stats, self.training, self.shared = params, stats, training, shared

    def per_net(self, x: Tensor) -> Tensor:
        """(B, N*C, ...) -> (N, B, C, ...)."""
        if self.shared:
            return x.unsqueeze(0).expand(self.n, *x.shape)
        return x.unflatten(1, (self.n, -1)).transpose(0, 1)

    def layers(self, plan: Plan, x: Tensor, prefix: str) -> Tensor:
        for index, layer in enumerate(plan):
            x = self.layer(layer, x, f"{prefix}{index}")
        return x

    def layer(self, layer: object, x: Tensor, name: str) -> Tensor:
        if isinstance(layer, Conv):
            return self.conv(layer, x, name)
        if isinstance(layer, Norm):
            return self.norm(layer, x, name)
        if isinstance(layer, Act):
            return _ACTIVATIONS[layer.kind](x)
        if isinstance(layer, Pool):
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
        return F.conv2d(x, weight, bias, layer.stride, layer.padding, groups=groups)

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


def _draw(
    plan: Plan, shape: Shape, scheme: str, lead: tuple[int, ...], generator: torch.Generator
) -> Params:
    params: Params = {}
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


def _stack(drawn: Sequence[Params]) -> Params:
    return {name: torch.stack([d[name] for d in drawn]) for name in drawn[0]}


def select(params: Params, nets: slice | Tensor | int) -> Params:
    """Weights of some of the networks (the leading axis is kept)."""
    index = slice(nets, nets + 1) if isinstance(nets, int) else nets
    if isinstance(index, Tensor) and params:
        index = placed(index, next(iter(params.values())).device)
    return {name: w[index] for name, w in params.items()}


# --- the same network from torch's own layers ---------------------------------------------------


class _ResidualModule(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.act = body, shortcut, act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.shortcut(x))


def to_module(
    network: Network, params: Params, stats: Params | None = None, index: int = 0
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
    if isinstance(layer, Pool):
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
