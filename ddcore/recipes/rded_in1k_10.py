"""RDED on ImageNet-1k, ten images per class: planned here, made where data and memory are."""

from __future__ import annotations

from ddcore.recipes.base import Judged, Published, Recipe, RecipeRow

RESNET18 = "resnet18-f37072fd"  # torchvision's IMAGENET1K_V1, by its own file name
DELT = "README of DELT, its table of results"


def row(
    name: str,
    method: str = "rded",
    published: Published | None = None,
    differs: str = "",
    **settings: str,
) -> RecipeRow:
    """Ten images per class by torchvision's ResNet-18, which the same network learns from."""
    taught = Judged("rded", published, labels="online", teacher=RESNET18)
    return RecipeRow(
        name=name,
        method=method,
        dataset="imagenet1k",
        ipc=10,
        preprocess="imagenet",
        settings={
            "net.arch": "resnet18at224",
            "labels": "hard",
            "validations": "0",
            "val_nets": "1",
            "protocol": "rded",
            **settings,
        },
        judged=(taught, Judged("rded", labels="hard")),
        differs=differs,
    )


DIFFERS = (
    "The best epoch of the last fifth on test images in the paper, the last one here; pictures are made "
    "square instead of cropped from the middle, and changed in scale instead of cropped while training."
)

RECIPE = Recipe(
    name="rded-in1k-10",
    order=10,
    title="ImageNet-1k by selected crops",
    about="RDED with torchvision's ResNet-18 as teacher and learner, with and without the teacher's labels. "
    "The data (imagenet1k/train and val in DD_DATA) and its weights have to be there; decoded it takes 200 "
    "GB (DD_DECODED_GB=200), and classes can be divided over jobs (DD_SELECTION_PARTS).",
    machine="gpu",
    rows=(
        row(
            "in1k-rded-10",
            published=Published(42.0, DELT),
            differs=DIFFERS,
            mosaic="2",
            candidates="300",
            teacher=RESNET18,
        ),
    ),
)
