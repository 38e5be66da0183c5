"""What is seen of one run while it goes on and afterwards: curves, first and newest images, settings."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.base.spread import figure_text
from ddcore.data.registry import datasets
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.distil.contract import methods
from ddcore.measure import estimate
from ddcore.measure.spec import default_evaluation
from ddcore.tasks.store import Task
from pages.components import charts, evaluation_views, runs, shell, task_panel


def curves(task: Task, key: str) -> None:
    """Loss and validation accuracy over the iterations, as far as they are."""
    events = task.events()
    loss = [(e["step"], e["loss"]) for e in events if "loss" in e]
    checks = [(e["step"], e["validation"]) for e in events if "validation" in e]
    colour, dash = charts.method_style(task.document()["spec"]["method"])
    style = {"colour": colour, "dash": dash}
    log = st.toggle("Loss on a log scale", key="log", bind="query-params", value=False)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Loss", anchor=False)
        if loss:
            _line("Loss", loss, f"{key}.loss", style, log_y=log, markers=False)
        else:
            st.caption("Appears with the first iterations.")
    with right:
        st.subheader("Validation accuracy", anchor=False)
        if checks:
            _line("Validation accuracy", checks, f"{key}.val", style, per_cent=True, markers=True)
        else:
            st.caption("Appears with the first check on held-out training images.")
    for note in (e["note"] for e in events if "note" in e):
        st.caption(f"Note: {plain(note)}.")


def _line(
    name: str,
    points: list[tuple[float, float]],
    key: str,
    style: dict[str, str],
    markers: bool,
    **more: Any,
) -> None:
    x, y = zip(*points)
    series = charts.Series(name, x, y, markers=markers or len(x) == 1, **style)
    figure = charts.lines([series], x="iteration", y="", height=220, **more)
    first, last = f"{y[0]:.3g}", f"{y[-1]:.3g}"
    alt = f"{name} from {first} at iteration {x[0]} to {last} at iteration {x[-1]}"
    charts.show(figure, key=key, alt=alt)


def then_and_now(task: Task, key: str) -> None:
    """The images at step 0 beside the newest ones."""
    from pages.components import grid, sheet

    steps = task.snapshot_steps()
    if not steps:
        st.caption("The first images appear as soon as the data have been read.")
        return
    names, spec = class_names(task), task.document()["spec"]
    shown = {"start": steps[0], "now": steps[-1]} if len(steps) > 1 else {"start": steps[0]}
    for column, (name, step) in zip(st.columns(2, gap="large"), shown.items()):
        with column:
            st.subheader("Start" if step == 0 else f"Iteration {step:,}", anchor=False)
            pixels = task.snapshot(step)["pixels"].astype("float32")
            grid.show(
                grid.by_class(pixels, runs.labels_of(spec, len(pixels), len(names)), names),
                key=f"{key}.{name}",
                label=f"Images at iteration {step}",
                note=sheet.colours(pixels, "clip"),
            )


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
