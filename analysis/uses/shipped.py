"""The uses that are shipped: continual learning and regimes of labels on digits and MNIST, search on digits.

Distillations that couple classes are short ones, since every pair of classes needs its own: so are the sets
of all classes at once beside them. Of a search only its figures are shipped, no network.
"""

from __future__ import annotations

from typing import Any

from analysis.uses.continual import figures as continual_figures
from analysis.uses.continual import peers
from analysis.uses.continual.spec import DISTILLED, ContinualTask
from analysis.uses.regimes import figures as regimes_figures
from analysis.uses.regimes import result as regimes_result
from analysis.uses.regimes.spec import RegimesTask
from analysis.uses.search import figures as search_figures
from analysis.uses.search import maths as search_maths
from analysis.uses.search import result as search_result
from analysis.uses.search.spec import SearchTask
from ddcore.base.specs import TaskSpec
from ddcore.data import resolve
from ddcore.data.spec import DataSpec, form
from ddcore.distil.settings import make_spec
from ddcore.nets.architectures import NetSpec
from ddcore.recipes import gallery
from ddcore.tasks.store import Store

KINDS = (ContinualTask.KIND, SearchTask.KIND, RegimesTask.KIND)
KEPT = {  # by images per class; random images of 20 take the bytes of 5 distilled ones
    1: ("random", "class_mean", "kmeans"),
    5: ("random", "class_mean", "kmeans"),
    20: ("random", "kmeans"),
}
IPC = 5  # of distilled memories
NET = NetSpec(arch="mlp", width=100, depth=1)
MLP = {"net.arch": "mlp", "net.width": "100", "net.depth": "1"}
LAST = {"validations": "1", "val_nets": "1"}  # the last set is kept, nothing is chosen
LABELLED = "mlp-100"  # the network in which labels are compared, and in which its sets are made
METHODS: dict[str, dict[str, str]] = {
    "dm": {**MLP, **LAST},
    "bptt": {**MLP, **LAST, "iterations": "120"},
    "mtt": {**MLP, **LAST},
    "dc": {**MLP, **LAST},
}
REPLAYED = ("random", "kmeans")  # beside all methods
MNIST = DataSpec(name="mnist", source="torchvision", preprocess="scale")
REGIMES_MNIST = ("mnist", (1, 10, 50), 5)  # data, images per class, seeds
RANKING = ("dm", "dc", "gtn", "bptt", "mtt", "dd2018", "frepo", "kip")
RANKING_IPC = 10


def tasks() -> list[TaskSpec]:
    """All that is shipped, in the order in which it is computed."""
    return [spec for part in parts().values() for spec in part]


def parts() -> dict[str, list[TaskSpec]]:
    """What is shipped together, by what it is."""
    return {
        "memories of digits": [*continual()],
        "trajectory and gradient matching and replay on digits": [*coupled()],
        "memories of MNIST": [*mnist()],
        "search on digits": [search()],
        "regimes of labels on digits": [regimes()],
        "regimes of labels on MNIST": [regimes(*REGIMES_MNIST)],
    }


def continual() -> list[ContinualTask]:
    """Floor, ceiling, memories of several sizes; distilled ones also of all classes at once."""
    net: dict[str, Any] = {"net": NET}
    found = [ContinualTask(strategy=end, **net) for end in ("finetune", "joint")]
    found += [
        ContinualTask(source=source, ipc=ipc, repeated=True, **net)
        for ipc, sources in KEPT.items()
        for source in sources
    ]
    return [*found, *_whole_and_in_parts("dm"), *_whole_and_in_parts("bptt")]


def coupled() -> list[ContinualTask]:
    """The slower methods, and networks that go on instead of starting afresh."""
    replayed = [
        ContinualTask(source=source, ipc=IPC, repeated=True, strategy="replay", net=NET)
        for source in REPLAYED
    ]
    methods = [distilled(name, settings) for name, settings in METHODS.items()]
    replayed += [task.replace(strategy="replay", protocol=None) for task in methods]
    return [*_whole_and_in_parts("mtt"), *_whole_and_in_parts("dc"), *replayed]


