"""What people computed with an older version opens: a store written by commit e3d924c.

It holds the digits, runs of dm, bptt and memories of a few iterations, an evaluation with what it needs,
and analyses at their smallest with their pools. Files moved since then, classes have other names, and some
kinds have another version.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from analysis.contract import analyses
from analysis.task import load_arrays
from ddcore.base.errors import Damaged, Outdated, SpecError
from ddcore.base.specs import task_class
from ddcore.sets import exports
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.formats import FORMATS
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task

FILE = Path(__file__).parent / "data" / "old_store.zip"
with zipfile.ZipFile(FILE) as packed:
    NAMES = sorted({"/".join(name.split("/")[:2]) for name in packed.namelist()})
    SPECS = {name: json.loads(packed.read(f"{name}/spec.json"))["spec"] for name in NAMES}
OF_VERSION_1 = {"agreement", "curvature"}  # today's compute something else
SETS = [name for name in NAMES if name.startswith("distill/")]
# Memories on tiles: bptt under a second name, which is refused today.
REFUSED = {name: "this is bptt" for name in SETS if SPECS[name]["method"] == "memories"}
ANALYSES = [name for name in NAMES if name.split("/")[0] in analyses()]


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Store:
    """The store, unpacked once; tests only read it."""
    root = tmp_path_factory.mktemp("old")
    zipfile.ZipFile(FILE).extractall(root)
    return Store(root, gallery=None)


def folder(store: Store, name: str) -> Task:
    return store.find(name.split("/")[1])


def test_it_holds_what_it_is_said_to_hold(old):
    kinds = [task.kind for task in old.tasks()]
    assert len(kinds) == len(NAMES) and kinds.count("distill") == 3
    assert {"dataset", "evaluate", "accuracy", "baseline", "real_nets"} < set(kinds)
    assert {name.split("/")[0] for name in ANALYSES} > OF_VERSION_1
    assert FILE.stat().st_size < 300_000


@pytest.mark.parametrize("name", NAMES)
def test_every_folder_is_done_and_sound(old, name):
    task = folder(old, name)
    assert jobs.state(task)["state"] == "done" and task.opens() and not task.damage()
    problems = task.verify()
    if task.kind in OF_VERSION_1:
        (only,) = problems
        assert f"was made by an older version of {task.kind} (1, today 2)" in only
        assert "compute it again" in only
    elif name in REFUSED:
        (only,) = problems
        assert REFUSED[name] in only
    else:
        assert problems == []


@pytest.mark.parametrize("name", [n for n in NAMES if n not in REFUSED])
def test_every_spec_is_read_and_has_the_key_of_its_folder(old, name):
    task = folder(old, name)
    spec = task.spec()
    assert type(spec) is task_class(task.kind) and spec.title()
    assert (spec.key == task.key) == (task.kind not in OF_VERSION_1)
    assert bool(task.outdated()) == (task.kind in OF_VERSION_1)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_today_says_why(old, name):
    with pytest.raises(SpecError, match=REFUSED[name]):
        folder(old, name).spec()


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_reads_or_says_that_it_is_of_an_older_version(old, name):
    task = folder(old, name)
    of = analyses()[task.kind]
    if task.kind in OF_VERSION_1:
        with pytest.raises(Outdated, match=r"older version .* compute it again\.$"):
            of.result(task)
        return
    result, arrays = of.result(task), load_arrays(old, task)
    assert of.headline(result) and of.sentence(result) and of.table(result, arrays)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", SETS)
def test_every_set_exports_and_trains(old, name, form, tmp_path):
    made = DistilledSet.from_task(folder(old, name))
    assert made.run_key == name.split("/")[1]
    where = exports.export(made, form, tmp_path / f"set.{form}")
    assert where.exists()
    if form == "npz":
        predicted = made.train(nets=1).predict(made.images)
        assert predicted.shape == (1, len(made.images)) and np.isfinite(made.images).all()


@pytest.mark.parametrize("name", SETS)
def test_snapshots_and_curves_are_there(old, name):
    task = folder(old, name)
    assert task.snapshot_steps() == [0, 1, 2, 3, 4]
    assert task.snapshot(4)["pixels"].shape[1:] == (1, 8, 8)
    assert [e["step"] for e in task.events() if "loss" in e]


def test_a_file_that_was_changed_is_damage_and_no_matter_of_versions(old, tmp_path):
    name = next(n for n in ANALYSES if n.startswith("curvature"))
    zipfile.ZipFile(FILE).extractall(tmp_path)
    task = folder(Store(tmp_path, gallery=None), name)
    (task.folder / "result.json").write_text("{}")
    with pytest.raises(Damaged, match="not as it was"):
        task.result()
