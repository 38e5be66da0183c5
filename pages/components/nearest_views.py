"""A distilled image beside the nearest real ones, and what the distances say about copying."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ddcore.base.foreign_text import plain
from ddcore.tasks.store import Task
from pages.components import evolution, grid, reading, shell
from pages.components.evolution import Evolution

if TYPE_CHECKING:
    from analysis.single.nearest import NearestTask, Neighbours

QUICK_S = 3.0


def show(movie: Evolution, index: int, mode: str, found: Neighbours, result: dict) -> None:
    """The kept image beside the nearest training images, with distances and what they say."""
    real = found.images.astype(np.float32) / 255
    names = [movie.names[c] for c in found.classes]
    words = [f"{name}, {far:.3f} away" for name, far in zip(names, found.distances)]
    grid.show(
        grid.Sheet(
            np.concatenate([movie.made.pixels()[index][None], real]),
            ["The distilled image, as it was kept", *words],
            lines=["distilled", *names],
            mode=mode,
        ),
        key="images.nearest",
        label=f"The distilled image, then the {len(real)} nearest training images",
        height=200,
        note=None,
    )
    st.markdown(verdict(found, result))
    with st.expander("Distances", key="images.nearest.distances"):
        st.markdown(_distances(found, names))
        st.caption(overall(result))


def _distances(found: Neighbours, names: list[str]) -> str:
    rows = ["| Nearest | Class | Distance | PSNR (dB) |", "| ---: | --- | ---: | ---: |"]
    for i, name in enumerate(names):
        note = plain(name) if found.agrees[i] else f"{plain(name)} (another)"
        ratio = f"{found.psnr[i]:.1f}" if np.isfinite(found.psnr[i]) else "∞"
        rows.append(f"| {i + 1} | {note} | {found.distances[i]:.3f} | {ratio} |")
    return "\n".join(rows)


def verdict(found: Neighbours, result: dict) -> str:
    """What the distance to the nearest training image says about copying."""
    from analysis.single.nearest import COPY

    share, count = found.held_out_farther, result["held_out_images"]
    if found.distances[0] < COPY * found.images[0].size ** 0.5:
        return "**A copy:** it differs from a training image by less than a display can show."
    if share >= 0.5:
        return (
            f"**Close to the data:** it is nearer to a training image than {_part(share, count)} "
            "held-out real images are."
        )
    return (
        f"**No copy:** {_part(1 - share, count)} held-out real images are nearer to a training image "
        "than this one is."
    )


def _part(share: float, count: int) -> str:
    return f"all {count:,}" if share == 1 else f"{100 * share:.0f} % of {count:,}"


def overall(result: dict) -> str:
    """The same for the whole set."""
    return (
        f"All {result['images']:,} images: median distance to the nearest of "
        f"{result['train_images']:,} training images {result['median_distance']:.3f}, that of "
        f"held-out real images {result['median_held_out']:.3f}; "
        f"{100 * result['share_nearer']:.0f} % are closer than that. The nearest training image is of "
        f"the same class for {100 * result['class_agreement']:.0f} % "
        f"(held-out images: {100 * result['class_agreement_held_out']:.0f} %). Euclidean distance of "
        "pixels on the 0..1 scale; PSNR at peak 1."
    )


def seconds(task: Task, wanted: NearestTask) -> float | None:
    """How long it will take, from the number of comparisons; None if the dataset is unknown here."""
    from analysis.single.nearest import expected_seconds
    from ddcore.data.registry import datasets
    from ddcore.data.spec import dataset_task

    spec, result = task.spec(), task.result()
    c, h, w = result["shape"]
    decoded = shell.store().task(dataset_task(spec.data))
    if decoded.is_done():
        train = sum(decoded.result()["counts"]["train"])
    elif spec.data.name in datasets():
        train = datasets()[spec.data.name].train_size
    else:
        return None
    images = len(evolution.made_by(task).images)
    return expected_seconds(images, train, c * h * w, wanted)


def is_quick(task: Task, wanted: NearestTask) -> bool:
    """Whether it can be computed unasked: in few seconds, from images that are here."""
    expected = seconds(task, wanted)
    return expected is not None and expected < QUICK_S and reading.is_here(task.spec().data)
