"""What an analysis is: a spec over several runs, and a declaration that everything else reads.

An analysis is one module that ends with `ANALYSIS = Analysis(...)`. The command line, the pages, the
report and the contract tests know no analysis by name: they read these declarations. Nothing here
imports torch, plotly or streamlit; figures import plotly and seaborn when they are drawn.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.pools import Counts, Pool, RealPool
from ddcore.data import Dataset, ensure
from ddcore.data.registry import OWN, get
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.distilled import KINDS, DistilledSet
from ddcore.errors import DDError, SpecError
from ddcore.estimate import BASE_BYTES, START_S, Estimate
from ddcore.methods import methods
from ddcore.methods.base import image_macs
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.nets.words import network
from ddcore.specs import TaskSpec, with_setting
from ddcore.speed import speed, usual
from ddcore.store import KEY_PATTERN, Store, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure
    from plotly.graph_objects import Figure

    from ddcore.methods.spec import DistillSpec
    from ddcore.worker import Context

MOST = 8  # runs in one figure
PRESETS = {"quick": "Quick", "teaching": "Teaching", "published": "As published"}
ORDER = ("bptt", "dm", "dc", "mtt")  # of the paper's figures; other methods follow
ROWS = "rows."  # of real images: "rows.test.NAME" are the rows of NAME in the test part
VERSIONED = {  # package and its module
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "torch": "torch",
    "umap-learn": "umap",
}
Result = dict[str, Any]
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class AnalysisTask(TaskSpec):
    """A question about 1 to 8 runs or opened sets, all made for the same data.

    The order of `run_keys` changes nothing, so they are sorted: one key for one computation. Fields of
    subclasses are plain values, so that a form and the command line can set them.
    """

    run_keys: tuple[str, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.run_keys, (list, tuple)) and all(
            isinstance(k, str) for k in self.run_keys
        ):
            object.__setattr__(self, "run_keys", tuple(sorted(self.run_keys)))
        super().__post_init__()

    def validate(self) -> None:
        """Check the keys' form; what they stand for is checked by `choose`. Subclasses call this."""
        n = len(set(self.run_keys))
        ok = 1 <= n == len(self.run_keys) <= MOST and all(map(KEY_PATTERN.fullmatch, self.run_keys))
        self.require("run_keys", ok, f"the keys of 1 to {MOST} different runs")
        self.require_range("seed", 0, 2**31 - 1)

    def title(self) -> str:
        """Line for lists."""
        count = len(self.run_keys)
        return f"{self.KIND} of {count} set{'s' if count > 1 else ''}"


# --- what it is about -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A set in few words; `label` tells it from the others in a figure."""

    key: str
    method: str
    label: str
    ipc: int
    images: int


@dataclass(frozen=True)
class Chosen:
    """The runs of an analysis in the order of figures, and the data they all stand for.

    `nets` are the networks that the sets were made with, in the same order.
    """

    runs: tuple[Run, ...]
    data: DataSpec
    class_names: tuple[str, ...]
    shape: Shape
    nets: tuple[NetSpec, ...] = ()

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)


def choose(store: Store, keys: Iterable[str]) -> Chosen:
    """The finished runs with these keys; `SpecError` names a key that is none, or data that differ."""
    tasks = [_finished(store, key) for key in keys]
    facts = [(t, t.document()["spec"], t.result()) for t in tasks]
    first, spec, result = facts[0]
    for task, other, found in facts[1:]:
        same = DataSpec.from_dict(other["data"]) == DataSpec.from_dict(spec["data"])
        if not same or found["set"]["class_names"] != result["set"]["class_names"]:
            theirs = f"{task.key} ({_data_text(other['data'])})"
            allowed = f"sets for the data of {first.key} ({_data_text(spec['data'])})"
            raise SpecError("run_keys", theirs, allowed)
    runs = _labelled([_facts(*fact) for fact in facts])
    nets = {task.key: NetSpec.from_dict(found["set"]["net"]) for task, _, found in facts}
    return Chosen(
        runs=runs,
        data=DataSpec.from_dict(spec["data"]),
        class_names=tuple(result["set"]["class_names"]),
        shape=tuple(result["shape"]),
        nets=tuple(nets[run.key] for run in runs),
    )


def planned(specs: Sequence[DistillSpec], shape: Shape) -> Chosen:
    """What `choose` will give for runs on a registered dataset, which need not be there yet."""
    data, names = specs[0].data, tuple(get(specs[0].data.name).classes)
    facts = [_described(s.key, s.to_dict(), s.method, len(names)) for s in specs]
    runs, nets = _labelled(facts), {s.key: s.net for s in specs}
    return Chosen(runs, data, names, shape, tuple(nets[run.key] for run in runs))


