"""The command line as a user meets it, in a process of its own."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from ddcore.cli import follow, main
from ddcore.distil.contract import methods
from ddcore.measure import ranking
from ddcore.measure.spec import default_evaluation
from ddcore.nets.architectures import NetSpec
from ddcore.recipes import gallery
from ddcore.sets.exports import load
from ddcore.tasks.store import Store
from ddcore.tasks.testing import SleepyTask

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

    out.write_bytes(b"mine")
    assert main(["export", key, "--format", "npz", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err and out.read_bytes() == b"mine"
    assert main(["export", key, "--format", "npz", str(out), "--force"]) == 0
    assert np.array_equal(load(out).images, stored["images"])


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


def test_a_shipped_evaluation_is_found_by_the_networks_name(store, capsys):
    """The plain name of a set's own architecture stays its own network, and its key the same."""
    shipped = next(r for r in gallery.runs() if r.method == "dm" and r.ipc == 1)
    known = default_evaluation(shipped.key, shipped)
    for more in ([], ["--arch", "convnet"], ["--arch", "convnet-16"]):
        assert main(["evaluate", shipped.key, *more, "--json"]) == 0
        assert last_json(capsys)["evaluation"] == known.key


def test_a_set_is_judged_at_other_widths(store, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(follow, "compute", lambda store, spec: asked.append(spec) or given)
    shipped = next(r for r in gallery.runs() if r.method == "dm" and r.ipc == 1)
    given = Store().task(default_evaluation(shipped.key, shipped))
    arguments = ["evaluate", shipped.key, "--arch", "convnet-32", "convnet-128", "mlp-8", "mlp"]
    assert main([*arguments, "convnet-32"]) == 0
    own = shipped.net
    mlps = (NetSpec(arch="mlp", width=8), NetSpec(arch="mlp"))
    assert asked[0].archs == (own.replace(width=32), own.replace(width=128), *mlps)
    for wrong, words in (("convnet-x", "such as convnet-16"), ("vgg11", "not allowed")):
        assert main(["evaluate", shipped.key, "--arch", wrong]) == 2
        err = capsys.readouterr().err
        assert words in err and err.startswith("error: ") and len(err.strip().splitlines()) == 1
    assert len(asked) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mapping", "words"),
    [("linear", "exact: the weights"), ("affine", "not exact: the weights")],
)
def test_a_closed_form_is_called_exact_by_its_error_only(store, capsys, mapping, words):
    """Affine features need more than one image per class."""
    arguments = ["distill", "krr-exact", "--set", f"map={mapping}"]
    assert main([*arguments, "--no-evaluate"]) == 0
    lines = capsys.readouterr().out.splitlines()
    run = Store().find(lines[0].split()[1].rstrip(":"))  # shipped, or computed now
    error = run.result()["findings"]["weight_error"]
    assert lines[1].startswith(words) and f"{error:.1e}" in lines[1]
    assert (error < 1e-8) == (mapping == "linear")


@pytest.mark.slow
def test_improvement_over_random_says_when_labels_differ(store, capsys):
    """Solved labels are no gain of the images; class labels need no sentence."""
    small = ["--set", "real_batch=50", "--set", "val_nets=1"]
    assert main(["distill", "label-solve", *small]) == 0
    shown = capsys.readouterr().out
    assert "improvement over random: " in shown and ranking.LABELS_DIFFER in shown
    assert main(["distill", "dm", *SMALL]) == 0
    shown = capsys.readouterr().out
    assert "improvement over random: " in shown and "labels" not in shown


@pytest.mark.parametrize("what", ["methods", "datasets", "protocols", "nets", "runs"])
def test_lists(store, capsys, what):
    assert main(["list", what, "--json"]) == 0
    assert isinstance(last_json(capsys), list)


def test_a_dry_evaluation_estimates_and_starts_nothing(store, capsys):
    shipped = next(r for r in gallery.runs() if r.method == "dm" and r.ipc == 1)
    few, many = [], []
    for found, nets in ((few, "2"), (many, "900")):
        arguments = ["evaluate", shipped.key, "--nets", nets, "--protocol", "dc", "--dry-run"]
        assert main(arguments) == 0
        found.append(capsys.readouterr().out)
    assert "about" in few[0] and "from" in few[0] and few != many
    assert not list((store.root / "evaluate").glob("*"))


def test_an_evaluation_in_stages_is_asked_for_and_says_so(store, capsys):
    shipped = next(r for r in gallery.runs() if r.method == "seqmatch")
    assert main(["evaluate", shipped.key, "--stages", "2", "--dry-run"]) == 0
    assert "quick in 2 stages" in capsys.readouterr().out
    assert main(["evaluate", shipped.key, "--stages", "0", "--dry-run"]) == 2
    assert "stages = 0 is not allowed" in capsys.readouterr().err


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
import ddcore.cli, ddcore.distil.runner, ddcore.measure.accuracy, ddcore.measure.baselines
import ddcore.sets.exports, analysis
print("ok")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "ok", done.stderr


