"""Finished uses with made-up counts, written through the store's own interface."""

from __future__ import annotations

import numpy as np

from analysis.uses.continual.spec import ContinualTask
from analysis.uses.search.spec import SearchSpace, SearchTask
from ddcore.nets.plan import cost
from ddcore.tasks.store import Store, Task
from ddcore.tasks.worker import Context

CLASSES = tuple("0123456789")
SPACE = SearchSpace(widths=(8, 16), depths=(1, 2), poolings=("avg",))


def learned(store: Store, *, skill: float = 0.9, names: tuple[str, ...] = CLASSES, **spec) -> Task:
    """Continual learning that calls about `skill` of all images right."""
    wanted = ContinualTask(**spec)
    task = store.create(wanted)
    groups = wanted.groups(10)
    counts = np.array([[50 * len(g) for g in order] for order in groups])
    draws = np.random.default_rng(round(1000 * skill))
    share = np.clip(skill + 0.02 * draws.normal(size=(len(groups), wanted.nets, 1, 1)), 0, 1)
    correct = np.rint(share * counts[:, None, None, :]).astype(np.int64)
    correct = np.broadcast_to(correct, (len(groups), wanted.nets, *2 * [wanted.steps])).copy()
    correct[..., np.triu(np.ones(2 * [wanted.steps], bool), 1)] = -1
    arrays = {"correct": correct, "counts": counts}
    if wanted.source in ("kmeans", "distilled"):
        arrays["pixels"] = np.zeros((10, 1, 8, 8), np.uint8)
        arrays["classes"] = np.array([c for g in groups[0] for c in g])
    context = Context(store, task, wanted, "cpu")
    context.save_arrays(arrays)
    context.save_result(
        {
            "data_label": "Digits",
            "class_names": list(names),
            "groups": [[list(g) for g in order] for order in groups],
            "memory_bytes": [[260 * (t + 1) for t in range(wanted.steps)] for _ in groups],
            "makers": {"0" * 16: 3.0 if wanted.distill else None},
            "device": "cpu",
            "seconds": 9.0,
            "cpu_seconds": 8.0,
        }
    )
    task.finish()
    return task


def searched(store: Store, **spec) -> Task:
    """A search whose proxies follow full training more or less."""
    wanted = SearchTask(**{"space": SPACE, "nets": 2} | spec)
    task = store.create(wanted)
    nets = wanted.space.nets((1, 8, 8), 10)
    draws, count = np.random.default_rng(0), len(nets)
    truth = np.linspace(0.3, 0.95, count)
    arrays, rows = {}, []
    named = ["full", *(f"set {key}" for key in wanted.run_keys), *wanted.baselines, "early"]
    for place, name in enumerate(named):
        noise = 0.05 * place * draws.normal(size=(count, 2))
        figures = np.clip(truth[:, None] + noise, 0, 1).astype(np.float32)
        own = {"val": figures, "val_loss": 1 - figures, "test": figures}
        own["cpu_seconds"] = np.ones(count, np.float32)
        arrays |= {f"{part}.{place}": values for part, values in own.items()}
        row = {"name": name, "key": "0" * 16, "images": 100, "protocol": "quick", "nets": 2}
        row |= {"cpu_seconds": float(count), "title": name.replace("_", " ").capitalize()}
        if name.startswith("set "):
            row |= {"name": "dm", "run": name[4:], "ipc": 10, "distil_cpu_seconds": 20.0}
        rows.append(row)
    counted = [cost(net.plan((1, 8, 8), 10), (1, 8, 8)) for net in nets]
    arrays["parameters"] = np.array([c.parameters for c in counted], float)
    arrays["macs"] = np.array([c.macs for c in counted], float)
    context = Context(store, task, wanted, "cpu")
    context.save_arrays(arrays)
    context.save_result(
        {
            "data_label": "Digits",
            "nets": [net.to_dict() for net in nets],
            "rows": rows,
            "chance": 0.1,
            "val_images": 129,
            "test_images": 500,
            "device": "cpu",
            "cpu_seconds": 60.0,
        }
    )
    task.finish()
    return task
