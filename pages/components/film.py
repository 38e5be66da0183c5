"""A set forming: all frames in one lossless picture, which the browser plays by itself.

Style sheets move the picture, so that no server works while it plays and whoever asks their system for less
motion sees the finished set at rest. It plays once, for less than five seconds, and again when asked to;
the slider of the Images page stops it at an iteration.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from ddcore.base.foreign_text import plain
from ddcore.tasks.store import Task
from pages.components import evolution, player, sheet
from pages.components.evolution import Evolution

FRAMES = 12
FRAME_S, WAIT_S = 0.38, 0.4  # of a frame, and before the first one changes: below 5 s in all
ROWS = 5  # images shown of a class
APART = 2  # pixels of the images between real ones and those of the set
GAP = 1  # between images, of their own pixels
LARGEST = 12  # scale: screen pixels of a pixel
BESIDES = 420  # screen pixels of the page's height that are for everything else
TAKES = "film.takes"  # how often a visitor has asked for it

# The frames lie one below the other; `cover` makes them as wide as the box, which shows one of them.
CSS = """<style>
.st-key-{name} {{container-type: inline-size}}
.st-key-{name} img {{image-rendering: pixelated; object-fit: cover; max-width: none !important;
  object-position: 0 {rest}%; {motion}}}
.st-key-{name} [data-testid=stElementToolbar] {{display: none}}
.film-names {{display: grid; grid-template-columns: repeat({columns}, 1fr); text-align: center;
  font-size: .75rem; line-height: 1.4}}
