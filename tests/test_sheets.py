"""Pictures as sets: sheets of torchvision come back exactly; what is no whole sheet is refused."""

import io
import json
import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.utils import save_image

from benchmarks.hostile_files import png as png_of_zeros
from benchmarks.hostile_files import watched
from ddcore.base.errors import DataError, SpecError
from ddcore.base.paths import GALLERY
from ddcore.cli import main
from ddcore.data import dataset_task, load, resolve
from ddcore.sets import imported
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.imported_spec import propose
from ddcore.sets.importers import _grid, importers, sheets
from ddcore.sets.importers.reading import read
from ddcore.tasks.store import Store
from tests.test_importers import dc_file, noise, pt, run_here

K = 10
REAL = pytest.mark.skipif(not os.environ.get("DD_DATA"), reason="needs datasets in DD_DATA")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The digits, decoded."""
    from ddcore.tasks import worker

    store = Store(tmp_path_factory.mktemp("cache"), gallery=None)
    wanted = dataset_task(resolve("digits"))
    worker.run_task(store, store.create(wanted), wanted, "cpu")
    return load(store, resolve("digits"))


@pytest.fixture(scope="module")
def shipped():
    """Pixels (M, C, H, W) and labels of the shipped sets, by method, dataset and number of images."""
    found = {}
    for task in Store(GALLERY.parent / "no-cache", GALLERY).tasks("distill"):
        made, name = DistilledSet.from_task(task), task.document()["spec"]["data"]["name"]
        pixels = torch.from_numpy(made.pixels())
        found.setdefault((made.method, name, len(pixels)), (pixels, made.hard_labels))
    return found


def written(pixels, scale=1, **options):
    """What `save_image` writes, each pixel first repeated `scale` times each way."""
    out = io.BytesIO()
    large = pixels.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    save_image(large, out, format="png", **options)
    return out.getvalue()


def rounded(pixels):
    """Pixels as `save_image` rounds them to 8 bits."""
    return (pixels * 255 + 0.5).clamp(0, 255).to(torch.uint8).numpy()


def picture(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def encoded(array, format="PNG", **options):
    out = io.BytesIO()
    Image.fromarray(array).save(out, format, **options)
    return out.getvalue()


def found_in(content, shape=(1, 8, 8), name="sheet.png"):
    return sheets.read(name, content, shape)


def shuffled(pixels, labels, order):
    """Class after class in another order."""
    rows = np.concatenate([np.flatnonzero(labels == c) for c in order])
    return pixels[rows], labels[rows]


def real(dataset, ipc, seed=0):
    """Real images of each class, class after class, and their labels."""
    draw, labels = np.random.default_rng(seed), dataset.train_labels
    rows = [draw.choice(np.flatnonzero(labels == c), ipc, False) for c in range(K)]
    rows = np.concatenate(rows)
    return torch.from_numpy(dataset.train_images[rows]).float() / 255, labels[rows]


# --- where the images lie ---------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("padding", [0, 2])
def test_every_shipped_set_comes_back_exactly(shipped, scale, padding):
    """In this process, for speed; the next test takes the whole way."""
    assert {len(p) // K for p, _ in shipped.values()} >= {1, 5, 10}
    for key, (pixels, _) in shipped.items():
        for nrow in (8, len(pixels) // K):
            sheet = picture(written(pixels, scale, padding=padding, nrow=nrow))
            grid = _grid.find(sheet, "sheet.png", pixels.shape[-1])
            images = _grid.cut(sheet, grid)[:, : pixels.shape[1]]
            assert np.array_equal(images, rounded(pixels)), (key, nrow)
            assert grid.count == len(pixels) and grid.repeat == scale


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("options", [{}, {"padding": 0}, {"pad_value": 1.0, "padding": 4}])
def test_round_trip_with_labels(shipped, digits, scale, options):
    pixels, labels = shipped["dm", "digits", 100]
    found = found_in(written(pixels, scale, **options))
    assert np.array_equal(found.images, rounded(pixels))
    assert np.array_equal(sheets.label(found, digits).labels, labels)


@pytest.mark.parametrize("ipc", [1, 3, 50])
def test_blank_last_places_are_no_images(digits, ipc):
    pixels, labels = real(digits, ipc, seed=1)
    found = found_in(written(pixels, nrow=8))
    assert found.grid.blank == -len(pixels) % 8 and len(found.images) == ipc * K
    assert np.array_equal(found.images, rounded(pixels))
    if ipc > 1:  # of one real image each, nothing can be told
        assert np.array_equal(sheets.label(found, digits).labels, labels)


def test_colour_sheets_and_sheets_enlarged_as_a_whole(shipped):
    pixels, _ = shipped["krr-exact", "cifar10", 100]
    sheet = picture(written(pixels))
    for content in (written(pixels), encoded(sheet.repeat(3, 0).repeat(3, 1))):
        assert np.array_equal(found_in(content, (3, 32, 32)).images, rounded(pixels))


@pytest.mark.parametrize("scale", [1, 4])
def test_black_borders_are_no_padding(scale):
    """As those of MNIST's images, which would fit grids of many distances."""
    x = torch.zeros(40, 1, 28, 28)
    x[:, :, 4:24, 4:24] = torch.rand(40, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    for nrow in (1, 5, 8):
        sheet = picture(written(x, scale, padding=0, nrow=nrow))
        grid = _grid.find(sheet, "a.png", 28)
        assert np.array_equal(_grid.cut(sheet, grid)[:, :1], rounded(x))


def test_palettes_grey_and_opaque_pictures_are_the_same_sheet(shipped):
    pixels, _ = shipped["dm", "digits", 10]
    plain = Image.open(io.BytesIO(written(pixels)))
    for mode in ("L", "RGBA", "P", "LA"):
        out = io.BytesIO()
        plain.convert("L").convert(mode).save(out, "PNG")
        assert np.array_equal(found_in(out.getvalue()).images, rounded(pixels)), mode
    see_through = np.array(plain.convert("RGBA"))
    see_through[0, 0, 3] = 100
    with pytest.raises(DataError, match="transparent in places"):
        found_in(encoded(see_through))


# --- whose classes they are -------------------------------------------------------------------------


def test_no_order_is_ever_wrong(shipped, digits):
    """Every shipped set in its order and in others: the right classes, or a question."""
    told = {True: 0, False: 0}
    for (_, name, _), (pixels, labels) in shipped.items():
        if name != "digits":
            continue
        swapped = [np.array([1, 0, *range(2, K)]), np.array([*range(7), 9, 8, 7])]
        orders = [np.arange(K), *swapped, np.random.default_rng(0).permutation(K)]
        for i, order in enumerate(orders):
            lies, truth = shuffled(pixels, labels, order)
            found = sheets.SheetPictures(rounded(lies), "", _grid.Grid(8, 2, 1, len(lies)))
            try:
                assert np.array_equal(sheets.label(found, digits).labels, truth)
                told[i == 0] += 1
            except DataError as error:
                assert "cannot be told" in str(error)
    assert told[True] >= 15 and told[False] >= 10  # those that look like digits are found


def test_images_in_turn_and_stated_orders(shipped, digits):
    pixels, labels = shipped["dm", "digits", 100]
    turns = np.arange(100).reshape(K, 10).T.ravel()
    found = found_in(written(pixels[turns], nrow=K))
    labelled = sheets.label(found, digits)
    assert np.array_equal(labelled.labels, labels[turns]) and "in turn" in labelled.sentence
    assert np.array_equal(sheets.label(found, digits, "turns").labels, labels[turns])
    order = [3, 0, 1, 2, 4, 5, 6, 7, 8, 9]
    text = ",".join(map(str, order))
    assert np.array_equal(sheets.label(found, digits, text).labels, np.repeat(order, 10))
    assert np.array_equal(sheets.label(found, digits, f"turns:{text}").labels, np.tile(order, 10))


@pytest.mark.parametrize(
    ("order", "words"),
    [("rows", "expected blocks, turns"), ("1,2,3", "each of 0 to 9 once"), ("blocks1", "expected")],
)
def test_orders_that_are_none(shipped, digits, order, words):
    found = found_in(written(shipped["dm", "digits", 10][0]))
    with pytest.raises((DataError, SpecError), match=words):
        sheets.label(found, digits, order)


def test_noise_is_not_given_classes(digits):
    x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with pytest.raises(DataError, match="cannot be told"):
        sheets.label(found_in(written(x)), digits)
    with pytest.raises(DataError, match="15 images, which 10 classes cannot share"):
        sheets.label(found_in(written(x[:15])), digits)


# --- what is refused --------------------------------------------------------------------------------


def photographs(count, seed=0):
    """Smooth colour images of 32 pixels that differ much from each other."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=32, mode="bicubic").clamp(0, 1)


def resized(factor, **options):
    sheet = Image.open(io.BytesIO(written(photographs(100), nrow=10, **options)))
    size = [round(side * factor) for side in sheet.size]
    return encoded(np.asarray(sheet.resize(size, Image.Resampling.BILINEAR)))


def jpeg_and_back():
    sheet = picture(written(photographs(20)))
    return encoded(picture(encoded(sheet, "JPEG", quality=90)))


def part(top, left, height, width):
    return encoded(picture(written(photographs(100), nrow=10))[top:][:height, left:][:, :width])


REFUSED = {
    "resampled": (lambda: resized(1.3), "resampled"),
    "resampled twofold, no padding": (lambda: resized(2, padding=0), "2 times as large"),
    "compressed with loss before": (jpeg_and_back, "not a regular grid"),
    "cut": (lambda: part(5, 0, 999, 999), "cut"),
    "cut to a size that fits": (lambda: part(2, 2, 320, 320), "cut out of one"),
    "jpeg": (lambda: encoded(np.zeros((34, 34, 3), np.uint8), "JPEG"), "JPEG.*changes pixels"),
    "gif": (lambda: encoded(np.zeros((34, 34), np.uint8), "GIF"), "is a GIF picture"),
    "16 bits": (lambda: encoded(np.zeros((34, 34), np.uint16)), "16 bits per channel"),
    "words": (lambda: b"no picture at all, but long enough", "not a PNG"),
    "all black": (lambda: png_of_zeros(100, 100), "not a regular grid"),
    "grey": (lambda: encoded(picture(written(photographs(20)))[..., 0]), "are grey"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_whole_sheet_is_refused_with_a_reason(name):
    make, words = REFUSED[name]
    with pytest.raises(DataError, match=words) as told:
        found_in(make(), (3, 32, 32))
    assert len(str(told.value).splitlines()) == 1 and str(told.value).endswith(".")


HOSTILE = {
    "100,000 a side": (png_of_zeros(100_000, 100_000, rows=1), "can be read"),
    "2 ** 31 - 1 a side": (png_of_zeros(2**31 - 1, 2**31 - 1, rows=0), "can be read"),
    "no size": (png_of_zeros(0, 8), "can be read"),
    "6,000 a side, black": (png_of_zeros(6_000, 6_000), "not a regular grid"),
    "without pixels": (png_of_zeros(34, 34, rows=0), "broken picture"),
    "half its pixels": (png_of_zeros(340, 340, rows=100), "not a regular grid"),
    "a header alone": (png_of_zeros(34, 34)[:20], "cut off"),
    "cut off": (png_of_zeros(34, 34)[:50], "broken picture"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pictures_end_in_one_sentence(name):
    content, words = HOSTILE[name]
    answer, cost = watched(lambda: found_in(content, name="bomb.png"))
    assert isinstance(answer, DataError) and words in str(answer), answer
    assert len(str(answer).splitlines()) == 1
    assert cost.megabytes < 20 and cost.cpu_seconds < 2  # of the process that asks


def test_damage_is_never_a_surprise(shipped):
    content, draw = written(shipped["dm", "digits", 10][0]), np.random.default_rng(0)
    from ddcore.sets.importers._pictures import decode

    for _ in range(200):
        injured = bytearray(content)
        for place in draw.integers(0, len(injured), 3):
            injured[place] = draw.integers(256)
        try:
            decode(bytes(injured[: draw.integers(1, len(injured) + 1)]), "a.png")
        except DataError as error:
            assert len(str(error).splitlines()) == 1


def test_stretched_and_clipped_sheets_are_warned_of(digits):
    def warned(content):
        found = found_in(content, (3, 32, 32))
        labelled = sheets.Labelled(np.arange(20) // 2, "")
        file = sheets.to_file(found, labelled)
        return read([("a.png", file)]).facts.values.warnings()

    x = 0.25 + 0.5 * photographs(20)
    assert warned(written(x)) == []
    stretched = warned(written(x, normalize=True, scale_each=True))
    assert len(stretched) == 1 and "stretched by itself" in stretched[0]
    assert any("cut off" in w for w in warned(written(3 * x - 1)))


# --- a picture for each image -----------------------------------------------------------------------


def class_folders(root, pixels, labels, names=None, scale=1):
    """A folder for each class, as ImageFolder reads them."""
    for i, (image, label) in enumerate(zip(rounded(pixels), labels)):
        folder = root / (names[label] if names else str(label))
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].repeat(scale, 0).repeat(scale, 1)).save(folder / f"{i}.png")
    return root


@pytest.mark.parametrize("scale", [1, 4])
def test_folders_of_classes(shipped, digits, tmp_path, scale):
    pixels, labels = shipped["dm", "digits", 100]
    root = class_folders(tmp_path / "set", pixels, labels, scale=scale)
    (root / "3" / "notes.txt").write_text("no picture")
    (root / ".hidden").mkdir()
    found = sheets.read("set", root, digits.shape)
    assert np.array_equal(found.images, rounded(pixels))
    assert np.array_equal(sheets.label(found, digits).labels, labels)
    with pytest.raises(SpecError, match="folders name the classes"):
        sheets.label(found, digits, "blocks")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*.png")):
            archive.write(path, f"set/{path.relative_to(root)}")
    assert sheets.is_pictures("set.zip", out.getvalue())
    zipped = sheets.read("set.zip", out.getvalue(), digits.shape)
    assert np.array_equal(zipped.images, found.images)
    assert zipped.sha256 == found.sha256


def test_folders_are_matched_by_name_or_number():
    names = ("Airplane", "polar bear", "cat")
    assert sheets.classes_of(["cat", "airplane", "Polar_Bear"], names) == [2, 0, 1]
    assert sheets.classes_of(["02", "00", "01"], names) == [2, 0, 1]
    for wrong in (["cat", "dog", "airplane"], ["0", "1"], ["0", "1", "3"], ["cat", "Cat", "0"]):
        with pytest.raises(DataError, match=r"expected Airplane, polar bear, cat, or numbers from"):
            sheets.classes_of(wrong, names)


def test_pictures_that_do_not_fit(shipped, digits, tmp_path):
    pixels, labels = shipped["dm", "digits", 10]
    root = class_folders(tmp_path / "set", pixels, labels)
    Image.new("L", (9, 9)).save(root / "3" / "x.png")
    with pytest.raises(DataError, match="9 x 9 pixels: expected 8 x 8"):
        sheets.read("set", root, digits.shape)
    Image.new("L", (8, 8)).save(root / "3" / "x.png", "JPEG")
    with pytest.raises(DataError, match="JPEG"):
        sheets.read("set", root, digits.shape)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no folders of PNG pictures"):
        sheets.read("empty", tmp_path / "empty", digits.shape)


def test_other_files_are_no_pictures(tmp_path):
    assert not sheets.is_pictures("a.pt", pt(1)) and not sheets.is_pictures("a.zip", pt(1))
    assert not sheets.is_pictures("a.safetensors", b"BM\x00\x00\x00\x00\x00\x00{}")
    assert not sheets.is_pictures("none.png", tmp_path / "none.png")


# --- as a set ---------------------------------------------------------------------------------------


def test_a_sheet_becomes_a_set(store, compute, shipped, digits):
    pixels, labels = shipped["dm", "digits", 100]
    found = found_in(written(pixels))
    content = sheets.to_file(found, sheets.label(found, digits))
    again = found_in(written(pixels), name="other.png")
    assert content == sheets.to_file(again, sheets.label(again, digits))  # one key by any name
    report = read([("vis_DM_digits.png", content)])
    assert (report.importer.name, report.guess.scale) == ("sheet", "byte")
    spec = propose(report, resolve("digits"))
    assert (spec.method, spec.protocol.name) == ("dm", "dsa-digits")
    imported.bring(store, spec, [content], ["vis_DM_digits.png"])
    task = compute(spec)
    made = DistilledSet.from_task(task)
    np.testing.assert_allclose(made.pixels() * 255, rounded(pixels), atol=1e-3)
    assert np.array_equal(made.labels, labels)
    grid, order = task.result()["notes"]
    assert "100 images of 8 x 8 pixels, 8 in a row, 2 pixels apart" in grid
    assert "class after class, in the dataset's order: 0.01 % of random orders" in order


def test_notes_of_foreign_files_are_looked_at():
    def fits(note):
        from ddcore.sets.importers.base import Stored

        content = {"images": np.zeros(1), "labels": np.zeros(1), "note": note}
        return importers()["sheet"].fits([Stored("a.npz", "", content)])

    for text in (b"", b"[1]", b"[" * 9000, b'{"of": 1}', b"\xff\xfe", b"x" * 100_000):
        assert not fits(np.frombuffer(text, np.uint8))
    assert fits(np.frombuffer(b'{"of": "pictures", "notes": 3}', np.uint8))


@pytest.fixture
def here(store, monkeypatch):
    monkeypatch.setattr("ddcore.tasks.jobs.launch", lambda tasks: run_here(store, tasks))


def test_import_command(store, here, shipped, tmp_path, capsys):
    pixels, labels = shipped["dm", "digits", 10]
    path = tmp_path / "vis_DSA_10.png"
    path.write_bytes(written(pixels, 4))
    asked = ["import", str(path), "--dataset", "digits"]
    assert main([*asked, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (answer["format"], answer["scale"], answer["method"]) == ("sheet", "byte", "dsa")
    assert "each pixel 4 x 4 times" in answer["notes"][0]
    stated = ["--order", "turns", "--method", "datm", "--protocol", "dsa"]
    assert main([*asked, *stated]) == 0
    shown = capsys.readouterr().out
    assert "method datm" in shown and "as stated" in shown and "protocol dsa" in shown
    root = class_folders(tmp_path / "mine", pixels, labels)
    assert main(["import", str(root), "--dataset", "digits"]) == 0
    assert "method unknown" in capsys.readouterr().out
    assert main(["list", "runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("vis_DSA_10.png" in each and "dsa" in each for each in lines)
    assert any("vis_DSA_10.png" in each and "datm" in each for each in lines)
    assert any("mine" in each and "unknown" in each for each in lines)


def test_experiments_in_the_command(store, here, tmp_path, capsys):
    path = tmp_path / "res.pt"
    path.write_bytes(dc_file(experiments=3))
    assert main(["import", str(path), "--dataset", "digits", "--experiment", "1"]) == 0
    assert "experiment 1 of 0 to 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--order", "rows"], "order = 'rows'"),
        (["--method", "a method; of mine"], "a short name such as dsa"),
        (["--dataset", "mnist"], ""),
    ],
)
def test_mistakes_are_one_sentence(store, here, shipped, tmp_path, capsys, extra, words):
    path = tmp_path / "a.png"
    path.write_bytes(written(shipped["dm", "digits", 10][0]))
    assert main(["import", str(path), "--dataset", "digits", *extra]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and words in error and len(error.strip().splitlines()) == 1


def test_orders_are_for_pictures(store, here, tmp_path, capsys):
    path = tmp_path / "a.pt"
    path.write_bytes(dc_file())
    assert main(["import", str(path), "--dataset", "digits", "--order", "blocks"]) == 2
    assert "these files hold labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "method", "protocol"),
    [
        (["images.pt", "labels.pt"], "", "dc"),
        (["images_best.pt", "labels_best.pt"], "", "mtt"),
        (["images_DSA.pt", "labels_DSA.pt"], "dsa", "dsa"),
        (["mtt_images.pt", "mtt_labels.pt"], "mtt", "mtt"),
        (["a.pt", "b.pt", "lr.pt"], "", "mtt"),
    ],
)
def test_a_pair_of_tensors_is_no_mtt_without_evidence(names, method, protocol):
    chosen = importers()["mtt"]
    assert chosen.method(names) == method
    assert chosen.protocol("cifar10", names, (3, 32, 32)) == protocol


def test_a_pair_of_unknown_method_is_opened_as_such(store, compute):
    from ddcore.sets.importers import examine, open_file

    images, labels = noise(2)
    contents, names = [pt(images), pt(labels)], ["images.pt", "labels.pt"]
    report = examine([open_file(c, n) for c, n in zip(contents, names)])
    spec = propose(report, resolve("digits"))
    imported.bring(store, spec, contents, names)
    assert DistilledSet.from_task(compute(spec)).method == "unknown"
    assert "MTT" not in spec.title()


# --- real data --------------------------------------------------------------------------------------


@REAL
@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_sheets_of_real_images(store, compute, name):
    data = resolve(name)
    compute(dataset_task(data))
    dataset = load(store, data)
    for ipc in (1, 10, 50):
        pixels, labels = real(dataset, ipc)
        for scale, options in ((1, {}), (4, {"padding": 0, "nrow": ipc})):
            found = found_in(written(pixels, scale, **options), dataset.shape)
            assert np.array_equal(found.images, rounded(pixels))
            try:
                assert np.array_equal(sheets.label(found, dataset).labels, labels)
            except DataError as error:
                assert "cannot be told" in str(error)
