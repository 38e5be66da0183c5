"""Feature map: do distilled images lie among the real images of their class, as a network sees them?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from analysis import base, colours, drawing, embedding
from analysis.base import (
    Analysis,
    AnalysisTask,
    Arrays,
    Chosen,
    Cost,
    Drawn,
    Option,
    Pictures,
    Result,
)
from analysis.pools import Counts, RealPool
from ddcore import rng
from ddcore.errors import DataError, SpecError
from ddcore.foreign_text import wrapped_unmathematical
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import parse
from ddcore.spread import deviation, figure_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure

    from ddcore.training import Images, TrainedNets
    from ddcore.worker import Context

REAL = "real"
PIXELS = "real_pixels"  # of the real images, where the dataset is here
NONE = "none"
FOUND = "#D64B4E"  # ring around a point that was asked for
MAPS = {
    "joint": "UMAP fitted to all images",
    "apart": "UMAP fitted to real images",
}
PROJECTIONS = ("umap", "pca")
SHOWN = 10  # images of a set that are shown
AT_ONCE = 500  # images in a network
MANY = 3000  # points from which the browser draws with its graphics card
# By the time it takes, at 4e9 a second: 1 ms for a point and a fit, 10 s to load UMAP (measured).
UMAP_MACS, UMAP_LOAD_MACS = 4e6, 4e10


@dataclass(frozen=True, kw_only=True)
class FeaturesTask(AnalysisTask):
    """Penultimate features in `nets` networks, trained on all real training data, of the sets and of
    `real_images` test images drawn by the seed (all of them where there are not so many).

    `network` is an architecture and its width, such as convnet-16. `epochs` 0 chooses by the number of
    images; `batch` and `lr` are those of plain SGD with momentum 0.9. Each image is judged by its
    `neighbours` nearest real images. `projection` umap draws UMAP with its `n_neighbors` and `random_state`
    beside PCA; pca draws only the latter.
    """

    KIND: ClassVar[str] = "features"
    RUNNER: ClassVar[str] = "analysis.features:run"

    network: str = "convnet-16"
    nets: int = 3
    epochs: int = 0
    batch: int = 64
    lr: float = 0.02
    real_images: int = 1000
    neighbours: int = 10
    projection: str = "umap"
    n_neighbors: int = 5
    random_state: int = 42

    def validate(self) -> None:
        """Check ranges and the network's name."""
        super().validate()
        parse("network", self.network)
        self.require_range("nets", 1, 100)
        self.require_range("real_images", 20, 100_000)
        self.require_range("neighbours", 1, self.real_images - 1)
        self.require_choice("projection", PROJECTIONS)
        self.require_range("n_neighbors", 2, min(200, self.real_images - 1))
        self.require_range("random_state", 0, 2**31 - 1)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """A narrow ConvNet; published: the paper's ResNet-18, 10,000 images and settings of UMAP."""
    small = shape[1] < 28
    teaching = {"epochs": 15} if small else {"epochs": 5, "network": "convnet-32"}
    return {
        "quick": {"epochs": 15 if small else 3, "real_images": 500},
        "teaching": {**teaching, "real_images": 1500},
        "published": {
            "network": "resnet18-64",
            "epochs": 40,
            "batch": 256,
            "lr": 0.01,
            "real_images": 10_000,
        },
    }


def pools(spec: FeaturesTask, chosen: Chosen) -> list[RealPool]:
    """The networks; the analysis of recognition shares them."""
    return [base.real_pool(spec, chosen, "network", spec.network)]


def cost(spec: FeaturesTask, chosen: Chosen, counts: Counts) -> Cost:
    """Features of all images in every network, all distances, and the maps."""
    net = pools(spec, chosen)[0].net
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    real, made = min(spec.real_images, counts.test), sum(r.images for r in chosen.runs)
    total = real + made
    macs = spec.nets * total * (one.macs + real * float(one.features))
    if spec.projection == "umap":
        macs += UMAP_LOAD_MACS + UMAP_MACS * (total + real)
    values = float(np.prod(chosen.shape))
    memory = 4.0 * one.activations * AT_ONCE + 16.0 * total * one.features + 8.0 * real * total
    return Cost(macs, memory, disk=4 * made * values + 100.0 * total + 1e5)


# --- computing ------------------------------------------------------------------------------------


