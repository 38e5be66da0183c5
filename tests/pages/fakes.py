"""Fake task folders in every state, made through the store's own interface."""

from __future__ import annotations

import dataclasses
import socket
import time

import numpy as np
from streamlit.testing.v1 import AppTest

from ddcore.base.specs import TaskSpec
from ddcore.data.preprocess import Preprocess
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.distil.contract import DistillSpec
from ddcore.distil.settings import make_spec
from ddcore.measure.spec import default_evaluation
from ddcore.nets.plan import Shape
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.files import write_arrays
from ddcore.tasks.store import Store, Task
from ddcore.tasks.worker import Context, run_task

CLASSES = tuple("0123456789")
SHAPE = (1, 8, 8)
NOBODY = 2**22 + 1  # no process has that number


def spec(**changes: object) -> DistillSpec:
    """A small run on the digits."""
    return make_spec("dm", DataSpec(), SHAPE, **changes)


def images(seed: int = 0, count: int = 10, shape: Shape = SHAPE) -> np.ndarray:
    """Images that leave 0..1 a little."""
    return np.random.default_rng(seed).normal(0.5, 0.5, (count, *shape)).astype(np.float32)


def snapshots(task: Task, count: int = 10, shape: Shape = SHAPE) -> None:
    """Images at the start and later, and the curve between."""
    for step in (0, 20):
        path = task.folder / "snapshots" / f"{step:07d}.safetensors"
        write_arrays(path, {"pixels": images(step, count, shape).astype(np.float16)})
    lines = [f'{{"step": {i}, "total": 40, "loss": {4 - i / 10}}}' for i in range(1, 21)]
    lines.append('{"step": 20, "total": 40, "loss": 2.0, "validation": 0.8}')
    (task.folder / "events.jsonl").write_text("\n".join(lines))


def done(store: Store, run: DistillSpec | None = None, **fields: object) -> Task:
    """A finished run with its set; `fields` change the set."""
    run = run or spec()
    task = store.create(run)
    made = DistilledSet(
        images=images(),
        labels=np.arange(10),
        class_names=CLASSES,
        preprocess=Preprocess(np.array([0.3], np.float32), np.array([0.4], np.float32)),
        net=run.net,
        protocol=run.protocol,
        method=run.method,
        run_key=run.key,
        data=run.data.to_dict(),
    )
    made = dataclasses.replace(made, **fields)
    snapshots(task, len(made.images), made.shape)
    context = Context(store, task, run, "cpu")
    meta = made.write(context)
    context.save_result(
        {
            "set": meta,
            "validation": {"mean": 0.84, "std": 0.01, "n": 3},
            "best_step": 20,
            "iterations": 40,
            "halvings": 0,
            "seconds": 12.0,
            "work": 1e9,
            "device": "cpu",
            "shape": list(made.shape),
            "data_label": "Digits",
        }
    )
    task.finish()
    return task


def evaluated(store: Store, run: DistillSpec) -> Task:
    """The finished evaluation of a run."""
    wanted = default_evaluation(run.key, run)
    task = store.create(wanted)
    figures = {"distilled": 0.812, "random": 0.634, "class_mean": 0.799}
    rows = [
        {
            "subject": name,
            "arch": run.net.label(),
            "net": run.net.to_dict(),
            "key": "0" * 16,
            "mean": mean,
            "std": 0.02,
            "n": 2,
            "accuracies": [mean - 0.02, mean + 0.02],
            "losses": [1.0, 1.0],
            "step_size": None,
        }
        for name, mean in figures.items()
    ]
    context = Context(store, task, wanted, "cpu")
    context.save_result({"rows": rows, "protocol": run.protocol.to_dict()})
    task.finish()
    return task


def decoded(store: Store) -> Task:
    """The digits, really decoded (no torch needed)."""
    wanted = dataset_task(DataSpec())
    task = store.create(wanted)
    run_task(store, task, wanted, "cpu")
    return task


def put(store: Store, wanted: TaskSpec, state: str, **status: object) -> Task:
    """A folder in a given state, as a worker of this machine would have left it."""
    task = store.create(wanted)
    known = {} if state == "queued" else {"pid": NOBODY, "device": "cpu"}
    common = {"state": state, "host": socket.gethostname(), "heartbeat": time.time()}
    task.write_status(**common, **known, **status)
    return task


def text(app: AppTest) -> str:
    """Everything that can be read on the page."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error")
    found = [str(e.value) for kind in kinds for e in getattr(app, kind)]
    found += [f"{m.label} {m.value}" for m in app.metric]
    found += [b.label for b in app.button] + [e.label for e in app.expander]
    found += [c.value for c in app.code]
    return "\n".join(found)
