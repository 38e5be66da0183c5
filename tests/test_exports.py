"""Exports: bit-exact round trips, readable without this program, hostile and damaged files refused."""

import io
import json
import os
import pickle
import stat
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ddcore.base.errors import DataError, SpecError
from ddcore.sets import checks, exports, foreign_files, loading, render
from ddcore.sets.formats import FOLDERS
from tests.test_distilled import VARIANTS, assert_same, make

EXACT = ("npz", "pt", "safetensors", "hf")
FILES = ("npz", "pt", "safetensors")


@pytest.fixture(scope="module")
def contents():
    return {format: exports.export_bytes(make(), format)[0] for format in EXACT}


# --- round trips ------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", EXACT)
@pytest.mark.parametrize("variant", VARIANTS)
def test_round_trip(format, variant, tmp_path):
    made = make(**VARIANTS[variant])
    out = exports.export(made, format, tmp_path / "new" / f"set.{format}")
    assert_same(made, exports.load(out))
    assert [p.name for p in (tmp_path / "new").iterdir()] == [f"set.{format}"]


@pytest.mark.parametrize("format", EXACT)
def test_unusual_numbers_survive(format):
    images = np.zeros((3, 1, 2, 2), np.float32)
    tiny, huge = np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max
    images[0] = [[[-0.0, tiny], [huge, -huge]]]
    made = make(ipc=1, images=images, shape=(1, 2, 2))
    assert_same(made, exports.load_bytes(exports.export_bytes(made, format)[0]))


@pytest.mark.parametrize("format", exports.FORMATS)
def test_downloads_are_deterministic(format):
    content, name, mime = exports.export_bytes(make(soft=True), format)
    assert (content, name, mime) == exports.export_bytes(make(soft=True), format)
    ending = f"-{format}.zip" if format in FOLDERS else f".{format}"
    assert name == f"dm-digits-ipc2-01234567{ending}" and "/" in mime


@pytest.mark.parametrize("format", EXACT)
def test_paths_of_the_user_do_not_travel(format, tmp_path):
    data = {"name": "folder", "path": "/home/somebody/pictures", "val_fraction": 0.1}
    made = make(data=data)
    out = exports.export(made, format, tmp_path / "set")
    files = [out] if out.is_file() else [p for p in out.rglob("*") if p.is_file()]
    assert not any(b"somebody" in p.read_bytes() for p in files)
    again = exports.load(out)
    assert again.data == data | {"path": "pictures"}
    assert_same(made, again, data=False)


# --- readable by others -----------------------------------------------------------------------------


def test_npz_with_numpy_alone(contents):
    made = make()
    with np.load(io.BytesIO(contents["npz"]), allow_pickle=False) as stored:
        assert np.array_equal(stored["images"], made.images)
        assert json.loads(stored["meta"].tobytes())["method"] == "dm"


@pytest.mark.parametrize("soft", [False, True])
def test_pt_with_torch_alone(soft):
    made = make(soft=soft)
    content = exports.export_bytes(made, "pt")[0]
    stored = torch.load(io.BytesIO(content), weights_only=True)
    assert stored["data"].dtype == torch.float32 and stored["label"].dtype == torch.int64
    assert np.array_equal(stored["data"].numpy(), made.images)
    assert stored["label"].tolist() == made.hard_labels.tolist()
    assert np.array_equal(stored["labels"].numpy(), made.labels)


def test_pt_stores_the_images_once():
    made = make(shape=(3, 32, 32))
    assert len(exports.export_bytes(made, "pt")[0]) < made.images.nbytes + 20_000


def test_safetensors_alone(tmp_path):
    made = make()
    out = exports.export(made, "safetensors", tmp_path / "set.safetensors")
    with safetensors.safe_open(out, "numpy") as stored:
        assert np.array_equal(stored.get_tensor("images"), made.images)
        assert json.loads(stored.metadata()["meta"])["class_names"] == list(made.class_names)


@pytest.mark.parametrize("soft", [False, True])
def test_hf_folder(soft, tmp_path):
    made = make(soft=soft, shape=(3, 4, 6), class_names=("a: b", 'c "d"', "é|f"), ipc=4, steps=2)
    out = exports.export(made, "hf", tmp_path / "hf")
    table = pq.read_table(out / "data" / "train-00000-of-00001.parquet")
    pixels = np.array(table["pixels"].to_pylist(), np.float32).reshape(made.images.shape)
    assert pixels.tobytes() == made.images.tobytes()
    assert table["label"].to_pylist() == made.hard_labels.tolist()
    assert table["step"].to_pylist() == [0] * 6 + [1] * 6
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features.keys() == set(table.column_names)
    assert features["label"]["names"] == list(made.class_names)
    if soft:
        stored = np.array(table["soft_label"].to_pylist(), np.float32)
        assert stored.tobytes() == made.labels.tobytes()
    first = Image.open(io.BytesIO(table["image"][0].as_py()["bytes"]))
    shown = np.moveaxis(render.to_uint8(made.pixels()[0]), 0, -1)
    assert np.array_equal(np.asarray(first), shown)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\npretty_name: ") and "é\\|f" in card
    for part in (
        "from ddcore.sets.exports import load",
        "`quick`",
        "mean (0.1, 0.1, 0.1)",
        "Caveats",
    ):
        assert part in card
    assert ("soft_label" in card) == soft


