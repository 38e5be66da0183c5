"""Evaluate: is it better than chance? A run beside sets of the same size that cost nothing."""

from __future__ import annotations

import streamlit as st

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
    links,
    ranking_views,
    run_picker,
    runs,
    shell,
    task_panel,
)

FORM = "Change what is measured: protocol, networks, architectures, baselines"


def main() -> None:
    """The whole page."""
    st.title("Is it better than chance?", anchor=False)
    st.markdown(
        "Networks that saw nothing but the distilled images, beside networks that saw as many random "
        "real images or class means."
    )
    run = run_picker.pick()
    if run is None:
        return
    result = run.result()
    shape, classes = tuple(result["shape"]), len(result["set"]["class_names"])
    given = evaluation_form.options(run.spec(), shape, classes, run.key)
    with st.expander(FORM, icon=":material/tune:", key="evaluate.form"):
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
        show(task, wanted, given, result["set"]["class_names"])
    more(run, task)
    if task:
        notes()
    others(given, wanted)


def show(
    task: Task, wanted: EvaluateTask, given: evaluation_form.Options, names: list[str]
) -> None:
    """The answer, the dots, the tables, the figures to take away."""
    rows = task.result()["rows"]
    archs = {row["arch"]: row["arch"] for row in rows}
    if len(archs) > 1:
        links.choice("Network", archs, "arch", widget=st.segmented_control)
    arch = shown_arch(task)
    one = runs.accuracies(task, arch)
    if "attack" in one["distilled"]:
        st.subheader(evaluation_views.attack_answer(one, names), anchor=False)
        evaluation_views.attack_table(one, names)
    else:
        st.subheader(evaluation_views.answer(one), anchor=False)
        if text := evaluation_views.caution(one):
            st.warning(text, icon=":material/warning:")
    fixed = getattr(given.run.params, "setting", "") == "fixed"
    if text := evaluation_views.contrast(one, wanted, fixed):
        st.info(text, icon=":material/compare_arrows:")
    ordered = wanted.protocol.ordered
    if text := evaluation_views.before_and_after(one, given.run.start, ordered):
        st.info(text, icon=":material/compare_arrows:")
    evaluation_views.dots(one, "evaluate.dots")
    if "attack" not in one["distilled"]:  # by the true labels an attack is no gain
        evaluation_views.table(one)
    st.caption(f"Network {arch}, protocol {plain(wanted.protocol.name)}. Evaluation {task.key}.")
    if len(archs) > 1:
        st.header("On other networks", anchor=False)
        evaluation_views.matrix(rows, given.run.net.label())
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
        st.markdown(f"**How to read it**\n\n{evaluation_views.READ}")
    with right, st.container(border=True, height="stretch"):
        st.markdown(f"**How to doubt it**\n\n{evaluation_views.DOUBT}")


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
            rows = runs.accuracies(task, arch)
            ranking_views.show(run, made, rows, changed, arch, task.spec().protocol)


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
    st.subheader("Also measured", anchor=False)
    for text, state, query in found:
        note = "" if state == "done" else f" ({state})"
        shell.link("pages/5_Evaluate.py", plain(text) + note, icon=":material/balance:", **query)


with shell.page(
    "Evaluate", section="Look", icon=":material/balance:", about="Is it better than chance?"
):
    main()
