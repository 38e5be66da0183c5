"""The task `recognition`: from sets and pools to a result and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import Arrays
from analysis.suite.recognition.result import RecognitionFound
from analysis.suite.recognition.spec import REAL, RecognitionTask, pools
from analysis.task import opened, same_size, save

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context


def run(context: Context[RecognitionTask]) -> None:
    """Task `recognition`: what every network calls every image of every set."""
    from ddcore.pools.networks import load

    spec = context.spec
    given = opened(context)
    data, names = given.dataset, [r.key for r in given.chosen.runs]
    rows = same_size(given, spec.seed)
    images = {k: s.images for k, s in given.sets.items()}
    images[REAL] = data.preprocess(data.train_images[rows])
    labels = {k: s.hard_labels for k, s in given.sets.items()}
    labels[REAL] = data.train_labels[rows]
    called: dict[str, list[np.ndarray]] = {key: [] for key in images}
    for step, task in enumerate(given.pools.values()):
        context.progress(step, len(given.pools))
        nets = load(task, context.device)
        for key, x in images.items():
            called[key].append(nets.predict(x).numpy())
    context.progress(len(given.pools), len(given.pools))
    predicted = {key: np.stack(each) for key, each in called.items()}  # (networks, nets, M)
    kind = np.min_scalar_type(given.chosen.classes - 1)
    arrays: Arrays = {f"called.{k}": p.astype(kind) for k, p in predicted.items()}
    arrays |= {f"labels.{k}": v.astype(kind) for k, v in labels.items()}
    arrays |= {f"pixels.{k}": given.sets[k].pixels() for k in names}
    arrays |= {
        f"confusion.{k}": confusion(p, labels[k], given.chosen.classes)
        for k, p in predicted.items()
    }
    stored = [task.arrays() for task in given.pools.values()]
    found = RecognitionFound(
        networks=tuple(pool.net.label() for pool in pools(spec, given.chosen).values()),
        recognised={k: (p == labels[k]).mean(-1).tolist() for k, p in predicted.items()},
        test=[a["test"].tolist() for a in stored],
        train=[a["train"].tolist() for a in stored],
        pools=tuple(task.key for task in given.pools.values()),
        soft=tuple(k for k in names if given.sets[k].soft),
        real_images=len(rows),
    )
    save(context, given, found, arrays)


def confusion(called: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Counts (networks, C, C) of images of class (row) called (column), summed over the nets.

    `called` (networks, nets, M), `labels` (M,).
    """
    cells = labels.astype(np.int64) * classes + called
    flat = [np.bincount(c.ravel(), minlength=classes**2) for c in cells]
    return np.stack(flat).reshape(-1, classes, classes)
