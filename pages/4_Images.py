"""Images: what did it make? All of them over the iterations, one in detail, nearest real ones, files."""

from __future__ import annotations

import streamlit as st

from analysis.single.nearest import NearestTask
from ddcore.base.texts import duration
from ddcore.tasks import jobs
from ddcore.tasks.store import Task
from pages.components import (
    drawer,
    evolution,
    images_views,
    nearest_views,
    orders,
    permissions,
    player,
    run_picker,
    runs,
    shell,
    stored_views,
    task_panel,
    teach,
)

LIVE_S = 2.0
SNIPPET = """import torch
from ddcore.sets.exports import load
made = load("{name}")  # exact numbers, no pickle
trained = made.train()  # a fresh network that sees nothing else
images = made.preprocess.forward(pixels)  # yours: float32 (N, {c}, {h}, {w}), 0..1
print(trained.predict(torch.from_numpy(images)))"""


def main() -> None:
    """The whole page."""
    head, choice = st.columns([1, 4], vertical_alignment="bottom", gap="small")
    head.title("Images", anchor=False)
    with choice:
        task = run_picker.pick(unfinished=True, label_visibility="collapsed")
    if task is None:
        st.markdown("What did it make? Every image pixel by pixel, from its start to its end.")
        return
    live = jobs.state(task)["state"] in jobs.ACTIVE
    every = player.TICK_S if player.is_playing(task) else LIVE_S if live else None
    st.fragment(viewer, run_every=every)(task, live)
    if task.is_done():
        compute_nearest(task)
        with teach.part("downloads", "images.files"):
            files(task)


def viewer(task: Task, live: bool) -> None:
    """Everything that follows the slider and the choice of an image; reruns on its own."""
    with shell.boundary():
        if live and jobs.state(task)["state"] not in jobs.ACTIVE:
            st.rerun()
        movie = evolution.of(task)
        if live:
            st.caption(
                f"This run still goes on: its newest images are of iteration {movie.newest:,}."
            )
        view = images_views.controls(movie)
        data = task.document()["spec"]["data"]
        dataset = evolution.dataset_id(data["name"], runs.data_title(data))
        image = drawer.opened(movie, dataset)
        st.html(drawer.css())
        with st.container(horizontal=True, gap="small"):
            with st.container(key="images.left"):
                step = look(movie, live, view, dataset, image)
            if image is not None:
                with st.container(key="images.drawer", width=drawer.WIDTH, gap="small"):
                    drawer.show(movie, step, view.mode, dataset, image)
        if image is not None or view.order == orders.NEAREST:
            find_nearest(task)


def look(
    movie: evolution.Evolution,
    live: bool,
    view: images_views.SetView,
    dataset: str,
    image: drawer.Image | None,
) -> int:
    """The sheets over the player, and what is stored for them; returns the iteration that is shown."""
    above = st.container()
    with st.container(
        horizontal=True, vertical_alignment="bottom", gap="medium", key="images.player"
    ):
        step = player.player(movie, live)
    with above:
        index = None if image is None else int(movie.rows[image])
        images_views.sheets(
            movie, step, view, index, lambda row: drawer.open_at(movie, dataset, row)
        )
    if movie.made:
        st.markdown(stored_views.budget(movie.made))
    return step


def find_nearest(task: Task) -> None:
    """Begin to compute the nearest real images unasked where that is a matter of seconds."""
    wanted = NearestTask(run_key=task.key)
    known = shell.store().task(wanted)
    if not task.is_done() or known.status()["state"] != "missing" or permissions.refusal():
        return
    if nearest_views.is_quick(task, wanted):
        permissions.submit(shell.store(), [wanted])
        st.rerun()  # the whole page, which shows how far it is


def compute_nearest(task: Task) -> None:
    """The panel that leads to the nearest real images; nothing once they are there."""
    wanted = NearestTask(run_key=task.key)
    if shell.store().task(wanted).is_done():
        return
    st.header("Nearest real images", anchor=False)
    expected = nearest_views.seconds(task, wanted)
    task_panel.ensure(
        wanted,
        key="images.nearest.task",
        label="Find them",
        why="Is an image a copy of a training image? Compares each with every training image, pixel by "
        "pixel, and real held-out images for reference.",
        estimate="" if expected is None else f"about {duration(expected)}",
    )


def files(task: Task) -> None:
    """Downloads and how to use them."""
    made = evolution.made_by(task)
    st.header("Take them with you", anchor=False)
    with st.container(horizontal=True, gap="small"):
        for name, known in evolution.formats(made).items():
            st.download_button(
                known.title,
                data=lambda name=name: evolution.export(task, name),
                file_name=evolution.file_name(made, name),
                key=f"images.get.{name}",
                icon=":material/download:",
                help=known.about,
                on_click="ignore",
            )
    st.caption(
        "PNG and ImageFolder are pictures of 8 bits; all others hold the exact numbers, those of benchmarks "
        "in the benchmark's own scale."
    )
    c, h, w = made.shape
    st.code(SNIPPET.format(name=evolution.file_name(made, "npz"), c=c, h=h, w=w), language="python")


with shell.page("Images", section="Look", icon=":material/grid_view:", about="What did it make?"):
    main()
