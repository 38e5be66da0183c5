"""DD-Ranking's two measures of a set, from stored figures, with their definitions."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ddcore.measure import changes, ranking
from ddcore.measure.spec import WHOLE
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.store import Task
from ddcore.training.protocols import Protocol
from pages.components import runs, shell

TITLE = "Is it the images, or their treatment?"
SOURCE = (
    "After DD-Ranking (Li et al. 2025). ± takes the networks of both figures as independent. All "
    "training images (but those held out for validation) are used with a minibatch training of their own, "
    "as the protocols are made for small sets."
)
Row = dict[str, Any]


def show(
    run: Task,
    made: DistilledSet,
    rows: dict[str, Row],
    changed: dict[str, Row],
    arch: str,
    protocol: Protocol,
) -> None:
    """Both measures for one network `arch` under `protocol`, from rows by subject.

    `changed` are rows of the set used otherwise, if any.
    """
    st.header(TITLE, anchor=False)
    left, right = st.columns(2, gap="large")
    better, gap = ranking.DEFINITIONS
    with left:
        found = ranking.improvement_over_random(rows, ranking.with_own_labels(made, protocol))
        _measure(better, found.over_random if found else None)
        if found and found.note:
            st.markdown(found.note)
    with right:
        everything = rows.get(WHOLE) or whole(run, arch)
        hard = hard_labels(made, rows, changed, arch)
        _measure(gap, ranking.hard_label_gap(everything, hard))
        if everything is None:
            st.caption("It needs the accuracy of all training images.")
            more = ",".join(filter(None, [st.query_params.get("baselines", ""), WHOLE]))
            query = {k: v for k, v in st.query_params.items() if k != shell.RUN}
            shell.link(
                "pages/5_Evaluate.py",
                "Measure them too",
                icon=":material/star:",
                **{**query, "baselines": more},
            )
        elif hard is None:
            st.caption(
                f"It needs the set with hard labels in this network: see «{changes.CHANGES['hard_labels']}» "
                "below, which is tried in the set's own network and protocol."
            )
    st.caption(SOURCE)


def _measure(name: str, found: ranking.Difference | None) -> None:
    st.metric(name.capitalize(), found.points() if found else "not measured")
    st.caption(ranking.DEFINITIONS[name])


def whole(run: Task, arch: str) -> Row | None:
    """The figure of all training images from any evaluation of the run; it has a protocol of its own."""
    for task in runs.evaluations(shell.store(), run.key):
        if task.is_done():
            for row in task.result()["rows"]:
                if row["subject"] == WHOLE and row["arch"] == arch:
                    return row
    return None


def hard_labels(
    made: DistilledSet, rows: dict[str, Row], changed: dict[str, Row], arch: str
) -> Row | None:
    """The figure of the set with hard labels: its own, unless its labels are soft."""
    if not made.soft:
        return rows.get("distilled")
    return changed.get(changes.HARD_LABELS) if arch == made.net.label() else None
