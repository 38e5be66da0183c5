"""Every page in the states it can be in: no exceptions, and the words that matter are there."""

from __future__ import annotations

import os

import numpy as np
import pytest

from ddcore.distil.contract import INITS
from ddcore.measure.spec import default_evaluation
from ddcore.tasks import pausing
from ddcore.tasks.files import write_arrays
from tests.pages.fakes import (
    PAGES,
    decoded,
    done,
    evaluated,
    images,
    put,
    sheets,
    snapshots,
    spec,
    text,
)

EACH = pytest.mark.parametrize("page", PAGES, ids=lambda name: name or "Start")


@EACH
def test_empty_store(visit, page):
    app = visit(page)
    assert app.title
    assert len(text(app)) > 100  # says something before the first click


@EACH
def test_a_bad_run_in_the_link_is_no_exception(visit, page):
    for run, runs in (("../../etc/passwd", "<b>x</b>"), ("0123456789abcdef", "0123456789abcdef,")):
        visit(page, run=run, runs=runs)


@pytest.mark.parametrize(
    ("page", "query", "words"),
    [
        (
            "1_Data.py",
            {"px": "1e999"},
            "1e999 is not used, it is no whole number from 4",
        ),
        ("1_Data.py", {"px": "9" * 5000}, "(5,000 letters) is not used"),
        ("1_Data.py", {"px": "nan"}, "nan is not used, it is no"),
        ("1_Data.py", {"px": "3"}, "3 is not used, it is no"),
        ("1_Data.py", {"data": "own", "path": "~nosuchuser"}, "there is no such home folder"),
        ("1_Data.py", {"data": "own", "path": "/" + "x" * 5000}, "File name too long"),
        ("1_Data.py", {"data": "own", "path": "x/" * 3000}, "File name too long"),
        (
            "2_Distil.py",
            {"ipc": "-1e999"},
            "Images per class: -1e999 is not used, it is no whole number",
        ),
        ("2_Distil.py", {"ipc": "1.5"}, "Images per class: 1.5 is not used"),
        ("2_Distil.py", {"seed": "inf"}, "Seed: inf is not used"),
    ],
)
def test_nonsense_in_a_link_is_one_short_sentence(visit, store, page, query, words):
    decoded(store)
    app = visit(page, **query)
    said = [e.value for kind in (app.warning, app.error) for e in kind if words in e.value]
    assert len(said) == 1 and len(said[0]) < 500, text(app)
    assert app.title


def test_a_number_in_a_link_is_taken(visit, store):
    decoded(store)
    app = visit("2_Distil.py", ipc="7", seed="3")
    assert (app.number_input(key="ipc").value, app.number_input(key="seed").value) == (7, 3)
    app.number_input(key="ipc").set_value(5).run()
    assert not app.exception and "".join(app.query_params["ipc"]) == "5"
    app.number_input(key="ipc").set_value(1).run()
    assert not app.exception and "ipc" not in app.query_params


@EACH
def test_a_variable_that_is_not_allowed_is_said_on_every_page(visit, monkeypatch, page):
    wrong = [("DD_CACHE", "/etc/passwd"), ("DD_DEVICE", "../x"), ("DD_THREADS", "x")]
    variable, value = wrong[PAGES.index(page) % len(wrong)]
    monkeypatch.setenv(variable, value)
    assert f"{variable} = '{value}' is not allowed: expected" in text(visit(page))


@pytest.mark.parametrize(
    ("number", "words"),
    [(28, "No space left"), (30, "Read-only file system"), (13, "Permission denied")],
)
def test_a_store_that_cannot_be_written_is_said(visit, store, monkeypatch, number, words):
    app = visit("1_Data.py", px="6")

    def refused(path, content):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("ddcore.tasks.files.write_atomic", refused)
    app.button(key="data.decode.start").click().run()
    assert not app.exception
    assert [e.value for e in app.error if words in e.value]


def test_a_stop_that_cannot_be_written_is_said(visit, store, alive, monkeypatch):
    task = put(store, spec(), "running", step=20, total=40)
    alive(task)
    app = visit("3_Run.py", run=task.key)

    def refused(*_, **__):
        raise OSError(30, "Read-only file system", "cancel")

    monkeypatch.setattr("pathlib.Path.touch", refused)
    app.button(key="run.stop").click().run()
    assert not app.exception
    assert "cancel cannot be used (Read-only file system)" in text(app)


def shell_run(app):
    """The run that the link names after an interaction without exceptions."""
    assert not app.exception
    return "".join(app.query_params["run"])


# --- Start ----------------------------------------------------------------------------------------


def test_start_states_measured_numbers(visit, store):
    task = done(store)
    evaluated(store, task.spec())
    shown = text(visit())
    assert "1,297 real images → 10 synthetic ones" in shown
    assert "Distilled 81.2 ± 2.0 %" in shown
    assert "Random real images 63.4" in shown
    assert "Class means 79.9" in shown


