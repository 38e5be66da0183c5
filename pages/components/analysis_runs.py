"""Choose several finished runs; the link keeps their keys as `runs`, the session keeps them too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from analysis import analyses
from analysis.contract import MOST, Analysis
from analysis.runs import ORDER
from ddcore.base.foreign_text import plain
from ddcore.tasks import stamps
from ddcore.tasks.store import Store
from pages.components import charts, graph_links, links, runs, shell, teach

PARAMETER = "runs"
SHOWN = 4  # of the keys that a warning names
Keys = tuple[str, ...]
CHIPS = """<style>
.chips { display: flex; flex-wrap: wrap; gap: 0 .75rem; align-items: center; font-size: .875rem; }
.chips i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .35em; }
</style>"""


def pick(bar: DeltaGenerator, analysis: Analysis | None = None) -> tuple[str, ...]:
    """Keys of the chosen runs; () after saying what to do when there are none to choose.

    What is chosen stands below as chips, the list behind a button in `bar`. Without `runs` in the
    link those chosen last are taken, else those that are proposed, which `analysis` has an answer for.
    """
    known = {c.key: c for c in runs.finished(shell.store())}
    if not known:
        st.info(
            "There is no finished run yet: distil something small first.", icon=":material/info:"
        )
        st.page_link("pages/2_Distil.py", label="Distil something", icon=":material/science:")
        return ()
    usual = _usual(list(known.values()), analysis)
    named = st.query_params.get(PARAMETER) or ",".join(st.session_state.get("analysis.runs", ()))
    wanted = [key for key in named.split(",") if key]
    if absent := graph_links.point([key for key in wanted if key not in known][:MOST]):
        names = ", ".join(key[:16] for key in absent[:SHOWN])
        st.warning(f"Not among the finished runs here: {plain(names)}.", icon=":material/link_off:")
    present = tuple(key for key in known if key in wanted)[:MOST]
    if present and present != usual:
        st.query_params[PARAMETER] = ",".join(present)
    lines = {key: card.line for key, card in known.items()}
    with bar:
        count = len(present or usual)
        words = f"{count} set" + ("s" if count > 1 else "")
        with (
            teach.part("run", "analysis.sets"),
            st.popover(
                words, icon=":material/layers:", help="Choose the sets", key="analysis.sets"
            ),
        ):
            label = f"Sets (up to {MOST})"
            chosen = links.several(label, lines, PARAMETER, usual, most=MOST, explained=True)
    chips([known[key] for key in chosen])
    st.session_state["analysis.runs"] = () if chosen == usual else chosen
    return chosen


def _usual(cards: list[runs.Card], analysis: Analysis | None) -> Keys:
    """The sets that are proposed; where this analysis has no answer for them, of those it has one for."""
    store = shell.store()
    found = proposed(cards, answered(store))
    own = answers_to(store, analysis) if analysis else []
    if not own or tuple(sorted(found)) in own:
        return found
    of = {key for keys in own for key in keys}
    return proposed([card for card in cards if card.key in of] or cards, Counter(own))


def chips(cards: list[runs.Card]) -> None:
    """The chosen sets in the colours that figures draw them in, after what they have in common."""
    parts = [f'<span class="common">{plain(_common(cards))}</span>']
    for card, name in zip(cards, _apart(cards)):
        colour = charts.method_style(card.method)[0] if card.method else charts.GREY
        parts.append(f'<span class="chip"><i style="background:{colour}"></i>{plain(name)}</span>')
    st.html(f'{CHIPS}<div class="chips">{"".join(parts)}</div>', width="content")


def _common(cards: list[runs.Card]) -> str:
    """ "CIFAR-10, 10 per class": images are the same, sizes may be."""
    return ", ".join([cards[0].dataset, *_size(cards)])


def _size(cards: list[runs.Card]) -> list[str]:
    return [f"{cards[0].ipc} per class"] if len({c.ipc for c in cards}) == 1 else []


def _apart(cards: list[runs.Card]) -> list[str]:
    """Each set by its method, with as much more as is needed to tell them apart."""

    def names(*more: str) -> list[str]:
        return [
            ", ".join(filter(None, [c.method_title, *(_word(c, part) for part in more)]))
            for c in cards
        ]

    for more in (
        (),
        ("ipc",),
        ("ipc", "variant"),
        ("ipc", "variant", "parts"),
        ("ipc", "variant", "parts", "seed"),
    ):
        if len(set(found := names(*more))) == len(cards):
            return found
    return names("ipc", "variant", "parts", "key")


def _word(card: runs.Card, part: str) -> str:
    words = {"ipc": f"{card.ipc} per class", "seed": f"seed {card.seed}", "key": card.key[:6]}
    return words[part] if part in words else getattr(card, part)


# --- which sets are shown first -------------------------------------------------------------------


def proposed(cards: list[runs.Card], answers: Mapping[Keys, int] | None = None) -> Keys:
    """Plain runs of the paper's methods on the same images and of one size, as many methods as possible.

    Where several datasets have as many, those come first of which there are `answers` (sorted keys: how many
    analyses), then shipped ones, then larger images, then the size that is compared most.
    """
    answers, known = answers or {}, {c.key: c for c in cards}

    def rank(keys: Keys) -> tuple:
        chosen = [known[key] for key in keys]
        first, count = chosen[0], answers.get(tuple(sorted(keys)), 0)
        return (
            len({c.method for c in chosen}),
            count > 0,
            all(c.shipped for c in chosen),
            first.numbers,
            -abs(first.ipc - runs.COMPARED),
            count,
        )

    choices = [*_families(cards), *(keys for keys in answers if _goes_together(keys, known))]
    best = max(choices, key=rank, default=(cards[0].key,))
    return tuple(key for key in known if key in best)


def _families(cards: list[runs.Card]) -> list[Keys]:
    """For each kind of images and size the first run of each of the paper's methods."""
    found: dict[tuple, dict[str, str]] = {}
    for card in filter(_fits, cards):
        alike = found.setdefault((card.shipped, card.form, card.ipc), {})
        alike.setdefault(card.method, card.key)
    return [tuple(first.values()) for first in found.values()]


