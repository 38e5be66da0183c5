"""The page Continual: curves of a setting, what is behind them, and a form for more."""

from __future__ import annotations

from collections import Counter

import numpy as np
import streamlit as st

from analysis.shared.drawing import typeset
from analysis.uses.continual import figures, peers
from analysis.uses.continual.peers import Setting
from analysis.uses.continual.result import Learned
from analysis.uses.continual.spec import (
    CHOSEN,
    DISTILLED,
    SOURCE_TITLES,
    STRATEGIES,
    ContinualTask,
    estimate,
)
from analysis.uses.texts import CONTINUAL
from ddcore.base.fields import declared
from ddcore.base.foreign_text import plain
from ddcore.data import resolve
from ddcore.data.registry import datasets
from ddcore.data.spec import DataSpec, form
from ddcore.distil.contract import methods
from ddcore.distil.settings import make_spec
from pages.components import links, reading, sheet, shell, task_panel, use_parts

MOST_PIXELS = 64  # of a side: memories of larger images are not shown in a sheet here


def show() -> None:
    """The whole page."""
    everything = peers.settings(shell.store())
    several = [each for each in everything if each.steps > 1]
    with shell.head():
        st.title(CONTINUAL.question, anchor=False)
        bar = shell.bar("continual.bar")
    if several:
        with bar:
            setting, ipc = _controls(several)
        with shell.boundary():
            _answer(setting, ipc, everything)
    else:
        with shell.main():
            st.markdown(
                "No memory has been tried yet: choose what is kept of each class, and how networks go on."
            )
            _form()
    with bar:
        use_parts.texts(CONTINUAL)
    if several:
        st.header("Another memory", anchor=False)
        _form()


def _controls(several: list[Setting]) -> tuple[Setting, int]:
    """Which setting, and how many images per class are kept."""
    known = {each.key: each for each in several}
    often = Counter(each.short for each in several)
    titles = {
        key: plain(each.short if often[each.short] == 1 else each.title)
        for key, each in known.items()
    }
    key = links.choice("Setting", titles, "setting", label_visibility="collapsed", width=300)
    setting = known[key]
    sizes = {str(ipc): f"{ipc} per class" for ipc in peers.sizes(setting)}
    if not sizes:
        return setting, 1
    usual = str(peers.usual_size(setting))
    ipc = links.choice(
        "Kept of each class",
        sizes,
        "ipc",
        default=usual,
        widget=st.segmented_control,
        label_visibility="collapsed",
    )
    return setting, int(ipc)


def _answer(setting: Setting, ipc: int, everything: list[Setting]) -> None:
    """The curve, what it says, and what is behind it."""
    tasks = peers.sized(setting, ipc)
    use_parts.draw(figures.curve(tasks), "continual.curve")
    st.markdown(typeset(figures.sentence(tasks)))
    if costs := setting.costs(everything):
        st.markdown("**What it costs not to see the other classes**")
        st.markdown("\n".join(f"- {typeset(figures.unseen(*pair))}." for pair in costs))
    left, right = st.columns(2, gap="large")
    with left:
        use_parts.draw(figures.by_bytes(setting.tasks), "continual.bytes")
    with right:
        use_parts.draw(figures.forgetting(tasks), "continual.forgetting")
    use_parts.table(figures.table(setting.tasks), "continual.table")
    with st.expander("One memory", icon=":material/grid_view:", key="continual.one"):
        _one(figures.in_order(tasks))


def _one(tasks: list[Learned]) -> None:
    """Matrix, images and class orders of one task."""
    tasks = sorted(tasks, key=lambda each: each.spec.source == "none")  # memories first
    titles = {each.key: plain(figures.name(each)) for each in tasks}
    chosen = links.choice("Memory", titles, "memory")
    learned = next(each for each in tasks if each.key == chosen)
    left, right = st.columns(2, gap="large")
    with left:
        use_parts.draw(figures.heat(learned), "continual.heat")
    with right:
        st.markdown("**Orders of the classes**")
        st.markdown("\n".join(f"1. {text}" for text in figures.orders_text(learned)))
        _memory(learned)


def _memory(learned: Learned) -> None:
    """The first order's memory, in the order in which its classes came."""
    if not len(learned.pixels) or learned.pixels.shape[-1] > MOST_PIXELS:
        return
    names = learned.class_names
    came = list(dict.fromkeys(int(c) for c in learned.classes))
    places = [came.index(int(c)) for c in learned.classes]
    st.markdown("**What is kept**, in the first order")
    sheet.by_class(
        learned.pixels.astype(np.float32) / 255,
        places,
        [names[c] for c in came],
        key=f"continual.memory.{learned.key}",
        what="Images of the memory",
        max_width=420,
    )


# --- more -----------------------------------------------------------------------------------------------


def _form() -> None:
    """One more task: what is kept, how much, how networks go on."""
    registered = {name: known.title for name, known in datasets().items()}
    here = {n: t for n, t in registered.items() if reading.is_here(resolve(n))}
    sources = SOURCE_TITLES | {
        name: known.title for name, known in methods().items() if _trains(name)
    }
    said = declared(ContinualTask)
    with st.container(horizontal=True, gap="small"):
        name = links.choice("Dataset", here, "data", default="digits")
        source = links.choice("Kept", sources, "source", default="kmeans")
        strategy = links.choice("Networks", {s: s.capitalize() for s in STRATEGIES}, "strategy")
        keep = links.field("Images per class", "keep", said["ipc"], value=5)
        steps = links.field("Steps", "steps", said["steps"], value=5)
    st.caption(f"{strategy.capitalize()}: {STRATEGIES[strategy]}.")
    data = resolve(name, preprocess="scale")
    spec = _spec(data, source, strategy, keep or 5, steps or 5)
    store = shell.store()
    guess = "" if store.task(spec).is_done() else estimate(spec, store).sentence()
    done = task_panel.ensure(spec, key="continual.task", label="Learn", estimate=guess)
    if done:
        st.markdown(f"**{plain(spec.title())}** is there, under its setting above.")


def _spec(data: DataSpec, source: str, strategy: str, ipc: int, steps: int) -> ContinualTask:
    fields = {"data": data, "strategy": strategy, "ipc": ipc, "steps": steps}
    if source in CHOSEN:
        return ContinualTask(source=source, **fields)
    made = make_spec(source, data, form(data)[0], ipc=ipc)
    return ContinualTask(source=DISTILLED, distill=made, net=made.net, **fields)


def _trains(name: str) -> bool:
    """Whether a method's sets train networks in any order, under its preset quick."""
    protocol = make_spec(name, resolve("digits"), (1, 8, 8)).protocol
    return not protocol.ordered and not protocol.closed_form
