"""The shipped analyses belong to this code and can be shown on a machine that has nothing else."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from analysis import gallery
from analysis.__main__ import run_key
from analysis.claims import table as claims
from analysis.contract import COMPUTED, of_spec
from analysis.runs import choose
from analysis.settings import picked
from analysis.single.race import RaceTask
from analysis.task import load_arrays, packed, without_sets
from analysis.uses import shipped
from analysis.uses.continual import figures, maths, peers
from analysis.uses.shown import shown as uses_shown
from ddcore.base import paths
from ddcore.base.errors import NotReady, SpecError
from ddcore.recipes.base import Recipe, RecipeRow
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.files import write_arrays
from ddcore.tasks.store import Store

SHIPPED = Store(paths.GALLERY, gallery=None)
ALL = gallery.tasks(SHIPPED)


LACKED = {  # a series that has not been computed: none of it is there, or all of it has to be
    spec.key: f"{part} have not been computed yet: ddx gallery --only {specs[0].KIND} --missing"
    for part, specs in shipped.parts().items()
    if not any(SHIPPED.task(spec).is_done() for spec in specs)
    for spec in specs
}


@pytest.mark.parametrize("spec", ALL, ids=lambda s: f"{s.KIND} {s.key[:6]}")
def test_every_promised_analysis_is_there_and_shows_without_data(spec):
    task = SHIPPED.task(spec)
    if spec.key in LACKED:
        pytest.skip(LACKED[spec.key])
    assert task.is_done(), "changed presets: run `make gallery`"
    if isinstance(spec, RaceTask):
        assert task.result()["agreement"] == 1.0
        return
    if spec.KIND in shipped.KINDS:
        shown = uses_shown(SHIPPED, spec.key)
        assert shown.drawn and shown.rows and shown.sentence.endswith(".")
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
        RecipeRow(name=run.method, method=run.method, dataset="digits", ipc=run.ipc, preset="quick")
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
    others = (RaceTask.KIND, *shipped.KINDS)
    assert found == {spec.key for spec in ALL if spec.KIND not in others}
    monkeypatch.setenv("DD_CACHE", str(tmp_path / "cache"))
    copied = Store(tmp_path / "cache", gallery=None)
    for task in SHIPPED.tasks():
        if task.kind in ("distill", "mixing"):
            shutil.copytree(task.folder, copied.root / task.kind / task.key)
    keys = gallery.build_recipes(tmp_path / "gallery")
    assert [task.key for task in Store(tmp_path / "gallery", gallery=None).tasks()] == keys
    assert keys == [spec.key for spec in ALL if spec.KIND == "mixing"]


def test_images_of_shipped_sets_are_not_shipped_again():
    """They are read from the sets, bit by bit; what is another array than a set's own stays."""
    shipped = SHIPPED.task(next(spec for spec in ALL if spec.KIND == "pixels"))
    key = shipped.spec().run_keys[0]
    name = f"pixels.{key}"
    assert name not in shipped.arrays() and not shipped.arrays()[f"set.{name}"].size
    own = DistilledSet.from_task(SHIPPED.find(key)).pixels()
    assert np.array_equal(load_arrays(SHIPPED, shipped)[name], own)
    arrays = {name: own, "pixels.0123456789abcdef": own, "grid": own}
    assert set(without_sets(SHIPPED, arrays)) == {f"set.{name}", "pixels.0123456789abcdef", "grid"}
    changed = own.copy()
    changed[0, 0, 0, 0] += 1
    assert set(without_sets(SHIPPED, {name: changed})) == {name}


def test_large_tables_are_shipped_in_8_bits(store):
    rng = np.random.default_rng(0)
    table = (rng.normal(size=(100, 6000)) * rng.uniform(0, 5, (100, 1))).astype(np.float16)
    table[3] = 0
    arrays = {"influence.a": table, "small": table[:9, :9], "labels": np.arange(100)}
    kept = packed(arrays)
    assert kept.keys() == {"codes.influence.a", "step.influence.a", "small", "labels"}
    assert sum(each.nbytes for each in kept.values()) < 0.51 * table.nbytes
    gallery.gallery.ship(next(SHIPPED.tasks("influence")), store.root)
    task = next(store.tasks("influence"))
    write_arrays(task.folder / "arrays.safetensors", kept)
    task.finish()
    found = load_arrays(store, task)
    assert found.keys() == arrays.keys() and found["influence.a"].dtype == np.float16
    away = np.abs(found["influence.a"].astype(float) - table.astype(float)).max(1)
    assert (away <= np.abs(table.astype(float)).max(1) / 200).all() and away.max() > 0
    assert np.array_equal(packed(found)["codes.influence.a"], kept["codes.influence.a"])


