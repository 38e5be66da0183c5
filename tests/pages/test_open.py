"""The Open page: every layout, every choice, wrong files; what is opened works on the other pages."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import torch
from torchvision.utils import save_image

from analysis.single.nearest import NearestTask
from ddcore.data.spec import dataset_task
from ddcore.measure.spec import default_evaluation
from ddcore.sets import exports
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.importers import examine, open_file
from ddcore.tasks.worker import run_task
from pages.components import evolution, open_preview, opened_views, runs, sheet
from tests.pages.fakes import FILES, decoded, done, text

PAGE = "6_Open.py"
K = 10
SHAPE = (1, 8, 8)


def pt(value) -> bytes:
    """What torch.save writes."""
    out = io.BytesIO()
    torch.save(value, out)
    return out.getvalue()


def noise(ipc: int = 1, shape: tuple = SHAPE, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised-looking images, class-sorted, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(K * ipc, *shape, generator=generator)
    return images, torch.arange(K).repeat_interleave(ipc)


def dc(ipc: int = 1, experiments: int = 1) -> bytes:
    """A file of the official DC code."""
    return pt({"data": [list(noise(ipc, seed=i)) for i in range(experiments)], "accs_all_exps": {}})


def upload(visit, *files: tuple[str, bytes]):
    """The page after files were chosen."""
    app = visit(PAGE)
    return give(app, *files)


def give(app, *files: tuple[str, bytes]):
    """Choose files in the uploader."""
    app.file_uploader[0].set_value([(n, c, "application/octet-stream") for n, c in files])
    app.run()
    assert not app.exception, app.exception
    return app


def key_of(app, name: str) -> str:
    """The full key of a widget, which begins with a part of its own for each upload."""
    widgets = [*app.selectbox, *app.radio, *app.number_input, *app.text_input]
    return next(w.key for w in widgets if (w.key or "").endswith("." + name))


def labels(app) -> list[str]:
    """Buttons."""
    return [b.label for b in app.button]


def opened(app, store):
    """Press the button and compute the task as a worker would; the page afterwards and the task."""
    app.button(key="open.go").click().run()
    assert not app.exception, app.exception
    task = next(t for t in store.tasks("import") if not t.is_done())
    run_task(store, task, task.spec(), "cpu")
    app.run()
    assert not app.exception, app.exception
    return app, task


# --- states ---------------------------------------------------------------------------------------


def test_empty_says_what_can_be_opened(visit):
    shown = text(visit(PAGE))
    assert "res_DSA_CIFAR10_ConvNet_10ipc.pt" in shown
    assert "images_best.pt and labels_best.pt" in shown
    assert "nothing in them is run" in shown
    assert "Opened before" not in shown


def test_found_is_shown_before_anything_is_kept(visit, store):
    app = upload(visit, ("res_DM_X_ConvNet_2ipc.pt", dc(2)))
    shown = text(app)
    assert "**DC, DSA or DM**" in shown
    assert "Images per class 2" in shown and "Size 8 × 8, grey" in shown
    assert "mean 0.0325" in shown and "lie outside 0..1" in shown
    assert app.selectbox(key=key_of(app, "data")).options == ["Digits"]
    assert app.radio(key=key_of(app, "scale")).value == "normalised"
    assert "ConvNet-2 w16, protocol dsa-digits" in shown
    assert len(app.image) == 1
    assert not list(store.tasks())


def test_opening_leads_on(visit, store):
    app = upload(visit, ("mine.pt", dc(2)))
    app.button(key="open.go").click().run()
    task = next(store.tasks("import"))
    assert task.status()["state"] == "queued"
    assert "Open it" not in labels(app) and "queued" in text(app)
    run_task(store, task, task.spec(), "cpu")
    app.run()
    shown = text(app)
    assert "**It is open.** Opened from mine.pt." in shown
    assert "of 10 classes the mean image" in shown
    assert "File mine.pt on Digits" in shown
    made = DistilledSet.from_task(task)
    assert np.array_equal(made.images, noise(2)[0])
    assert "Opened before" in text(visit(PAGE))


def test_a_failure_is_shown_with_its_sentence(visit, store):
    app = upload(visit, ("mine.pt", dc(2)))
    app.button(key="open.go").click().run()
    task = next(store.tasks("import"))
    task.write_status(state="failed", message="It is not one of Digits.")
    app.run()
    assert not app.exception
    assert "It is not one of Digits." in text(app)
    assert "Start again" in labels(app)


WRONG = {
    "words.txt": (b"These are words.", "is not a file of arrays"),
    "model.pt": (pt(torch.nn.Linear(2, 2).state_dict()), "none of the known layouts"),
    "images_best.pt": (pt(noise()[0]), "give images and labels together"),
    "nan.pt": (pt([noise()[0] / 0, noise()[1]]), "not finite"),
    "uneven.pt": (pt([noise()[0], noise()[1].clamp(max=8)]), "expected the same number of each"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_give_one_sentence(visit, store, name):
    content, words = WRONG[name]
    app = upload(visit, (name, content))
    assert len(app.error) == 1 and words in app.error[0].value
    assert "Open it" not in labels(app)
    assert not list(store.tasks())


def test_no_dataset_fits(visit):
    app = upload(visit, ("mine.pt", pt([*noise(shape=(3, 32, 32))])))
    assert "None of the datasets here has 10 classes" in app.warning[0].value
    assert "32 x 32 pixels, colour" in app.warning[0].value
    assert "Open it" not in labels(app)


def test_digits_of_another_size_can_be_resized(visit, store):
    app = upload(visit, ("data.pt", pt([noise(shape=(1, 16, 16))[0].sigmoid(), noise()[1]])))
    assert app.selectbox(key=key_of(app, "data")).options == ["Digits (16 px)"]
    _, task = opened(app, store)
    assert task.spec().data.resolution == 16
    assert task.result()["shape"] == [1, 16, 16]


# --- choices --------------------------------------------------------------------------------------


def test_the_scale_can_be_overridden(visit, store):
    app = upload(visit, ("mine.npz", npz(noise()[0].sigmoid().numpy())))
    radio = app.radio(key=key_of(app, "scale"))
    assert radio.value == "unit" and "Pixels from 0 to 1 (fits best)" in radio.options
    radio.set_value("signed").run()
    assert not app.exception
    _, task = opened(app, store)
    assert task.spec().scale == "signed"
    expected = (noise()[0].sigmoid().numpy() + 1) / 2
    np.testing.assert_allclose(DistilledSet.from_task(task).pixels(), expected, atol=1e-5)


def npz(images: np.ndarray) -> bytes:
    """Images and labels."""
    out = io.BytesIO()
    np.savez(out, images=images, labels=np.arange(len(images)) * K // len(images))
    return out.getvalue()


def test_other_constants_can_be_typed(visit, store):
    app = upload(visit, ("mine.pt", dc()))
    app.text_input(key=key_of(app, "mean")).set_value("0.25").run()
    assert "as many values as mean has" in app.error[0].value
    app.text_input(key=key_of(app, "std")).set_value("one half").run()
    assert "expected numbers such as" in app.error[0].value
    app.text_input(key=key_of(app, "std")).set_value("0.5").run()
    _, task = opened(app, store)
    assert (task.spec().mean, task.spec().std) == ((0.25,), (0.5,))


def test_network_and_protocol_can_be_chosen(visit, store):
    app = upload(visit, ("mine.pt", dc()))
    assert "native-2018" not in app.selectbox(key=key_of(app, "protocol")).options
    assert "LeNet" not in app.selectbox(key=key_of(app, "arch")).options  # needs larger images
    app.selectbox(key=key_of(app, "protocol")).set_value("quick").run()
    app.number_input(key=key_of(app, "convnet.width")).set_value(8).run()
    assert "ConvNet-2 w8, protocol quick" in text(app)
    app.selectbox(key=key_of(app, "arch")).set_value("mlp").run()
    assert "MLP-2 w128, protocol quick" in text(app)
    assert not app.exception
    _, task = opened(app, store)
    assert (task.spec().net.arch, task.spec().protocol.name) == ("mlp", "quick")


def test_experiments_are_read_one_at_a_time(visit, store):
    app = upload(visit, ("mine.pt", dc(experiments=3)))
    choice = app.selectbox(key=key_of(app, "experiment"))
    assert choice.options == ["1 of 3", "2 of 3", "3 of 3"]
    choice.set_value(2).run()
    _, task = opened(app, store)
    assert task.spec().experiment == 2
    assert np.array_equal(DistilledSet.from_task(task).images, noise(seed=2)[0])


def test_mtt_scores_and_the_step_size(visit, store):
    images, hard = noise(2)
    scores = 4 * torch.eye(K)[hard] - 1
    files = (("images_best.pt", pt(images)), ("labels_best.pt", pt(scores)))
    app = upload(visit, *files)
    assert "soft (scores)" in text(app)
    assert app.selectbox(key=key_of(app, "labels")).value == "softmax"
    app.number_input(key=key_of(app, "lr")).set_value(0.03).run()
    _, task = opened(app, store)
    made = DistilledSet.from_task(task)
    assert made.lrs.tolist() == [np.float32(0.03)]
    np.testing.assert_allclose(made.labels, scores.softmax(1), rtol=1e-5)
    with_lr = upload(visit, *files, ("lr_best.pt", pt(0.05)))
    assert "Learned step size 0.05" in text(with_lr)
    assert not any((w.key or "").endswith(".lr") for w in with_lr.number_input)


def test_tiles_of_idc(visit, store):
    app = upload(visit, ("data.pt", pt([noise()[0].sigmoid(), noise()[1]])))
    tiles = app.selectbox(key=key_of(app, "tiles"))
    assert tiles.value == 1
    tiles.set_value(2).run()
    _, task = opened(app, store)
    assert DistilledSet.from_task(task).ipc == 4 and task.spec().ipc == 1


def test_whitened_images_are_shown_stretched_before(visit, store):
    decoded(store)
    app = upload(visit, ("mine.pt", dc()))
    app.radio(key=key_of(app, "scale")).set_value("zca").run()
    assert "Colours come right once whitening is known" in text(app)
    assert "The first time this takes some minutes" in text(app)
    _, task = opened(app, store)
    assert DistilledSet.from_task(task).preprocess.whitens


def test_a_second_upload_starts_from_its_own_suggestions(visit):
    app = upload(visit, ("mine.pt", dc()))
    app.radio(key=key_of(app, "scale")).set_value("byte").run()
    give(app, ("other.npz", npz(noise()[0].sigmoid().numpy())))
    assert app.radio(key=key_of(app, "scale")).value == "unit"


def test_own_exports_need_no_choice_of_scale(visit, store):
    run = done(store)
    decoded(store)
    made = DistilledSet.from_task(run)
    content, name, _ = exports.export_bytes(made, "safetensors")
    app = upload(visit, (name, content))
    assert "**Exported by this program**" in text(app) and not app.radio
    _, task = opened(app, store)
    np.testing.assert_allclose(DistilledSet.from_task(task).pixels(), made.pixels(), atol=1e-5)
    assert runs.featured(store).key == run.key  # a run of ours comes first on Start


def test_dd2018_tells_its_steps(visit, store):
    steps = [(*noise(seed=s), torch.tensor([0.1])) for s in (0, 1, 2, 0, 1, 2)]
    app = upload(visit, ("results.pth", pt(steps)))
    assert "3 steps of 10 images, in 2 passes, with learned step sizes 0.1" in text(app)
    assert "one known initialisation" in app.info[0].value
    _, task = opened(app, store)
    assert task.spec().protocol.ordered and DistilledSet.from_task(task).steps == 3


# --- pictures -------------------------------------------------------------------------------------


def contact_sheet(pixels: np.ndarray, **options) -> bytes:
    """What torchvision's `save_image` writes."""
    out = io.BytesIO()
    save_image(torch.from_numpy(np.ascontiguousarray(pixels)), out, format="png", **options)
    return out.getvalue()


