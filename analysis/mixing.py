"""Mixing: can distilled images stand in for a part of a real training set?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from analysis import base, colours, drawing
from analysis.base import Analysis, AnalysisTask, Arrays, Chosen, Cost, Drawn, Result
from analysis.pools import Counts
from ddcore import rng
from ddcore.errors import SpecError
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network, parse
from ddcore.protocols import PROTOCOLS
from ddcore.spread import deviation, deviations, plus_minus

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure

    from ddcore.data import Dataset
    from ddcore.distilled import DistilledSet
    from ddcore.worker import Context

WEIGHTINGS = ("images", "halves")
STEPS = ("fixed", "scaled")


@dataclass(frozen=True, kw_only=True)
class MixingTask(AnalysisTask):
    """Each set with 0 and more real images per class (`added`), on `nets` networks per mixture.

    `network` is an architecture and its width, such as convnet-16, trained for `iterations` full-batch
    steps; with `steps` scaled, for as many times more as the mixture is larger than the set. By
    `weighting` every image counts the same (images), or distilled and added real images are each half of the
    loss (halves).
    """

    KIND: ClassVar[str] = "mixing"
    RUNNER: ClassVar[str] = "analysis.mixing:run"

    added: tuple[int, ...] = (0, 2, 10, 50, 250)
    nets: int = 3
    network: str = "convnet-16"
    iterations: int = 300
    steps: str = "fixed"
    weighting: str = "images"

    def validate(self) -> None:
        """Check ranges."""
        super().validate()
        rising = list(self.added) == sorted(set(self.added)) and len(self.added) >= 2
        ok = rising and self.added[0] == 0 and self.added[-1] <= 100_000
        self.require("added", ok, "0 and one or more growing numbers of images per class")
        self.require_range("nets", 1, 100)
        parse("network", self.network)
        self.require_range("iterations", 1, 100_000)
        self.require_choice("steps", STEPS)
        self.require_choice("weighting", WEIGHTINGS)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few mixtures of narrow networks; published: T300, up to 250 per class where there are so many."""
    small, one = shape[1] < 28, ipc < 5
    published = {"added": (0, 2, 10, 50) if small else (0, 2, 10, 50, 250)}
    teaching = {"added": (0, 1, 5, 25) if one else (0, 2, 10, 25), "nets": 5}
    if not (small or one):
        teaching = {**published, "network": "convnet-32"}
    return {
        "quick": {"added": (0, 1, 5) if one else (0, 2, 10)},
        "teaching": teaching,
        "published": {**published, "network": "convnet-128"},
    }


