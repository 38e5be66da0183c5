"""What is shown of a finished `features`: figures, table, sentence, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option, Pictures
from analysis.shared import colours, drawing
from analysis.shared.texts import span
from analysis.suite.features.result import FeaturesResult
from analysis.suite.features.spec import FOUND, MANY, MAPS, NONE, PIXELS, REAL, SHOWN
from analysis.task import ROWS
from ddcore.base.spread import deviation, figure_text

if TYPE_CHECKING:
    pass

IMAGES = "images"  # pages draw them over the points


def options(result: FeaturesResult, picked: dict[str, str]) -> Iterator[Option]:
    """Which map, what colours mean, whether pages draw images as points, and an image to find in it."""
    if "joint" in result.found.maps:
        yield Option("map", "Map", MAPS)
    yield Option("colour", "Colours", {"class": "classes", "set": "sets"})
    sets = {r.key: r.label for r in result.runs}
    yield Option("points", "Points", {"dots": "dots", IMAGES: "images"})
    yield Option("find", "Find an image of", {NONE: "no set", **sets})
    if picked["find"] != NONE:
        labels = result.found.labels[picked["find"]]
        order = np.argsort(labels, kind="stable").tolist()
        yield Option("image", "Image", {str(i): _image_name(result, labels, i) for i in order})


def _image_name(result: FeaturesResult, labels: list[int], index: int) -> str:
    """ "7, image 3": class, and number among those of the class."""
    number = labels[: index + 1].count(labels[index])
    return f"{result.class_names[labels[index]]}, image {number}"


def found_point(result: FeaturesResult, arrays: Arrays, picked: dict[str, str]) -> int | None:
    """The row of the image that was asked for, if one was."""
    if picked["find"] == NONE:
        return None
    place = [r.key for r in result.runs].index(picked["find"]) + 1
    return int(np.flatnonzero(arrays["source"] == place)[int(picked["image"])])


def describe(result: FeaturesResult, arrays: Arrays) -> list[str]:
    """A line for every point: where it is from, its class, its number, its neighbours' class."""
    names, labels, called = result.class_names, arrays["labels"], arrays["called"][0]
    from_ = ["Real image", *(r.label for r in result.runs)]
    number = np.arange(len(labels)) - np.searchsorted(arrays["source"], arrays["source"])
    number[arrays["source"] == 0] = arrays[f"{ROWS}test.{PIXELS}"]
    return [
        f"{from_[s]} {n}<br>class {names[y]}, neighbours {names[c]}"
        for s, n, y, c in zip(arrays["source"], number, labels, called)
    ]


