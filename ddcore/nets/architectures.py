"""The networks of the field, each a function from a spec and an image shape to a layer plan.

Sources: ConvNet, VGG-11, AlexNet, ResNet-18/34 and MLP as in the gradient-matching line of work (Zhao
et al. 2021; CIFAR stem, no global pooling in ConvNet); LeNet and AlexCifarNet as in Wang et al. 2018;
AlexNet and ResNets for 224 pixels as torchvision has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, overload

from ddcore.base.errors import SpecError
from ddcore.base.fields import choice, number
from ddcore.base.specs import Spec
from ddcore.nets.plan import (
    Act,
    Conv,
    Layer,
    Linear,
    LocalResponseNorm,
    Norm,
    Plan,
    Pooling,
    Residual,
    Shape,
    cost,
    output_shape,
)

NORMS = ("none", "instance", "batch", "layer", "group")
ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "swish")
POOLINGS = ("none", "avg", "max")
INITS = {
    "default": "Kaiming-uniform with a = sqrt(5), PyTorch's own",
    "xavier": "normal, gain 1, biases 0, as in Wang et al. 2018",
}


@dataclass(frozen=True, kw_only=True)
class NetSpec(Spec):
    """An architecture and its knobs. A knob left None takes the architecture's default."""

    arch: str = choice("convnet", lambda: ARCHITECTURES, "The family of networks.")
    width: int | None = number(None, 1, 2048, "Channels of its layers (of a first block).")
    depth: int | None = number(None, 1, 8, "Blocks, or hidden layers.")
    norm: str | None = choice(None, NORMS, "What normalises the outputs of a layer.")
    activation: str | None = choice(None, ACTIVATIONS, "The nonlinearity.")
    pooling: str | None = choice(None, POOLINGS, "What halves the side after a block.")
    init: str = choice("default", INITS, "How the first weights are drawn.")

    def __post_init__(self) -> None:
        defaults = ARCHITECTURES[self.arch].knobs if self.arch in ARCHITECTURES else {}
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        super().__post_init__()

    def validate(self) -> None:
        """Check the knobs against the architecture."""
        knobs = ARCHITECTURES[self.arch].knobs
        for name in ("width", "depth", "norm", "activation", "pooling"):
            if name not in knobs:
                self.require(
                    name, getattr(self, name) is None, f"nothing: {self.arch} has no {name}"
                )
        if self.norm == "group":
            self.require(
                "width", self.width is None or self.width % 4 == 0, "a multiple of 4 groups"
            )

    @overload
    def knob(self, name: Literal["width", "depth"]) -> int: ...

    @overload
    def knob(self, name: Literal["norm", "activation", "pooling"]) -> str: ...

    def knob(self, name: str) -> int | str:
        """The value of a knob that the architecture has; `SpecError` where it has none of that name."""
        value: int | str | None = getattr(self, name)
        if value is None:
            raise SpecError("arch", self.arch, f"an architecture with a {name}")
        return value

    def plan(self, shape: Shape, classes: int) -> Plan:
        """Layers for images of `shape` and `classes` outputs."""
        return ARCHITECTURES[self.arch].plan(self, shape, classes)

    def label(self) -> str:
        """Short name for tables: "ConvNet-3 w128 instance"."""
        name = ARCHITECTURES[self.arch].title
        name += f"-{self.depth}" if self.depth is not None else ""
        name += f" w{self.width}" if self.width is not None else ""
        defaults = ARCHITECTURES[self.arch].knobs
        for knob in ("norm", "activation", "pooling"):
            if knob in defaults and getattr(self, knob) != defaults[knob]:
                name += f" {getattr(self, knob)}"
        return name


@dataclass(frozen=True)
class Architecture:
    """A named family: its plan, its knobs with their defaults, and the smallest side it is meant for."""

    title: str
    plan: Callable[[NetSpec, Shape, int], Plan]
    knobs: dict[str, int | str] = field(default_factory=dict)
    min_side: int = 1


def _convnet(net: NetSpec, shape: Shape, classes: int) -> Plan:
    depth, pooling = net.knob("depth"), net.knob("pooling")
    if shape[1] >> depth < 1 and pooling != "none":
        largest = shape[1].bit_length() - 1
        raise SpecError("depth", depth, f"at most {largest} for {shape[1]}x{shape[2]} images")
    width, act = net.knob("width"), Act(net.knob("activation"))
    layers: list[Layer] = []
    for block in range(depth):
        # Padding 3 turns 28x28 grey images into a 32x32 grid (official code).
        padding = 3 if block == 0 and shape == (1, 28, 28) else 1
        layers += [Conv(width, 3, padding=padding), Norm(net.knob("norm")), act]
        if pooling != "none":
            layers.append(Pooling(pooling, 2, 2))
    return (*layers, Linear(classes))


def _mlp(net: NetSpec, shape: Shape, classes: int) -> Plan:
    hidden = (Linear(net.knob("width")), Act(net.knob("activation")))
    return (*hidden * net.knob("depth"), Linear(classes))


def _lenet(net: NetSpec, shape: Shape, classes: int) -> Plan:
    relu, pool = Act("relu"), Pooling("max", 2, 2)
    first = Conv(6, 5, padding=0 if shape[1] >= 32 else 2)
    head = (Linear(120), relu, Linear(84), relu, Linear(classes))
    # Published as ReLU then max pooling: the two commute, and this order rectifies a quarter as much.
    return (first, pool, relu, Conv(16, 5), pool, relu, *head)


