"""Run: is it working? Queue place, progress, curves, first and newest images, what to do next."""

from __future__ import annotations

import streamlit as st

from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.base.texts import duration
from ddcore.tasks import jobs
from ddcore.tasks.store import KEY_PATTERN, Task
from pages.components import graph_links, opened_views, run_views, runs, shell, task_panel
from pages.components import views as view_links


def main() -> None:
    """One run, or the list of runs when none is named."""
    named, key = st.query_params.get(shell.RUN, ""), shell.run_key()
    known = KEY_PATTERN.fullmatch(named) is not None
    view_links.check(shell.RUN, named, known, "the key of a run, 16 digits and letters from a to f")
    if not key:
        st.title("Run", anchor=False)
        st.markdown("Watch a set being made, or look back at how it was made. Choose a run:")
        recent()
        return
    try:
        task = shell.find_run(key)
    except DDError as error:
        st.title("Run", anchor=False)
        if graph_links.point([key]):
            st.warning(f"{plain(error)} Choose another run.", icon=":material/link_off:")
        recent()
        return
    shell.remember(key)
    view_links.take(shell.RUN, key)
    one(task)


def one(task: Task) -> None:
    """Everything about one run."""
    store = shell.store()
    card = runs.card(task)
    st.title(plain(card.title), anchor=False)
    state = jobs.state(task)["state"]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if state == "done":  # the panel has the badge of every other state
            task_panel.badge(state)
        if card.shipped:
            st.badge("shipped", icon=":material/inventory_2:", color="violet")
        st.caption(f"{plain(card.facts)} · run {card.key}", width="content")
    asked = [e for e in runs.evaluations(store, task.key) if not e.is_done()]
    if state in jobs.ACTIVE:
        follows = " Its evaluation follows by itself." if asked else ""
        st.caption(
            f"You may close this tab: the run goes on, and this page finds it again.{follows}"
        )
    task_panel.show(task, key="run", above=images, extra=curves, then=asked)
    if state not in jobs.ACTIVE:
        if task.snapshot_steps():
            images(task)
        curves(task)
        run_views.figures(task, "run.curves")
    if state == "done":
        finished(task)
    footer(task, state)


def images(task: Task) -> None:
    """The first and the newest images; above the live panel while the run is active."""
    run_views.then_and_now(task, "run.images")


def curves(task: Task) -> None:
    """Loss and validation accuracy; below the live panel while the run is active."""
    if task.events():
        run_views.curves(task, "run.curves")


def finished(task: Task) -> None:
    """What came out, how long it took, where to look."""
    result = task.result()
    with st.container(horizontal=True):
        shell.link("pages/4_Images.py", "See the images", icon=":material/grid_view:", run=task.key)
        shell.link("pages/5_Evaluate.py", "Does it help?", icon=":material/balance:", run=task.key)
    if task.kind == "import":
        st.markdown(opened_views.sentence(task))
    else:
        st.markdown(made_sentence(result))
        run_views.measured(task)
    st.header("Is it better than what is free?", anchor=False)
    run_views.evaluation(task)


def made_sentence(result: dict) -> str:
    """How a run went."""
    if result["iterations"] == 1:
        return f"Solved in one step, in {duration(result['seconds'])} on {result['device']}."
    halved = f" The step size was halved {result['halvings']} times." if result["halvings"] else ""
    return (
        f"{result['iterations']:,} iterations in {duration(result['seconds'])} on {result['device']}. "
        f"The set kept is the one of iteration {result['best_step']:,}, the best on validation images."
        + halved
    )


def footer(task: Task, state: str) -> None:
    """Settings, the log, other runs."""
    with st.expander("Settings", icon=":material/tune:", key="run.settings"):
        run_views.settings(task)
    if state in ("done", *jobs.ACTIVE):
        task_panel.log(task, "run.footer")
    with st.expander("Other runs", icon=":material/list:", key="run.others"):
        recent(without=task.key)


def recent(without: str = "") -> None:
    """Recent runs of every state, each with a link; the others are counted."""
    store = shell.store()
    found = [(t, s) for t, s in runs.recent(store) if t.key != without]
    if not found:
        st.caption("There is no run yet.")
        shell.link("pages/2_Distil.py", "Distil something", icon=":material/science:")
    rows = st.container() if without else shell.main()
    for task, status in found:
        card = runs.card(task)
        with rows, st.container(horizontal=True, vertical_alignment="center", gap="small"):
            task_panel.badge(status["state"])
            st.button(
                plain(card.title),
                key=f"run.open.{task.key}",
                type="tertiary",
                on_click=show,
                args=[task.key],
            )
            origin = "shipped" if card.shipped else runs.ago(card.started)
            st.caption(f"{plain(card.facts)} · {origin}", width="content")
    more = runs.count(store) - len(found) - bool(without)
    if more > 0:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(
                f"{more} more {'run is' if more == 1 else 'runs are'} not listed here.",
                width="content",
            )
            shell.link("pages/4_Runs.py", "All runs", icon=":material/table_rows:")


def show(key: str) -> None:
    """Make a run the one of this page."""
    st.query_params[shell.RUN] = key


with shell.page(
    "Run", section="Make", icon=":material/monitoring:", about="Watch a set being made"
):
    main()
