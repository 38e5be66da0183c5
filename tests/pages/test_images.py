"""The Images page: in every state, from links, and the numbers it states."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from analysis.single.nearest import NearestTask
from ddcore.base.texts import percent
from ddcore.sets import exports
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.worker import run_task
from pages.components import (
    drawer,
    evolution,
    images_views,
    magnified,
    nearest_views,
    orders,
    player,
    stored_views,
)
from tests.pages.fakes import CLASSES, SHAPE, done, images, put, sheets, snapshots, spec, text
from tests.test_benchmarks import cifar

PAGE = "4_Images.py"


def in_link(app, name: str) -> str:
    """A query parameter of the page's address."""
    return "".join(app.query_params[name])


def labels(app) -> list[str]:
    """What can be clicked or downloaded."""
    return [b.label for b in app.button] + [b.label for b in app.get("download_button")]


def nearest_done(store, run):
    """The finished nearest task of a run."""
    wanted = NearestTask(run_key=run.key)
    task = store.create(wanted)
    run_task(store, task, wanted, "cpu")
    return task


def test_benchmarks_are_offered_where_a_set_can_take_part(visit, store):
    offered = labels(visit(PAGE, run=done(store).key))
    assert "ImageFolder" in offered and "DD-Ranking" not in offered and "ECCV 2024" not in offered
    assert list(evolution.formats(cifar()))[-1] == "dd-ranking"
    assert list(evolution.formats(cifar("cifar100", ipc=10)))[-2:] == ["dd-ranking", "eccv-2024"]
    made = cifar()
    assert evolution.file_name(made, "dd-ranking") == exports.export_bytes(made, "dd-ranking")[1]


# --- states ---------------------------------------------------------------------------------------


def test_empty_says_what_to_do(visit):
    shown = text(visit(PAGE))
    assert "no finished run yet" in shown
    assert "What did it make?" in shown


@pytest.mark.parametrize("run", ["../../etc/passwd", "0123456789abcdef", "<b>x</b>"])
def test_a_bad_run_in_the_link(visit, run):
    visit(PAGE, run=run, step="x", img="<b>", scale="<i>")


def test_finished_shows_the_kept_set(visit, store):
    task = done(store)
    app = visit(PAGE, run=task.key)
    assert app.select_slider[0].value == 20
    assert "Play" in labels(app)
    made = DistilledSet.from_task(task)
    assert f"{percent(made.clipped_share())} of the values lie outside 0..1" in text(app)
    assert set(sheets(app)) == {"images.sheet"}
    assert not app.get("plotly_chart")  # 4.7 MB that nothing here needs
    assert {"npz", "pt", "safetensors", "Hugging Face", "PNG"} <= set(labels(app))
    assert f'load("{exports.export_bytes(made, "npz")[1]}")' in text(app)


def test_running_shows_snapshots_without_files(visit, store, alive):
    task = put(store, spec(), "running", step=20, total=40)
    snapshots(task)
    alive(task)
    app = visit(PAGE, run=task.key)
    shown = text(app)
    assert "still goes on" in shown
    assert not app.select_slider  # the newest images are followed
    assert "newest images are of iteration 20" in shown
    assert "running" in app.selectbox[0].options[0]
    assert "Take them with you" not in shown
    assert set(sheets(app)) == {"images.sheet"}


def test_running_has_the_slider_when_the_newest_is_not_followed(visit, store, alive):
    task = put(store, spec(), "running", step=20, total=40)
    snapshots(task)
    alive(task)
    app = visit(PAGE, run=task.key)
    app.toggle(key="images.follow").set_value(False).run()
    assert in_link(app, "step") == "20"
    app.select_slider[0].set_value(0).run()
    assert in_link(app, "step") == "0"
    app.toggle(key="images.follow").set_value(True).run()
    assert not app.exception
    assert "step" not in app.query_params
    assert not app.select_slider


def test_running_with_one_snapshot_has_no_slider(visit, store, alive):
    task = put(store, spec(), "running", step=1, total=40)
    snapshots(task)
    (task.folder / "snapshots" / "0000020.safetensors").unlink()
    alive(task)
    app = visit(PAGE, run=task.key)
    assert not app.select_slider
    assert "The slider appears with the next one" in text(app)


