"""The frame of every analysis page.

A page is a file `pages/8_<Name>.py`, named after the analysis, with nothing but

    from pages.components import analysis_page

    analysis_page.show("recognition")

Everything it shows is read from the analysis's declaration and from finished tasks; the sidebar finds it
by that call. Nothing is computed here.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Collection
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from analysis import analysis as named
from analysis.contract import Analysis, AnalysisTask, Arrays, Drawn, Option, Pictures, seen
from analysis.export import csv_text
from analysis.printed import archive, provenance
from analysis.results import Result
from analysis.runs import Chosen, choose
from analysis.settings import estimate, picked
from analysis.shared import drawing
from analysis.task import lacks_images, load_arrays
from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.base.texts import duration
from ddcore.tasks.store import Store, Task
from pages.components import (
    analysis_form,
    analysis_runs,
    charts,
    glossary,
    grid,
    links,
    reading,
    runs,
    shell,
    tables,
    take_away,
    task_panel,
    teach,
    views,
)

OVERVIEW = "pages/8_Understand.py"
PICTURES_HEIGHT = 150  # screen pixels of images that belong together, about
PICTURES = 4  # groups of them that are seen at once; the others are folded
MOST_ROWS = 500  # of a table
Chart = Callable[[str, Drawn, Result, Arrays, dict[str, str]], None]  # the first is a widget key
# Draws above all figures and says which of them it stands for.
Lead = Callable[[Result, Arrays, dict[str, str]], Collection[int]]
CAPTION_WORDS = 20  # of a caption that is shown whole
SENTENCES = re.compile(r"(?<=[.!?]) (?=[A-Z(])")
OFFERED = 4  # other choices of sets
# Choices that change a figure share a row with its title, as wide as there is room.
CSS = """<style>
[class*="st-key-"][class*="-options"] > :has([data-testid="stSelectbox"]) {
  flex: 1 1 8.5rem; min-width: 8.5rem; max-width: 26rem;
}
</style>"""


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
        head = shell.head()
        with head:
            st.title(analysis.question, anchor=False)
            bar = shell.bar(f"{name}.bar")
            keys = analysis_runs.pick(bar, analysis)
        if keys:
            with shell.boundary():
                _answer(analysis, keys, chart, lead, bar, head)
        with bar:
            _texts(analysis)


def _answer(
    analysis: Analysis,
    keys: tuple[str, ...],
    chart: Chart,
    lead: Lead,
    bar: DeltaGenerator,
    head: DeltaGenerator,
) -> None:
    store = shell.store()
    chosen = choose(store, keys)
    with bar:
        spec = analysis_form.ask(analysis, chosen)
    task = task_panel.ensure(
        spec,
        key=f"{analysis.name}.task",
        estimate=_estimate(analysis, spec, chosen, store),
    )
    if task:
        _result(analysis, task, chart, lead, head)
        return
    _offer(store, analysis, keys)
    if example := newest(store, analysis):
        st.header("Example", anchor=False)
        about = analysis.result(example)
        labels = ", ".join(run.label for run in about.runs)
        same = example.spec().run_keys == spec.run_keys
        apart = "The runs chosen above with other settings" if same else "Not the runs chosen above"
        st.caption(f"Example: {plain(labels)}, {plain(about.data_label)}. {apart}.")
        _result(analysis, example, chart, lead, shell.head("example"))


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
    done = [t for t in store.tasks(analysis.spec.KIND) if _reads(analysis, t)]
    own = [t for t in done if not t.shipped] or done
    return max(own, key=lambda t: (t.folder / "done.json").stat().st_mtime, default=None)


def _reads(analysis: Analysis, task: Task) -> bool:
    """Whether it is finished with a result that this version knows; one of an older version may hold less."""
    try:
        analysis.result(task)
    except DDError:
        return False
    return True


def _result(analysis: Analysis, task: Task, chart: Chart, lead: Lead, head: DeltaGenerator) -> None:
    """The answer in few words and the choices of what is shown, in `head`; figures, images, the whole answer,
    what to take away.
    """
    result, arrays = analysis.result(task), load_arrays(shell.store(), task)
    shown = seen(result, plain)
    with head:
        st.markdown(drawing.typeset(analysis.headline(shown)))
        st.html(CSS)
        row = shell.bar(f"{analysis.name}.options")
    with row:
        beside = st.container(width="stretch")  # the title of the first figure
    options = picked(analysis, result, lambda option: _ask(option, row))
    done = lead(result, arrays, options)
    figures = dict(enumerate(analysis.figures(shown, arrays, options)))

    def draw(place: int) -> None:
        drawn = figures[place]
        chart(f"{analysis.name}.figure.{place}", drawn, shown, arrays, options)
        _caption(drawing.typeset(drawn.caption))

    left = [place for place in figures if place not in done]
    _one_legend([drawn.figure for drawn in figures.values()])
    for drawn in figures.values():
        views.legible(drawn.figure)
    if not done:
        first = left.pop(0)
        beside.markdown(f"**{figures[first].title}**")
        draw(first)
    open_ = [p for p in left if not figures[p].folded]
    for wide, places in itertools.groupby(open_, lambda p: figures[p].wide):
        parts = [(figures[p].title, functools.partial(draw, p)) for p in places]
        _beside(parts, columns=1 if wide else 2)
    for place in left:
        if figures[place].folded:
            with st.expander(figures[place].title, key=f"{analysis.name}.folded.{place}"):
                draw(place)
    if lacks_images(arrays):
        reading.show(result.data, f"{analysis.name}.data")
    _groups(analysis, result, arrays)
    st.markdown(glossary.marked(drawing.typeset(analysis.sentence(shown))))
    rows = analysis.table(result, arrays)
    with st.expander("Numbers", icon=":material/table_rows:", key=f"{analysis.name}.numbers"):
        if len(rows) > MOST_ROWS:
            st.caption(f"The first {MOST_ROWS} of {len(rows):,} rows; the file has all.")
        shown_rows = tables.columns(rows[:MOST_ROWS])
        st.dataframe(shown_rows, hide_index=True, key=f"{analysis.name}.table")
    titles = [drawn.title for drawn in figures.values()]
    _downloads(analysis, task, result, arrays, rows, titles, options)


def _caption(text: str) -> None:
    """What a figure shows; of many words the first sentence, the rest behind a question mark."""
    first, *rest = SENTENCES.split(text, maxsplit=1)
    if rest and len(text.split()) > CAPTION_WORDS:
        st.caption(first, help=rest[0])
    else:
        st.caption(text)


def _one_legend(figures: list[Any]) -> None:
    """Figures that show nothing but what the first one names need no legend of their own."""
    names = [{trace.name for trace in figure.data if trace.name} for figure in figures]
    for figure, own in zip(figures[1:], names[1:]):
        if own and own <= names[0]:
            figure.update_layout(showlegend=False)


def _beside(parts: list[tuple[str, Callable[[], None]]], columns: int = 2) -> None:
    """Titled parts so many in a row; the last of an odd number has the row for itself."""
    for start in range(0, len(parts), columns):
        row = parts[start : start + columns]
        for column, (title, draw) in zip(st.columns(len(row), gap="medium"), row):
            with column:
                st.markdown(f"**{title}**")
                draw()


def _groups(analysis: Analysis, result: Result, arrays: Arrays) -> None:
    """Images that belong together, the first few groups of them open."""
    seen, folded = [], []
    for place, group in enumerate(analysis.pictures(result, arrays)):
        key = f"{analysis.name}.pictures.{place}"
        into = folded if group.folded or len(seen) == PICTURES else seen
        into.append((plain(group.title), functools.partial(_pictures, group, key)))
    _beside(seen)
    if folded:
        label = f"{len(folded)} {'more ' if seen else ''}groups of images"
        with st.expander(label, icon=":material/grid_view:", key=f"{analysis.name}.more"):
            _beside(folded)


def _ask(option: Option, row: DeltaGenerator) -> str:
    """A choice in the row above the figure, its label in front of each of its words."""
    words = {name: f"{option.label}: {text}" for name, text in option.choices.items()}
    widget = st.select_slider if option.slider else st.selectbox
    with row:
        return links.choice(
            option.label,
            words,
            f"view_{option.name}",
            default=option.default,
            widget=widget,
            label_visibility="collapsed",
        )


def _pictures(group: Pictures, key: str) -> None:
    """Images in rows, with a line below each."""
    grid.show(
        grid.Sheet(group.pixels, group.labels, lines=group.labels),
        key=key,
        label=group.title,
        height=PICTURES_HEIGHT,
        note=None,
    )


def _downloads(
    analysis: Analysis,
    task: Task,
    result: Result,
    arrays: Arrays,
    rows: list[dict[str, Any]],
    titles: list[str],
    options: dict[str, str],
) -> None:
    """Numbers, the figures called `titles`, report; the latter two are made when asked for."""
    stem = f"{analysis.name}-{task.key}"

    def report() -> str:
        from analysis.report import html

        return html([task], shell.store())

    with (
        teach.part("downloads", f"{analysis.name}.downloads"),
        st.container(horizontal=True, gap="small"),
    ):
        text, name = csv_text(rows), analysis.name
        take_away.download("Numbers (CSV)", lambda: text, f"{stem}.csv", "text/csv", f"{name}.csv")
        take_away.popover(
            titles,
            lambda: archive.panels(analysis, result, arrays, options),
            key=name,
            stem=stem,
            line=provenance.of_analysis(shell.store(), task),
        )
        take_away.download("Report (HTML)", report, f"{stem}.html", "text/html", f"{name}.html")
    st.caption(f"{task.kind} {task.key}, computed in {spent(task, result)} on {result.device}.")


def spent(task: Task, result: Result) -> str:
    """How long it took, with what it had to wait for or train."""
    return duration(task.status().get("seconds") or result.seconds)


def _texts(analysis: Analysis) -> None:
    """How to read it, how to doubt it, what the paper found, what is done otherwise: one click away."""
    texts = {
        "How to read it": analysis.read,
        "How to doubt it": analysis.doubt,
        "What the paper found": analysis.paper,
        "What differs here": analysis.differs,
    }
    with (
        teach.part("texts", f"{analysis.name}.texts"),
        st.popover("Read and doubt", icon=":material/menu_book:"),
    ):
        for head, body in texts.items():
            st.markdown(f"**{head}**\n\n{glossary.marked(body)}")
        shell.link(
            OVERVIEW, "All analyses of these runs", icon=":material/psychology:", **link_query()
        )


def link_query() -> dict[str, str]:
    """What keeps the chosen runs on another page."""
    return {analysis_runs.PARAMETER: st.query_params.get(analysis_runs.PARAMETER, "")}
