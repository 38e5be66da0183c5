"""What is shown of a finished `influence`: figures, table, sentence, pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import (
    Arrays,
    Drawn,
    Option,
    Pictures,
    Result,
    answers,
)
from analysis.shared import colours, drawing
from analysis.shared.effects import CENTRED, EFFECTS, RAW, centred
from analysis.task import ROWS, lacks_images
from ddcore.base import rng
from ddcore.base.spread import deviation
from ddcore.sets import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure
    from plotly.graph_objects import Figure

from analysis.suite.influence.spec import ESTIMATES, SHOWN, TOP

NAMES = {"dot": "gradient dot product", "cg": "inverse Hessian"}
ESTIMATE_LOOKS = {"dot": ("#8F6BB0", "x"), "cg": ("#1FA6A0", "circle-open")}


def options(result: Result, picked: dict[str, str]) -> Iterator[Option]:
    """Which set, which of its images, which test image, and what counts as influence."""
    yield Option("set", "Set", {r["key"]: r["label"] for r in result["runs"]})
    facts, names = result["sets"][picked["set"]], result["class_names"]
    yield Option("effect", "Show", EFFECTS)
    seen: dict[int, int] = {}
    choices = {}
    for j, c in enumerate(facts["labels"]):
        seen[c] = seen.get(c, 0) + 1
        choices[str(j)] = f"{names[c]}, image {seen[c]}"
    yield Option("image", "Distilled image", choices)
    tests = {str(i): f"{names[result['test_classes'][str(i)]]}, number {i}" for i in facts["tests"]}
    yield Option("test", "Test image", tests)


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Values of all sets; the picked class, image and test image; classes; the estimates."""
    view = _View(result, arrays, picked)
    found = [_values(result, arrays), view.of_class(), view.of_image(), view.of_test(), view.bars()]
    found.append(view.classes())
    if "estimates" in view.facts:
        found.append(view.estimates())
    return found


