"""What the names of files say of the method that made a set: nothing, unless one is a word of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ddcore.data.registry import mirrored
from ddcore.nets.plan import Shape, small

TRAJECTORIES = ("mtt", "tesla", "ftd", "datm")  # one code and its descendants
AUGMENTED = ("dsa", "dm")
PUBLISHED = (*AUGMENTED, "dc", "dcc", *TRAJECTORIES, "idc", "kip", "rfad", "frepo", "bptt")


def method_in(names: Sequence[str]) -> str:
    """The published method that is a word of a name, as in res_DSA_CIFAR10_ConvNet_1ipc.pt; "" if none."""
    words = [w for name in names for w in re.split(r"[^a-z0-9]+", name.lower())]
    return next((w for w in words if w in PUBLISHED), "")


def protocol_in(data: str, names: Sequence[str], shape: Shape) -> str:
    """How sets of the method in the names are meant to be used; the plainest way if it is not known."""
    method = method_in(names)
    if method in TRAJECTORIES:
        return "mtt"
    if method in AUGMENTED:
        return "dsa" if mirrored(data) else "dsa-digits"
    if method == "idc":
        return "idc" if mirrored(data) else "idc-digits"
    return plain_protocol(shape)


def plain_protocol(shape: Shape) -> str:
    """Without anything that a method needs: as DC's sets are used, or shorter for images of few pixels."""
    return "quick" if small(shape) else "dc"
