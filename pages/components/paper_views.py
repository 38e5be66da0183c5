"""Findings of the paper as cards: verdict, statement, small picture of published and ours, and why."""

from __future__ import annotations

import dataclasses

import streamlit as st

from analysis import analysis
from analysis.claims import picture, table
from analysis.claims.base import HOLDS, NOT, ONE_NETWORK, OPEN
from analysis.claims.table import ClaimLine
from analysis.contract import AnalysisTask
from analysis.runs import Chosen, choose
from analysis.settings import estimate, make_spec
from analysis.shared import drawing
from ddcore.base.foreign_text import plain
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task
from pages.components import (
    analysis_overview,
    analysis_page,
    analysis_runs,
    permissions,
    settings_form,
    shell,
    task_panel,
)
from pages.components.analysis_overview import OverviewRow

ICONS = {HOLDS: ":material/check_circle:", NOT: ":material/cancel:", OPEN: ":material/help:"}
COLOURS = {HOLDS: "green", NOT: "red", OPEN: "gray"}
PARTS = {HOLDS: "shown", NOT: "the opposite is shown", OPEN: "not shown"}  # what was decided of one
PAPER = (
    "Yang et al. 2024, *What is Dataset Distillation Learning?* BPTT is backpropagation through time; DM, GM "
    "and MTT are distribution, gradient and trajectory matching."
)
BESIDE = 2
ENOUGH = 3  # networks, as in most presets


def show() -> None:
    """The whole page below the frame."""
    head = shell.head()
    with head:
        st.title("The paper, here", anchor=False)
        bar = shell.bar("paper.bar")
        keys = analysis_runs.pick(bar)
    if not keys:
        return
    store = shell.store()
    chosen = choose(store, keys)
    with bar:
        preset = analysis_overview.ask_preset()
    found = table.tasks(store, chosen, preset)
    lines = table.lines(store, found, plain)
    rows = {name: row_of(store, name, chosen, preset, task) for name, task in found.items()}
    with head:
        st.markdown(table.summary(lines))
        st.caption(PAPER)
    with bar:
        analysis_overview.start(store, list(rows.values()), chosen)
    more = {name: store.task(spec) for name, row in rows.items() if (spec := _more(row.spec))}
    for key, task in [*((f"paper.{n}", r.task) for n, r in rows.items()), *_keyed(more)]:
        if task and jobs.state(task)["state"] not in ("done", "missing"):
            task_panel.show(task, key=key)
    with shell.main():
        for first in range(0, len(lines), BESIDE):
            for column, line in zip(st.columns(BESIDE), lines[first : first + BESIDE]):
                with column.container(border=True, height="stretch", gap="xsmall"):
                    _card(line, rows[line.claim.analysis], chosen)
    _about(lines, chosen)
    st.caption(table.RULE)


def row_of(store: Store, name: str, chosen: Chosen, preset: str, task: Task | str) -> OverviewRow:
    """The analysis with the task that is judged: that of the preset, or the same with more networks."""
    row = analysis_overview.row_of(store, analysis(name), chosen, preset)
    if isinstance(task, str) or row.task is None or task.key == row.task.key:
        return row
    return dataclasses.replace(row, spec=task.spec(), task=task)


def _more(spec: AnalysisTask | None) -> AnalysisTask | None:
    """The same with as many networks as a test needs; None if it has more than one, or none at all."""
    name = table.networks(spec) if spec else ""
    return spec.replace(**{name: ENOUGH}) if name and getattr(spec, name) == 1 else None


def _keyed(tasks: dict[str, Task]) -> list[tuple[str, Task]]:
    return [(f"paper.more.{name}", task) for name, task in tasks.items()]


def _about(lines: list[ClaimLine], chosen: Chosen) -> None:
    other = [plain(label) for label in table.unjudged(chosen)]
    apart = f" No finding is about {', '.join(other)}." if other else ""
    data, count = plain(chosen.data.title()), len(chosen.runs)
    st.caption(
        "Findings of Yang et al. 2024 (*What is Dataset Distillation Learning?*, CIFAR-10, 10 images per "
        f"class), held against {count} set{'s' if count > 1 else ''} of {data}. {table.LEGEND}{apart}"
    )


def _card(line: ClaimLine, row: OverviewRow, chosen: Chosen) -> None:
    """One finding."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        _badge(line)
        with st.popover("Why", type="tertiary", key=f"paper.why.{line.claim.id}"):
            _details(line)
        of = row.analysis
        shell.link(analysis_page.path(of), of.title, icon=of.icon, **_query(row, chosen))
    st.markdown(line.claim.statement)
    published = f"Paper: {drawing.typeset(line.claim.published.text)}."
    if line.verdict:
        evidence = line.verdict.evidence
        if drawn := picture.html(evidence):
            st.html(drawn)
        st.caption(f"{published} Here: {evidence.n}." if drawn and evidence.n else published)
        if ONE_NETWORK in evidence.cannot and (spec := _more(row.spec)):
            _start(line, row, spec, f"Run with {ENOUGH}", chosen)
        return
    st.caption(published)
    if line.trouble:
        st.caption(line.trouble)
    elif row.spec:
        _start(line, row, row.spec, f"Run {row.analysis.title}", chosen)


def _query(row: OverviewRow, chosen: Chosen) -> dict[str, str]:
    """What leads to the same result on the analysis's page."""
    found = {**analysis_page.link_query(), "preset": row.preset}
    if row.spec and row.spec != make_spec(row.analysis, chosen, row.preset):
        name = table.networks(row.spec)
        found[settings_form.PARAMETER] = f"{name}={getattr(row.spec, name)}"
    return found


def _badge(line: ClaimLine) -> None:
    if line.verdict:
        outcome = line.verdict.outcome
        st.badge(line.word, icon=ICONS[outcome], color=COLOURS[outcome])
    else:
        st.badge(line.word, icon=task_panel.ICONS["missing"], color="gray")


def _start(
    line: ClaimLine, row: OverviewRow, spec: AnalysisTask, label: str, chosen: Chosen
) -> None:
    """A button for a task with what it takes; nothing while it is on its way."""
    store = shell.store()
    if jobs.state(store.task(spec))["state"] in ("done", *jobs.ACTIVE):
        return
    if permissions.button(label, key=f"paper.start.{line.claim.id}", icon=":material/play_arrow:"):
        permissions.submit(store, [spec])
        st.rerun()
    st.caption(f"It will take {estimate(row.analysis, spec, chosen, store).sentence()}.")


def _details(line: ClaimLine) -> None:
    """What was tested, what varies, and what differs from the paper."""
    if line.verdict:
        st.markdown(drawing.typeset(line.verdict.why))
        shown = [
            f"- {drawing.typeset(table.part_text(part))} ({PARTS[outcome]})"
            for part, outcome in line.verdict.parts
        ]
        if shown:
            st.markdown("\n".join(shown))
        if line.explained:
            st.markdown(f"**Why not here.** {line.explained}")
        if line.verdict.evidence.varies:
            st.caption(f"What varies: {line.verdict.evidence.varies}")
    if line.differs:
        st.caption(f"Here: {'; '.join(line.differs)}.")
    st.caption(f"Paper, read in {line.claim.published.read}.")
