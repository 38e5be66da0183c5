"""Evaluate: is it better than random images? A run beside sets of the same size that cost nothing."""

from __future__ import annotations

from typing import Any

import streamlit as st

from analysis.printed import provenance
from ddcore.base.foreign_text import plain
from ddcore.measure import estimate
from ddcore.measure.spec import EvaluateTask
from ddcore.tasks import jobs
from ddcore.tasks.store import Task
from pages.components import (
    changes_views,
    evaluation_form,
    evaluation_views,
    evolution,
    glossary,
    links,
    ranking_views,
    run_picker,
    runs,
    shell,
    take_away,
    task_panel,
    teach,
)

FORM = "What is measured"


def main() -> None:
    """The whole page."""
    with shell.head():
        st.title("Is it better than random images?", anchor=False)
        bar = shell.bar("evaluate.bar")
    with bar:
        run = run_picker.pick(label_visibility="collapsed")
    if run is None:
        return
    result = run.result()
    shape, classes = tuple(result["shape"]), len(result["set"]["class_names"])
    given = evaluation_form.options(run.spec(), shape, classes, run.key)
    with (
        bar,
        teach.part("settings", "evaluate.form"),
        st.popover(FORM, icon=":material/tune:", key="evaluate.form", width="content"),
    ):
        wanted = evaluation_form.ask(given)
        if given.unfit:
            st.caption(plain(" ".join(given.unfit)))
    task = task_panel.ensure(
        wanted,
        key="evaluate.task",
        label="Measure",
        why=f"Protocol {plain(evaluation_form.describe(wanted))}. Figures that exist already are used again.",
        estimate=estimate.evaluation(wanted, given.run, shell.store(), shape, classes).sentence(),
    )
    if task:
        fixed = bool(evolution.made_by(run).init_weights)
        show(task, wanted, given, fixed, result["set"]["class_names"])
    more(run, task)
    if task:
        with teach.part("texts", "evaluate.notes"):
            notes()
    others(given, wanted)


def show(
    task: Task,
    wanted: EvaluateTask,
    given: evaluation_form.Options,
    fixed: bool,
    names: list[str],
) -> None:
    """The answer, the dots, the tables, the figures to take away.

    `fixed` says that the set is made for one known initialisation, which it holds.
    """
    rows = task.result()["rows"]
    archs = {row["arch"]: row["arch"] for row in rows}
    if len(archs) > 1:
        links.choice("Network", archs, "arch", widget=st.segmented_control)
    arch = shown_arch(task)
    one = runs.accuracies(task, arch)
    if "attack" in one["distilled"]:
        st.markdown(evaluation_views.attack_answer(one, names))
        evaluation_views.attack_table(one, names)
    else:
        st.markdown(evaluation_views.answer(one))
        if text := evaluation_views.as_published(one):
            st.caption(text)
    evaluation_views.dots(one, "evaluate.dots")
    if "attack" not in one["distilled"] and (text := evaluation_views.caution(one)):
        st.warning(text, icon=":material/warning:")
    if text := evaluation_views.contrast(one, wanted, fixed):
        st.info(text, icon=":material/compare_arrows:")
    ordered = wanted.protocol.ordered
    if text := evaluation_views.before_and_after(one, given.run.start, ordered):
        st.info(text, icon=":material/compare_arrows:")
    if "attack" not in one["distilled"]:  # by the true labels an attack is no gain
        evaluation_views.table(one)
    labels = f", {plain(wanted.labels.title())}" if wanted.labels else ""
    protocol = plain(wanted.protocol.name)
    st.caption(f"Network {arch}, protocol {protocol}{labels}. Evaluation {task.key}.")
    if len(archs) > 1:
        st.header("On other networks", anchor=False)
        evaluation_views.matrix(rows, given.run.net.label())
    downloads(task, wanted, one)


def downloads(task: Task, wanted: EvaluateTask, one: dict[str, dict[str, Any]]) -> None:
    """The figure for papers, and every network's accuracy."""
    arch = shown_arch(task)
    said = f"evaluation {task.key[:8]}, {arch}, protocol {wanted.protocol.name}"
    line = provenance.of_run(shell.find_run(wanted.run_key), one["distilled"]["n"], said)
    with (
        teach.part("downloads", "evaluate.csv"),
        st.container(horizontal=True, gap="small"),
    ):
        take_away.popover(
            [evaluation_views.TITLE],
            lambda: [evaluation_views.panel(one)],
            key="evaluate.figures",
            stem=f"evaluation-{task.key}",
            line=line,
        )
        st.download_button(
            "Every network's figure (CSV)",
            evaluation_views.csv_of(task),
            file_name=f"evaluation-{task.key}.csv",
            mime="text/csv",
            key="evaluate.csv",
            icon=":material/download:",
            on_click="ignore",
        )


def notes() -> None:
    """How to read the figures, and how to doubt them."""
    left, right = st.columns(2, gap="large")
    with left, st.container(border=True, height="stretch"):
        st.markdown(f"**How to read it**\n\n{glossary.marked(evaluation_views.READ)}")
    with right, st.container(border=True, height="stretch"):
        st.markdown(f"**How to doubt it**\n\n{glossary.marked(evaluation_views.DOUBT)}")


def shown_arch(task: Task) -> str:
    """The network whose figures are shown: the link's, else the first."""
    archs = [row["arch"] for row in task.result()["rows"]]
    named = st.query_params.get("arch", "")
    return named if named in archs else archs[0]


def more(run: Task, task: Task | None) -> None:
    """DD-Ranking's measures, and the set used otherwise than it was made to be."""
    made = evolution.made_by(run)
    measures = st.container()
    changed = changes_views.show(run, made)
    if task and made.relabel is None:  # by the true labels an attack is no gain
        arch = shown_arch(task)
        if task.result()["protocol"] != made.protocol.to_dict():
            changed = {}  # figures of another protocol
        with measures:
            ranking_views.show(run, made, task, changed, arch)


def others(given: evaluation_form.Options, wanted: EvaluateTask) -> None:
    """Links to the run's other evaluations."""
    found = []
    for task in runs.evaluations(shell.store(), wanted.run_key):
        state = jobs.state(task)["state"]
        if task.key != wanted.key and state in ("done", *jobs.ACTIVE):
            spec = task.spec()
            if (query := evaluation_form.parameters(given, spec)) is not None:
                found.append((evaluation_form.describe(spec), state, query))
    if not found:
        return
    st.header("Also measured", anchor=False)
    for text, state, query in found:
        note = "" if state == "done" else f" ({state})"
        shell.link("pages/5_Evaluate.py", plain(text) + note, icon=":material/balance:", **query)


with shell.page(
    "Evaluate", section="Look", icon=":material/balance:", about="Is it better than random images?"
):
    main()
