"""The command line as a user meets it, in a process of its own."""

import json
import subprocess
import sys

import numpy as np
import pytest

from ddcore.cli import main
from ddcore.exports import load
from ddcore.methods import methods

SMALL = [
    "--set",
    "iterations=4",
    "--set",
    "net.width=4",
    "--set",
    "validations=1",
    "--set",
    "val_nets=1",
]


def run(*arguments):
    """(exit code, last stdout line, stderr)."""
    done = subprocess.run(
        [sys.executable, "-m", "ddcore", *arguments], capture_output=True, text=True, timeout=120
    )
    lines = done.stdout.strip().splitlines()
    return done.returncode, lines[-1] if lines else "", done.stderr


def last_json(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_distill_evaluate_export(store, tmp_path, capsys):
    code, line, err = run("distill", "dd2018", "--ipc", "1", *SMALL, "--seed", "3", "--json")
    assert code == 0, err
    answer = json.loads(line)
    assert answer["state"] == "done" and answer["seconds"] > 0 and answer["seed"] == 3
    for figure in (answer["test_accuracy"], *answer["baselines"].values()):
        assert 0 <= figure["mean"] <= 1 and figure["n"] >= 1
        assert figure["std"] is None if figure["n"] == 1 else figure["std"] >= 0
    assert set(answer["baselines"]) >= {"random", "class_mean"}
    key = answer["key"]

    assert main(["distill", "dd2018", *SMALL, "--seed", "3", "--json"]) == 0
    assert last_json(capsys)["key"] == key

    assert main(["list", "runs", "--json"]) == 0
    assert key in [r["key"] for r in last_json(capsys)]

    out = tmp_path / "set.npz"
    assert main(["export", key, "--format", "npz", str(out)]) == 0
    stored = store.find(key).arrays("set")
    assert np.array_equal(load(out).images, stored["images"])

    assert main(["verify", "--json"]) == 0
    assert last_json(capsys)["problems"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["distill", "magic"],
            "method = 'magic' is not allowed: expected one of " + ", ".join(methods()),
        ),
        (["distill", "dm", "--ipc", "0"], "ipc = 0 is not allowed"),
        (["distill", "dm", "--dataset", "no-such"], "no-such"),
        (["distill", "dm", "--preset", "best"], "preset = 'best'"),
        (["distill", "dm", "--set", "lr"], "write field=value"),
        (["distill", "dd2018", "--set", "setting=both"], "one of fixed, unknown"),
        (["evaluate", "0123456789abcdef"], "No task 0123456789abcdef"),
        (["export", "../secret", "--format", "npz", "x"], "is not a run key"),
    ],
)
def test_mistakes_are_one_sentence(store, capsys, arguments, words):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert words in err and err.startswith("error: ") and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("what", ["methods", "datasets", "protocols", "nets", "runs"])
def test_lists(store, capsys, what):
    assert main(["list", what, "--json"]) == 0
    assert isinstance(last_json(capsys), list)


def test_dry_run_estimates_and_starts_nothing(store, capsys):
    assert main(["distill", "dm", "--dry-run"]) == 0
    assert "of memory" in capsys.readouterr().out
    assert list(store.tasks("distill")) == []


def test_backend_imports_without_the_dashboard():
    """A compute node has torch but neither streamlit, plotly nor umap."""
    code = """
import sys
for name in ("streamlit", "plotly", "umap", "pandas", "pyarrow"):
    sys.modules[name] = None
import ddcore.cli, ddcore.runner, ddcore.evaluation, ddcore.baselines, ddcore.exports, analysis
print("ok")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "ok", done.stderr


def test_specs_and_store_import_without_torch():
    code = """
import sys
import ddcore.cli, ddcore.jobs, ddcore.estimate, ddcore.methods.spec, ddcore.evaluation_spec
import ddcore.distilled, ddcore.exports, ddcore.render, ddcore.data
assert "torch" not in sys.modules
print("ok")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "ok", done.stderr
