"""Every MNIST setting of Wang et al. 2018: known and unknown initialisation, adaptation, attack."""

from __future__ import annotations

from ddcore.recipes.base import NOT_READ, SPLIT, Judged, Published, Recipe, RecipeRow

PROJECT = "project page of Wang et al. 2018"
KNOWN = Published(93.8, PROJECT)
UNKNOWN = Published(79.5, PROJECT, std=8.1)


def row(
    name: str,
    ipc: int,
    published: Published | None,
    differs: str,
    preset: str = "paper",
    seed: int = 0,
    **settings: str,
) -> RecipeRow:
    """A row of the 2018 method on MNIST."""
    attack = settings["setting"] == "attack"
    return RecipeRow(
        name=name,
        method="dd2018",
        dataset="mnist",
        ipc=ipc,
        preset=preset,
        seed=seed,
        settings=settings,
        judged=(Judged("", published),),
        differs=differs,
        quoted=("flipped", "others") if attack else (),
    )


RECIPE = Recipe(
    name="mnist-2018",
    order=0,
    title="MNIST, Dataset Distillation 2018",
    about="LeNets with one known initialisation, with fresh ones, trained on USPS and to be adapted, and "
    "well-trained ones that are to call a zero a one after a single step.",
    machine="gpu",
    rows=(
        row("mnist-fixed-10", 1, KNOWN, f"{SPLIT}.", setting="fixed"),
        row("mnist-unknown-100", 10, UNKNOWN, f"{SPLIT}.", setting="unknown"),
        row(
            "mnist-adapt-100",
            10,
            None,
            f"{NOT_READ}. Here USPS has 1,000 training images.",
            setting="adapt",
            source="usps",
        ),
        row(
            "mnist-attack-100", 10, None, f"{NOT_READ}.", setting="attack", attacked="0", target="1"
        ),
    ),
)