def test_finished_without_snapshots_promises_none(visit, store):
    """As shipped runs on larger pictures than digits."""
    task = done(store)
    for path in (task.folder / "snapshots").glob("*"):
        path.unlink()
    task.finish()
    app = visit(PAGE, run=task.key)
    assert not app.select_slider and "No earlier images of this run are kept" in text(app)


def test_queued_leads_to_its_progress(visit, store):
    done(store, spec(seed=1))
    task = put(store, spec(), "queued")
    assert "nothing to show of it yet" in text(visit(PAGE, run=task.key))


def test_a_stopped_run_can_be_looked_at(visit, store):
    task = put(store, spec(), "cancelled", message="Stopped on request.")
    snapshots(task)
    app = visit(PAGE, run=task.key)
    assert "cancelled" in app.selectbox[0].options[0]
    assert set(sheets(app)) == {"images.sheet"}


# --- the slider -----------------------------------------------------------------------------------


def test_the_link_says_the_step_and_the_scale(visit, store):
    task = done(store)
    app = visit(PAGE, run=task.key, step="0", scale="minmax")
    assert app.select_slider[0].value == 0
    shown = text(app)
    pixels = task.snapshot(0)["pixels"].astype(np.float32)
    assert f"{percent(evolution.outside(pixels))} of the values lie outside 0..1." in shown
    assert "each image from its smallest value" in shown


def test_moving_the_slider_changes_the_link(visit, store):
    app = visit(PAGE, run=done(store).key)
    app.select_slider[0].set_value(0).run()
    assert not app.exception
    assert in_link(app, "step") == "0"


def test_start_beside(visit, store):
    app = visit(PAGE, run=done(store).key, start="true")
    assert [s.value for s in app.header][:2] == ["Start", "Iteration 20 (kept)"]
    assert set(sheets(app)) == {"images.first", "images.sheet"}


def test_play_starts_over_goes_on_and_stops(visit, store, monkeypatch):
    monkeypatch.setattr(player, "TICK_S", 1e6)  # however slow this machine is
    app = visit(PAGE, run=done(store).key)
    app.button(key="images.play").click().run()
    assert in_link(app, "step") == "0"
    assert "Pause" in labels(app)
    for _ in range(2):  # to the last iteration, then the end
        app.session_state[player.TICKED] = -1e9
        app.run()
        assert not app.exception
        assert in_link(app, "step") == "20"
    assert "Play" in labels(app)


# --- one image ------------------------------------------------------------------------------------


def test_the_link_opens_the_drawer(visit, store):
    app = visit(PAGE, run=done(store).key, img="digits-3-00")
    assert "`digits-3-00`" in text(app)
    assert sheets(app)["images.sheet"]["selected"] == [3]
    app.button(key="images.Next").click().run()
    assert in_link(app, "img") == "digits-4-00"
    assert "`digits-4-00`" in text(app)
    app.button(key="images.close").click().run()
    assert "img" not in app.query_params
    assert "`digits" not in text(app)


def test_a_pinned_image_stays_in_sight_with_the_difference(visit, store):
    run = done(store)
    app = visit(PAGE, run=run.key, img="digits-3-00")
    app.button(key="images.pin").click().run()
    assert in_link(app, "pin") == "digits-3-00"
    assert "images.pinned" not in sheets(app), "not beside itself"
    app.button(key="images.Next").click().run()
    assert len(sheets(app)["images.pinned"]["words"]) == 3
    pixels = DistilledSet.from_task(run).pixels()
    apart = np.linalg.norm(pixels[4] - pixels[3])
    assert f"{apart:.3f} apart" in text(app)
    app.button(key="images.Previous").click().run()
    app.button(key="images.pin").click().run()
    assert "pin" not in app.query_params


def test_a_pin_that_is_none_is_left_alone(visit, store):
    app = visit(PAGE, run=done(store).key, img="digits-3-00", pin="<b>-0-0")
    assert "images.pinned" not in sheets(app)