def _finished(store: Store, key: str) -> Task:
    try:
        task = store.find(key)
    except DDError:
        task = None
    if task is None or task.kind not in KINDS or not task.is_done():
        raise SpecError("run_keys", key, "keys of finished runs or opened sets")
    return task


def _data_text(data: dict[str, Any]) -> str:
    spec = DataSpec.from_dict(data)
    notes = [f"{spec.resolution} px"] if spec.resolution else []
    notes += ["grey"] if spec.grey else []
    return ", ".join([spec.title(), *notes, spec.preprocess])


def _labelled(facts: list[tuple[tuple, Run, tuple[str, ...]]]) -> tuple[Run, ...]:
    """In the order of figures; where the method does not tell runs apart, what differs is added."""
    rows = sorted(facts, key=lambda row: row[0])
    labels = [run.label for _, run, _ in rows]
    for part in zip(*(details for *_, details in rows)):
        differ = {text: {p for p, own in zip(part, labels) if own == text} for text in labels}
        labels = [f"{t}, {p}" if len(differ[t]) > 1 else t for t, p in zip(labels, part)]
    return tuple(dataclasses.replace(run, label=text) for (_, run, _), text in zip(rows, labels))


def _facts(task: Task, spec: dict, result: dict) -> tuple[tuple, Run, tuple[str, ...]]:
    made, files = result["set"], result.get("files")
    return _described(task.key, spec, str(made["method"]), len(made["class_names"]), files)


def _described(
    key: str, spec: dict, name: str, classes: int, files: list[str] | None = None
) -> tuple[tuple, Run, tuple[str, ...]]:
    """Rank in figures, the run under its method's name, and what may tell it from others of that name."""
    known = methods().get(name)
    title = known.title if known else name.capitalize()
    if files:
        title = f"File {files[0]}"
    params = spec.get("params", {})
    variant = ", ".join(f"{params.get(v)} {v}" for v in (known.variants if known else ()))
    details = (variant, f"{spec['ipc']} per class", f"seed {spec.get('seed', 0)}", key[:6])
    rank = ORDER.index(name) if name in ORDER else len(ORDER)
    run = Run(key, name, title, spec["ipc"], spec["ipc"] * classes)
    return (rank, name, spec["ipc"], key), run, details


def counts(store: Store, data: DataSpec) -> Counts:
    """Training images (without the validation part) and test images, as far as they are known."""
    task = store.task(dataset_task(data))
    if task.is_done():
        found = task.result()["counts"]
        train, test = sum(found["train"]), sum(found["test"])
    elif data.name in OWN:
        train, test = 1000, 500
    else:
        source = get(data.name)
        train, test = source.train_size, source.test_size
    return Counts(round(train * (1 - data.val_fraction)), test)


# --- inside the task ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """What an analysis computes with: the sets by key, in the order of figures, the data, its pools."""

    chosen: Chosen
    sets: dict[str, DistilledSet]
    dataset: Dataset
    pools: list[Task]
    cost: Cost
    started: float  # seconds of the task that went into the pools
    cpu_started: float  # the same in seconds of the processor


def opened(context: Context) -> Opened:
    """What the task's spec asks for, pools trained; `SpecError` if the sets do not go together."""
    spec, analysis = context.spec, of_spec(context.spec)
    chosen = choose(context.store, spec.run_keys)
    analysis.check(chosen)
    sets = {r.key: DistilledSet.from_task(context.store.find(r.key)) for r in chosen.runs}
    dataset = ensure(context, chosen.data)
    pools = [context.need(pool) for pool in analysis.pools(spec, chosen)]
    cost = analysis.cost(spec, chosen, counts(context.store, chosen.data))
    return Opened(chosen, sets, dataset, pools, cost, context.seconds, context.cpu_seconds)


def of_spec(spec: AnalysisTask) -> Analysis:
    """The declaration that a spec belongs to: that of its module."""
    return sys.modules[type(spec).__module__].ANALYSIS


def save(
    context: Context,
    given: Opened,
    result: Result,
    arrays: Arrays,
    real: dict[str, tuple[str, np.ndarray]] | None = None,
) -> None:
    """Write what was found, with the facts every figure needs and those that make it repeatable.

    `real` are arrays of real images, by name the part (train, val or test) and the rows: only the rows
    are kept, so that results can be passed on without anybody's pictures. `load_arrays` puts them back.
    """
    rows = {f"{ROWS}{part}.{name}": np.asarray(r) for name, (part, r) in (real or {}).items()}
    context.save_arrays(arrays | rows)
    context.save_result(
        {
            "data": given.chosen.data.to_dict(),
            "runs": [dataclasses.asdict(r) for r in given.chosen.runs],
            "data_label": given.dataset.label,
            "class_names": list(given.chosen.class_names),
            "shape": list(given.chosen.shape),
            **result,
            "versions": _versions(),
            "device": context.device,
            "work": given.cost.macs,
            "seconds": context.seconds - given.started,
            "cpu_seconds": context.cpu_seconds - given.cpu_started,
        }
    )


