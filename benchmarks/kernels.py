"""Exact distillation in closed form beside KIP on the same features: seconds, agreement, ratio.

python benchmarks/kernels.py        # digits, and MNIST where its files are in the data root
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from analysis.single.race import RaceTask, ceilings, race
from benchmarks.machine import describe
from ddcore.base import paths
from ddcore.data import ensure, resolve
from ddcore.data.registry import get
from ddcore.data.tensors import DeviceData
from ddcore.tasks import worker
from ddcore.tasks.store import Store

# (dataset, iterations of KIP, real images per iteration)
RACES = (("digits", 2000, 5000), ("mnist", 300, 5000))


def main() -> None:
    """Print a row per dataset, map and size."""
    print(describe())
    head = ("data", "map", "images", "model s", "exact s", "agree %", "w error", "KIP s", "agree %")
    print(" ".join(f"{h:>8}" for h in (*head, "ratio")))
    for name, iterations, batch in RACES:
        if get(name).available(paths.data_root()) is None:
            print(f"{name:>8} (its files are not in the data root)")
            continue
        data = _data(name)
        for kind in ("linear", "fcnn"):
            for ipc in (1, 10):
                task = RaceTask(
                    data=resolve(name),
                    map=kind,
                    ipc=ipc,
                    iterations=iterations,
                    real_batch=batch,
                    looks=20,
                )
                _print(name, kind, race(task, data))
        _ceilings(data)


def _data(name: str) -> DeviceData:
    spec = RaceTask(data=resolve(name))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        return DeviceData(ensure(worker.Context(store, store.create(spec), spec, "cpu"), spec.data))


def _print(name: str, kind: str, found: dict) -> None:
    cells = [
        name,
        kind,
        str(found["points"]),
        f"{found['model_seconds']:.3f}",
        f"{found['construct_seconds']:.4f}",
        f"{100 * found['agreement']:.1f}",
        f"{found['weight_error']:.0e}",
        f"{found['kip_seconds']:.1f}",
        f"{100 * found['kip_agreement']:.1f}",
        f"{found['ratio']:.0f}x",
    ]
    print(" ".join(f"{c:>8}" for c in cells), flush=True)


def _ceilings(data: DeviceData) -> None:
    for row in ceilings(data):
        print(f"  ceiling of {row['kernel']}: {100 * row['accuracy']:.1f} % on test images")


if __name__ == "__main__":
    main()