def test_specs_and_store_import_without_torch():
    code = """
import sys
import ddcore.cli, ddcore.tasks.jobs, ddcore.distil.estimate, ddcore.distil.settings, ddcore.measure.spec
import ddcore.sets.distilled, ddcore.sets.exports, ddcore.sets.render, ddcore.data
assert "torch" not in sys.modules
print("ok")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "ok", done.stderr


def damaged(store, compute):
    """A sound result, one with a flipped bit, one cut short, one without its spec."""
    tasks = [compute(SleepyTask(steps=2, seed=seed)) for seed in range(4)]
    paths = [t.folder / "arrays.safetensors" for t in tasks]
    content = bytearray(paths[1].read_bytes())
    content[-1] ^= 1
    paths[1].write_bytes(content)
    paths[2].write_bytes(paths[2].read_bytes()[:-1])
    (tasks[3].folder / "spec.json").write_bytes(b"[]")
    return tasks


def test_verify_names_what_is_damaged_and_recompute_mends_it(store, compute, capsys):
    tasks = damaged(store, compute)
    assert main(["verify", "--json"]) == 1
    answer = last_json(capsys)
    assert answer["checked"] > 4  # those of the gallery too
    assert answer["damaged"] == sorted(t.key for t in tasks[1:])
    assert all(any(str(t.folder) in p for p in answer["problems"]) for t in tasks[1:])
    assert main(["verify", tasks[2].key]) == 1
    assert f"python -m ddcore recompute {tasks[2].key}" in capsys.readouterr().out
    for command in (["jobs"], ["jobs", "--all"], ["list", "runs"]):
        assert main([*command, "--json"]) == 0
    assert main(["recompute", tasks[1].key, tasks[2].key, "--json"]) == 0
    assert [a["state"] for a in last_json(capsys)] == ["done", "done"]
    assert all(t.verify() == [] for t in tasks[:3])
    for key, words in ((tasks[0].key, "is not damaged"), (tasks[3].key, "spec.json")):
        assert main(["recompute", key]) == 2
        err = capsys.readouterr().err
        assert words in err and len(err.strip().splitlines()) == 1
    assert main(["prune", "--json"]) == 0 and last_json(capsys) == []
    assert main(["prune", tasks[3].key, "--json"]) == 0
    assert last_json(capsys) == [f"sleepy/{tasks[3].key}"]
    assert main(["verify"]) == 0


def test_prune_asks_before_it_deletes_results(store, compute, capsys):
    task = compute(SleepyTask(steps=1))
    for arguments in (["--state", "done"], [task.key]):
        assert main(["prune", *arguments]) == 2
        assert "--yes" in capsys.readouterr().err and task.is_done()
    assert main(["prune", "--state", "done", "--yes"]) == 0 and not task.folder.exists()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on device"),
        (errno.EROFS, "(Read-only file system)"),
        (errno.EACCES, "(Permission denied)"),
    ],
)
def test_a_store_that_cannot_be_written_is_one_sentence(store, capsys, monkeypatch, number, words):
    def refused(path, content):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("ddcore.tasks.files.write_atomic", refused)
    assert main(["distill", "dm", "--json"]) == 2
    printed = capsys.readouterr()
    assert words in printed.err and len(printed.err.strip().splitlines()) == 1
    assert json.loads(printed.out)["state"] == "failed"


@pytest.mark.parametrize("name", ["there.html", ".", "pipe", "there.html/x.html"])
def test_a_report_takes_the_place_of_nothing_and_says_so_before_it_computes(
    store, tmp_path, capsys, name
):
    from analysis.__main__ import main as analysis_main

    (tmp_path / "there.html").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    for command in ("report", "figures"):
        assert analysis_main([command, "--run", "0" * 16, str(tmp_path / name)]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"error: {tmp_path}") and len(err.strip().splitlines()) == 1
    assert (tmp_path / "there.html").read_text() == "mine"


def test_devices_are_not_read_to_their_end(store, capsys):
    assert main(["import", "/dev/zero", "--dataset", "digits"]) == 2
    assert "/dev/zero is not a file" in capsys.readouterr().err


# --- what can be set --------------------------------------------------------------------------------


def test_help_of_a_method_tells_its_fields(capsys):
    for arguments in (["distill", "rfad", "--help"], ["distill", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        assert "--dataset" in shown and "net.width" in shown and "data.zca_eps (0.1)" in shown
        assert ("lr_tau (0.01)" in shown) == ("rfad" in arguments)
    with pytest.raises(SystemExit):
        main(["distill", "magic", "--help"])
    assert "Name a method" in capsys.readouterr().out


def test_fields_tell_bounds_and_names(capsys):
    assert main(["fields", "dc"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "lr (0.1) Step size for the images. From 1e-07 to 100,000." in shown
    assert "The optimiser of the images. One of sgd, adam." in shown
    assert main(["fields", "dc", "--json"]) == 0
    assert {"field": "matches", "default": "1"}.items() <= last_json(capsys)["Of `dc`"][1].items()
    assert main(["fields"]) == 0 and "Of dc" not in capsys.readouterr().out
    assert main(["fields", "magic"]) == 2
