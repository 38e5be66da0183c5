"""One chooser of methods: a card for each with what it made, grouped by idea, filtered by a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from ddcore.distil.contract import methods
from ddcore.tasks import stamps
from ddcore.tasks.store import Store
from pages.components import distil_views, grid, permissions, runs, teach, thumbnails, views

HERE = Path(__file__)
HTML = """<div class="methods">
<input type="search" placeholder="Filter methods" aria-label="Filter methods">
<div class="groups" role="radiogroup"></div></div>"""
COMPONENT = st.components.v2.component(
    "method_cards",
    html=HTML,
    css=grid.source(HERE.with_suffix(".css")),
    js=grid.source(HERE.with_suffix(".js")),
)
PARAMETER, KEY = "method", "distil.methods"


def choose(cost: Callable[[str], str], dataset: str) -> str:
    """The chosen method's name, which the link keeps; `cost` says what one takes.

    Pictures are of sets made from the dataset of this title where there are any.
    """
    wanted = st.query_params.get(PARAMETER)
    views.check(PARAMETER, wanted, wanted in methods(), views.one_of(methods()))
    views.take(PARAMETER, distil_views.first_choice())
    locked = teach.off("setup")
    chosen = wanted if wanted in methods() else distil_views.first_choice()

    def keep() -> None:
        told = st.session_state[KEY].get("picked")
        if told in methods() and not locked:
            st.query_params[PARAMETER] = told

    data = {**describe(cost, dataset, chosen), "locked": locked}
    with teach.part("setup", KEY):
        COMPONENT(data=data, key=KEY, on_picked_change=keep)
    return chosen


def describe(cost: Callable[[str], str], dataset: str, chosen: str) -> dict[str, Any]:
    """What the browser is told of every method."""
    shown = pictures(distil_views.shell.store(), dataset)

    def card(name: str, title: str) -> dict[str, str]:
        idea = methods()[name].idea
        picture = shown.get(name, "")
        return {"name": name, "title": title, "idea": idea, "cost": cost(name), "picture": picture}

    groups = [
        (words, [card(name, title) for name, title in group.items()])
        for words, group in distil_views.families().items()
    ]
    return {"groups": groups, "chosen": chosen, "label": "Method"}


def pictures(store: Store, dataset: str) -> dict[str, str]:
    """A strip of images for every method with a set here, of plain pixels and this dataset if possible."""
    keep = permissions.refusal() == ""
    found: dict[str, str] = {}
    cards = [c for c in runs.finished(store) if not c.imported]
    for card in sorted(cards, key=lambda c: (bool(c.parts), c.dataset != dataset, -c.ipc)):
        if card.method not in found:
            task = store.find(card.key)
            found[card.method] = thumbnails.address(store.root, task, stamps.stamp(task), keep)
    return found
