"""Data: which images are to be compressed. Choose, download or open a dataset and look at it."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ddcore.base import paths
from ddcore.base.errors import DDError
from ddcore.base.fields import declared
from ddcore.base.foreign_text import plain
from ddcore.base.specs import TaskSpec
from ddcore.data.lookup import resolve
from ddcore.data.registry import datasets
from ddcore.data.spec import DataSpec, dataset_task, download_task
from ddcore.tasks import jobs
from pages.components import data_views, links, permissions, runs, shell, task_panel

OWN = "own"
MIRROR = (
    "Mirror images of your pictures are taken to show the same class. If they do not (letters, signs), "
    "choose an augmentation without flip, and a protocol that ends in -digits."
)


def main() -> None:
    """The whole page."""
    with shell.head():
        st.title("Which images are to be compressed?", anchor=False)
        bar = shell.bar("data.bar")
    known = data_views.choices(shell.store())
    with bar:
        name = chooser(known)
    if name == OWN:
        spec = own_folder(bar)
    else:
        spec = registered(name, bar) if name in datasets() else known[name].spec
    if spec is None:
        return
    wanted = dataset_task(spec)
    as_it_is = spec.name in datasets() and not (spec.resolution or spec.grey)
    if spec.source == "bundled" and as_it_is and not permissions.refusal():
        _read_at_once(wanted)
    task = task_panel.ensure(
        wanted,
        key="data.decode",
        label="Read the images",
        why="Reading decodes every picture once, and every run uses the result.",
        estimate="seconds for small sets and up to a minute for 50,000 pictures",
    )
    if task:
        with bar:
            chosen = spec.name if as_it_is else task.key
            shell.link("pages/2_Distil.py", "Distil this", icon=":material/science:", data=chosen)
        data_views.show(task, spec)
        if name in datasets():
            st.caption(datasets()[name].about)
    st.caption("Nothing is changed or uploaded; files are read.")


def _read_at_once(wanted: TaskSpec) -> None:
    """What comes with the tool takes a second: nobody has to ask for it."""
    if jobs.state(shell.store().task(wanted))["state"] == "missing":
        permissions.submit(shell.store(), [wanted])


def chooser(known: dict[str, data_views.Choice]) -> str:
    """A registered name, the key of a set read before, or `OWN`."""
    root = paths.data_root()
    options = {
        name: source.title + ("" if source.available(root) else " (not here yet)")
        for name, source in datasets().items()
    }
    options |= {i: choice.title for i, choice in known.items() if i not in options}
    options[OWN] = "Your own folder ..."
    return links.choice(
        "Dataset", options, "data", width=320, remember=True, label_visibility="collapsed"
    )


def registered(name: str, bar: DeltaGenerator) -> DataSpec | None:
    """The spec of a registered set; None, after offering the download, if it is not here."""
    source = datasets()[name]
    if source.available(paths.data_root()):
        return resolve(name, **form_fields(bar, source.shape[0] > 1, source.shape[1]))
    st.caption(source.about)
    st.warning(data_views.how_to_get(name), icon=":material/cloud_download:")
    if source.torchvision:
        download(name)
    return None


def download(name: str) -> None:
    """A button that downloads, and the state of the last request."""
    asked = [(t, runs.spec_of(t)) for t in shell.store().tasks("download")]
    last = [(spec["requested"], t) for t, spec in asked if spec and spec["name"] == name]
    if last:
        newest = max(last, key=lambda rt: rt[0])[1]
        status = task_panel.show(newest, key="data.download")
        if status["state"] != "done":
            return
    title = datasets()[name].title
    label = f"Download {title}"
    if permissions.button(label, key="data.get", icon=":material/download:", type="primary"):
        permissions.submit(shell.store(), [download_task(name)])
        st.rerun()


def own_folder(bar: DeltaGenerator) -> DataSpec | None:
    """The spec of a folder of the user's; None while there is none or it cannot be used."""
    reason = permissions.refusal()
    path = st.text_input(
        "Folder",
        disabled=bool(reason),
        key="path",
        bind="query-params",
        placeholder="/home/me/pictures",
        help="One sub-folder of pictures per class, or train/ and test/ with such sub-folders, or parquet "
        "files with an image and a label column.",
        width=560,
    )
    if reason:
        st.info(plain(reason), icon=":material/visibility:")
        return None
    if not path:
        st.info("Type the path of a folder on this machine.", icon=":material/folder_open:")
        return None
    st.caption(MIRROR)
    try:
        return resolve(permissions.data_folder(path), **form_fields(bar, True, None))
    except DDError as error:
        st.error(plain(error), icon=":material/error:")
        return None


def form_fields(bar: DeltaGenerator, colour: bool, side: int | None) -> dict:
    """Resolution and colour as chosen by the user."""
    with bar, st.popover("Size and colour", icon=":material/tune:", key="data.form"):
        resolution = links.field(
            "Resize to (pixels)",
            "px",
            declared(DataSpec)["resolution"],
            value=None,
            placeholder=f"{side} (as it is)" if side else "as it is",
            width=200,
        )
        grey = colour and st.toggle("Grey", key="grey", bind="query-params")
    return {"resolution": resolution, "grey": grey}


with shell.page(
    "Data",
    section="Make",
    icon=":material/photo_library:",
    about="Which images are compressed",
):
    main()
