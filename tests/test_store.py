"""Store: atomicity, verification, damage, keys from links."""

import concurrent.futures
import contextlib
import errno
import json
import os
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddcore.base.errors import Damaged, NotReady, StoreUnusable
from ddcore.tasks import jobs
from ddcore.tasks.files import write_arrays, write_atomic, write_json
from ddcore.tasks.store import Store, Task
from ddcore.tasks.testing import SleepyTask


def test_a_result_exists_only_with_its_manifest(compute, store):
    spec = SleepyTask(steps=3)
    assert store.task(spec).status()["state"] == "missing"
    task = compute(spec)
    assert task.is_done() and task.result()["total"] == 3
    (task.folder / "done.json").unlink()
    assert not task.is_done()
    assert task.status()["state"] == "damaged" and "done.json is missing" in task.damage()
    with pytest.raises(Damaged, match="recompute"):
        task.result()
    with pytest.raises(NotReady, match="not been computed"):
        store.create(SleepyTask(steps=4)).result()


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
    assert task.status()["state"] == "damaged"
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
    with pytest.raises(StoreUnusable, match=r"No space left on device.*make room") as caught:
        write_json(path, {"new": 2})
    assert len(str(caught.value).splitlines()) == 1 and caught.value.errno == 28
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
    from ddcore.tasks.files import read_arrays

    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3).T, "b": np.array([1], np.int64)}
    write_arrays(tmp_path / "a.safetensors", arrays)
    again = read_arrays(tmp_path / "a.safetensors")
    assert all(np.array_equal(arrays[k], again[k]) for k in arrays)
    (tmp_path / "a.safetensors").write_bytes(b"nonsense")
    with pytest.raises(Damaged, match="is damaged"):
        read_arrays(tmp_path / "a.safetensors")


def test_many_threads_write_one_file_at_once(tmp_path):
    path = tmp_path / "status.json"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: write_json(path, {"by": i}), range(400)))
    assert set(json.loads(path.read_bytes())) == {"by"}
    assert [p.name for p in tmp_path.iterdir()] == ["status.json"]


def test_find_looks_at_one_key_only(store, compute, monkeypatch):
    wanted = compute(SleepyTask(steps=1))
    for seed in range(1, 20):
        store.create(SleepyTask(seed=seed))
    looked = set()
    real = Task.exists
    monkeypatch.setattr(Task, "exists", lambda self: looked.add(self.key) or real(self))
    assert store.find(wanted.key) == wanted
    assert looked == {wanted.key}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_store_that_cannot_be_written_is_one_sentence(store, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StoreUnusable, match=os.strerror(number)) as caught:
        store.create(SleepyTask())
    assert len(str(caught.value).splitlines()) == 1 and "DD_CACHE" in str(caught.value)


def test_a_store_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    store = Store(tmp_path / "cache", gallery=None)
    assert list(store.tasks()) == []
    with pytest.raises(StoreUnusable, match="where a folder should be"):
        jobs.submit(store, [SleepyTask()])


# --- damage ---------------------------------------------------------------------------------------

FILES = [
    "spec.json",
    "status.json",
    "events.jsonl",
    "done.json",
    "result.json",
    "arrays.safetensors",
    "snapshots/0000001.safetensors",
]


def flipped(content):
    """One bit, in the middle."""
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGE = {
    "bit": flipped,
    "short": lambda content: content[:-3],
    "empty": lambda content: b"",
    "list": lambda content: b"[1, 2]",
    "number": lambda content: b"1e999",
    "no-json": lambda content: b"{",
    "deep": lambda content: b"[" * 100_000,
    "no-text": lambda content: b"\xff\xfe\x00",
    "half": lambda content: b'{"state": "running", "heartbeat": "now", "files": {"a": 1}}',
    "odd": lambda content: (
        b'{"state": 5, "files": {"../x": {"size": 1, "sha256": "0"}}, "kind": 1}'
    ),
}


@pytest.fixture
def two(store, compute):
    """Two finished tasks with snapshots; the first is going to be damaged."""
    tasks = []
    for seed in (0, 1):
        task = compute(SleepyTask(steps=2, seed=seed))
        pixels = np.zeros((2, 1, 3, 3), np.float16)
        write_arrays(task.folder / "snapshots" / "0000001.safetensors", {"pixels": pixels})
        task.finish()
        tasks.append(task)
    return tasks


def damage(task, name, how):
    path = task.folder / name
    if how in DAMAGE:
        path.write_bytes(DAMAGE[how](path.read_bytes()))
        return
    path.unlink()
    if how == "folder":
        path.mkdir()


def read_everything(store):
    """Whatever lists and pages read; nothing but the two expected errors may come out."""
    found = {}
    for task in store.tasks():
        found[task.key] = jobs.state(task)["state"]
        for read in (task.result, task.arrays, task.events, task.document, task.spec):
            try:
                read()
            except (Damaged, NotReady) as error:
                assert len(str(error).splitlines()) == 1
        for step in task.snapshot_steps():
            with contextlib.suppress(Damaged, NotReady):
                task.snapshot(step)
        task.log(), task.bytes_on_disk(), task.has_checkpoint(), task.opens()
    return found