def _goes_together(keys: Keys, known: Mapping[str, runs.Card]) -> bool:
    """Whether these are runs of different methods of the paper, of one size."""
    cards = [known[key] for key in keys if key in known]
    sizes, methods = {c.ipc for c in cards}, {c.method for c in cards}
    whole = len(methods) == len(cards) == len(keys)
    return whole and len(sizes) == 1 and all(map(_fits, cards))


def _fits(card: runs.Card) -> bool:
    return card.method in ORDER and not (card.parts or card.imported)


# --- what is known of which sets ------------------------------------------------------------------


def answered(store: Store) -> Counter[Keys]:
    """How many analyses there are of each choice of sets, by their sorted keys."""
    return Counter(keys for of in analyses().values() for keys in answers_to(store, of))


def answers_to(store: Store, analysis: Analysis) -> list[Keys]:
    """The choices of sets that an analysis has been computed for, as sorted keys, each once."""
    done = (t for t in store.tasks(analysis.spec.KIND) if stamps.finished(t))
    asked = (tuple(sorted(runs.spec_of(task).get("run_keys", ()))) for task in done)
    return list(dict.fromkeys(keys for keys in asked if keys))


def titles(choices: Iterable[Keys], cards: Collection[runs.Card]) -> dict[Keys, str]:
    """Choices of sets in words, those left out of which a set is not here."""
    known = {c.key for c in cards}
    return {
        keys: _title([c for c in cards if c.key in keys])
        for keys in choices
        if known.issuperset(keys)
    }


def _title(cards: list[runs.Card]) -> str:
    """ "CIFAR-10, 10 per class: Distribution matching, Gradient matching"."""
    methods = ", ".join(dict.fromkeys(c.method_title for c in cards))
    return f"{_common(cards)}: {methods}"
