"""Images: what did it make? All of them over the iterations, one in detail, nearest real ones, files."""

from __future__ import annotations

import streamlit as st

from ddcore.sets.formats import FORMATS
from ddcore.tasks import jobs
from ddcore.tasks.store import Task
from pages.components import (
    evolution,
    images_views,
    nearest_views,
    one_image,
    player,
    run_picker,
    runs,
    shell,
    stored_views,
    task_panel,
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
    st.title("Images", anchor=False)
    st.markdown("What did it make? Every image pixel by pixel, from its start to its end.")
    task = run_picker.pick(unfinished=True)
    if task is None:
        return
    live = jobs.state(task)["state"] in jobs.ACTIVE
    every = player.TICK_S if player.is_playing(task) else LIVE_S if live else None
    st.fragment(viewer, run_every=every)(task, live)
    if task.is_done():
        compute_nearest(task)
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
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            step = player.player(movie, live)
            mode, beside = images_views.scale_mode()
        images_views.sheets(movie, step, mode, beside)
        if movie.made:
            st.markdown(stored_views.budget(movie.made))
        one(movie, step, mode)


def one(movie: evolution.Evolution, step: int, mode: str) -> None:
    """The chosen image."""
    data = movie.task.document()["spec"]["data"]
    dataset = evolution.dataset_id(data["name"], runs.data_title(data))
    st.header("One image", anchor=False)
    image = one_image.choose(movie, dataset)
    one_image.detail(movie, step, mode, dataset, image)
    if movie.made is None:
        return
    stored_views.show(movie.made, int(movie.rows[image]), mode)
    task = shell.store().task(nearest_task(movie.task))
    if task.is_done():
        from analysis.single import nearest

        st.header("Nearest real images", anchor=False)
        index = int(movie.rows[image])
        found = nearest.of_image(task.arrays(), index)
        nearest_views.show(movie, index, mode, found, task.result())


def nearest_task(task: Task) -> object:
    """The spec of the run's nearest real images."""
    from analysis.single.nearest import NearestTask

    return NearestTask(run_key=task.key)


def compute_nearest(task: Task) -> None:
    """The panel that leads to the nearest real images; nothing once they are there."""
    wanted = nearest_task(task)
    if shell.store().task(wanted).is_done():
        return
    st.header("Nearest real images", anchor=False)
    task_panel.ensure(
        wanted,
        key="images.nearest.task",
        label="Find them",
        why="Is an image a copy of a training image? Compares each with every training image, pixel by "
        "pixel, and real held-out images for reference.",
        estimate=nearest_views.cost(task, wanted),
    )


def files(task: Task) -> None:
    """Downloads and how to use them."""
    made = evolution.made_by(task)
    st.header("Take them with you", anchor=False)
    with st.container(horizontal=True, gap="small"):
        for name, known in FORMATS.items():
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
        "All but PNG hold the exact float numbers, labels and preprocessing; PNG is a preview for the eye."
    )
    c, h, w = made.shape
    st.code(SNIPPET.format(name=evolution.file_name(made, "npz"), c=c, h=h, w=w), language="python")


with shell.page("Images", section="Look", icon=":material/grid_view:", about="What did it make?"):
    main()
