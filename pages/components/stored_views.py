"""What a set stores beside what networks see of it: its budget, canvases, tiles, shared pictures."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.distil.contract import parametrization
from ddcore.sets.distilled import DistilledSet
from pages.components import sheet

CANVAS = "canvas"  # the stored tensor of pictures without edges
WIDTH = 390  # screen pixels of one of two columns, about
COPIES = 3  # of a canvas beside and below each other
MOST = 100  # pictures shown at once


def budget(made: DistilledSet) -> str:
    """How many numbers were learned for the images and their labels, and what networks see of them."""
    seen, per_class = len(made.images), len(made.images) // made.num_classes
    plain = made.floats / (made.num_classes * made.images[0].size)
    numbers = f"**{made.floats:,} numbers** are stored for the images"
    if made.stored:
        numbers += f", as many as {plain:.3g} plain image{_s(plain)} per class"
    numbers += f"; networks see **{seen:,} images**, {per_class:,} of each class."
    beside = [f"{made.labels.size:,} numbers of labels"] if made.soft else []
    if made.lrs is not None:
        count = len(np.unique(made.lrs))  # one that all steps share is stored once for each
        beside.append(f"{count:,} step size{_s(count)}")
    if beside:
        numbers += f" Beside them: {', '.join(beside)}."
    return numbers


def _s(count: float) -> str:
    return "" if count == 1 else "s"


def show(made: DistilledSet, image: int, mode: str) -> None:
    """What image number `image` is made of; nothing for plain pixels."""
    if not made.stored:
        return
    st.header("What is stored", anchor=False)
    st.markdown(about(made))
    if CANVAS in made.stored:
        canvas(made, image, mode)
    for name, stored in made.stored.items():
        if name != CANVAS and is_pictures(stored, made):
            pictures(made, name, stored, image, mode)


def about(made: DistilledSet) -> str:
    """The idea of the parametrization and the tensors it stores."""
    try:
        idea = parametrization(made.parametrization).idea
    except DDError:  # a set from elsewhere
        idea = f"Stored as {plain(made.parametrization)}."
    sizes = {n: " × ".join(map(str, a.shape)) for n, a in made.stored.items()}
    return f"{idea} Stored: {', '.join(f'{plain(n)} ({s})' for n, s in sizes.items())}."


def is_pictures(stored: np.ndarray, made: DistilledSet) -> bool:
    """Whether a stored tensor can be looked at: several pictures with the images' channels."""
    return stored.ndim == 4 and stored.shape[1] == made.shape[0]


# --- canvases -------------------------------------------------------------------------------------


def canvas(made: DistilledSet, image: int, mode: str) -> None:
    """The canvas that an image was cut out of, repeated, with its seam measured; windows beside it."""
    stored = made.stored[CANVAS]
    windows = len(made.images) // len(stored)
    chosen = image // windows
    own = made.preprocess.inverse(stored[chosen][None])
    name = made.class_names[made.hard_labels[chosen * windows]]
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(f"**The canvas of {plain(name)}, {COPIES} × {COPIES} times**")
        sheet.show(
            tiled(own),
            columns=1,
            key="images.canvas",
            mode=mode,
            max_width=WIDTH,
            alt=f"A canvas of class {name} repeated {COPIES} times in both directions",
        )
        st.markdown(seam_text(own, made.preprocess.inverse(stored)))
    with right:
        st.markdown("**Windows that networks see of it**")
        cut = made.pixels()[chosen * windows : (chosen + 1) * windows][:MOST]
        sheet.show(
            cut,
            columns=min(len(cut), 4),
            key="images.windows",
            mode=mode,
            max_width=WIDTH,
            alt=f"{len(cut)} windows of the canvas, as networks see them",
            caption="Each use cuts other windows; these are the ones kept for evaluation.",
        )


def tiled(picture: np.ndarray) -> np.ndarray:
    """(1, C, H, W) repeated in both directions: (1, C, 3 H, 3 W)."""
    return np.tile(picture, (1, 1, COPIES, COPIES))


def seam_text(own: np.ndarray, every: np.ndarray) -> str:
    """The measured seam of one canvas and of all."""
    from analysis.single.seam import seam

    one, whole = seam(own), seam(every)
    return (
        f"Across the edge neighbouring values differ by {one.wrap:.3f} on average, inside by "
        f"{one.interior:.3f}: a ratio of **{one.ratio:.2f}**, over all canvases {whole.ratio:.2f}. At 1 "
        "there is no seam; above it the edge shows."
    )


# --- tiles, shared pictures -----------------------------------------------------------------------


def pictures(made: DistilledSet, name: str, stored: np.ndarray, image: int, mode: str) -> None:
    """Stored pictures on the left, the images of the chosen class decoded from them on the right."""
    label = made.hard_labels[image]
    belongs = len(stored) % (made.num_classes * made.steps) == 0
    shown = stored[_rows_of(label, len(stored), made)] if belongs else stored
    whose = made.class_names[label] if belongs else "all classes"
    as_pixels = stored.shape[1:] == made.shape  # else they have no scale of their own
    shown = made.preprocess.inverse(shown) if as_pixels else shown
    decoded = made.pixels()[made.hard_labels == label]
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(f"**Stored for {plain(whose)}: {len(shown):,} picture{_s(len(shown))}**")
        _some(shown, "images.stored", mode if as_pixels else "minmax", f"Stored {name} of {whose}")
    with right:
        name = plain(made.class_names[label])
        st.markdown(f"**Decoded for {name}: {len(decoded):,} image{_s(len(decoded))}**")
        _some(decoded, "images.decoded", mode, f"Images of class {made.class_names[label]}")


def _rows_of(label: int, count: int, made: DistilledSet) -> np.ndarray:
    """Which of `count` pictures, in class order within each step, belong to a class."""
    per_class = count // (made.num_classes * made.steps)
    return np.flatnonzero(np.arange(count) // per_class % made.num_classes == label)


def _some(pixels: np.ndarray, key: str, mode: str, alt: str) -> None:
    shown = pixels[:MOST]
    note = f"The first {MOST} of {len(pixels):,}." if len(pixels) > MOST else ""
    sheet.show(
        shown,
        columns=min(len(shown), 10 if len(shown) > 16 else 4),
        key=key,
        mode=mode,
        max_width=WIDTH,
        alt=alt,
        caption=note,
    )
