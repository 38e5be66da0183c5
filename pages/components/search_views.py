"""The page Search: networks under a proxy and fully trained, ranks, regret, and a form for more."""

from __future__ import annotations

import streamlit as st

from analysis.shared.drawing import typeset
from analysis.uses.search import figures, maths
from analysis.uses.search.result import Searched, read
from analysis.uses.search.spec import SPACE_TITLES, SPACES, SearchTask, estimate, require_sets
from analysis.uses.texts import SEARCH
from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.data.registry import OWN
from ddcore.data.spec import DataSpec
from ddcore.tasks.store import Task
from pages.components import links, runs, shell, task_panel, use_parts


def show() -> None:
    """The whole page."""
    found = {task.key: searched for task in _finished() if (searched := _read(task))}
    with shell.head():
        st.title(SEARCH.question, anchor=False)
        bar = shell.bar("search.bar")
    if found:
        with bar:
            chosen, proxy = _controls(found)
        with shell.boundary():
            _answer(chosen, proxy)
    else:
        with shell.main():
            st.markdown(
                "No search has been computed yet: choose sets that rank networks, and what they rank."
            )
            _form()
    with bar:
        use_parts.texts(SEARCH)
    if found:
        st.header("Another search", anchor=False)
        _form()


def _finished() -> list[Task]:
    tasks = [t for t in shell.store().tasks(SearchTask.KIND) if t.is_done()]
    return sorted(tasks, key=lambda t: -(t.folder / "done.json").stat().st_mtime)


def _read(task: Task) -> Searched | None:
    try:
        return read(task)
    except DDError:  # of another version, or damaged: what it is stands on the page Jobs
        return None


def _controls(found: dict[str, Searched]) -> tuple[Searched, figures.Ranking]:
    """Which search, and which proxy is looked at."""
    titles = {
        key: f"{plain(s.data_label)}, {len(s.nets)} networks, {len(s.proxies)} proxies"
        for key, s in found.items()
    }
    key = links.choice("Search", titles, "search", label_visibility="collapsed", width=270)
    searched = found[key]
    rankings = {r.run or r.name: r for r in maths.ranked(searched)}
    labels = {name: plain(r.label()) for name, r in rankings.items()}
    name = links.choice("Proxy", labels, "proxy", label_visibility="collapsed", width=240)
    return searched, rankings[name]


def _answer(found: Searched, proxy: figures.Ranking) -> None:
    """The scatter of one proxy, then what all of them are worth."""
    st.markdown(typeset(maths.answer(found)))
    use_parts.draw(figures.scatter(found, proxy), "search.scatter")
    st.markdown(typeset(f"{maths.price(found)} {figures.ceiling_text(found)}"))
    use_parts.draw(figures.regret(found), "search.regret")  # names of proxies are long: no columns
    use_parts.draw(figures.bumps(found), "search.bumps")
    use_parts.table(
        figures.table(found),
        "search.table",
        f"Ranked on {found.val_images} validation images, reported on {found.test_images} test images; "
        f"{found.full.test.shape[1]} networks of each architecture trained fully.",
    )


# --- more -----------------------------------------------------------------------------------------------


def _form() -> None:
    """Which sets rank which space; nothing can be started without a set."""
    store = shell.store()
    cards = {c.key: c for c in runs.finished(store)}
    offered = {k: plain(f"{c.title}, {c.facts}") for k, c in cards.items() if _usable(k)}
    if not offered:
        st.info("There is no finished set that could rank networks: distil one first.")
        shell.link("pages/2_Distil.py", "Distil something", icon=":material/science:")
        return
    keys = links.several("Sets that rank", offered, "ranks", ())
    space = links.choice("Networks", SPACE_TITLES, "space")
    if not keys:
        st.caption("Choose at least one set: it is compared with sets that need no distilling.")
        return
    data = DataSpec.from_dict(store.find(keys[0]).document()["spec"]["data"])
    spec = SearchTask(data=data, run_keys=tuple(keys), space=SPACES[space])
    try:
        require_sets(spec, store)
    except DDError as error:
        st.warning(plain(error), icon=":material/info:")
        return
    guess = "" if store.task(spec).is_done() else estimate(spec, store).sentence()
    done = task_panel.ensure(spec, key="search.task", label="Search", estimate=guess)
    if done:
        st.markdown("This search is there: choose it above.")


def _usable(key: str) -> bool:
    """Whether it is a set of a registered dataset, whose size is known beforehand."""
    return shell.store().find(key).document()["spec"]["data"]["name"] not in OWN
