"""CIFAR-10 with ten images per class by the four families that Yang et al. 2024 compare, and DSA."""

from __future__ import annotations

from ddcore.recipes.base import Judged, Published, Recipe, Row

PICTURE = "Yang et al. 2024, read off a picture in their notebook"
PAD = "Zhao & Bilen 2021, as quoted by PAD (2024), table 1"
README = "official README of Zhao et al."
AUTOPALETTE = "Cazenavette et al. 2022 (with whitening), as quoted by AutoPalette (2024), table 1"
SPLIT = "A tenth of the training images is held out to choose the checkpoint"

DM = Row(
    name="cifar10-dm-10",
    method="dm",
    dataset="cifar10",
    ipc=10,
    judged=(Judged("", Published(48.9, PAD)), Judged("t300", Published(42.7, PICTURE))),
    differs=f"{SPLIT}.",
)
DC = Row(
    name="cifar10-dc-10",
    method="dc",
    dataset="cifar10",
    ipc=10,
    judged=(Judged("", Published(44.9, README)), Judged("t300", Published(46.0, PICTURE))),
    differs=f"{SPLIT}.",
)
MTT = Row(
    name="cifar10-mtt-10",
    method="mtt",
    dataset="cifar10",
    ipc=10,
    settings={"experts": "20"},
    judged=(Judged(), Judged("t300", Published(53.2, PICTURE))),
    differs=f"{SPLIT}; 20 experts instead of 100. The paper's own figure is with whitening.",
)
BPTT = Row(
    name="cifar10-bptt-10",
    method="bptt",
    dataset="cifar10",
    ipc=10,
    judged=(Judged(), Judged("t300", Published(58.7, PICTURE))),
    differs=f"{SPLIT}. The paper's own figure is with whitening and was not read in a source.",
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
        Row(
            name="cifar10-dsa-10",
            method="dsa",
            dataset="cifar10",
            ipc=10,
            judged=(Judged("", Published(52.1, README)),),
            differs=f"{SPLIT}.",
        ),
        Row(
            name="cifar10-mtt-zca-10",
            method="mtt",
            dataset="cifar10",
            ipc=10,
            settings={"experts": "20"},
            whiten=True,
            judged=(Judged("", Published(65.3, AUTOPALETTE)),),
            differs=f"{SPLIT}; 20 experts instead of 100.",
        ),
    ),
)
