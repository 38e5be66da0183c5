"""Start page: one distilled set as it forms, its accuracy beside what one has for free, four ways on."""

from __future__ import annotations

import contextlib

import numpy as np
import streamlit as st

from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.base.spread import figure_text
from ddcore.data.registry import datasets
from ddcore.data.spec import dataset_task
from ddcore.measure.spec import default_evaluation
from ddcore.tasks.store import Store, Task
from pages.components import first_run, permissions, runs, shell, views

INTRO = "Made so that a network trained on them alone does well on real images. All of it on this machine."
FILM = "film"  # the query parameter that names a run of this page alone
SHOWN = ("distilled", "random", "class_mean")
SHEET_PX, NUMBERS_PX = 664, 210  # of the two halves, beside each other where there is room
# The whole page fits screens of 1280 x 720 and 1024 x 768: less margin, and where it is narrow, numbers in a
# row and doors without small print.
CSS = """<style>
[data-testid=stMainBlockContainer] {padding: 2.5rem 1.7rem .5rem}
[data-testid=stMainBlockContainer] > [data-testid=stVerticalBlock] {gap: .6rem}
.st-key-start-doors [data-testid=stPageLink-NavLink]:not(:hover) {background: none}
.st-key-start-doors [data-testid=stPageLink-NavLink] p {font-weight: 400}
.st-key-start-doors [data-testid=stColumn] > div > div > [data-testid=stVerticalBlock] {padding: .6rem}
@media (max-width: 1100px) {
.st-key-start-doors [data-testid=stElementContainer]:has([data-testid=stCaptionContainer]) {display: none}
.st-key-start-doors [data-testid=stVerticalBlock] {justify-content: center}
.st-key-start-doors button {white-space: nowrap; padding: .25rem .4rem}
.st-key-start-face {gap: .25rem}
[data-testid=stLayoutWrapper]:has(> .st-key-start-numbers) {width: 100% !important; flex: 1 1 100%}
.st-key-start-numbers {flex-direction: row; flex-wrap: wrap; width: 100% !important; gap: 0 1rem}
.st-key-start-numbers > [data-testid=stElementContainer] {flex: 1 1 30%; width: auto}
}
</style>"""
DOORS = (
    (
        "pages/4_Images.py",
        "Explore",
        ":material/grid_view:",
        "Every image of every set, from start to end, pixel by pixel.",
        {},
    ),
    (
        "pages/6_Open.py",
        "Open a set",
        ":material/file_open:",
        "Files of DC, DSA, DM, MTT, IDC and others, or sheets of images.",
        {},
    ),
    (
        "app.py",
        "Teach",
        ":material/school:",
        "A tour of seven stops. Links for a class: *Teach*, above.",
        {views.TOUR: "1"},
    ),
)


def main() -> None:
    """The whole page."""
    if number := st.query_params.get(views.TOUR):
        st.query_params[views.TOUR] = (
            number  # Streamlit writes no address for a page's link to itself
        )
    store = shell.store()
    card = shown(store)
    task = store.find(card.key) if card else None
    st.html(CSS)
    st.title(big_line(task), anchor=False)
    st.markdown(INTRO)
    if task:
        with st.container(horizontal=True, gap="medium", key="start.face"):
            with st.container(width=SHEET_PX):
                example(card, task)
            with st.container(width=NUMBERS_PX, key="start.numbers"):
                accuracy(store, task)
    else:
        st.info(
            "There is no finished run yet. The first one takes less than a minute: watch it happen.",
            icon=":material/science:",
        )
    ways_on(store, card)


def shown(store: Store) -> runs.Card | None:
    """The run that the link names for its film, else the one that is shown first."""
    named, usual = st.query_params.get(FILM, ""), runs.featured(store)
    found = {c.key: c for c in runs.finished(store)} if named else {}
    allowed = "the key of a finished run, 16 digits and letters from a to f"
    views.check(FILM, named, named in found, allowed)
    views.take(FILM, usual and usual.key)
    return found.get(named, usual)


def big_line(task: Task | None) -> str:
    """ "1,297 real images → 10 synthetic ones", from the run's own record."""
    if task is None:
        return "A dataset in a handful of images"
    spec = task.document()["spec"]
    source = datasets().get(spec["data"]["name"])
    if source is None:
        return "A dataset in a handful of images"
    return (
        f"{source.train_size:,} real images → {len(source.classes) * spec['ipc']:,} synthetic ones"
    )


def example(card: runs.Card, task: Task) -> None:
    """The images of one run as they form."""
    from pages.components import evolution, film

    shown = film.of(evolution.of(task), real_images(task))
    part = f"{len(shown.places)} of " if len(shown.places) < card.ipc else ""
    words = f"{card.title}, {part}{card.facts}"
    if shown.real:  # the line is short
        words = f"Top row: real images. {card.title}, {part}{card.ipc} per class"
    film.show(shown, "start.film", plain(words))


def real_images(task: Task) -> np.ndarray | None:
    """(K, C, H, W) a real training image of each class, as pixels; None where the dataset is not here."""
    from pages.components import data_views

    with contextlib.suppress(DDError):
        spec = task.spec()
        read = shell.store().task(dataset_task(spec.data))
        if read.is_done():
            data = data_views.load(read, spec.data)
            classes = list(range(len(data.class_names)))
            return data_views.class_rows(data, classes, per_class=1, draw=0)
    return None


def accuracy(store: Store, task: Task) -> None:
    """Test accuracy of the run beside random real images and class means, from its evaluation."""
    from pages.components import charts

    done = judged(store, task)
    if done is None:
        st.caption("Its test accuracy has not been measured yet: see the Evaluate page.")
        return
    rows = runs.accuracies(done)
    for name in (n for n in SHOWN if n in rows):
        figure = figure_text(rows[name]).partition(" (")[0]
        st.metric(charts.subject(name)[0], figure)
    n, arch = rows["distilled"]["n"], rows["distilled"]["arch"]
    name = done.result()["protocol"]["name"]
    st.caption(
        f"Test accuracy: mean ± standard deviation of n = {n} networks ({arch}, {plain(name)})."
    )


def judged(store: Store, task: Task) -> Task | None:
    """The run's own evaluation, else any finished one of it."""
    own = store.task(default_evaluation(task.key, task.spec()))
    if own.is_done():
        return own
    return next((e for e in runs.evaluations(store, task.key) if e.is_done()), None)


def ways_on(store: Store, card: runs.Card | None) -> None:
    """Four doors: a run to watch, two pages, and the tour."""
    with st.container(key="start.doors"):
        first, *others = st.columns(4, gap="small")
    with first.container(border=True, height="stretch", gap="xsmall"):
        watch(store)
        st.caption("Ten digits form out of noise, in less than a minute.")
    for column, (path, label, icon, text, query) in zip(others, DOORS):
        with column.container(border=True, height="stretch", gap="xsmall"):
            shell.link(path, label, icon=icon, run=card.key if card else None, **query)
            st.caption(text)


def watch(store: Store) -> None:
    """Start a small run, or join the one that goes on."""
    pressed = permissions.button(
        "Watch it happen", key="start.watch", type="primary", icon=":material/play_arrow:"
    )
    if pressed:
        spec = first_run.spec(store)
        permissions.submit(store, [spec, *spec.follow_ups()])
        shell.go("pages/3_Run.py", run=spec.key)


with shell.page("Start", icon=":material/home:", about="What this is"):
    main()