def run(context: Context) -> None:
    """Task `features`: neighbours of every image in every network, and maps of the first."""
    from analysis._pools import load

    spec: FeaturesTask = context.spec
    if spec.projection == "umap":
        embedding.require_umap("projection", "umap", "pca")
    given = base.opened(context)
    data, keys = given.dataset, [r.key for r in given.chosen.runs]
    rows = real_sample(len(data.test_images), spec.real_images, spec.seed)
    if spec.neighbours >= len(rows):
        allowed = f"fewer than the {len(rows)} test images there are"
        raise SpecError("neighbours", spec.neighbours, allowed)
    real, truth = data.preprocess(data.test_images[rows]), data.test_labels[rows]
    sets = [given.sets[key] for key in keys]
    images = np.concatenate([real, *(made.images for made in sets)])
    labels = np.concatenate([truth, *(made.hard_labels for made in sets)])
    source = np.repeat(np.arange(len(sets) + 1), [len(real), *(len(m.images) for m in sets)])
    (pool,) = given.pools
    nets = load(pool, context.device)
    total = spec.nets + 1
    first, called, nearest = None, [], None
    for i in range(spec.nets):
        context.progress(i, total, f"Network {i + 1} of {spec.nets}")
        features = features_of(nets, i, images)
        near = around(features, len(real), spec.neighbours)
        called.append(embedding.majority(truth[near]))
        if i == 0:
            first, nearest = features, near
    context.progress(spec.nets, total, "Drawing the maps")
    arrays: Arrays = {
        "labels": labels,
        "source": source,  # 0: real, then the runs in the order of figures
        "called": np.stack(called),  # (nets, points): the majority of each point's real neighbours
        "nearest": nearest.astype(
            np.int32
        ),  # (points, k): places among the real images, first network
        **{f"pixels.{key}": made.pixels() for key, made in zip(keys, sets)},
    }
    arrays["map.pca"], explained = embedding.pca_map(first, len(real))
    if spec.projection == "umap":
        umap = embedding.load_umap(context.store.root / "numba")
        for name in MAPS:
            context.check_cancel()
            arrays[f"map.{name}"] = embedding.umap_map(
                umap,
                first,
                len(real),
                joint=name == "joint",
                n_neighbors=spec.n_neighbors,
                random_state=spec.random_state,
            )
    context.progress(total, total)
    right = arrays["called"] == labels
    names = [REAL, *keys]
    result = {
        "agreement": {n: right[:, source == s].mean(1).tolist() for s, n in enumerate(names)},
        "maps": [*(MAPS if spec.projection == "umap" else ()), "pca"],
        "labels": {key: made.hard_labels.tolist() for key, made in zip(keys, sets)},
        "network": pool.spec().net.label(),
        "test": pool.arrays()["test"].tolist(),
        "explained": explained.tolist(),
        "real_images": len(rows),
        "test_images": len(data.test_images),
        "neighbours": spec.neighbours,
        "n_neighbors": spec.n_neighbors,
        "random_state": spec.random_state,
        "features": first.shape[1],
        "soft": [key for key, made in zip(keys, sets) if made.soft],
        "pools": [pool.key],
    }
    base.save(context, given, result, arrays, {PIXELS: ("test", rows)})


def real_sample(count: int, wanted: int, seed: int) -> np.ndarray:
    """Sorted rows of `wanted` of `count` test images, all where there are fewer."""
    return np.sort(rng.numpy_generator(seed, "features").permutation(count)[:wanted])


def features_of(nets: TrainedNets, which: int, images: Images) -> np.ndarray:
    """Penultimate features (B, F) of preprocessed images in one of the networks."""
    from ddcore.nets.network import select
    from ddcore.training import TrainedNets

    params, stats = select(nets.params, which), select(nets.stats, which)
    one = TrainedNets(nets.network.with_nets(1), params, stats)
    found = one.features(images, AT_ONCE)[0].numpy()
    if not np.isfinite(found).all():
        raise DataError("The features of a network are not finite: train it with a smaller lr.")
    return found


def around(features: np.ndarray, real: int, k: int) -> np.ndarray:
    """The `k` real images nearest to each point (N, k), the nearest first.

    The first `real` rows of `features` (N, F) are those of real images; none is its own neighbour.
    """
    reference = features[:real]
    own = embedding.neighbours(reference, k)
    if real == len(features):
        return own
    return np.concatenate([own, embedding.neighbours(reference, k, features[real:])])


# --- showing --------------------------------------------------------------------------------------