.film-names span {{overflow: hidden; text-overflow: ellipsis; white-space: nowrap}}
.film-foot {{display: flex; justify-content: space-between; gap: 1rem; font-size: .875rem; opacity: .8}}
.film-steps {{height: 1.5em; line-height: 1.5em; overflow: hidden; white-space: nowrap}}
.film-steps span {{display: block}}
.film-steps div {{transform: translateY(-{row}%); {words}}}
{sizes}
@keyframes film-{take} {{from {{object-position: 0 0}} to {{object-position: 0 100%}}}}
@keyframes film-words-{take} {{from {{transform: none}} to {{transform: translateY(-{last}%)}}}}
{still}
</style>"""
STILL = """@media (prefers-reduced-motion: reduce) {{
.st-key-{name} img, .film-steps div {{animation: none}}}}"""
SIZE = """@container (min-width: {wide}px) {{@media (min-height: {high}px) {{
.st-key-{name} img {{width: {width}px !important; height: {height}px !important}}
.film-names, .film-foot {{width: {width}px}}}}}}"""


@dataclass(frozen=True, eq=False)
class Film:
    """Frames of a run, and the pictures in them: `places` (rows, columns) of the set's images.

    `real`: above them, in every frame, stands a real image of each class.
    """

    movie: Evolution  # with the iterations of the frames only
    places: np.ndarray
    sprite: bytes  # PNG
    width: int  # of a frame, in pixels of the images
    height: int
    real: bool = False

    @property
    def by_class(self) -> bool:
        """Whether every column is a class."""
        return self.places.shape[1] == len(self.movie.names)


def of(movie: Evolution, real: np.ndarray | None = None) -> Film:
    """The film of a run: from its first images to the kept ones.

    `real` are pixels (K, C, H, W), one image of each class: they stand above where classes are columns.
    """
    movie = dataclasses.replace(movie, steps=chosen(movie))
    if len(movie.rows) > sheet.WIDE:
        real = None
    above = b"" if real is None else np.asarray(real, np.float32).tobytes()
    folder, written = str(movie.task.folder), (movie.task.folder / "done.json").stat().st_mtime_ns
    sprite, width, height = _sprite(folder, written, movie.steps, above)
    return Film(movie, arranged(movie.rows, bool(above)), sprite, width, height, bool(above))


def chosen(movie: Evolution) -> tuple[int, ...]:
    """The iterations of the frames: up to the kept one, unless that is where the images begin."""
    steps = tuple(s for s in movie.steps if s <= movie.newest)
    return tuple(evolution.film(steps if len(steps) > 1 else movie.steps, FRAMES))


def arranged(rows: np.ndarray, real: bool = False) -> np.ndarray:
    """(rows, columns) of the set's images from (classes, per class): a class in each column while they fit.

    Of more classes the first image of each is shown, as many as there is room for. `real` images take a row.
    """
    classes = len(rows)
    if classes <= sheet.WIDE:
        return rows[:, : ROWS - real].T
    count = min(ROWS, classes // sheet.WIDE)
    return rows[: count * sheet.WIDE, 0].reshape(count, sheet.WIDE)


@functools.lru_cache(maxsize=4)
def _sprite(
    folder: str, written: int, steps: tuple[int, ...], above: bytes
) -> tuple[bytes, int, int]:
    """The frames below each other as PNG, and width and height of one; `above` are the real images."""
    from ddcore.sets import render

    movie = evolution.of(Task(Path(folder)))
    places = arranged(movie.rows, bool(above))
    frames = [
        render.canvas(movie.pixels(step)[places.ravel()], *places.shape, gap=GAP, mat=sheet.MAT)
        for step in steps
    ]
    if above:
        shape = (places.shape[1], *movie.pixels(steps[0]).shape[1:])
        row = np.frombuffer(above, np.float32).reshape(shape)
        top = render.canvas(row, 1, len(row), gap=GAP, mat=sheet.MAT)
        between = np.full((APART, *top.shape[1:]), sheet.MAT[0], top.dtype)
        frames = [np.concatenate([top, between, frame]) for frame in frames]
    height, width = frames[0].shape[:2]
    return render.encode(np.concatenate(frames), sheet.EFFORT), width, height


def show(film: Film, key: str, caption: str = "") -> None:
    """The film over its slider; a link that names an iteration shows that one at rest.

    `caption` is HTML: other people's text in it has to be `plain`.
    """
    movie = film.movie
    moving = len(movie.steps) > 1 and st.query_params.get("step", "") not in map(str, movie.steps)
    with st.container(key=key, gap="xxsmall"):
        st.html(css(film, key, st.session_state.get(TAKES, 0), moving=moving))
        if film.by_class:
            names = "".join(f"<span>{plain(n)}</span>" for n in movie.names)
            st.html(f'<div class="film-names" aria-hidden="true">{names}</div>')
        st.image(film.sprite, width=film.width, output_format="PNG", alt=alt(film))
        words = "".join(f"<span>Iteration {movie.label(s)}</span>" for s in movie.steps)
        st.html(
            f'<div class="film-foot"><div class="film-steps" aria-hidden="true"><div>{words}</div></div>'
            f"<div>{caption}</div></div>"
        )
    if len(movie.steps) == 1:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.button(
            "Play again", key="film.play", icon=":material/replay:", on_click=_play, width=130
        )
        player.slider(movie, "film.step", label_visibility="collapsed")


def css(film: Film, key: str, take: int, *, moving: bool) -> str:
    """The style sheet of a film: whole scales as the page has room, at rest or playing for the nth time.

    Whoever presses the button asks for motion, whatever their system says.
    """
    name, steps = key.replace(".", "-"), film.movie.steps
    at, moves = steps.index(player.shown_step(film.movie)), max(1, len(steps) - 1)
    plays = f"{FRAME_S * moves:.2f}s steps({moves}) {WAIT_S}s 1 both"
    sizes = [
        SIZE.format(
            name=name,
            wide=0 if k == 1 else k * film.width,
            high=0 if k <= 2 else k * film.height + BESIDES,
            width=k * film.width,
            height=k * film.height,
        )
        for k in range(1, LARGEST + 1)
    ]
    return CSS.format(
        name=name,
        take=take,
        columns=film.places.shape[1],
        rest=f"{100 * at / moves:.4f}",
        row=f"{100 * at / len(steps):.4f}",
        last=f"{100 * (len(steps) - 1) / len(steps):.4f}",
        motion=f"animation: film-{take} {plays}" if moving else "",
        words=f"animation: film-words-{take} {plays}" if moving else "",
        sizes="\n".join(sizes),
        still=STILL.format(name=name) if take == 0 else "",
    )


def alt(film: Film) -> str:
    """The picture in words."""
    movie, (rows, columns) = film.movie, film.places.shape
    at = movie.label(player.shown_step(movie))
    if not film.by_class:
        return f"The first distilled image of {rows * columns} classes at iteration {at}"
    above = "Above, a real image of each class. " if film.real else ""
    order = ", ".join(movie.names)
    return f"{above}Distilled images at iteration {at}, {rows} of each class, in the order {order}"


def _play() -> None:
    """From the start, once more."""
    st.query_params.pop("step", None)
    st.session_state[TAKES] = st.session_state.get(TAKES, 0) + 1
