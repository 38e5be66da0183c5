"""A word means one thing: no two product files define a class of the same name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ddcore.base import paths

PRODUCT = ("ddcore", "analysis", "pages", "app.py", "serve.py", "ddx.py")
# Names that several files may define, and why.
SEVERAL: dict[str, str] = {}


def files() -> Iterator[Path]:
    for name in PRODUCT:
        place = paths.PROJECT / name
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [place]


def defined(source: str) -> list[str]:
    """Public classes, and types that are called by a name as if they were: `Weights = dict[...]`."""
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
            names = [t.id for t in node.targets if isinstance(t, ast.Name)]
            found += [n for n in names if n[0].isupper() and not n.isupper()]
    return [name for name in found if not name.startswith("_")]


def test_classes_and_aliases_are_told_apart_from_constants():
    source = "class A: ...\nclass _B: ...\nC = dict[str, int]\nWeights = dict[str, int]\nx = a[0]\n"
    assert defined(source) == ["A", "Weights"]


def test_no_two_files_define_a_class_of_the_same_name():
    where: dict[str, list[str]] = defaultdict(list)
    for path in files():
        for name in defined(path.read_text()):
            where[name].append(str(path.relative_to(paths.PROJECT)))
    assert len(where) > 300  # it looks where the classes are
    several = {name: found for name, found in where.items() if len(found) > 1}
    assert set(several) == set(SEVERAL), several
