"""CIFAR-10 with ten images per class by the four families that Yang et al. 2024 compare, and DSA."""

from __future__ import annotations

from ddcore.recipes.base import README, SPLIT, Judged, Published, Recipe, RecipeRow

PICTURE = "Yang et al. 2024, read off a picture in their notebook"
PAD = "Zhao & Bilen 2021, as quoted by PAD (2024), table 1"
AUTOPALETTE = "Cazenavette et al. 2022 (with whitening), as quoted by AutoPalette (2024), table 1"


def _row(
    name: str,
    own: Published | None,
    t300: Published | None = None,
    differs: str = f"{SPLIT}.",
    whiten: bool = False,
) -> RecipeRow:
    """Ten images per class under the method's own protocol, and under that of Yang et al."""
    experts = {"experts": "20"} if name == "mtt" else {}
    return RecipeRow(
        name=f"cifar10-{name}{'-zca' if whiten else ''}-10",
        method=name,
        dataset="cifar10",
        ipc=10,
        settings=experts,
        whiten=whiten,
        judged=(Judged("", own), *((Judged("t300", t300),) if t300 else ())),
        differs=differs,
    )


FEWER = f"{SPLIT}; 20 experts instead of 100."
DM = _row("dm", Published(48.9, PAD), Published(42.7, PICTURE))
DC = _row("dc", Published(44.9, README), Published(46.0, PICTURE))
MTT = _row(
    "mtt", None, Published(53.2, PICTURE), f"{FEWER} The paper's own figure is with whitening."
)
BPTT = _row(
    "bptt",
    None,
    Published(58.7, PICTURE),
    f"{SPLIT}. The paper's own figure is with whitening and was not read in a source.",
)
FAMILIES = (BPTT, DM, DC, MTT)

RECIPE = Recipe(
    name="cifar10",
    order=2,
    title="CIFAR-10, ten images per class",
    about="Backpropagation through time, distribution, gradient and trajectory matching in a ConvNet of "
    "three blocks and width 128 without whitening, as Yang et al. 2024 compare them; gradient matching "
    "with augmentation, and trajectory matching with whitening.",
    machine="gpu",
    rows=(
        *FAMILIES,
        _row("dsa", Published(52.1, README)),
        _row("mtt", Published(65.3, AUTOPALETTE), differs=FEWER, whiten=True),
    ),
)
