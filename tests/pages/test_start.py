"""The Start page: which set it opens on, that it plays it, the numbers beside it, the doors."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from ddcore.data.spec import DataSpec, dataset_task
from ddcore.distil.settings import make_spec
from ddcore.measure.spec import default_evaluation
from ddcore.sets import render
from ddcore.tasks.store import Store, Task
from ddcore.tasks.worker import Context, run_task
from pages.components import evolution, film, first_run, permissions, runs, sheet
from tests.pages.fakes import SHAPE, done, evaluated, images, put, spec, text

SHAPES = {"digits": SHAPE, "mnist": (1, 28, 28), "cifar10": (3, 32, 32)}


def shipped(store: Store, data: str = "digits", method: str = "dm", **changes: object) -> Task:
    """A finished run in the gallery."""
    shape = SHAPES[data]
    source = "bundled" if data == "digits" else "torchvision"
    run = make_spec(method, DataSpec(name=data, source=source), shape, **changes)
    count = 10 * run.ipc
    made = {"images": images(count=count, shape=shape), "labels": np.arange(10).repeat(run.ipc)}
    return done(Store(store.gallery, gallery=None), run, **made)


def without_film(task: Task) -> Task:
    """The same without earlier images."""
    for path in (task.folder / "snapshots").glob("*"):
        path.unlink()
    task.finish()
    return task


def css(app) -> str:
    """The style sheets and the words that are drawn as HTML."""
    return "\n".join(e.proto.body for e in app.get("html"))


# --- which set ------------------------------------------------------------------------------------


def test_opens_on_the_largest_images_that_are_shipped(visit, store):
    for data, title in (
        ("digits", "1,297 real images → 10 synthetic ones"),
        ("mnist", "60,000 real images → 10 synthetic ones"),
        ("cifar10", "50,000 real images → 10 synthetic ones"),
    ):
        shipped(store, data)
        assert visit().title[0].value == title


def test_a_set_that_cannot_be_played_does_not_come_first(store):
    digits = shipped(store)
    without_film(shipped(store, "cifar10"))
    assert runs.featured(store).key == digits.key


def test_shipped_sets_come_before_own_ones_and_the_papers_methods_before_others(store):
    own = done(store, spec(seed=5))
    assert runs.featured(store).key == own.key
    other = shipped(store, "cifar10", "dsa")
    assert runs.featured(store).key == other.key
    paper = shipped(store, "digits", "dc")
    assert runs.featured(store).key == paper.key


def test_ten_per_class_is_preferred_and_the_first_seed(store):
    shipped(store, ipc=1)
    shipped(store, ipc=10, seed=1)
    first = shipped(store, ipc=10, seed=0)
    shipped(store, ipc=50)
    assert runs.featured(store).key == first.key


# --- the film -------------------------------------------------------------------------------------


def test_every_frame_is_the_images_pixel_for_pixel(store):
    task = shipped(store, "cifar10", ipc=10)
    movie = evolution.of(task)
    shown = film.of(movie)
    picture = np.asarray(Image.open(io.BytesIO(shown.sprite)).convert("RGB"))
    assert picture.shape[:2] == (2 * shown.height, shown.width)
    grid = render.layout(film.ROWS, 10, 32, 32, 1, film.GAP)
    for frame, pixels in enumerate((task.snapshot(0)["pixels"], movie.made.pixels())):
        whole = picture[frame * shown.height :][: shown.height]
        expected = np.rint(np.clip(pixels.astype(np.float32), 0, 1) * 255).astype(np.uint8)
        for place, (left, top, right, bottom) in enumerate(grid.boxes):
            slot, label = divmod(place, 10)
            image = np.moveaxis(expected[10 * label + slot], 0, -1)
            np.testing.assert_array_equal(whole[top:bottom, left:right], image)


def test_real_images_stand_above_every_frame_pixel_for_pixel(store):
    task = shipped(store, "cifar10", ipc=10)
    movie, real = evolution.of(task), images(seed=7, count=10, shape=SHAPES["cifar10"]).clip(0, 1)
    shown, alone = film.of(movie, real), film.of(movie)
    assert shown.real and not alone.real
    assert shown.places.shape == (film.ROWS - 1, 10), "the page is as high as without them"
    picture = np.asarray(Image.open(io.BytesIO(shown.sprite)).convert("RGB"))
    expected = np.rint(real * 255).astype(np.uint8)
    row = render.layout(1, 10, 32, 32, 1, film.GAP)
    for frame in range(2):
        top_row = picture[frame * shown.height :]
        for image, (left, top, right, bottom) in zip(expected, row.boxes):
            np.testing.assert_array_equal(
                top_row[top:bottom, left:right], np.moveaxis(image, 0, -1)
            )
    assert "Above, a real image of each class" in film.alt(shown)
    assert "Above" not in film.alt(alone)


def test_real_images_are_there_once_the_dataset_has_been_read(visit, store):
    shipped(store)
    assert "Top row: real images" not in css(visit())
    wanted = dataset_task(DataSpec())
    run_task(store, store.create(wanted), wanted, "cpu")
    assert "Top row: real images" in css(visit())


def test_plays_from_the_start_to_the_kept_images_in_at_most_twelve_frames(store):
    movie = evolution.of(shipped(store, ipc=10))
    longer = dataclasses.replace(movie, steps=tuple(range(0, 41)))
    assert film.chosen(longer) == tuple(evolution.film(tuple(range(0, 21)), film.FRAMES))
    assert film.chosen(longer)[0] == 0 and film.chosen(longer)[-1] == movie.kept == 20
    assert len(film.chosen(longer)) == film.FRAMES
    assert film.WAIT_S + film.FRAMES * film.FRAME_S < 5  # what moves longer needs a pause button
    kept_first = dataclasses.replace(movie, steps=(20, 40))
    assert film.chosen(kept_first) == (20, 40)


def test_many_classes_are_shown_by_their_first_images():
    rows = np.arange(300).reshape(100, 3)
    places = film.arranged(rows)
    assert places.shape == (film.ROWS, sheet.WIDE)
    np.testing.assert_array_equal(places.ravel(), rows[:, 0])
    assert film.arranged(rows[:30]).size == sheet.WIDE
    np.testing.assert_array_equal(film.arranged(rows[:10]), rows[:10].T)


def test_plays_once_unless_less_motion_is_asked_for(visit, store):
    shipped(store, ipc=10)
    app = visit()
    assert "animation: film-0 " in css(app) and "prefers-reduced-motion: reduce" in css(app)
    app.button(key="film.play").click().run()
    assert not app.exception
    assert "animation: film-1 " in css(app)
    assert "prefers-reduced-motion" not in css(app), "whoever presses the button asks for motion"


def test_the_slider_stops_it_at_an_iteration(visit, store):
    shipped(store, ipc=10)
    app = visit()
    app.select_slider(key="film.step").set_value(0).run()
    assert not app.exception and "".join(app.query_params["step"]) == "0"
    assert "animation: film" not in css(app) and "object-position: 0 0.0000%" in css(app)
    assert app.image[0].proto.imgs[0].alt.startswith("Distilled images at iteration 0, 5 of each")
    app.button(key="film.play").click().run()
    assert "step" not in app.query_params and "animation: film-1 " in css(app)


@pytest.mark.parametrize("step", ["7", "x", "<b>", "-1"])
def test_a_step_that_is_none_is_ignored(visit, store, step):
    shipped(store, ipc=10)
    assert "animation: film-0 " in css(visit(step=step))


def test_a_set_without_earlier_images_is_shown_at_rest(visit, store):
    without_film(shipped(store))
    app = visit()
    assert "animation: film" not in css(app) and not app.select_slider
    assert "film.play" not in {b.key for b in app.button}
    assert len(app.image) == 1


def test_hostile_class_names_are_text(visit, store):
    names = ("<img src=x onerror=alert(1)>", *"123456789")
    done(store, class_names=names)
    shown = css(visit())
    assert "<img src=x" not in shown and "&#60;img src=x onerror=alert(1)&#62;" in shown


# --- numbers --------------------------------------------------------------------------------------


def test_three_numbers_with_their_spread_and_n(visit, store):
    task = done(store)
    evaluated(store, task.spec())
    shown = text(visit())
    for figure in ("Distilled 81.2 ± 2.0 %", "Random real images 63.4", "Class means 79.9"):
        assert figure in shown
    assert "n = 2 networks" in shown


def test_the_runs_own_evaluation_is_preferred(visit, store):
    task = done(store)
    other = default_evaluation(task.key, task.spec(), nets=3)
    folder = store.create(other)
    row = {"subject": "distilled", "arch": "x", "mean": 0.5, "std": 0.0, "n": 3}
    Context(store, folder, other, "cpu").save_result(
        {"rows": [row], "protocol": other.protocol.to_dict()}
    )
    folder.finish()
    assert "Distilled 50.0" in text(visit())
    evaluated(store, task.spec())
    assert "Distilled 81.2" in text(visit())


# --- doors ----------------------------------------------------------------------------------------


def test_four_doors(visit, store):
    shipped(store)
    app = visit()
    main = {e.proto.label: e.proto.page for e in app.main.get("page_link")}
    assert main == {"Explore": "Images", "Open a set": "Open", "Teach": ""}
    assert "Watch it happen" in [b.label for b in app.button]


def test_watch_it_happen_starts_a_run_and_its_evaluation(visit, store):
    app = visit()
    app.button(key="start.watch").click().run()
    assert not app.exception
    (task,) = store.tasks("distill")
    run = task.spec()
    assert (run.data.name, run.ipc, run.init) == ("digits", 1, "noise")
    assert task.status()["state"] == "queued"
    assert store.task(default_evaluation(run.key, run)).status()["state"] == "queued"
    assert "You may close this tab" in text(app)


def test_watch_it_happen_joins_what_goes_on(store, alive):
    first = first_run.spec(store)
    assert first.seed == 0
    alive(put(store, first, "running", step=1, total=300))
    assert first_run.spec(store) == first


def test_watch_it_happen_repeats_nothing_that_is_over(store):
    done(store, first_run.spec(store))
    put(store, first_run.spec(store), "cancelled")
    assert first_run.spec(store).seed == 2


def test_those_who_may_only_look_cannot_start_it(visit, store, monkeypatch):
    monkeypatch.setenv(permissions.VISITORS, "1")
    shipped(store)
    assert visit().button(key="start.watch").disabled