def test_the_findings_in_the_docs_are_those_of_the_shipped_sets():
    text = (paths.PROJECT / "docs" / "results.md").read_text()
    keys = re.findall(r"`ddx paper (.+) --table`", text)[0].split()
    found = claims.tasks(
        SHIPPED, choose(SHIPPED, [run_key(SHIPPED, key) for key in keys]), COMPUTED
    )
    shown = text.split("<!-- paper table -->\n")[1].split("\n<!-- end -->")[0]
    assert shown == claims.markdown(claims.lines(SHIPPED, found)), (
        "put in what `paper --table` prints"
    )


def test_the_tables_of_uses_in_the_docs_are_those_that_are_shipped():
    text = (paths.PROJECT / "docs" / "uses.md").read_text()
    told = text.split("<!-- continual table -->\n")[1].split("\n<!-- end -->")[0]
    table = shipped.continual_markdown(SHIPPED)
    assert told == table, "put in what `ddx continual --table` prints"
    told = text.split("<!-- regimes table -->\n")[1].split("\n<!-- end -->")[0]
    assert told == shipped.regimes_markdown(SHIPPED), "put in what `ddx regimes --table` prints"


def test_replayed_memories_wait_in_the_legend_where_lines_are_many():
    for setting in (each for each in peers.settings(SHIPPED) if each.steps > 1):
        for ipc in peers.sizes(setting):
            tasks = peers.sized(setting, ipc)
            drawn = figures.curve(tasks).figure.data
            shown = {trace.name for trace in drawn if trace.name and trace.visible is True}
            waiting = {trace.name for trace in drawn if trace.name} - shown
            assert all(name.endswith("replayed") for name in waiting)
            assert len(shown) < 10 and bool(waiting) == (len(tasks) > figures.MANY)


def test_the_table_of_the_search_in_the_docs_is_that_which_is_shipped():
    if shipped.search().key in LACKED:
        pytest.skip(LACKED[shipped.search().key])
    text = (paths.PROJECT / "docs" / "uses.md").read_text()
    told = text.split("<!-- search table -->\n")[1].split("\n<!-- end -->")[0]
    assert told == shipped.search_markdown(SHIPPED), "put in what `ddx search --table` prints"


def test_uses_are_shipped_without_networks_and_small():
    found = [task for kind in shipped.KINDS for task in SHIPPED.tasks(kind)]
    assert sum(task.bytes_on_disk() for task in found) < 1e6
    assert {task.key for task in found} <= {spec.key for spec in shipped.tasks()}


def test_what_is_missing_is_made_and_what_is_there_stays(tmp_path, monkeypatch):
    """Each is shipped as soon as it is there."""
    monkeypatch.setenv("DD_CACHE", str(tmp_path / "cache"))
    wanted = [spec for spec in shipped.continual() if SHIPPED.task(spec).is_done()][:3]
    monkeypatch.setattr(gallery.shipped, "tasks", lambda: wanted)
    monkeypatch.setattr(gallery.jobs, "submit", lambda store, specs: [store.task(s) for s in specs])
    target = tmp_path / "gallery"
    gallery.gallery.ship(SHIPPED.task(wanted[0]), target)
    before = (target / "continual" / wanted[0].key / "done.json").read_bytes()
    asked = []

    def wait(store, task):
        asked.append(task.key)
        if len(asked) == 2:
            raise NotReady("stopped")
        return SHIPPED.find(task.key)

    with pytest.raises(NotReady):
        gallery.build(wait, target, only=["continual"], missing=True)
    assert gallery.build(wait, target, only=["continual"], missing=True) == [wanted[2].key]
    assert asked == [wanted[1].key, wanted[2].key, wanted[2].key]
    assert (target / "continual" / wanted[0].key / "done.json").read_bytes() == before


def test_a_method_that_treats_classes_apart_loses_nothing_by_it():
    """The ready truth: distribution matching class by class ends where the ordinary set of that size is."""
    everything = peers.settings(SHIPPED)
    pairs = [pair for setting in everything for pair in setting.costs(everything)]
    apart = [maths.unseen_cost(*pair) for pair in pairs if pair[0].spec.class_wise]
    assert apart
    for found in apart:
        assert found.n >= 5 and found.low <= 0 <= found.high
        assert found.high - found.low < 0.05, "an interval that says something"


def test_pools_are_not_shipped():
    kinds = {folder.name for folder in paths.GALLERY.iterdir()}
    assert not kinds & {"real_nets", "early_nets", "subset_nets", "dataset", "candidates"}