def figures(result: FeaturesResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """The map beside PCA, and how many images have neighbours of their own class."""
    names = [picked["map"], "pca"] if "map" in picked else ["pca"]
    return [_map(result, arrays, picked, names), _agreement(result)]


def _map(result: FeaturesResult, arrays: Arrays, picked: dict[str, str], names: list[str]) -> Drawn:
    """The points, in each of the maps beside each other; `customdata` is the row of a point."""
    figure = drawing.new_figure(height=520, dragmode="lasso", meta="map")
    first, second = (100 * share for share in result.found.explained)
    pca = f"PCA: {first:.0f} and {second:.0f} % of the variance"
    figure.set_subplots(1, len(names), subplot_titles=[MAPS.get(n, pca) for n in names])
    figure.update_layout(
        margin_t=60, legend={"y": -0.02, "yanchor": "top", "itemsizing": "constant"}
    )
    texts, by_class = np.array(describe(result, arrays)), picked["colour"] == "class"
    traces = [*_real_traces(result, arrays, by_class), *_set_traces(result, arrays, by_class)]
    found = found_point(result, arrays, picked)
    if found is not None:
        ring = {"symbol": "circle-open", "size": 26, "color": FOUND, "line": {"width": 4}}
        traces.append(_Trace(np.array([found]), {"marker": ring, "name": "found"}))
    for column, name in enumerate(names):
        xy, at = arrays[f"map.{name}"], {"row": 1, "col": column + 1}
        for trace in traces:
            points = {
                "type": "scattergl" if len(texts) > MANY else "scatter",
                "x": xy[trace.rows, 0],
                "y": xy[trace.rows, 1],
                "customdata": trace.rows[:, None].tolist(),  # an array would come back as a dict
                "text": texts[trace.rows],
                "hovertemplate": "%{text}<extra></extra>",
                "mode": "markers",
                "showlegend": trace.named and column == 0,
            }
            figure.add_trace(points | trace.look, **at)
            if trace.legend and column == 0:
                figure.add_scatter(x=[None], y=[None], mode="markers", **trace.legend)
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(showticklabels=False, showgrid=False, zeroline=False)
    return Drawn("Images as a network sees them", figure, _map_caption(result, "map" in picked))


@dataclass(frozen=True)
class _Trace:
    """Points that look alike in every map; `legend` is a line for them where they are not `named` there."""

    rows: np.ndarray
    look: dict[str, Any]
    named: bool = False
    legend: dict[str, Any] | None = None


def _real_traces(result: FeaturesResult, arrays: Arrays, by_class: bool) -> Iterator[_Trace]:
    """The real images, by their class or all together."""
    fills = class_colours(len(result.class_names))
    for c in range(len(fills)) if by_class else (None,):
        rows = np.flatnonzero((arrays["source"] == 0) & ((arrays["labels"] == c) | (c is None)))
        colour = colours.REAL if c is None else fills[c]
        label = "Real images" if c is None else f"real {result.class_names[c]}"
        marker = {"color": colour, "size": 4, "opacity": 0.55}
        yield _Trace(rows, {"marker": marker, "name": label, "legendgroup": label}, named=True)


def _set_traces(result: FeaturesResult, arrays: Arrays, by_class: bool) -> Iterator[_Trace]:
    """The images of each set; the legend shows the set's colour rather than that of a class."""
    fills = class_colours(len(result.class_names))
    few = (arrays["source"] > 0).sum() <= 100  # more of them large would hide the real ones
    looks = colours.styles([r.method for r in result.runs])
    for s, (run, look) in enumerate(zip(result.runs, looks), 1):
        rows = np.flatnonzero(arrays["source"] == s)
        fill = [fills[c] for c in arrays["labels"][rows]] if by_class else look.colour
        # In "-open" symbols the fill is the line, so a second set of a method keeps its class colour.
        edge = {"color": look.colour, "width": 2 if few else 1.5}
        size = 12 if few else 7
        marker = {"symbol": look.symbol, "size": size, "color": fill, "line": edge}
        plain = {"symbol": look.symbol, "size": 12, "color": look.colour}
        named = {"name": run.label, "legendgroup": run.key}
        yield _Trace(rows, {"marker": marker, **named}, legend={"marker": plain, **named})


def _map_caption(result: FeaturesResult, umap: bool) -> str:
    found = result.found
    real, every = found.real_images, found.test_images
    part = f"all {every}" if real == every else f"{real} of {every}"
    caption = (
        f"Small: {part} real test images. Large: distilled images, with the edge and the symbol of "
        f"their set. {found.features} features of the first of {len(found.test)} networks "
        f"{found.network}."
    )
    if umap:
        caption += f" UMAP with {found.n_neighbors} neighbours, random state {found.random_state}."
    return caption


def class_colours(count: int) -> list[str]:
    """A rainbow of so many steps for both themes; neighbours differ in lightness too."""
    from colorsys import hls_to_rgb

    steps = [hls_to_rgb(i / count, 0.48 + 0.12 * (i % 2), 0.6) for i in range(count)]
    return ["#" + "".join(f"{round(255 * v):02x}" for v in rgb) for rgb in steps]


def rows_of(result: FeaturesResult) -> list[tuple[str, str, np.ndarray]]:
    """(key, label, share with neighbours of their class (nets,)) of each run, then of real images."""
    labels = {r.key: r.label for r in result.runs} | {REAL: "Real test images"}
    return [(key, label, np.array(result.found.agreement[key])) for key, label in labels.items()]


def per_cent(values: np.ndarray) -> str:
    """ "93.1 ± 0.4 % (n = 3)" of the networks' shares."""
    return figure_text({"mean": values.mean(), "std": deviation(values), "n": len(values)})


def _agreement(result: FeaturesResult) -> Drawn:
    """One dot per network and set, their mean as a bar."""
    looks = [*colours.styles([r.method for r in result.runs]), colours.Style(colours.REAL)]
    k = result.found.neighbours
    figure = drawing.new_figure("", "have neighbours of their class", per_cent=True, legend=False)
    for (_, label, values), look in zip(rows_of(result), looks):
        figure.add_scatter(
            x=[label],
            y=[values.mean()],
            error_y={"array": [deviation(values)], "thickness": 2, "width": 8},
            mode="markers",
            marker={
                "symbol": "line-ew-open",
                "size": 34,
                "color": look.colour,
                "line": {"width": 3},
            },
            hovertemplate=f"{label}: {per_cent(values)}<extra></extra>",
        )
        figure.add_scatter(
            x=[label] * len(values),
            y=values,
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 9, "opacity": 0.7},
            customdata=np.arange(1, len(values) + 1),
            hovertemplate="network %{customdata}: %{y:.1%}<extra></extra>",
        )
    low = min(float(values.min()) for _, _, values in rows_of(result))
    figure.update_yaxes(range=[min(0.9, low - 0.05), 1.01])
    words = "; ".join(f"{label} {100 * v.mean():.1f} %" for _, label, v in rows_of(result))
    nets = len(result.found.test)
    caption = (
        f"Share of images most of whose {k} nearest real images, in all {result.found.features} features, "
        f"are of their class; a dot for each of {nets} networks, mean"
        f"{' and standard deviation' if nets > 1 else ''}. {words}."
    )
    return Drawn("Among their own class", figure, caption)