class _View:
    """What is picked of a finished result."""

    def __init__(self, result: Result, arrays: Arrays, picked: dict[str, str]) -> None:
        self.result, self.arrays = result, arrays
        self.key, self.names = picked["set"], result["class_names"]
        self.facts = result["sets"][self.key]
        self.run = next(r for r in result["runs"] if r["key"] == self.key)
        self.labels = arrays[f"labels.{self.key}"]
        self.test_labels = arrays["test_labels"]
        self.pixels = arrays[f"pixels.{self.key}"]
        raw = arrays[f"influence.{self.key}"].astype(np.float32)
        self.influence = centred(raw, self.labels) if picked["effect"] == CENTRED else raw
        self.effect = EFFECTS[picked["effect"]].lower()
        self.j, self.i = int(picked["image"]), int(picked["test"])

    def name(self, j: int) -> str:
        """ "3 no. 2": an image of the set."""
        number = int((self.labels[:j] == self.labels[j]).sum()) + 1
        return f"{self.names[self.labels[j]]} no. {number}"

    def test(self, i: int) -> np.ndarray | None:
        """A test image on the scale 0..1, if the dataset is here."""
        rows = self.arrays[f"{ROWS}test.shown"]
        place = int(np.searchsorted(rows, i))
        if "shown" not in self.arrays or place == len(rows) or rows[place] != i:
            return None
        return self.arrays["shown"][place].astype(np.float32) / 255

    def tile(self, i: int, value: float) -> tuple[np.ndarray | None, str]:
        """A test image with its class and a value."""
        return self.test(i), f"{self.names[self.test_labels[i]]} {value:+.2f}"

    def helped(self, j: int, sign: int = 1) -> list[tuple[np.ndarray | None, str]]:
        """The test images that image j helps most, or hurts most."""
        order = np.argsort(-sign * self.influence[j], kind="stable")[:TOP]
        return [self.tile(i, self.influence[j, i]) for i in order]

    @property
    def note(self) -> str:
        """Why tiles are empty, if they are."""
        lacking = lacks_images(self.arrays)
        return " The dataset has not been read yet, so test images are missing." if lacking else ""

    def of_class(self) -> Drawn:
        """The paper's picture: images of a class, each with the test images it helps most."""
        c = self.labels[self.j]
        rows = np.flatnonzero(self.labels == c)[:SHOWN]
        tiles = [[(self.pixels[j], self.name(j)), *self.helped(j)] for j in rows]
        top = np.concatenate([np.argsort(-self.influence[j], kind="stable")[:TOP] for j in rows])
        share = 100 * float((self.test_labels[top] == c).mean())
        caption = (
            f"Left: images of class {self.names[c]} of {self.run['label']}. Right of each: the {TOP} test "
            f"images of all classes with the largest {self.effect}; {share:.0f} % of them are of this class. "
            f"Numbers: how much larger their loss is without the image.{self.note}"
        )
        title = f"What the images of class {self.names[c]} teach"
        return Drawn(title, mosaic(tiles, self.result["shape"]), caption)

    def of_image(self) -> Drawn:
        """Helped and hurt most by the picked image."""
        tiles = [
            [(self.pixels[self.j], self.name(self.j)), *self.helped(self.j)],
            [(None, "hurts"), *self.helped(self.j, -1)],
        ]
        row = self.influence[self.j]
        mine = self.test_labels == self.labels[self.j]
        caption = (
            f"First row: {self.name(self.j)} of {self.run['label']} and the test images it helps most; "
            f"second: those it hurts most. Mean {self.effect} {_mean(row[mine]):+.3f} on its own class, "
            f"{_mean(row[~mine]):+.3f} on others.{self.note}"
        )
        return Drawn(
            "Whom the picked image helps and hurts", mosaic(tiles, self.result["shape"]), caption
        )

    def of_test(self) -> Drawn:
        """The distilled images that matter most for the picked test image."""
        column = self.influence[:, self.i]
        order = np.argsort(-column, kind="stable")
        few = min(TOP, len(order))

        def part(rows: np.ndarray) -> list[tuple[np.ndarray | None, str]]:
            return [
                (self.pixels[j], f"{self.names[self.labels[j]]} {column[j]:+.2f}") for j in rows
            ]

        picture = (self.test(self.i), self.names[self.test_labels[self.i]])
        tiles = [[picture, *part(order[:few])], [(None, "hurt it"), *part(order[::-1][:few])]]
        caption = (
            f"Test image {self.i} (first), the images of {self.run['label']} that help it most, and, in the "
            f"second row, those that hurt it most, with their {self.effect}.{self.note}"
        )
        title = "Which distilled images matter for the picked test image"
        return Drawn(title, mosaic(tiles, self.result["shape"]), caption)

    def bars(self) -> Drawn:
        """Influence of every image on the picked test image."""
        column, own = self.influence[:, self.i], self.labels == self.test_labels[self.i]
        figure = drawing.new_figure("image of the set", f"{self.effect} on its loss", height=300)
        look = colours.style(self.run["method"])
        for which, label, colour in (
            (own, "images of its class", look.colour),
            (~own, "images of other classes", colours.REAL),
        ):
            rows = np.flatnonzero(which)
            figure.add_bar(
                x=rows,
                y=column[rows],
                name=label,
                marker={"color": colour},
                customdata=[self.name(j) for j in rows],
                hovertemplate="%{customdata}: %{y:+.3f}<extra></extra>",
            )
        weight = float(np.abs(column).sum())
        share = 100 * float(np.abs(column[own]).sum()) / weight if weight else 0.0
        caption = (
            f"Test image {self.i}: the {int(own.sum())} images of its class carry {share:.0f} % of the sum "
            f"of absolute values; equal shares would be {100 * own.mean():.0f} %."
        )
        return Drawn("All images on the picked test image", figure, caption)

    def classes(self) -> Drawn:
        """Mean influence of the images of a class on the test images of each class."""
        table_ = by_class(
            self.arrays[f"influence.{self.key}"], self.labels, self.test_labels, len(self.names)
        )
        most = float(np.abs(table_).max()) or 1.0
        figure = drawing.new_figure(
            "test images of class", "an image of class left out", height=440, legend=False
        )
        figure.add_heatmap(
            z=table_,
            x=self.names,
            y=self.names,
            zmin=-most,
            zmax=most,
            colorscale="RdBu",
            colorbar={"thickness": 12},
            hovertemplate="an image of %{y} on %{x}: %{z:+.3f}<extra></extra>",
        )
        figure.update_xaxes(type="category")
        figure.update_yaxes(autorange="reversed", type="category")
        diagonal, rest = np.trace(table_) / len(table_), table_[~np.eye(len(table_), dtype=bool)]
        caption = (
            f"{self.run['label']}: mean influence of an image of a class on the test images of each class. "
            f"On its own class {diagonal:+.3f}, on others {rest.mean():+.3f}."
        )
        return Drawn("Classes on classes", figure, caption)

    def estimates(self) -> Drawn:
        """The cheap estimates against the exact influence."""
        exact, *values = self.arrays[f"points.{self.key}"]
        figure = drawing.new_figure("exact influence", "estimate, in standard deviations")
        found = self.facts["estimates"]
        words = []
        for (name, label), y in zip(NAMES.items(), values):
            colour, symbol = ESTIMATE_LOOKS[name]
            figure.add_scattergl(
                x=exact,
                y=y / (y.std() or 1.0),
                name=label.capitalize() if name == "dot" else "Inverse Hessian",
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 5, "opacity": 0.6},
                hovertemplate=f"{label}: exact %{{x:.3f}}, %{{y:.2f}}<extra></extra>",
            )
            one = found[name]
            words.append(
                f"{label} {one['pearson']:.2f} (ranks {one['spearman']:.2f}, beyond class mates "
                f"{one['beyond']:.2f})"
            )
        lost = found["given_up"]
        stuck = f"; {lost} equations met negative curvature and were given up" if lost else ""
        caption = (
            f"Correlation with exact leave-one-out over all pairs of images, means of {self.result['inits']} "
            f"initialisations: {'; '.join(words)}. Derivatives with respect to "
            f"{ESTIMATES[self.result['weights']]}, damping {self.result['damping']:g}, residual "
            f"{found['residual']:.0e} after at most {found['steps']} steps{stuck}. {len(exact)} pairs "
            "are drawn."
        )
        return Drawn("Cheap estimates", figure, caption)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0


