"""The shipped gallery is sound, belongs to this code, and its figures can be found again."""

import statistics
from dataclasses import replace

import numpy as np
import pytest

from ddcore.base import paths
from ddcore.base.errors import Damaged, SpecError
from ddcore.data import DataSpec, resolve
from ddcore.data.registry import get
from ddcore.distil.methods.mtt import experts
from ddcore.distil.runner import snapshot_steps
from ddcore.distil.settings import make_spec
from ddcore.measure.evaluate import baseline_task
from ddcore.measure.spec import AccuracyTask, default_evaluation
from ddcore.recipes import gallery, table
from ddcore.sets.distilled import DistilledSet
from ddcore.sweeps import cells as of_cells
from ddcore.sweeps import file, shipped
from ddcore.tasks.files import write_arrays
from ddcore.tasks.store import Store
from ddcore.tasks.task import snapshot_name
from tests.pages.fakes import done

SHIPPED = Store(paths.GALLERY, gallery=None)
RESULTS = paths.PROJECT / "docs" / "results.md"


def test_every_folder_is_sound_and_has_the_key_of_this_code():
    tasks = list(SHIPPED.tasks())
    assert tasks
    assert [p for t in tasks for p in t.verify()] == []


def test_no_private_path_or_dataset_is_shipped():
    names = {p.name for p in paths.GALLERY.rglob("*")}
    assert "dataset" not in names and "log.txt" not in names
    for document in paths.GALLERY.rglob("*.json"):
        text = document.read_text()
        assert str(paths.PROJECT) not in text and '"host"' not in text
    assert sum(f.stat().st_size for f in paths.GALLERY.rglob("*") if f.is_file()) < 60e6


@pytest.mark.parametrize(
    "spec", gallery.runs(), ids=lambda s: f"{s.title()} {s.params.to_dict().get('setting', '')}"
)
def test_every_promised_run_is_there_with_its_evaluation(spec):
    task = SHIPPED.task(spec)
    assert task.is_done(), "changed presets: run `make gallery`"
    made = DistilledSet.from_task(task)
    count = 10 * spec.images_per_class(gallery.SHAPE, 10)
    assert made.images.shape == (count, 1, 8, 8)
    assert task.snapshot_steps()[0] == 0
    rows = SHIPPED.task(default_evaluation(spec.key, spec)).result()["rows"]
    assert {"distilled", "random", "class_mean"} <= {r["subject"] for r in rows}


def test_the_shipped_sweep_is_of_the_shipped_runs():
    """What the page Sweeps opens on: every cell of it is there."""
    made = file.read(SHIPPED, shipped.NAME)
    assert made.axes == shipped.overview(), "run `make gallery`"
    cells = of_cells.expand(made.name, made.axes, of_cells.stored(SHIPPED, made.axes.dataset))
    assert len(cells) >= 40
    assert {of_cells.state(SHIPPED, cell).state for cell in cells} == {"done"}


@pytest.mark.parametrize("setting", ["", "unknown", "fixed"])
def test_a_shipped_set_reaches_its_stored_accuracy_again(setting, tmp_path):
    """Other networks than the stored ones: the means agree within the spread."""
    from ddcore.tasks import worker

    store = Store(tmp_path / "cache", gallery=paths.GALLERY)
    spec = next(
        s for s in gallery.runs() if s.params.to_dict().get("setting", "") == setting and s.ipc == 1
    )
    rows = SHIPPED.task(default_evaluation(spec.key, spec)).result()["rows"]
    stored = next(r for r in rows if r["subject"] == "distilled")
    again = AccuracyTask(
        subject=spec.key,
        data=spec.data,
        net=spec.net,
        protocol=spec.protocol,
        nets=stored["n"],
        seed=12345,
    )
    task = store.create(again)
    worker.run_task(store, task, again, "cpu")
    result = task.result()
    if setting == "fixed":  # one known network: nothing is random but rounding
        assert result["mean"] == pytest.approx(stored["mean"], abs=0.01)
        return
    assert result["accuracies"] != stored["accuracies"]
    spread = max(statistics.stdev(stored["accuracies"]), statistics.stdev(result["accuracies"]))
    assert abs(result["mean"] - stored["mean"]) < 3 * spread / stored["n"] ** 0.5 + 0.005