def test_start_without_an_evaluation_says_so(visit, store):
    done(store)
    assert "not been measured" in text(visit())


# --- Data -----------------------------------------------------------------------------------------


def test_what_comes_with_the_tool_is_read_at_once(visit, store, monkeypatch):
    """But not for those who may only look."""
    with monkeypatch.context() as patch:
        patch.setenv("DD_VISITORS", "1")
        assert "not computed yet" in text(visit("1_Data.py")) and not list(store.tasks("dataset"))
    assert "queued" in text(visit("1_Data.py"))
    assert len(list(store.tasks("dataset"))) == 1


def test_data_offers_to_read(visit):
    app = visit("1_Data.py", px="6")
    assert "Read the images" in text(app)
    app.button(key="data.decode.start").click().run()
    assert "queued" in text(app)


def test_data_shows_a_decoded_set(visit, store):
    decoded(store)
    app = visit("1_Data.py")
    shown = text(app)
    assert "Training images 1,167" in shown
    assert "Class means" in shown
    assert len(app.image) == 2


def test_data_not_here_says_how_to_get_it(visit):
    shown = text(visit("1_Data.py", data="cifar10"))
    assert "CIFAR-10 is not in" in shown
    assert "Download CIFAR-10" in shown
    assert "DD_DATA" in shown


def test_data_download_is_explicit(visit, store):
    app = visit("1_Data.py", data="mnist")
    assert not list(store.tasks("download"))
    app.button(key="data.get").click().run()
    assert [t.document()["spec"]["name"] for t in store.tasks("download")] == ["mnist"]


def test_data_own_folder_errors_are_one_sentence(visit, tmp_path):
    assert "does not exist" in text(visit("1_Data.py", data="own", path=str(tmp_path / "none")))
    assert "Type the path" in text(visit("1_Data.py", data="own"))


def test_data_says_that_own_images_are_mirrored(visit, tmp_path):
    """Nothing declares it for them, so it has to be said."""
    shown = text(visit("1_Data.py", data="own", path=str(tmp_path / "none")))
    assert "Mirror images of your pictures are taken to show the same class" in shown


# --- Run ------------------------------------------------------------------------------------------


def test_run_queued(visit, store):
    task = put(store, spec(), "queued")
    shown = text(visit("3_Run.py", run=task.key))
    assert "You may close this tab" in shown
    assert "queue" in shown or "Waiting" in shown


@pytest.mark.parametrize(("init", "words"), INITS.items())
def test_a_run_that_has_not_begun_says_from_what_it_starts(visit, store, init, words):
    task = put(store, spec(settings=[("init", init)]), "queued")
    assert f"It starts from {words}: they appear here" in text(visit("3_Run.py", run=task.key))


def test_the_start_is_shown_before_the_first_iteration(visit, store, alive):
    task = put(store, spec(), "running", step=0, total=40)
    alive(task)
    path = task.folder / "snapshots" / "0000000.safetensors"
    write_arrays(path, {"pixels": images(3).astype(np.float16)})
    app = visit("3_Run.py", run=task.key)
    assert "It starts from" not in text(app) and "Start" in [h.value for h in app.header]
    (shown,) = sheets(app).values()
    assert shown["label"] == "Images at iteration 0"


def test_run_running_shows_progress_and_stops(visit, store, alive):
    task = put(store, spec(), "running", step=20, total=40, eta_s=9.0, seconds=11.0)
    snapshots(task)
    alive(task)
    app = visit("3_Run.py", run=task.key)
    shown = text(app)
    assert "Iteration 20" in shown
    assert "Loss" in shown
    assert len(app.get("plotly_chart")) == 2
    app.button(key="run.stop").click().run()
    assert not app.exception
    assert (task.folder / "cancel").exists()
    assert "Stopping ..." in text(app)


def test_a_run_can_be_paused_taken_one_step_on_and_let_go_on(visit, store, alive):
    task = put(store, spec(), "running", step=20, total=40)
    snapshots(task)
    alive(task)
    app = visit("3_Run.py", run=task.key)
    app.button(key="run.pause").click().run()
    assert pausing.is_asked(task)
    pausing.show(task, 21, images(5))
    app.run()
    assert "Iteration 21" in text(app), "the images of where it waits"
    assert "run.pause" not in {b.key for b in app.button}
    app.button(key="run.step").click().run()
    assert pausing.may_step(task)
    app.button(key="run.on").click().run()
    assert not pausing.is_asked(task) and pausing.seen(task) is None
    assert "run.pause" in {b.key for b in app.button}