def load_arrays(store: Store, task: Task) -> Arrays:
    """The arrays of a finished task. Real images, uint8, are read from the dataset if it is here.

    If it is not, they are missing: figures and pictures do without them.
    """
    from ddcore.data.dataset import load

    arrays = dict(task.arrays())
    wanted = [name for name in arrays if name.startswith(ROWS)]
    if not wanted:
        return arrays
    try:
        data = load(store, DataSpec.from_dict(task.result()["data"]))
    except DDError:
        return arrays
    for name in wanted:
        part, own = name.removeprefix(ROWS).split(".", 1)
        arrays[own] = getattr(data, f"{part}_images")[arrays[name]]
    return arrays


def lacks_images(arrays: Arrays) -> bool:
    """Whether real images belong to these arrays that could not be read."""
    return any(n.startswith(ROWS) and n.split(".", 2)[2] not in arrays for n in arrays)


def _versions() -> dict[str, str]:
    used = [name for name, module in VERSIONED.items() if module in sys.modules]
    return {name: importlib.metadata.version(name) for name in used}


def seen(result: Result, how: Callable[[str], str]) -> Result:
    """A result in which everything that other people wrote has passed through `how`.

    Figures and sentences are drawn from it, each with what their medium needs (see `ddcore.foreign`);
    tables and pictures know no markup and take the result as it is.
    """
    shown = dict(result, class_names=[how(name) for name in result["class_names"]])
    shown["data_label"] = how(result["data_label"])
    for part in ("runs", "sources"):
        if part in result:
            shown[part] = [{**one, "label": how(one["label"])} for one in result[part]]
    return shown


def real_pool(spec: Any, chosen: Chosen, field: str, text: str) -> RealPool:
    """Networks written as `text` in a field, trained on all real images by the spec's recipe.

    The spec has nets, seed, epochs, batch and lr; analyses with the same recipe share the pool.
    """
    return RealPool(
        data=chosen.data,
        net=network(field, text, chosen.shape, chosen.classes),
        nets=spec.nets,
        seed=spec.seed,
        epochs=spec.epochs,
        batch=spec.batch,
        lr=spec.lr,
    )


def same_size(given: Opened, seed: int, ipc: int | None = None) -> np.ndarray:
    """Indices of a class-balanced draw of real training images, sorted by class, of a set's size.

    The size is that of the largest set where they differ; `ipc` overrides it. Used as a sanity bar.
    """
    from ddcore import rng

    labels = given.dataset.train_labels
    ipc = ipc or max(len(s.images) for s in given.sets.values()) // given.chosen.classes
    found = []
    for c in range(given.chosen.classes):
        members = np.flatnonzero(labels == c)
        order = rng.numpy_generator(seed, "real sample", c).permutation(members)
        found.append(order[: max(1, ipc)])
    return np.concatenate(found)


# --- the declaration ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """A choice that changes a figure but nothing that is computed: id to words, the first is usual."""

    name: str
    label: str
    choices: dict[str, str]


@dataclass(frozen=True)
class Drawn:
    """A plotly figure with its title and a sentence that says what it shows (also its alt text)."""

    title: str
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Pictures:
    """Images that belong together: pixels (n, C, H, W), 0..1 for real ones, and a line for each."""

    title: str
    pixels: np.ndarray
    labels: list[str]


@dataclass(frozen=True)
class Cost:
    """What the analysis itself needs beyond its pools: multiply-adds, bytes of memory and of disk."""

    macs: float
    memory: float = 0.0
    disk: float = 1e5


def _no_pools(spec: AnalysisTask, chosen: Chosen) -> list[Pool]:
    return []


def _no_options(result: Result, picked: dict[str, str]) -> Iterator[Option]:
    yield from ()


def _no_pictures(result: Result, arrays: Arrays) -> list[Pictures]:
    return []


