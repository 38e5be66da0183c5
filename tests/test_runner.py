"""Runs end to end on digits, small: determinism, resume, recovery, and that distilling helps."""

import contextlib
import itertools
import os
import signal
import time

import numpy as np
import pytest

from ddcore.base.errors import Cancelled, Diverged, SpecError
from ddcore.data import datasets, resolve
from ddcore.distil.contract import INITS, LABELS, methods, parametrizations, unfit
from ddcore.distil.settings import make_spec
from ddcore.measure.spec import default_evaluation
from ddcore.pools import bank
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import jobs
from ddcore.tasks.worker import Context

SHAPE = (1, 8, 8)
EPOCHS = 10


@pytest.fixture(autouse=True)
def short_teachers(monkeypatch):
    """Teachers that learn for two epochs: what is tried here does not need good ones."""
    moment = bank.whole_protocol(1).replace(epochs=2)
    monkeypatch.setattr(bank, "whole_protocol", lambda images: moment)


def tiny(name, *, iterations=12, ipc=1, seed=0, **settings):
    """A run of a second: what the method itself declares to be its smallest, judged for a moment only."""
    small = {"net.width": "4", "iterations": str(iterations), "validations": "2", "val_nets": "2"}
    settings = {**small, **methods()[name].smallest, **settings}
    spec = make_spec(
        name, resolve("digits"), SHAPE, ipc=ipc, seed=seed, settings=list(settings.items())
    )
    return spec.replace(protocol=spec.protocol.replace(epochs=min(spec.protocol.epochs, EPOCHS)))


def variants():
    """Every method in each of its variants; nothing here knows a method by name."""
    for name, known in methods().items():
        for values in itertools.product(*known.variants.values()):
            yield case(name, dict(zip(known.variants, values)))


def case(name, settings, **more):
    """A case that is called by what it tries, such as dd2018-fixed or dm-canvas."""
    return pytest.param(name, settings, id="-".join([name, *settings.values()]), **more)


VARIANTS = [*variants(), case("dm", {"augment": "crop_scale_rotate"})]


def combinations():
    """Every method with each parametrization and kind of labels, allowed or not; teachers take their time."""
    for name in methods():
        for shape in parametrizations():
            yield case(name, {"parametrization": shape})
        for labels in tuple(LABELS)[1:]:
            offered = labels not in unfit(name)["labels"]
            yield case(name, {"labels": labels}, marks=[pytest.mark.slow] if offered else [])


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_same_spec_same_numbers_and_valid_artefact(compute_pooled, pooled, name, settings):
    spec = tiny(name, **settings)
    first = DistilledSet.from_task(compute_pooled(spec))
    pooled.delete(pooled.task(spec))
    second = DistilledSet.from_task(compute_pooled(spec))
    assert np.array_equal(first.images, second.images)
    count = 10 * spec.images_per_class(SHAPE, 10)
    assert first.images.shape == (count, 1, 8, 8) and np.isfinite(first.images).all()
    assert all(np.array_equal(a, second.exact[name]) for name, a in first.exact.items())
    assert (first.run_key, first.method) == (spec.key, name)
    task = pooled.task(spec)
    assert task.snapshot_steps()[0] == 0 and task.snapshot_steps()[-1] == spec.params.iterations
    one = settings.get("setting") in ("fixed", "pretrained")  # one known network
    if spec.protocol.closed_form:  # or one kernel
        one = not spec.params.kernel(spec).random
    assert task.result()["validation"]["n"] == (1 if one else 2)
    assert not (task.folder / "checkpoint").exists()


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_seeds_differ(compute_pooled, name, settings):
    one = DistilledSet.from_task(compute_pooled(tiny(name, iterations=2, **settings)))
    two = DistilledSet.from_task(compute_pooled(tiny(name, iterations=2, seed=1, **settings)))
    assert not np.array_equal(one.images, two.images)


