"""What tasks were said to take, and what they took: seconds of a processor and memory.

Every case is asked for in a store of its own beside the shipped runs, as on a machine where the dashboard has
just been installed and has measured its speed; only the data were decoded before, so networks that a case
needs count on both sides. Then it runs in a process of its own, whose processor seconds, without those of
compiling, and whose largest resident memory are printed beside the estimate.

    python benchmarks/estimates.py [CASE ...] [--compiled] [--threads 1]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from analysis import settings as of_analyses
from analysis.contract import ANALYSES
from analysis.runs import choose
from benchmarks.machine import describe
from ddcore.base.specs import TaskSpec
from ddcore.base.texts import duration, size
from ddcore.data import dataset_task, resolve
from ddcore.data.spec import form
from ddcore.distil.settings import make_spec
from ddcore.measure.spec import default_evaluation, run_of
from ddcore.nets.architectures import NetSpec
from ddcore.pools.trajectory_spec import TrajectoryTask
from ddcore.tasks import worker
from ddcore.tasks.launchers import needs
from ddcore.tasks.store import Store, Task
from ddcore.training.protocols import PROTOCOLS
from ddcore.training.speed import here, seconds_of

Make = Callable[[Store], TaskSpec]


def distil(method: str, data: str, width: int = 0, preset: str = "quick", **changed: Any) -> Make:
    """A run of ten images per class; `width` that of its network, where it is not the preset's."""

    def make(store: Store) -> TaskSpec:
        wanted = resolve(data)
        texts = [(k, str(v)) for k, v in changed.items()]
        spec = make_spec(
            method, wanted, form(wanted)[0], ipc=10, seed=7, preset=preset, settings=texts
        )
        return spec.replace(net=spec.net.replace(width=width)) if width else spec

    return make


def evaluate(data: str, width: int, nets: int, protocol: str = "t300") -> Make:
    """An evaluation of the shipped run of dm with ten images per class."""

    def make(store: Store) -> TaskSpec:
        run = shipped(store, data)["dm"]
        net = NetSpec(width=width, depth=2 if data == "digits" else 3)
        changes = {"protocol": PROTOCOLS[protocol], "nets": nets, "archs": (net,), "seed": 7}
        return default_evaluation(run.key, run_of(run), **changes)

    return make


def analyse(name: str, data: str = "cifar10", preset: str = "quick", **changed: Any) -> Make:
    """An analysis of the four shipped families of sets."""

    def make(store: Store) -> TaskSpec:
        runs = shipped(store, data)
        chosen = choose(store, [runs[m].key for m in ("dm", "dc", "bptt", "mtt") if m in runs])
        texts = [(k, str(v)) for k, v in changed.items()]
        return of_analyses.make_spec(ANALYSES.get(name), chosen, preset, texts)

    return make


def train_experts(width: int, nets: int, epochs: int) -> Make:
    """Experts of trajectory matching on CIFAR-10."""
    net = NetSpec(width=width, depth=3)
    return lambda store: TrajectoryTask(
        data=resolve("cifar10"), net=net, nets=nets, epochs=epochs, seed=7
    )


SHORT = {"validations": 1, "val_nets": 1, "protocol.epochs": 20}
CASES: dict[str, Make] = {
    "dm, digits": distil("dm", "digits"),
    "dc, digits": distil("dc", "digits"),
    "bptt, digits": distil("bptt", "digits"),
    "evaluate, digits": evaluate("digits", 16, 5, "quick"),
    "dm, CIFAR-10 w32": distil("dm", "cifar10", 32, iterations=500),
    "dc, CIFAR-10 w32": distil("dc", "cifar10", 32),
    "bptt, CIFAR-10 w32": distil("bptt", "cifar10", 32),
    "experts, CIFAR-10 w32": train_experts(32, 2, 2),
    "evaluate, CIFAR-10 w32": evaluate("cifar10", 32, 3),
    "recognition, CIFAR-10": analyse("recognition", seed=7),
    "features, CIFAR-10": analyse("features", seed=7),
    "dynamics, CIFAR-10": analyse("dynamics", seed=7),
    "curvature, CIFAR-10": analyse("curvature", seed=7),
    "dm, CIFAR-10 w128": distil("dm", "cifar10", 128, iterations=30, **SHORT),
    "dc, CIFAR-10 w128": distil("dc", "cifar10", 128, iterations=20, **SHORT),
    "experts, CIFAR-10 w128": train_experts(128, 1, 1),
    "evaluate, CIFAR-10 w128": evaluate("cifar10", 128, 1),
}


def shipped(store: Store, data: str) -> dict[str, Task]:
    """The gallery's runs of ten images per class, the first seed of each method."""
    found: dict[str, Task] = {}
    for task in store.tasks("distill"):
        spec = task.document()["spec"]
        own = task.shipped and spec["data"]["name"] == data and spec["ipc"] == 10
        if own and spec["seed"] == 0:
            found.setdefault(spec["method"], task)
    return found


def run_here(folder: str, key: str) -> None:
    """The process of one case."""
    store = Store(Path(folder))
    task = store.find(key)
    worker.run_task(store, task, task.spec(), "cpu")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def took(store: Store, spec: TaskSpec) -> tuple[float, float]:
    """Processor seconds, without those of compiling, and the most memory, of a process of its own."""
    task = store.create(spec)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    asked = [sys.executable, __file__, "--child", str(store.root), task.key]
    answer = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    own = seconds_of(task.result())
    compiled = "execution" in task.result()
    # What compiling takes is partly that of another program: only the task knows what is left.
    return (own if compiled else seconds), float(answer.split()[-1])


def measure(store: Store, name: str) -> None:
    """One row."""
    spec = CASES[name](store)
    if (
        getattr(spec, "data", None) is not None
        and not store.task(dataset_task(spec.data)).is_done()
    ):
        took(store, dataset_task(spec.data))
    said = needs.estimated(spec, store)
    found = took(store, spec)
    cells = [
        f"{form_of(said[i]):>10s}{form_of(found[i]):>10s}{said[i] / found[i]:8.2f}x"
        for i, form_of in enumerate((duration, size))
    ]
    print(f"{name:26s}" + "".join(cells), flush=True)


def main() -> None:
    """All cases, one after the other."""
    if sys.argv[1:2] == ["--child"]:
        return run_here(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help="; ".join(CASES))
    parser.add_argument("--compiled", action="store_true", help="compile every step")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        sys.exit(f"{unknown[0]!r} is no case; there are: {'; '.join(CASES)}")
    os.environ["DD_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["DD_COMPILE"] = str(int(options.compiled))
    print(describe() + (", compiled" if options.compiled else ""))
    print(
        f"{'':26s}{'said':>10s}{'taken':>10s}{'ratio':>9s}{'said':>10s}{'taken':>10s}{'ratio':>9s}"
    )
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        took(store, here())
        for name in options.cases or CASES:
            measure(store, name)


if __name__ == "__main__":
    main()
