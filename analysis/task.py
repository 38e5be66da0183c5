"""Inside an analysis' task: what it computes with, and how it is written and read."""

from __future__ import annotations

import contextlib
import importlib.metadata
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import AnalysisTask, Arrays, of_spec
from analysis.results import F, Result
from analysis.runs import Chosen, choose, counts
from ddcore.base.errors import DDError
from ddcore.data import Dataset, ensure
from ddcore.data.spec import DataSpec
from ddcore.pools.real_spec import Need
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.store import Store, Task

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context

ROWS = "rows."  # of real images: "rows.test.NAME" are the rows of NAME in the test part
PIXELS = "pixels."  # of a set: "pixels.KEY" are the images of the run KEY
OF_SET = "set."  # "set.pixels.KEY", empty, stands for them where a shipped result left them out
CODES = "codes."  # of a large table that is shipped in 8 bits
STEP = "step."  # what one of its codes is worth, row by row
LARGE = 1 << 20  # bytes of a table that is
VERSIONED = {  # package and its module
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "torch": "torch",
    "umap-learn": "umap",
}


@dataclass(frozen=True)
class Opened:
    """What an analysis computes with: the sets by key, in the order of figures, the data, its pools.

    Pools go by the names that the analysis gives them; those of single runs by the run's key.
    """

    chosen: Chosen
    sets: dict[str, DistilledSet]
    dataset: Dataset
    pools: dict[str, Task]
    cost: Need
    started: float  # seconds of the task that went into the pools
    cpu_started: float  # the same in seconds of the processor


def opened(context: Context[AnalysisTask]) -> Opened:
    """What the task's spec asks for, pools trained; `SpecError` if the sets do not go together."""
    spec, analysis = context.spec, of_spec(context.spec)
    chosen = choose(context.store, spec.run_keys)
    analysis.check(chosen)
    sets = {r.key: DistilledSet.from_task(context.store.find(r.key)) for r in chosen.runs}
    dataset = ensure(context, chosen.data)
    pools = {name: context.need(pool) for name, pool in analysis.pools(spec, chosen).items()}
    cost = analysis.cost(spec, chosen, counts(context.store, chosen.data))
    return Opened(chosen, sets, dataset, pools, cost, context.seconds, context.cpu_seconds)


def save(
    context: Context[AnalysisTask],
    given: Opened,
    found: F,
    arrays: Arrays,
    real: dict[str, tuple[str, np.ndarray]] | None = None,
) -> None:
    """Write what was found, with the facts every figure needs and those that make it repeatable.

    `real` are arrays of real images, by name the part (train, val or test) and the rows: only the rows
    are kept, so that results can be passed on without anybody's pictures. `load_arrays` puts them back.
    """
    rows = {f"{ROWS}{part}.{name}": np.asarray(r) for name, (part, r) in (real or {}).items()}
    context.save_arrays(arrays | rows)
    result = Result(
        data=given.chosen.data,
        runs=given.chosen.runs,
        data_label=given.dataset.label,
        class_names=given.chosen.class_names,
        shape=given.chosen.shape,
        found=found,
        versions=_versions(),
        device=context.device,
        work=given.cost.macs,
        seconds=context.seconds - given.started,
        cpu_seconds=context.cpu_seconds - given.cpu_started,
    )
    context.save_result(result.to_dict())


def load_arrays(store: Store, task: Task) -> Arrays:
    """The arrays of a finished task. Real images, uint8, are read from the dataset if it is here.

    If it is not, they are missing: figures and pictures do without them. Images of sets that were left out
    in shipping are read from the shipped sets.
    """
    from ddcore.data.dataset import images

    arrays = _unpacked(task.arrays())
    for name in [name for name in arrays if name.startswith(OF_SET)]:
        own = name.removeprefix(OF_SET)
        arrays[own] = _pixels(store, own.removeprefix(PIXELS))
    wanted = [name for name in arrays if name.startswith(ROWS)]
    if not wanted:
        return arrays
    data = DataSpec.from_dict(task.result()["data"])
    for name in wanted:
        part, own = name.removeprefix(ROWS).split(".", 1)
        with contextlib.suppress(DDError):
            arrays[own] = images(store, data, part, arrays[name])
    return arrays


def without_sets(store: Store, arrays: Mapping[str, np.ndarray]) -> Arrays:
    """The arrays without copies of whole sets in `store`; `load_arrays` puts them back, bit by bit."""
    kept = dict(arrays)
    for name in [name for name in arrays if name.startswith(PIXELS)]:
        try:
            pixels = _pixels(store, name.removeprefix(PIXELS))
        except DDError:  # not there, or no run at all
            continue
        if pixels.dtype == arrays[name].dtype and np.array_equal(pixels, arrays[name]):
            kept[f"{OF_SET}{name}"] = np.empty(0, np.uint8)
            del kept[name]
    return kept


def packed(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """The arrays, large tables of float16 in 8 bits: off by half a step, 1/254 of a row's largest."""
    kept = dict(arrays)
    for name, table in arrays.items():
        if table.dtype == np.float16 and table.ndim == 2 and table.nbytes > LARGE:
            most = np.abs(table).max(1).astype(np.float32)
            step = np.where(most > 0, most / 127, 1).astype(np.float32)
            kept[CODES + name] = np.rint(kept.pop(name) / step[:, None]).astype(np.int8)
            kept[STEP + name] = step
    return kept


def _unpacked(arrays: Mapping[str, np.ndarray]) -> Arrays:
    found = dict(arrays)
    for name in [name.removeprefix(CODES) for name in arrays if name.startswith(CODES)]:
        codes, step = found.pop(CODES + name), found.pop(STEP + name)
        found[name] = (codes * step[:, None]).astype(np.float16)
    return found


def _pixels(store: Store, key: str) -> np.ndarray:
    return DistilledSet.from_task(store.find(key)).pixels()


def lacks_images(arrays: Arrays) -> bool:
    """Whether real images belong to these arrays that could not be read."""
    return any(n.startswith(ROWS) and n.split(".", 2)[2] not in arrays for n in arrays)


def _versions() -> dict[str, str]:
    used = [name for name, module in VERSIONED.items() if module in sys.modules]
    return {name: importlib.metadata.version(name) for name in used}


def same_size(given: Opened, seed: int, ipc: int | None = None) -> np.ndarray:
    """Indices of a class-balanced draw of real training images, sorted by class, of a set's size.

    The size is that of the largest set where they differ; `ipc` overrides it. Used as a sanity bar.
    """
    from ddcore.base import rng

    labels = given.dataset.train_labels
    ipc = ipc or max(len(s.images) for s in given.sets.values()) // given.chosen.classes
    found = []
    for c in range(given.chosen.classes):
        members = np.flatnonzero(labels == c)
        order = rng.numpy_generator(seed, "real sample", c).permutation(members)
        found.append(order[: max(1, ipc)])
    return np.concatenate(found)
