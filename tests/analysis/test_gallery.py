"""The shipped analyses belong to this code and can be shown on a machine that has nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from analysis import gallery
from analysis.contract import of_spec
from analysis.settings import picked
from analysis.single.race import RaceTask
from analysis.task import load_arrays
from ddcore.base import paths
from ddcore.base.errors import SpecError
from ddcore.recipes.base import Recipe, Row
from ddcore.tasks.store import Store

SHIPPED = Store(paths.GALLERY, gallery=None)
ALL = gallery.tasks(SHIPPED)


@pytest.mark.parametrize("spec", ALL, ids=lambda s: f"{s.KIND} {s.key[:6]}")
def test_every_promised_analysis_is_there_and_shows_without_data(spec):
    task = SHIPPED.task(spec)
    assert task.is_done(), "changed presets: run `make gallery`"
    if isinstance(spec, RaceTask):
        assert task.result()["agreement"] == 1.0
        return
    of = of_spec(spec)
    result = of.result(task)
    written = (
        result.to_dict()
    )  # results that were stored before a field came hold it no more than then
    assert {name: written[name] for name in task.result()} == task.result()
    arrays = load_arrays(SHIPPED, task)
    assert of.figures(result, arrays, picked(of, result))
    assert of.sentence(result).endswith(".") and len(of.headline(result).split()) <= 20
    of.pictures(result, arrays)


def test_one_can_be_made_anew_and_the_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(
        gallery, "Store", lambda root=None, gallery=None: Store(root) if root else SHIPPED
    )
    monkeypatch.setattr(gallery, "build_recipes", lambda target: [])
    monkeypatch.setattr(gallery.jobs, "submit", lambda store, specs: [store.task(s) for s in specs])
    for kind in ("pixels", "mixing"):
        (tmp_path / kind / "old").mkdir(parents=True)
    keys = gallery.build(lambda store, task: task, tmp_path, only=["pixels"])
    assert [f.name for f in (tmp_path / "pixels").iterdir()] == keys
    assert (tmp_path / "mixing" / "old").is_dir()
    with pytest.raises(SpecError, match="pixel"):
        gallery.build(lambda store, task: task, tmp_path, only=["pixel"])


def test_what_a_recipe_of_these_sets_has_made_is_found(monkeypatch, tmp_path):
    rows = tuple(
        Row(name=run.method, method=run.method, dataset="digits", ipc=run.ipc, preset="quick")
        for run in gallery.runs()
    )
    sets = Recipe(name="sets", title="", about="", machine="cpu", order=0, rows=rows)
    other = replace(sets, name="other", rows=rows[:2])
    monkeypatch.setattr(gallery, "recipes", lambda: {"other": other})
    assert gallery.of_recipes(SHIPPED) == [], (
        "analyses of other sets than a recipe's are not its own"
    )
    monkeypatch.setattr(gallery, "recipes", lambda: {"sets": sets})
    found = {task.key for task in gallery.of_recipes(SHIPPED)}
    assert found == {spec.key for spec in ALL if not isinstance(spec, RaceTask)}
    monkeypatch.setenv("DD_CACHE", str(tmp_path / "cache"))
    copied = Store(tmp_path / "cache", gallery=None)
    for task in SHIPPED.tasks():
        if task.kind in ("distill", "mixing"):
            shutil.copytree(task.folder, copied.root / task.kind / task.key)
    keys = gallery.build_recipes(tmp_path / "gallery")
    assert [task.key for task in Store(tmp_path / "gallery", gallery=None).tasks()] == keys
    assert keys == [spec.key for spec in ALL if spec.KIND == "mixing"]


def test_pools_are_not_shipped():
    kinds = {folder.name for folder in paths.GALLERY.iterdir()}
    assert not kinds & {"real_nets", "early_nets", "subset_nets", "dataset"}
