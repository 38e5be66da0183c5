"""Choose several finished runs; the link keeps their keys as `runs`, the session keeps them too."""

from __future__ import annotations

import streamlit as st

from analysis.contract import MOST
from analysis.runs import ORDER
from ddcore.base.foreign_text import plain
from pages.components import links, runs, shell

PARAMETER = "runs"
SHOWN = 4  # of the keys that a warning names


def pick() -> tuple[str, ...]:
    """Keys of the chosen runs; () after saying what to do when there are none to choose.

    Without `runs` in the link those looked at last are taken, else the shipped ones of the paper's four
    methods.
    """
    known = {c.key: c for c in runs.finished(shell.store())}
    if not known:
        st.info(
            "There is no finished run yet: distil something small first.", icon=":material/info:"
        )
        st.page_link("pages/2_Distil.py", label="Distil something", icon=":material/science:")
        return ()
    usual = proposed(list(known.values()))
    named = st.query_params.get(PARAMETER) or ",".join(st.session_state.get("analysis.runs", ()))
    wanted = [key for key in named.split(",") if key]
    if absent := [key for key in wanted if key not in known]:
        names = ", ".join(key[:16] for key in absent[:SHOWN])
        st.warning(f"Not among the finished runs here: {plain(names)}.", icon=":material/link_off:")
    present = tuple(key for key in known if key in wanted)[:MOST]
    if present and present != usual:
        st.query_params[PARAMETER] = ",".join(present)
    lines = {key: card.line for key, card in known.items()}
    chosen = links.several(f"Runs (up to {MOST})", lines, PARAMETER, usual, most=MOST)
    st.session_state["analysis.runs"] = chosen
    return chosen


def proposed(cards: list[runs.Card]) -> tuple[str, ...]:
    """Plain runs of the paper's methods on one dataset and of one size, as many methods as possible."""
    best: tuple[tuple, tuple[str, ...]] = ((), ())
    for one in cards:
        alike = [c for c in cards if (c.dataset, c.ipc) == (one.dataset, one.ipc)]
        first = {c.method: c.key for c in reversed(alike) if _plain(c) and c.method in ORDER}
        rank = (len(first), one.dataset == "Digits", one.ipc)
        if first and (not best[0] or rank > best[0]):
            best = (rank, tuple(c.key for c in cards if c.key in first.values()))
    return best[1] or (cards[0].key,)


def _plain(card: runs.Card) -> bool:
    return not (card.parts or card.imported)