def cost(spec: MixingTask, chosen: Chosen, counts: Counts) -> Cost:
    """Training on every mixture, and a pass over the test images."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    own = [r.images for r in chosen.runs]
    own += [ipc * chosen.classes for ipc in sorted({r.ipc for r in chosen.runs})]
    seen = sum(_work(spec, m, m + k * chosen.classes) for m in own for k in spec.added)
    tested = len(own) * len(spec.added) * counts.test
    largest = max(own) + spec.added[-1] * chosen.classes
    return Cost(
        spec.nets * (3.0 * seen + tested) * one.macs, memory=12.0 * one.activations * largest
    )


def _iterations(spec: MixingTask, own: int, size: int) -> int:
    """Steps on a mixture of `size` images, `own` of which are the set."""
    return spec.iterations if spec.steps == "fixed" else round(spec.iterations * size / own)


def _work(spec: MixingTask, own: int, size: int) -> int:
    """Images that a network sees in training."""
    return _iterations(spec, own, size) * size


# --- computing ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """What real images are added to: a set that all networks share, or real images of its own for each."""

    key: str
    method: str
    label: str
    ipc: int
    images: np.ndarray  # (M, C, H, W), or (nets, M, C, H, W); preprocessed
    targets: np.ndarray  # (M, K) float32, rows sum to 1

    @property
    def size(self) -> int:
        """M."""
        return len(self.targets)


def run(context: Context) -> None:
    """Task `mixing`: test accuracy of networks trained on every mixture."""
    from analysis._grid import Cell, accuracies

    spec: MixingTask = context.spec
    given = base.opened(context)
    chosen, dataset = given.chosen, given.dataset
    rows = real_rows(dataset, spec, max(r.ipc for r in chosen.runs))
    net = network("network", spec.network, chosen.shape, chosen.classes)
    sources = _sources(given, rows)

    def data(source: Source, k: int) -> tuple[np.ndarray, np.ndarray]:
        images, targets = mixture(source, dataset, rows["added"][:, :, : spec.added[k]])
        return images, halved(targets, source.size) if spec.weighting == "halves" else targets

    # Network i has the same weights at first, and the same real images, for every set and amount.
    seeds = [rng.derive(spec.seed, "mixing", i) for i in range(spec.nets)]
    cells = []
    for source in sources:
        for k in range(len(spec.added)):
            size = _size(spec, source, k, chosen)
            steps = _iterations(spec, source.size, size)
            recipe = PROTOCOLS["t300"].replace(epochs=steps)
            cells.append(Cell(net, recipe, partial(data, source, k), float(steps * size)))
    found = accuracies(context, cells, seeds, dataset)
    accuracy = found.reshape(len(sources), len(spec.added), spec.nets)
    result = {
        "sources": [
            {"key": s.key, "method": s.method, "label": s.label, "ipc": s.ipc} for s in sources
        ],
        "accuracy": accuracy.tolist(),  # (sources, amounts, nets)
        "sizes": [[_size(spec, s, k, chosen) for k in range(len(spec.added))] for s in sources],
        "added": list(spec.added),
        "network": net.label(),
        "iterations": spec.iterations,
        "steps": spec.steps,
        "weighting": spec.weighting,
        "soft": [key for key, made in given.sets.items() if made.soft],
    }
    base.save(context, given, result, {"accuracy": accuracy, **rows})


def _size(spec: MixingTask, source: Source, k: int, chosen: Chosen) -> int:
    return source.size + spec.added[k] * chosen.classes


def real_rows(dataset: Dataset, spec: MixingTask, ipc: int) -> dict[str, np.ndarray]:
    """Training rows for each network: `added` (nets, classes, k) and `instead` (nets, classes, ipc).

    Both are parts of one random order of each class, the first from its start and the second from its end, so
    the first k of `added` are nested in those of a larger k and no image is in both. `SpecError` if a class
    has too few images.
    """
    from analysis._pools import per_class_orders

    most = spec.added[-1]
    smallest = int(np.bincount(dataset.train_labels, minlength=dataset.num_classes).min())
    if most + ipc > smallest:
        allowed = (
            f"at most {smallest - ipc}: the smallest class has {smallest} images, {ipc} of them"
        )
        raise SpecError("added", most, allowed + " for the random subset")
    each = [
        per_class_orders(
            dataset.train_labels, dataset.num_classes, rng.derive(spec.seed, "real", i)
        )
        for i in range(spec.nets)
    ]
    return {
        "added": np.array([[order[:most] for order in orders] for orders in each]),
        "instead": np.array([[order[::-1][:ipc] for order in orders] for orders in each]),
    }


def _sources(given: base.Opened, rows: dict[str, np.ndarray]) -> list[Source]:
    """The sets in the order of figures, then real images in place of a set for each size of set."""
    chosen, dataset = given.chosen, given.dataset
    found = [
        Source(r.key, r.method, r.label, r.ipc, made.images, proper_targets(made))
        for r, made in zip(chosen.runs, given.sets.values())
    ]
    sizes = sorted({r.ipc for r in chosen.runs})
    for ipc in sizes:
        label = "Random real images" + (f", {ipc} per class" if len(sizes) > 1 else "")
        images = _real(dataset, rows["instead"][:, :, :ipc])
        targets = _one_hot(np.repeat(np.arange(chosen.classes), ipc), chosen.classes)
        found.append(Source(f"random.{ipc}", "", label, ipc, images, targets))
    return found


def _real(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Preprocessed images (nets, classes * k, C, H, W) of training rows (nets, classes, k)."""
    images = dataset.preprocess(dataset.train_images[rows.ravel()])
    return images.reshape(len(rows), -1, *images.shape[1:])


def _one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[labels]


def proper_targets(made: DistilledSet) -> np.ndarray:
    """(M, K) distributions over classes: soft labels as they are, one-hot for hard ones.

    Labels that are no distributions, which only regression knows, count as their largest entry.
    """
    _, labels = made.for_training(PROTOCOLS["t300"])
    return labels if labels.ndim == 2 else _one_hot(labels, made.num_classes)


