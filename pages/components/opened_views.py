"""What is said of an opened set: where it came from, whether its labels are in order, where to go on."""

from __future__ import annotations

import streamlit as st

from ddcore.base.foreign_text import plain
from ddcore.base.texts import percent
from ddcore.sets import imported
from ddcore.sets.importers.scales import phrase
from ddcore.tasks.store import Task
from pages.components import runs, shell

RARE = 0.01  # chance below which an order of labels counts as found


def sentence(task: Task) -> str:
    """Where a set comes from, how its numbers were taken, and whether its labels are in order."""
    spec, result = task.document()["spec"], task.result()
    files = plain(", ".join(result["files"])) or "a file"
    text = f"Opened from {files}. Numbers: {phrase(spec['scale'])}."
    text = " ".join([text, *map(plain, result.get("notes", ()))])
    alike = result["alike"]
    return f"{text} {order_sentence(**alike)}" if alike["classes"] else text


def order_sentence(same: int, classes: int, other: int = 0) -> str:
    """Whether the labels are in the order of the dataset, as far as the images tell."""
    text = (
        f"For {same} of {classes} classes the mean image looks most like the real images of that class; of "
        f"random orders {percent(imported.chance(same, classes))} reach that"
    )
    if imported.chance(same, classes) < RARE:
        return f"{text}, so the labels are in the order used here."
    if other > same and imported.chance(other, classes) < RARE:
        return (
            f"{text}, while another order, found on half of the images, has {other} of {classes} right on "
            f"the other half ({percent(imported.chance(other, classes))} of random orders do): the classes "
            "seem to be numbered differently here."
        )
    return (
        f"{text}: no evidence for or against their order, as usual for images that look like noise."
    )


def ways_on(task: Task) -> None:
    """Links to everything that can be done with an opened set."""
    with st.container(horizontal=True):
        shell.link("pages/4_Images.py", "Images", icon=":material/grid_view:", run=task.key)
        shell.link("pages/5_Evaluate.py", "Evaluate", icon=":material/balance:", run=task.key)
        shell.link("pages/3_Run.py", "Settings", icon=":material/tune:", run=task.key)


def before() -> None:
    """Sets that were opened before, newest first."""
    cards = [c for c in runs.finished(shell.store()) if c.imported]
    if not cards:
        return
    st.header("Opened before", anchor=False)
    for card in cards:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            shell.link(
                "pages/4_Images.py", plain(card.title), icon=":material/grid_view:", run=card.key
            )
            st.caption(f"{plain(card.facts)} · {runs.ago(card.started)}", width="content")
