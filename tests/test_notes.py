"""Names, tags and stars: beside the folders, part of no key, safe with two dashboards."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from ddcore.base.errors import NotReady, SpecError
from ddcore.tasks import notes
from ddcore.tasks.store import Store
from ddcore.tasks.testing import SleepyTask


@pytest.fixture
def key(store, compute) -> str:
    return compute(SleepyTask(steps=1)).key


def test_nothing_is_written_at_first(store, key):
    assert notes.read(store.root, key) == notes.NOTHING
    assert notes.every(store.root) == {}


def test_a_change_leaves_the_rest(store, key):
    notes.change(store, key, name="  Figure 2,\nleft ", starred=True, add=["paper", "b"])
    notes.change(store, key, text="Two lines.\nHere.", add=["a"], drop=["b", "unknown"])
    found = notes.read(store.root, key)
    assert found == notes.Note("Figure 2, left", "Two lines.\nHere.", ("a", "paper"), True)
    assert notes.every(store.root) == {key: found}


def test_no_key_and_no_result_changes(store, key):
    task = store.find(key)
    before = {p: p.read_bytes() for p in task.folder.rglob("*") if p.is_file()}
    notes.change(store, key, name="A name", add=["tag"])
    assert {p: p.read_bytes() for p in task.folder.rglob("*") if p.is_file()} == before
    assert task.verify() == [] and task.spec().key == key
    assert [t.key for t in store.tasks()] == [key]


def test_an_empty_note_leaves_no_file(store, key):
    notes.change(store, key, name="A name", add=["tag"], starred=True)
    notes.change(store, key, name="", drop=["tag"], starred=False)
    assert not list((store.root / notes.FOLDER).iterdir())


def test_shipped_runs_have_notes_in_the_own_store(store, key, tmp_path):
    over = Store(tmp_path / "own", gallery=store.root)
    notes.change(over, key, name="Shipped")
    assert notes.read(over.root, key).name == "Shipped"
    assert notes.read(store.root, key) == notes.NOTHING


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "x" * 81}, "name = .* at most 80 letters"),
        ({"name": "a\0b"}, "name = .* one line"),
        ({"name": "\ud800"}, "name = .* one line"),
        ({"text": "x" * 2001}, "note = .* at most 2000 letters"),
        ({"add": ["a,b"]}, "tag = 'a,b' is not allowed: expected 1 to 30 letters without commas"),
        ({"add": [" "]}, "tag = ' ' is not allowed"),
        ({"add": [str(i) for i in range(13)]}, "at most 12"),
    ],
)
def test_what_cannot_be_kept_is_one_sentence(store, key, given, words):
    with pytest.raises(SpecError, match=words):
        notes.change(store, key, **given)
    assert notes.read(store.root, key) == notes.NOTHING


def test_a_task_that_is_not_there_gets_no_note(store):
    with pytest.raises(NotReady, match="No task"):
        notes.change(store, "0" * 16, name="x")
    with pytest.raises(NotReady, match="not a run key"):
        notes.change(store, "../../x", name="x")


@pytest.mark.parametrize(
    "content", ["{", "[]", "null", '{"name": 3, "tags": "a", "starred": 1, "text": []}']
)
def test_a_file_that_is_no_note_hurts_no_list(store, key, content):
    notes.change(store, key, name="x")
    (store.root / notes.FOLDER / f"{key}.json").write_text(content)
    assert notes.read(store.root, key) == notes.NOTHING
    assert notes.every(store.root) == {}
    notes.change(store, key, name="Again")
    assert notes.read(store.root, key).name == "Again"


def test_tags_edited_by_hand_are_taken_as_far_as_they_are_texts(store, key):
    notes.change(store, key, name="x")
    path = store.root / notes.FOLDER / f"{key}.json"
    path.write_text(json.dumps({"name": "x", "tags": ["b", 1, "a"], "more": 1}))
    assert notes.read(store.root, key) == notes.Note("x", tags=("a", "b"))


def test_two_dashboards_lose_nothing_of_each_other(store, key):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: notes.change(store, key, add=[f"t{i}"]), range(10)))
    assert notes.read(store.root, key).tags == tuple(sorted(f"t{i}" for i in range(10)))