def test_only_runs_that_have_begun_can_be_paused(visit, store, alive):
    for status in ({"step": 0, "total": 0}, {}):
        task = put(store, spec(), "running" if status else "queued", **status)
        alive(task)
        app = visit("3_Run.py", run=task.key)
        assert "run.stop" in {b.key for b in app.button}
        assert "run.pause" not in {b.key for b in app.button}
        store.delete(task)


def test_run_failed_shows_message_and_log(visit, store):
    task = put(store, spec(), "failed", message="The run diverged at step 3.", step=3, total=40)
    (task.folder / "log.txt").write_text("Traceback: something")
    app = visit("3_Run.py", run=task.key)
    assert "The run diverged at step 3." in text(app)
    assert "Traceback: something" in text(app)
    app.button(key="run.resume").click().run()
    assert task.status()["state"] == "queued"


def test_run_lost_offers_to_resume_from_the_checkpoint(visit, store):
    task = put(store, spec(), "running", step=20, total=40)
    status = task.status() | {"heartbeat": 0}
    task.write_status(**status)
    write = task.folder / "checkpoint" / "1.checkpoint"
    write.parent.mkdir()
    write.write_bytes(b"x")
    shown = text(visit("3_Run.py", run=task.key))
    assert "Its worker is gone" in shown
    assert "Resume from about step 20" in shown


def test_run_cancelled(visit, store):
    task = put(store, spec(), "cancelled", message="Stopped on request.")
    assert "Stopped on request." in text(visit("3_Run.py", run=task.key))


def test_run_done(visit, store):
    task = done(store)
    evaluated(store, task.spec())
    shown = text(visit("3_Run.py", run=task.key))
    assert "40 iterations in 12 s on cpu" in shown
    assert "Distilled 81.2 ± 2.0 %" in shown
    assert "params.iterations" in shown


def test_run_done_offers_its_evaluation(visit, store):
    task = done(store)
    app = visit("3_Run.py", run=task.key)
    app.button(key="run.evaluation.start").click().run()
    wanted = default_evaluation(task.key, task.spec())
    assert store.task(wanted).status()["state"] == "queued"


def test_run_list_opens_a_run(visit, store):
    task = done(store)
    app = visit("3_Run.py")
    app.button(key=f"run.open.{task.key}").click().run()
    assert shell_run(app) == task.key


def test_run_of_another_kind_is_refused(visit, store):
    task = put(store, default_evaluation("0" * 16, spec()), "queued")
    assert "not a distilled set" in text(visit("3_Run.py", run=task.key))


# --- Jobs -----------------------------------------------------------------------------------------


def test_jobs_lists_every_state(visit, store, alive):
    running = put(store, spec(), "running", step=1, total=40)
    alive(running)
    failed = put(store, spec(seed=1), "failed", message="It broke.")
    finished = done(store, spec(seed=2))
    app = visit("9_Jobs.py")
    shown = text(app)
    assert "It broke." in shown
    keys = {b.key for b in app.button}
    assert f"jobs.{running.key}.stop" in keys
    assert f"jobs.resume.{failed.key}" in keys
    assert f"jobs.delete.{finished.key}" in keys
    assert f"jobs.delete.{running.key}" not in keys


def test_jobs_name_the_run_that_a_task_is_about(visit, store):
    from analysis.single.nearest import NearestTask

    run = done(store)
    put(store, NearestTask(run_key=run.key), "failed", message="It broke.")
    put(store, default_evaluation(run.key, run.spec()), "failed", message="It broke, too.")
    app = visit("9_Jobs.py")
    shown, title = text(app), "Distribution matching on Digits, 1 per class, seed 0"
    links = {e.proto.label: e.proto.page for e in app.get("page_link")}
    assert links[f"Nearest real images of {title}"] == "Images"
    assert links[f"Evaluation of {title}, quick"] == "Evaluate"
    assert run.key not in shown


def test_jobs_name_the_sets_of_an_analysis(visit, store):
    from analysis import analyses

    first, second = done(store), done(store, spec(seed=1))
    of = analyses()["pixels"]
    put(store, of.spec(run_keys=(first.key, second.key)), "failed", message="It broke.")
    links = {e.proto.label: e.proto for e in visit("9_Jobs.py").get("page_link")}
    words = "Distribution matching on Digits, 1 per class"
    link = links[f"{of.title}: {words}; {words}"]
    assert link.page == "Pixels"
    assert first.key in link.query_string and second.key in link.query_string


def test_jobs_count_what_waits_and_stop_all(visit, store, alive):
    tasks = [put(store, spec(seed=seed), "queued") for seed in range(3)]
    running = put(store, spec(seed=9), "running", step=1, total=4)
    for task in (*tasks, running):
        alive(task)
    app = visit("9_Jobs.py")
    assert "Waiting 3" in text(app) and "Now (4)" in [h.value for h in app.header]
    app.button(key="jobs.all.stop").click().run()
    assert not app.exception
    assert all((task.folder / "cancel").exists() for task in (*tasks, running))


