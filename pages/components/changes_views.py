"""A set used otherwise than it was made to be: in another order, with other step sizes, with hard labels."""

from __future__ import annotations

import streamlit as st

from ddcore.base import texts
from ddcore.base.foreign_text import plain
from ddcore.measure import changes, estimate
from ddcore.measure.changes import ChangesTask
from ddcore.measure.spec import default_evaluation
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.store import Task
from ddcore.training.estimate import START_S
from pages.components import charts, evaluation_views, shell, task_panel

TITLE = "Used otherwise than it was made to be"


def show(run: Task, made: DistilledSet) -> dict[str, dict]:
    """The figures, or the panel that leads to them; nothing for sets without anything to change.

    Returns the rows by change, {} while there are none.
    """
    todo = changes.changes_of(made)
    if not todo:
        return {}
    st.header(TITLE, anchor=False)
    meanings = "; ".join(changes.MEANING[c] for c in todo[1:])
    task = task_panel.ensure(
        ChangesTask(run_key=run.key, nets=made.protocol.nets),
        key="evaluate.changes",
        label="Try it",
        why=f"How much of its accuracy is in how it is used? Tried: {meanings}.",
        estimate=f"about {texts.duration(seconds(run, made, len(todo)))}",
    )
    if task is None:
        return {}
    rows = {row["change"]: row for row in task.result()["rows"]}
    dots(rows)
    st.markdown(table(rows))
    st.caption(
        f"Network {task.result()['arch']}, protocol {plain(task.result()['protocol']['name'])}, otherwise "
        "unchanged."
        + (" Judged by the labels that the attack wants." if made.relabel else "")
        + " Where all networks start from one known initialisation there is a single figure, but "
        "for the shuffled steps, of which every network has its own order."
    )
    return rows


def seconds(run: Task, made: DistilledSet, count: int) -> float:
    """What `count` uses will take, from what an evaluation of the run would."""
    spec = run.spec()
    evaluation = default_evaluation(run.key, spec)
    guess = estimate.evaluation(evaluation, spec, shell.store(), made.shape, made.num_classes)
    each = (guess.seconds - START_S) / (1 + len(evaluation.baselines))
    return START_S + count * each


def dots(rows: dict[str, dict]) -> None:
    """One dot per network and change."""
    shown = [
        (changes.CHANGES[name], row["accuracies"], charts.COLOURS[0 if not i else 1], "circle")
        for i, (name, row) in enumerate(rows.items())
    ]
    figure = charts.dots(shown, x="test accuracy")
    words = (f"{changes.CHANGES[n]} {evaluation_views.figure_text(r)}" for n, r in rows.items())
    charts.show(figure, key="evaluate.changes.dots", alt=f"Test accuracy. {'; '.join(words)}")


def table(rows: dict[str, dict]) -> str:
    """Each change with its figure and what it costs."""
    own = rows[changes.AS_MADE]
    body = []
    for name, row in rows.items():
        points = "" if row is own else f"{evaluation_views.gain(row, own):+.1f}"
        label = f"**{changes.CHANGES[name]}**: {changes.MEANING[name]}"
        body.append([label, evaluation_views.figure_cell(row), points])
    return evaluation_views.markdown_table(["Use", "Test accuracy", "Points"], body)