def test_card_says_what_an_ordered_set_needs():
    from ddcore.sets.card import card

    made = make(**VARIANTS["fixed init"])
    assert "learned step sizes" in card(made, "x") and "one known initialisation" in card(made, "x")
    assert "ZCA" in card(make(**VARIANTS["zca"]), "x")
    assert "learned step sizes" not in card(make(), "x")


@pytest.mark.parametrize("labels", [None, [0, 0, 0, 2, 0, 2]])
def test_png_folder(labels, tmp_path):
    made = make() if labels is None else make(labels=np.array(labels))
    out = exports.export(made, "png", tmp_path / "pictures")
    pictures = sorted((out / "images").iterdir())
    assert len(pictures) == 6
    eight = render.to_uint8(made.pixels())
    for path, i in zip(pictures, made.order()):
        assert path.name.startswith(f"{made.hard_labels[i]:03d}-{CLASS[made.hard_labels[i]]}-")
        assert np.array_equal(np.asarray(Image.open(path)), eight[i, 0])
    sheet = Image.open(out / "sheet.png")
    columns = 2 if labels is None else 4
    assert sheet.size == (columns * 33 + 1, 3 * 33 + 1)
    note = (out / "README.txt").read_text()
    assert "never the data" in note and f"{100 * made.clipped_share():.1f} %" in note
    with pytest.raises(DataError, match="preview"):
        exports.load(out)


CLASS = ("zero", "one", "two")


# --- where it is written ----------------------------------------------------------------------------


def test_files_are_replaced_and_folders_only_if_ours(tmp_path):
    first, second = make(), make(soft=True)
    for format in EXACT:
        out = tmp_path / f"set-{format}"
        exports.export(first, format, out)
        assert_same(second, exports.load(exports.export(second, format, out, force=True)))
    assert len(list(tmp_path.iterdir())) == len(EXACT)
    (tmp_path / "set-hf" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"notes\.txt"):
        exports.export(first, "hf", tmp_path / "set-hf")
    assert (tmp_path / "set-hf" / "notes.txt").read_text() == "mine"


def test_folders_of_others_are_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="other files"):
        exports.export(make(), "hf", tmp_path)
    with pytest.raises(DataError, match="is a file"):
        exports.export(make(), "png", tmp_path / "file")
    with pytest.raises(DataError, match="is a folder"):
        exports.export(make(), "npz", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    (tmp_path / "empty").mkdir()
    assert_same(make(), exports.load(exports.export(make(), "hf", tmp_path / "empty")))


@pytest.mark.parametrize("format", EXACT)
def test_what_is_there_is_replaced_only_when_told_to(tmp_path, format):
    out = exports.export(make(), format, tmp_path / "set")
    with pytest.raises(DataError, match="is there already: choose another name, or add --force"):
        exports.export(make(soft=True), format, out)
    assert_same(make(), exports.load(out))


@pytest.mark.parametrize("format", exports.FORMATS)
def test_devices_pipes_and_what_lies_below_a_file_are_refused_also_when_told_to(tmp_path, format):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("mine")
    for name, words in (
        ("pipe", "is a device or a pipe|is a file"),
        ("file/set", "is not a folder"),
        ("/dev/null", "is a device or a pipe|is a file"),
    ):
        with pytest.raises(DataError, match=words):
            exports.export(make(), format, tmp_path / name, force=True)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_failed_write_leaves_the_old_folder(tmp_path, monkeypatch):
    out = exports.export(make(), "hf", tmp_path / "set")
    real = exports.os.replace

    def failing(source, target):
        if str(source).endswith(".tmp"):
            raise OSError("disk full")
        real(source, target)

    monkeypatch.setattr(exports.os, "replace", failing)
    with pytest.raises(OSError, match="disk full"):
        exports.export(make(soft=True), "hf", out, force=True)
    assert_same(make(), exports.load(out))
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("function", [exports.export_bytes, lambda s, f: exports.export(s, f, "x")])
def test_unknown_format(function):
    with pytest.raises(SpecError, match="safetensors"):
        function(make(), "csv")


# --- what is refused --------------------------------------------------------------------------------


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        exports.load(tmp_path / "nothing.npz")
    with pytest.raises(DataError, match=r"has no distilled\.safetensors"):
        exports.load(tmp_path)
    for content in (b"", b"GIF89a" * 10, b"PK\x03\x04", b"{}", bytes(100)):
        with pytest.raises(DataError):
            exports.load_bytes(content)
    other = io.BytesIO()
    np.savez(other, x=np.zeros(3))
    with pytest.raises(DataError, match="not a distilled set"):
        exports.load_bytes(other.getvalue())
    other = io.BytesIO()
    torch.save({"x": torch.zeros(3)}, other)
    with pytest.raises(DataError, match="not a distilled set"):
        exports.load_bytes(other.getvalue())


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def test_pickles_are_never_run(tmp_path):
    plain = pickle.dumps(Evil())
    npz, pt, old = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez(npz, images=np.array([Evil()], dtype=object))
    torch.save({"images": Evil()}, pt)
    torch.save({"images": torch.zeros(1)}, old, _use_new_zipfile_serialization=False)
    for content in (plain, npz.getvalue(), pt.getvalue()):
        with pytest.raises(DataError, match="pickle"):
            exports.load_bytes(content)
    with pytest.raises(DataError, match="not a distilled set"):
        exports.load_bytes(old.getvalue())


def test_tensors_larger_than_their_storage_are_refused():
    out = io.BytesIO()
    torch.save({"images": torch.zeros(1).expand(1 << 31, 4), "labels": torch.zeros(1)}, out)
    with pytest.raises(DataError, match="unpacks to 8,589,934,592 numbers"):
        exports.load_bytes(out.getvalue())
    out = io.BytesIO()
    torch.save({"images": torch.zeros(3, device="meta")}, out)
    with pytest.raises(DataError):
        exports.load_bytes(out.getvalue())


def test_npz_that_promises_more_than_it_holds():
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(16))
    with pytest.raises(DataError, match="unpacks to 1,099,511,627,776 numbers"):
        exports.load_bytes(out.getvalue())
    header.truncate(0)
    header.seek(0)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 20,)}
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(16))
    with pytest.raises(DataError, match="cut off"):
        exports.load_bytes(out.getvalue())