@dataclass(frozen=True)
class Analysis:
    """One question about distilled sets, answered.

    Texts are plain words in Markdown: `question` ends with a question mark; `read` and `doubt` say how
    to read and how to doubt the figures; `paper` what Yang et al. 2024 found; `differs` what is done
    otherwise than in their code, and why. `presets(data name, shape, ipc)` gives the fields that differ
    from the defaults under each name of `PRESETS`. `pools` are the shared tasks it will need, `cost` what
    comes on top. Everything from `figures` on sees only a finished task's result and arrays. `options`
    yields choices one after the other and is told what was picked so far. `smallest` are fields of a run of
    seconds, on which every contract is tested. Sets with fewer than `least_ipc` images per class are refused,
    because `least_why`.
    """

    name: str
    title: str
    icon: str
    order: int
    question: str
    read: str
    doubt: str
    paper: str
    differs: str
    spec: type[AnalysisTask]
    presets: Callable[[str, Shape, int], dict[str, dict[str, Any]]]
    cost: Callable[[Any, Chosen, Counts], Cost]
    figures: Callable[[Result, Arrays, dict[str, str]], list[Drawn]]
    static: Callable[[Result, Arrays], StaticFigure]
    table: Callable[[Result, Arrays], list[dict[str, Any]]]
    sentence: Callable[[Result], str]
    pools: Callable[[Any, Chosen], list[Pool]] = _no_pools
    options: Callable[[Result, dict[str, str]], Iterator[Option]] = _no_options
    pictures: Callable[[Result, Arrays], list[Pictures]] = _no_pictures
    smallest: dict[str, Any] = field(default_factory=dict)
    least_ipc: int = 1
    least_why: str = ""

    def check(self, chosen: Chosen) -> None:
        """`SpecError` if a run is too small for this question."""
        for run in chosen.runs:
            if run.ipc < self.least_ipc:
                allowed = f"sets with {self.least_ipc} or more images per class: {self.least_why}"
                raise SpecError("run_keys", run.key, allowed)


def make_spec(
    analysis: Analysis,
    chosen: Chosen,
    preset: str = "quick",
    settings: Iterable[tuple[str, str]] = (),
) -> AnalysisTask:
    """The task that a preset describes for these runs, with single fields set from text."""
    if preset not in PRESETS:
        raise SpecError("preset", preset, "one of " + ", ".join(PRESETS))
    analysis.check(chosen)
    ipc = max(run.ipc for run in chosen.runs)
    values = analysis.presets(chosen.data.name, chosen.shape, ipc)[preset]
    spec = analysis.spec(run_keys=tuple(run.key for run in chosen.runs), **values)
    own = {f.name for f in fields(spec)} - {"run_keys"}
    for path, text in settings:
        if path not in own:
            raise SpecError(path, text, "one of the fields " + ", ".join(sorted(own)))
        spec = typing.cast(AnalysisTask, with_setting(spec, path, text))
    return spec


def known_preset(analysis: Analysis, chosen: Chosen, store: Store) -> str | None:
    """The largest preset under which these runs have been analysed; None if there is none yet."""
    for preset in reversed(PRESETS):
        try:
            if store.task(make_spec(analysis, chosen, preset)).is_done():
                return preset
        except SpecError:  # sets of this size have no answer
            return None
    return None


def estimate(
    analysis: Analysis, spec: AnalysisTask, chosen: Chosen, store: Store, *, but: Iterable[str] = ()
) -> Estimate:
    """What a task will take, with the pools it still has to train (keys in `but` are not counted)."""
    number = counts(store, chosen.data)
    own = analysis.cost(spec, chosen, number)
    shape, classes = chosen.shape, chosen.classes
    needed = analysis.pools(spec, chosen)
    nets = [pool.net for pool in needed] or [usual(shape)]
    image = max(image_macs(net, shape, classes) for net in nets)
    rate, basis = speed(store, spec.KIND, own.macs, image)
    seconds, memory, disk = START_S + own.macs / rate, own.memory, own.disk
    for pool in needed:
        if pool.key in but or store.task(pool).is_done():
            continue
        need = pool.cost(chosen.shape, chosen.classes, number)
        image = image_macs(pool.net, shape, classes)
        rate, rests = speed(store, pool.KIND, need.macs, image)
        if need.macs > own.macs:
            basis = rests
        seconds, disk = seconds + need.macs / rate, disk + need.disk
        memory = max(memory, need.memory)
    return Estimate(seconds, BASE_BYTES + memory, disk, basis)


def picked(
    analysis: Analysis, result: Result, pick: Callable[[Option], str] | None = None
) -> dict[str, str]:
    """The options as `pick` chooses them one after the other; without it the usual ones."""
    found: dict[str, str] = {}
    for option in analysis.options(result, found):
        found[option.name] = pick(option) if pick else next(iter(option.choices))
    return found
