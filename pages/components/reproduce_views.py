"""Published figures beside ours: all in a matrix, one in detail, and the recipes that make them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ddcore.recipes import make
from ddcore.recipes.base import MACHINES, Recipe
from ddcore.recipes.table import Line, percent
from pages.components import evaluation_views, permissions, reproduce_matrix, shell

CHOSEN = "reproduce.chosen"  # recipe, row and protocol of the line in detail
FACTS = ("Published", "Ours", "Random real", "Class means", "Also", "Distilling took")
WAYS = {"pages/4_Images.py": "Images", "pages/5_Evaluate.py": "Evaluate"}
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
    reached = [line for line in both if reproduce_matrix.kind(line) == reproduce_matrix.REACHED]
    measured = sum(line.ours is not None for line in lines)
    text = f"**{measured} of {len(lines)}** figures have been measured"
    if both:
        text += (
            f"; where there is a published one to compare with, **{len(reached)} of {len(both)}** reach it "
            "or miss it by less than the spread"
        )
    return f"{text}."


def matrix(lines: list[Line]) -> None:
    """The matrix, and below it the line that is chosen in it."""
    if not lines:
        st.caption("Nothing has been measured here yet: switch off *Measured only*.")
        return
    names = [line.name for line in lines]
    wanted = st.session_state.get(CHOSEN)
    chosen = names.index(wanted) if wanted in names else 0

    def choose(place: int) -> None:
        st.session_state[CHOSEN] = names[place]

    with shell.main():
        reproduce_matrix.show(lines, chosen, "reproduce.matrix", choose)
    _line(lines[chosen])


def _line(line: Line) -> None:
    """Figures of one line, protocol, source, what differs, command."""
    with st.container(border=True, key="reproduce.line", gap="small"):
        st.markdown(f"**{line.title}**, protocol {line.judged_by}")
        facts = {name: text for name, text in cells(line).items() if name in FACTS and text}
        st.markdown(evaluation_views.markdown_table(list(facts), [list(facts.values())]))
        if line.published:
            st.caption(f"Published figure read in: {line.published.source}.")
        if line.row.differs:
            st.caption(f"What differs: {line.row.differs}")
        if line.run:
            with st.container(horizontal=True, gap="small"):
                for path, label in WAYS.items():
                    shell.link(path, label, run=line.run.key)
        elif line.ours:
            st.caption("Of this set only the figures are shipped; the command makes it here.")
        st.code(line.command, language="bash", wrap_lines=True)


def recipe(of: Recipe, lines: list[Line]) -> None:
    """One recipe, folded: what it is for, its table, the command."""
    with st.expander(of.title, icon=":material/history_edu:", key=f"reproduce.of.{of.name}"):
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
        st.code(f"python -m ddcore reproduce {of.name}", language="bash")
        start(of, lines)


def start(of: Recipe, lines: list[Line]) -> None:
    """Choose a row that is not there yet, see what it takes, and queue it."""
    store = shell.store()
    left = {line.row.name: line.title for line in lines if not (line.ours and line.run)}
    if not left:
        return
    name = st.selectbox(
        "Make a row here",
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
