"""The shipped gallery: real results on first start, made by `python -m ddcore gallery`.

A digits run of every method with 1 image per class, some with 10, and their evaluations; what recipes have
made so far (`python -m ddcore reproduce`); the speed of the machine they were made on. They are computed in
an ordinary store and copied; real images (datasets, neighbours) are never shipped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from ddcore.base import paths
from ddcore.base.specs import TaskSpec
from ddcore.base.spread import figure_text
from ddcore.data import resolve
from ddcore.data.registry import get
from ddcore.distil.contract import DistillSpec, method, methods
from ddcore.distil.settings import make_spec
from ddcore.measure.ranking import with_own_labels
from ddcore.measure.spec import BASELINES, WHOLE, default_evaluation
from ddcore.recipes import large, table
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import jobs, snapshots
from ddcore.tasks.files import write_arrays
from ddcore.tasks.store import Store, Task
from ddcore.tasks.task import snapshot_name
from ddcore.training.speed import Calibration, here

SHAPE = (1, 8, 8)
SIZES = (1, 10)  # images per class
KINDS = ("distill", "evaluate", "accuracy", "baseline", Calibration.KIND)
LARGEST = 4 << 20  # bytes of a set that is shipped
OF_OTHER_SEEDS = 1 << 20  # of one whose sister of the first seed is
SNAPSHOTS = 12  # of a shipped run
SNAPSHOT_BYTES = 1_600_000  # of all of them: five of a hundred colour images of 32 x 32
LEFT_OUT = shutil.ignore_patterns(".*", "log.txt", "checkpoint", "cancel", "*.lock")


def runs() -> list[DistillSpec]:
    """The shipped runs: presets Quick, seed 0, as each method declares them."""
    return [
        make_spec(name, resolve("digits"), SHAPE, ipc=ipc, settings=list(settings.items()))
        for ipc in SIZES
        for name, known in methods().items()
        for settings, sizes in known.shipped
        if ipc in sizes
    ]


def tasks(only: Collection[str] = ()) -> list[TaskSpec]:
    """Runs, of all methods or of those in `only`, then what is shown about them."""
    found: list[TaskSpec] = []
    for run in (r for r in runs() if not only or r.method in only):
        everything = (*BASELINES, WHOLE)
        found += [run, default_evaluation(run.key, run)]
        if run.ipc == 1:  # the slower baselines once are enough to show what they are
            found.append(default_evaluation(run.key, run, baselines=everything))
    return found


def build(
    wait: Callable[[Store, Task], Task],
    target: Path = paths.GALLERY,
    only: Collection[str] = (),
    missing: bool = False,
) -> list[str]:
    """Compute what is missing in the user's store and copy it to `target`; returns the keys.

    `only` names methods whose runs are made anew while all others stay; `SpecError` names one that is
    not known. Without it, results of recipes are copied as far as they are there, and those shipped
    before are left in place. With `missing` only what `target` lacks is made and copied.
    """
    for name in only:
        method(name)
    store = Store(gallery=target if missing else None)
    reproduced = [] if only else build_recipes(target)
    wanted = [*tasks(only), *([] if only or missing else [here()])]
    wanted = [spec for spec in wanted if not (missing and _is_there(spec, target))]
    for spec in wanted:
        wait(store, jobs.submit(store, [spec])[0])
    if not missing:
        _clear(target, only)
    keys = _needed(store, {spec.key for spec in wanted})
    copied = [t for t in store.tasks() if t.kind in KINDS and t.is_done() and t.key in keys]
    copied = [t for t in copied if not (missing and Task(target / t.kind / t.key).is_done())]
    for task in copied:
        ship(task, target)
    return [*(task.key for task in copied), *reproduced]


def _is_there(spec: TaskSpec, target: Path) -> bool:
    return Task(target / spec.KIND / spec.key).is_done()


def _clear(target: Path, only: Collection[str]) -> None:
    """Delete what is about to be copied anew, of all methods or of those in `only`; recipes' results stay."""
    kept = {task.key for task in of_recipes(Store(target, gallery=None))}
    folders = [f for kind in KINDS for f in (target / kind).glob("*") if f.name not in kept]
    for folder in _about(folders, only) if only else folders:
        shutil.rmtree(folder)


def _about(folders: list[Path], names: Collection[str]) -> list[Path]:
    """Runs of these methods, their evaluations and accuracies; baselines alone belong to all methods."""
    specs = {folder: Task(folder).document()["spec"] for folder in folders}
    made = {f.name for f, spec in specs.items() if spec.get("method") in names}
    subjects = ("run_key", "like", "subject")
    return [
        folder
        for folder, spec in specs.items()
        if folder.name in made or any(spec.get(field) in made for field in subjects)
    ]


