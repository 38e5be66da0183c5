"""What the Distil page says about a choice: the method, its cost, the start button."""

from __future__ import annotations

import itertools
import math

import streamlit as st

from ddcore.base import texts
from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.distil import estimate
from ddcore.distil.contract import FAMILIES, DistillSpec, Method, methods, parametrization
from ddcore.distil.settings import make_spec
from ddcore.tasks import jobs
from pages.components import data_views, permissions, runs, shell, task_panel

HINT_S = 60  # seconds for which a cost hint is believed


def families() -> dict[str, dict[str, str]]:
    """Methods (name to title) by the idea they share, in the order of the ideas."""
    by_idea = {
        words: {m.name: m.title for m in methods().values() if m.family == family}
        for family, words in FAMILIES.items()
    }
    return {words: group for words, group in by_idea.items() if group}


def first_choice() -> str:
    """The method of the current run, else of the Start page's, else the first one."""
    store = shell.store()
    known = {c.key: c.method for c in runs.finished(store)}
    featured = runs.featured(store)
    wanted = known.get(shell.run_key()) or (featured.method if featured else "")
    return wanted if wanted in methods() else next(iter(next(iter(families().values()))))


def cost(name: str, data: data_views.Choice, ipc: int, preset: str) -> str:
    """What a method takes with a preset."""
    return _cost_hint(name, data, ipc, preset, str(shell.store().root))


@st.cache_data(
    ttl=HINT_S, max_entries=1000, show_spinner=False, hash_funcs={data_views.Choice: repr}
)
def _cost_hint(name: str, data: data_views.Choice, ipc: int, preset: str, root: str) -> str:
    """ "About 20 s.", or why the preset does not fit the images."""
    try:
        spec = make_spec(name, data.spec, data.shape, ipc=ipc, preset=preset)
        guess = estimate.distillation(spec, shell.store(), data.shape, data.classes)
    except DDError as error:
        return f"Not with this preset: {plain(error)}"
    return f"About {texts.duration(guess.seconds)}."


def about(chosen: Method) -> None:
    """Explanation, caveat and source of the method."""
    with st.container(border=True):
        st.markdown(f"**{chosen.title}**")
        st.markdown(chosen.explanation)
        if chosen.caveat:
            st.caption(f"Keep in mind: {chosen.caveat}")
        st.caption(chosen.paper)


def formula(chosen: Method) -> None:
    """What the method minimises, behind an expander as wide as the page."""
    with st.expander("What it minimises", icon=":material/function:", key="distil.formula"):
        st.latex(chosen.formula)
        st.caption(chosen.paper)


def start(spec: DistillSpec, data: data_views.Choice) -> None:
    """Cost and the start button; where the set exists or is on its way, a link, and a button for another."""
    store = shell.store()
    task = store.task(spec)
    state = jobs.state(task)["state"]
    with st.container(border=True, key="distil.start"):
        st.markdown(size(spec, data))
        st.caption(f"{learner(spec)}, judged by protocol {plain(spec.protocol.name)}")
        if text := too_many(spec, data):
            st.warning(text, icon=":material/warning:")
        if state == "done":
            st.markdown("These images have been made already, with exactly these settings.")
            shell.link("pages/4_Images.py", "Open them", icon=":material/grid_view:", run=spec.key)
            shell.link("pages/3_Run.py", "How it went", icon=":material/monitoring:", run=spec.key)
        elif state != "missing":
            task_panel.badge(state)
            shell.link(
                "pages/3_Run.py", "Go to this run", icon=":material/monitoring:", run=spec.key
            )
        wanted = spec if state == "missing" else another(spec)
        guess = estimate.distillation(wanted, store, data.shape, data.classes)
        st.markdown(f"It will take {guess.sentence()}. Its evaluation follows.")
        label = "Start" if wanted is spec else f"Again with seed {wanted.seed}"
        if permissions.button(label, key="distil.go", type="primary", icon=":material/play_arrow:"):
            permissions.submit(store, [wanted, *wanted.follow_ups()])
            shell.go("pages/3_Run.py", run=wanted.key)


def another(spec: DistillSpec) -> DistillSpec:
    """The same with the next seed that nobody has asked for yet."""
    store = shell.store()
    for seed in itertools.count(spec.seed + 1):
        again = spec.replace(seed=seed)
        if jobs.state(store.task(again))["state"] == "missing":
            break
    return again


def too_many(spec: DistillSpec, data: data_views.Choice) -> str:
    """What is to be said of a set that is no smaller than what it is made from; "" of others."""
    numbers = data.classes * spec.ipc
    if data.images is None or numbers < data.images:
        return ""
    return (
        f"{numbers:,} synthetic images are no fewer than the {data.images:,} real ones: there is nothing to "
        "condense."
    )


def size(spec: DistillSpec, data: data_views.Choice) -> str:
    """How many images a network sees, and how many numbers they may cost."""
    seen = data.classes * spec.images_per_class(data.shape, data.classes)
    budget = data.classes * spec.ipc
    floats = f"{budget * math.prod(data.shape):,} numbers"
    text = f"**{seen:,} synthetic images** of {plain(data.title)}, {floats}"
    if seen == budget:
        return text
    stored = parametrization(spec.parametrization).title.lower()
    return f"{text} (as many as {budget:,} plain images have; stored as: {stored})"


def learner(spec: DistillSpec) -> str:
    """What the set is made for: a kernel machine, or a network."""
    kernel = spec.params.kernel(spec)
    return kernel.label() if kernel else f"Network {spec.net.label()}"
