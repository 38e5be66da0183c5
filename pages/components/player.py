"""The player of the Images page: play, pause, the slider for all images, following a run that goes on."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from ddcore.tasks.store import Task
from pages.components import teach, views
from pages.components.evolution import Evolution, following

PLAYING = "images.playing"  # the key of the run that plays
TICKED = "images.ticked"
TICK_S = 0.8


def is_playing(task: Task) -> bool:
    """Whether this visitor has pressed Play on the run."""
    return st.session_state.get(PLAYING) == task.key


def player(movie: Evolution, live: bool) -> int:
    """Play button and the slider for all images; returns the iteration to show.

    While a run goes on the newest images are followed, until a visitor wants the slider.
    """
    if len(movie.steps) == 1:
        text = f"Iteration {movie.label(movie.steps[0])}. The slider appears with the next one."
        if movie.task.kind == "import":
            text = "Opened from a file, which holds no earlier images."
        elif movie.task.is_done():
            text = (
                f"Iteration {movie.label(movie.steps[0])}. No earlier images of this run are kept."
            )
        st.caption(text, width="stretch")
        return movie.steps[0]
    if is_playing(movie.task):
        _advance(movie)
    _play_button(movie)
    if live and _follow(movie):
        st.space("stretch")
        return movie.newest
    views.take("step", movie.newest)
    return slider(movie)


def _follow(movie: Evolution) -> bool:
    """The switch between the newest images and the slider: a link that names a step has the slider."""
    key = "images.follow"
    st.session_state[key] = "step" not in st.query_params

    def write() -> None:
        if st.session_state[key]:
            st.query_params.pop("step", None)
        else:
            st.query_params["step"] = str(movie.newest)

    return st.toggle("Follow the newest", key=key, on_change=write)


def slider(movie: Evolution, key: str = "images.step", **details: Any) -> int:
    """The slider; its iteration is kept in the link."""
    st.session_state[key] = shown_step(movie)
    named, known = st.query_params.get("step"), [str(step) for step in movie.steps]
    views.check("step", named, named in known, views.one_of(known))

    def write() -> None:
        st.query_params["step"] = str(st.session_state[key])

    with teach.part("view", key):
        return st.select_slider(
            "Iteration (all images)",
            movie.steps,
            format_func=movie.label,
            key=key,
            on_change=write,
            width="stretch",
            disabled=teach.off("view"),
            **details,
        )


def shown_step(movie: Evolution) -> int:
    """The iteration a link names, if there are images of it, else the kept or newest one."""
    named = st.query_params.get("step", "")
    return int(named) if named in map(str, movie.steps) else movie.newest


def _play_button(movie: Evolution) -> None:
    playing = is_playing(movie.task)
    label, icon = ("Pause", ":material/pause:") if playing else ("Play", ":material/play_arrow:")
    with teach.part("view", "images.play"):
        pressed = st.button(
            label, key="images.play", icon=icon, width=110, disabled=teach.off("view")
        )
    if pressed:
        st.session_state[PLAYING] = "" if playing else movie.task.key
        st.session_state[TICKED] = time.monotonic()
        if not playing and shown_step(movie) == movie.steps[-1]:
            st.query_params["step"] = str(movie.steps[0])  # at the end: from the start
        st.rerun()


def _advance(movie: Evolution) -> None:
    """One step on if a tick has passed; stops after the last one."""
    now = time.monotonic()
    if now - st.session_state.get(TICKED, now) < 0.8 * TICK_S:
        return
    st.session_state[TICKED] = now
    step = following(movie.steps, shown_step(movie))
    if step is None:
        st.session_state[PLAYING] = ""
        st.rerun()  # the whole page, so that the timer goes
    st.query_params["step"] = str(step)
