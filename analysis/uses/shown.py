"""A finished use as a section of the report: question, answer, figures, table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.contract import Drawn
from analysis.single import graphs
from analysis.uses.continual import figures as continual_figures
from analysis.uses.continual import peers
from analysis.uses.continual.spec import ContinualTask
from analysis.uses.graphs import figures as graph_figures
from analysis.uses.graphs import table as graph_table
from analysis.uses.regimes import figures as regimes_figures
from analysis.uses.regimes import result as regimes_result
from analysis.uses.regimes.spec import RegimesTask
from analysis.uses.search import figures as search_figures
from analysis.uses.search import maths as search_maths
from analysis.uses.search import result as search_result
from analysis.uses.search.spec import SearchTask
from analysis.uses.texts import CONTINUAL, GRAPHS, REGIMES, SEARCH, UseTexts
from ddcore.base.errors import NotReady
from ddcore.base.foreign_text import plain
from ddcore.graphs.artefact import GraphSet
from ddcore.graphs.contract import GraphRun, graph_method
from ddcore.graphs.measure_spec import GraphMap
from ddcore.graphs.rows import protocols_of, rows_over_seeds, sisters
from ddcore.tasks.store import Store, Task


@dataclass(frozen=True)
class UseShown:
    """What is shown of a use, with the sentence that answers its question."""

    texts: UseTexts
    about: str
    sentence: str
    drawn: list[Drawn]
    rows: list[dict[str, str]]
    notes: list[str]


def shown(store: Store, key: str) -> UseShown:
    """Of the finished task with this key, or its beginning; `NotReady` if there is none."""
    kinds = (ContinualTask.KIND, SearchTask.KIND, GraphRun.KIND, RegimesTask.KIND)
    found = [t for kind in kinds for t in store.tasks(kind) if key and t.key.startswith(key)]
    if len(found) != 1 or not found[0].is_done():
        raise NotReady(
            f"No finished continual, search, regimes or graph {key!r} here, or more than one."
        )
    task = found[0]
    if task.kind == RegimesTask.KIND:
        return _regimes(task)
    if task.kind == ContinualTask.KIND:
        return _continual(store, task)
    return _graph(store, task) if task.kind == GraphRun.KIND else _search(task)


def _continual(store: Store, task: Task) -> UseShown:
    setting, everything = peers.of_task(store, task)
    ipc = peers.usual_size(setting)
    own = task.spec_as(ContinualTask)
    if own.source != "none":
        ipc = own.ipc
    tasks = peers.sized(setting, ipc)
    costs = [continual_figures.unseen(*pair) for pair in setting.costs(everything)]
    drawn = [continual_figures.curve(tasks)]
    if setting.steps > 1:
        drawn += [continual_figures.by_bytes(setting.tasks), continual_figures.forgetting(tasks)]
    return UseShown(
        texts=CONTINUAL,
        about=setting.title,
        sentence=continual_figures.sentence(tasks),
        drawn=drawn,
        rows=continual_figures.table(setting.tasks),
        notes=costs,
    )


def _search(task: Task) -> UseShown:
    found = search_result.read(task)
    best = search_maths.ranked(found)[0]
    return UseShown(
        texts=SEARCH,
        about=f"{len(found.nets)} networks on {found.data_label}",
        sentence=search_maths.headline(found),
        drawn=[
            search_figures.scatter(found, best),
            search_figures.regret(found),
            search_figures.bumps(found),
        ],
        rows=search_figures.table(found),
        notes=[search_figures.ceiling_text(found)],
    )


def _graph(store: Store, task: Task) -> UseShown:
    """The set as it was kept, beside the real graph where its map is there."""
    spec, made = task.spec_as(GraphRun), GraphSet.from_task(task)
    names, labels = [plain(name) for name in made.class_names], made.labels
    background = store.task(GraphMap(data=spec.data))
    known = background.is_done()
    edges, limit = made.adjacency, graph_figures.first_threshold(made.adjacency)
    places = graphs.moment(task, task.snapshot_steps()[-1]).places
    density = background.result().get("density") if known else None
    evaluations = sisters(store, spec)
    judged = next(iter(protocols_of(evaluations).items()), None)
    rows = rows_over_seeds(evaluations, spec, judged[1][0], judged[0]) if judged else []
    return UseShown(
        texts=GRAPHS,
        about=f"{graph_method(spec.method).title}, {spec.data.title_of_graph()}, {len(labels)} nodes",
        sentence=graph_table.sentence(rows) or "It has not been judged.",
        drawn=[
            Drawn(
                "Nodes and links",
                graph_figures.links_and_nodes(edges, labels, names, limit),
                f"Nodes in rings of their classes, links above {limit:g}.",
            ),
            Drawn(
                "Condensed and real nodes",
                graph_figures.map_of(background.arrays() if known else None, places, labels, names),
                "P²X in the two directions in which real nodes differ most; diamonds are condensed.",
            ),
            Drawn(
                "Links by class",
                graph_figures.by_class(edges, labels, names, density),
                _within(edges, labels),
            ),
        ],
        rows=graph_table.table(rows),
        notes=[graph_table.note(rows)] if rows else [],
    )


def _within(edges: np.ndarray, labels: np.ndarray) -> str:
    share, chance = graphs.within(edges, labels)
    if share is None:
        return "It has no edges."
    text = f"{100 * share:.0f} % of the weight of all links is within classes"
    return f"{text} ({100 * chance:.0f} % by chance)."


def _regimes(task: Task) -> UseShown:
    found = regimes_result.read(task)
    return UseShown(
        texts=REGIMES,
        about=f"{found.data_label}, {len(found.teacher)} seeds",
        sentence=regimes_figures.sentence(found),
        drawn=[regimes_figures.gains(found)],
        rows=regimes_figures.table(found),
        notes=regimes_figures.notes(found),
    )
