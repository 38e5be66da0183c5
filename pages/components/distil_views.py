"""What the Distil page says about a choice: the method, its cost, the start button."""

from __future__ import annotations

import streamlit as st

from ddcore import estimate, jobs
from ddcore.errors import DDError
from ddcore.methods import Method
from ddcore.methods.spec import DistillSpec, make_spec
from pages.components import data_views, shell, task_panel


def cost_hint(chosen: Method, data: data_views.Choice, ipc: int, preset: str) -> str:
    """ "About 20 s with this preset.", or nothing where the preset does not fit the images."""
    try:
        spec = make_spec(chosen.name, data.spec, data.shape, ipc=ipc, preset=preset)
        guess = estimate.distillation(spec, shell.store(), data.shape, data.classes)
    except DDError:
        return ""
    return f"(About {estimate.duration(guess.seconds)} with this preset.)"


def about(chosen: Method) -> None:
    """Idea, caveat, formula and source of the method."""
    with st.container(border=True):
        st.markdown(f"**{chosen.title}**")
        st.markdown(chosen.idea)
        if chosen.caveat:
            st.caption(f"Keep in mind: {chosen.caveat}")
        with st.expander("Formula and source", icon=":material/function:"):
            st.latex(chosen.formula)
            st.caption(chosen.paper)


def start(spec: DistillSpec, data: data_views.Choice) -> None:
    """Cost and the start button; or a link, if the set exists or is on its way."""
    store = shell.store()
    task = store.task(spec)
    state = jobs.state(task)["state"]
    with st.container(border=True, key="distil.start"):
        count = data.classes * spec.ipc
        st.markdown(f"**{count:,} synthetic images** of {data.title}")
        st.caption(f"Network {spec.net.label()}, judged by protocol {spec.protocol.name}")
        if state == "done":
            st.markdown("These images have been made already, with exactly these settings.")
            shell.link("pages/4_Images.py", "Open them", icon=":material/grid_view:", run=spec.key)
            shell.link("pages/3_Run.py", "How it went", icon=":material/monitoring:", run=spec.key)
            return
        if state != "missing":
            task_panel.badge(state)
            shell.link(
                "pages/3_Run.py", "Go to this run", icon=":material/monitoring:", run=spec.key
            )
            return
        guess = estimate.distillation(spec, store, data.shape, data.classes)
        st.markdown(f"It will take {guess.sentence()}. Its evaluation follows.")
        if st.button("Start", key="distil.go", type="primary", icon=":material/play_arrow:"):
            jobs.submit(store, [spec, *spec.follow_ups()])
            shell.go("pages/3_Run.py", run=spec.key)