def build_recipes(target: Path = paths.GALLERY) -> list[str]:
    """Copy what recipes have made in the user's store to `target`, computing nothing; returns the keys.

    Of sets too large to ship the figures are written down.
    """
    store = Store(gallery=target)
    judged = _judged(store)
    found = [task for task in _behind(store, judged) if not task.shipped]
    for task in found:
        ship(task, target)
    large.keep(target, {line.key: table.figures(line) for line in judged if not _fits(line)})
    return [task.key for task in found]


def markdown(store: Store) -> str:
    """The shipped digits runs with their own evaluations as the table of docs/results.md."""
    head = "| set | judged by | distilled | random real | class mean | CPU seconds |"
    lines = [head, "|---|---|---|---|---|---|"]
    for spec in runs():
        run, judged = store.task(spec), store.task(default_evaluation(spec.key, spec))
        if run.is_done() and judged.is_done():
            lines.append(_row(spec, run, judged))
    return "\n".join(lines)


def _row(spec: DistillSpec, run: Task, judged: Task) -> str:
    result, made = run.result(), DistilledSet.from_task(run)
    figures = {r["subject"]: r for r in judged.result()["rows"]}
    own = figures["distilled"]
    variant = [f"{v}={getattr(spec.params, v)}" for v in methods()[spec.method].variants]
    labels = "labels of its own" if with_own_labels(made, spec.protocol) else ""
    size = f"{spec.ipc * made.num_classes} images"
    name = ", ".join(filter(None, [" ".join([f"`{spec.method}`", *variant]), size, labels]))
    by = f"{spec.protocol.name}, {own['arch']}"
    ours = figure_text(own)
    if "other_inits" in figures:
        ours += f"; from other initialisations {figure_text(figures['other_inits'])}"
    if "weight_error" in (found := result.get("findings", {})):
        ours += f"; weights differ by {found['weight_error']:.0e}"
    cells = [name, by, ours, *(figure_text(figures[s]) for s in ("random", "class_mean"))]
    return f"| {' | '.join(cells)} | {result['cpu_seconds']:.0f} |"


def of_recipes(store: Store) -> list[Task]:
    """The finished runs, evaluations and accuracies behind the table of reproduction, but for huge sets."""
    return _behind(store, _judged(store))


def _behind(store: Store, judged: list[table.Line]) -> list[Task]:
    found: dict[str, Task] = {}
    for line in filter(_fits, judged):
        assert line.run and line.evaluation
        rows = [store.find(row["key"]) for row in line.evaluation.result()["rows"]]
        found |= {task.key: task for task in (line.run, line.evaluation, *rows)}
    return list(found.values())


def _judged(store: Store) -> list[table.Line]:
    """The lines whose set has been made and judged."""
    return [line for line in table.lines(store) if line.run and line.evaluation]


def _fits(line: table.Line) -> bool:
    """Whether the set of a line is small enough to ship."""
    assert line.run
    most = OF_OTHER_SEEDS if line.row.seed else LARGEST
    return line.run.checked("set.safetensors").stat().st_size < most


def ship(task: Task, target: Path) -> None:
    """Copy a finished folder, without what only concerns the machine it was made on.

    Of a run's snapshots some are kept, in 8 bits per value: none that shows pictures of others.
    """
    folder = target / task.kind / task.key
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(task.folder, folder, ignore=LEFT_OUT)
    status = {k: v for k, v in task.status().items() if k not in ("host", "pid")}
    shipped = Task(folder)
    shipped.write_status(**status)
    if task.kind == "distill":
        _keep_snapshots(task, shipped)
        shipped.finish()


def _keep_snapshots(task: Task, shipped: Task) -> None:
    """Put a few packed snapshots in place of all."""
    steps, spec = task.snapshot_steps(), task.document()["spec"]
    shutil.rmtree(shipped.folder / "snapshots", ignore_errors=True)
    if not steps:
        return
    fits = SNAPSHOT_BYTES // max(1, task.snapshot(steps[0])["pixels"].size)
    pictures = spec["init"] == "real" and not get(spec["data"]["name"]).bundled
    for step in snapshots.chosen(steps, max(2, min(SNAPSHOTS, fits)), without_start=pictures):
        arrays = snapshots.packed(task.snapshot(step)["pixels"])
        write_arrays(shipped.folder / snapshot_name(step), arrays)


def _needed(store: Store, keys: set[str]) -> set[str]:
    """These keys and those of all tasks that theirs needed."""
    needed = set(keys)
    for task in store.tasks("evaluate"):
        if task.key in needed:
            needed |= {row["key"] for row in task.result()["rows"]}
    for task in store.tasks("accuracy"):
        if task.key in needed:
            needed.add(task.document()["spec"]["subject"])
    return needed
