"""What `sensitivity` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from ddcore.base.errors import SpecError
from ddcore.base.fields import choice, choices, number
from ddcore.data.registry import mirrored
from ddcore.nets.architectures import ARCHITECTURES, NetSpec
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, Need
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


@dataclass(frozen=True, kw_only=True)
class SensitivityTask(AnalysisTask):
    """Networks trained on each set under protocol t300 and under changes of it, one at a time."""

    KIND: ClassVar[str] = "sensitivity"
    RUNNER: ClassVar[str] = "analysis.suite.sensitivity.compute:run"

    factors: tuple[str, ...] = choices(
        tuple(FACTORS),
        FACTORS,
        "one or more different factors of " + ", ".join(FACTORS),
        "What is changed.",
    )
    grid: str = choice(FEW, GRIDS, "How much of it.")
    nets: int = shared.nets(help="How many are trained on each set, each time.")
    network: str = shared.network()
    iterations: int = number(300, 10, 100_000, "Steps of training, with all images at once.")

    def validate(self) -> None:
        """Each factor once."""
        super().validate()
        self.require("factors", 0 < len(set(self.factors)) == len(self.factors))


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few changes of narrow networks; published: all changes of the paper's network."""
    quick = {"factors": ("optimiser", "step_size", "steps", "architecture", "loss"), "nets": 5}
    if ipc > 5 or shape[1] >= 28:
        quick |= {"network": "convnet-8", "iterations": 100}
    return {
        "quick": quick,
        "teaching": {"nets": 5, "grid": ALL},
        "published": {"nets": 5, "grid": ALL, "network": "convnet-128"},
    }


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


def levels(spec: SensitivityTask, chosen: Chosen) -> list[Level]:
    """The unchanged set-up first, then every change that is possible for these images and this network."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    plain = PROTOCOLS["t300"].replace(epochs=spec.iterations)
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


def sizes(chosen: Chosen) -> list[int]:
    """Images per class of the random real sets: one for each size of set."""
    return sorted({run.ipc for run in chosen.runs})


def cost(spec: SensitivityTask, chosen: Chosen, counts: Counts) -> Need:
    """Training under every change on every set and random one, and a pass over the test images."""
    own = [run.images for run in chosen.runs] + [ipc * chosen.classes for ipc in sizes(chosen)]
    macs = largest = 0.0
    for level in levels(spec, chosen):
        one = net_cost(level.net.plan(chosen.shape, chosen.classes), chosen.shape)
        macs += sum(3.0 * level.seen(m) + counts.test for m in own) * one.macs
        largest = max(largest, one.activations)
    return Need(spec.nets * macs, memory=12.0 * largest * max(200, *own))