def test_the_first_comes_after_the_last(visit, store):
    app = visit(PAGE, run=done(store).key, img="digits-9-00")
    app.button(key="images.Next").click().run()
    assert in_link(app, "img") == "digits-0-00"


def test_the_strip_is_beside_the_iteration_that_is_shown(visit, store):
    app = visit(PAGE, run=done(store).key, img="digits-3-00", step="0")
    film = sheets(app)["images.film"]
    assert film["words"] == ["3 at iteration 0", "3 at iteration 20 (kept)"]
    assert film["selected"] == [0]


@pytest.mark.parametrize(
    "text",
    ["", "digits-10-00", "digits-1-05", "mnist-1-00", "digits--1-00", "digits-1-²", "-" * 999],
)
def test_other_image_ids_mean_none(text):
    assert evolution.parse_image_id(text, "digits", 10, 5) is None


def test_image_ids_survive_the_link():
    for dataset in ("digits", "my-own-pets"):
        name = evolution.image_id(dataset, 12, 345)
        assert evolution.parse_image_id(name, dataset, 100, 500) == (12, 345)


def test_the_enlarged_image_knows_its_exact_values(monkeypatch):
    monkeypatch.setattr("pages.components.grid.address", lambda content, place: place)
    for shape in ((1, 8, 8), (3, 28, 20)):
        pixels = np.random.default_rng(0).normal(0.5, 0.5, shape).astype(np.float32)
        told = magnified.describe(pixels, "one", "clip")
        assert (told["height"], told["width"]) == shape[1:]
        np.testing.assert_allclose(told["values"][2 * shape[2] + 1], pixels[:, 2, 1], atol=5e-5)


def test_facts_name_step_and_learned_step_sizes(store):
    task = done(store)
    movie = evolution.of(task)
    made = dataclasses.replace(movie.made, steps=2, lrs=np.array([0.1, 0.2, 0.3, 0.4], np.float32))
    movie = dataclasses.replace(movie, made=made)
    shown = drawer.facts(movie, made.pixels()[7], 7, (7, 0), "digits-7-00")
    assert "| Used in step | 2 of 2 |" in shown
    assert "0.2, 0.4" in shown


def test_a_step_size_that_all_steps_share_is_one_number(store):
    task = done(store, lrs=np.full(15, 0.25, np.float32))
    movie = evolution.of(task)
    shown = drawer.facts(movie, movie.pixels(20)[0], 0, (0, 0), "digits-0-00")
    assert "| Learned step size | 0.25 |" in shown
    assert "Beside them: 1 step size." in stored_views.budget(movie.made)


# --- nearest real images --------------------------------------------------------------------------


def test_nearest_is_offered_and_queued(visit, store):
    task = done(store)
    app = visit(PAGE, run=task.key)
    assert "not computed yet" in text(app)
    app.button(key="images.nearest.task.start").click().run()
    assert not app.exception
    assert store.task(NearestTask(run_key=task.key)).status()["state"] == "queued"


@pytest.mark.parametrize("query", [{"img": "digits-3-00"}, {"order": "nearest"}])
def test_nearest_is_computed_unasked_where_it_is_wanted_and_quick(visit, store, query):
    task = done(store)
    visit(PAGE, run=task.key, **query)
    assert store.task(NearestTask(run_key=task.key)).status()["state"] == "queued"


def test_nothing_is_computed_unasked_for_visitors_or_where_it_is_slow(visit, store, monkeypatch):
    task = done(store)
    wanted = store.task(NearestTask(run_key=task.key))
    monkeypatch.setenv("DD_VISITORS", "1")
    visit(PAGE, run=task.key, img="digits-3-00")
    assert wanted.status()["state"] == "missing"
    monkeypatch.delenv("DD_VISITORS")
    monkeypatch.setattr(nearest_views, "QUICK_S", 1.0)
    visit(PAGE, run=task.key, img="digits-3-00")
    assert wanted.status()["state"] == "missing"


