"""Networks by a short text, as forms and command lines can hold it: "convnet-16", "resnet18-8", "mlp".

The number is the width; without it the architecture's own. The depth of a ConvNet follows from the
images, as in Yang et al. 2024: 3 blocks at 28 to 63 pixels, 4 from 64 on, and 2 below 28 (ours).
"""

from __future__ import annotations

from ddcore.base.errors import SpecError
from ddcore.nets.architectures import ARCHITECTURES, NetSpec
from ddcore.nets.plan import Shape, cost

EXPECTED = "an architecture and a width, such as convnet-16; known are "


def parse(field: str, text: str) -> tuple[str, int | None]:
    """Architecture and width of a text; `SpecError` on `field` if there is no such network."""
    arch, dash, width = text.partition("-")
    numbered = width.isascii() and width.isdigit() and len(width) <= 4 and 1 <= int(width) <= 2048
    if arch not in ARCHITECTURES or (
        dash and not ("width" in ARCHITECTURES[arch].knobs and numbered)
    ):
        raise SpecError(field, text, EXPECTED + ", ".join(ARCHITECTURES))
    return arch, int(width) if dash else None


def network(field: str, text: str, shape: Shape, classes: int) -> NetSpec:
    """The network for images of `shape`; `SpecError` if it does not fit them."""
    arch, width = parse(field, text)
    least = ARCHITECTURES[arch].min_side
    if min(shape[1:]) < least:
        raise SpecError(field, text, f"a network for {shape[1]} × {shape[2]} pixels (not {least})")
    side = shape[1]
    fitting = 2 if side < 28 else 3 if side < 64 else 4
    net = NetSpec(arch=arch, width=width, depth=fitting if arch == "convnet" else None)
    cost(net.plan(shape, classes), shape)
    return net


def judge(field: str, text: str, own: NetSpec, shape: Shape, classes: int) -> NetSpec:
    """A network to judge a set in that was made with `own`; `SpecError` if it does not fit the images.

    A width without another architecture is `own` at that width, with everything else as it was. Weights
    are drawn as those of `own`. Without a width it is `own`, or what the architecture is by itself.
    """
    arch, width = parse(field, text)
    if arch == own.arch:
        return own if width is None else own.replace(width=width)
    if width is not None:
        return network(field, text, shape, classes).replace(init=own.init)
    net = NetSpec(arch=arch)
    cost(net.plan(shape, classes), shape)
    return net


def word(net: NetSpec) -> str:
    """The text for a network's architecture and width."""
    return net.arch if net.width is None else f"{net.arch}-{net.width}"
