"""What the Open page does with a contact sheet or with folders of pictures, which hold no labels.

Their dataset has to be chosen first: it says how large the images are, and its real images which classes they
belong to. What comes out is a file of images and labels, which the page goes on with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.data.registry import datasets
from ddcore.data.spec import dataset_task
from ddcore.sets.importers import sheets
from ddcore.sets.importers.sheets import ARRANGEMENTS, Labelled, SheetPictures
from pages.components import data_views, shell, task_panel

if TYPE_CHECKING:
    from ddcore.data import Dataset

SHOWN = 200  # images of a sheet whose order somebody has to tell


@dataclass(frozen=True)
class Made:
    """The file made of an uploaded one, with what the page asks of an upload; `data`: the chosen dataset."""

    name: str
    content: bytes
    data: str

    @property
    def file_id(self) -> str:
        """What tells it from other files."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)

    def getvalue(self) -> bytes:
        """The bytes."""
        return self.content

    getbuffer = getvalue


def are_given(uploads: Sequence[Any]) -> bool:
    """Whether one of the files is a picture, or a zip of pictures."""
    return any(sheets.is_pictures(f.name, f.getbuffer()) for f in uploads)


def ask(uploads: Sequence[Any], key: str) -> Made | None:
    """The file of images and labels; None while something is to be chosen or read. `DDError` if no set."""
    if len(uploads) > 1:
        raise DDError(
            f"{len(uploads)} files were given: expected one contact sheet, or one .zip with a folder of "
            "pictures for each class."
        )
    known = data_views.choices(shell.store())
    usual = [i for i in known if i not in datasets() or datasets()[i].stands_for_files]
    name = st.selectbox(
        "Dataset it stands for",
        list(known),
        index=list(known).index(usual[0]) if len(usual) == 1 else None,
        format_func=lambda i: known[i].title,
        placeholder="Choose",
        key=f"{key}.data",
        help="Pictures hold no labels: the dataset's real images tell which class each one is.",
    )
    if name is None:
        return None
    spec = known[name].spec
    task = task_panel.ensure(
        dataset_task(spec),
        key=f"{key}.decode",
        label="Read the dataset",
        why="Its real images tell which class each picture belongs to.",
        estimate="seconds for small sets and up to a minute for 50,000 pictures",
    )
    if task is None:
        return None
    upload, dataset = uploads[0], data_views.load(task, spec)
    pictures = _read(upload.file_id, dataset.shape, upload)
    labelled = _labelled(pictures, dataset, task.key, key)
    return labelled and Made(upload.name, sheets.to_file(pictures, labelled), name)


@st.cache_resource(max_entries=2, show_spinner="Looking for images in the picture ...")
def _read(file_id: str, shape: tuple[int, ...], _upload: Any) -> SheetPictures:
    return sheets.read(_upload.name, _upload.getbuffer(), shape)


@st.cache_resource(max_entries=8, show_spinner="Comparing them with real images ...")
def _label(
    sha256: str, data_key: str, order: str, _pictures: SheetPictures, _dataset: Dataset
) -> Labelled | str:
    """The classes, or in a sentence why they cannot be told (errors would not be kept)."""
    try:
        return sheets.label(_pictures, _dataset, order)
    except DDError as error:
        return str(error)


def _labelled(
    pictures: SheetPictures, dataset: Dataset, data_key: str, key: str
) -> Labelled | None:
    """The class of each image: found, or as stated where it cannot be told."""
    given = (pictures.sha256, data_key)
    found = _label(*given, "", pictures, dataset)
    if not isinstance(found, str):
        return found
    if pictures.grid is None or len(pictures.images) % dataset.num_classes:
        raise DDError(found)
    st.warning(plain(found), icon=":material/help:")
    order = _order(dataset.num_classes, key)
    _as_it_lies(pictures)
    if not order:
        return None
    stated = _label(*given, order, pictures, dataset)
    if isinstance(stated, str):
        raise DDError(stated)
    return stated


def _order(classes: int, key: str) -> str:
    """How a person says that the images lie; "" while they have not."""
    how = st.selectbox(
        "The images lie",
        list(ARRANGEMENTS),
        index=None,
        format_func=ARRANGEMENTS.get,
        placeholder="Choose",
        key=f"{key}.order",
    )
    numbers = st.text_input(
        "Classes in their order",
        placeholder=f"0, 1, ... {classes - 1}",
        key=f"{key}.classes",
        help="Numbers of the dataset's classes; left empty, they are in its order.",
    )
    return f"{how}:{numbers}" if how else ""


def _as_it_lies(pictures: SheetPictures) -> None:
    """The sheet's images where it has them."""
    from pages.components import sheet

    shown = np.asarray(pictures.images[:SHOWN], np.float32) / 255
    sheet.show(
        shown,
        columns=min(pictures.grid.columns, len(shown)),
        key="open.sheet",
        alt=f"{len(shown)} images as they lie in the sheet",
        caption=plain(pictures.sentence()),
        max_width=600,
        max_scale=4,
    )
