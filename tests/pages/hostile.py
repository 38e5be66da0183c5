"""A store full of names that somebody chose to be read as markup."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from analysis import analyses
from ddcore.base.specs import TaskSpec
from ddcore.data.lookup import resolve
from ddcore.data.spec import dataset_task
from ddcore.distil.settings import make_spec
from ddcore.sets import imported
from ddcore.sets.imported_spec import propose
from ddcore.sets.importers import examine, open_file
from ddcore.tasks import notes
from ddcore.tasks.store import Store, Task
from ddcore.tasks.worker import run_task
from tests.pages.fakes import SHAPE, done, evaluated, put, snapshots

# A folder's name holds no slash; in the address of a link entities are read as what they stand for.
NAME = (
    "![x](http:&#47;&#47;foreign.invalid&#47;a.png) <img src=x> $x^2$ :red[r] :smile: `c` **b** |"
)


def picture(seed: int) -> bytes:
    """A PNG of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, SHAPE[1:], np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def file() -> bytes:
    """A set of two classes as the official DC code writes it."""
    out = io.BytesIO()
    images = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    torch.save({"data": [[images, torch.arange(2)]], "accs_all_exps": {}}, out)
    return out.getvalue()


def computed(store: Store, wanted: TaskSpec) -> Task:
    """The task, computed in this process."""
    task = store.create(wanted)
    run_task(store, task, wanted, "cpu")
    assert task.is_done(), task.status()
    return task


def decoded(store: Store, root: Path) -> Task:
    """An own folder, in `root`, whose name and classes are hostile, decoded."""
    folder = root / NAME
    for c in "ab":
        (folder / f"{c} {NAME}").mkdir(parents=True)
        for i in range(12):
            (folder / f"{c} {NAME}" / f"{i}.png").write_bytes(picture(i))
    return computed(store, dataset_task(resolve(str(folder))))


def plant(store: Store, root: Path) -> dict[str, Task]:
    """The folder, a set opened from a file, a run with its evaluation, one that failed, an analysis."""
    data = decoded(store, root)
    names = tuple(data.result()["class_names"])
    assert all(NAME in name for name in names)
    run = make_spec("dm", resolve(str(root / NAME)), SHAPE)
    wanted = propose(examine([open_file(file(), NAME)]), run.data)
    imported.bring(store, wanted, [file()], [NAME])
    opened = computed(store, wanted)
    two = np.random.default_rng(0).normal(0.5, 0.5, (2, *SHAPE)).astype(np.float32)
    finished = done(store, run, images=two, labels=np.arange(2), class_names=names)
    evaluated(store, run)
    notes.change(store, finished.key, name=NAME[: notes.MOST_NAME], text=NAME, add=[NAME[:30]])
    failed = put(store, run.replace(seed=1), "failed", message=NAME)
    snapshots(put(store, run.replace(seed=2), "cancelled"), 2)
    of = analyses()["pixels"]
    computed(store, of.spec(run_keys=(opened.key, finished.key), **of.smallest))
    return {"decoded": data, "opened": opened, "finished": finished, "failed": failed}