def options(result: Result, picked: dict[str, str]) -> Iterator[Option]:
    """Which map, what colours mean, and an image to find in it."""
    if "joint" in result["maps"]:
        yield Option("map", "Map", MAPS)
    yield Option("colour", "Colours", {"class": "classes", "set": "sets"})
    sets = {r["key"]: r["label"] for r in result["runs"]}
    yield Option("find", "Find an image of", {NONE: "no set", **sets})
    if picked["find"] != NONE:
        labels = result["labels"][picked["find"]]
        order = np.argsort(labels, kind="stable").tolist()
        yield Option("image", "Image", {str(i): _image_name(result, labels, i) for i in order})


def _image_name(result: Result, labels: list[int], index: int) -> str:
    """ "7, image 3": class, and number among those of the class."""
    number = labels[: index + 1].count(labels[index])
    return f"{result['class_names'][labels[index]]}, image {number}"


def found_point(result: Result, arrays: Arrays, picked: dict[str, str]) -> int | None:
    """The row of the image that was asked for, if one was."""
    if picked["find"] == NONE:
        return None
    place = [r["key"] for r in result["runs"]].index(picked["find"]) + 1
    return int(np.flatnonzero(arrays["source"] == place)[int(picked["image"])])


def describe(result: Result, arrays: Arrays) -> list[str]:
    """A line for every point: where it is from, its class, its number, its neighbours' class."""
    names, labels, called = result["class_names"], arrays["labels"], arrays["called"][0]
    from_ = ["Real image", *(r["label"] for r in result["runs"])]
    number = np.arange(len(labels)) - np.searchsorted(arrays["source"], arrays["source"])
    number[arrays["source"] == 0] = arrays[f"{base.ROWS}test.{PIXELS}"]
    return [
        f"{from_[s]} {n}<br>class {names[y]}, neighbours {names[c]}"
        for s, n, y, c in zip(arrays["source"], number, labels, called)
    ]


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """The map beside PCA, and how many images have neighbours of their own class."""
    names = [picked["map"], "pca"] if "map" in picked else ["pca"]
    return [_map(result, arrays, picked, names), _agreement(result)]


def _map(result: Result, arrays: Arrays, picked: dict[str, str], names: list[str]) -> Drawn:
    """The points, in each of the maps beside each other; `customdata` is the row of a point."""
    figure = drawing.new_figure(height=520, dragmode="lasso", meta="map")
    first, second = (100 * share for share in result["explained"])
    pca = f"PCA: {first:.0f} and {second:.0f} % of the variance"
    figure.set_subplots(1, len(names), subplot_titles=[MAPS.get(n, pca) for n in names])
    figure.update_layout(
        margin_t=60, legend={"y": -0.02, "yanchor": "top", "itemsizing": "constant"}
    )
    texts, source, labels = np.array(describe(result, arrays)), arrays["source"], arrays["labels"]
    fills = class_colours(len(result["class_names"]))
    looks = colours.styles([r["method"] for r in result["runs"]])
    by_class = picked["colour"] == "class"
    scatter = "scattergl" if len(labels) > MANY else "scatter"
    few = (source > 0).sum() <= 100  # more of them large would hide the real ones
    found = found_point(result, arrays, picked)
    for column, name in enumerate(names):
        xy = arrays[f"map.{name}"]
        at = {"row": 1, "col": column + 1}

        def add(rows: np.ndarray, xy: np.ndarray = xy, **how: Any) -> dict[str, Any]:
            return {
                "type": scatter,
                "x": xy[rows, 0],
                "y": xy[rows, 1],
                "customdata": rows[:, None].tolist(),  # an array would come back as a dict
                "text": texts[rows],
                "hovertemplate": "%{text}<extra></extra>",
                "mode": "markers",
                **how,
            }

        for c in range(len(fills)) if by_class else (None,):
            rows = np.flatnonzero((source == 0) & ((labels == c) | (c is None)))
            colour = colours.REAL if c is None else fills[c]
            label = "Real images" if c is None else f"real {result['class_names'][c]}"
            marker = {"color": colour, "size": 4, "opacity": 0.55}
            known = {"name": label, "legendgroup": label, "showlegend": column == 0}
            figure.add_trace(add(rows, marker=marker, **known), **at)
        for s, (run, look) in enumerate(zip(result["runs"], looks), 1):
            rows = np.flatnonzero(source == s)
            fill = [fills[c] for c in labels[rows]] if by_class else look.colour
            # In "-open" symbols the fill is the line, so a second set of a method keeps its class colour.
            edge = {"color": look.colour, "width": 2 if few else 1.5}
            size = 12 if few else 7
            marker = {"symbol": look.symbol, "size": size, "color": fill, "line": edge}
            known = {"legendgroup": run["key"], "showlegend": False, "name": run["label"]}
            figure.add_trace(add(rows, marker=marker, **known), **at)
            if column == 0:
                figure.add_scatter(  # the legend shows the set's colour rather than that of a class
                    x=[None],
                    y=[None],
                    mode="markers",
                    marker={"symbol": look.symbol, "size": 12, "color": look.colour},
                    name=run["label"],
                    legendgroup=run["key"],
                )
        if found is not None:
            ring = {"symbol": "circle-open", "size": 26, "color": FOUND, "line": {"width": 4}}
            one = np.array([found])
            figure.add_trace(add(one, marker=ring, name="found", showlegend=False), **at)
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(showticklabels=False, showgrid=False, zeroline=False)
    real, every = result["real_images"], result["test_images"]
    part = f"all {every}" if real == every else f"{real} of {every}"
    caption = (
        f"Small: {part} real test images. Large: distilled images, with the edge and the symbol of "
        f"their set. {result['features']} features of the first of {len(result['test'])} networks "
        f"{result['network']}."
    )
    if "map" in picked:
        caption += (
            f" UMAP with {result['n_neighbors']} neighbours, random state {result['random_state']}."
        )
    return Drawn("Images as a network sees them", figure, caption)


