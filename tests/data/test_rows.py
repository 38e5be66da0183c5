"""Single images of a dataset are those of the whole dataset, and what cannot be read is said."""

from __future__ import annotations

import numpy as np
import pytest

from ddcore.base.errors import Damaged, NotReady
from ddcore.data import dataset_task, resolve
from ddcore.data.dataset import images, load
from ddcore.tasks.store import Store
from ddcore.tasks.worker import run_task


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The digits have been read."""
    found = Store(tmp_path_factory.mktemp("cache"))
    wanted = dataset_task(resolve("digits"))
    run_task(found, found.create(wanted), wanted, "cpu")
    return found


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_rows_are_those_of_the_whole(store, part):
    spec = resolve("digits")
    whole = getattr(load(store, spec), f"{part}_images")
    for rows in (np.array([5, 0, 5, len(whole) - 1]), np.array([], int)):
        found = images(store, spec, part, rows)
        assert found.dtype == whole.dtype
        np.testing.assert_array_equal(found, whole[rows])


def test_what_is_not_there_and_what_is_damaged(store, tmp_path):
    spec = resolve("digits")
    with pytest.raises(NotReady):
        images(Store(tmp_path), spec, "test", np.array([0]))
    path = store.task(dataset_task(spec)).folder / "arrays.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        with pytest.raises(Damaged):
            images(store, spec, "test", np.array([0]))
    finally:
        path.write_bytes(content)
