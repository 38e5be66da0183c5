"""What is seen of one run while it goes on and afterwards: curves, first and newest images, settings."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analysis.printed import provenance
from analysis.printed.panel import Panel
from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.base.spread import figure_text
from ddcore.data.registry import datasets
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.distil.contract import INITS, methods
from ddcore.measure import estimate
from ddcore.measure.spec import default_evaluation
from ddcore.tasks import pausing
from ddcore.tasks.store import Task
from pages.components import charts, evaluation_views, runs, shell, take_away, task_panel, teach

VALIDATION = "Validation accuracy"
CURVES = {  # of a run: what events call it, what is said until there is one, part of its key
    "Loss": ("loss", "Appears with the first iterations.", "loss"),
    VALIDATION: ("validation", "Appears with the first check on held-out training images.", "val"),
}
FEW = 2  # images per class that are shown at the whole width
# Settings that say nothing the dataset's name does not say.
HIDDEN = ("data.fingerprint", "data.path")


def curves(task: Task, key: str) -> None:
    """Loss and validation accuracy over the iterations, as far as they are."""
    log = st.toggle(
        "Loss on a log scale",
        key="log",
        bind="query-params",
        value=False,
        disabled=teach.off("view"),
    )
    drawn = {each.title: each for each in panels(task, log)}
    places = zip(st.columns(2, gap="large"), CURVES.items())
    for place, (title, (_, awaited, part)) in places:
        with place:
            st.header(title, anchor=False)
            if shown := drawn.get(title):
                charts.show(shown.figure, key=f"{key}.{part}", alt=shown.text)
            else:
                st.caption(awaited)
    for note in (e["note"] for e in task.events() if "note" in e):
        st.caption(f"Note: {plain(note)}.")


def panels(task: Task, log: bool, titled: bool = False) -> list[Panel]:
    """The curves that there are; `titled` writes what they show along their axes, for no heading is near."""
    colour, dash = charts.method_style(task.document()["spec"]["method"])
    found = []
    for title, points in _points(task).items():
        x, y = zip(*points)
        share = title == VALIDATION
        series = charts.Series(title, x, y, colour, dash, markers=share or len(x) == 1)
        figure = charts.lines(
            [series],
            x="iteration",
            y=title.lower() if titled else "",
            height=220,
            log_y=log and not share,
            per_cent=share,
        )
        first, last = f"{y[0]:.3g}", f"{y[-1]:.3g}"
        alt = f"{title} from {first} at iteration {x[0]} to {last} at iteration {x[-1]}"
        found.append(Panel(title, figure, alt))
    return found


def _points(task: Task) -> dict[str, list[tuple[int, float]]]:
    """(iteration, value) of each curve by its title; without those that have none."""
    events = task.events()
    every = {
        title: [(e["step"], e[name]) for e in events if name in e]
        for title, (name, _, _) in CURVES.items()
    }
    return {title: points for title, points in every.items() if points}


def figures(task: Task, key: str) -> None:
    """The curves as files for papers; nothing where there is none."""
    titles, log = list(_points(task)), bool(st.session_state.get("log"))
    if not titles:
        return
    with teach.part("downloads", f"{key}.figures"):
        take_away.popover(
            titles,
            lambda: panels(task, log, titled=True),
            key=key,
            stem=f"run-{task.key}",
            line=provenance.of_run(task),
        )


def then_and_now(task: Task, key: str) -> None:
    """The images at step 0 beside the newest ones; above them where there are few, so that they are large."""
    from pages.components import grid, sheet

    steps = task.snapshot_steps()
    if not steps:
        st.caption(awaited(task.document()["spec"]))
        return
    names, spec = class_names(task), task.document()["spec"]
    shown = {"start": (steps[0], task.snapshot(steps[0])["pixels"].astype("float32"))}
    if waiting := pausing.seen(task):
        shown["now"] = waiting
    elif len(steps) > 1:
        shown["now"] = steps[-1], task.snapshot(steps[-1])["pixels"].astype("float32")
    few = len(shown["start"][1]) <= FEW * len(names) and len(names) <= sheet.WIDE
    above = [st.container(gap="xsmall") for _ in shown] if few else None
    places = above or st.columns(2, gap="small")
    for place, (name, (step, pixels)) in zip(places, shown.items()):
        with place:
            st.header("Start" if step == 0 else f"Iteration {step:,}", anchor=False)
            grid.show(
                grid.by_class(pixels, runs.labels_of(spec, len(pixels), len(names)), names),
                key=f"{key}.{name}",
                label=f"Images at iteration {step}",
                note=sheet.colours(pixels, "clip"),
            )


def awaited(spec: dict[str, Any]) -> str:
    """What the images of a run that has none yet will be."""
    start = INITS.get(spec["init"], "its first images")
    return f"It starts from {start}: they appear here when it begins, once the data have been read."


def class_names(task: Task) -> tuple[str, ...]:
    """Names of the classes, from the decoded dataset or the registry."""
    data = task.document()["spec"]["data"]
    if data["name"] in datasets():
        return datasets()[data["name"]].classes
    decoded = shell.store().task(dataset_task(DataSpec.from_dict(data)))
    return tuple(decoded.result()["class_names"])


def measured(task: Task) -> None:
    """What the method itself found out about its set, if it looks."""
    spec = task.document()["spec"]
    known = methods().get(spec["method"])
    findings = task.result().get("findings")
    if known and known.measured and findings:
        st.markdown(known.measured(findings))


def settings(task: Task) -> None:
    """Every setting of the run as a table."""
    rows = [f"| `{name}` | {plain(value)} |" for name, value in flat(task.document()["spec"])]
    st.markdown("\n".join(["| Setting | Value |", "| --- | --- |", *rows]))


def flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names; empty ones are left out."""
    found = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += flat(value, f"{prefix}{name}.")
        elif value not in (None, "", []):
            found.append((prefix + name, str(value)))
    return found


def evaluation(task: Task) -> None:
    """The run's own evaluation: its panel while there is none, its figures when there is."""
    spec = task.spec()
    wanted = default_evaluation(task.key, spec)
    done = task_panel.ensure(
        wanted,
        key="run.evaluation",
        label="Evaluate",
        why="Test accuracy beside random real images and class means.",
        estimate=_evaluation_cost(task, wanted),
    )
    if done is None:
        return
    rows = runs.accuracies(done)
    subjects = ("distilled", "before", "other_inits", "random", "class_mean")
    shown = [n for n in subjects if n in rows]
    for column, name in zip(st.columns(max(4, len(shown))), shown):
        value = figure_text(rows[name])
        column.metric(charts.subject(name)[0], value.partition(" (")[0], help=value)
    n = rows["distilled"]["n"]
    what = "kernel machine" if spec.protocol.closed_form else "network"
    what += "s" if n > 1 else ""
    st.caption(f"Test accuracy, {n} {what}, protocol {plain(spec.protocol.name)}.")
    if "attack" in rows["distilled"]:
        st.markdown(evaluation_views.attack_answer(rows, class_names(task)))


def _evaluation_cost(task: Task, wanted: Any) -> str:
    try:
        shape = tuple(task.result()["shape"])
        classes = len(class_names(task))
        return estimate.evaluation(wanted, task.spec(), shell.store(), shape, classes).sentence()
    except DDError:
        return ""
