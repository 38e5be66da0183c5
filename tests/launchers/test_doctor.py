"""`ddx doctor`: what it finds, and that every problem comes with what to do."""

import json
import sys

from ddcore.cli import main
from ddcore.tasks import clocks, doctor, locks


def findings(capsys, *words):
    code = main(["doctor", "--json", *words])
    return code, {each["what"]: each for each in json.loads(capsys.readouterr().out)}


def test_this_machine(store, capsys, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("DD_DEVICE", "cuda:0")
    monkeypatch.setattr(doctor, "LEAST_FREE", 0)
    code, found = findings(capsys)
    assert code == 0 and [*found] == ["store", "locks", "clock", "GPU", "compiler"]
    assert str(store.root) in found["store"]["said"] and "cuda:0" in found["GPU"]["said"]
    assert not [*(store.root / "slots").glob("*doctor*")]
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("ok   store: ")


def test_every_problem_has_a_cure(store, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "LEAST_FREE", 1 << 60)
    monkeypatch.setattr(doctor, "file_system", lambda path: "lustre")
    monkeypatch.setattr(locks, "is_held", lambda path: False)
    monkeypatch.setattr(clocks, "measure", lambda root: -400.0)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    code, found = findings(capsys)
    bad = {name for name, each in found.items() if not each["good"]}
    assert code == 1 and bad == {"store", "locks", "clock", "compiler"}
    assert all(found[name]["cure"] for name in bad) and "lustre" in found["locks"]["said"]
    monkeypatch.setenv("DD_CACHE", "/proc/nothing")
    assert not findings(capsys)[1]["store"]["good"]


def test_a_node_is_asked_by_one_job(store, cluster, capsys, monkeypatch):
    srun = cluster.home.parent / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nwhile [ "$1" != "{sys.executable}" ]; do shift; done\nexec "$@"\n')
    srun.chmod(0o755)
    found = findings(capsys)[1]
    assert found["Slurm"]["good"]
    node = next(name for name in found if name.startswith("node") and ":" not in name)
    assert "sees the store" in found[node]["said"]
    assert found[f"{node}: clock"]["good"] and "are seen there" in found[f"{node}: locks"]["said"]
    srun.write_text("#!/bin/sh\necho 'srun: error: invalid partition' >&2; exit 1\n")
    code, found = findings(capsys)
    assert code == 1 and "invalid partition" in found["node"]["said"] and found["node"]["cure"]
    cluster.set("refuse.squeue", "Unable to contact slurm controller")
    found = findings(capsys)[1]
    assert "Unable to contact" in found["Slurm"]["said"] and "node" not in found


def test_what_is_on_no_shared_file_system_is_said():
    said = doctor._judged({"node": "n1", "visible": False}, doctor.Path("/tmp/x/slots/y"))
    assert [each.good for each in said] == [False] and "DD_CACHE" in said[0].cure
    assert doctor.file_system(doctor.Path("/proc/self")) == "proc"
