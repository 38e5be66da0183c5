"""Names of augmentation strategies, so that specs can refuse a wrong one without torch.

A strategy is operations joined by "_"; one of them is drawn per entry (`ddcore.augment`).
"""

from __future__ import annotations

from ddcore.errors import SpecError

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
}


def parse(strategy: str) -> tuple[str, ...]:
    """Operations of a strategy such as "color_crop_flip"; "" is none. `SpecError` on unknown ones."""
    names = tuple(strategy.split("_")) if strategy else ()
    known = (*OPERATIONS, "rotate45")
    for name in names:
        if name not in known:
            raise SpecError("augment", strategy, "operations joined by _, of " + ", ".join(known))
    return names
