"""Influence by clicking: an image of the set and the test images it helps and hurts, and the way back.

The border of an image is its worth, so that the best and the worst of a set are seen before anything is read.
A cell of the matrix of classes leaves the images of one class, and the test images of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from analysis.contract import Arrays, Drawn
from analysis.shared import drawing
from analysis.shared.effects import CENTRED, centred
from analysis.suite.influence.result import InfluenceResult
from analysis.suite.influence.spec import TOP
from analysis.task import ROWS
from ddcore.base.foreign_text import plain, unescaped
from pages.components import charts, grid, views

WORST, MIDDLE, BEST = (178, 24, 43), (217, 217, 217), (33, 102, 172)  # told apart by everybody
# Figures that show the same at rest: of the chosen image, and of the chosen test image.
STANDS_FOR = (2, 3)
MATRIX = "influence.figure.5"
PAIR = "view_pair"  # class of images and of test images that are shown
HEIGHT = 460  # screen pixels of the sheet, about
LEGEND = (
    "Click an image. A border is the image's worth: how much the mean test loss grows when it is left out, "
    "from {least:+.3f} (red, the set is better without it) to {most:+.3f} (blue)."
)


def lead(result: InfluenceResult, arrays: Arrays, options: dict[str, str]) -> tuple[int, ...]:
    """Draw what is clicked; returns the places of the figures that it stands for."""
    key, names = options["set"], result.class_names
    labels, influence = arrays[f"labels.{key}"], arrays[f"influence.{key}"].astype(np.float32)
    if options["effect"] == CENTRED:
        influence = centred(influence, labels)
    left, right = st.columns([3, 2], gap="small")
    ours = Ours(arrays, key, names)
    theirs = Theirs(arrays, names)
    own, other = pair(names) or (None, None)
    image, test = int(options["image"]), int(options["test"])
    if own is not None and labels[image] != own:
        image = int(np.flatnonzero(labels == own)[0])
    with left:
        ours.sheet(image, own)
        if own is not None and other is not None:
            only = (
                f"Images of class {plain(names[own])}, test images of class {plain(names[other])}"
            )
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(only, width="content")
                st.button("Show all", key="influence.all", on_click=_show_all)
    with right:
        theirs.helped_and_hurt(ours.title(image), influence[image], other)
    ours.that_did_it(test, theirs, influence[:, test])
    return STANDS_FOR


def pair(names: Sequence[str]) -> tuple[int, int] | None:
    """The classes of the cell that the link names: of images, and of test images."""
    words = st.query_params.get(PAIR, "").split("-")
    known = [str(c) for c in range(len(names))]
    whole = len(words) == 2 and all(word in known for word in words)
    allowed = "two classes by their numbers, such as 3-5"
    views.check(PAIR, st.query_params.get(PAIR), whole, allowed)
    if not whole:
        return None
    return int(words[0]), int(words[1])


def _show_all() -> None:
    st.query_params.pop(PAIR, None)


def draw(
    key: str, drawn: Drawn, result: InfluenceResult, arrays: Arrays, options: dict[str, str]
) -> None:
    """The figure; of the matrix of classes, cells can be clicked."""
    if key != MATRIX:
        charts.show(drawn.figure, key=key, alt=drawn.caption)
        return
    names, figure = result.class_names, drawn.figure
    values, shown = figure.data[0].z, pair(names)
    cells = [(a, b) for a in range(len(names)) for b in range(len(names))]
    look = {"symbol": "square", "size": 28, "opacity": 0}
    figure.add_scatter(
        x=[names[b] for _, b in cells],
        y=[names[a] for a, _ in cells],
        customdata=[(a, b, values[a][b]) for a, b in cells],
        mode="markers",
        marker=look,
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        hovertemplate="an image of %{y} on %{x}: %{customdata[2]:+.3f}, click to see<extra></extra>",
    )
    if shown:
        a, b = shown
        figure.add_shape(x0=b - 0.5, x1=b + 0.5, y0=a - 0.5, y1=a + 0.5, line={"width": 3})
    key = f"{key}.{shown}"  # another cell is another figure, in which nothing is selected

    def choose() -> None:
        for point in st.session_state[key]["selection"]["points"][:1]:
            a, b, _ = point["customdata"]
            st.query_params[PAIR] = f"{int(a)}-{int(b)}"

    st.plotly_chart(
        figure,
        key=key,
        theme="streamlit",
        config=charts.CONFIG,
        alt=unescaped(drawn.caption),
        on_select=choose,
        selection_mode="points",
    )


class Ours:
    """The images of a set: worth, class, and number among those of the class."""

    def __init__(self, arrays: Arrays, key: str, names: Sequence[str]) -> None:
        self.pixels, self.labels, self.names = (
            arrays[f"pixels.{key}"],
            arrays[f"labels.{key}"],
            names,
        )
        self.worth = arrays[f"value.{key}"].mean(0)

    def title(self, j: int) -> str:
        """ "3, image 2"."""
        number = int((self.labels[:j] == self.labels[j]).sum()) + 1
        return f"{self.names[self.labels[j]]}, image {number}"

    def sheet(self, j: int, only: int | None) -> None:
        """All of them, or those of class `only`, j chosen."""
        more = [f"worth {value:+.4f}" for value in self.worth]
        borders = worth_colours(self.worth)
        what = grid.by_class(
            self.pixels, self.labels, self.names, only=only, borders=borders, more=more
        )
        grid.show(
            what,
            key="influence.set",
            label="Images of the set; the border is what each is worth",
            pick=grid.ONE,
            chosen=(j,),
            required=True,
            on_pick=_into("view_image"),
            height=HEIGHT,
            note=drawing.typeset(LEGEND.format(least=self.worth.min(), most=self.worth.max())),
        )

    def that_did_it(self, i: int, theirs: Theirs, column: np.ndarray) -> None:
        """Those that matter most for test image i, which help it and which hurt it."""
        order = np.argsort(-column, kind="stable")
        few = min(TOP, len(order) // 2) or 1
        head = f"**Which images did it: test image {i} ({plain(theirs.names[theirs.labels[i]])})**"
        st.markdown(head)
        words = [f"{self.title(j)}: {column[j]:+.3f}" for j in range(len(column))]
        lines = [f"{self.names[self.labels[j]]} {column[j]:+.2f}" for j in range(len(column))]
        first, *others = st.columns([1, 4, 4], gap="small")
        with first:
            theirs.one(i)
        sides = (("help", order[:few]), ("hurt", order[::-1][:few]))
        for column_, (verb, rows) in zip(others, sides):
            with column_:
                grid.show(
                    grid.Sheet(self.pixels, words, [("", rows)], lines),
                    key=f"influence.that.{verb}",
                    label=f"Images of the set that {verb} it most",
                    pick=grid.ONE,
                    chosen=(),
                    on_pick=_into("view_image"),
                    height=200,
                    note=None,
                )
                st.caption(f"They {verb} it most.")


class Theirs:
    """The test images that can be shown: none where the dataset is not here."""

    def __init__(self, arrays: Arrays, names: Sequence[str]) -> None:
        self.labels, self.names = arrays["test_labels"], names
        self.rows = arrays[f"{ROWS}test.shown"] if "shown" in arrays else np.zeros(0, np.int64)
        self.pixels = arrays["shown"].astype(np.float32) / 255 if len(self.rows) else None

    def helped_and_hurt(self, name: str, effect: np.ndarray, only: int | None) -> None:
        """The test images, or those of class `only`, that an image with these effects (N,) helps most, and
        hurts most.
        """
        order = np.argsort(-effect, kind="stable")
        if only is not None:
            order = order[self.labels[order] == only]
        for title, key, rows in (
            ("helps most", "influence.helped", order[:TOP]),
            ("hurts most", "influence.hurt", order[::-1][:TOP]),
        ):
            st.markdown(f"**Test images that {plain(name)} {title}**")
            self._row(rows, effect, key, f"Test images that {name} {title}")

    def _row(self, rows: np.ndarray, effect: np.ndarray, key: str, label: str) -> None:
        places = [int(p) for p in np.searchsorted(self.rows, rows)]
        known = [(p, i) for p, i in zip(places, rows) if p < len(self.rows) and self.rows[p] == i]
        if not known:
            words = ", ".join(f"{plain(self.called(i))} {effect[i]:+.2f}" for i in rows)
            st.caption(drawing.typeset(words))
            return
        named = dict(known)
        words, lines = [""] * len(self.rows), [""] * len(self.rows)
        for place, i in named.items():
            words[place] = f"Test image {i}, {self.called(i)}: {effect[i]:+.3f}"
            lines[place] = drawing.typeset(f"{self.called(i)} {effect[i]:+.2f}")

        def pick(chosen: tuple[int, ...]) -> None:
            _into("view_test")(tuple(int(named[place]) for place in chosen))

        grid.show(
            grid.Sheet(self.pixels, words, [("", list(named))], lines),
            key=key,
            label=label,
            pick=grid.ONE,
            chosen=(),
            on_pick=pick,
            height=200,
            note=None,
        )

    def called(self, i: int) -> str:
        """The class of test image i."""
        return self.names[self.labels[i]]

    def one(self, i: int) -> None:
        """Test image i by itself."""
        place = int(np.searchsorted(self.rows, i))
        if place == len(self.rows) or self.rows[place] != i:
            return
        what = grid.Sheet(self.pixels[place : place + 1], [f"Test image {i}, {self.called(i)}"])
        grid.show(what, key="influence.test", label="The test image", height=100, note=None)


def worth_colours(worth: np.ndarray) -> list[str]:
    """Red below 0, grey at 0, blue above; the largest absolute value has the full colour."""
    share = worth / (float(np.abs(worth).max()) or 1.0)
    return [_mixed(value) for value in share]


def _mixed(share: float) -> str:
    end, weight = np.array(BEST if share > 0 else WORST), abs(share)
    red, green, blue = np.rint((1 - weight) * np.array(MIDDLE) + weight * end).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _into(parameter: str) -> Any:
    """Writes a choice into the link, from which the page's own choices are read."""

    def write(chosen: tuple[int, ...]) -> None:
        if chosen:
            st.query_params[parameter] = str(chosen[0])

    return write