def means(store) -> np.ndarray:
    """The mean image of each class of the digits, (10, 1, 8, 8)."""
    from ddcore.data import load
    from ddcore.data.spec import DataSpec

    decoded(store)
    data = load(store, DataSpec())
    return np.stack([data.train_images[data.train_labels == c].mean(0) / 255 for c in range(K)])


def test_a_sheet_is_cut_up_and_its_classes_found(visit, store):
    pixels = means(store).astype(np.float32)[[3, 1, 2, 0, 4, 5, 6, 7, 9, 8]].repeat(3, 0)
    app = upload(visit, ("vis_DM_x.png", contact_sheet(pixels)))
    shown = text(app)
    assert "30 images of 8 x 8 pixels, 8 in a row, 2 pixels apart" in shown
    assert "class after class, in 3, 1, 2, 0, 4, 5, 6, 7, 9, 8" in shown and "0.01 %" in shown
    assert app.radio(key=key_of(app, "scale")).value == "byte" and len(app.image) == 1
    app, task = opened(app, store)
    assert "Images lie class after class" in text(app)
    assert "dm, from a file (Pictures)" in text(visit("3_Run.py", run=task.key))
    made = DistilledSet.from_task(task)
    expected = (pixels[9:12] * 255 + 0.5).astype(np.uint8)
    np.testing.assert_allclose(made.pixels()[:3] * 255, expected, atol=1e-3)
    assert task.spec().method == "dm" and task.result()["files"] == ["vis_DM_x.png"]


