"""What a file can cost: hostile files end in one sentence, and the process that asks stays as it was."""

import dataclasses
import io
import json
import time
from collections import OrderedDict

import numpy as np
import pytest
import torch

from benchmarks.hostile_files import (
    bombs,
    damaged,
    folders,
    good,
    images,
    npz,
    pt,
    torch_legacy,
    torch_zip,
    watched,
    wrong,
)
from ddcore.base import isolated
from ddcore.base.errors import DataError, SpecError
from ddcore.data import dataset_task, resolve
from ddcore.sets import checks, exports, foreign_files
from ddcore.sets.importers import examine, open_file
from ddcore.sets.importers.reading import read

MEGABYTES, SECONDS = (
    50,
    3,
)  # what reading in this very process may take; the server itself stays below


def sentence(error):
    """Whether it is one sentence for people, and no library's error."""
    text = str(error)
    return (
        isinstance(error, DataError)
        and "\n" not in text
        and 10 < len(text) < 500
        and text[-1] == "."
    )


# --- before anything is built ---------------------------------------------------------------------


@pytest.mark.parametrize("case", [*bombs(), *wrong()], ids=lambda case: case.name)
def test_checks_come_before_building(case):
    """In this process, where no limit holds: so it is the checks that keep files small."""
    answer, cost = watched(lambda: examine([open_file(c, n) for n, c in case.files]))
    assert cost.megabytes < MEGABYTES and cost.cpu_seconds < SECONDS
    if case.name not in ("half precision", "other byte order"):  # odd, and whole sets
        assert sentence(answer), answer


def test_damage_is_never_a_surprise():
    for case in damaged(300, seed=1):
        answer, cost = watched(lambda case=case: examine([open_file(c, n) for n, c in case.files]))
        assert not isinstance(answer, Exception) or sentence(answer), (case.name, answer)
        assert cost.megabytes < MEGABYTES and cost.cpu_seconds < SECONDS, case.name


def test_good_files_are_read():
    for name, given in good().items():
        report = examine([open_file(c, n) for n, c in given])
        np.testing.assert_array_equal(report.found.images, images(2)[0], err_msg=name)


# --- in a process of its own ----------------------------------------------------------------------

FEW = (
    "bytearray of 2 GB",
    "key of nested tuples, legacy",
    "npz of 390 MB",
    "facts of a million lists",
)


@pytest.mark.parametrize("case", [b for b in bombs() if b.name in FEW], ids=lambda case: case.name)
def test_the_server_stays_as_it_was(case):
    answer, cost = watched(lambda: read(case.files))
    assert sentence(answer) and cost.megabytes < 5 and cost.cpu_seconds < 2


@pytest.mark.slow
def test_the_server_stays_as_it_was_whatever_is_given():
    for case in [*bombs(), *wrong(), *damaged(70, seed=2)]:
        answer, cost = watched(lambda case=case: read(case.files))
        assert not isinstance(answer, Exception) or sentence(answer), (case.name, answer)
        assert cost.megabytes < 20 and cost.cpu_seconds < 2, case.name


def test_reports_come_back_whole():
    for name in ("dd2018", "own pt", "npz compressed"):
        here = examine([open_file(c, n) for n, c in good()[name]])
        there = read(good()[name])
        assert there.files == here.files and there.importer is here.importer
        assert dataclasses.asdict(there.facts) == dataclasses.asdict(here.facts)
        assert there.guess == here.guess and there.found.notes == here.found.notes
        np.testing.assert_array_equal(there.found.labels, here.found.labels)
        assert (there.found.made is None) == (here.found.made is None)
        assert there.found.steps == here.found.steps


