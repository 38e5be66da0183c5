"""CIFAR-10 by the methods of 2024 whose figures were read: DANCE, and RDED with a teacher's labels."""

from __future__ import annotations

from ddcore.measure.regimes import ONLINE
from ddcore.recipes.base import SPLIT, Judged, Published, Recipe, RecipeRow

DANCE = "Zhang et al. 2024, read off the picture of a table in the official repository"
DELT = (
    "Sun et al. 2024, as quoted by DELT, read off the picture of a table in its official repository"
)
_DANCE = {1: 47.1, 10: 70.8, 50: 76.1}
_RDED = {1: 22.9, 10: 37.1, 50: 62.1}


def _dance(ipc: int) -> RecipeRow:
    return RecipeRow(
        name=f"cifar10-dance-{ipc}",
        method="dance",
        dataset="cifar10",
        ipc=ipc,
        judged=(Judged("", Published(_DANCE[ipc], DANCE)),),
        differs=f"{SPLIT}. Both terms and all classes take one step together, where the published code goes "
        "class by class; how its experts are trained beyond their 60 epochs is ours.",
    )


def _rded(ipc: int) -> RecipeRow:
    judged = Judged("dsa", Published(_RDED[ipc], DELT), labels=ONLINE, temperature=20.0)
    return RecipeRow(
        name=f"cifar10-rded-{ipc}",
        method="rded",
        dataset="cifar10",
        ipc=ipc,
        settings={"net.arch": "resnet18", "net.norm": "batch"},
        judged=(judged,),
        differs=f"{SPLIT}. Crops are scored by five networks instead of one; five others, trained as long as "
        "the data ask for, label every batch. Learning is as in dsa with the divergence at temperature 20; "
        "the published way has AdamW, CutMix and shuffled patches, and counts the best of its last epochs on "
        "test images.",
    )


RECIPE = Recipe(
    name="cifar10-2024",
    order=5,
    title="CIFAR-10, methods of 2024",
    about="Feature matching between start and end of training in a ConvNet of three blocks and width 128; "
    "crops chosen by ResNets, with ResNets that label every batch of those that learn from them.",
    machine="gpu",
    rows=(*(_dance(ipc) for ipc in _DANCE), *(_rded(ipc) for ipc in _RDED)),
)
