"""Names, tags, deleting and restoring from the command line."""

from __future__ import annotations

import json

import pytest

from ddcore.cli import main
from ddcore.tasks import notes
from tests.pages import fakes


@pytest.fixture
def run(store):
    return fakes.done(store, fakes.spec())


@pytest.fixture
def said(capsys):
    """What a command answers, as a program reads it."""

    def call(*line: str) -> object:
        assert main([*line, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call


def test_writing_on_a_run(store, run, said):
    said("note", run.key, "--name", "Figure 2", "--star")
    said("tag", run.key, "paper", "b")
    answer = said("tag", run.key, "b", "--remove")
    assert answer["tags"] == ["paper"] and answer["starred"] is True
    assert notes.read(store.root, run.key) == notes.Note("Figure 2", tags=("paper",), starred=True)
    said("note", run.key, "--no-star", "--name", "")
    assert notes.read(store.root, run.key) == notes.Note(tags=("paper",))


def test_deleting_and_restoring(run, said):
    assert said("delete", run.key) == [f"distill/{run.key}"]
    assert said("restore")[0].startswith(f"distill/{run.key}  2")
    assert said("restore", run.key) == [f"distill/{run.key}"] and run.is_done()
    said("delete", run.key)
    assert said("restore", "--empty") == [f"distill/{run.key}"] and said("restore") == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["note", "0" * 16, "--name", "x"], "No task"),
        (["delete", "../x"], "not a run key"),
        (["restore", "0" * 16], "No task 0000000000000000 is in the trash"),
        (["restore", "0" * 16, "--empty"], "Either keys or --empty"),
    ],
)
def test_mistakes_are_one_line(store, capsys, line, words):
    assert main(line) == 2
    assert words in capsys.readouterr().err
