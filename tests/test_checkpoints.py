"""Checkpoints: damaged ones are never gone on from, the one before is, and people are told."""

import json

import numpy as np
import pytest
from safetensors.numpy import save

from ddcore.tasks import worker
from ddcore.tasks.checkpoints import Checkpoints
from ddcore.tasks.files import write_atomic
from ddcore.tasks.testing import SleepyTask

STATE = {"a": np.arange(3.0), "b": np.array(2), "c": np.zeros((0, 2), np.float32)}


def accept(meta):
    return ""


def test_the_newest_is_taken_and_only_two_are_kept(tmp_path):
    assert Checkpoints(tmp_path).load(accept) == (None, [])
    own = Checkpoints(tmp_path)
    for step in (5, 9, 7):  # a run may go back
        own.save({**STATE, "step": np.array(step)}, {"step": step})
    (arrays, meta), problems = Checkpoints(tmp_path).load(accept)
    assert meta["step"] == 7 == arrays["step"] and problems == []
    assert list(arrays) == ["a", "b", "c", "step"]
    assert all(
        np.array_equal(arrays[k], v) and arrays[k].dtype == v.dtype for k, v in STATE.items()
    )
    arrays["a"][0] = 1  # it is the reader's own
    assert len(list(own.folder.iterdir())) == 2


def test_a_flipped_bit_anywhere_falls_back_to_the_one_before(tmp_path):
    own = Checkpoints(tmp_path)
    for step in (1, 2):
        own.save(STATE, {"step": step})
    newest = max(own.folder.iterdir(), key=lambda p: b'"step": 2' in p.read_bytes())
    sound = newest.read_bytes()
    for place in range(len(sound)):
        newest.write_bytes(
            sound[:place] + bytes([sound[place] ^ 1 << place % 8]) + sound[place + 1 :]
        )
        again = Checkpoints(tmp_path)
        (_, meta), problems = again.load(accept)
        assert meta["step"] == 1 and len(problems) == 1
    again.save(STATE, {"step": 3})  # into the place of the damaged one
    assert Checkpoints(tmp_path).load(accept)[0][1]["step"] == 3
    assert sorted(p.name for p in own.folder.iterdir()) == ["0.checkpoint", "1.checkpoint"]


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 40, None])
def test_without_a_sound_one_the_task_begins_again(tmp_path, content):
    own = Checkpoints(tmp_path)
    for step in (1, 2):
        own.save(STATE, {"step": step})
    for path in list(own.folder.iterdir()):
        path.unlink()
        path.mkdir() if content is None else path.write_bytes(content)
    found, problems = Checkpoints(tmp_path).load(accept)
    assert found is None and len(problems) == 2 and list(own.folder.iterdir()) == []


def test_what_a_killed_write_left_goes_whatever_it_has_become(tmp_path):
    own = Checkpoints(tmp_path)
    own.save(STATE, {"step": 1})
    (own.folder / ".1.checkpoint.7.abcd.tmp").write_bytes(b"half")
    (own.folder / ".0.checkpoint.8.abcd.tmp" / "inside").mkdir(parents=True)
    found, problems = Checkpoints(tmp_path).load(accept)
    assert found[1]["step"] == 1 and problems == []
    assert [p.name for p in own.folder.iterdir()] == ["1.checkpoint"]


def test_one_of_an_older_version_is_said_and_not_used(tmp_path):
    meta = json.dumps({"step": 4, "seconds": 0, "cpu_seconds": 0})
    old = tmp_path / "checkpoint" / "state.safetensors"
    write_atomic(old, save({"total": np.array(6.0)}, metadata={"meta": meta}))
    found, problems = Checkpoints(tmp_path).load(accept)
    assert found is None and "older version" in problems[0] and not old.exists()


class Killed(BaseException):
    pass


@pytest.fixture
def stopped(store, compute, monkeypatch):
    """A task that was killed after 4 of 6 steps, each with a checkpoint."""

    def dying(self, step, total, message="", progress=worker.Context.progress, **metrics):
        progress(self, step, total, message, **metrics)
        if step == 4:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(worker.Context, "progress", dying)
        with pytest.raises(Killed):
            compute(SleepyTask(steps=6))
    return store.task(SleepyTask(steps=6))


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_task_goes_on_from_the_last_sound_one_and_says_so(stopped, compute, capsys, damaged):
    files = sorted((stopped.folder / "checkpoint").iterdir(), key=lambda p: p.stat().st_mtime_ns)
    for path in files[2 - damaged :]:
        content = bytearray(path.read_bytes())
        content[-1] ^= 4
        path.write_bytes(content)
    task = compute(SleepyTask(steps=6))
    start = {1: 3, 2: 0}[damaged]
    assert task.result() == {"total": 15.0, "resumed_from": start}
    assert [e["step"] for e in task.events() if "value" in e] == [1, 2, 3, 4, 5, 6]
    notes = [e["note"] for e in task.events() if "note" in e]
    assert len(notes) == damaged and all("checkpoint did not match" in note for note in notes)
    assert ("step 3" if start else "the beginning") in notes[0]
    assert notes[0] in capsys.readouterr().err


def test_a_result_file_that_was_damaged_before_the_end_is_not_sealed(store, compute, monkeypatch):
    """Files written before a checkpoint are compared with what was written when going on from it."""

    def run(context):
        found = context.load_checkpoint()
        start = found[1]["step"] if found else 0
        starts.append(start)
        for part in range(start, 4):
            if part == 3 and len(starts) == 1:
                raise Killed
            context.save_arrays({"x": np.full(8, part)}, f"part-{part}")
            context.save_snapshot(part, {"pixels": np.full((1, 1, 2, 2), part, np.float32)})
            context.save_checkpoint(part + 1, {}, {})
        context.save_result({})

    starts = []
    monkeypatch.setattr("ddcore.tasks.testing.run_sleepy", run)
    spec = SleepyTask()
    with pytest.raises(Killed):
        compute(spec)
    task = store.task(spec)
    for name in ("part-2.safetensors", "snapshots/0000000.safetensors"):
        content = bytearray((task.folder / name).read_bytes())
        content[-1] ^= 1
        (task.folder / name).write_bytes(content)
    compute(spec)
    assert starts == [0, 2], "the checkpoint before that file"
    assert [task.arrays(f"part-{i}")["x"][0] for i in range(4)] == [0, 1, 2, 3]
    assert task.snapshot_steps() == [1, 2, 3], "what is only for the eye is left out"
    assert task.verify() == [] and any("part-2" in e.get("note", "") for e in task.events())
