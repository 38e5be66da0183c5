"""Neighbours: which real images are nearest to the distilled ones, in pixels and as a network sees them?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from analysis import base, colours, drawing
from analysis.base import (
    Analysis,
    AnalysisTask,
    Arrays,
    Chosen,
    Cost,
    Drawn,
    Pictures,
    Result,
)
from analysis.features import features_of
from analysis.nearest import flat, held_out_sample, nearest
from analysis.pools import Counts, RealPool
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import parse

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure

    from ddcore.worker import Context

PIXELS, FEATURES = "pixels", "features"
SPACES = {PIXELS: "In pixels", FEATURES: "In features"}
HELD_OUT = "held_out"
BESIDE = 4  # real images beside a distilled one, in each space: two spaces fill a row of ten
DOTS = 400  # images of a set up to which each is drawn


@dataclass(frozen=True, kw_only=True)
class NeighboursTask(AnalysisTask):
    """The `neighbours` training images nearest to every image of the sets, by Euclidean distance.

    Once between pixels, and once between penultimate features in each of `nets` networks trained on all real
    training data: `network` is an architecture and its width, such as convnet-16; `epochs` 0 chooses by the
    number of images; `batch` and `lr` are those of plain SGD with momentum 0.9. At most `held_out` real
    images that were held out of training (the validation part) give the yardstick.
    """

    KIND: ClassVar[str] = "neighbours"
    RUNNER: ClassVar[str] = "analysis.neighbours:run"

    neighbours: int = 4
    held_out: int = 1000
    network: str = "convnet-16"
    nets: int = 3
    epochs: int = 0
    batch: int = 64
    lr: float = 0.02

    def validate(self) -> None:
        """Check ranges and the network's name."""
        super().validate()
        self.require_range("neighbours", 1, 50)
        self.require_range("held_out", 1, 100_000)
        parse("network", self.network)
        self.require_range("nets", 1, 100)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """A narrow ConvNet; published: the network of the feature map."""
    epochs = 15 if shape[1] < 28 else 3
    teaching = {"epochs": epochs} if shape[1] < 28 else {"epochs": 5, "network": "convnet-32"}
    return {
        "quick": {"epochs": epochs, "held_out": 500},
        "teaching": teaching,
        "published": {
            "network": "resnet18-64",
            "epochs": 40,
            "batch": 256,
            "lr": 0.01,
            "held_out": 5000,
        },
    }


def pools(spec: NeighboursTask, chosen: Chosen) -> list[RealPool]:
    """The networks; recognition and the feature map share them."""
    return [base.real_pool(spec, chosen, "network", spec.network)]


def cost(spec: NeighboursTask, chosen: Chosen, counts: Counts) -> Cost:
    """Features of all images in every network, and every distance in both spaces."""
    net = pools(spec, chosen)[0].net
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    held = min(spec.held_out, counts.train)  # an upper bound: the validation part is smaller
    asked = sum(run.images for run in chosen.runs) + held
    pixels = float(np.prod(chosen.shape))
    macs = asked * counts.train * (pixels + spec.nets * one.features)
    macs += spec.nets * (asked + counts.train) * one.macs
    memory = 4.0 * one.activations * 500 + 4.0 * one.features * counts.train + 1e8
    return Cost(macs, memory, disk=asked * 20.0 * spec.neighbours + 1e5)


# --- computing ------------------------------------------------------------------------------------


