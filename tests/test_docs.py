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
from ddcore.cli import fields
from ddcore.distil.contract import methods
from ddcore.graphs.contract import graph_methods
from ddcore.graphs.measure_spec import GRAPH_BASELINES
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
    assert {*graph_methods(), *GRAPH_BASELINES} <= words("docs/graphs.md")
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


def test_the_page_of_fields_is_what_specs_declare():
    groups = fields.of_methods(methods()) | fields.of_runs() | fields.of_graphs(graph_methods())
    told = fields.markdown(groups)
    shown = (paths.PROJECT / "docs" / "fields.md").read_text()
    assert shown == told + "\n", "run `ddx fields --table > docs/fields.md`"


def test_features_are_numbered_judged_and_shown_by_tests_that_exist():
    text = (paths.PROJECT / "docs/features.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if re.match(r"\| \d", line)]
    assert [int(row[0]) for row in rows] == list(range(1, 41))
    for number, _, here, shown in rows:
        word = here.split(":")[0].strip()
        assert word in ("yes", "partly", "no"), number
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", shown)
        assert bool(named) == (word != "no"), number
        for file, name in named:
            source = (paths.PROJECT / file).read_text(encoding="utf-8")
            assert re.search(rf"^def {name}\(", source, re.MULTILINE), f"{number}: {file}::{name}"