def class_colours(count: int) -> list[str]:
    """A rainbow of so many steps for both themes; neighbours differ in lightness too."""
    from colorsys import hls_to_rgb

    steps = [hls_to_rgb(i / count, 0.48 + 0.12 * (i % 2), 0.6) for i in range(count)]
    return ["#" + "".join(f"{round(255 * v):02x}" for v in rgb) for rgb in steps]


def rows_of(result: Result) -> list[tuple[str, str, np.ndarray]]:
    """(key, label, share with neighbours of their class (nets,)) of each run, then of real images."""
    labels = {r["key"]: r["label"] for r in result["runs"]} | {REAL: "Real test images"}
    return [(key, label, np.array(result["agreement"][key])) for key, label in labels.items()]


def per_cent(values: np.ndarray) -> str:
    """ "93.1 ± 0.4 % (n = 3)" of the networks' shares."""
    return figure_text({"mean": values.mean(), "std": deviation(values), "n": len(values)})


def _agreement(result: Result) -> Drawn:
    """One dot per network and set, their mean as a bar."""
    looks = [*colours.styles([r["method"] for r in result["runs"]]), colours.Style(colours.REAL)]
    k = result["neighbours"]
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
    nets = len(result["test"])
    caption = (
        f"Share of images most of whose {k} nearest real images, in all {result['features']} features, "
        f"are of their class; a dot for each of {nets} networks, mean"
        f"{' and standard deviation' if nets > 1 else ''}. {words}."
    )
    return Drawn("Among their own class", figure, caption)


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """The paper's map (Fig. 2, right) and the others beside it, then the agreement."""
    import seaborn as sns

    figure, axes = drawing.panels(1, len(result["maps"]) + 1, width=4.2, height=3.8)
    source, labels = arrays["source"], arrays["labels"]
    palette = class_colours(len(result["class_names"]))
    looks = colours.styles([r["method"] for r in result["runs"]])
    titles = {**MAPS, "pca": "PCA"}
    for ax, name in zip(axes[0], result["maps"]):
        xy = arrays[f"map.{name}"]
        for s, look in enumerate([None, *looks]):
            rows = source == s
            how = {"s": 3, "lw": 0} if s == 0 else {"s": 45, "marker": look.marker, "ec": "black"}
            sns.scatterplot(
                x=xy[rows, 0],
                y=xy[rows, 1],
                hue=labels[rows],
                hue_order=range(len(palette)),
                palette=palette,
                legend=False,
                ax=ax,
                **how,
            )
        ax.set(xticks=[], yticks=[])
        ax.set_title(titles[name], fontsize=9)
    for run, look in zip(result["runs"], looks):
        plain = {"mec": "black", "mfc": "lightgrey", "ls": "", "label": run["label"]}
        axes[0][0].plot([], [], look.marker, **plain)
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "ncols": 2}
    axes[0][0].legend(frameon=False, fontsize=7, **below)
    ax = axes[0][-1]
    for place, (_, _, values) in enumerate(rows_of(result)):
        real = place == len(looks)
        colour, marker = ("black", "o") if real else (looks[place].colour, looks[place].marker)
        ax.plot(np.full(len(values), place), values, marker, color=colour, ms=6, alpha=0.7)
        ax.errorbar(place, values.mean(), deviation(values), color=colour)
        ax.hlines(values.mean(), place - 0.3, place + 0.3, color=colour)
    names = ["\n".join(wrapped_unmathematical(label, 14)) for _, label, _ in rows_of(result)]
    ax.set_xticks(range(len(names)), names, fontsize=6)
    ax.set(ylabel="Neighbours of their class", ylim=(min(0.9, ax.get_ylim()[0]), 1.02))
    sns.despine(ax=ax)
    return figure


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set and network; then one per distilled image, with its places in the maps."""
    rows: list[dict[str, Any]] = [
        {"set": key, "label": label, "network": i + 1, "image": "all", "agreement": float(value)}
        for key, label, values in rows_of(result)
        for i, value in enumerate(values)
    ]
    names, called = result["class_names"], arrays["called"][0]
    for place, run in enumerate(result["runs"], 1):
        for i, row in enumerate(np.flatnonzero(arrays["source"] == place)):
            own, theirs = arrays["labels"][row], called[row]
            each = {"class": names[own], "neighbours": names[theirs]}
            for name in result["maps"]:
                each |= {
                    f"{name} {axis}": float(v) for axis, v in zip("xy", arrays[f"map.{name}"][row])
                }
            first = {"set": run["key"], "label": run["label"], "network": 1, "image": i}
            rows.append({**first, "agreement": float(own == theirs), **each})
    return rows


def sentence(result: Result) -> str:
    """How many images of each set have neighbours of their class."""

    *sets, real = [f"**{per_cent(values)}** of {label}" for _, label, values in rows_of(result)]
    return (
        f"Most of the {result['neighbours']} nearest real images are of an image's own class for "
        f"{', '.join(sets)}; for {real.replace('Real', 'real')}."
    )


def pictures(result: Result, arrays: Arrays) -> list[Pictures]:
    """Of each set the images that lie among another class in most networks."""
    names, found = result["class_names"], []
    for place, run in enumerate(result["runs"], 1):
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
            lines.append(f"{names[labels[i]]} → {names[other]}, {wrong[:, i].sum()}/{len(called)}")
        title = f"{run['label']}: the images that lie among another class, in so many networks"
        found.append(Pictures(title, arrays[f"pixels.{run['key']}"][worst], lines))
    return found


ANALYSIS = Analysis(
    name="features",
    title="Feature map",
    icon=":material/scatter_plot:",
    order=20,
    question="Do distilled images lie among the real images of their class?",
    read="""\
