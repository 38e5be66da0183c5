"""CIFAR-10 by methods of 2024 and 2025 whose figures were read: DANCE, M3D, NCFM, DATM, and RDED with a
teacher's labels."""

from __future__ import annotations

from ddcore.measure.regimes import ONLINE
from ddcore.recipes.base import SPLIT, Judged, Published, Recipe, RecipeRow

DANCE = "Zhang et al. 2024, read off the picture of a table in the official repository"
DELT = (
    "Sun et al. 2024, as quoted by DELT, read off the picture of a table in its official repository"
)
NCFM = "Wang et al. 2025, read off the picture of a table in the official repository"
M3D = "Zhang et al. 2024, as quoted by NCFM, read off the picture of a table in its official repository"
DATM = "Guo et al. 2024, read off the picture of a table in the official repository"
_DANCE = {1: 47.1, 10: 70.8, 50: 76.1}
_RDED = {1: 22.9, 10: 37.1, 50: 62.1}
_M3D = {1: 45.3, 10: 63.5, 50: 69.9}
_NCFM = {1: 49.5, 10: 71.8, 50: 77.4}
_DATM = {1: 46.9, 10: 66.8, 50: 76.1}


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


def _m3d(ipc: int) -> RecipeRow:
    return RecipeRow(
        name=f"cifar10-m3d-{ipc}",
        method="m3d",
        dataset="cifar10",
        ipc=ipc,
        judged=(Judged("", Published(_M3D[ipc], M3D)),),
        differs=f"{SPLIT}. No code was published: width of the kernel, step sizes and protocol are ours.",
    )


def _ncfm(ipc: int) -> RecipeRow:
    return RecipeRow(
        name=f"cifar10-ncfm-{ipc}",
        method="ncfm",
        dataset="cifar10",
        ipc=ipc,
        judged=(Judged("", Published(_NCFM[ipc], NCFM)),),
        differs=f"{SPLIT}. All classes take one step together, with Adam at a constant step size; networks "
        "learn by dsa, where the published way has AdamW, CutMix and 2000 epochs and counts the best on test "
        "images.",
    )


def _datm(ipc: int) -> RecipeRow:
    return RecipeRow(
        name=f"cifar10-datm-{ipc}",
        method="datm",
        dataset="cifar10",
        ipc=ipc,
        whiten=True,
        judged=(Judged("", Published(_DATM[ipc], DATM)),),
        differs=f"{SPLIT}. Experts are trained plainly, where the authors' seek flat minima; the published "
        "figure is the best on test images.",
    )


RECIPE = Recipe(
    name="cifar10-2024",
    order=5,
    title="CIFAR-10, methods of 2024 and 2025",
    about="Features matched in a ConvNet of three blocks and width 128, between start and end of training or "
    "in fresh networks; trajectories matched within a window that suits the size; crops chosen by ResNets, "
    "with ResNets that label every batch of those that learn from them.",
    machine="gpu",
    rows=(
        *(_dance(ipc) for ipc in _DANCE),
        *(_rded(ipc) for ipc in _RDED),
        *(_m3d(ipc) for ipc in _M3D),
        *(_ncfm(ipc) for ipc in _NCFM),
        *(_datm(ipc) for ipc in _DATM),
    ),
)
