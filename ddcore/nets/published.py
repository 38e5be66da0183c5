"""Networks that torchvision knows by name, as architectures of ours; their weights are files. No torch.

A word names both: `resnet18-f37072fd`, as torchvision calls its files: the name, then the first digits of the
file's sha256.
"""

from __future__ import annotations

import re

from ddcore.base.errors import SpecError
from ddcore.nets.architectures import NetSpec

# With the same layers in the same order. Dropout is not among ours: it does nothing to what is not trained.
NETWORKS = {
    "resnet18": NetSpec(arch="resnet18at224"),
    "resnet34": NetSpec(arch="resnet34at224"),
    "alexnet": NetSpec(arch="alexnet224"),
}
WORD = re.compile(r"([a-z0-9_]+)-([0-9a-f]{8,64})")


def parse(field: str, word: str) -> tuple[str, str]:
    """torchvision's name of the network, and how the sha256 of its weights begins; `SpecError` if neither."""
    found = WORD.fullmatch(word)
    if not found or found[1] not in NETWORKS:
        allowed = "-, then 8 to 64 digits of its weights' sha256, such as resnet18-f37072fd"
        raise SpecError(field, word, f"one of {', '.join(NETWORKS)}, then {allowed}")
    return found[1], found[2]


def known(field: str, name: str) -> NetSpec:
    """The architecture that torchvision calls `name`; `SpecError` if there is none here."""
    if name not in NETWORKS:
        raise SpecError(field, name, "one of " + ", ".join(NETWORKS))
    return NETWORKS[name]
