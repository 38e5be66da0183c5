"""What the page Graphs says: a set, the table beside its baselines, the form that makes another."""

from __future__ import annotations

import numpy as np
import streamlit as st

from analysis.single import graphs
from analysis.uses.graphs import figures
from analysis.uses.graphs import table as table_of
from ddcore.base import paths
from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.base.spread import figure_text
from ddcore.base.texts import duration
from ddcore.graphs.contract import GraphRun, graph_method, graph_methods, make_graph_run
from ddcore.graphs.known import KNOWN
from ddcore.graphs.measure_spec import GraphMap
from ddcore.graphs.protocols import NETS
from ddcore.graphs.rows import GraphRow, over_thresholds, protocols_of
from ddcore.graphs.spec import GraphData
from ddcore.tasks import jobs
from ddcore.tasks.store import Task
from pages.components import charts, graph_figures, links, permissions, shell, task_panel
from pages.components.evaluation_views import markdown_table


def runs() -> dict[str, Task]:
    """Finished runs by key: largest known graphs first, their first seed in front."""
    found = []
    for task in shell.store().tasks(GraphRun.KIND):
        if task.opens():
            spec = task.spec_as(GraphRun)
            known = list(KNOWN).index(spec.data.name) if spec.data.name in KNOWN else len(KNOWN)
            found.append(((known, spec.method, -spec.ratio, spec.seed, task.key), task))
    return {task.key: task for _, task in sorted(found, key=lambda each: each[0])}


def label(task: Task) -> str:
    """A run as the chooser names it."""
    spec = task.spec_as(GraphRun)
    nodes = task.result()["nodes"]
    parts = [spec.data.title_of_graph(), f"{nodes} nodes", graph_method(spec.method).title]
    return ", ".join([*parts, *([f"seed {spec.seed}"] if spec.seed else [])])


def pending() -> None:
    """The newest run that is not finished, with its progress."""
    waiting = [
        (task, state)
        for task in shell.store().tasks(GraphRun.KIND)
        if (state := jobs.state(task)).get("state") not in ("done", "missing")
    ]
    if waiting:
        newest = max(waiting, key=lambda each: each[1].get("queued") or 0)[0]
        task_panel.show(newest, key="graphs.pending")


def real(data: GraphData) -> Task | None:
    """The map of the real graph, if it has been drawn."""
    task = shell.store().task(GraphMap(data=data))
    return task if task.is_done() else None


