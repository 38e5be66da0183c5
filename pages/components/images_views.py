"""What the Images page draws: the player, the sheets, one image in detail, its nearest real images."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ddcore.store import Task
from pages.components import links, sheet, shell
from pages.components.evolution import Evolution, film, following, image_id, outside, parse_image_id

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analysis.nearest import NearestTask, Neighbours

PLAYING = "images.playing"  # the key of the run that plays
TICKED = "images.ticked"
TICK_S = 0.8
ZOOM = 256  # screen pixels of one large image, about
PILLS = 12  # slots shown as pills at most
SCALES = {"clip": "0 black, 1 white", "minmax": "Own min to max", "sigma": "Own mean ± 2.5 σ"}
WIDTH, HEIGHT = 810, 640  # screen pixels of a sheet, about


# --- the player -----------------------------------------------------------------------------------


def is_playing(task: Task) -> bool:
    """Whether this visitor has pressed Play on the run."""
    return st.session_state.get(PLAYING) == task.key


def player(movie: Evolution, live: bool) -> int:
    """Play button and the slider for all images; returns the iteration to show.

    While a run goes on the newest images are followed, until a visitor wants the slider.
    """
    if len(movie.steps) == 1:
        text = f"Iteration {movie.label(movie.steps[0])}. The slider appears with the next one."
        st.caption(text, width="stretch")
        return movie.steps[0]
    if is_playing(movie.task):
        _advance(movie)
    _play_button(movie)
    if live and _follow(movie):
        st.space("stretch")
        return movie.newest
    return _slider(movie)


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


def _slider(movie: Evolution) -> int:
    """The slider; its iteration is kept in the link."""
    key = "images.step"
    st.session_state[key] = shown_step(movie)

    def write() -> None:
        st.query_params["step"] = str(st.session_state[key])

    return st.select_slider(
        "Iteration (all images)",
        movie.steps,
        format_func=movie.label,
        key=key,
        on_change=write,
        width="stretch",
    )


def shown_step(movie: Evolution) -> int:
    """The iteration a link names, if there are images of it, else the kept or newest one."""
    named = st.query_params.get("step", "")
    return int(named) if named in map(str, movie.steps) else movie.newest


def _play_button(movie: Evolution) -> None:
    playing = is_playing(movie.task)
    label, icon = ("Pause", ":material/pause:") if playing else ("Play", ":material/play_arrow:")
    if st.button(label, key="images.play", icon=icon, width=110):
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


# --- sheets ---------------------------------------------------------------------------------------


def scale_mode() -> tuple[str, bool]:
    """How values become colours, and whether the start is shown beside."""
    mode = links.choice("Pixel scale", SCALES, "scale", width=175)
    beside = st.toggle(
        "With start", key="start", bind="query-params", help="Shows the first images beside them."
    )
    return mode, beside


def sheets(movie: Evolution, step: int, mode: str, beside: bool) -> None:
    """All images at an iteration, and those of the start if wanted."""
    first = movie.steps[0]
    if not beside:
        _sheet(movie, step, mode, WIDTH, "images.sheet")
        return
    columns = st.columns(2, gap="medium")
    for column, shown, key in zip(columns, (first, step), ("images.first", "images.sheet")):
        with column:
            st.subheader("Start" if shown == 0 else f"Iteration {movie.label(shown)}", anchor=False)
            _sheet(movie, shown, mode, WIDTH // 2 - 10, key)


def _sheet(movie: Evolution, step: int, mode: str, width: int, key: str) -> None:
    pixels = movie.pixels(step)
    sheet.by_class(
        pixels,
        movie.labels,
        movie.names,
        key=key,
        mode=mode,
        max_width=width,
        max_scale=largest_scale(movie, pixels.shape[-2]),
        what=f"Distilled images at iteration {step}",
        caption=outside_text(pixels, mode),
    )


def largest_scale(movie: Evolution, height: int) -> int:
    """The scale at which class rows still fit a screen; 10 where classes are columns."""
    classes, ipc = movie.rows.shape
    return 10 if ipc <= 5 else min(10, max(2, HEIGHT // (classes * height)))


def outside_text(pixels: np.ndarray, mode: str) -> str:
    """The share outside 0..1 where the sheet's own caption does not state it."""
    if mode == "clip":
        return ""
    return f"{100 * outside(pixels):.2g} % of the values lie outside 0..1."


