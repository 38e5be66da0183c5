"""The frame of every analysis page.

A page is a file `pages/8_<Name>.py`, named after the analysis, with nothing but

    from pages.components import analysis_page

    analysis_page.show("recognition")

Everything it shows is read from the analysis's declaration and from finished tasks; the sidebar finds it
by that call. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import streamlit as st

from analysis import analysis as named
from analysis.contract import Analysis, AnalysisTask, Arrays, Drawn, Option, Pictures, Result, seen
from analysis.export import csv_text
from analysis.runs import Chosen, choose
from analysis.settings import estimate, picked
from analysis.shared import drawing
from analysis.task import lacks_images, load_arrays
from ddcore.base.foreign_text import plain
from ddcore.base.texts import duration
from ddcore.data.spec import DataSpec
from ddcore.tasks.store import Store, Task
from pages.components import (
    analysis_form,
    analysis_runs,
    charts,
    grid,
    links,
    reading,
    runs,
    shell,
    task_panel,
)

OVERVIEW = "pages/8_Understand.py"
PICTURES_HEIGHT = 300  # screen pixels of images that belong together, about
MOST_ROWS = 500  # of a table
Chart = Callable[[str, Drawn, Result, Arrays, dict[str, str]], None]  # the first is a widget key
# Draws above all figures and says which of them it stands for.
Lead = Callable[[Result, Arrays, dict[str, str]], Collection[int]]
OFFERED = 4  # other choices of sets


def path(analysis: Analysis) -> str:
    """The page of an analysis, relative to the project."""
    return f"pages/8_{analysis.name.capitalize()}.py"


def figure(key: str, drawn: Drawn, result: Result, arrays: Arrays, options: dict[str, str]) -> None:
    """A figure that can be hovered and zoomed."""
    charts.show(drawn.figure, key=key, alt=drawn.caption)


def nothing(result: Result, arrays: Arrays, options: dict[str, str]) -> Collection[int]:
    """No more than the figures."""
    return ()


def show(name: str, chart: Chart = figure, lead: Lead = nothing) -> None:
    """The whole page of an analysis; `chart` draws its figures, `lead` what comes before them."""
    analysis = named(name)
    with shell.page(
        analysis.title, section=shell.ANALYSES, icon=analysis.icon, about=analysis.question
    ):
        st.title(analysis.question, anchor=False)
        keys = analysis_runs.pick()
        if keys:
            with shell.boundary():
                _answer(analysis, keys, chart, lead)
        _texts(analysis)


def _answer(analysis: Analysis, keys: tuple[str, ...], chart: Chart, lead: Lead) -> None:
    store = shell.store()
    chosen = choose(store, keys)
    spec = analysis_form.ask(analysis, chosen)
    task = task_panel.ensure(
        spec,
        key=f"{analysis.name}.task",
        estimate=_estimate(analysis, spec, chosen, store),
    )
    if task:
        _result(analysis, task, chart, lead)
        return
    _offer(store, analysis, keys)
    if example := newest(store, analysis):
        st.header("Example", anchor=False)
        labels = ", ".join(run["label"] for run in example.result()["runs"])
        same = example.spec().run_keys == spec.run_keys
        apart = "The runs chosen above with other settings" if same else "Not the runs chosen above"
        st.caption(f"Example: {plain(labels)}, {plain(example.result()['data_label'])}. {apart}.")
        _result(analysis, example, chart, lead)


def _offer(store: Store, analysis: Analysis, keys: analysis_runs.Keys) -> None:
    """Links to choices of sets that this analysis has an answer for, where it has none for these."""
    answers = analysis_runs.answers_to(store, analysis)
    if tuple(sorted(keys)) in answers:  # with other settings: shown below
        return
    choices = analysis_runs.titles(answers, runs.finished(store))
    if choices:
        st.markdown("There is an answer for other sets:")
    for each, title in list(choices.items())[:OFFERED]:
        query = {analysis_runs.PARAMETER: ",".join(each)}
        shell.link(path(analysis), plain(title), icon=":material/arrow_forward:", **query)


def _estimate(analysis: Analysis, spec: AnalysisTask, chosen: Chosen, store: Store) -> str:
    if store.task(spec).is_done():
        return ""
    return estimate(analysis, spec, chosen, store).sentence()


def newest(store: Store, analysis: Analysis) -> Task | None:
    """The finished task of an analysis that was computed last, shipped ones included."""
    done = [t for t in store.tasks(analysis.spec.KIND) if t.opens()]
    own = [t for t in done if not t.shipped] or done
    return max(own, key=lambda t: (t.folder / "done.json").stat().st_mtime, default=None)


def _result(analysis: Analysis, task: Task, chart: Chart, lead: Lead) -> None:
    """The answer in a sentence, figures, images, what to take away."""
    result, arrays = task.result(), load_arrays(shell.store(), task)
    if lacks_images(arrays):
        reading.show(DataSpec.from_dict(result["data"]), f"{analysis.name}.data")
    shown = seen(result, plain)
    st.subheader(drawing.typeset(analysis.sentence(shown)), anchor=False)
    row = st.container(horizontal=True, gap="medium", key=f"{analysis.name}.options")

    def ask(option: Option) -> str:
        with row:
            return links.choice(option.label, option.choices, f"view_{option.name}", width=230)

    options = picked(analysis, result, ask)
    done = lead(result, arrays, options)
    for place, drawn in enumerate(analysis.figures(shown, arrays, options)):
        if place in done:
            continue
        st.markdown(f"**{drawn.title}**")
        chart(f"{analysis.name}.figure.{place}", drawn, shown, arrays, options)
        st.caption(drawing.typeset(drawn.caption))
    for place, group in enumerate(analysis.pictures(result, arrays)):
        _pictures(group, f"{analysis.name}.pictures.{place}")
    rows = analysis.table(result, arrays)
    with st.expander("Numbers", icon=":material/table_rows:", key=f"{analysis.name}.numbers"):
        if len(rows) > MOST_ROWS:
            st.caption(f"The first {MOST_ROWS} of {len(rows):,} rows; the file has all.")
        st.dataframe(rows[:MOST_ROWS], hide_index=True, key=f"{analysis.name}.table")
    _downloads(analysis, task, result, arrays, rows)


def _pictures(group: Pictures, key: str) -> None:
    """Images in rows, with a line below each."""
    st.markdown(f"**{plain(group.title)}**")
    grid.show(
        grid.Sheet(group.pixels, group.labels, lines=group.labels),
        key=key,
        label=group.title,
        height=PICTURES_HEIGHT,
        note=None,
    )


def _downloads(
    analysis: Analysis, task: Task, result: Result, arrays: Arrays, rows: list[dict[str, Any]]
) -> None:
    """Numbers, static figure and report; the latter two are made when asked for."""
    stem = f"{analysis.name}-{task.key}"

    def button(label: str, suffix: str, mime: str, data: object) -> None:
        st.download_button(
            label,
            data,
            file_name=f"{stem}.{suffix}",
            mime=mime,
            key=f"{analysis.name}.{suffix}",
            icon=":material/download:",
            on_click="ignore",
        )

    def static(suffix: str) -> bytes:
        return drawing.static_bytes(analysis, result, arrays, suffix)

    def report() -> str:
        from analysis.report import html

        return html([task], shell.store())

    with st.container(horizontal=True, gap="small"):
        button("Numbers (CSV)", "csv", "text/csv", csv_text(rows))
        for suffix, mime in drawing.FORMATS.items():
            button(f"Figure ({suffix.upper()})", suffix, mime, lambda s=suffix: static(s))
        button("Report (HTML)", "html", "text/html", report)
    st.caption(f"{task.kind} {task.key}, computed in {spent(task)} on {result['device']}.")


def spent(task: Task) -> str:
    """How long it took, with what it had to wait for or train."""
    return duration(task.status().get("seconds") or task.result()["seconds"])


def _texts(analysis: Analysis) -> None:
    """How to read it, how to doubt it, what the paper found, what is done otherwise."""
    texts = {
        "How to read it": analysis.read,
        "How to doubt it": analysis.doubt,
        "What the paper found": analysis.paper,
        "What differs here": analysis.differs,
    }
    items = list(texts.items())
    for pair in (items[:2], items[2:]):
        for column, (head, body) in zip(st.columns(2, gap="large"), pair):
            with column.container(border=True, height="stretch"):
                st.markdown(f"**{head}**\n\n{body}")
    shell.link(OVERVIEW, "All analyses of these runs", icon=":material/psychology:", **link_query())


def link_query() -> dict[str, str]:
    """What keeps the chosen runs on another page."""
    return {analysis_runs.PARAMETER: st.query_params.get(analysis_runs.PARAMETER, "")}
