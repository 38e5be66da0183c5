"""Findings of the paper as cards: verdict, statement, small picture of published and ours, and why."""

from __future__ import annotations

import streamlit as st

from analysis import analysis, base, drawing
from analysis.base import PRESETS, Chosen
from analysis.claims import picture, table
from analysis.claims.base import HOLDS, NAMES, NOT, OPEN
from analysis.claims.table import Line
from ddcore import jobs
from ddcore.foreign_text import plain
from ddcore.store import Store
from pages.components import (
    analysis_overview,
    analysis_page,
    analysis_runs,
    links,
    permissions,
    shell,
    task_panel,
)
from pages.components.analysis_overview import Row

ICONS = {HOLDS: ":material/check_circle:", NOT: ":material/cancel:", OPEN: ":material/help:"}
COLOURS = {HOLDS: "green", NOT: "red", OPEN: "gray"}
PARTS = {HOLDS: "so", NOT: "the opposite", OPEN: "not told"}  # what was decided of one
BESIDE = 2


def show() -> None:
    """The whole page below the frame."""
    st.title("The paper, here", anchor=False)
    answer = st.container(gap="xsmall")
    left, right = st.columns((5, 3))
    with left:
        keys = analysis_runs.pick()
    if not keys:
        return
    store = shell.store()
    chosen = base.choose(store, keys)
    with right:
        preset = links.choice("Preset", PRESETS, "preset", widget=st.segmented_control)
    lines = table.lines(store, table.tasks(store, chosen, preset), plain)
    names = dict.fromkeys(line.claim.analysis for line in lines)
    rows = {n: analysis_overview.row_of(store, analysis(n), chosen, preset) for n in names}
    with answer:
        _answer(lines, chosen)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        analysis_overview.start(store, list(rows.values()), chosen)
    for name, row in rows.items():
        if row.task and row.state not in ("done", "missing"):
            task_panel.show(row.task, key=f"paper.{name}")
    for first in range(0, len(lines), BESIDE):
        for column, line in zip(st.columns(BESIDE), lines[first : first + BESIDE]):
            with column.container(border=True, height="stretch", gap="xsmall"):
                _card(line, rows[line.claim.analysis], preset, store, chosen)
    st.caption(table.RULE)


def _answer(lines: list[Line], chosen: Chosen) -> None:
    st.subheader(table.summary(lines), anchor=False)
    short = ", ".join(f"{name.upper()} {words}" for name, words in NAMES.items())
    other = [plain(label) for label in table.unjudged(chosen)]
    apart = f" No finding is about {', '.join(other)}." if other else ""
    st.caption(
        "Findings of Yang et al. 2024 (*What is Dataset Distillation Learning?*, CIFAR-10, 10 images per "
        f"class), held against these runs. {short[:1].upper()}{short[1:]}.{apart}"
    )


def _card(line: Line, row: Row, preset: str, store: Store, chosen: Chosen) -> None:
    """One finding."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        _badge(line)
        with st.popover("Why", type="tertiary", key=f"paper.why.{line.claim.id}"):
            _details(line, row, preset)
    st.markdown(line.claim.statement)
    published = f"Paper: {drawing.typeset(line.claim.published.text)}."
    if line.verdict:
        evidence = line.verdict.evidence
        if drawn := picture.html(evidence):
            st.html(drawn)
        st.caption(f"{published} Here: {evidence.n}." if drawn and evidence.n else published)
        return
    st.caption(published)
    if line.trouble:
        st.caption(line.trouble)
    else:
        _compute(line, row, store, chosen)


def _badge(line: Line) -> None:
    if line.verdict:
        outcome = line.verdict.outcome
        st.badge(line.word, icon=ICONS[outcome], color=COLOURS[outcome])
    else:
        st.badge(line.word, icon=task_panel.ICONS["missing"], color="gray")


def _compute(line: Line, row: Row, store: Store, chosen: Chosen) -> None:
    """The button for the analysis of a finding, with what it takes; nothing while it is on its way."""
    if row.spec is None or row.state in jobs.ACTIVE:
        return
    if permissions.button(
        f"Run {row.analysis.title}",
        key=f"paper.start.{line.claim.id}",
        icon=":material/play_arrow:",
    ):
        permissions.submit(store, [row.spec])
        st.rerun()
    guess = base.estimate(row.analysis, row.spec, chosen, store)
    st.caption(f"It will take {guess.sentence()}.")


def _details(line: Line, row: Row, preset: str) -> None:
    """What was tested, what varies, what differs from the paper, and the way to the figures."""
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
    query = {**analysis_page.link_query(), "preset": "" if preset == "quick" else preset}
    shell.link(
        analysis_page.path(row.analysis), row.analysis.title, icon=row.analysis.icon, **query
    )
