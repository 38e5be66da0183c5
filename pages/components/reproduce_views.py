"""Published figures beside ours: a line each, drawn and as a table, with the command that makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from ddcore.base import spread
from ddcore.recipes import make
from ddcore.recipes.base import MACHINES, Recipe
from ddcore.recipes.table import Line, percent
from pages.components import charts, permissions, shell

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PUBLISHED = ("Published", charts.COLOURS[1], "x")
ROW_PX = 34
HELP = {
    "Ours": "Test accuracy: mean ± standard deviation over n networks (one, where the network is known).",
    "Also": "What belongs beside the accuracy. Attack: the share of the attacked class that is called the "
    "other one, and the accuracy on all other classes. Closed form: how far the weights are from those of "
    "the model copied (ridge regression on the training images but those held out to choose λ), relative to "
    "them, and that model's accuracy.",
    "Random real": "Random real images, as many, under the same protocol.",
    "Class means": "Class means, as many, under the same protocol.",
}


def answer(lines: list[Line]) -> str:
    """How far this has come, in one or two sentences."""
    both = [line for line in lines if line.published and line.ours]
    reached = [
        line for line in both if 100 * line.ours["mean"] + _spread(line) >= line.published.mean
    ]
    measured = sum(line.ours is not None for line in lines)
    text = f"**{measured} of {len(lines)}** figures have been measured"
    if both:
        text += (
            f"; where there is a published one to compare with, **{len(reached)} of {len(both)}** reach it "
            "or miss it by less than the spread"
        )
    return f"{text}."


def _spread(line: Line) -> float:
    """In points: of our networks and of the published figure, whichever is larger; 0 if neither has one."""
    own, theirs = spread.of(line.ours), line.published.std
    known = [100 * own] if own is not None else []
    return max(known + ([theirs] if theirs is not None else []), default=0.0)


def figure(lines: list[Line]) -> Figure | None:
    """Published, ours, random real and class means of every line with a figure of ours.

    Not of attacks, of which accuracy by the true labels says little.
    """
    shown = [line for line in lines if line.ours and "attack" not in line.ours]
    if not shown:
        return None
    names = [f"{line.title}, {line.judged_by}" for line in shown]
    drawn = charts.new_figure()
    fields = {"distilled": "ours", "random": "random", "class_mean": "class_mean"}
    marks = [(charts.subject(s), [getattr(line, f) for line in shown]) for s, f in fields.items()]
    published = [line.published and line.published.figure() for line in shown]
    for (label, colour, symbol), figures in [*marks, (PUBLISHED, published)]:
        known = [(name, row) for name, row in zip(names, figures) if row]
        drawn.add_scatter(
            name=label,
            x=[row["mean"] for _, row in known],
            y=[name for name, _ in known],
            error_x={"array": [spread.of(row) for _, row in known], "thickness": 1},
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 10},
        )
    drawn.update_layout(
        height=110 + ROW_PX * len(shown),
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
    )
    drawn.update_yaxes(autorange="reversed", type="category", automargin=True)
    return drawn.update_xaxes(tickformat=".0%", title="Test accuracy")


def recipe(of: Recipe, lines: list[Line]) -> None:
    """One recipe: what it is for, its table, ways to its runs, the command."""
    st.header(of.title, anchor=False)
    st.markdown(f"{of.about} Meant for {MACHINES[of.machine]}.")
    if lines:
        rows = [cells(line) for line in lines]
        if not any(row["Also"] for row in rows):
            for row in rows:
                del row["Also"]
        st.dataframe(
            rows,
            hide_index=True,
            height="content",  # the tables are short: nothing is hidden below
            key=f"reproduce.{of.name}",
            column_config={k: st.column_config.TextColumn(help=v) for k, v in HELP.items()},
        )
    runs = {line.run.key: line for line in lines if line.run}
    if runs:
        with st.container(horizontal=True, gap="small"):
            for key, line in runs.items():
                shell.link("pages/4_Images.py", line.row.name, icon=":material/grid_view:", run=key)
    st.code(f"python -m ddcore reproduce {of.name}", language="bash")
    start(of, lines)


def start(of: Recipe, lines: list[Line]) -> None:
    """Choose a row that is not there yet, see what it takes, and queue it."""
    store = shell.store()
    left = {line.row.name: line.title for line in lines if not line.ours}
    if not left:
        return
    with st.expander(
        "Make a row here", icon=":material/play_arrow:", key=f"reproduce.make.{of.name}"
    ):
        name = st.selectbox(
            "Row",
            list(left),
            index=None,
            format_func=left.get,
            placeholder="Choose a row",
            key=f"reproduce.row.{of.name}",
        )
        if name is None:
            return
        planned = make.plan(store, of.steps(only=name))
        st.caption(make.total(planned))
        if permissions.button("Queue it", key=f"reproduce.queue.{of.name}", type="primary"):
            permissions.submit(store, [step.spec for step, guess in planned if guess])
            shell.go("pages/9_Jobs.py")


def cells(line: Line) -> dict[str, Any]:
    """A row of the table."""
    published = line.published
    return {
        "Set": line.title,
        "Protocol": line.judged_by,
        "Published": published.text() if published else "–",
        "Ours": percent(line.ours) if line.ours else "not measured yet",
        "Random real": percent(line.random),
        "Class means": percent(line.class_mean),
        "Also": line.quoted,
        "Distilling took": line.took,
        "Read in": published.source if published else "",
        "What differs": line.row.differs,
        "Only this row": line.command,
    }
