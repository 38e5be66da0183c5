"""MNIST as far as a processor carries it: shorter runs and a narrower network than published."""

from __future__ import annotations

from ddcore.recipes.base import NOT_READ, Recipe, Row
from ddcore.recipes.mnist_2018 import KNOWN, UNKNOWN, row

SHORT = "Shorter than published"


def _dm(ipc: int) -> Row:
    return Row(
        name=f"mnist-dm-{ipc}-narrow",
        method="dm",
        dataset="mnist",
        ipc=ipc,
        preset="teaching",
        differs="A ConvNet of width 32 instead of 128, 1,000 iterations instead of 20,000, ours as protocol: "
        "not comparable with published figures.",
    )


RECIPE = Recipe(
    name="mnist-cpu",
    order=0,
    title="MNIST on a processor",
    about="The settings of Wang et al. 2018 with their LeNet (perceptrons for the attack) and fewer "
    "iterations, and distribution matching with a narrow network.",
    machine="cpu",
    rows=(
        row(
            "mnist-fixed-10-short",
            1,
            KNOWN,
            f"{SHORT}: 14,000 iterations with batches of 512 and larger step sizes. The known weights are "
            "the better of two that were tried.",
            preset="quick",
            seed=1,
            setting="fixed",
            iterations="14000",
            validations="20",
            decay_every="2300",
            real_batch="512",
            lr0="0.3",
            lr="0.05",
            lr_rates="0.003",
        ),
        row(
            "mnist-unknown-100-short",
            10,
            UNKNOWN,
            f"{SHORT}: 1,500 iterations with batches of 256 instead of 24,000 with 1,024.",
            preset="quick",
            setting="unknown",
        ),
        row(
            "mnist-adapt-100-short",
            10,
            None,
            f"{NOT_READ}. 400 iterations from real images, 20 networks; USPS has 1,000 training images here.",
            preset="quick",
            setting="adapt",
            source="usps",
        ),
        row(
            "mnist-attack-100-short",
            10,
            None,
            f"{NOT_READ}. Perceptrons instead of LeNets, which one step hardly moves; 600 iterations.",
            preset="quick",
            setting="attack",
            attacked="0",
            target="1",
        ),
        _dm(1),
        _dm(10),
    ),
)