def test_nearest_shows_distances_and_what_they_say(visit, store):
    task = done(store)
    found = nearest_done(store, task)
    app = visit(PAGE, run=task.key, img="digits-4-00")
    shown = text(app)
    assert len(sheets(app)["images.nearest"]["words"]) == 6
    assert "**No copy:** all 130 held-out real images are nearer" in shown
    assert f"| {found.arrays()['distances'][4, 0]:.3f} |" in shown
    assert "of 1,167 training images" in shown
    assert "Find them" not in labels(app)


def test_verdict_on_copies_and_close_images(store):
    result = {"held_out_images": 130}
    arrays = nearest_done(store, done(store)).arrays()
    from analysis.single.nearest import of_image

    far = of_image(arrays, 0)
    copy = dataclasses.replace(far, distances=np.zeros(5), held_out_farther=1.0)
    close = dataclasses.replace(far, held_out_farther=0.75)
    assert "A copy" in nearest_views.verdict(copy, result)
    assert "nearer to a training image than 75 % of 130" in nearest_views.verdict(close, result)


# --- what is stored -------------------------------------------------------------------------------


def test_the_budget_is_stated(visit, store):
    shown = text(visit(PAGE, run=done(store).key))
    assert (
        "**640 numbers** are stored for the images; networks see **10 images**, 1 of each" in shown
    )
    assert "What is stored" not in shown


def canvases(seed: int = 0) -> np.ndarray:
    """A canvas of 16 x 16 for each class."""
    return np.random.default_rng(seed).normal(size=(10, 1, 16, 16)).astype(np.float32)


def stored_done(store, parametrization: str, stored: dict, per_class: int = 2):
    """A run whose images are decoded from something else."""
    given = [("parametrization", parametrization)]
    return done(
        store,
        spec(ipc=4, settings=given),
        images=images(1, 10 * per_class),
        labels=np.repeat(np.arange(10), per_class),
        parametrization=parametrization,
        stored=stored,
    )


def test_a_canvas_is_repeated_and_its_seam_measured(visit, store):
    from analysis.single.seam import seam

    task = stored_done(store, "canvas", {"canvas": canvases()})
    app = visit(PAGE, run=task.key, img="digits-3-01")
    shown = text(app)
    assert (
        "**2,560 numbers** are stored for the images, as many as 4 plain images per class" in shown
    )
    assert "networks see **20 images**, 2 of each class" in shown
    assert "**The canvas of 3, 3 × 3 times**" in shown
    whole = seam(DistilledSet.from_task(task).preprocess.inverse(canvases()))
    own = seam(DistilledSet.from_task(task).preprocess.inverse(canvases()[3:4]))
    assert f"a ratio of **{own.ratio:.2f}**, over all canvases {whole.ratio:.2f}" in shown
    assert len(app.image) == 2  # the canvas, its windows


def test_a_canvas_repeats_in_both_directions():
    one = canvases()[:1]
    whole = stored_views.tiled(one)
    assert whole.shape == (1, 1, 48, 48)
    for y in range(3):
        for x in range(3):
            part = whole[:, :, 16 * y : 16 * y + 16, 16 * x : 16 * x + 16]
            np.testing.assert_array_equal(part, one)


def test_tiles_are_shown_beside_what_they_become(visit, store):
    pictures = np.random.default_rng(0).normal(size=(10, *SHAPE)).astype(np.float32)
    task = stored_done(store, "tiles", {"images": pictures}, per_class=4)
    shown = text(visit(PAGE, run=task.key, img="digits-5-00"))
    assert "**Stored for 5: 1 picture**" in shown
    assert "**Decoded for 5: 4 images**" in shown


def test_shared_pictures_belong_to_all_classes(visit, store):
    bases = np.random.default_rng(0).normal(size=(7, 1, 4, 4)).astype(np.float32)
    stored = {"bases": bases, "coefficients": np.ones((20, 7), np.float32)}
    task = stored_done(store, "bases", stored)
    app = visit(PAGE, run=task.key, img="digits-0-00")
    shown = text(app)
    assert "**Stored for all classes: 7 pictures**" in shown
    assert "bases (7 × 1 × 4 × 4), coefficients (20 × 7)" in shown
    assert f"**{7 * 16 + 140} numbers** are stored" in shown


