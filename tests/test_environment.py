"""Environment variables and places: nonsense is refused in one sentence, on the command line and by pages."""

import os
import subprocess
import sys

import pytest

from ddcore.base import environment, paths
from ddcore.base.errors import SpecError, short
from ddcore.cli import main

NONSENSE = {
    "DD_CHECKPOINT_S": ["soon", "-1", "nan", "inf", "1e9"],
    "DD_THREADS": ["0", "-2", "2.5", "many", "²", "1" * 5000],
    "DD_DEVICE": ["../x", "/etc/passwd", "gpu"],
    "DD_MEASURE": ["yes", "2"],
    "DD_SLOTS_PER_DEVICE": ["0", "some", "65"],
    "DD_SPLIT": ["0", "some", "65"],
    "DD_DECODED_GB": ["0", "4.5", "lots"],
    "DD_SELECTION_PARTS": ["0", "1001", "all"],
    "DD_LAUNCHER": ["pbs", "Slurm"],
    "DD_LAUNCHED": ["local", "x"],
    "DD_SLURM": ["gpu", "--account='my"],
    "DD_RAY": ["127.0.0.1:8265", "http://a b", "file:///etc/passwd"],
    "DD_COMPILE": ["yes", "2"],
    "DD_CACHE": ["~nosuchuser/x", "/etc/passwd", "/etc/passwd/x", "/tmp/" + "x" * 5000],
    "DD_DATA": ["/etc/passwd", "~nosuchuser"],
}
CASES = [(name, value) for name, values in NONSENSE.items() for value in values]


@pytest.mark.parametrize("name, value", CASES)
def test_nonsense_names_variable_value_and_what_is_allowed(monkeypatch, capsys, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SpecError, match=f"^{name} = .* is not allowed: expected .*") as refused:
        environment.check()
    assert short(repr(value)) in str(refused.value) and "\n" not in str(refused.value)
    assert main(["list", "methods"]) == 2
    printed = capsys.readouterr()
    assert printed.err == f"error: {refused.value}\n" and printed.out == ""


def test_what_is_allowed(monkeypatch):
    for value in ("cpu", "auto", "cuda", "cuda:11", "mps", ""):
        monkeypatch.setenv("DD_DEVICE", value)
        environment.device()
    monkeypatch.setenv("DD_CHECKPOINT_S", "0.05")
    assert environment.checkpoint_seconds() == 0.05
    monkeypatch.setenv("DD_THREADS", "3")
    assert environment.threads() == 3
    monkeypatch.setenv("DD_MEASURE", "0")
    assert not environment.measures()
    for value in ("auto", "0", "1"):
        monkeypatch.setenv("DD_COMPILE", value)
        assert environment.compiling() == value


def test_relative_places_are_absolute_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DD_CACHE", "a/../b")
    monkeypatch.delenv("DD_DATA", raising=False)
    assert paths.store_root() == tmp_path / "b"
    assert paths.data_root() == tmp_path / "b" / "data"


def test_in_a_process_of_its_own_there_is_no_traceback(tmp_path):
    file = tmp_path / "file"
    file.touch()
    command = [sys.executable, "-m", "ddcore", "distill", "dm"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"DD_CACHE": str(file)}
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        f"error: DD_CACHE = {str(file)!r} is not allowed: expected a folder; {file} is a file.\n"
    )