def test_an_order_that_cannot_be_told_is_asked_for(visit, store):
    decoded(store)
    x = np.random.default_rng(0).random((20, 1, 8, 8), np.float32)
    app = upload(visit, ("![x](http://a.example/b).png", contact_sheet(x)))
    assert "cannot be told" in app.warning[0].value and len(app.image) == 1
    assert "Open it" not in labels(app)
    app.text_input(key=key_of(app, "classes")).set_value("1, 0, 2").run()
    app.selectbox(key=key_of(app, "order")).set_value("turns").run()
    assert "must name each of 0 to 9 once" in app.error[0].value
    app.text_input(key=key_of(app, "classes")).set_value("1, 0, 2, 3, 4, 5, 6, 7, 8, 9").run()
    assert "![x]" not in text(app)
    _, task = opened(app, store)
    made = DistilledSet.from_task(task)
    for place, row in ((0, 1), (10, 1)):  # the first image of each turn is of class 1
        expected = (x[place, 0] * 255 + 0.5).astype(np.uint8)
        found = made.pixels()[made.hard_labels == row] * 255
        assert min(np.abs(f - expected).max() for f in found[:, 0]) < 1e-2


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([("a.png", b"\x89PNG\r\n\x1a\n" + bytes(99))], "cut off or damaged"),
        ([("a.jpg", b"\xff\xd8\xff" + bytes(99))], "JPEG picture"),
        ([("a.png", contact_sheet(np.ones((5, 1, 7, 7))))] * 2, "expected one contact sheet"),
        ([("a.png", contact_sheet(np.eye(7)[None, None].repeat(10, 0)))], "not a regular grid"),
    ],
)
def test_wrong_pictures_give_one_sentence(visit, store, files, words):
    decoded(store)
    app = upload(visit, *files)
    assert len(app.error) == 1 and words in app.error[0].value
    assert "Open it" not in labels(app)