def table(result: FeaturesResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set and network; then one per distilled image, with its places in the maps."""
    rows: list[dict[str, Any]] = [
        {"set": key, "label": label, "network": i + 1, "image": "all", "agreement": float(value)}
        for key, label, values in rows_of(result)
        for i, value in enumerate(values)
    ]
    names, called = result.class_names, arrays["called"][0]
    for place, run in enumerate(result.runs, 1):
        for i, row in enumerate(np.flatnonzero(arrays["source"] == place)):
            own, theirs = arrays["labels"][row], called[row]
            each = {"class": names[own], "neighbours": names[theirs]}
            for name in result.found.maps:
                each |= {
                    f"{name} {axis}": float(v) for axis, v in zip("xy", arrays[f"map.{name}"][row])
                }
            first = {"set": run.key, "label": run.label, "network": 1, "image": i}
            rows.append({**first, "agreement": float(own == theirs), **each})
    return rows


def headline(result: FeaturesResult) -> str:
    """How many images have neighbours of their class."""
    *sets, real = [100 * values.mean() for _, _, values in rows_of(result)]
    return (
        f"**{span(sets, '%')}** of the distilled images have mostly real neighbours of their class, "
        f"{real:.0f} % of real ones."
    )


def sentence(result: FeaturesResult) -> str:
    """How many images of each set have neighbours of their class."""

    *sets, real = [f"**{per_cent(values)}** of {label}" for _, label, values in rows_of(result)]
    return (
        f"Most of the {result.found.neighbours} nearest real images are of an image's own class for "
        f"{', '.join(sets)}; for {real.replace('Real', 'real')}."
    )


def pictures(result: FeaturesResult, arrays: Arrays) -> list[Pictures]:
    """Of each set the images that lie among another class in most networks."""
    names, found = result.class_names, []
    for place, run in enumerate(result.runs, 1):
        rows = np.flatnonzero(arrays["source"] == place)
        called, labels = arrays["called"][:, rows], arrays["labels"][rows]
        wrong = called != labels
        worst = np.argsort(-wrong.sum(0), kind="stable")[:SHOWN]
        worst = worst[wrong[:, worst].any(0)]
        if not len(worst):
            continue
        lines = []
        for i in worst:
            other = int(np.bincount(called[wrong[:, i], i]).argmax())
            lines.append(
                f"{wrong[:, i].sum()}/{len(called)} as {names[other]}, is {names[labels[i]]}"
            )
        title = f"{run.label}: the images that lie among another class, in so many networks"
        found.append(Pictures(title, arrays[f"pixels.{run.key}"][worst], lines))
    return found
