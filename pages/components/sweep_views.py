"""The page Sweeps: accuracy along two axes, the choice on validation images, tested differences, progress."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from analysis.export import csv_text
from analysis.shared.drawing import typeset
from analysis.sweeps import figures, maths, tables
from ddcore.base.foreign_text import plain
from ddcore.sweeps import cells as of_cells
from ddcore.sweeps import file
from ddcore.sweeps.cells import SweepCell
from ddcore.sweeps.file import Sweep
from ddcore.tasks.records import ACTIVE
from pages.components import charts, links, shell, take_away, teach

EVERY_S = 3.0  # between looks while something is computed
MOST_SAID = 20  # failed or invalid cells that are listed
EXAMPLE = "ddx sweep first --method dm dc --dataset digits --ipc 1 10 --seed 0-4 --at-once 4"
READ = """A cell is one run and its evaluation; a figure is the mean over seeds of runs that differ in nothing
else, ± their standard deviation. *Spread of networks* is what networks trained on the same set differ by.
The best set is chosen by its mean on **validation** images, and its accuracy on **test** images is told
beside it, with the number of sets that were compared. Differences are paired by seed."""
DOUBT = """- **The best of many is lucky.** The more sets are compared, the more its validation accuracy
flatters it; that is why the figure beside it is on test images.
- **Validation follows each run's own protocol.** Where methods are judged by different protocols, the best
of all compares unlike figures; the best of one method does not.
- **Few seeds find large differences only.** One seed has no spread, and nothing is tested.
- **Random real images are shared** by all seeds: their spread is that of networks and draws, not of seeds.
- **Settings that were drawn** are compared by choice alone, and 20 of them are a coarse search."""


def show() -> None:
    """The whole page."""
    store = shell.store()
    names = file.names(store)
    with shell.head():
        st.title("How do methods and settings compare?", anchor=False)
        bar = shell.bar("sweeps.bar")
    if not names:
        with shell.main():
            st.markdown("There is no sweep yet. One command starts one, and goes on where it was:")
            st.code(EXAMPLE, language="bash", wrap_lines=True)
    else:
        with bar:
            options = {name: name for name in names}
            name = links.choice("Sweep", options, "sweep", label_visibility="collapsed", width=260)
        with shell.boundary():
            _sweep(file.read(store, name), bar)
    with (
        bar,
        teach.part("texts", "sweeps.texts"),
        st.popover("Read and doubt", icon=":material/menu_book:"),
    ):
        st.markdown(f"**How to read it**\n\n{READ}\n\n**How to doubt it**\n\n{DOUBT}")


def _sweep(sweep: Sweep, bar: st.delta_generator.DeltaGenerator) -> None:
    axes, store = sweep.axes, shell.store()
    cells = of_cells.expand(sweep.name, axes, of_cells.stored(store, axes.dataset))
    looked = maths.look(store, cells)
    rows = maths.table(looked)
    columns = ""
    if len(axes.varied) > 1:
        usual = "ipc" if "ipc" in axes.varied else axes.varied[-1]
        options = {axis: f"{axis} side by side" for axis in axes.varied}
        with bar:
            columns = links.choice(
                "Columns",
                options,
                "columns",
                default=usual,
                label_visibility="collapsed",
                width=220,
            )
    if any(row.results for row in rows):
        drawn = figures.drawn(axes, rows, columns)
        charts.show(drawn.figure, key="sweeps.figure", alt=drawn.caption)
        st.caption(typeset(drawn.caption))
    else:
        with shell.main():
            st.markdown("No cell is done yet.")
    _progress(sweep, cells, looked)
    if told := tables.headline(axes, rows):
        st.markdown(plain(told))
    _table(sweep, looked, rows)
    _differences(sweep, rows)
    _said(looked)
    _runs(looked)


def _progress(sweep: Sweep, cells: Sequence[SweepCell], looked: Sequence[maths.Looked]) -> None:
    """How far it is, looked at again while something is computed; and the command that goes on."""
    found = maths.counts(looked)
    done = found.get("done", 0)
    active = any(state in found for state in ACTIVE)

    def draw() -> None:
        with shell.boundary():
            now = [maths.Looked(c, of_cells.state(shell.store(), c)) for c in cells]
            counted = maths.counts(now).get("done", 0)
            st.progress(counted / max(len(cells), 1), text=tables.progress(now))
            if counted != done:
                st.rerun()

    if active:
        st.fragment(draw, run_every=EVERY_S)()
    else:
        st.progress(done / max(len(cells), 1), text=tables.progress(looked))
    if done < len(cells) - found.get("invalid", 0) and not active:
        st.code(f"ddx sweep {sweep.name}", language="bash")


def _table(sweep: Sweep, looked: Sequence[maths.Looked], rows: Sequence[maths.SweepRow]) -> None:
    axes = sweep.axes
    st.header("Table", anchor=False)
    st.dataframe(tables.lines(axes, rows), hide_index=True, key="sweeps.table")
    for each in maths.chosen(axes, rows):
        st.caption(plain(tables.choice_text(axes, each)))
    with teach.part("downloads", "sweeps.downloads"), st.container(horizontal=True, gap="small"):
        take_away.download(
            "Table (CSV)",
            lambda: csv_text([tables.row_facts(axes, row) for row in rows]),
            f"{sweep.name}.csv",
            "text/csv",
            "sweeps.csv",
        )
        take_away.download(
            "Every cell (CSV)",
            lambda: csv_text([tables.cell_facts(each) for each in looked]),
            f"{sweep.name}-cells.csv",
            "text/csv",
            "sweeps.cells.csv",
        )


def _differences(sweep: Sweep, rows: Sequence[maths.SweepRow]) -> None:
    """Along one axis, each value against the first."""
    able = maths.comparable(sweep.axes)
    if not able:
        return
    st.header("Differences", anchor=False)
    axis = able[0]
    if len(able) > 1:
        options = {name: name for name in able}
        axis = links.choice("Along", options, "along", widget=st.segmented_control)
    found = maths.comparison(sweep.axes, rows, axis)
    if not found:
        st.caption("There are no two finished sets yet that differ in this alone.")
        return
    lines = tables.difference_lines(sweep.axes, found)
    st.dataframe(lines, hide_index=True, key="sweeps.differences")
    st.caption(tables.difference_text(found))


def _said(looked: Sequence[maths.Looked]) -> None:
    """What failed and what cannot be run, each with its sentence."""
    failed = maths.failures(looked)
    for cell, state, message in failed[:MOST_SAID]:
        place = ", ".join(value for _, value in cell.place)
        st.error(plain(f"{place}: {state}: {message}"), icon=":material/error:")
    if len(failed) > MOST_SAID:
        st.caption(f"And {len(failed) - MOST_SAID} more: they are in the table of cells.")
    invalid = of_cells.problems([each.cell for each in looked])
    if invalid:
        with st.expander(f"Cannot be run ({len(invalid)})", icon=":material/block:"):
            for place, _, problem in invalid[:MOST_SAID]:
                st.caption(plain(f"{', '.join(value for _, value in place)}: {problem}"))


def _runs(looked: Sequence[maths.Looked]) -> None:
    """A way from a cell to its run."""
    done = {
        each.cell.run.key: ", ".join(value for _, value in each.cell.place)
        for each in looked
        if each.found and each.cell.run
    }
    if not done:
        return
    key = st.selectbox(
        "Look at one run",
        list(done),
        index=None,
        format_func=done.get,
        placeholder="Choose a cell",
        key="sweeps.run",
    )
    if key:
        with st.container(horizontal=True, gap="small"):
            shell.link("pages/3_Run.py", "Run", run=key)
            shell.link("pages/4_Images.py", "Images", run=key)
            shell.link("pages/5_Evaluate.py", "Evaluate", run=key)
