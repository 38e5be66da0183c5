"""All analyses of the chosen runs: what is known, what is on its way, one button for the rest."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from analysis import analyses
from analysis.contract import PRESETS, Analysis, AnalysisTask, seen
from analysis.runs import Chosen, choose
from analysis.settings import estimate, known_preset, make_spec
from analysis.shared import drawing
from ddcore.base.errors import SpecError
from ddcore.base.foreign_text import plain
from ddcore.base.texts import duration
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task
from pages.components import analysis_page, analysis_runs, links, permissions, shell, task_panel

COLUMNS = 3


@dataclass(frozen=True)
class Row:
    """An analysis with its task for the chosen runs, or the reason why there can be none."""

    analysis: Analysis
    spec: AnalysisTask | None
    task: Task | None
    refused: str = ""

    @property
    def state(self) -> str:
        """State of the task."""
        return jobs.state(self.task)["state"] if self.task else "missing"


def show() -> None:
    """The whole page below the frame."""
    st.title("What do distilled images hold?", anchor=False)
    st.markdown(
        "Analyses of Yang et al. 2024 (*What is Dataset Distillation Learning?*), repeated with spread over "
        "several networks. Choose runs; each page overlays them."
    )
    keys = analysis_runs.pick()
    if not keys:
        return
    store = shell.store()
    chosen = choose(store, keys)
    known = [known_preset(a, chosen, store) for a in analyses().values()]
    usual = max(PRESETS, key=known.count)
    preset = links.choice("Preset", PRESETS, "preset", default=usual, widget=st.segmented_control)
    rows = [row_of(store, a, chosen, preset) for a in analyses().values()]
    _suite(store, rows, chosen)
    for first in range(0, len(rows), COLUMNS):
        for column, row in zip(st.columns(COLUMNS), rows[first : first + COLUMNS]):
            with column.container(border=True, height="stretch", gap="small"):
                _card(row, preset)


def row_of(store: Store, analysis: Analysis, chosen: Chosen, preset: str) -> Row:
    """The task of an analysis under a preset."""
    try:
        spec = make_spec(analysis, chosen, preset)
    except SpecError as error:
        return Row(analysis, None, None, str(error))
    return Row(analysis, spec, store.task(spec))


def _suite(store: Store, rows: list[Row], chosen: Chosen) -> None:
    """The button for all that is missing, with what it will take; the report of what is there."""
    ready = [row for row in rows if row.task and row.task.is_done()]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        start(store, rows, chosen)
        if ready:
            tasks = [row.task for row in ready]

            def report() -> str:
                from analysis.report import html

                return html(tasks, shell.store())

            st.download_button(
                f"Report of {len(ready)} (HTML)",
                report,
                file_name="analyses.html",
                mime="text/html",
                key="suite.report",
                icon=":material/download:",
                on_click="ignore",
            )


def start(store: Store, rows: list[Row], chosen: Chosen) -> None:
    """The button for all of these analyses that are missing, with what it will take; nothing if none is."""
    asked = [row for row in rows if row.spec and row.state not in ("done", *jobs.ACTIVE)]
    if not asked:
        return
    whole = not any(row.task and row.task.is_done() for row in rows)
    label = "Run the whole suite" if whole else f"Run the other {len(asked)}"
    if permissions.button(label, key="suite.start", type="primary", icon=":material/play_arrow:"):
        permissions.submit(store, [row.spec for row in asked])
        st.rerun()
    seconds = suite_seconds(store, asked, chosen)
    st.caption(f"It will take about {duration(seconds)}, one after the other.", width="content")


def suite_seconds(store: Store, rows: list[Row], chosen: Chosen) -> float:
    """Seconds of all; a pool that several need is counted once."""
    seconds, pools = 0.0, set()
    for row in rows:
        guess = estimate(row.analysis, row.spec, chosen, store, but=pools)
        seconds += guess.seconds
        pools |= {pool.key for pool in row.analysis.pools(row.spec, chosen).values()}
    return seconds


def _card(row: Row, preset: str) -> None:
    """Question, state, answer, way to the page."""
    analysis, panel = row.analysis, row.state not in ("done", "missing")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{analysis.title}**", width="content")
        if not (row.refused or panel):  # a panel says it itself
            task_panel.badge(row.state)
    st.markdown(analysis.question)
    if row.refused:
        st.caption(plain(row.refused))
    elif row.state == "done":
        st.caption(drawing.typeset(analysis.headline(seen(analysis.result(row.task), plain))))
    elif panel:
        task_panel.show(row.task, key=f"suite.{analysis.name}")
    query = {**analysis_page.link_query(), "preset": preset}
    shell.link(analysis_page.path(analysis), "Open", icon=analysis.icon, **query)