def mnist() -> list[ContinualTask]:
    """Floor, ceiling, real and distilled images; one network for each order."""
    own: dict[str, Any] = {"data": MNIST, "net": NET, "nets": 1}
    ends = [ContinualTask(strategy=end, **own) for end in ("finetune", "joint")]
    sources = ("random", "class_mean", "kmeans")
    kept = [ContinualTask(source=s, ipc=IPC, repeated=True, **own) for s in sources]
    parts = distilled("dm", METHODS["dm"], MNIST).replace(nets=1)
    return [*kept, parts, parts.replace(steps=1), *ends]


def _whole_and_in_parts(name: str) -> list[ContinualTask]:
    parts = distilled(name, METHODS[name])
    return [parts, parts.replace(steps=1)]


def distilled(name: str, settings: dict[str, str], data: DataSpec | None = None) -> ContinualTask:
    """A method as a memory, of digits or of other data."""
    data = data or resolve("digits", preprocess="scale")
    made = make_spec(name, data, form(data)[0], ipc=IPC, settings=list(settings.items()))
    return ContinualTask(
        data=data, source=DISTILLED, distill=made, ipc=IPC, repeated=True, net=made.net
    )


def search() -> SearchTask:
    """The 72 small networks on digits, ranked by a shipped set of ten per class of every method there is.

    Of a method with several such sets the first: of dd2018 that for unknown weights.
    """
    sets = {run.method: run.key for run in reversed(gallery.runs()) if run.ipc == RANKING_IPC}
    keys = tuple(sets[name] for name in RANKING)
    return SearchTask(data=resolve("digits"), run_keys=keys, ipc=RANKING_IPC)


def regimes(
    name: str = "digits", sizes: tuple[int, ...] = (1, 10, 50), seeds: int = 5
) -> RegimesTask:
    """Distribution matching beside coresets and random images under three regimes, over some seeds."""
    data = resolve(name)
    settings = [("net.arch", "mlp"), ("net.width", "100"), *LAST.items()]
    sets = [make_spec("dm", data, form(data)[0], ipc=n, settings=settings) for n in sizes]
    common: dict[str, Any] = {"seeds": tuple(range(seeds)), "sizes": sizes, "network": LABELLED}
    return RegimesTask(data=data, sets=tuple(sets), **common)


# --- docs/uses.md ---------------------------------------------------------------------------------------


def continual_markdown(store: Store) -> str:
    """What is shipped of continual learning as the tables of docs/uses.md."""
    own = {spec.key for spec in tasks()}
    everything = peers.settings(store)
    blocks = []
    for setting in (s for s in everything if s.steps > 1):
        rows = [t for t in setting.tasks if t.key in own]
        if rows:
            blocks.append(f"{setting.title}:\n\n{_markdown(continual_figures.table(rows))}")
        pairs = [pair for pair in setting.costs(everything) if pair[0].key in own]
        if pairs:
            blocks.append("\n".join(f"- {continual_figures.unseen(*pair)}." for pair in pairs))
    return "\n\n".join(blocks)


def regimes_markdown(store: Store) -> str:
    """What is shipped of labels as the tables of docs/uses.md, a dataset after the other."""
    blocks = []
    for spec in (regimes(), regimes(*REGIMES_MNIST)):
        task = store.task(spec)
        if not task.is_done():
            continue
        found = regimes_result.read(task)
        title = f"{found.data_label}, {len(spec.seeds)} seeds:"
        notes = "\n".join(f"- {note}." for note in regimes_figures.notes(found))
        table = _markdown(regimes_figures.table(found))
        blocks += [title, table, regimes_figures.sentence(found), notes]
    return "\n\n".join(blocks)


def search_markdown(store: Store) -> str:
    """What the shipped search found as the table of docs/uses.md; nothing where there is none."""
    task = store.task(search())
    if not task.is_done():
        return ""
    found = search_result.read(task)
    about = (
        f"{len(found.nets)} networks on {found.data_label}, ranked on {found.val_images} validation images, "
        f"reported on {found.test_images} test images, trained fully {found.full.test.shape[1]} times:"
    )
    said = f"{search_maths.headline(found)} {search_figures.ceiling_text(found)}"
    table = _markdown(search_figures.table(found), seconds=True)
    return f"{about}\n\n{table}\n\n{said}"


def _markdown(rows: list[dict[str, str]], seconds: bool = False) -> str:
    names = [name for name in rows[0] if seconds or "CPU" not in name]
    lines = [names, ["---"] * len(names), *([row[n] for n in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
