"""The shipped analyses belong to this code and can be shown on a machine that has nothing else."""

from __future__ import annotations

import pytest

from analysis import gallery
from analysis.contract import of_spec
from analysis.settings import picked
from analysis.single.race import RaceTask
from analysis.task import load_arrays
from ddcore.base import paths
from ddcore.base.errors import SpecError
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
    of, result = of_spec(spec), task.result()
    arrays = load_arrays(SHIPPED, task)
    assert of.figures(result, arrays, picked(of, result))
    assert of.sentence(result).endswith(".")
    of.pictures(result, arrays)


def test_one_can_be_made_anew_and_the_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "Store", lambda gallery: SHIPPED)
    monkeypatch.setattr(gallery.jobs, "submit", lambda store, specs: [store.task(s) for s in specs])
    for kind in ("pixels", "mixing"):
        (tmp_path / kind / "old").mkdir(parents=True)
    keys = gallery.build(lambda store, task: task, tmp_path, only=["pixels"])
    assert [f.name for f in (tmp_path / "pixels").iterdir()] == keys
    assert (tmp_path / "mixing" / "old").is_dir()
    with pytest.raises(SpecError, match="pixel"):
        gallery.build(lambda store, task: task, tmp_path, only=["pixel"])


def test_pools_are_not_shipped():
    kinds = {folder.name for folder in paths.GALLERY.iterdir()}
    assert not kinds & {"real_nets", "early_nets", "subset_nets", "dataset"}