def _alexcifarnet(net: NetSpec, shape: Shape, classes: int) -> Plan:
    relu, pool = Act("relu"), Pooling("max", 3, 2, padding=1)
    lrn = LocalResponseNorm(4, alpha=0.001 / 9, beta=0.75, k=1.0)
    convs = (Conv(64, 5, padding=2), relu, pool, lrn, Conv(64, 5, padding=2), relu, lrn, pool)
    return (*convs, Linear(384), relu, Linear(192), relu, Linear(classes))


def _alexnet(net: NetSpec, shape: Shape, classes: int) -> Plan:
    relu, pool, norm = Act("relu"), Pooling("max", 2, 2), Norm(net.knob("norm"))
    first = Conv(128, 5, padding=4 if shape == (1, 28, 28) else 2)
    layers: list[Layer] = [first, norm, relu, pool, Conv(192, 5, padding=2), norm, relu, pool]
    for out in (256, 192, 192):
        layers += [Conv(out, 3, padding=1), norm, relu]
    return (*layers, pool, Linear(classes))


def _alexnet224(net: NetSpec, shape: Shape, classes: int) -> Plan:
    """torchvision's AlexNet without dropout, whose ImageNet weights fit at 224 pixels and width 64.

    Its strides leave nothing of images below 63 pixels: there the first one is 1, and a pooling that no
    longer fits is left out, so that the same layers can be tried on small images.
    """
    relu, pool, width = Act("relu"), Pooling("max", 3, 2), net.knob("width")
    large = min(shape[1:]) >= 63
    first = Conv(width, 11, 4, padding=2) if large else Conv(width, 11, padding=5)
    convs = [(first, True), (Conv(3 * width, 5, padding=2), True)]
    convs += [(Conv(k * width, 3, padding=1), False) for k in (6, 4)]
    convs.append((Conv(4 * width, 3, padding=1), True))
    layers: list[Layer] = []
    for conv, pooled in convs:
        layers.append(conv)
        shape = output_shape(conv, shape)
        if pooled and min(shape[1:]) >= pool.kernel:
            layers.append(pool)  # before the ReLU, with which it commutes: a quarter of the work
            shape = output_shape(pool, shape)
        layers.append(relu)
    hidden = Linear(64 * width)
    return (*layers, hidden, relu, hidden, relu, Linear(classes))


def _vgg11(net: NetSpec, shape: Shape, classes: int) -> Plan:
    layers: list[Layer] = []
    for stage in ((64,), (128,), (256, 256), (512, 512), (512, 512)):
        for out in stage:
            padding = 3 if not layers and shape == (1, 28, 28) else 1
            layers += [Conv(out, 3, padding=padding), Norm(net.knob("norm")), Act("relu")]
        layers.append(Pooling(net.knob("pooling"), 2, 2))
    return (*layers, Linear(classes))


def _resnet(
    blocks: tuple[int, int, int, int], large: bool = False
) -> Callable[[NetSpec, Shape, int], Plan]:
    """`large`: the first layers of He et al. 2016 for ImageNet, which make a quarter of each side."""

    def plan(net: NetSpec, shape: Shape, classes: int) -> Plan:
        relu, norm, width = Act("relu"), Norm(net.knob("norm")), net.knob("width")
        first = Conv(width, 7, 2, 3, bias=False) if large else Conv(width, 3, 1, 1, bias=False)
        layers: list[Layer] = [first, norm, relu]
        if large:
            layers.append(Pooling("max", 3, 2, padding=1))
        channels = width
        for stage, count in enumerate(blocks):
            out = width << stage
            for index in range(count):
                stride = 2 if stage and index == 0 else 1
                changed = stride != 1 or channels != out
                shortcut = (Conv(out, 1, stride, bias=False), norm) if changed else ()
                body = (
                    Conv(out, 3, stride, 1, bias=False),
                    norm,
                    relu,
                    Conv(out, 3, 1, 1, bias=False),
                    norm,
                )
                layers.append(Residual(body, shortcut, relu))
                channels = out
        side = -(-shape[1] // (32 if large else 8))
        return (*layers, Pooling("avg", side, side), Linear(classes))

    return plan


_RESNET: dict[str, int | str] = {"width": 64, "norm": "batch"}
ARCHITECTURES: dict[str, Architecture] = {
    "convnet": Architecture(
        "ConvNet",
        _convnet,
        {"width": 128, "depth": 3, "norm": "instance", "activation": "relu", "pooling": "avg"},
        min_side=2,
    ),
    "lenet": Architecture("LeNet", _lenet, min_side=12),
    "alexcifarnet": Architecture("AlexCifarNet", _alexcifarnet, min_side=8),
    "mlp": Architecture("MLP", _mlp, {"width": 128, "depth": 2, "activation": "relu"}),
    "resnet18": Architecture("ResNet-18", _resnet((2, 2, 2, 2)), _RESNET, min_side=8),
    "resnet34": Architecture("ResNet-34", _resnet((3, 4, 6, 3)), _RESNET, min_side=8),
    "resnet18at224": Architecture(
        "ResNet-18-224", _resnet((2, 2, 2, 2), large=True), _RESNET, min_side=32
    ),
    "resnet34at224": Architecture(
        "ResNet-34-224", _resnet((3, 4, 6, 3), large=True), _RESNET, min_side=32
    ),
    "vgg11": Architecture("VGG-11", _vgg11, {"norm": "instance", "pooling": "max"}, min_side=32),
    "alexnet": Architecture("AlexNet", _alexnet, {"norm": "none"}, min_side=8),
    "alexnet224": Architecture("AlexNet-224", _alexnet224, {"width": 64}, min_side=63),
}


def image_macs(net: NetSpec, shape: Shape, classes: int) -> float:
    """Multiply-adds of one image's forward pass."""
    return cost(net.plan(shape, classes), shape).macs