- A point is an image as the last layer but one of a network sees it; the network was trained on real images
  only. Small points are real test images, large ones distilled, with the edge and the symbol of their set.
- *UMAP* keeps neighbours together. Fitted to all images, distilled ones shape the map a little;
  fitted to real images alone, they cannot. *PCA* is a plain projection, without any choice.
- Point at an image to see it, draw a lasso around points to open their images, or find an image by its set.
- The second figure is the measurement: it counts neighbours among all features, not in the plane.""",
    doubt="""\
- Distances between clusters of UMAP, and their sizes, mean nothing; another random state moves them.
- A point between clusters may be the map's fault: believe the count, which knows no map.
- Real test images do not reach 100 % either: compare with their bar, and look at the spread over networks.
- With 10 images one of them is 10 points. Soft labels count as their largest entry.
- Spread is over networks trained on real data. The sets were made once: nothing is said of another
  distillation.""",
    paper="""\
Yang et al. 2024 (Fig. 2, right; CIFAR-10, ResNet-18, 10,000 test images) draw one UMAP of real images with
those of trajectory and of distribution matching. Most distilled points lie on the cluster of their class.""",
    differs="""\
The paper shows one network and one map, fitted to real and distilled images together, and judges by
eye. Here an honest alternative places distilled images in a map of real ones, PCA stands beside it, and the
neighbours are counted in feature space for several networks. *As published* takes its network, its 10,000
images, 5 neighbours and random state 42; choose runs of trajectory and of distribution matching to repeat
it. Versions of UMAP differ in their maps even for the same random state.""",
    spec=FeaturesTask,
    presets=presets,
    pools=pools,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    options=options,
    pictures=pictures,
    smallest={
        "network": "convnet-4",
        "nets": 2,
        "epochs": 1,
        "real_images": 60,
        "projection": "pca",
    },
)