def test_the_table_of_recipes_in_the_docs_is_that_of_the_gallery():
    text = RESULTS.read_text()
    shown = text.split("<!-- reproduce table -->\n")[1].split("\n<!-- end -->")[0]
    assert shown == table.markdown(table.lines(SHIPPED)), "put in what `reproduce table` prints"


def test_the_table_of_shipped_runs_in_the_docs_is_that_of_the_gallery():
    """All of them, whatever they reach: none can be left out."""
    text = RESULTS.read_text()
    shown = text.split("<!-- gallery table -->\n")[1].split("\n<!-- end -->")[0]
    assert shown == gallery.markdown(SHIPPED), "put in what `gallery --table` prints"
    assert len(shown.splitlines()) == 2 + len(gallery.runs())


def test_what_the_docs_say_that_seeds_share():
    """Draws of random images, judging networks and experts; shipped evaluations have one seed."""
    runs = [make_spec("mtt", resolve("digits"), gallery.SHAPE, seed=seed) for seed in (0, 1)]
    assert runs[0].key != runs[1].key
    assert experts(runs[0]).key == experts(runs[1]).key
    judged = [default_evaluation(run.key, run) for run in runs]
    assert {task.seed for task in judged} == {0} and judged[0].nets == judged[1].nets
    assert len({baseline_task("random", run, 10).key for run in runs}) == 1
    draws = {
        task.spec().draws for task in SHIPPED.tasks("baseline") if task.spec().name == "random"
    }
    assert draws <= {10, 20}


def test_the_runs_of_one_method_can_be_made_anew_and_the_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(
        gallery, "Store", lambda root=None, gallery=None: Store(root or paths.GALLERY, gallery)
    )
    monkeypatch.setattr(gallery.jobs, "submit", lambda store, specs: [store.task(s) for s in specs])
    asked = []
    dm = [task for task in SHIPPED.tasks("distill") if task.spec().method == "dm"]
    other = next(task for task in SHIPPED.tasks("distill") if task.spec().method == "kip")
    old = SHIPPED.task(default_evaluation(other.key, other.spec()))
    for task in (other, old):
        gallery.ship(task, tmp_path)
    stale = make_spec("dm", resolve("digits"), gallery.SHAPE, seed=7)
    of_stale = default_evaluation(stale.key, stale)
    mine = Store(tmp_path, gallery=None)
    for spec in (stale, of_stale):
        mine.create(spec)
    keys = gallery.build(lambda store, task: asked.append(task.key), tmp_path, only=["dm"])
    assert asked == [spec.key for spec in gallery.tasks(["dm"])] and set(asked) <= set(keys)
    digits = {task.key for task in dm if task.spec().data.name == "digits"}
    assert {task.key for task in mine.tasks("distill")} == digits | {other.key}
    assert mine.task(old.spec()).is_done() and not mine.task(of_stale).exists()
    assert all(mine.find(key).is_done() for key in keys)
    with pytest.raises(SpecError, match="method = 'dn'"):
        gallery.build(lambda store, task: task, tmp_path, only=["dn"])


def test_pictures_of_others_are_not_shipped():
    """A run that began as somebody's pictures shows them in its first snapshots."""
    for task in SHIPPED.tasks("distill"):
        if not get(task.spec().data.name).bundled and task.spec().init == "real":
            assert all(12 * s >= task.spec().params.iterations for s in task.snapshot_steps())


