"""DD-Ranking's measures of a set, from stored figures, with their definitions."""

from __future__ import annotations

import dataclasses

import streamlit as st

from ddcore.measure import changes, fair, ranking
from ddcore.measure.spec import WHOLE
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.store import Task
from pages.components import runs, shell
from pages.components.evaluation_views import AccuracyRow

TITLE = "Is it the images, or their treatment?"
SOURCE = (
    "After DD-Ranking (Li et al. 2025). ± takes the networks of both figures as independent. All "
    "training images (but those held out for validation) are used with a minibatch training of their own, "
    "as the protocols are made for small sets."
)


def show(
    run: Task,
    made: DistilledSet,
    task: Task,
    changed: dict[str, AccuracyRow],
    arch: str,
) -> None:
    """All measures of a finished evaluation for one network `arch`.

    `changed` are rows of the set used otherwise, if any.
    """
    st.header(TITLE, anchor=False)
    found = fair.scores(shell.store(), task, made, arch)
    if found.gap is None and fair.NO_HARD in found.missing:
        found = _with_gap(found, run, made, changed, arch)
    better, gap, labels, augmentation = ranking.DEFINITIONS
    left, right = st.columns(2, gap="large")
    with left:
        _measure(better, found.better.over_random if found.better else None)
        if found.better and found.better.note:
            st.markdown(found.better.note)
    with right:
        _measure(gap, found.gap)
        _gap_needs(found)
    left, right = st.columns(2, gap="large")
    with left:
        _score(labels, found.label_robust, [("HLR", found.gap), ("IOR", _gain(found))])
    with right:
        both = [
            ("IOR with augmentation", found.with_augmentation),
            ("without", found.without_augmentation),
        ]
        _score(augmentation, found.augmentation_robust, both)
    st.markdown(f"**How to doubt it**: {ranking.DOUBT}")
    st.caption(SOURCE)
    if found.missing:
        with st.expander("What the scores still need"):
            st.markdown("\n".join(f"- {text}" for text in found.missing))
            st.code(f"ddx evaluate {run.key} --fair", language="bash")


def _gain(found: fair.FairScores) -> ranking.Difference | None:
    return found.better.over_random if found.better else None


def _with_gap(
    found: fair.FairScores,
    run: Task,
    made: DistilledSet,
    changed: dict[str, AccuracyRow],
    arch: str,
) -> fair.FairScores:
    """The gap by the set's other uses, which include hard labels, where no evaluation has them."""
    hard = hard_labels(changed, made, arch)
    left = tuple(m for m in found.missing if m != fair.NO_HARD) if hard else found.missing
    gap = ranking.hard_label_gap(whole(run, arch), hard)
    return dataclasses.replace(found, gap=gap, missing=left)


def _gap_needs(found: fair.FairScores) -> None:
    """What is to be done where there is no gap."""
    if fair.NO_WHOLE in found.missing:
        st.caption("It needs the accuracy of all training images.")
        more = ",".join(filter(None, [st.query_params.get("baselines", ""), WHOLE]))
        query = {k: v for k, v in st.query_params.items() if k != shell.RUN}
        shell.link(
            "pages/5_Evaluate.py",
            "Measure them too",
            icon=":material/star:",
            **{**query, "baselines": more},
        )
    elif fair.NO_HARD in found.missing:
        st.caption(
            f"It needs the set with hard labels in this network: see «{changes.CHANGES['hard_labels']}» "
            "below, which is tried in the set's own network and protocol."
        )


def _score(
    name: str, value: float | None, parts: list[tuple[str, ranking.Difference | None]]
) -> None:
    """A score between 0 and 1, never without what it is made of."""
    st.metric(name.capitalize(), "not measured" if value is None else f"{value:.3f}")
    if value is not None:
        said = (f"{part} {found.points()}" for part, found in parts if found)
        st.markdown(f"Made of {' and '.join(said)}.")
    st.caption(ranking.DEFINITIONS[name])


def _measure(name: str, found: ranking.Difference | None) -> None:
    st.metric(name.capitalize(), found.points() if found else "not measured")
    st.caption(ranking.DEFINITIONS[name])


def whole(run: Task, arch: str) -> AccuracyRow | None:
    """The figure of all training images from any evaluation of the run; it has a protocol of its own."""
    for task in runs.evaluations(shell.store(), run.key):
        if task.is_done():
            for row in task.result()["rows"]:
                if row["subject"] == WHOLE and row["arch"] == arch:
                    return row
    return None


def hard_labels(
    changed: dict[str, AccuracyRow], made: DistilledSet, arch: str
) -> AccuracyRow | None:
    """The figure of a set with soft labels when they are taken as hard ones."""
    return changed.get(changes.HARD_LABELS) if arch == made.net.label() else None
