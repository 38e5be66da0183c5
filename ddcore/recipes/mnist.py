"""MNIST with one and ten images per class by four methods, as published."""

from __future__ import annotations

from ddcore.recipes.base import NOT_READ, README, SPLIT, Judged, Published, Recipe, RecipeRow


def _rows(method: str, published: dict[int, Published], differs: str) -> tuple[RecipeRow, ...]:
    return tuple(
        RecipeRow(
            name=f"mnist-{method}-{ipc}",
            method=method,
            dataset="mnist",
            ipc=ipc,
            settings={"experts": "20"} if method == "mtt" else {},
            judged=(Judged("", published.get(ipc)),),
            differs=differs,
        )
        for ipc in (1, 10)
    )


RECIPE = Recipe(
    name="mnist",
    order=1,
    title="MNIST, one and ten images per class",
    about="Distribution, gradient and trajectory matching and backpropagation through time in a ConvNet of "
    "three blocks and width 128.",
    machine="gpu",
    rows=(
        *_rows("dm", {}, f"{SPLIT}. {NOT_READ}."),
        *_rows("dc", {1: Published(91.7, README), 10: Published(97.4, README)}, f"{SPLIT}."),
        *_rows(
            "mtt", {}, f"{SPLIT}; 20 experts. The authors did not publish settings for MNIST: ours."
        ),
        *_rows("bptt", {}, f"{SPLIT}. {NOT_READ}."),
    ),
)
