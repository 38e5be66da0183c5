"""The user's own folders and parquet files: what is read, and every refusal in one sentence."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from ddcore import data
from ddcore.base.errors import Cancelled, DataError
from ddcore.data.names import distinct_names
from ddcore.data.sources import _folder, _parquet

TWO = {"cat": 5, "dog": 6}


def everything(dataset):
    images = np.concatenate([dataset.train_images, dataset.val_images, dataset.test_images])
    labels = np.concatenate([dataset.train_labels, dataset.val_labels, dataset.test_labels])
    return {(image.tobytes(), int(label)) for image, label in zip(images, labels)}


# --- folders --------------------------------------------------------------------------------------


def test_folder_without_a_test_part(make_folder, load):
    root = make_folder(TWO)
    dataset = load(root, val_fraction=0.25)
    assert dataset.class_names == ("cat", "dog") and dataset.label == "own"
    assert dataset.shape == (3, 6, 6)
    assert dataset.spec.source == "folder" and len(dataset.spec.fingerprint) == 64
    assert np.bincount(dataset.test_labels).tolist() == [1, 1]
    written = {
        (np.asarray(Image.open(path)).transpose(2, 0, 1).tobytes(), label)
        for label, name in enumerate(TWO)
        for path in (root / name).iterdir()
    }
    assert everything(dataset) == written  # every picture, bit for bit, in exactly one part
    pixels = np.concatenate([dataset.train_images, dataset.val_images]) / 255
    assert np.allclose(dataset.mean, pixels.mean(axis=(0, 2, 3)), atol=1e-6)
    assert np.allclose(dataset.std, pixels.std(axis=(0, 2, 3)), atol=1e-6)


def test_folder_with_a_test_part(make_folder, load):
    root = make_folder({"train/10": 3, "train/9": 3, "train/-": 2, "test/10": 1, "test/9": 2})
    dataset = load(root)
    assert dataset.class_names == ("-", "10", "9")
    assert sorted(dataset.test_labels) == [1, 2, 2]
    assert len(dataset.train_labels) + len(dataset.val_labels) == 8


def test_numbered_classes_are_ordered_as_numbers(make_folder, load):
    dataset = load(make_folder({"10": 3, "9": 3, "0": 3}))
    assert dataset.class_names == ("0", "9", "10")


def test_grey_pictures_stay_grey_and_mixed_ones_become_colour(make_folder, load, pixels):
    root = make_folder(TWO, name="grey", grey=True)
    assert load(root).shape == (1, 6, 6)
    Image.fromarray(pixels(99)).save(root / "dog" / "colour.png")
    mixed = load(root)
    assert mixed.shape == (3, 6, 6)
    assert np.array_equal(mixed.train_images[0, 0], mixed.train_images[0, 2])


def test_other_files_are_left_out(make_folder, load):
    root = make_folder(TWO)
    (root / "cat" / "notes.txt").write_text("not a picture")
    (root / "cat" / ".hidden.png").write_text("not a picture")
    (root / ".thumbnails").mkdir()
    assert len(everything(load(root))) == 11


def test_resolution_and_grey_are_pillow_bilinear(make_folder, load):
    root = make_folder(TWO, size=12)
    dataset = load(root, resolution=5, grey=True)
    assert dataset.shape == (1, 5, 5) and dataset.label == "own (5 px, grey)"
    with Image.open(root / "cat" / "000.png") as picture:
        expected = picture.convert("L").resize((5, 5), Image.Resampling.BILINEAR)
    assert (np.asarray(expected).tobytes(), 0) in everything(dataset)


def test_resolution_makes_mixed_and_oblong_pictures_square(make_folder, load, pixels):
    root = make_folder(TWO)
    Image.fromarray(pixels(1, size=12)[:, :7]).save(root / "cat" / "oblong.jpg")
    assert load(root, resolution=8).shape == (3, 8, 8)


def test_changed_files_are_another_dataset(make_folder, load, pixels):
    root = make_folder(TWO)
    before = data.resolve(str(root))
    Image.fromarray(pixels(7)).save(root / "cat" / "new.png")
    after = data.resolve(str(root))
    assert data.dataset_task(before).key != data.dataset_task(after).key


def test_a_folder_that_changed_after_it_was_chosen_is_refused(make_folder, compute, pixels):
    root = make_folder(TWO)
    spec = data.dataset_task(data.resolve(str(root)))
    Image.fromarray(pixels(7)).save(root / "cat" / "new.png")
    with pytest.raises(DataError, match=r"own have changed since .*choose it again"):
        compute(spec)


def test_missing_folder_and_file():
    with pytest.raises(DataError, match=r"/no/such/place does not exist"):
        data.resolve("/no/such/place")
    with pytest.raises(DataError, match=r"conftest.py is a file: expected a folder"):
        data.resolve(os.path.join(os.path.dirname(__file__), "conftest.py"))


def test_folder_deleted_before_decoding(make_folder, compute):
    root = make_folder(TWO)
    spec = data.dataset_task(data.resolve(str(root)))
    root.rename(root.with_name("moved"))
    with pytest.raises(DataError, match="own does not exist"):
        compute(spec)


def test_no_class_folders(make_folder, fails, pixels):
    root = make_folder({})
    Image.fromarray(pixels(0)).save(root / "loose.png")
    assert "no class folders: expected own/<class>/*.png" in fails(root)


def test_no_pictures(make_folder, fails):
    assert "has no pictures: expected files ending in .png" in fails(make_folder({"a": 0, "b": 0}))


def test_broken_and_truncated_pictures(make_folder, fails):
    root = make_folder(TWO)
    (root / "cat" / "002.png").write_bytes(b"no picture at all")
    assert "002.png is not a readable picture: expected one of PNG" in fails(root)
    whole = (root / "cat" / "001.png").read_bytes()
    (root / "cat" / "002.png").write_bytes(whole[: len(whole) // 2])
    assert "002.png is a broken picture" in fails(root)


def test_truncated_jpeg(make_folder, fails, encode, pixels):
    root = make_folder({"cat": 3, "dog": 0}, size=32)
    for i in range(3):
        (root / "dog" / f"{i}.jpg").write_bytes(encode(pixels(i, size=32), "JPEG")[:-400])
    assert "0.jpg is a broken picture" in fails(root)


def test_too_few_pictures_in_a_class(make_folder, fails):
    message = fails(make_folder({"cat": 2, "dog": 5}))
    assert "class 'cat' has 2 pictures, at least 3" in message
    message = fails(make_folder({"train/cat": 1, "train/dog": 5, "test/cat": 1}, name="parts"))
    assert "class 'cat' has 1 training pictures, at least 2" in message


def test_the_smallest_folder_that_works(make_folder, load):
    dataset = load(make_folder({"a": 3, "b": 3}))
    for labels in (dataset.train_labels, dataset.val_labels, dataset.test_labels):
        assert labels.tolist() == [0, 1]


def test_mixed_sizes(make_folder, fails, pixels):
    root = make_folder(TWO)
    Image.fromarray(pixels(1, size=9)).save(root / "dog" / "large.png")
    message = fails(root)
    assert "large.png is 9x9 pixels but" in message and "choose a resolution" in message


def test_oblong_pictures(make_folder, fails, pixels):
    root = make_folder(TWO)
    Image.fromarray(pixels(1, size=9)[:4]).save(root / "cat" / "000.png")
    assert "000.png is 9x4 pixels: only square pictures" in fails(root)


def test_sixteen_bit_pictures(make_folder, fails):
    root = make_folder(TWO)
    Image.fromarray(np.full((6, 6), 40_000, np.uint16)).save(root / "cat" / "000.png")
    assert "000.png has pixels of mode I;16: expected 8 bits" in fails(root)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_huge_pictures(make_folder, monkeypatch):
    monkeypatch.setattr("ddcore.data.images.MAX_PIXELS", 30)
    with pytest.raises(DataError, match="too large to decode safely: expected at most 30 pixels"):
        _folder.read(make_folder(TWO))


def test_large_pictures_are_decoded_alike(make_folder, monkeypatch):
    root = make_folder(TWO)
    usual = _folder.read(root).images
    monkeypatch.setattr("ddcore.data.images.LARGE", 1)  # one at a time
    assert np.array_equal(_folder.read(root).images, usual)


def test_too_much_for_memory(make_folder, monkeypatch):
    monkeypatch.setattr("ddcore.base.environment.decoded_bytes", lambda: 100)
    with pytest.raises(DataError, match="choose a smaller resolution"):
        _folder.read(make_folder(TWO))


def test_one_class_and_too_many(make_folder, fails, monkeypatch):
    assert "has 1 classes: expected 2 to 1000" in fails(make_folder({"only": 4}))
    monkeypatch.setattr("ddcore.data.sources._own.MAX_CLASSES", 2)
    with pytest.raises(DataError, match="many has 3 classes: expected 2 to 2"):
        _folder.read(make_folder({"a": 3, "b": 3, "c": 3}, name="many"))


def test_unknown_test_class_and_empty_test_part(make_folder, fails):
    root = make_folder({"train/a": 3, "train/b": 3, "test/c": 1})
    assert "test has the class 'c' that" in fails(root)
    root = make_folder({"train/a": 3, "train/b": 3, "test/a": 0}, name="empty")
    assert "empty has no test pictures" in fails(root)


def test_cancelling_leaves_nothing(make_folder, store):
    from ddcore.tasks import worker

    spec = data.dataset_task(data.resolve(str(make_folder(TWO))))
    task = store.create(spec)
    (task.folder / "cancel").touch()
    with pytest.raises(Cancelled):
        worker.run_task(store, task, spec, "cpu")
    assert not task.is_done() and not list(task.folder.glob("*.safetensors"))


# --- parquet --------------------------------------------------------------------------------------


@pytest.fixture
def ten(pixels):
    return [pixels(i) for i in range(10)]


HALF = [0, 1] * 5


@pytest.mark.parametrize("struct", [True, False], ids=["struct", "bytes"])
def test_parquet_round_trip(tmp_path, make_parquet, load, ten, pixels, struct):
    folder = tmp_path / "own"
    names = ["yes", "no"]
    make_parquet(folder / "train-0-of-2.parquet", ten[:6], HALF[:6], names, struct)
    make_parquet(folder / "train-1-of-2.parquet", ten[6:], HALF[6:], names, struct)
    make_parquet(folder / "test-0-of-1.parquet", [pixels(77)], [1], names, struct)
    dataset = load(folder)
    assert dataset.class_names == ("yes", "no") and dataset.label == "own"
    assert dataset.spec.source == "parquet"
    assert np.array_equal(dataset.test_images[0], pixels(77).transpose(2, 0, 1))
    expected = {(a.transpose(2, 0, 1).tobytes(), c) for a, c in zip([*ten, pixels(77)], [*HALF, 1])}
    assert everything(dataset) == expected


def test_parquet_other_column_names_and_no_parts(tmp_path, make_parquet, load, ten):
    folder = make_parquet(tmp_path / "own" / "a.parquet", ten, HALF, columns=("scan", "kind"))
    dataset = load(folder)
    assert dataset.class_names == ("0", "1")
    assert len(dataset.test_labels) == 2 and len(everything(dataset)) == 10


def test_parquet_texts_are_class_names(tmp_path, make_parquet, load, ten):
    folder = make_parquet(tmp_path / "own" / "a.parquet", ten, ["tea", "coffee"] * 5)
    assert load(folder).class_names == ("coffee", "tea")


def test_parquet_of_a_registered_name(data_root, make_parquet, load, pixels, encode):
    grey = [encode(pixels(i, size=16, grey=True), "JPEG") for i in range(30)]
    labels = list(range(10)) * 3
    make_parquet(data_root / "usps" / "train-0.parquet", grey, labels)
    make_parquet(data_root / "usps" / "test-0.parquet", grey[:10], labels[:10])
    dataset = load("usps")
    assert dataset.label == "USPS (JPEG, 30 training images)"
    assert dataset.class_names == tuple("0123456789") and dataset.shape == (1, 16, 16)
    assert load("usps", resolution=8).shape == (1, 8, 8)
    before = dataset.spec
    make_parquet(data_root / "usps" / "test-0.parquet", grey[:9], labels[:9])
    assert data.resolve("usps") != before  # other files, another dataset


def refused(kind):
    def labels(values):
        return values * 5

    return {
        "float": (labels([0.0, 1.0]), "column label of type double: expected whole numbers"),
        "gap": (labels([0, None]), "5 rows without a label"),
        "negative": (labels([0, -1]), "the label -1 in column label: expected 0 to 999"),
        "too large": (labels([0, 5000]), "the label 5000 in column label: expected 0 to 999"),
        "from one": (labels([1, 2]), "class '0' has 0 pictures, at least 3"),
    }[kind]


@pytest.mark.parametrize("kind", ["float", "gap", "negative", "too large", "from one"])
def test_parquet_refuses_labels(tmp_path, make_parquet, fails, ten, kind):
    labels, message = refused(kind)
    folder = make_parquet(tmp_path / "own" / "a.parquet", ten, labels)
    assert message in fails(folder)


def test_parquet_label_beyond_the_named_classes(tmp_path, make_parquet, fails, ten):
    folder = make_parquet(tmp_path / "own" / "a.parquet", ten, [0, 2] * 5, ["yes", "no"])
    assert "a.parquet has the label 2 in column label: expected 0 to 1" in fails(folder)


def test_parquet_names_by_their_number(tmp_path, make_parquet, load, ten):
    names = {"1": "cat", "0": "dog"}  # JSON keeps the order in which somebody wrote them
    folder = make_parquet(tmp_path / "own" / "a.parquet", ten, HALF, names)
    assert load(folder).class_names == ("dog", "cat")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["tea", "tea"], "names both class 0 and class 1 'tea': expected each name once"),
        (["tea", 7], "names class 1 '7': expected a text"),
        (["tea", None], "names class 1 'None': expected a text"),
        (["tea", " "], "names class 1 ' ': expected a text"),
        ({"0": "tea", "2": "milk"}, "names its classes by '2': expected the numbers 0 to 1"),
        ({"tea": "0", "milk": "1"}, "names its classes by 'milk': expected the numbers 0 to 1"),
        ({"0": "tea", "1": "tea"}, "names both class 0 and class 1 'tea'"),
        (17, "names its classes by '17': expected a list of texts"),
        ("ab", "names its classes by 'ab': expected a list of texts"),
    ],
)
def test_parquet_names_that_are_none(tmp_path, make_parquet, ten, names, words):
    folder = make_parquet(tmp_path / "own" / "a.parquet", ten, HALF, names)
    with pytest.raises(DataError, match=words) as raised:
        _parquet.read(folder)
    assert str(folder) in str(raised.value)


def test_parquet_files_must_agree_on_their_names(tmp_path, make_parquet, ten):
    folder = tmp_path / "own"
    make_parquet(folder / "train-0.parquet", ten, HALF, ["cat", "dog"])
    make_parquet(folder / "test-0.parquet", ten, HALF, ["dog", "cat"])
    with pytest.raises(DataError, match="name their classes differently"):
        _parquet.read(folder)


def test_names_of_no_classes():
    assert distinct_names([], "it") == () and distinct_names({}, "it") == ()


@pytest.mark.parametrize("limit", ["MAX_ROWS", "MAX_LABEL_BYTES", "MAX_PICTURE_BYTES"])
def test_parquet_is_counted_before_it_is_read(tmp_path, make_parquet, monkeypatch, ten, limit):
    folder = make_parquet(tmp_path / "own" / "a.parquet", ten, HALF)
    monkeypatch.setattr(_parquet, limit, 5)
    monkeypatch.setattr(_parquet._Table, "labels", None)
    with pytest.raises(DataError, match="are read"):
        _parquet.read(folder)


def test_parquet_broken_picture_and_missing_bytes(tmp_path, make_parquet, fails, ten):
    path = tmp_path / "own" / "a.parquet"
    make_parquet(path, [*ten[:3], b"broken", *ten[4:]], HALF)
    assert "a.parquet, row 3 is not a readable picture" in fails(path.parent)
    make_parquet(path, [*ten[:3], None, *ten[4:]], HALF)
    assert "a.parquet, row 3: the picture has no bytes" in fails(path.parent)


def test_parquet_truncated_file(tmp_path, make_parquet, fails, ten):
    path = tmp_path / "own" / "a.parquet"
    make_parquet(path, ten, HALF)
    path.write_bytes(path.read_bytes()[:200])
    assert "a.parquet is not a readable parquet file" in fails(path.parent)


def test_parquet_without_pictures_or_rows(tmp_path, make_parquet, fails, ten):
    path = tmp_path / "own" / "a.parquet"
    make_parquet(path, [], [])
    assert "has no training pictures" in fails(path.parent)
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a"], "label": [0]}), path)
    message = fails(path.parent)
    assert "the columns text, label: expected one called 'image'" in message