# --- one image ------------------------------------------------------------------------------------


def choose_image(movie: Evolution, dataset: str) -> tuple[int, int]:
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
    from ddcore import render

    return render.MODES[mode]


def zoom(pixels: np.ndarray, mode: str) -> Figure:
    """A figure of one image (C, H, W), each pixel a whole number of screen pixels, values on hover."""
    from ddcore import render
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
        "Class": f"{movie.names[image[0]]} (image {image[1] + 1} of {ipc})",
        "Values": f"{pixels.min():.3f} to {pixels.max():.3f}, mean {pixels.mean():.3f}",
        "Outside 0..1": f"{100 * outside(pixels):.2g} % of them",
    }
    made = movie.made
    if made is not None and made.steps > 1:
        rows["Used in step"] = f"{made.step_of[index] + 1} of {made.steps}"
    if made is not None and made.lrs is not None:
        rates = made.lrs.reshape(-1, made.steps)[:, made.step_of[index]]
        label = "Learned step size" if len(rates) == 1 else "Learned step sizes, pass by pass"
        rows[label] = ", ".join(f"{r:.3g}" for r in rates)
    head, *lines = (f"| {k} | {_cell(v)} |" for k, v in rows.items())
    return "\n".join([head, "| --- | --- |", *lines])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


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


# --- nearest real images --------------------------------------------------------------------------


def neighbours(movie: Evolution, index: int, mode: str, found: Neighbours, result: dict) -> None:
    """The kept image beside the nearest training images, with distances and what they say."""
    real = found.images.astype(np.float32) / 255
    pictures = np.concatenate([movie.made.pixels()[index][None], real])
    names = [movie.names[c] for c in found.classes]
    left, right = st.columns([4, 3], gap="medium")
    with left:
        sheet.show(
            pictures,
            columns=len(pictures),
            top=["distilled", *names],
            key="images.nearest",
            mode=mode,
            max_width=WIDTH * 4 // 7 - 20,
            alt=f"The distilled image, then the {len(real)} nearest training images, of classes "
            + ", ".join(names),
        )
    with right:
        st.markdown(_distances(found, names))
    st.markdown(verdict(found, result))
    st.caption(overall(result))


def _distances(found: Neighbours, names: list[str]) -> str:
    rows = ["| Nearest | Class | Distance | PSNR (dB) |", "| ---: | --- | ---: | ---: |"]
    for i, name in enumerate(names):
        note = _cell(name) if found.agrees[i] else f"{_cell(name)} (another)"
        ratio = f"{found.psnr[i]:.1f}" if np.isfinite(found.psnr[i]) else "∞"
        rows.append(f"| {i + 1} | {note} | {found.distances[i]:.3f} | {ratio} |")
    return "\n".join(rows)


def verdict(found: Neighbours, result: dict) -> str:
    """What the distance to the nearest training image says about copying."""
    from analysis.nearest import COPY

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


def nearest_cost(task: Task, wanted: NearestTask) -> str:
    """ "about 4 s", from the number of comparisons; "" if the dataset is unknown here."""
    from analysis.nearest import expected_seconds
    from ddcore.data.registry import datasets
    from ddcore.data.spec import dataset_task
    from ddcore.estimate import duration

    spec, result = task.spec(), task.result()
    c, h, w = result["shape"]
    decoded = shell.store().task(dataset_task(spec.data))
    if decoded.is_done():
        train = sum(decoded.result()["counts"]["train"])
    elif spec.data.name in datasets():
        train = datasets()[spec.data.name].train_size
    else:
        return ""
    images = spec.ipc * len(result["set"]["class_names"])
    return f"about {duration(expected_seconds(images, train, c * h * w, wanted))}"
