"""One image of a run: choosing it, its values enlarged, what is known of it, from start to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ddcore.base.foreign_text import plain
from ddcore.base.texts import percent
from pages.components import sheet
from pages.components.evolution import Evolution, film, image_id, outside, parse_image_id
from pages.components.images_views import WIDTH, outside_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ZOOM = 256  # screen pixels of one large image, about
PILLS = 12  # slots shown as pills at most


def choose(movie: Evolution, dataset: str) -> tuple[int, int]:
    """(class, slot) as chosen; kept in the link as a stable id."""
    ipc = movie.rows.shape[1]
    label, slot = parse_image_id(st.query_params.get("img", ""), dataset, len(movie.names), ipc)
    st.session_state["images.class"], st.session_state["images.slot"] = label, slot

    def write() -> None:
        chosen = st.session_state["images.class"], st.session_state.get("images.slot") or 0
        st.query_params["img"] = image_id(dataset, *chosen)

    def move(by: int) -> None:
        place = (label * ipc + slot + by) % (len(movie.names) * ipc)
        st.query_params["img"] = image_id(dataset, *divmod(place, ipc))

    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        names = dict(enumerate(movie.names))
        st.selectbox(
            "Class",
            list(names),
            format_func=names.get,
            key="images.class",
            on_change=write,
            width=180,
        )
        if 1 < ipc <= PILLS:
            st.pills(
                "Image of the class",
                range(ipc),
                format_func=lambda i: str(i + 1),
                key="images.slot",
                on_change=write,
                required=True,
                width="content",
            )
        elif ipc > 1:
            st.selectbox(
                "Image of the class",
                range(ipc),
                format_func=lambda i: f"{i + 1} of {ipc}",
                key="images.slot",
                on_change=write,
                width=150,
            )
        for by, word, icon in (
            (-1, "Previous", ":material/chevron_left:"),
            (1, "Next", ":material/chevron_right:"),
        ):
            st.button(word, key=f"images.{word}", icon=icon, on_click=move, args=[by])
    return label, slot


def detail(movie: Evolution, step: int, mode: str, dataset: str, image: tuple[int, int]) -> None:
    """One image large, with its values, facts and evolution."""
    index = movie.rows[image]
    pixels = movie.pixels(step)[index]
    name = movie.names[image[0]]
    left, right = st.columns([2, 3], gap="large")
    with left:
        alt = f"Distilled image {image[1] + 1} of class {name} at iteration {step}, enlarged"
        figure = zoom(pixels, mode)
        st.plotly_chart(
            figure,
            key="images.zoom",
            width="content",
            theme=None,
            config={"displayModeBar": False},
            alt=alt,
        )
        st.caption(f"Hover for the exact values. Shown with {_how(mode)}.")
    with right:
        st.markdown(facts(movie, pixels, index, image, image_id(dataset, *image)))
    if len(movie.steps) > 1:
        strip(movie, index, mode, name)


def _how(mode: str) -> str:
    from ddcore.sets import render

    return render.MODES[mode]


def zoom(pixels: np.ndarray, mode: str) -> Figure:
    """A figure of one image (C, H, W), each pixel a whole number of screen pixels, values on hover."""
    from ddcore.sets import render
    from pages.components import charts

    shown = np.moveaxis(render.to_uint8(pixels, mode), 0, -1)
    shown = np.repeat(shown, 3, -1) if shown.shape[-1] == 1 else shown[..., :3]
    height, width = shown.shape[:2]
    side = max(1, ZOOM // max(height, width))
    values = np.moveaxis(pixels, 0, -1)
    words = [[", ".join(f"{v:.4f}" for v in cell) for cell in row] for row in values]
    figure = charts.new_figure()
    figure.add_image(
        z=shown, text=words, hovertemplate="row %{y}, column %{x}: %{text}<extra></extra>"
    )
    figure.update_layout(
        width=width * side,
        height=height * side,
        margin=dict.fromkeys("lrtb", 0),
        plot_bgcolor="rgba(0,0,0,0)",
        paper_bgcolor="rgba(0,0,0,0)",
    )
    return figure.update_xaxes(visible=False).update_yaxes(visible=False)


def facts(
    movie: Evolution, pixels: np.ndarray, index: int, image: tuple[int, int], name: str
) -> str:
    """A table of what is known of one image."""
    ipc = movie.rows.shape[1]
    rows = {
        "Image": f"`{name}`",
        "Class": f"{plain(movie.names[image[0]])} (image {image[1] + 1} of {ipc})",
        "Values": f"{pixels.min():.3f} to {pixels.max():.3f}, mean {pixels.mean():.3f}",
        "Outside 0..1": f"{percent(outside(pixels))} of them",
    }
    made = movie.made
    if made is not None and made.steps > 1:
        rows["Used in step"] = f"{made.step_of[index] + 1} of {made.steps}"
    if made is not None and made.lrs is not None:
        rates = made.lrs.reshape(-1, made.steps)[:, made.step_of[index]]
        rates = rates[:1] if (rates == rates[0]).all() else rates
        label = "Learned step size" if len(rates) == 1 else "Learned step sizes, pass by pass"
        rows[label] = ", ".join(f"{r:.3g}" for r in rates)
    head, *lines = (f"| {k} | {v} |" for k, v in rows.items())
    return "\n".join([head, "| --- | --- |", *lines])


def strip(movie: Evolution, index: int, mode: str, name: str) -> None:
    """One image at a few iterations from the first to the last."""
    steps = film(movie.steps)
    pictures = np.stack([movie.pixels(s)[index] for s in steps])
    st.markdown("**From start to end**")
    sheet.show(
        pictures,
        columns=len(steps),
        top=[f"{s:,}" for s in steps],
        key="images.film",
        mode=mode,
        max_width=WIDTH,
        max_scale=10,
        alt=f"One image of class {name} at iterations {', '.join(map(str, steps))}",
        caption=outside_text(pictures, mode),
    )
