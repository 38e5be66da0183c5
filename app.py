"""Start page: what this is, one distilled set beside its baselines, four ways on."""

from __future__ import annotations

import streamlit as st

from ddcore.base.foreign_text import plain
from ddcore.base.spread import figure_text
from ddcore.data.registry import datasets
from ddcore.tasks.store import Task
from pages.components import runs, shell

INTRO = """A distilled dataset is a handful of synthetic images made so that a network trained on them alone
does well on real ones. This dashboard makes such sets, shows every image as it is, pixel by pixel, and
measures whether they beat what you could have had for free: random real images or class means.
Everything is computed on this machine; nothing is uploaded."""
SHOWN = ("distilled", "random", "class_mean")


def main() -> None:
    """The whole page."""
    store = shell.store()
    card = runs.featured(store)
    task = store.find(card.key) if card else None
    st.title(big_line(task), anchor=False)
    st.markdown(INTRO)
    if card:
        example(card, task)
        accuracy(card)
    else:
        st.info(
            "There is no finished run yet. The first one takes less than a minute: distil the digits.",
            icon=":material/science:",
        )
    ways_on(card)


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
    """The images of one run."""
    from ddcore.sets.distilled import DistilledSet
    from pages.components import sheet

    made = DistilledSet.from_task(task)
    sheet.by_class(
        made.pixels(),
        made.hard_labels,
        made.class_names,
        key="start.sheet",
        max_width=820,
        what=f"Distilled images of {card.dataset} by {card.method_title}",
        caption=plain(f"{card.title}, {card.facts}."),
    )


def accuracy(card: runs.Card) -> None:
    """Test accuracy of the run beside random real images and class means, from its evaluation."""
    from pages.components import charts

    done = next((e for e in runs.evaluations(shell.store(), card.key) if e.is_done()), None)
    if done is None:
        st.caption("Its test accuracy has not been measured yet: see the Evaluate page.")
        return
    rows = runs.accuracies(done)
    for column, name in zip(st.columns(3), [n for n in SHOWN if n in rows]):
        row = rows[name]
        column.metric(charts.subject(name)[0], figure_text(row).partition(" (")[0])
    n, arch = rows["distilled"]["n"], rows["distilled"]["arch"]
    name = done.result()["protocol"]["name"]
    st.caption(
        f"Accuracy on all test images of {n} networks ({arch}) that saw nothing but such a set, protocol "
        f"{name}: mean ± standard deviation over networks. All three sets are of the same size."
    )


def ways_on(card: runs.Card | None) -> None:
    """Four cards with a link each."""
    ways = (
        (
            "Explore the shipped runs",
            "Look at every image, follow it from start to end, see what it was made of.",
            "pages/4_Images.py",
            "Images",
            ":material/grid_view:",
        ),
        (
            "Distil something small",
            "Ten digits in well under a minute, on a processor without a graphics card.",
            "pages/2_Distil.py",
            "Distil",
            ":material/science:",
        ),
        (
            "Open your own data",
            "A folder with one sub-folder of pictures per class, or parquet files.",
            "pages/1_Data.py",
            "Data",
            ":material/photo_library:",
        ),
        (
            "Open a set made elsewhere",
            "Files of DC, DSA, DM, MTT, IDC and others, or ones that were downloaded here.",
            "pages/6_Open.py",
            "Open a set",
            ":material/file_open:",
        ),
    )
    for column, (title, text, path, label, icon) in zip(st.columns(4), ways):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{title}**")
            st.markdown(text)
            shell.link(path, label, icon=icon, run=card.key if card else None)


with shell.page("Start", icon=":material/home:", about="What this is"):
    main()
