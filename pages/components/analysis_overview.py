"""All analyses of the chosen runs: what is known, what is on its way, one button for the rest."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from analysis import analyses, thumbnail
from analysis.contract import COMPUTED_OR, Analysis, AnalysisTask, seen
from analysis.printed import archive
from analysis.runs import Chosen, choose
from analysis.settings import estimate, make_spec, preset_of
from analysis.shared import drawing
from ddcore.base.errors import SpecError
from ddcore.base.foreign_text import plain
from ddcore.base.texts import duration
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task
from pages.components import (
    analysis_page,
    analysis_runs,
    links,
    permissions,
    shell,
    take_away,
    task_panel,
)

# As many cards in a row as are at least so wide: four where a window is 1280 wide, three at 1024. Pictures of
# whatever height leave the same room to the words below them.
CSS = """<style>
.st-key-suite-cards {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: .75rem;
}
.st-key-suite-cards > [data-testid="stLayoutWrapper"],
.st-key-suite-cards > * > [data-testid="stVerticalBlock"] { height: 100%; }
.st-key-suite-cards > * > [data-testid="stVerticalBlock"] { padding: .6rem .7rem; }
.st-key-suite-cards [data-testid="stImage"] img {
  max-height: 11.5rem; object-fit: contain; object-position: left;
}
.st-key-suite-cards [data-testid="stCaptionContainer"] p { font-size: .8rem; line-height: 1.35; }
</style>"""
# Pictures are drawn on white: in the dark theme light and dark change places, hues stay.
DARK = """<style>
.st-key-suite-cards [data-testid="stImage"] img { filter: invert(.92) hue-rotate(180deg); }
</style>"""
ABOUT = (
    "After Yang et al. 2024, *What is Dataset Distillation Learning?*, repeated with spread over several "
    "networks."
)


@dataclass(frozen=True)
class OverviewRow:
    """An analysis with its task for the chosen runs, or the reason why there can be none."""

    analysis: Analysis
    spec: AnalysisTask | None
    task: Task | None
    preset: str  # under which it is, whatever was asked for
    refused: str = ""

    @property
    def state(self) -> str:
        """State of the task."""
        return jobs.state(self.task)["state"] if self.task else "missing"


def show() -> None:
    """The whole page below the frame."""
    with shell.head():
        st.title("What do distilled images hold?", anchor=False, help=ABOUT)
        bar = shell.bar("overview.bar")
        keys = analysis_runs.pick(bar)
    if not keys:
        return
    store = shell.store()
    chosen = choose(store, keys)
    with bar:
        preset = ask_preset()
        rows = [row_of(store, a, chosen, preset) for a in analyses().values()]
        _suite(store, rows, chosen)
    st.html(CSS + (DARK if st.context.theme.type == "dark" else ""))
    with shell.main(), st.container(key="suite.cards"):
        for row in sorted(rows, key=lambda row: row.state not in ("done", *jobs.ACTIVE)):
            with st.container(border=True, height="stretch", gap="xsmall"):
                _card(row)


def ask_preset() -> str:
    """A preset for several analyses, or of each the largest that has been computed; the link keeps it."""
    return links.choice(
        "Preset",
        COMPUTED_OR,
        "preset",
        widget=st.segmented_control,
        label_visibility="collapsed",
    )


def row_of(store: Store, analysis: Analysis, chosen: Chosen, asked: str) -> OverviewRow:
    """The task of an analysis under a preset, or the largest that has been computed."""
    preset = preset_of(analysis, chosen, store, asked)
    try:
        spec = make_spec(analysis, chosen, preset)
    except SpecError as error:
        return OverviewRow(analysis, None, None, preset, f"Needs {error.allowed}.")
    return OverviewRow(analysis, spec, store.task(spec), preset)


def _suite(store: Store, rows: list[OverviewRow], chosen: Chosen) -> None:
    """The button for all that is missing, with what it will take; the report of what is there."""
    ready = [row for row in rows if row.task and row.task.is_done()]
    start(store, rows, chosen)
    if ready:
        tasks = [row.task for row in ready]

        def report() -> str:
            from analysis.report import html

            return html(tasks, shell.store())

        st.download_button(
            f"Report of {len(ready)}",
            report,
            file_name="analyses.html",
            mime="text/html",
            key="suite.report",
            icon=":material/download:",
            on_click="ignore",
        )
        with st.popover(
            f"Figures of {len(ready)}", icon=":material/imagesmode:", key="suite.paper"
        ):
            st.fragment(_figures)(tasks)


def _figures(tasks: list[Task]) -> None:
    """All panels of these analyses, drawn and in numbers, in one zip."""
    format, width, named = take_away.look("suite")

    def archived() -> bytes:
        return archive.of_tasks(shell.store(), tasks, format, width, named=named)

    st.caption("Every panel and its numbers, a folder for each analysis. Drawing takes a while.")
    take_away.download("Download", archived, "figures.zip", take_away.ZIP, "suite.figures")


def start(store: Store, rows: list[OverviewRow], chosen: Chosen) -> None:
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
    st.caption(f"about {duration(seconds)}", width="content")


def suite_seconds(store: Store, rows: list[OverviewRow], chosen: Chosen) -> float:
    """Seconds of all; a pool that several need is counted once."""
    seconds, pools = 0.0, set()
    for row in rows:
        guess = estimate(row.analysis, row.spec, chosen, store, but=pools)
        seconds += guess.seconds
        pools |= {pool.key for pool in row.analysis.pools(row.spec, chosen).values()}
    return seconds


def _card(row: OverviewRow) -> None:
    """Figure, answer, way to the page; without an answer question and state."""
    analysis, state = row.analysis, row.state
    query = {**analysis_page.link_query(), "preset": row.preset}
    if row.task and state == "done":
        headline = drawing.typeset(analysis.headline(seen(analysis.result(row.task), plain)))
        picture = thumbnail.of_task(shell.store(), row.task)
        st.image(picture, alt=f"{analysis.title}: {headline.replace('**', '')}", width="stretch")
        shell.link(analysis_page.path(analysis), analysis.title, icon=analysis.icon, **query)
        st.caption(headline)
        return
    shell.link(analysis_page.path(analysis), analysis.title, icon=analysis.icon, **query)
    st.caption(analysis.question)
    if row.refused or not row.task:
        st.caption(plain(row.refused))
    elif state == "missing":
        task_panel.badge(state)
    else:
        task_panel.show(row.task, key=f"suite.{analysis.name}")