def pictures(task: Task) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Nodes and links, the map, and their two sliders; the edges shown, labels and names of classes."""
    from ddcore.graphs.artefact import GraphSet

    spec, made = task.spec_as(GraphRun), GraphSet.from_task(task)
    names, labels = [plain(n) for n in made.class_names], made.labels
    steps = task.snapshot_steps()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        threshold = st.slider(
            "Show links above",
            0.0,
            1.0,
            figures.first_threshold(made.adjacency),
            0.05,
            key=f"graphs.threshold.{task.key}",
            disabled=not made.adjacency.any(),
        )
        step = st.select_slider("Epoch", steps, value=steps[-1], key=f"graphs.step.{task.key}")
    now = graphs.moment(task, step)
    background = real(spec.data)
    left, right = st.columns(2, gap="medium")
    with left:
        count = int((now.edges > threshold).sum() // 2)
        charts.show(
            figures.links_and_nodes(now.edges, labels, names, threshold),
            key="graphs.links",
            alt=f"{len(labels)} nodes in rings of {len(names)} classes, {count} links above {threshold:g}",
        )
    with right:
        figure = figures.map_of(
            background.arrays() if background else None, now.places, labels, names
        )
        charts.show(figure, key="graphs.map", alt="P²X of condensed and real nodes in one plane")
        if background is None:
            st.caption("The real nodes are shown once their map has been computed.")
    return now.edges, labels, names


# --- figures and table ----------------------------------------------------------------------------


def headline(rows: list[GraphRow]) -> None:
    """What it reaches beside the baseline that costs nothing, in a sentence."""
    if text := table_of.sentence(rows):
        st.markdown(text)


def table(rows: list[GraphRow]) -> None:
    """Both columns, what was published, and what each set takes."""
    lines = table_of.table(rows)
    head = list(lines[0])
    st.markdown(markdown_table(head, [[line[name] for name in head] for line in lines]))
    st.caption(table_of.note(rows))


def edges_by_class(
    edges: np.ndarray, labels: np.ndarray, names: list[str], data: GraphData
) -> None:
    """Whether links are within classes, beside the real graph."""
    background = real(data)
    facts = background.result() if background else {}
    share, chance = graphs.within(edges, labels)
    figure = figures.by_class(edges, labels, names, facts.get("density"))
    charts.show(
        figure, key="graphs.blocks", alt="Edges of the set by class beside the real graph's"
    )
    if share is None:
        st.caption("This set has no edges.")
        return
    text = f"{100 * share:.0f} % of the weight of all links is within classes "
    text += f"({100 * chance:.0f} % by chance)"
    if facts.get("homophily") is not None:
        text += f"; of the real edges {100 * facts['homophily']:.0f} % are"
    st.caption(f"{text}.")


def thresholds(task: Task, evaluations: list[Task], rows: list[GraphRow]) -> None:
    """What weak links are good for; nothing where no other threshold has been judged."""
    found = over_thresholds(evaluations, task.spec_as(GraphRun), "gcn")
    if not found:
        st.caption(
            "Accuracy without weak edges: "
            f"`ddx evaluate {task.key} --threshold 0.05 0.1 0.2 0.3 0.4 0.5` measures it."
        )
        return
    mean = next((row for row in rows if row.subject == "class_mean"), None)
    alt = "; ".join(f"above {r['threshold']:g}: {figure_text(r['best'])}" for r in found)
    charts.show(
        graph_figures.against_threshold(found, mean),
        key="graphs.thresholds",
        alt=f"Accuracy against the threshold. {alt}",
    )
    edges = ", ".join(f"{r['edges']:,} above {r['threshold']:g}" for r in found)
    st.caption(
        f"Links left: {edges}. Each point: {found[0]['best']['n']} networks, ± their spread."
    )


def chosen_protocol(evaluations: list[Task]) -> tuple[str, str] | None:
    """Protocol and network of the table, among those that have been judged."""
    known = protocols_of(evaluations)
    options = {f"{p}.{a}": f"{a}, {p}" for p, archs in known.items() for a in archs}
    if not options:
        return None
    first = next(iter(options))
    named = first
    if len(options) > 1:
        named = links.choice("Judged by", options, "judge", default=first, width=240)
    protocol, _, arch = named.rpartition(".")
    return protocol, arch


# --- making one -----------------------------------------------------------------------------------


def form() -> None:
    """Method, graph, size and seed; what it takes; start."""
    here = [name for name, known in KNOWN.items() if known.file(paths.data_root()).is_file()]
    one, two, three = st.columns(3)
    with one:
        name = links.choice("Method", {n: m.title for n, m in graph_methods().items()}, "method")
        preset = links.choice(
            "Preset",
            {p: p.capitalize() for p in graph_method(name).presets},
            "preset",
            widget=st.segmented_control,
        )
    with two:
        graph = st.selectbox(
            "Graph",
            [*here, "own"],
            format_func=lambda n: KNOWN[n].title if n in KNOWN else "My own",
        )
        path = st.text_input("Its npz or folder", key="graphs.path") if graph == "own" else ""
    with three:
        ratio = st.select_slider(
            "Nodes, as a share of the labelled ones", [0.1, 0.25, 0.5, 1.0], value=0.5
        )
        seed = links.number("Seed", "seed", low=0, high=2**31 - 1, value=0) or 0
    try:
        spec = make_graph_run(name, _data(graph, path), ratio=ratio, seed=seed, preset=preset)
    except DDError as error:
        st.warning(plain(error), icon=":material/info:")
        return
    st.markdown(graph_method(name).explanation)
    seconds = spec.params.epochs * graph_method(name).seconds
    st.caption(
        f"About {duration(seconds)} of one core for a graph like Cora at 0.5, and as long to judge it. "
        f"From a terminal: `ddx distil {name} --dataset {graph if graph in KNOWN else 'PATH'} "
        f"--ratio {ratio:g} --preset {preset}`"
    )
    if permissions.button(
        "Start", key="graphs.start", type="primary", icon=":material/play_arrow:"
    ):
        wanted = [spec, GraphMap(data=spec.data), *spec.follow_ups()]
        permissions.submit(shell.store(), wanted)
        st.rerun()


def _data(graph: str, path: str) -> GraphData:
    from ddcore.graphs.files import resolve_graph

    if graph in KNOWN:
        return GraphData(name=graph)
    return resolve_graph(permissions.data_folder(path) if path.strip() else "")


JUDGES = "\n".join(f"- *{name}*: {about}." for name, about in NETS.items())
