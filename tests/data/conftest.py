"""Tiny datasets made on the spot, and a way to run a task in this process."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddcore import data
from ddcore.base.errors import DataError
from ddcore.tasks import worker
from ddcore.tasks.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(root=tmp_path / "cache", gallery=None)


@pytest.fixture
def compute(store):
    """Run a task spec inline and return the finished task."""

    def run(spec):
        task = store.create(spec)
        worker.run_task(store, task, spec, "cpu")
        return task

    return run


@pytest.fixture
def load(store, compute):
    """From what a person types to the decoded dataset."""

    def run(text, **fields):
        spec = data.resolve(str(text), **fields)
        compute(data.dataset_task(spec))
        if spec.preprocess == "zca":
            compute(data.zca_task(spec))
        return data.load(store, spec)

    return run


@pytest.fixture
def fails(store, compute):
    """The one-sentence message of a failing task, after checking that nothing is left behind."""

    def run(text, error=DataError, **fields):
        spec = data.dataset_task(data.resolve(str(text), **fields))
        with pytest.raises(error) as caught:
            compute(spec)
        task = store.task(spec)
        assert not task.is_done()
        left = {p.name for p in task.folder.iterdir()}
        assert left <= {"spec.json", "status.json", ".lock"}, left
        assert task.status()["state"] == "failed"
        assert task.status()["message"] == str(caught.value)
        return str(caught.value)

    return run


@pytest.fixture
def data_root(tmp_path, monkeypatch) -> Path:
    """An empty data root of this test's own."""
    root = tmp_path / "data"
    root.mkdir()
    monkeypatch.setenv("DD_DATA", str(root))
    return root


@pytest.fixture
def real_root() -> Path:
    """The data root that the environment names; tests that need it are skipped without."""
    if not os.environ.get("DD_DATA"):
        pytest.skip("DD_DATA is not set")
    return Path(os.environ["DD_DATA"])


def _pixels(seed, size=6, grey=False):
    shape = (size, size) if grey else (size, size, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def pixels():
    return _pixels


@pytest.fixture
def encode():
    """Encoded bytes of an array."""

    def run(array, kind="PNG"):
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, kind)
        return buffer.getvalue()

    return run


@pytest.fixture
def make_folder(tmp_path):
    """A folder of class folders: {"class": number of pictures}."""

    def run(classes, name="own", seed=0, **look):
        root = tmp_path / name
        for c, (label, count) in enumerate(classes.items()):
            (root / label).mkdir(parents=True)
            for i in range(count):
                array = _pixels((seed, c, i), **look)
                Image.fromarray(array).save(root / label / f"{i:03d}.png")
        root.mkdir(exist_ok=True)
        return root

    return run


@pytest.fixture
def make_parquet(encode):
    """One parquet file from arrays (or bytes) and labels, in one of the usual layouts."""

    def run(path, pictures, labels, names=None, struct=True, columns=("image", "label")):
        import pyarrow as pa
        import pyarrow.parquet as pq

        content = [p if p is None or isinstance(p, bytes) else encode(p) for p in pictures]
        if struct:
            content = [{"bytes": c, "path": None} for c in content]
            kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        else:
            kind = pa.binary()
        table = pa.table({columns[0]: pa.array(content, kind), columns[1]: pa.array(labels)})
        if names:
            features = {columns[1]: {"names": names, "_type": "ClassLabel"}}
            told = json.dumps({"info": {"features": features}})
            table = table.replace_schema_metadata({"huggingface": told})
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        return path.parent

    return run
