"""Evaluate: is it better than chance? A run beside sets of the same size that cost nothing."""

from __future__ import annotations

import streamlit as st

from ddcore import estimate, jobs
from ddcore.evaluation_spec import EvaluateTask
from ddcore.store import Task
from pages.components import (
    evaluation_form,
    evaluation_views,
    links,
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
    given = evaluation_form.options(run.spec(), shape, classes)
    with st.expander(FORM, icon=":material/tune:", key="evaluate.form"):
        wanted = evaluation_form.ask(given)
        if given.unfit:
            st.caption(" ".join(given.unfit))
    task = task_panel.ensure(
        wanted,
        key="evaluate.task",
        label="Measure",
        why=f"Protocol {evaluation_form.describe(wanted)}. Figures that exist already are used again.",
        estimate=estimate.evaluation(wanted, given.run, shell.store(), shape, classes).sentence(),
    )
    if task:
        show(task, wanted, given)
    others(given, wanted)


def show(task: Task, wanted: EvaluateTask, given: evaluation_form.Options) -> None:
    """The answer, the dots, the tables, the figures to take away."""
    rows = task.result()["rows"]
    archs = {row["arch"]: row["arch"] for row in rows}
    arch = next(iter(archs))
    if len(archs) > 1:
        arch = links.choice("Network", archs, "arch", widget=st.segmented_control)
    one = runs.accuracies(task, arch)
    st.subheader(evaluation_views.answer(one), anchor=False)
    if text := evaluation_views.caution(one):
        st.warning(text, icon=":material/warning:")
    fixed = getattr(given.run.params, "setting", "") == "fixed"
    if text := evaluation_views.contrast(one, wanted, fixed):
        st.info(text, icon=":material/compare_arrows:")
    evaluation_views.dots(one, "evaluate.dots")
    evaluation_views.table(one)
    st.caption(f"Network {arch}, protocol {wanted.protocol.name}. Evaluation {task.key}.")
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
    left, right = st.columns(2, gap="large")
    with left, st.container(border=True, height="stretch"):
        st.markdown(f"**How to read it**\n\n{evaluation_views.READ}")
    with right, st.container(border=True, height="stretch"):
        st.markdown(f"**How to doubt it**\n\n{evaluation_views.DOUBT}")


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
        shell.link("pages/5_Evaluate.py", text + note, icon=":material/balance:", **query)


with shell.page(
    "Evaluate", section="Look", icon=":material/balance:", about="Is it better than chance?"
):
    main()