def by_class(influence: np.ndarray, own: np.ndarray, tests: np.ndarray, classes: int) -> np.ndarray:
    """(K, K) mean influence (M, N) of an image of class a (row) on test images of class b."""

    def means(labels: np.ndarray) -> np.ndarray:
        member = np.eye(classes)[labels]  # (M, K)
        return member / np.maximum(member.sum(0), 1)

    return means(own).T @ influence.astype(np.float64) @ means(tests)


def _values(result: Result, arrays: Arrays) -> Drawn:
    figure = drawing.new_figure("", "mean influence on the test loss", legend=False)
    figure.add_hline(0, line={"color": colours.REAL, "dash": "dot", "width": 1})
    looks, words = colours.styles([r["method"] for r in result["runs"]]), []
    for place, (run_, look) in enumerate(zip(result["runs"], looks)):
        value = arrays[f"value.{run_['key']}"].mean(0)
        names = [result["class_names"][c] for c in arrays[f"labels.{run_['key']}"]]
        shift = rng.numpy_generator(0, "strip", run_["key"]).uniform(-0.25, 0.25, len(value))
        figure.add_scatter(
            x=place + shift,
            y=value,
            mode="markers",
            name=run_["label"],
            marker={"color": look.colour, "symbol": look.symbol, "size": 8, "opacity": 0.8},
            customdata=names,
            hovertemplate=f"{run_['label']}, class %{{customdata}}: %{{y:+.4f}}<extra></extra>",
        )
        words.append(
            f"{run_['label']} {value.min():+.3f} to {value.max():+.3f}, {int((value < 0).sum())} of "
            f"{len(value)} below 0"
        )
    labels = [r["label"] for r in result["runs"]]
    figure.update_xaxes(tickvals=list(range(len(labels))), ticktext=labels)
    caption = (
        f"A point is an image: how much the mean test loss grows when it is left out, mean of "
        f"{result['inits']} initialisations. {'; '.join(words)}. Below 0: the set is better without it."
    )
    return Drawn("What each image is worth", figure, caption)


def sheet(
    tiles: list[list[tuple[np.ndarray | None, str]]], shape: list[int]
) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """Rows of images as one RGBA picture (height, width, 4), and (x, y, text) above each."""
    _, h, w = shape
    above, beside = max(2, round(0.35 * h)), max(1, round(0.15 * w))
    columns = max(map(len, tiles))
    canvas = np.zeros((len(tiles) * (h + above), columns * (w + beside), 4), np.uint8)
    words = []
    for row, line in enumerate(tiles):
        for column, (pixels, text) in enumerate(line):
            top, left = row * (h + above) + above, column * (w + beside)
            if pixels is not None:
                seen = render.to_uint8(pixels).transpose(1, 2, 0)
                canvas[top : top + h, left : left + w, :3] = seen
                canvas[top : top + h, left : left + w, 3] = 255
            words.append((left + w / 2 - 0.5, top - 0.5, text))
    return canvas, words


