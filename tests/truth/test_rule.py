"""The truth imports nothing of ours, and its data are the data that our runs see."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from ddcore.base import rng
from ddcore.data import resolve
from ddcore.data.dataset import ensure
from tests.truth import digits, streams

FOLDER = Path(__file__).parent
ALLOWED = {"numpy", "scipy", "sklearn", "torch", "tests.truth"}
STANDARD = {"__future__", "dataclasses", "hashlib", "json", "math", "pathlib", "struct"}
TRUTH = [p for p in sorted(FOLDER.glob("*.py")) if not p.stem.startswith(("test_", "conftest"))]


def imported(path):
    """Modules named by import statements; those by other means are refused with the names they need."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(node.module if not node.level else "tests.truth")
        if isinstance(node, ast.Name) and node.id in ("__import__", "importlib", "exec", "eval"):
            found.add(node.id)
    return found


@pytest.mark.parametrize("path", TRUTH, ids=lambda p: p.stem)
def test_the_truth_imports_nothing_of_ours(path):
    for name in imported(path):
        of = name if name.startswith("tests.") else name.split(".")[0]
        assert of in ALLOWED | STANDARD, f"{path.name} imports {name}"


def test_the_rule_sees_every_way_of_importing(tmp_path):
    for line in (
        "import ddcore.base.rng",
        "from ddcore.base import rng",
        "def f():\n import analysis.contract",
    ):
        path = tmp_path / "module.py"
        path.write_text(line)
        assert {n.split(".")[0] for n in imported(path)} & {"ddcore", "analysis"}


def test_streams_are_as_stated():
    assert streams.derived(7, "net", 3) == rng.derive(7, "net", 3)
    ours, theirs = rng.generator(1, "a"), streams.of_torch(1, "a")
    assert torch.equal(torch.rand(5, generator=ours), torch.rand(5, generator=theirs))


@pytest.mark.parametrize(("fraction", "seed"), [(0.1, 0), (0.25, 3)])
def test_the_split_of_the_digits_is_as_stated(here, fraction, seed):
    ours = ensure(here, resolve("digits", val_fraction=fraction, split_seed=seed))
    truth = digits.load(fraction, seed)
    assert (ours.mean.item(), ours.std.item()) == pytest.approx((truth.mean, truth.std), rel=1e-6)
    for name in ("train", "val", "test"):
        part, images = getattr(truth, name), getattr(ours, f"{name}_images")
        assert np.array_equal(images, part.levels)
        assert np.array_equal(getattr(ours, f"{name}_labels"), part.labels)
        assert ours.preprocess(images) == pytest.approx(part.images, abs=2e-6)
