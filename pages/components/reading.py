"""Datasets that come with the tool are read unasked, so that no page is blank for want of them."""

from __future__ import annotations

import streamlit as st

from ddcore.data.registry import datasets
from ddcore.data.spec import DataSpec, dataset_task
from pages.components import permissions, shell, task_panel


def is_here(data: DataSpec) -> bool:
    """Whether a dataset has been read, or can be read from what comes with the tool."""
    return shell.store().task(dataset_task(data)).is_done() or _bundled(data)


def show(data: DataSpec, key: str) -> None:
    """Where real images are missing: how far their reading is, which begins here if it can; else a link."""
    wanted = dataset_task(data)
    task = shell.store().task(wanted)
    state = task.status()["state"]
    if _bundled(data) and state == "missing" and not permissions.refusal():
        permissions.submit(shell.store(), [wanted])
        state = "queued"
    if state != "missing":
        task_panel.show(task, key=key)
        return
    st.caption("Real images that belong here are shown once the dataset has been read:")
    shell.link("pages/1_Data.py", "Read it", icon=":material/photo_library:")


def _bundled(data: DataSpec) -> bool:
    known = datasets().get(data.name)
    return known is not None and known.bundled
