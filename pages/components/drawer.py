"""The drawer beside the sheet: one image large, its values, nearest real images, from start to end."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ddcore.base.foreign_text import plain
from ddcore.base.texts import percent
from pages.components import grid, magnified, nearest_views, orders, shell, stored_views, views
from pages.components.evolution import Evolution, film, image_id, outside, parse_image_id

PARAMETER, PIN = "img", "pin"
WIDTH = 340  # screen pixels: ten times a pixel of CIFAR-10
# Beside a long sheet the drawer stays in view, as the player does below it. Where there is no room for both
# it lies over the page's right side.
CSS = """<style>
:has(> .st-key-images-player) {{position: sticky; bottom: 0; z-index: 1; padding-bottom: 4px;
  background: {back}}}
:has(> .st-key-images-drawer) {{position: sticky; top: 3.5rem}}
.st-key-images-drawer {{max-height: calc(100vh - 4rem); overflow-y: auto}}
[data-testid=stMainBlockContainer]:has(.st-key-images-drawer) {{
  padding-left: 1.25rem; padding-right: 1.25rem}}
@media (max-width: 1199px) {{.st-key-images-drawer {{position: fixed; right: 0; top: 3.5rem; bottom: 0;
  max-height: none; width: {over}px; max-width: 90vw; padding: 1rem; z-index: 1000; background: {back};
  box-shadow: -4px 0 16px rgba(0, 0, 0, .3)}}}}
</style>"""
Image = tuple[int, int]  # class, slot


def opened(movie: Evolution, dataset: str) -> Image | None:
    """The image that the link names; None if the drawer is closed."""
    ipc, named = movie.rows.shape[1], st.query_params.get(PARAMETER, "")
    image = parse_image_id(named, dataset, len(movie.names), ipc)
    allowed = f"an image of this set such as {image_id(dataset, 0, 0)}"
    views.check(PARAMETER, named, image is not None, allowed)
    return image


def css() -> str:
    """The style sheet of the drawer and of what is beside it, in the colours of the theme."""
    back = st.get_option(f"theme.{st.context.theme.type or 'light'}.backgroundColor")
    return CSS.format(back=back, width=WIDTH, over=WIDTH + 32)


def open_at(movie: Evolution, dataset: str, index: int) -> None:
    """Open the drawer for image number `index` of the set; close it for -1."""
    places = np.argwhere(movie.rows == index)
    if len(places):
        st.query_params[PARAMETER] = image_id(dataset, *map(int, places[0]))
    else:
        st.query_params.pop(PARAMETER, None)


def show(movie: Evolution, step: int, mode: str, dataset: str, image: Image) -> None:
    """The drawer."""
    index = int(movie.rows[image])
    pixels = movie.pixels(step)[index]
    name = movie.names[image[0]]
    _head(movie, dataset, image)
    magnified.show(
        pixels,
        key="images.zoom",
        label=f"Distilled image {image[1] + 1} of class {name} at iteration {step}, enlarged. "
        "Arrow keys say the value of each pixel",
        mode=mode,
        side=WIDTH - 12,
    )
    _pinned(movie, step, mode, dataset, image)
    st.markdown(facts(movie, pixels, index, image, image_id(dataset, *image)))
    if movie.made is not None:
        _nearest(movie, index, mode)
    if len(movie.steps) > 1:
        strip(movie, index, step, mode, name)
    if movie.made is not None:
        stored_views.show(movie.made, index, mode)


def _head(movie: Evolution, dataset: str, image: Image) -> None:
    """The image's name, and buttons to its neighbours and out."""
    count = movie.rows.size

    def move(by: int) -> None:
        place = (image[0] * movie.rows.shape[1] + image[1] + by) % count
        open_at(movie, dataset, int(movie.rows.ravel()[place]))

    st.header(f"{plain(movie.names[image[0]])}, image {image[1] + 1}", anchor=False)
    with st.container(horizontal=True, gap="xsmall"):
        for by, word, icon in (
            (-1, "Previous", ":material/chevron_left:"),
            (1, "Next", ":material/chevron_right:"),
        ):
            st.button(word, key=f"images.{word}", icon=icon, on_click=move, args=[by])
        pinned = pinned_image(movie, dataset) == image
        st.button(
            "Unpin" if pinned else "Pin",
            key="images.pin",
            on_click=_pin,
            args=["" if pinned else image_id(dataset, *image)],
            help=None if pinned else "Keeps this image in sight while you look at others.",
        )
        close = {"on_click": open_at, "args": [movie, dataset, -1]}
        st.button("Close", key="images.close", **close)


def pinned_image(movie: Evolution, dataset: str) -> Image | None:
    """The image that was pinned; the link keeps it."""
    ipc = movie.rows.shape[1]
    return parse_image_id(st.query_params.get(PIN, ""), dataset, len(movie.names), ipc)


def _pin(name: str) -> None:
    if name:
        st.query_params[PIN] = name
    else:
        st.query_params.pop(PIN, None)


def _pinned(movie: Evolution, step: int, mode: str, dataset: str, image: Image) -> None:
    """The pinned image, this one, and by how much they differ; nothing where none is pinned."""
    kept = pinned_image(movie, dataset)
    if kept is None or kept == image:
        return
    pair = movie.pixels(step)[[int(movie.rows[kept]), int(movie.rows[image])]]
    apart = pair[1] - pair[0]
    largest = float(np.abs(apart).max())
    words = [f"{movie.names[c]}, image {slot + 1}" for c, slot in (kept, image)]
    st.markdown("**Beside the pinned one**")
    grid.show(
        grid.Sheet(
            np.stack([*pair, 0.5 + apart / (2 * largest or 1)]),
            [
                f"Pinned: {words[0]}",
                words[1],
                "This one minus the pinned one, grey where they agree",
            ],
            lines=["pinned", "this one", "difference"],
            mode=mode,
        ),
        key="images.pinned",
        label="The pinned image, this one, and their difference",
        height=150,
        note=None,
    )
    st.caption(
        f"They are {float(np.linalg.norm(apart)):.3f} apart (Euclidean, pixels 0..1); the largest difference "
        f"of a value is {largest:.3f}."
    )


def _nearest(movie: Evolution, index: int, mode: str) -> None:
    from analysis.single import nearest

    task = orders.nearest_task(shell.store(), movie.task.key)
    if not task.is_done():
        return
    st.markdown("**Nearest real images**")
    nearest_views.show(movie, index, mode, nearest.of_image(task.arrays(), index), task.result())


def facts(movie: Evolution, pixels: np.ndarray, index: int, image: Image, name: str) -> str:
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


def strip(movie: Evolution, index: int, step: int, mode: str, name: str) -> None:
    """One image at a few iterations from the first to the last; choosing one shows all images there."""
    steps = film(movie.steps)
    pictures = np.stack([movie.pixels(s)[index] for s in steps])
    words = [f"{name} at iteration {movie.label(s)}" for s in steps]

    def go(chosen: tuple[int, ...]) -> None:
        if chosen:
            st.query_params["step"] = str(steps[chosen[0]])

    st.markdown("**From start to end**")
    grid.show(
        grid.Sheet(pictures, words, lines=[f"{s:,}" for s in steps], mode=mode),
        key="images.film",
        label=f"One image of class {name} over the iterations",
        pick=grid.ONE,
        chosen=[steps.index(step)] if step in steps else [],
        on_pick=go,
        height=170,
        note=None,
    )