def test_zip_bombs_are_refused(monkeypatch):
    monkeypatch.setattr(foreign_files, "MAX_UNPACKED", 1 << 20)
    out = io.BytesIO()
    np.savez_compressed(out, images=np.zeros((2 << 20,), np.uint8))
    assert len(out.getvalue()) < 1 << 16
    with pytest.raises(DataError, match="unpacks to"):
        exports.load_bytes(out.getvalue())


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_IMAGES", 5, "6 images: expected at most 5|has 6 images"),
        ("MAX_BYTES", 400, "at most|2 GiB"),
        ("MAX_CHANNELS", 2, "3 channels"),
        ("MAX_SIDE", 5, "4 x 6 pixels"),
        ("MAX_META_BYTES", 100, "1 MiB"),
    ],
)
def test_oversize(limit, value, message, monkeypatch):
    content, *_ = exports.export_bytes(make(shape=(3, 4, 6)), "safetensors")
    monkeypatch.setattr(loading if limit == "MAX_META_BYTES" else checks, limit, value)
    with pytest.raises(DataError, match=message):
        exports.load_bytes(content)


@pytest.mark.parametrize(
    "changes",
    [
        {"images": np.full((6, 1, 4, 4), np.nan)},
        {"lrs": np.array([np.inf])},
        {"init_weights": {"w": np.array([np.nan])}},
        {"metrics": {"accuracy": float("nan")}},
        {"metrics": {"accuracy": object()}},
    ],
)
def test_not_finite_is_refused_on_writing(changes):
    for format in FILES:
        with pytest.raises(DataError):
            exports.export_bytes(make(**changes), format)


def test_not_finite_and_wrong_preprocessing_are_refused_on_reading():
    made = make()
    for name, value in [
        ("images", np.full_like(made.images, np.inf)),
        ("preprocess.mean", np.zeros(2, np.float32)),
        ("preprocess.std", np.zeros(1, np.float32)),
        ("preprocess.zca_matrix", np.eye(3, dtype=np.float32)),
        ("init.w", np.array([1j])),
    ]:
        arrays, meta = made.to_arrays()
        out = io.BytesIO()
        arrays |= {name: value}
        meta["sha256"] = checks.digest(arrays, meta)  # as a hostile writer would
        np.savez(out, **arrays, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8))
        with pytest.raises(DataError, match="expected"):
            exports.load_bytes(out.getvalue())


@pytest.mark.parametrize("format", EXACT)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_damaged_files_never_raise_anything_else(format, contents, data):
    content = bytearray(contents[format])
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = exports.load_bytes(bytes(content), "upload")
    except DataError as error:
        assert "upload" in str(error) and "\n" not in str(error)
    else:
        assert_same(found, make())  # what was changed is not part of the set
