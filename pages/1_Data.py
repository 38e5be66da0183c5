"""Data: which images are to be compressed. Choose, download or open a dataset and look at it."""

from __future__ import annotations

import streamlit as st

from ddcore import paths
from ddcore.data.lookup import resolve
from ddcore.data.registry import datasets
from ddcore.data.spec import DataSpec, dataset_task, download_task
from ddcore.errors import DDError
from ddcore.store import Task
from pages.components import data_views, links, shell, task_panel

OWN = "own"
CLASSES_SHOWN = 20


def main() -> None:
    """The whole page."""
    st.title("Data")
    st.markdown(
        "Which images should be compressed? Nothing is changed or uploaded; files are read."
    )
    name = chooser()
    spec = own_folder() if name == OWN else registered(name)
    if spec is None:
        return
    task = task_panel.ensure(
        dataset_task(spec),
        key="data.decode",
        label="Read the images",
        why="Reading decodes every picture once, and every run uses the result.",
        estimate="seconds for small sets and up to a minute for 50,000 pictures",
    )
    if task:
        views(task, spec)


def chooser() -> str:
    """The dataset's name, or `OWN`."""
    root = paths.data_root()
    options = {
        name: source.title + ("" if source.available(root) else " (not here yet)")
        for name, source in datasets().items()
    }
    options[OWN] = "Your own folder ..."
    return links.choice("Dataset", options, "data", width=420)


def registered(name: str) -> DataSpec | None:
    """The spec of a registered set; None, after offering the download, if it is not here."""
    source = datasets()[name]
    st.caption(source.about)
    if source.available(paths.data_root()):
        return resolve(name, **form_fields(source.shape[0] > 1, source.shape[1]))
    st.warning(data_views.how_to_get(name), icon=":material/cloud_download:")
    download(name)
    return None


def download(name: str) -> None:
    """A button that downloads, and the state of the last request."""
    last = [t for t in shell.store().tasks("download") if t.document()["spec"]["name"] == name]
    if last:
        newest = max(last, key=lambda t: t.document()["spec"]["requested"])
        status = task_panel.show(newest, key="data.download")
        if status["state"] != "done":
            return
    title = datasets()[name].title
    if st.button(f"Download {title}", key="data.get", icon=":material/download:", type="primary"):
        from ddcore import jobs

        jobs.submit(shell.store(), [download_task(name)])
        st.rerun()


def own_folder() -> DataSpec | None:
    """The spec of a folder of the user's; None while there is none or it cannot be used."""
    path = st.text_input(
        "Folder",
        key="path",
        bind="query-params",
        placeholder="/home/me/pictures",
        help="One sub-folder of pictures per class, or train/ and test/ with such sub-folders, or parquet "
        "files with an image and a label column.",
        width=560,
    )
    if not path:
        st.info("Type the path of a folder on this machine.", icon=":material/folder_open:")
        return None
    try:
        return resolve(path, **form_fields(True, None))
    except DDError as error:
        st.error(str(error), icon=":material/error:")
        return None


def form_fields(colour: bool, side: int | None) -> dict:
    """Resolution and colour as chosen by the user."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        resolution = st.number_input(
            "Resize to (pixels)",
            min_value=4,
            max_value=512,
            value=None,
            key="px",
            bind="query-params",
            placeholder=f"{side} (as it is)" if side else "as it is",
            help="Side of the square that every picture is resized to.",
            width=200,
        )
        grey = colour and st.toggle("Grey", key="grey", bind="query-params")
    return {"resolution": resolution, "grey": grey}


def views(task: Task, spec: DataSpec) -> None:
    """Facts, class rows, means and counts of a decoded dataset."""
    from pages.components import sheet

    facts, data = task.result(), data_views.load(task, spec)
    counts = data_views.counts(data)
    c, h, w = data.shape
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(facts["label"], width="content")
        data_id = spec.name if spec.name in data_views.choices(shell.store()) else task.key
        changed = spec.resolution or spec.grey
        link = task.key if changed else data_id
        shell.link("pages/2_Distil.py", "Distil this", icon=":material/science:", data=link)
    for column, (label, value) in zip(
        st.columns(5),
        (
            ("Classes", f"{data.num_classes:,}"),
            ("Training images", f"{sum(counts['training']):,}"),
            ("Validation images", f"{sum(counts['validation']):,}"),
            ("Test images", f"{sum(counts['test']):,}"),
            ("Size", f"{h} × {w}, {'grey' if c == 1 else 'colour'}"),
        ),
    ):
        column.metric(label, value)
    scale = " ".join(f"{m:.3f} ± {s:.3f}" for m, s in zip(facts["mean"], facts["std"]))
    kind = (
        "published values" if facts["scale"] == "published" else "computed from the training images"
    )
    st.caption(
        f"Mean ± standard deviation per channel: {scale} ({kind}). Validation images are a tenth of the "
        "training pictures, kept aside to choose the best set; test images are only ever used to report."
    )
    shown = classes_shown(data.num_classes)
    names = [data.class_names[i] for i in shown]
    left, right = st.columns([3, 1], gap="large")
    with left:
        st.subheader("Real images")
        draw = st.number_input(
            "Draw",
            0,
            999,
            0,
            key="draw",
            bind="query-params",
            width=160,
            help="0 shows the first images of each class; others are random draws.",
        )
        pixels = data_views.class_rows(data, shown, 12, int(draw))
        sheet.show(
            pixels,
            columns=12,
            left=names,
            key="data.rows",
            max_width=640,
            alt=f"Twelve training images for each of the classes {', '.join(names)}",
        )
    with right:
        st.subheader("Mean of each class")
        st.caption("One image per class for free: a distilled set has to beat it.")
        sheet.show(
            data_views.class_means(data, shown),
            columns=1,
            left=names,
            key="data.means",
            max_width=220,
            alt=f"The mean image of each of the classes {', '.join(names)}",
        )
    with st.expander("Images per class", icon=":material/table_rows:"):
        rows = {"class": list(data.class_names), **counts}
        st.dataframe(rows, hide_index=True, alt="Images per class in each part", key="data.counts")


def classes_shown(count: int) -> list[int]:
    """All classes, or a page of them."""
    if count <= CLASSES_SHOWN:
        return list(range(count))
    pages = -(-count // CLASSES_SHOWN)
    page = st.pagination(pages, key="classes", bind="query-params")
    start = (int(page) - 1) * CLASSES_SHOWN
    return list(range(start, min(count, start + CLASSES_SHOWN)))


with shell.page(
    "Data",
    section="Make",
    icon=":material/photo_library:",
    about="Which images are compressed",
):
    main()