def test_a_dataset_is_read_before_pictures_are(visit, store):
    app = upload(visit, ("a.png", contact_sheet(np.ones((10, 1, 8, 8)))))
    assert not app.error and "Read the dataset" in labels(app)


def test_the_method_can_be_stated(visit, store):
    app = upload(visit, ("mine.pt", dc()))
    app.text_input(key=key_of(app, "method")).set_value("a b").run()
    assert "a short name such as dsa" in app.error[0].value
    app.text_input(key=key_of(app, "method")).set_value("DATM").run()
    _, task = opened(app, store)
    assert task.spec().method == "datm"
    assert "datm, from a file" in text(visit("3_Run.py", run=task.key))


def test_a_pair_of_tensors_is_of_unknown_method(visit, store):
    images, hard = noise(2)
    app = upload(visit, ("images.pt", pt(images)), ("labels.pt", pt(hard)))
    assert app.text_input(key=key_of(app, "method")).value == ""
    _, task = opened(app, store)
    assert task.spec().protocol.name == "quick"
    assert "method unknown, from a file" in text(visit("3_Run.py", run=task.key))


# --- what was opened, on the other pages ------------------------------------------------------------


@pytest.fixture
def imported_set(visit, store):
    """The finished task of an opened file."""
    return opened(upload(visit, ("res_DM_X_ConvNet_2ipc.pt", dc(2))), store)[1]


@pytest.mark.slow
@pytest.mark.parametrize("page", FILES)
def test_every_page_takes_it(visit, imported_set, page):
    visit(page, run=imported_set.key)


