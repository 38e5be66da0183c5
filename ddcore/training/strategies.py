"""Names of augmentation strategies, so that specs can refuse a wrong one without torch.

A strategy is operations joined by "_"; one of them is drawn per entry (`augment`). A protocol's may
have several stages, joined by "+", each of which draws one of its own; "batch:" before them all lets the
images of a minibatch share the operation, each with its own parameters.
"""

from __future__ import annotations

from typing import Any

from ddcore.base.errors import SpecError
from ddcore.base.fields import text

BATCH = "batch:"
OPERATIONS = ("color", "crop", "cutout", "flip", "scale", "rotate")


def parse(strategy: str, field: str = "augment") -> tuple[str, ...]:
    """Operations of a strategy such as "color_crop_flip"; "" is none. `SpecError` on unknown ones."""
    names = tuple(strategy.split("_")) if strategy else ()
    known = (*OPERATIONS, "rotate45")
    for name in names:
        if name not in known:
            raise SpecError(field, strategy, "operations joined by _, of " + ", ".join(known))
    return names


def stages(strategy: str) -> tuple[bool, tuple[str, ...]]:
    """Whether a minibatch shares its operation, and the stages of a protocol's strategy, none if it is ""."""
    together = strategy.startswith(BATCH)
    body = strategy.removeprefix(BATCH)
    if not body and not together:
        return False, ()
    found = tuple(body.split("+"))
    if not all(found):
        raise SpecError("augment", strategy, "operations joined by _ between + and after batch:")
    for stage in found:
        parse(stage)
    return together, found


def augment(default: str, help: str) -> Any:
    """The field for a strategy without stages."""
    form = "Names of transformations joined by _, such as color_crop_cutout_flip_scale_rotate; empty: none."
    return text(default, f"{help} {form}", grammar=lambda field, strategy: parse(strategy, field))
