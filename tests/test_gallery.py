"""The shipped gallery is sound, belongs to this code, and its figures can be found again."""

import statistics

import pytest

from ddcore import gallery, paths
from ddcore.data import resolve
from ddcore.data.registry import get
from ddcore.distilled import DistilledSet
from ddcore.evaluation import baseline_task
from ddcore.evaluation_spec import AccuracyTask, default_evaluation
from ddcore.methods.mtt import experts
from ddcore.methods.spec import make_spec
from ddcore.recipes import table
from ddcore.store import Store

SHIPPED = Store(paths.GALLERY, gallery=None)


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
    assert sum(f.stat().st_size for f in paths.GALLERY.rglob("*") if f.is_file()) < 40e6


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


@pytest.mark.parametrize("setting", ["", "unknown", "fixed"])
def test_a_shipped_set_reaches_its_stored_accuracy_again(setting, tmp_path):
    """Other networks than the stored ones: the means agree within the spread."""
    from ddcore import worker

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


def test_the_table_in_the_readme_is_that_of_the_gallery():
    text = (paths.PROJECT / "README.md").read_text()
    shown = text.split("<!-- reproduce table -->\n")[1].split("\n<!-- end -->")[0]
    assert shown == table.markdown(table.lines(SHIPPED)), "put in what `reproduce table` prints"


def test_the_table_of_shipped_runs_in_the_readme_is_that_of_the_gallery():
    """All of them, whatever they reach: none can be left out."""
    text = (paths.PROJECT / "README.md").read_text()
    shown = text.split("<!-- gallery table -->\n")[1].split("\n<!-- end -->")[0]
    assert shown == gallery.markdown(SHIPPED), "put in what `gallery --table` prints"
    assert len(shown.splitlines()) == 2 + len(gallery.runs())


def test_what_the_readme_says_that_seeds_share():
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


def test_pictures_of_others_are_not_shipped():
    """A run that began as somebody's pictures shows them in its first snapshots."""
    for task in SHIPPED.tasks("distill"):
        if not get(task.spec().data.name).bundled:
            assert task.snapshot_steps() == []