@pytest.mark.parametrize(
    ("data", "init"), [("digits", "real"), ("mnist", "real"), ("mnist", "mean")]
)
def test_a_run_is_shipped_with_some_of_its_snapshots(store, tmp_path, data, init):
    """Twelve small ones; none of the start, if that is pictures of others. What is left is sound."""
    task, steps = _with_snapshots(store, _data(data), init, 28)
    assert len(steps) > 30
    gallery.ship(task, tmp_path)
    shipped = Store(tmp_path, gallery=None).task(task.spec())
    assert shipped.is_done() and shipped.verify() == []
    kept = shipped.snapshot_steps()
    assert len(kept) == 12 and kept[-1] == 4000
    assert (kept[0] >= 4000 / 12) if (data, init) == ("mnist", "real") else (kept[0] == 0)
    for step in kept:
        before, after = (t.snapshot(step)["pixels"].astype(np.float32) for t in (task, shipped))
        assert np.abs(after - before).max() <= np.ptp(before, axis=(1, 2, 3)).max() / 500
    size = sum(p.stat().st_size for p in (shipped.folder / "snapshots").iterdir())
    assert size < 12 * (before.size + 1000)


def test_large_snapshots_are_fewer(store, tmp_path):
    task, _ = _with_snapshots(store, _data("mnist"), "mean", 160)
    gallery.ship(task, tmp_path)
    folder = tmp_path / task.kind / task.key / "snapshots"
    assert 2 <= len(list(folder.iterdir())) < 12
    assert sum(p.stat().st_size for p in folder.iterdir()) < gallery.SNAPSHOT_BYTES + 10_000


def test_of_a_set_too_large_to_ship_the_figures_are_shown(tmp_path, monkeypatch):
    here = {line.name: line for line in table.lines(SHIPPED) if line.run and line.evaluation}
    name, line = next(iter(here.items()))
    mine = Store(tmp_path / "mine", gallery=None)
    for task in (line.run, line.evaluation):
        gallery.ship(task, mine.root)
    monkeypatch.setattr(gallery, "LARGEST", 0)
    monkeypatch.setattr(gallery, "Store", lambda root=None, gallery=None: Store(mine.root, gallery))
    target = tmp_path / "shipped"
    assert gallery.build_recipes(target) == []
    assert [file.name for file in target.iterdir()] == ["large.json"]
    before = (target / "large.json").stat().st_mtime_ns
    gallery.build_recipes(target)
    assert (target / "large.json").stat().st_mtime_ns == before
    for store in (Store(target, gallery=None), Store(tmp_path / "another", gallery=target)):
        told = {each.name: each for each in table.lines(store)}
        assert told[name].run is None and table.figures(told[name]) == table.figures(line)
        assert told[name].took == line.took and told[name].title == line.title
        assert [each for each in told.values() if each.ours] == [told[name]]
        assert f"| `{line.row.name}`: " in table.markdown([told[name]])
    other = replace(line.recipe, rows=tuple(replace(r, seed=77) for r in line.recipe.rows))
    with monkeypatch.context() as patched:
        # Figures go with the settings of a row, not with its name.
        patched.setattr(table, "recipes", lambda: {other.name: other})
        assert not any(each.ours for each in table.lines(Store(target, gallery=None)))
    (target / "large.json").write_text("[]")
    with pytest.raises(Damaged, match=r"large\.json is not a file of figures"):
        table.lines(Store(target, gallery=None))


def _data(name):
    return DataSpec(name=name, source=get(name).kinds[0])


def _with_snapshots(store, data, init, side):
    """A finished run of 4,000 iterations with images of `side` pixels, and the steps of its snapshots."""
    run = make_spec("dm", data, (1, 28, 28), settings=[("init", init), ("iterations", "4000")])
    task, steps = done(store, run), sorted(snapshot_steps(4000))
    rng = np.random.default_rng(0)
    for path in (task.folder / "snapshots").iterdir():
        path.unlink()
    for step in steps:
        pixels = rng.normal(0.5, 0.5, (10, 1, side, side)).astype(np.float16)
        write_arrays(task.folder / snapshot_name(step), {"pixels": pixels})
    task.finish()
    return task, steps
