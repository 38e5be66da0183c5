"""Set-ups of training that differ in one factor from a usual one: networks, optimisers, losses. No torch."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from analysis.runs import Chosen
from ddcore.base.errors import SpecError
from ddcore.data.registry import mirrored
from ddcore.nets.architectures import ARCHITECTURES, NetSpec
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.training.protocols import PROTOCOLS, Protocol

FACTORS = {
    "optimiser": "Optimiser",
    "step_size": "Step size",
    "batch": "Batch size",
    "steps": "Steps",
    "augmentation": "Augmentation",
    "architecture": "Architecture",
    "norm": "Norm",
    "activation": "Activation",
    "loss": "Loss",
    "weight_decay": "Weight decay",
    "init": "Initial weights",
}
FEW, ALL = "few", "all"
GRIDS = {FEW: "one or two changes of each factor", ALL: "all of them"}
GROWTH = (1 / 6, 1 / 3, 10 / 3)  # of the steps: 50, 100 and 1000 of 300
PARTS = (2, 4, 10)  # of the set in a batch


@dataclass(frozen=True)
class Level:
    """One change: its factor and name, the network, the protocol, and images per batch (0: all)."""

    factor: str
    name: str
    net: NetSpec
    protocol: Protocol
    parts: int = 1

    def recipe(self, images: int) -> Protocol:
        """The protocol for a set of so many images: the same number of steps whatever the batch."""
        batch = 0 if self.parts == 1 else -(-images // self.parts)
        per_epoch = -(-images // batch) if batch else 1
        return self.protocol.replace(batch=batch, epochs=-(-self.protocol.epochs // per_epoch))

    def seen(self, images: int) -> int:
        """Images that a network sees in training."""
        return images * self.recipe(images).epochs


class Varied(typing.Protocol):
    """What is changed of which set-up: factors of `FACTORS`, one of `GRIDS`, a network as a word."""

    @property
    def factors(self) -> tuple[str, ...]:
        """What is changed."""

    @property
    def grid(self) -> str:
        """How much of it."""

    @property
    def network(self) -> str:
        """What is trained."""

    @property
    def iterations(self) -> int:
        """Steps of training."""


def usual(iterations: int) -> Protocol:
    """T300 of Yang et al. 2024, with so many steps."""
    return PROTOCOLS["t300"].replace(epochs=iterations)


def levels(spec: Varied, chosen: Chosen, lr: float = 0.01) -> list[Level]:
    """The unchanged set-up first, then every change that is possible for these images and this network.

    Unchanged is protocol t300 with so many steps at step size `lr`.
    """
    net = network("network", spec.network, chosen.shape, chosen.classes)
    plain = usual(spec.iterations).replace(lr=lr)
    found = [Level("", "as it is", net, plain)]
    for factor in spec.factors:
        every = list(_levels(factor, net, plain, chosen))
        found += every if spec.grid == ALL else _few(factor, every)
    return found


def _few(factor: str, every: list[Level]) -> list[Level]:
    """The changes of a factor that tell most: its ends, or its first."""
    ends = {"step_size", "steps", "architecture", "optimiser"}
    return [every[0], every[-1]] if factor in ends and len(every) > 1 else every[:1]


def _levels(factor: str, net: NetSpec, plain: Protocol, chosen: Chosen) -> Iterator[Level]:
    def trained(name: str, parts: int = 1, **changes: Any) -> Level:
        return Level(factor, name, net, plain.replace(**changes), parts)

    def built(name: str, other: NetSpec) -> Iterator[Level]:
        try:
            net_cost(other.plan(chosen.shape, chosen.classes), chosen.shape)
        except SpecError:  # too deep for these images
            return
        if other != net and min(chosen.shape[1:]) >= ARCHITECTURES[other.arch].min_side:
            yield Level(factor, name, other, plain)

    conv = net.arch == "convnet"
    if factor == "optimiser":
        yield trained("SGD without momentum", momentum=0.0)
        yield trained("Adam, step size .001", optimiser="adam", lr=0.001)
    elif factor == "step_size":
        for lr in (0.003, 0.03, 0.1):
            yield trained(f"{lr:g}", lr=lr)
    elif factor == "batch":
        for parts in PARTS:
            yield trained(f"1/{parts} of the set", parts)
    elif factor == "steps":
        for steps in (max(1, round(plain.epochs * by)) for by in GROWTH):
            yield trained(str(steps), epochs=steps)
    elif factor == "augmentation":
        yield trained("shifts", augment="crop")
        yield trained("scaling and rotation", augment="scale_rotate")
        if mirrored(chosen.data.name):
            yield trained("mirror images", augment="flip")
        yield trained("all of DSA", augment="color_crop_cutout_scale_rotate")
    elif factor == "architecture":
        yield from built("MLP", NetSpec(arch="mlp", width=64))
        if conv and net.width and net.depth:
            for width in (net.width // 2, 2 * net.width, 4 * net.width):
                yield from built(f"width {width}", net.replace(width=max(4, width)))
            for depth in (net.depth - 1, net.depth + 1):
                if depth:
                    yield from built(
                        f"{depth} block{'s' if depth > 1 else ''}", net.replace(depth=depth)
                    )
        yield from built("ResNet-18", NetSpec(arch="resnet18", width=8))
    elif factor == "norm" and conv:
        for norm in ("none", "batch", "layer"):
            yield from built(norm, net.replace(norm=norm))
    elif factor == "activation" and "activation" in ARCHITECTURES[net.arch].knobs:
        for kind, name in (
            ("leaky_relu", "leaky ReLU"),
            ("swish", "swish"),
            ("sigmoid", "sigmoid"),
        ):
            yield from built(name, net.replace(activation=kind))
    elif factor == "loss":
        yield trained("squared error", loss="mse")
    elif factor == "weight_decay":
        for decay in (0.0005, 0.005):
            yield trained(f"{decay:g}", weight_decay=decay)
    elif factor == "init":
        yield from built("Xavier", net.replace(init="xavier"))