def mosaic(tiles: list[list[tuple[np.ndarray | None, str]]], shape: list[int]) -> Figure:
    """Rows of images with a line above each."""
    import io

    from PIL import Image

    canvas, words = sheet(tiles, shape)
    out = io.BytesIO()
    Image.fromarray(canvas, "RGBA").save(out, "PNG")
    code = base64.b64encode(out.getvalue()).decode()
    figure = drawing.new_figure(height=28 + 88 * len(tiles), legend=False)
    figure.add_image(source=f"data:image/png;base64,{code}", hoverinfo="skip")
    for x, y, text in words:
        figure.add_annotation(
            x=x, y=y, text=text, showarrow=False, yanchor="bottom", font={"size": 10}
        )
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, constrain="domain")
    return figure


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """The paper's picture (Fig. 10) for the first set and class, classes on classes, worth of images."""
    import seaborn as sns

    figure, axes = drawing.panels(1, 3, width=4.6, height=3.6)
    first, middle, last = axes[0]
    view = _View(result, arrays, answers(options, result))
    rows = np.flatnonzero(view.labels == view.labels[view.j])[:SHOWN]
    tiles = [[(view.pixels[j], ""), *view.helped(j)] for j in rows]
    canvas, _ = sheet(tiles, result["shape"])
    first.imshow(canvas, interpolation="nearest")
    first.set_axis_off()
    first.set_title(f"{view.run['label']}: image, most helped test images", fontsize=8)
    table_ = by_class(
        arrays[f"influence.{view.key}"], view.labels, view.test_labels, len(view.names)
    )
    sns.heatmap(
        table_, ax=middle, center=0, cmap="RdBu", xticklabels=view.names, yticklabels=view.names
    )
    middle.set(xlabel="Test images of class", ylabel="An image of class left out")
    looks = colours.styles([r["method"] for r in result["runs"]])
    for place, (run_, look) in enumerate(zip(result["runs"], looks)):
        value = arrays[f"value.{run_['key']}"].mean(0)
        # Seaborn's jitter draws from a global generator, so places are drawn here.
        shift = rng.numpy_generator(0, "strip", run_["key"]).uniform(-0.25, 0.25, len(value))
        sns.scatterplot(
            x=place + shift, y=value, color=look.colour, marker=look.marker, s=18, ax=last
        )
    last.axhline(0, color="black", lw=0.8, ls=":")
    labels = [r["label"] for r in result["runs"]]
    last.set_xticks(range(len(labels)), labels, rotation=25, ha="right", fontsize=7)
    last.set(ylabel="Mean influence on the test loss")
    sns.despine(ax=last)
    return figure


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set and distilled image."""
    found, tests = [], arrays["test_labels"]
    for run_ in result["runs"]:
        key = run_["key"]
        influence, own = arrays[f"influence.{key}"].astype(np.float64), arrays[f"labels.{key}"]
        value = arrays[f"value.{key}"].astype(np.float64)
        for j, c in enumerate(own):
            mine = tests == c
            top = np.argsort(-influence[j], kind="stable")[:TOP]
            found.append(
                {
                    "set": key,
                    "label": run_["label"],
                    "image": j,
                    "class": result["class_names"][c],
                    "value": float(value[:, j].mean()),
                    "value_std": deviation(value[:, j]),
                    "on_own_class": _mean(influence[j, mine]),
                    "on_others": _mean(influence[j, ~mine]),
                    "top_of_own_class": float((tests[top] == c).mean()),
                    "most_helped": int(top[0]),
                    "most_hurt": int(np.argmin(influence[j])),
                }
            )
    return found


def sentence(result: Result) -> str:
    """Is it the class that is taught, do initialisations agree, do the estimates."""
    parts, chance = [], 100 / len(result["class_names"])
    for run_ in result["runs"]:
        facts = result["sets"][run_["key"]]
        words = f"of {run_['label']} **{100 * facts['same_class'][RAW]:.0f} %**"
        if (rank := facts["agreement"][RAW]) is not None:
            words += f" (rank correlation of two initialisations {rank:.2f}"
            beyond = facts["agreement"][CENTRED]
            words += f", beyond class mates {beyond:.2f})" if beyond is not None else ")"
        parts.append(words)
    text = (
        f"Of the {TOP} test images that a distilled image helps most, this share is of its own class: "
        f"{'; '.join(parts)}; chance is about {chance:.0f} %."
    )
    known = [f["estimates"] for f in result["sets"].values() if "estimates" in f]
    if known:
        ranges = []
        for name, label in NAMES.items():
            values = [e[name]["spearman"] for e in known]
            low, high = min(values), max(values)
            span = f"{low:.2f}" if len(values) == 1 else f"{low:.2f} to {high:.2f}"
            ranges.append(f"{label} {span}")
        text += f" Rank correlation of cheap estimates with the exact values: {'; '.join(ranges)}."
    return text


def pictures(result: Result, arrays: Arrays) -> list[Pictures]:
    """Of each set the images that are worth most and least."""
    found = []
    for run_ in result["runs"]:
        key = run_["key"]
        value, own = arrays[f"value.{key}"].mean(0), arrays[f"labels.{key}"]
        order = np.argsort(-value, kind="stable")
        few = min(len(order) // 2, 5)
        rows = np.concatenate([order[:few], order[len(order) - few :]])
        lines = [f"{result['class_names'][own[j]][:6]} {value[j]:+.4f}" for j in rows]
        title = f"{run_['label']}: the images worth most, then those worth least"
        found.append(Pictures(title, arrays[f"pixels.{key}"][rows], lines))
    return found
