"""Names of augmentation strategies, so that specs can refuse a wrong one without torch.

A strategy is operations joined by "_"; one of them is drawn per entry (`augment`). A protocol's may
have several stages, joined by "+", each of which draws one of its own; "batch:" before them all lets the
images of a minibatch share the operation, each with its own parameters.
"""

from __future__ import annotations

from ddcore.base.errors import SpecError

BATCH = "batch:"
OPERATIONS = ("color", "crop", "cutout", "flip", "scale", "rotate")
STRATEGIES: dict[str, str] = {
    "": "none",
    "color_crop_cutout_flip_scale_rotate": "DSA for natural images (Zhao & Bilen 2021)",
    "color_crop_cutout_scale_rotate": "DSA for digits: no mirror images",
    "color_crop_flip_scale_rotate": "DSA without cutout, beside CutMix (Kim et al. 2022)",
    "color_crop_scale_rotate": "the same for digits: no mirror images",
    "crop_scale_rotate45": "DC's evaluation on MNIST (Zhao et al. 2021)",
    "flip_rotate": "flips and small rotations (Feng et al. 2024)",
    "flip_color_crop_rotate_cutout": "FRePo's evaluation (Zhou et al. 2022)",
    "color_crop_rotate_cutout": "the same for digits: no mirror images",
    "batch:color_crop_cutout_flip_scale_rotate": "DSA as in its code: one operation per minibatch",
    "batch:color_crop_cutout_scale_rotate": "the same for digits: no mirror images",
    "batch:flip+color+crop_scale_rotate": "IDC as in its code: flip, colour, and one more",
    "batch:color+crop_scale_rotate": "the same for digits: no mirror images",
}


def parse(strategy: str) -> tuple[str, ...]:
    """Operations of a strategy such as "color_crop_flip"; "" is none. `SpecError` on unknown ones."""
    names = tuple(strategy.split("_")) if strategy else ()
    known = (*OPERATIONS, "rotate45")
    for name in names:
        if name not in known:
            raise SpecError("augment", strategy, "operations joined by _, of " + ", ".join(known))
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
