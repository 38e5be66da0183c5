"""FADRM on ImageNet-1k, ten images per class: what it starts from, and itself where the method is there."""

from __future__ import annotations

from ddcore.distil.contract import methods
from ddcore.recipes.base import Published, Recipe, RecipeRow
from ddcore.recipes.rded_in1k_10 import DIFFERS, RESNET18, row

# Each network's name here; a row is listed as soon as its method is.
RECOVERED = {"fadrm": "FADRM", "sre2l": "SRe2L"}
PUBLISHED = {"sre2l": Published(21.3, "README of DELT, its table of results")}


def _rows() -> tuple[RecipeRow, ...]:
    patches = row(
        "in1k-patches-10",
        differs=f"No published figure: whole crops, from which FADRM starts, without what it does. {DIFFERS}",
        mosaic="1",
        candidates="300",
        teacher=RESNET18,
    )
    recovered = [
        row(
            f"in1k-{name}-10",
            name,
            PUBLISHED.get(name),
            f"{title} with one network, that of torchvision, as teacher and learner. {DIFFERS}",
            teacher=RESNET18,
        )
        for name, title in RECOVERED.items()
        if name in methods()
    ]
    return (patches, *recovered)


RECIPE = Recipe(
    name="fadrm-in1k-10",
    order=11,
    title="ImageNet-1k by recovery",
    about="The crops of single images that decoupled methods start from and mix in, judged as RDED's mosaics "
    "are, and those methods as far as they are here. Data, weights and memory as for rded-in1k-10.",
    machine="gpu",
    rows=_rows(),
)