def test_images(visit, store, imported_set):
    wanted = NearestTask(run_key=imported_set.key)
    task = store.create(wanted)
    run_task(store, task, wanted, "cpu")
    app = visit("4_Images.py", run=imported_set.key, img="digits-3-01")
    shown = text(app)
    assert "File res_DM_X_ConvNet_2ipc.pt on Digits" in "".join(app.selectbox[0].options)
    assert "holds no earlier images" in shown and "`digits-3-01`" in shown
    assert "held-out real images are nearer" in shown


def test_evaluate_and_run(visit, store, imported_set):
    app = visit("5_Evaluate.py", run=imported_set.key)
    assert "It will take about" in text(app)
    app.button(key="evaluate.task.start").click().run()
    assert not app.exception
    wanted = default_evaluation(imported_set.key, imported_set.spec())
    assert store.task(wanted).status()["state"] == "queued"
    shown = text(visit("3_Run.py", run=imported_set.key))
    assert "Opened from res_DM_X_ConvNet_2ipc.pt" in shown
    assert "from a file (DC, DSA or DM)" in shown
    assert "best on validation" not in shown


def test_lists_name_the_file(visit, imported_set):
    assert "File res_DM_X_ConvNet_2ipc.pt on Digits" in text(visit("3_Run.py"))
    jobs = visit("9_Jobs.py")
    assert f"jobs.delete.{imported_set.key}" in {b.key for b in jobs.button}


def test_start_offers_to_open_a_set_but_shows_runs_of_ours(visit, store, imported_set):
    app = visit()
    assert "Open a set" in {link.proto.label for link in app.main.get("page_link")}
    assert "There is no finished run yet" in text(app)
    assert runs.featured(store) is None


# --- small numbers --------------------------------------------------------------------------------


def test_the_order_of_labels_is_told_with_its_chance():
    told = opened_views.order_sentence
    assert "0.37 % reach that, so the labels are in the order used here" in told(5, 10)
    assert "26 % reach that: no evidence for or against" in told(2, 10, 2)
    assert "another order, found on half of the images, has 9 of 10 right" in told(1, 10, 9)
    assert "no evidence" in told(1, 2)  # sets opened before have no other order


def test_colour_sheets_say_what_was_cut_off():
    x = np.full((2, 3, 4, 4), 0.5, np.float32)
    assert "No value is clipped" in sheet.how(x, 1, "clip")
    x[:, :, 0] = 1
    assert "25 % of the values are exactly black or white" in sheet.how(x, 1, "clip")
    assert "No value is clipped" in sheet.how(x[:, :1], 1, "clip")


def test_large_images_are_shown_in_part(store):
    images = torch.rand(20, 3, 512, 512)
    report = examine([open_file(pt([images, torch.arange(20)]), "data.pt")])
    shown = open_preview.places(report)
    assert 1 <= len(shown) * 3 * 512 * 512 <= open_preview.SHOWN


def test_previews_have_the_same_number_of_each_class(store):
    images, hard = noise(30)
    report = examine([open_file(pt([images, hard]), "data.pt")])
    shown = open_preview.places(report)
    assert len(shown) == K * open_preview.PREVIEW_EACH
    assert (np.bincount(hard.numpy()[shown]) == open_preview.PREVIEW_EACH).all()


def test_soft_labels_of_another_class_stay_in_their_row(store, imported_set):
    made = DistilledSet.from_task(imported_set)
    soft = np.eye(K, dtype=np.float32)[made.labels] * 0.4
    soft[3, 9] = 0.6
    changed = dataclasses.replace(made, labels=soft)
    assert changed.hard_labels[3] == 9
    assert np.array_equal(evolution.classes_of(changed), made.labels)


def test_names_of_classes_wait_for_an_own_dataset(store, tmp_path):
    from PIL import Image

    from ddcore.data import resolve

    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(10):
            Image.new("RGB", (8, 8), (i * 20, 80, 200)).save(tmp_path / "pets" / name / f"{i}.png")
    data = resolve(str(tmp_path / "pets"), resolution=8)
    assert open_preview.class_names(data, 2) == ("0", "1")
    wanted = dataset_task(data)
    run_task(store, store.create(wanted), wanted, "cpu")
    assert open_preview.class_names(data, 2) == ("cat", "dog")