def test_a_running_set_with_more_images_than_its_budget(visit, store, alive):
    task = put(store, spec(ipc=4, settings=[("parametrization", "tiles")]), "running", step=20)
    snapshots(task, 160)
    alive(task)
    app = visit(PAGE, run=task.key)
    assert sheets(app)["images.sheet"]["groups"][0] == ["0", 16]
    assert evolution.of(task).rows.shape == (10, 16)


# --- orders, classes, scales ----------------------------------------------------------------------


def test_most_clipped_first(visit, store):
    task = done(store)
    app = visit(PAGE, run=task.key, order="clipped")
    told = sheets(app)["images.sheet"]
    share = evolution.outside_each(DistilledSet.from_task(task).pixels())
    order = np.argsort(-share, kind="stable")
    assert told["words"][0].startswith(f"{order[0]}, image 1 of 1, ")
    assert told["lines"] == [percent(share[i]) for i in order]


def test_nearest_first(visit, store):
    task = done(store)
    distances = nearest_done(store, task).arrays()["distances"][:, 0]
    told = sheets(visit(PAGE, run=task.key, order="nearest"))["images.sheet"]
    assert told["words"][0].startswith(f"{np.argmin(distances)}, image 1 of 1, ")


def test_worth_is_offered_once_an_analysis_knows_it(visit, store, monkeypatch):
    task = done(store)
    movie = evolution.of(task)
    assert set(orders.offered(movie, store)) == {"class", "clipped", "nearest"}
    monkeypatch.setattr(orders, "influence_of", lambda store, key: task)
    assert "worth" in orders.offered(movie, store)
    assert orders.ranked("worth", np.array([0.1, 0.3, -0.2])).tolist() == [1, 0, 2]
    assert orders.text("worth", -0.2) == "-0.200"


def test_one_class_by_its_pill(visit, store):
    app = visit(PAGE, run=done(store).key, cls="3", order="clipped")
    assert [w[:13] for w in sheets(app)["images.sheet"]["words"]] == ["3, image 1 of"]


def test_a_scale_of_its_own_where_most_is_clipped(visit, store):
    task = done(store, images=images() * 40)
    app = visit(PAGE, run=task.key)
    assert app.selectbox(key="choice.scale").value == "sigma"
    assert images_views.usual_mode(evolution.of(done(store, spec(seed=1)))) == "clip"


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["npz", "safetensors", "hf", "png"])
def test_downloads_are_the_exports(store, format):
    task = done(store)
    made = evolution.made_by(task)
    content, name, _ = exports.export_bytes(made, format)
    assert evolution.export(task, format) == content
    assert evolution.file_name(made, format) == name


def test_the_snippet_runs(visit, store, tmp_path, monkeypatch, capsys):
    task = done(store)
    snippet = next(c.value for c in visit(PAGE, run=task.key).code if "load(" in c.value)
    made = evolution.made_by(task)
    (tmp_path / evolution.file_name(made, "npz")).write_bytes(evolution.export(task, "npz"))
    monkeypatch.chdir(tmp_path)
    exec(snippet, {"pixels": np.zeros((3, *SHAPE), np.float32)})
    assert "tensor([[" in capsys.readouterr().out


# --- small numbers --------------------------------------------------------------------------------


def test_film_is_even_and_keeps_the_ends():
    assert evolution.film((5,)) == [5]
    assert evolution.film((0, 1, 2)) == [0, 1, 2]
    found = evolution.film(tuple(range(37)))
    assert len(found) == 8
    assert (found[0], found[-1]) == (0, 36)


def test_the_kept_iteration_is_exact_and_part_of_the_slider(store):
    task = done(store)
    movie = evolution.of(task)
    assert movie.steps == (0, 20)
    assert movie.kept == movie.newest == 20
    np.testing.assert_array_equal(movie.pixels(20), DistilledSet.from_task(task).pixels())
    np.testing.assert_array_equal(movie.pixels(0), images(0).astype(np.float16))
    assert movie.names == CLASSES
    assert evolution.following(movie.steps, 0) == 20
    assert evolution.following(movie.steps, 20) is None