def run(context: Context) -> None:
    """Task `neighbours`: nearest training images in both spaces, and the same of held-out images."""
    from analysis._pools import load
    from ddcore.data.tensors import DeviceData

    spec: NeighboursTask = context.spec
    given = base.opened(context)
    data, keys = given.dataset, [r.key for r in given.chosen.runs]
    held = held_out_sample(len(data.val_images), spec.held_out)
    labels = {HELD_OUT: data.val_labels[held]}
    labels |= {key: made.hard_labels for key, made in given.sets.items()}
    ends = np.cumsum([len(own) for own in labels.values()])[:-1]
    total = spec.nets + 1
    (pool,) = given.pools
    nets, train = load(pool, context.device), DeviceData(data, context.device).train

    def near(step: int, queries: list[np.ndarray], real: np.ndarray) -> tuple[dict, dict]:
        """Indices (M, k) and distances (M, k) by name."""

        def on_share(share: float) -> None:
            context.progress(int(1000 * (step + share)), 1000 * total)

        indices, apart = nearest(np.concatenate(queries), real, spec.neighbours, on_share)
        return dict(zip(labels, np.split(indices, ends))), dict(zip(labels, np.split(apart, ends)))

    pixels = [flat(data.val_images[held]), *(flat(m.pixels()) for m in given.sets.values())]
    found = {PIXELS: [near(0, pixels, data.train_images)], FEATURES: []}
    inputs = [data.preprocess(data.val_images[held]), *(m.images for m in given.sets.values())]
    for i in range(spec.nets):
        queries = [flat(features_of(nets, i, x)) for x in inputs]
        found[FEATURES].append(near(i + 1, queries, features_of(nets, i, train)))
    context.progress(1000 * total, 1000 * total)

    arrays: Arrays = {f"labels.{name}": own for name, own in labels.items()}
    facts: dict[str, dict[str, Any]] = {name: {} for name in labels}
    for space, each in found.items():
        yard = np.stack([np.median(apart[HELD_OUT][:, 0]) for _, apart in each])
        for name, own in labels.items():
            rows = np.stack([rows[name] for rows, _ in each])  # (networks, M, k); one of pixels
            apart = np.stack([apart[name] for _, apart in each])
            relative = apart[:, :, 0] / yard[:, None]
            classes = data.train_labels[rows]
            arrays[f"{space}.rows.{name}"] = rows[0].astype(np.int32)
            arrays[f"{space}.classes.{name}"] = classes[0]
            arrays[f"{space}.distances.{name}"] = apart[0]
            arrays[f"{space}.relative.{name}"] = relative
            facts[name][space] = summary(relative, classes == own[:, None])
    real = {}
    for key, made in given.sets.items():
        shown = to_show(arrays[f"{PIXELS}.relative.{key}"][0])
        arrays[f"shown.{key}"], arrays[f"made.{key}"] = shown, made.pixels()[shown]
        for space in SPACES:
            rows = arrays[f"{space}.rows.{key}"][shown, :BESIDE].astype(np.int64)
            real[f"{space}.real.{key}"] = ("train", rows.ravel())
    result = {
        "sets": facts,
        "neighbours": arrays[f"{PIXELS}.rows.{HELD_OUT}"].shape[1],
        "held_out_images": len(held),
        "train_images": len(data.train_images),
        "network": pool.spec().net.label(),
        "test": pool.arrays()["test"].tolist(),
        "soft": [key for key in keys if given.sets[key].soft],
        "pools": [pool.key],
    }
    base.save(context, given, result, arrays, real)


def summary(relative: np.ndarray, agrees: np.ndarray) -> dict[str, list[float]]:
    """Facts in each network, from relative distances (nets, M) and whether classes agree (nets, M, k).

    The median distance to the nearest training image in units of that of held-out images; the share of
    images that are nearer than 1; the share whose nearest, and of all their neighbours those who, have
    the image's class.
    """
    return {
        "median": np.median(relative, 1).tolist(),
        "nearer": (relative < 1).mean(1).tolist(),
        "own_class": agrees[:, :, 0].mean(1).tolist(),
        "own_class_all": agrees.mean((1, 2)).tolist(),
    }


def to_show(relative: np.ndarray) -> np.ndarray:
    """The image that is nearest to a training image, and the one that is farthest from all."""
    return np.array([relative.argmin(), relative.argmax()])


# --- showing --------------------------------------------------------------------------------------


def rows_of(result: Result) -> list[tuple[str, str, colours.Style]]:
    """(key, label, look) of each run, then of the held-out real images."""
    looks = colours.styles([r["method"] for r in result["runs"]])
    found = [(r["key"], r["label"], look) for r, look in zip(result["runs"], looks)]
    return [*found, (HELD_OUT, "Held-out real images", colours.Style(colours.REAL))]


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """How far the nearest training image is, and whether it is of the same class."""
    return [_distances(result, arrays), _classes(result)]