@pytest.mark.parametrize("how", [*DAMAGE, "missing", "folder"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_hurts_no_other_and_is_cured(two, store, compute, name, how):
    task, other = two
    damage(task, name, how)
    read_everything(store)
    states = read_everything(store)
    assert states[other.key] == "done" and other.verify() == []
    if name == "status.json":  # no result depends on it
        assert states[task.key] == "done"
        assert bool(task.verify()) == (how != "missing")
        return
    assert states[task.key] == "damaged" and not task.is_done()
    assert task.verify()
    if (name, how) != ("done.json", "bit"):  # a checksum of another file
        assert all(name in problem for problem in task.verify())
    assert task.key not in " ".join(jobs.prune(store)), "it may be looked at first"
    if name == "spec.json":
        with pytest.raises(Damaged):
            jobs.recompute(store, task)
    if how != "folder":
        compute(SleepyTask(steps=2))
        assert task.status()["state"] == "done" and task.verify() == []
        assert task.result()["total"] == 1 and len(task.events()) == 2
    store.delete(task)
    assert [t.key for t in store.tasks()] == [other.key]


@pytest.mark.parametrize("how", [*DAMAGE, "folder"])
def test_a_damaged_status_of_a_task_that_is_not_finished_is_damage(store, how):
    task = store.create(SleepyTask())
    task.write_status(state="cancelled", message="stopped", step=3)
    assert jobs.state(task)["state"] == "cancelled"
    damage(task, "status.json", how)
    assert jobs.state(task)["state"] == "damaged" and "status.json" in jobs.state(task)["message"]


def test_what_a_reader_found_is_known_to_all_and_verify_looks_again(two):
    task, _ = two
    path = task.folder / "arrays.safetensors"
    sound = path.read_bytes()
    path.write_bytes(flipped(sound))
    assert task.is_done()  # sizes only
    with pytest.raises(Damaged, match=f"recompute {task.key}"):
        task.arrays()
    assert jobs.state(task)["state"] == "damaged" and "arrays" in jobs.state(task)["message"]
    path.write_bytes(sound)  # from a backup
    assert task.verify() == [] and task.is_done()
    assert np.array_equal(task.arrays()["total"], [1])


def test_a_shipped_result_that_is_damaged_is_computed_in_the_own_store(two, tmp_path, monkeypatch):
    from ddcore.tasks import worker

    task, _ = two
    over = Store(tmp_path / "other", gallery=task.folder.parent.parent)
    path = task.folder / "result.json"
    path.write_bytes(flipped(path.read_bytes()))
    shipped = over.find(task.key)
    with pytest.raises(Damaged):
        shipped.result()
    assert not (task.folder / "damaged").exists()
    launched = []
    monkeypatch.setattr(jobs, "launch", launched.extend)
    own = jobs.recompute(over, shipped)
    assert launched == [own] and not own.shipped
    worker.run_task(over, own, own.spec(), "cpu")
    assert over.find(task.key) == own and own.result()["total"] == 1


def test_computing_again_leaves_nothing_of_the_damaged_result(two, compute):
    task, _ = two
    (task.folder / "stale.safetensors").write_bytes(b"of an older run")
    (task.folder / "upload").mkdir()
    (task.folder / "upload" / "0").write_bytes(b"what somebody brought")
    (task.folder / "done.json").write_bytes(b"{")
    compute(SleepyTask(steps=2))
    assert not (task.folder / "stale.safetensors").exists() and task.snapshot_steps() == []
    assert (task.folder / "upload" / "0").exists() and task.verify() == []


def test_a_spec_that_was_damaged_while_its_task_ran_is_written_anew(store, monkeypatch):
    from ddcore.tasks import worker

    spec = SleepyTask(steps=2)
    task = store.create(spec)
    (task.folder / "spec.json").write_bytes(b"{")
    worker.run_task(store, task, spec, "cpu")
    assert task.is_done() and task.verify() == [] and task.spec() == spec


def test_manifests_of_older_versions_are_valid(two):
    task, _ = two
    manifest = json.loads((task.folder / "done.json").read_bytes())
    for name in ("spec.json", "events.jsonl"):
        del manifest["files"][name]
    del manifest["check"]
    write_json(task.folder / "done.json", manifest)
    write_json(task.folder / "status.json", {"state": "done"})
    assert task.is_done() and task.verify() == [] and len(task.events()) == 2


def test_a_manifest_that_lost_a_line_is_damaged(two):
    task, _ = two
    manifest = json.loads((task.folder / "done.json").read_bytes())
    del manifest["files"]["events.jsonl"]
    write_json(task.folder / "done.json", manifest)
    assert "does not match its checksum" in task.verify()[0]
    with pytest.raises(Damaged, match="checksum"):
        task.result()


def test_a_document_says_only_what_its_key_stands_for(two):
    task, _ = two
    before = task.document()
    spec = json.loads((task.folder / "spec.json").read_bytes())
    write_json(task.folder / "spec.json", spec | {"module": "../.."})
    assert task.document() == before and "module" not in before


def test_a_folder_that_holds_the_spec_of_another_is_damaged(two, store):
    task, other = two
    shutil.copy(other.folder / "spec.json", task.folder / "spec.json")
    assert "holds the spec of" in task.damage()
    assert jobs.state(task)["state"] == "damaged" and other.is_done()