def test_large_files_are_seen_and_not_copied():
    x = np.random.default_rng(0).random((20_000, 3, 16, 16), np.float32)  # 61 MB
    content = npz(images=x, labels=np.arange(20_000) % 10)
    answer, _ = watched(lambda: read([("large.npz", content)]))
    anonymous = private()
    assert answer.found.images.shape == x.shape
    assert np.array_equal(answer.found.images[123], x[123])
    assert isinstance(answer.found.images.base, np.memmap) or isinstance(
        answer.found.images, np.memmap
    )
    del answer
    assert private() > anonymous - 5  # MB: nothing of it was this process's own


def private():
    """Anonymous memory of this process, in MB."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def test_files_are_read_where_they_are(tmp_path):
    path = tmp_path / "mine.npz"
    path.write_bytes(good()["npz"][0][1])
    assert read([("mine.npz", path)]).facts.images == 20
    with pytest.raises(DataError, match=r"none\.npz cannot be read"):
        read([("none.npz", tmp_path / "none.npz")])


LIMITS = isolated.Limits(memory=200 << 20, cpu_seconds=1, written=10 << 20)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("fill", r"a\.pt takes more than 200 MB of memory to read"),
        ("spin", r"a\.pt takes more than 1 seconds to read"),
        ("crash", r"a\.pt takes more than|a\.pt could not be read"),
        ("write", r"a\.pt"),
        ("stumble", r"a\.pt made its reader fail"),
        ("allocate", r"a\.pt takes more than 200 MB of memory to read"),
    ],
)
def test_a_reader_that_takes_too_much_is_ended(tmp_path, function, words):
    name = f"tests.greedy:{function}"
    with pytest.raises(DataError, match=words) as raised:
        isolated.call(name, {}, tmp_path, LIMITS, what="a.pt")
    assert sentence(raised.value)


def test_answers_errors_and_progress_come_through(tmp_path):
    steps = []
    with pytest.raises(SpecError) as raised:
        name = "tests.greedy:refuse"
        isolated.call(
            name, {"value": 3}, tmp_path, LIMITS, "a.pt", lambda *step: steps.append(step)
        )
    assert (raised.value.field, raised.value.value, steps) == ("scale", 3, [(1, 2)])
    name = "tests.greedy:chatter"
    assert isolated.call(name, {"length": 3}, tmp_path, LIMITS, "a.pt") == "xxx"
    with pytest.raises(DataError, match="could not be read to its end"):
        isolated.call(name, {"length": isolated.MAX_ANSWER}, tmp_path, LIMITS, "a.pt")


def test_who_asks_can_give_up(tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    before = time.process_time()
    with pytest.raises(KeyboardInterrupt):
        name = "tests.greedy:refuse"
        isolated.call(name, {"value": 3}, tmp_path, LIMITS, "a.pt", stop)
    assert time.process_time() - before < 1


# --- torch's files without torch ------------------------------------------------------------------


def samples():
    """Values as published code stores them, and odder ones, of every type of tensor."""
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(6, 4, 5, generator=generator)
    kinds = (
        "float64",
        "float32",
        "float16",
        "bfloat16",
        "int64",
        "int32",
        "int16",
        "int8",
        "uint8",
    )
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    return {
        "types": {k: (10 * base).to(getattr(torch, k)) for k in kinds} | {"bool": base > 0},
        "views": [base[1:3], base.transpose(0, 2), base[:, 1], base[::2, 1:], base[0, 0, 0]],
        "shared": [base, base, base.view(-1)],
        "empty": [torch.zeros(0), torch.zeros(3, 0, 2), base[3:3]],
        "expanded": base[:1].expand(7, 4, 5),
        "state": net.state_dict(),
        "parameter": [torch.nn.Parameter(base), torch.nn.Parameter(base, requires_grad=False)],
        "nested": {"a": [1, -5, 2**40, 0.5, True, None, "text", (), {}], 3: OrderedDict(b=(1, 2))},
        "size": base.shape,
    }


def same(ours, theirs):
    """Whether plain values are those that torch reads."""
    if isinstance(theirs, torch.Tensor):
        wanted = theirs.detach()
        wanted = wanted.float() if wanted.dtype == torch.bfloat16 else wanted
        return ours.dtype == wanted.numpy().dtype and np.array_equal(ours, wanted.numpy())
    if isinstance(theirs, dict):
        pairs = zip(theirs.items(), ours.items(), strict=True)
        return all(k == str(key) and same(v, value) for (key, value), (k, v) in pairs)
    if isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and ours == theirs


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", samples())
def test_the_same_as_torch_reads(name, legacy):
    content = pt(samples()[name], legacy)
    theirs = torch.load(io.BytesIO(content), weights_only=True)
    assert same(foreign_files.tree(foreign_files.content(content, "a.pt")), theirs)


def test_storages_of_the_other_byte_order():
    import zipfile

    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(pt(torch.arange(5.0)))) as old,
        zipfile.ZipFile(out, "w") as new,
    ):
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith("byteorder"):
                content = b"big"
            elif "/data/" in entry.filename:
                content = np.frombuffer(content, "<f4").astype(">f4").tobytes()
            new.writestr(entry.filename, content)
    read_ = foreign_files.tree(foreign_files.content(out.getvalue(), "a.pt"))
    assert read_.tolist() == [0, 1, 2, 3, 4]


def test_few_names_are_known_to_a_pickle():
    for name in (
        b"os\nsystem",
        b"builtins\neval",
        b"torch\nload",
        b"torch.hub\nload",
        b"torch\nEvilStorage",
    ):
        for content in (torch_zip(b"c" + name + b"\n)R"), torch_legacy(b"c" + name + b"\n)R")):
            with pytest.raises(DataError, match="never loaded"):
                foreign_files.tree(foreign_files.content(content, "a.pt"))


# --- sets of our own, and own data ----------------------------------------------------------------


def test_own_exports_are_loaded_apart(tmp_path, monkeypatch):
    name, content = good()["own npz"][0]
    (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(foreign_files, "tree", None)  # nothing is read in this process
    made = exports.load(tmp_path / name)
    assert np.array_equal(made.images, images(2)[0]) and made.images.flags.writeable


def test_hostile_exports_are_refused(tmp_path):
    for case in bombs():
        if case.name in ("export of 1.5 GB", "facts of a million lists"):
            path = tmp_path / "set"
            path.write_bytes(case.files[0][1])
            answer, cost = watched(lambda path=path: exports.load(path))
            assert sentence(answer) and cost.megabytes < 20, case.name


QUICK = (
    "png of 9,000 a side",
    "parquet with a picture of 128 MB",
    "parquet that says 2 ** 40 rows",
)


def decode(compute, folder):
    """The error or the facts of decoding own data at 8 x 8 pixels."""
    return compute(dataset_task(resolve(str(folder), resolution=8))).result()["counts"]


def test_own_data_costs_the_worker_nothing(tmp_path, compute):
    for name, folder in folders(tmp_path, only=QUICK):
        answer, cost = watched(lambda folder=folder: decode(compute, folder))
        assert sentence(answer) and cost.megabytes < 20 and cost.cpu_seconds < 3, (name, answer)


@pytest.mark.slow
def test_hostile_own_data(tmp_path, compute):
    for name, folder in folders(tmp_path):
        answer, cost = watched(lambda folder=folder: decode(compute, folder))
        assert not isinstance(answer, Exception) or sentence(answer), (name, answer)
        assert cost.megabytes < 50 and cost.cpu_seconds < 3, name


def test_names_of_classes_in_exports_are_texts(tmp_path):
    for names in (
        list(range(10)),
        ["a"] * 10,
        {str(i): "ab"[i % 2] for i in range(10)},
        [None] * 10,
    ):
        arrays, meta = exports.load_bytes(good()["own npz"][0][1]).to_arrays()
        meta["class_names"] = names
        meta["sha256"] = checks.digest(arrays, meta)  # as a hostile writer would
        text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        with pytest.raises(DataError, match="names"):
            exports.load_bytes(npz(**arrays, meta=text))