def _distances(result: Result, arrays: Arrays) -> Drawn:
    """A box with its images for each set, in both spaces; features of the first network."""
    rows = rows_of(result)
    figure = drawing.new_figure(height=110 + 60 * len(rows), legend=False)
    figure.set_subplots(1, 2, subplot_titles=list(SPACES.values()), shared_yaxes=True)
    figure.update_layout(margin_t=40)
    for column, space in enumerate(SPACES, 1):
        for key, label, look in rows:
            values = arrays[f"{space}.relative.{key}"][0]
            figure.add_box(
                x=values,
                y=[label] * len(values),
                orientation="h",
                name=label,
                boxpoints="all" if len(values) <= DOTS else "outliers",
                jitter=0.6,
                pointpos=0,
                line={"color": look.colour, "width": 1.5},
                fillcolor=drawing.faded(look.colour, 0.15),
                marker={
                    "color": drawing.faded(look.colour, 0.55),
                    "symbol": look.symbol,
                    "size": 4,
                },
                hovertemplate=f"{label}: %{{x:.2f}}<extra></extra>",
                row=1,
                col=column,
            )
        line = {"color": colours.REAL, "dash": "dot", "width": 1}
        figure.add_vline(1, line=line, row=1, col=column)
    figure.update_xaxes(title="distance (held-out median = 1)", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", type="category")
    words = "; ".join(
        f"{label} {_middle(result, key, PIXELS):.2f} and {_middle(result, key, FEATURES):.2f}"
        for key, label, _ in rows
    )
    caption = (
        f"1 (dotted) is the median of {result['held_out_images']} held-out real images; features are those "
        f"of the first of {len(result['test'])} networks {result['network']}. Medians in pixels and, mean "
        f"of all networks, in features: {words}."
    )
    return Drawn("How near to the training images", figure, caption)


def _middle(result: Result, key: str, space: str, fact: str = "median") -> float:
    return float(np.mean(result["sets"][key][space][fact]))


def _classes(result: Result) -> Drawn:
    """One dot for pixels and one per network for features, side by side for each set."""
    figure = drawing.new_figure("", "nearest is of their class", per_cent=True, scattermode="group")
    lowest = 1.0
    for key, label, look in rows_of(result):
        for space, words in SPACES.items():
            values = result["sets"][key][space]["own_class"]
            lowest = min(lowest, *values)
            figure.add_scatter(
                x=[words] * len(values),
                y=values,
                name=label,
                mode="markers",
                offsetgroup=key,
                legendgroup=key,
                showlegend=space == PIXELS,
                marker={"color": look.colour, "symbol": look.symbol, "size": 10, "opacity": 0.8},
                hovertemplate=f"{label}, {words.lower()}: %{{y:.1%}}<extra></extra>",
            )
    figure.update_yaxes(range=[max(0.0, min(0.9, lowest - 0.05)), 1.01])
    figure.update_xaxes(type="category")
    words = "; ".join(
        f"{label} {100 * _middle(result, key, PIXELS, 'own_class'):.0f} and "
        f"{100 * _middle(result, key, FEATURES, 'own_class'):.0f} %"
        for key, label, _ in rows_of(result)
    )
    caption = (
        "Share of images whose nearest training image is of their own class; in features a dot for each of "
        f"{len(result['test'])} networks. In pixels and, mean of all networks, in features: {words}."
    )
    return Drawn("Is the nearest of the same class?", figure, caption)


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """Boxes of distances in both spaces, and the shares of the own class."""
    import pandas as pd
    import seaborn as sns

    rows = rows_of(result)
    figure, axes = drawing.panels(1, 3, width=4.2)
    palette = {label: "black" if k == HELD_OUT else look.colour for k, label, look in rows}
    for ax, (space, title) in zip(axes[0], SPACES.items()):
        frame = pd.DataFrame(
            [
                {"set": label, "distance": value}
                for key, label, _ in rows
                for value in arrays[f"{space}.relative.{key}"][0]
            ]
        )
        how = {"x": "distance", "y": "set", "hue": "set", "ax": ax, "legend": False}
        sns.boxplot(frame, **how, palette=palette, fill=False, fliersize=1.5, linewidth=1)
        ax.axvline(1, color="grey", lw=0.8, ls=":")
        ax.set(ylabel="", xlabel="Distance to the nearest training image", title=title)
        ax.tick_params(labelsize=7)
    axes[0][1].set_yticklabels([])
    ax, count = axes[0][2], len(rows)
    for place, (key, label, look) in enumerate(rows):
        for at, space in enumerate(SPACES):
            values = result["sets"][key][space]["own_class"]
            x = np.full(len(values), at + (place - (count - 1) / 2) * 0.6 / count)
            name = label if at == 0 else None
            ax.plot(x, values, look.marker, color=palette[label], ms=4, alpha=0.8, label=name)
    ax.set_xticks([0, 1], list(SPACES.values()))
    ax.set(ylabel="Nearest is of their class", ylim=(min(0.9, ax.get_ylim()[0]), 1.01))
    ax.legend(frameon=False, fontsize=6)
    sns.despine(figure)
    return figure


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per image and space (features: of the first network), with its nearest training image."""
    names = result["class_names"]
    return [
        {
            "set": key,
            "label": label,
            "image": i,
            "class": names[int(own)],
            "space": space,
            "nearest": int(arrays[f"{space}.rows.{key}"][i, 0]),
            "its class": names[int(arrays[f"{space}.classes.{key}"][i, 0])],
            "distance": float(arrays[f"{space}.distances.{key}"][i, 0]),
            "relative": float(arrays[f"{space}.relative.{key}"][0, i]),
        }
        for key, label, _ in rows_of(result)
        for i, own in enumerate(arrays[f"labels.{key}"])
        for space in SPACES
    ]


def sentence(result: Result) -> str:
    """How far the nearest training image is, and whether it is of the same class."""

    def words(key: str, label: str) -> str:
        near = [f"**{_middle(result, key, space):.2f}**" for space in SPACES]
        own = [f"{100 * _middle(result, key, space, 'own_class'):.0f}" for space in SPACES]
        return f"{label} {near[0]} and {near[1]} ({own[0]} and {own[1]} %)"

    *sets, (held, real, _) = rows_of(result)
    own = [f"{100 * _middle(result, held, space, 'own_class'):.0f}" for space in SPACES]
    return (
        "Distance to the nearest training image in pixels and in features, in units of that of "
        f"{real.lower()}, and how often it is of the same class: "
        f"{'; '.join(words(key, label) for key, label, _ in sets)}; {real.lower()} 1 "
        f"({own[0]} and {own[1]} %)."
    )


def pictures(result: Result, arrays: Arrays) -> list[Pictures]:
    """Of each set the nearest and the farthest image, before their nearest in pixels and in features."""
    names, found = result["class_names"], []
    for key, label, _ in rows_of(result)[:-1]:
        if any(f"{space}.real.{key}" not in arrays for space in SPACES):
            continue
        made, shown = arrays[f"made.{key}"], arrays[f"shown.{key}"]
        for at, which in enumerate(("nearest to", "farthest from")):
            images, lines = [], []
            for space in SPACES:
                real = arrays[f"{space}.real.{key}"].reshape(len(shown), -1, *made.shape[1:])
                classes = arrays[f"{space}.classes.{key}"][shown[at], :BESIDE]
                images += [made[at][None], real[at].astype(np.float32) / 255]
                lines += [f"by {space}", *(names[int(c)][:14] for c in classes)]
            own = names[int(arrays[f"labels.{key}"][shown[at]])]
            title = (
                f"{label}, the image {which} the training images (class {own}): its nearest in pixels, then "
                "in features"
            )
            found.append(Pictures(title, np.concatenate(images), lines))
    return found


ANALYSIS = Analysis(
    name="neighbours",
    title="Nearest real images",
    icon=":material/image_search:",
    order=35,
    question="Which real images are nearest to the distilled ones?",
    read="""\
- For every distilled image the nearest training image is found twice: between pixels, and between what the
  last layer but one of a network makes of them. The network was trained on real images only.
- Distances are given in units of a yardstick: 1 is as far as real images that were held out of training lie
  from it (the median). Left of the dotted line an image is closer to the training data than unseen real
  ones are.
- An image can be far away in pixels and near in features: it looks unlike any photograph, and yet the
  network takes it for one of the class.
- The last figure asks whether the nearest real image is of the class that the distilled one stands for.""",
    doubt="""\
- Distance of pixels grows with noise and contrast: an image with values beyond black and white is far from
  everything, whatever it shows.
- Features are those of one kind of network. It never saw distilled images, so its distances between them
  and real ones mean less than those between real ones; the dots of several networks show part of that.
- Training images lie a little apart from unseen ones in a network that was trained on them.
- Sets that start from real images may still be near to where they began.
- With 10 images one of them is 10 points. Soft labels count as their largest entry.
- Means are over networks trained on real data. The sets were made once: nothing is said of another
  distillation.""",
    paper="""\
Yang et al. 2024 show distilled images in a map of real ones (Fig. 2, right) and by the density of their
pixels (Fig. 3, left). Nearest real images are not among what they show there.""",
    differs="""\
**This view is ours.** Comparisons are exact, with every training image in 64 bit and in all features, not in
a map. The page of a set's images answers the same question for one image at a time, in pixels.""",
    spec=NeighboursTask,
    presets=presets,
    pools=pools,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    pictures=pictures,
    smallest={"network": "convnet-4", "nets": 2, "epochs": 1, "held_out": 40, "neighbours": 2},
)