@pytest.mark.parametrize(("name", "settings"), combinations())
def test_what_is_offered_runs_and_what_does_not_go_together_is_refused_by_name(
    compute_pooled, name, settings
):
    """No combination fails on the way: it is refused before anything starts, or it runs."""
    ((field, value),) = settings.items()
    if value in unfit(name)[field]:
        with pytest.raises(SpecError, match=f"{field} = '{value}'"):
            tiny(name, **settings)
        return
    spec = tiny(name, iterations=3, init="mean", **settings)
    made = DistilledSet.from_task(compute_pooled(spec))
    assert len(made.images) == 10 * spec.images_per_class(SHAPE, 10)
    solved = spec.params.iterations == 1  # in closed form, labels included
    assert made.soft == (spec.labels != "hard") or solved
    assert made.parametrization == spec.parametrization
    assert made.floats <= 10 * spec.ipc * 64 or spec.parametrization == "generator"


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_stopped_at_any_step_and_resumed_is_bit_identical(
    compute_pooled, pooled, monkeypatch, name, settings
):
    from ddcore.tasks import worker

    spec = tiny(name, **settings)
    whole = DistilledSet.from_task(compute_pooled(spec))
    events = [e for e in pooled.task(spec).events() if "loss" in e]
    pooled.delete(pooled.task(spec))

    class Killed(BaseException):
        pass

    # Soon, and at a validation, where there is more than one step.
    for stop in (s for s in (1, 6) if s <= spec.params.iterations):
        real_progress = worker.Context.progress

        def dying(self, step, total, message="", stop=stop, progress=real_progress, **metrics):
            progress(self, step, total, message, **metrics)
            if self.spec.KIND == "distill" and step >= stop:
                raise Killed

        monkeypatch.setattr(worker, "CHECKPOINT_EVERY_S", 0.0)
        monkeypatch.setattr(worker.Context, "progress", dying)
        with pytest.raises(Killed):
            compute_pooled(spec, anew=False)
        monkeypatch.setattr(worker.Context, "progress", real_progress)
    resumed = DistilledSet.from_task(compute_pooled(spec, anew=False))
    assert np.array_equal(resumed.images, whole.images)
    assert whole.lrs is None or np.array_equal(resumed.lrs, whole.lrs)
    again = [e for e in pooled.task(spec).events() if "loss" in e]
    assert [(e["step"], e["loss"]) for e in again] == [(e["step"], e["loss"]) for e in events]


@pytest.mark.parametrize("name", [s.name for s in datasets().values() if s.bundled])
def test_every_dataset_that_is_always_there_can_be_distilled(compute, name):
    source = datasets()[name]
    small = [("net.width", "4"), ("iterations", "2"), ("val_nets", "1")]
    made = DistilledSet.from_task(
        compute(make_spec("dm", resolve(name), source.shape, settings=small))
    )
    assert made.images.shape == (len(source.classes), *source.shape)
    assert made.class_names == source.classes


@pytest.mark.slow
def test_sigkill_in_a_real_worker_then_resume_is_bit_identical(store, compute, monkeypatch):
    monkeypatch.setenv("DD_CHECKPOINT_S", "0.05")
    spec = tiny("dd2018", iterations=60, setting="unknown")
    task = jobs.submit(store, [spec])[0]
    generator = np.random.default_rng()
    kills = 0
    for _ in range(2):
        target = int(generator.integers(5, 50))
        while jobs.state(task)["state"] in jobs.ACTIVE and jobs.state(task).get("step", 0) < target:
            time.sleep(0.02)
        status = jobs.state(task)
        if status["state"] == "running":
            os.killpg(status["pid"], signal.SIGKILL)
            kills += 1
            while jobs.state(task)["state"] == "running":
                time.sleep(0.05)
            assert jobs.state(task)["state"] == "lost"
            jobs.resume(store, task)
    assert jobs.wait(task, timeout_s=120)["state"] == "done"
    assert kills
    killed = DistilledSet.from_task(task)
    store.delete(task)
    undisturbed = jobs.submit(store, [spec])[0]
    assert jobs.wait(undisturbed, timeout_s=120)["state"] == "done"
    assert np.array_equal(DistilledSet.from_task(undisturbed).images, killed.images)


def test_divergence_is_recovered_from_or_said(compute, monkeypatch):
    from ddcore.distil.engines.match import FeatureMatching

    real_step = FeatureMatching.step
    calls = {"n": 0}

    def failing(self, iteration, times):
        metrics = real_step(self, iteration)
        calls["n"] += 1
        if iteration == 4 and calls["n"] <= times:
            metrics["loss"] = float("nan")
        return metrics

    monkeypatch.setattr(FeatureMatching, "step", lambda s, i: failing(s, i, 5))
    task = compute(tiny("dm"))
    assert task.result()["halvings"] == 1
    assert any("halved" in e.get("note", "") for e in task.events())
    monkeypatch.setattr(FeatureMatching, "step", lambda s, i: failing(s, i, 10**9))
    with pytest.raises(Diverged, match="step 4"):
        compute(tiny("dm", seed=3))


def test_test_data_steer_nothing(compute, store, monkeypatch):
    """Scrambled test labels must not change a single pixel of the distilled set."""
    from ddcore.data import tensors

    spec = tiny("dd2018")
    honest = DistilledSet.from_task(compute(spec))
    store.delete(store.task(spec))
    real_init = tensors.DeviceData.__init__

    def scrambled(self, *args, **kwargs):
        real_init(self, *args, **kwargs)
        self.test.labels = self.test.labels.flip(0)

    monkeypatch.setattr(tensors.DeviceData, "__init__", scrambled)
    assert np.array_equal(DistilledSet.from_task(compute(spec)).images, honest.images)


def test_evaluation_has_baselines_spread_and_the_other_inits(compute):
    spec = tiny("dd2018", setting="fixed")
    compute(spec)
    task = compute(default_evaluation(spec.key, spec, nets=3))
    rows = {r["subject"]: r for r in task.result()["rows"]}
    assert set(rows) == {"distilled", "other_inits", "random", "class_mean"}
    assert rows["distilled"]["n"] == 1 and rows["other_inits"]["n"] == 3
    assert rows["random"]["n"] == 3 and rows["random"]["step_size"] is not None
    assert all(len(r["accuracies"]) == r["n"] for r in rows.values())


