"""The command `ddx`: each command reaches the program that knows it, and nothing is loaded before that."""

from __future__ import annotations

import subprocess
import sys

import pytest

import analysis.__main__
import ddcore.cli
import ddx
from ddcore.base import paths


@pytest.fixture
def asked(monkeypatch):
    """What the two command lines were called with."""
    found = []
    for name, module in (("ddcore", ddcore.cli), ("analysis", analysis.__main__)):

        def program(arguments, prog, name=name):
            found.append((name, *arguments))
            return 0

        monkeypatch.setattr(module, "main", program)
    return found


@pytest.mark.parametrize(
    ("arguments", "reached"),
    [
        ("list methods", ["ddcore list methods"]),
        ("list analyses --json", ["analysis list --json"]),
        ("distil dm --ipc 1", ["ddcore distill dm --ipc 1"]),
        ("distill dm --help", ["ddcore distill dm --help"]),
        ("analyse pixels --run 0", ["analysis pixels --run 0"]),
        ("analyze list", ["analysis list"]),
        ("report --run 0 out.html", ["analysis report --run 0 out.html"]),
        ("figures --run 0 out.zip", ["analysis figures --run 0 out.zip"]),
        ("paper 0 1", ["analysis paper 0 1"]),
        ("continual --ipc 5", ["analysis continual --ipc 5"]),
        ("search --run 0", ["analysis search --run 0"]),
        ("verify", ["ddcore verify"]),
        ("gallery --json", ["ddcore gallery --json", "analysis gallery --json"]),
        ("gallery --table", ["ddcore gallery --table"]),
        ("gallery --recipes", ["ddcore gallery --recipes", "analysis gallery --recipes"]),
        (
            "gallery --only dm --only race --only kip",
            ["ddcore gallery --only=dm --only=kip", "analysis gallery --only=race"],
        ),
    ],
)
def test_a_command_reaches_the_program_that_knows_it(asked, arguments, reached):
    assert ddx.main(arguments.split()) == 0
    assert [" ".join(each) for each in asked] == reached


def test_what_is_not_shipped_is_named(asked, capsys):
    with pytest.raises(SystemExit):
        ddx.main(["gallery", "--only", "magic"])
    assert "only = 'magic' is not allowed: expected one of bptt" in capsys.readouterr().err
    assert not asked


def test_unknown_commands_and_mistakes_end_as_everywhere(capsys):
    with pytest.raises(SystemExit) as ended:
        ddx.main(["distll"])
    assert ended.value.code == 2 and "usage: ddx " in capsys.readouterr().err


def test_app_starts_the_server_in_the_projects_folder(monkeypatch):
    started = []
    monkeypatch.setattr(ddx.os, "chdir", started.append)
    monkeypatch.setattr(ddx.os, "execv", lambda program, arguments: started.append(arguments))
    ddx.main(["app", "--port", "8600"])
    assert started == [paths.PROJECT, [sys.executable, "serve.py", "--port", "8600"]]


def test_outside_a_checkout_it_says_how_to_install(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(paths, "GALLERY", tmp_path / "none")
    assert ddx.main(["list", "methods"]) == 2
    assert "pip install -e ." in capsys.readouterr().err


def test_help_and_version_load_nothing_heavy():
    heavy = "{'numpy', 'torch', 'tqdm', 'analysis', 'streamlit', 'ddcore.cli'}"
    code = f"import sys, ddx; ddx.main(); print(sorted({heavy} & set(sys.modules)))"
    for option, words in (("--help", "ddx analyse"), ("--version", ddcore.__version__)):
        done = subprocess.run(
            [sys.executable, "-c", code, option], capture_output=True, text=True, cwd=paths.PROJECT
        )
        assert words in done.stdout and done.stdout.endswith("[]\n"), done.stdout + done.stderr