def mixture(source: Source, dataset: Dataset, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The set first, then real images of training rows (nets, classes, k).

    Returns images (nets, S, C, H, W), or (S, C, H, W) where all networks see the same, and targets (S, K)
    with S = M + classes * k.
    """
    nets, classes, k = rows.shape
    if k == 0:
        return source.images, source.targets
    own = np.broadcast_to(source.images, (nets, *source.images.shape[-4:]))
    images = np.concatenate([own, _real(dataset, rows)], axis=1)
    targets = _one_hot(np.repeat(np.arange(classes), k), classes)
    return images, np.concatenate([source.targets, targets])


def halved(targets: np.ndarray, own: int) -> np.ndarray:
    """Targets (S, K) with which the mean cross-entropy is half that of the first `own` images and half
    that of the others: it is linear in its targets, so a weight of an image is a factor of its target.
    """
    if own == len(targets):
        return targets
    weights = np.full(len(targets), len(targets) / 2 / (len(targets) - own), np.float32)
    weights[:own] = len(targets) / 2 / own
    return targets * weights[:, None]


# --- showing --------------------------------------------------------------------------------------


def place(added: int, first: int) -> float:
    """Where an amount is on the axis: 0 at 0, 1 at the smallest amount, then logarithmic (symlog)."""
    return 0.0 if added == 0 else 1 + float(np.log(added / first) / np.log(5))


def curves(result: Result) -> list[tuple[dict[str, Any], np.ndarray, colours.Style]]:
    """(source, accuracy (amounts, nets), look) of the runs, then of random real images."""
    runs = [s for s in result["sources"] if s["method"]]
    looks = colours.styles([s["method"] for s in runs])
    count = len(result["sources"]) - len(runs)
    real = [
        colours.Style(
            colours.REAL, "dash", "diamond" + colours.SYMBOLS[i % len(colours.SYMBOLS)], "--", "D"
        )
        for i in range(count)
    ]
    values = [np.array(v) for v in result["accuracy"]]
    return list(zip(result["sources"], values, [*looks, *real]))


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Accuracy over the number of real images added, and what was gained by adding them."""
    nets = len(result["accuracy"][0][0])
    spread = f"Mean of {nets} networks; bands: standard deviation" if nets > 1 else "One network"
    facts = f"{result['network']}, {_steps_text(result)}"
    all_curves = curves(result)
    top = result["added"][-1]
    ends = "; ".join(
        f"{source['label']} {100 * v[0].mean():.1f} to {100 * v[-1].mean():.1f} %"
        for source, v, _ in all_curves
    )
    gains = "; ".join(
        f"{source['label']} {_points(100 * (v[-1] - v[0]).mean())}" for source, v, _ in all_curves
    )
    lines = _lines(result, [v for _, v, _ in all_curves], "test accuracy")
    lines.update_yaxes(tickformat=".0%")
    change = _lines(result, [100 * (v - v[0]) for _, v, _ in all_curves], "gain in points")
    change.add_hline(0, line={"color": colours.REAL, "dash": "dot", "width": 1})
    return [
        Drawn(
            "Accuracy with real images added",
            lines,
            f"{spread}. {facts}. From none added to {top} per class: {ends}.",
        ),
        Drawn(
            "Gained over nothing added",
            change,
            f"The same networks, each compared with itself without real images. {spread}. With {top} per "
            f"class: {gains} points.",
        ),
    ]


def _steps_text(result: Result) -> str:
    if result["steps"] == "fixed":
        steps = f"{result['iterations']} full-batch steps whatever the size"
    else:
        steps = f"{result['iterations']} full-batch steps for a set alone, more with its growth"
    half = "; distilled and added real images are each half of the loss"
    return steps + (half if result["weighting"] == "halves" else "")


def _lines(result: Result, values: list[np.ndarray], y: str) -> Any:
    """A line with a band for each source; `values` are (amounts, nets) each."""
    added = result["added"]
    x = [place(k, added[1]) for k in added]
    figure = drawing.new_figure("real images added per class", y, height=420)
    for (source, _, look), v, sizes in zip(curves(result), values, result["sizes"]):
        mean, std = v.mean(1), deviations(v)
        if std is not None:
            figure.add_scatter(
                x=[*x, *x[::-1]],
                y=[*(mean + std), *(mean - std)[::-1]],
                fill="toself",
                fillcolor=drawing.faded(look.colour, 0.14),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                showlegend=False,
                legendgroup=source["key"],
            )
        shape = "%{y:.1%}" if y == "test accuracy" else "%{y:+.1f} points"
        figure.add_scatter(
            x=x,
            y=mean,
            name=source["label"],
            legendgroup=source["key"],
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            customdata=list(zip(added, sizes)),
            hovertemplate=f"{source['label']}, +%{{customdata[0]}} per class "
            f"(%{{customdata[1]}} images): {shape}<extra></extra>",
        )
    figure.update_xaxes(tickvals=x, ticktext=[f"+{k}" if k else "0" for k in added])
    return figure


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """The paper's panel (Fig. 3, right) with bands, and what was gained."""
    import pandas as pd
    import seaborn as sns

    frame = pd.DataFrame(table(result, arrays))
    added = result["added"]
    frame["x"] = [place(k, added[1]) for k in frame["added"]]
    frame["accuracy"] = frame["accuracy"].astype(float)
    figure, axes = drawing.panels(1, 2, width=4.2)
    for ax, name in zip(axes[0], ("accuracy", "gain")):
        for source, _, look in curves(result):
            real = not source["method"]
            sns.lineplot(
                frame[frame["set"] == source["key"]],
                x="x",
                y=name,
                ax=ax,
                errorbar="sd",
                color="black" if real else look.colour,
                linestyle=look.linestyle,
                marker=look.marker,
                markeredgecolor="black",
                label=source["label"],
                legend=False,
            )
        alone = {source["ipc"] for source in result["sources"]}
        first = f"{next(iter(alone))} / " if len(alone) == 1 else ""
        ax.set_xticks([place(k, added[1]) for k in added], [f"{first}+{k}" for k in added])
        ax.set(xlabel="Images per Class", ylabel=name.capitalize())
        sns.despine(ax=ax)
    axes[0][0].legend(frameon=False, fontsize=7)
    axes[0][1].axhline(0, color="grey", lw=0.8, ls=":")
    return figure


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, amount and network."""
    return [
        {
            "set": source["key"],
            "label": source["label"],
            "added": k,
            "images": size,
            "number": i,
            "accuracy": float(value),
            "gain": float(value - values[0][i]),
        }
        for (source, values, _), sizes in zip(curves(result), result["sizes"])
        for k, size, each in zip(result["added"], sizes, values)
        for i, value in enumerate(each)
    ]


def sentence(result: Result) -> str:
    """What the first real images bring to each set and to random real images."""
    smallest = min(source["ipc"] for source in result["sources"])
    column = max([1] + [i for i, k in enumerate(result["added"]) if 0 < k <= smallest])
    k = result["added"][column]

    def words(source: dict[str, Any], accuracy: np.ndarray) -> str:
        gain = 100 * (accuracy[column] - accuracy[0])
        return f"{source['label']} {plus_minus(f'**{_points(gain.mean())}**', deviation(gain))}"

    each = curves(result)
    sets = ", ".join(words(source, v) for source, v, _ in each if source["method"])
    real = ", ".join(words(source, v) for source, v, _ in each if not source["method"])
    nets = len(each[0][1][0])
    over = f"mean ± standard deviation, n = {nets} networks" if nets > 1 else "n = 1 network"
    adding = (
        "The first real image per class changes"
        if k == 1
        else f"The first {k} real images per class change"
    )
    return (
        f"{adding} the accuracy by so many points ({over}): {sets}; {real[0].lower() + real[1:]}."
    )


def _points(value: float) -> str:
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


ANALYSIS = Analysis(
    name="mixing",
    title="Mixing with real images",
    icon=":material/blender:",
    order=40,
    question="Can distilled images stand in for a part of a real training set?",
    read="""\
- A curve starts with the set alone and goes on with the same set plus 1, 2, ... real images of every class.
  The dashed curve has random real images in place of the set, as many as the set was asked to have, and the
  same real images are added.
- If distilled images were like real ones, all curves would rise alike. A curve that stays flat or falls says
  that real and distilled images do not add up.
- The second figure compares every network with itself at the start of its curve, so most of the luck in
  starting weights and in the draw of real images cancels.""",
    doubt="""\
- With *steps* fixed, a large mixture gets as many steps as a small set, so it is trained less well: choose
  *scaled* to see what remains of a dip.
- With *weighting* images, real images carry most of the loss as soon as there are more of them: choose
  *halves* to keep the distilled part at one half.
- A set near 100 % has little left to gain, random images have much: part of the difference is that
  ceiling.
- Distilled sets are made for their own recipe. Here all get the same one; learned step sizes are not
  used.
- Between networks the start and the added real images vary, the same for every set. The sets were made once:
  nothing is said of another distillation.""",
    paper="""\
Yang et al. 2024 (Fig. 3, right; CIFAR-10, 10 images per class, up to 250 real ones added) find that curves
of distilled sets dip at first: backpropagation through time from .587 to .498 and trajectory matching from
.532 to .453 at 10 real images per class. Random subsets rise steadily from .273 to .583, and all meet near
.59. They conclude that outside the usual evaluation distilled data does not replace real data.""",
    differs="""\
The paper trains one network for each point, and its networks are seeded by the clock although the code
fixes a seed: here there are several, each with its own start and its own draw of real images, the same for
every set. The random subset never contains an image that is added as well; in the published code it may.
Steps that grow with the mixture and a loss that is half distilled, half real are our additions; the training
itself (300 full-batch steps, step size 0.01, momentum 0.9, no augmentation) is the paper's. Soft labels stay
soft and real ones are one-hot beside them. *As published* for images below 28 pixels stops at 50 per
class, since there are not 260 of each.""",
    spec=MixingTask,
    presets=presets,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    smallest={"added": (0, 1, 3), "nets": 2, "network": "convnet-4", "iterations": 10},
)
