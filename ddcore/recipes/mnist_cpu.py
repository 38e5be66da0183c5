"""MNIST as far as a processor carries it: shorter runs and a narrower network than published."""

from __future__ import annotations

from ddcore.recipes.base import NOT_READ, Judged, Recipe, RecipeRow
from ddcore.recipes.mnist_2018 import KNOWN, UNKNOWN, row

SHORT = "Shorter than published"


def _narrow(method: str, ipc: int, shorter: str, **settings: str) -> RecipeRow:
    """A method with a narrow network; `shorter` says what else is less than published."""
    return RecipeRow(
        name=f"mnist-{method}-{ipc}-narrow",
        method=method,
        dataset="mnist",
        ipc=ipc,
        preset="teaching",
        settings=settings,
        # Trajectory matching counts on augmentation, and on the step size that it has learned.
        judged=(Judged(), Judged("mtt-digits")) if method == "mtt" else (Judged(),),
        differs=f"A ConvNet of width 32 instead of 128, {shorter}, ours as protocol: not comparable with "
        "published figures.",
    )


def _fixed(seed: int) -> RecipeRow:
    """The known initialisation that a seed draws."""
    return row(
        f"mnist-fixed-10-short-{seed}",
        1,
        KNOWN,
        f"{SHORT}: 14,000 iterations with batches of 512 and larger step sizes, found on seed 0 by "
        "validation accuracy. Known weights differ in how far ten images can take them.",
        preset="quick",
        seed=seed,
        setting="fixed",
        iterations="14000",
        validations="20",
        decay_every="2300",
        real_batch="512",
        lr0="0.3",
        lr="0.05",
        lr_rates="0.003",
    )


RECIPE = Recipe(
    name="mnist-cpu",
    order=0,
    title="MNIST on a processor",
    about="The settings of Wang et al. 2018 with their LeNet (perceptrons for the attack) and fewer "
    "iterations, and four methods with a narrow network.",
    machine="cpu",
    rows=(
        *map(_fixed, range(5)),
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
        _narrow("dm", 1, "1,000 iterations instead of 20,000"),
        _narrow("dm", 10, "1,000 iterations instead of 20,000"),
        _narrow("dc", 1, "64 real images per class and comparison instead of 256"),
        _narrow("dc", 10, "1,000 comparisons instead of 10,000"),
        _narrow(
            "mtt",
            1,
            "4 experts of 4 epochs, 1,000 iterations (too few to leave class means behind)",
            experts="4",
        ),
        _narrow("mtt", 10, "4 experts of 4 epochs, 300 iterations", experts="4", iterations="300"),
        _narrow("bptt", 1, "1,000 iterations through 15 steps"),
        _narrow("bptt", 10, "300 iterations through 15 steps", iterations="300"),
    ),
)
