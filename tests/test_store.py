"""Store: atomicity, verification, damage, keys from links."""

import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddcore.errors import Damaged, NotReady
from ddcore.store import Store, write_arrays, write_atomic, write_json
from ddcore.testing import SleepyTask


def test_a_result_exists_only_with_its_manifest(compute, store):
    spec = SleepyTask(steps=3)
    assert store.task(spec).status()["state"] == "missing"
    task = compute(spec)
    assert task.is_done() and task.result()["total"] == 3
    (task.folder / "done.json").unlink()
    assert not task.is_done()
    assert task.status()["state"] == "lost"
    with pytest.raises(NotReady):
        task.result()


def test_flipped_byte_is_named(compute):
    task = compute(SleepyTask(steps=2))
    path = task.folder / "arrays.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged, match=r"arrays\.safetensors does not match its checksum"):
        task.arrays()
    assert "does not match its checksum" in task.verify()[0]


@pytest.mark.parametrize("name", ["arrays.safetensors", "result.json"])
def test_truncated_or_missing_file_means_not_done(compute, name):
    task = compute(SleepyTask(steps=2))
    path = task.folder / name
    path.write_bytes(path.read_bytes()[:-3])
    assert not task.is_done()
    path.unlink()
    assert not task.is_done()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1, 2"])
def test_damaged_json_is_survived(compute, store, content):
    task = compute(SleepyTask(steps=2))
    (task.folder / "status.json").write_bytes(content)
    assert task.status()["state"] == "done"
    (task.folder / "done.json").write_bytes(content)
    assert task.status()["state"] == "lost"
    assert [t.key for t in store.tasks()] == [task.key]


def test_half_written_event_is_left_out(compute):
    task = compute(SleepyTask(steps=3))
    with open(task.folder / "events.jsonl", "ab") as f:
        f.write(b'{"step": 4, "to')
    assert [e["step"] for e in task.events()] == [1, 2, 3]


def test_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"new": 2})
    assert json.loads(path.read_bytes()) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(content=st.binary(max_size=300))
def test_atomic_write_round_trip(tmp_path, content):
    write_atomic(tmp_path / "x", content)
    assert (tmp_path / "x").read_bytes() == content


@pytest.mark.parametrize("key", ["../../etc", "", "x" * 16, "0123", "0" * 17, "ABCDEF0123456789"])
def test_keys_from_links_are_not_trusted(store, key):
    with pytest.raises(NotReady, match="is not a run key"):
        store.find(key)


def test_gallery_lies_beneath_and_is_read_only(tmp_path, compute, store):
    spec = SleepyTask(steps=2)
    compute(spec)
    over = Store(tmp_path / "other", gallery=store.root)
    task = over.task(spec)
    assert task.shipped and task.result()["total"] == 1
    assert [t.shipped for t in over.tasks()] == [True]
    with pytest.raises(NotReady, match="shipped gallery"):
        over.delete(task)
    assert over.find(task.key) == task


def test_verify_finds_a_swapped_spec(compute):
    task = compute(SleepyTask(steps=2))
    write_json(task.folder / "spec.json", SleepyTask(steps=3).document())
    assert any("holds the spec of" in p for p in task.verify())


def test_arrays_round_trip(tmp_path):
    from ddcore.store import read_arrays

    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3).T, "b": np.array([1], np.int64)}
    write_arrays(tmp_path / "a.safetensors", arrays)
    again = read_arrays(tmp_path / "a.safetensors")
    assert all(np.array_equal(arrays[k], again[k]) for k in arrays)
    (tmp_path / "a.safetensors").write_bytes(b"nonsense")
    with pytest.raises(Damaged, match="is damaged"):
        read_arrays(tmp_path / "a.safetensors")
