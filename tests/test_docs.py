"""What the documents say about places, settings, commands and names is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import ddcore.cli.program
import ddx
from analysis import analyses
from ddcore.base import paths
from ddcore.distil.contract import methods
from ddcore.sets.formats import FORMATS

DOCS = sorted([*paths.PROJECT.glob("*.md"), *(paths.PROJECT / "docs").glob("*.md")])
EACH = pytest.mark.parametrize("file", DOCS, ids=lambda f: f.stem)


def words(file: str) -> set[str]:
    """What a document sets as code."""
    return set(re.findall(r"`([^`\n]+)`", (paths.PROJECT / file).read_text()))


@EACH
def test_links_lead_somewhere(file):
    for target in re.findall(r"\]\(([^)#]+)\)", file.read_text()):
        assert target.startswith("https://") or (file.parent / target).exists(), target


@EACH
def test_files_that_are_named_are_there(file):
    named = re.findall(
        r"`((?:ddcore|analysis|pages|tests|docs|benchmarks)/[\w./]+)`", file.read_text()
    )
    for name in named:
        assert (paths.PROJECT / name).exists(), name


def test_every_variable_is_told_and_no_other():
    code = [
        f
        for room in ("ddcore", "analysis", "pages")
        for f in Path(paths.PROJECT, room).rglob("*.py")
    ]
    found = {
        v
        for f in [*code, paths.PROJECT / "serve.py"]
        for v in re.findall(r"\bDD_[A-Z_]+\b", f.read_text())
    }
    told = {word for word in words("docs/settings.md") if word.startswith("DD_")}
    assert told == found


def test_methods_analyses_and_formats_that_are_told_exist():
    rows = re.findall(
        r"^\| ((?:`[\w-]+`(?:, )?)+) \|", (paths.PROJECT / "docs/methods.md").read_text(), re.M
    )
    told = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    assert told and told <= {*methods()}
    rows = re.findall(
        r"^\| ((?:`[\w-]+`(?:, )?)+) \|", (paths.PROJECT / "docs/analyses.md").read_text(), re.M
    )
    told = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    assert told and told <= {*analyses()}
    assert {*FORMATS} <= words("docs/formats.md")


def commands():
    """Every line of a document that starts with ddx."""
    for file in DOCS:
        for line in re.findall(r"^    ddx (.+)$", file.read_text(), re.M):
            if "[" not in line:
                yield pytest.param(line, id=line.split("  ")[0])


@pytest.mark.parametrize("line", commands())
def test_every_command_is_understood(line, monkeypatch):
    """By the parser that it reaches; nothing is computed."""
    seen = []
    for module in (ddcore.cli, ddcore.cli.program):  # analyses ask the package
        monkeypatch.setattr(
            module,
            "execute",
            lambda parser, arguments: seen.append(parser.parse_args(arguments)),
        )
    ddx.main(shlex.split(line, comments=True))
    assert seen or "--help" in line