def test_jobs_are_all_there_in_pages(visit, store):
    from pages.components import job_rows

    keys = {put(store, spec(seed=s), "failed").key for s in range(job_rows.PER_PAGE + 2)}
    app = visit("9_Jobs.py")
    assert "1 to 25 of 27" in text(app)
    seen = {b.key for b in app.button}
    app.session_state["jobs.page.stopped"] = 2
    app.run()
    seen |= {b.key for b in app.button}
    assert {f"jobs.delete.{key}" for key in keys} <= seen


def test_a_finished_job_goes_to_the_trash(visit, store):
    from ddcore.tasks import trash

    finished = done(store)
    visit("9_Jobs.py").button(key=f"jobs.delete.{finished.key}").click().run()
    assert [each.task.key for each in trash.thrown(store)] == [finished.key]


def test_run_says_how_many_it_leaves_out(visit, store):
    for seed in range(14):
        done(store, spec(seed=seed))
    app = visit("3_Run.py")
    assert "2 more runs are not listed here." in text(app)
    assert "Runs" in [e.proto.page for e in app.get("page_link")]


def test_jobs_delete_and_prune(visit, store):
    finished = done(store)
    failed = put(store, spec(seed=1), "failed", message="It broke.")
    app = visit("9_Jobs.py")
    app.button(key="jobs.prune").click().run()
    assert not failed.folder.exists()
    assert finished.is_done()
    app.button(key=f"jobs.delete.{finished.key}").click().run()
    assert not finished.folder.exists()


def test_a_damaged_folder_does_not_take_the_lists_away(visit, store):
    good = done(store)
    bad = done(store, spec(seed=1))
    (bad.folder / "spec.json").write_text("{")
    (bad.folder / "result.json").write_text("{")
    for page in PAGES:
        visit(page)
    assert "Run" in text(visit("3_Run.py"))
    assert f"run.open.{good.key}" in {b.key for b in visit("3_Run.py").button}


def test_jobs_name_damaged_folders_and_offer_what_helps(visit, store):
    lacking, unknown = done(store), done(store, spec(seed=1))
    (lacking.folder / "result.json").unlink()
    (unknown.folder / "spec.json").write_text("[1]")
    app = visit("9_Jobs.py")
    assert "Damaged (2)" in [h.value for h in app.header]
    keys = {b.key for b in app.button}
    assert f"jobs.recompute.{lacking.key}" in keys
    assert f"jobs.recompute.{unknown.key}" not in keys
    app.button(key=f"jobs.delete.{unknown.key}").click().run()
    assert not unknown.folder.exists()
    app.button(key=f"jobs.recompute.{lacking.key}").click().run()
    assert not app.exception and lacking.status()["state"] == "queued"


def test_the_panel_of_a_damaged_task_offers_what_helps(visit, store):
    run = done(store)
    (run.folder / "set.safetensors").write_bytes(b"")
    app = visit("3_Run.py", run=run.key)
    assert "set.safetensors" in text(app)
    again = app.button(key="run.resume")
    assert again.label == "Compute it again"
    again.click().run()
    assert not app.exception and run.status()["state"] == "queued"
    lost = put(store, spec(seed=1), "failed", message="It broke.")
    (lost.folder / "status.json").write_text("[]")
    app = visit("9_Jobs.py")
    assert f"jobs.recompute.{lost.key}" in {b.key for b in app.button}


def test_data_opens_a_set_read_before_by_its_key(visit, store, tmp_path):
    from PIL import Image

    from ddcore.data import dataset_task, resolve
    from ddcore.tasks.worker import run_task

    for name in ("cat", "dog"):
        folder = tmp_path / "pets" / name
        folder.mkdir(parents=True)
        for i in range(20):
            Image.new("RGB", (8, 8), (i * 10, 80, 200)).save(folder / f"{i}.png")
    wanted = dataset_task(resolve(str(tmp_path / "pets"), resolution=8))
    task = store.create(wanted)
    run_task(store, task, wanted, "cpu")
    assert "Classes 2" in text(visit("1_Data.py", data=task.key))
    shown = text(visit("2_Distil.py", data=task.key, method="dm"))
    assert f"--dataset {tmp_path / 'pets'} --resolution 8" in shown


def test_resuming_a_run_queues_its_evaluation_again(visit, store):
    task = put(store, spec(), "cancelled", message="Stopped on request.")
    follow = put(store, default_evaluation(task.key, task.spec()), "cancelled")
    visit("3_Run.py", run=task.key).button(key="run.resume").click().run()
    assert task.status()["state"] == follow.status()["state"] == "queued"