@pytest.mark.parametrize("stop", [7, 53, 58, 99])
def test_divergence_after_resuming_ends_as_without_a_stop(compute, store, monkeypatch, stop):
    """The state to go back to is that of step 50, or the start; not that of the checkpoint."""
    from ddcore.distil.engines.match import FeatureMatching
    from ddcore.tasks import worker

    real_step, real_progress = FeatureMatching.step, worker.Context.progress

    def diverging(self, iteration):
        metrics = real_step(self, iteration)
        # As with a step size that is too large: it never comes through with the first one.
        if iteration == bad and self.optimiser.param_groups[0]["lr"] > 0.5 * self.params.lr:
            metrics["loss"] = float("nan")
        return metrics

    class Killed(BaseException):
        pass

    def dying(self, step, total, message="", **metrics):
        real_progress(self, step, total, message, **metrics)
        if self.spec.KIND == "distill" and step == stop:
            raise Killed

    bad = 40 if stop < 50 else 60 if stop < 60 else 110
    monkeypatch.setattr(FeatureMatching, "step", diverging)
    monkeypatch.setattr(worker, "CHECKPOINT_EVERY_S", 0.0)
    spec = tiny("dm", iterations=120)
    whole = compute(spec)
    assert whole.result()["halvings"] == 1
    made, events = DistilledSet.from_task(whole), told(whole)
    snapshots = [whole.snapshot(s)["pixels"] for s in whole.snapshot_steps()]
    store.delete(whole)
    with monkeypatch.context() as patched:
        patched.setattr(worker.Context, "progress", dying)
        with pytest.raises(Killed):
            compute(spec)
    resumed = compute(spec)
    assert np.array_equal(DistilledSet.from_task(resumed).images, made.images)
    assert told(resumed) == events and resumed.result()["halvings"] == 1
    again = [resumed.snapshot(s)["pixels"] for s in resumed.snapshot_steps()]
    assert len(again) == len(snapshots) and all(map(np.array_equal, again, snapshots))


def told(task):
    """Progress events without what depends on the clock."""
    return [{k: v for k, v in e.items() if k != "seconds"} for e in task.events()]


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_nothing_that_a_step_leaves_behind_is_outside_the_checkpoint(
    compute, monkeypatch, name, settings
):
    """A fresh distiller, given the state of another, goes on as that one does, and finds the same."""
    from ddcore.distil import runner

    seen = {}

    def loop(self):
        while self.step < min(self.total, 3):
            self.advance()
            self.step += 1
        self.checkpoint()
        other = runner._Run(
            self.context, self.problem, methods()[name].build(self.problem), self.dataset
        )
        other.restore()
        if self.total > 3:
            for run in (self, other):
                run.advance()
        seen["arrays"] = self.arrays(), other.arrays()
        seen["findings"] = self.distiller.findings(), other.distiller.findings()
        raise Stop

    class Stop(BaseException):
        pass

    monkeypatch.setattr(runner._Run, "loop", loop)
    with pytest.raises(Stop):
        compute(tiny(name, **settings))
    one, two = seen["arrays"]
    assert one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)
    one, two = seen["findings"]
    assert one == two


def test_findings_survive_a_stop(compute, store, monkeypatch):
    from ddcore.tasks import worker

    spec = tiny("krr-exact")
    whole = dict(compute(spec).result()["findings"])
    store.delete(store.task(spec))
    real_progress = worker.Context.progress

    def stopping(self, step, total, message="", **metrics):
        real_progress(self, step, total, message, **metrics)
        if self.spec.KIND == "distill":
            (self.task.folder / "cancel").touch()
            self.check_cancel()

    with monkeypatch.context() as patched:
        patched.setattr(worker.Context, "progress", stopping)
        with pytest.raises(Cancelled):
            compute(spec)
    (store.task(spec).folder / "cancel").unlink()
    found = compute(spec).result()["findings"]
    assert found.keys() == whole.keys() and "rank" in found
    assert {k: v for k, v in found.items() if "seconds" not in k} == {
        k: v for k, v in whole.items() if "seconds" not in k
    }


# --- the start ------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"init": init} for init in INITS] + [{"labels": "soft"}])
def test_the_start_is_seen_before_what_the_run_needs_is_made(compute, store, monkeypatch, settings):
    spec = tiny("mtt", iterations=2, **settings)
    needed = Context.need

    def refused(context, wanted):
        if wanted.KIND == "dataset":
            return needed(context, wanted)
        raise Cancelled("There is nothing but the data yet.")

    with monkeypatch.context() as patch, contextlib.suppress(Cancelled):
        patch.setattr(Context, "need", refused)
        compute(spec)
    task = store.task(spec)
    assert not task.is_done()
    assert task.snapshot_steps() == [0]
    seen = task.snapshot(0)["pixels"]
    task = compute(spec)
    assert np.array_equal(task.snapshot(0)["pixels"], seen)
    assert task.is_done() and task.snapshot_steps()[-1] == 2
