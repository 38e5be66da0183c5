"""Tables of analyses: a column is of one kind, or the server logs a traceback for it and sorts it as text."""

from __future__ import annotations

import pandas
import pyarrow
import pytest

from analysis import analyses
from analysis.task import load_arrays
from ddcore.base import paths
from ddcore.tasks.store import Store
from pages.components import tables


def test_empty_texts_beside_numbers_are_nothing():
    found = tables.columns([{"a": 1, "b": ""}, {"a": "", "c": 0.5}])
    assert found == {"a": [1, None], "b": ["", None], "c": [None, 0.5]}


def test_texts_and_numbers_are_texts():
    assert tables.columns([{"image": 3}, {"image": "all"}]) == {"image": ["3", "all"]}


@pytest.mark.parametrize("name", list(analyses()))
def test_shipped_tables_are_of_one_kind(name, tmp_path):
    analysis, gallery = analyses()[name], Store(tmp_path, paths.GALLERY)
    tasks = [task for task in gallery.tasks(analysis.spec.KIND) if task.is_done()]
    assert tasks, "nothing is shipped of it"
    for task in tasks:
        rows = analysis.table(analysis.result(task), load_arrays(gallery, task))
        pyarrow.Table.from_pandas(pandas.DataFrame(tables.columns(rows)))
