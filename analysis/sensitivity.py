"""Sensitivity: does a set depend on how networks are trained on it? One factor changed at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from analysis import base, colours, drawing, significance
from analysis.base import Analysis, AnalysisTask, Arrays, Chosen, Cost, Drawn, Option, Result
from analysis.pools import Counts
from ddcore import rng
from ddcore.errors import SpecError
from ddcore.foreign_text import wrapped
from ddcore.nets.architectures import ARCHITECTURES, NetSpec
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network, parse
from ddcore.protocols import PROTOCOLS, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure

    from ddcore.data import Dataset
    from ddcore.worker import Context

FACTORS = {
    "optimiser": "Optimiser",
    "step_size": "Step size",
    "batch": "Batch size",
    "steps": "Steps",
    "augmentation": "Augmentation",
    "architecture": "Architecture",
    "norm": "Norm",
    "activation": "Activation",
    "loss": "Loss",
    "weight_decay": "Weight decay",
    "init": "Initial weights",
}
FEW, ALL = "few", "all"
GRIDS = (FEW, ALL)
NO_MIRROR = ("digits", "mnist", "usps", "svhn", "kmnist", "emnist")  # flipped, these are others
GROWTH = (1 / 6, 1 / 3, 10 / 3)  # of the steps: 50, 100 and 1000 of 300
PARTS = (2, 4, 10)  # of the set in a batch


@dataclass(frozen=True, kw_only=True)
class SensitivityTask(AnalysisTask):
    """`nets` networks trained on each set under protocol t300 and under changes of it, one at a time.

    `network` is an architecture and its width, such as convnet-16, `iterations` the number of full-batch
    steps. `factors` names what is changed. `grid` few has one or two changes of each factor, all has all.
    """

    KIND: ClassVar[str] = "sensitivity"
    RUNNER: ClassVar[str] = "analysis.sensitivity:run"

    factors: tuple[str, ...] = tuple(FACTORS)
    grid: str = FEW
    nets: int = 3
    network: str = "convnet-16"
    iterations: int = 300

    def validate(self) -> None:
        """Check ranges and names."""
        super().validate()
        known = set(self.factors) <= set(FACTORS) and len(set(self.factors)) == len(self.factors)
        allowed = "one or more different factors of " + ", ".join(FACTORS)
        self.require("factors", known and len(self.factors) >= 1, allowed)
        self.require_choice("grid", GRIDS)
        self.require_range("nets", 1, 100)
        parse("network", self.network)
        self.require_range("iterations", 10, 100_000)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few changes of narrow networks; published: all changes of the paper's network."""
    quick = {"factors": ("optimiser", "step_size", "steps", "architecture", "loss"), "nets": 5}
    if ipc > 5 or shape[1] >= 28:
        quick |= {"network": "convnet-8", "iterations": 100}
    return {
        "quick": quick,
        "teaching": {"nets": 5, "grid": ALL},
        "published": {"nets": 5, "grid": ALL, "network": "convnet-128"},
    }


# --- what is changed ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Level:
    """One change: its factor and name, the network, the protocol, and images per batch (0: all)."""

    factor: str
    name: str
    net: NetSpec
    protocol: Protocol
    parts: int = 1

    def recipe(self, images: int) -> Protocol:
        """The protocol for a set of so many images: the same number of steps whatever the batch."""
        batch = 0 if self.parts == 1 else -(-images // self.parts)
        per_epoch = -(-images // batch) if batch else 1
        return self.protocol.replace(batch=batch, epochs=-(-self.protocol.epochs // per_epoch))

    def seen(self, images: int) -> int:
        """Images that a network sees in training."""
        return images * self.recipe(images).epochs


def levels(spec: SensitivityTask, chosen: Chosen) -> list[Level]:
    """The unchanged set-up first, then every change that is possible for these images and this network."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    plain = PROTOCOLS["t300"].replace(epochs=spec.iterations)
    found = [Level("", "as it is", net, plain)]
    for factor in spec.factors:
        every = list(_levels(factor, net, plain, chosen))
        found += every if spec.grid == ALL else _few(factor, every)
    return found


def _few(factor: str, every: list[Level]) -> list[Level]:
    """The changes of a factor that tell most: its ends, or its first."""
    ends = {"step_size", "steps", "architecture", "optimiser"}
    return [every[0], every[-1]] if factor in ends and len(every) > 1 else every[:1]


def _levels(factor: str, net: NetSpec, plain: Protocol, chosen: Chosen) -> Iterator[Level]:
    def trained(name: str, parts: int = 1, **changes: Any) -> Level:
        return Level(factor, name, net, plain.replace(**changes), parts)

    def built(name: str, other: NetSpec) -> Iterator[Level]:
        try:
            net_cost(other.plan(chosen.shape, chosen.classes), chosen.shape)
        except SpecError:  # too deep for these images
            return
        if other != net and min(chosen.shape[1:]) >= ARCHITECTURES[other.arch].min_side:
            yield Level(factor, name, other, plain)

    conv = net.arch == "convnet"
    if factor == "optimiser":
        yield trained("SGD without momentum", momentum=0.0)
        yield trained("Adam, step size .001", optimiser="adam", lr=0.001)
    elif factor == "step_size":
        for lr in (0.003, 0.03, 0.1):
            yield trained(f"{lr:g}", lr=lr)
    elif factor == "batch":
        for parts in PARTS:
            yield trained(f"1/{parts} of the set", parts)
    elif factor == "steps":
        for steps in (max(1, round(plain.epochs * by)) for by in GROWTH):
            yield trained(str(steps), epochs=steps)
    elif factor == "augmentation":
        yield trained("shifts", augment="crop")
        yield trained("scaling and rotation", augment="scale_rotate")
        if chosen.data.name not in NO_MIRROR:
            yield trained("mirror images", augment="flip")
        yield trained("all of DSA", augment="color_crop_cutout_scale_rotate")
    elif factor == "architecture":
        yield from built("MLP", NetSpec(arch="mlp", width=64))
        if conv:
            for width in (net.width // 2, 2 * net.width, 4 * net.width):
                yield from built(f"width {width}", net.replace(width=max(4, width)))
            for depth in (net.depth - 1, net.depth + 1):
                if depth:
                    yield from built(
                        f"{depth} block{'s' if depth > 1 else ''}", net.replace(depth=depth)
                    )
        yield from built("ResNet-18", NetSpec(arch="resnet18", width=8))
    elif factor == "norm" and conv:
        for norm in ("none", "batch", "layer"):
            yield from built(norm, net.replace(norm=norm))
    elif factor == "activation" and "activation" in ARCHITECTURES[net.arch].knobs:
        for kind, name in (
            ("leaky_relu", "leaky ReLU"),
            ("swish", "swish"),
            ("sigmoid", "sigmoid"),
        ):
            yield from built(name, net.replace(activation=kind))
    elif factor == "loss":
        yield trained("squared error", loss="mse")
    elif factor == "weight_decay":
        for decay in (0.0005, 0.005):
            yield trained(f"{decay:g}", weight_decay=decay)
    elif factor == "init":
        yield from built("Xavier", net.replace(init="xavier"))


def sizes(chosen: Chosen) -> list[int]:
    """Images per class of the random real sets: one for each size of set."""
    return sorted({run.ipc for run in chosen.runs})


def cost(spec: SensitivityTask, chosen: Chosen, counts: Counts) -> Cost:
    """Training under every change on every set and random one, and a pass over the test images."""
    own = [run.images for run in chosen.runs] + [ipc * chosen.classes for ipc in sizes(chosen)]
    macs = largest = 0.0
    for level in levels(spec, chosen):
        one = net_cost(level.net.plan(chosen.shape, chosen.classes), chosen.shape)
        macs += sum(3.0 * level.seen(m) + counts.test for m in own) * one.macs
        largest = max(largest, one.activations)
    return Cost(spec.nets * macs, memory=12.0 * largest * max(200, *own))


# --- computing ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """What is trained on: a set that all networks share, or real images of its own for each network."""

    key: str
    method: str
    label: str
    ipc: int
    images: np.ndarray  # (M, C, H, W), or (nets, M, C, H, W); preprocessed
    labels: dict[str, np.ndarray]  # by loss: (M,) or (M, K)


def run(context: Context) -> None:
    """Task `sensitivity`: test accuracy of every network under every change."""
    from analysis._grid import Cell, accuracies

    spec: SensitivityTask = context.spec
    given = base.opened(context)
    every = levels(spec, given.chosen)
    sources = _sources(given, spec)
    # Network i starts from the same weights for every set, and for every change that leaves them alone.
    seeds = [rng.derive(spec.seed, "sensitivity", i) for i in range(spec.nets)]
    cells = []
    for level in every:
        for source in sources:
            recipe = level.recipe(source.images.shape[-4])
            pair = (source.images, source.labels[recipe.loss])
            work = _work(source, level, given.chosen)
            cells.append(Cell(level.net, recipe, lambda pair=pair: pair, work))
    found = accuracies(context, cells, seeds, given.dataset)
    accuracy = found.reshape(len(every), len(sources), spec.nets).swapaxes(0, 1)
    result = {
        "sources": [
            {"key": s.key, "method": s.method, "label": s.label, "ipc": s.ipc} for s in sources
        ],
        "levels": [{"factor": v.factor, "name": v.name} for v in every],
        "accuracy": accuracy.tolist(),  # (sources, levels, nets)
        "network": every[0].net.label(),
        "iterations": spec.iterations,
        "nets": spec.nets,
        "soft": [key for key, made in given.sets.items() if made.soft],
    }
    base.save(context, given, result, {"accuracy": np.ascontiguousarray(accuracy)})


def _work(source: Source, level: Level, chosen: Chosen) -> float:
    macs = net_cost(level.net.plan(chosen.shape, chosen.classes), chosen.shape).macs
    return float(level.seen(source.images.shape[-4]) * macs)


def _sources(given: base.Opened, spec: SensitivityTask) -> list[Source]:
    """The sets in the order of figures, then random real images for each size of set."""
    chosen, found = given.chosen, []
    for run_, made in zip(chosen.runs, given.sets.values()):
        labels = {
            loss: made.for_training(PROTOCOLS["t300"].replace(loss=loss))[1]
            for loss in ("ce", "mse")
        }
        found.append(Source(run_.key, run_.method, run_.label, run_.ipc, made.images, labels))
    several = len(sizes(chosen)) > 1
    for ipc in sizes(chosen):
        label = "Random real images" + (f", {ipc} per class" if several else "")
        images, own = _random(given.dataset, ipc, spec)
        found.append(Source(f"random.{ipc}", "", label, ipc, images, {"ce": own, "mse": own}))
    return found


def _random(dataset: Dataset, ipc: int, spec: SensitivityTask) -> tuple[np.ndarray, np.ndarray]:
    """Preprocessed real images (nets, M, C, H, W), a draw for each network, and their labels (M,)."""
    from analysis._pools import first_per_class, per_class_orders

    classes = dataset.num_classes
    least = int(np.bincount(dataset.train_labels, minlength=classes).min())
    if ipc > least:
        raise SpecError("run_keys", ipc, f"sets with at most {least} images per class")
    draws = []
    for i in range(spec.nets):
        stream = rng.derive(spec.seed, "random real", i)
        draws.append(first_per_class(per_class_orders(dataset.train_labels, classes, stream), ipc))
    rows = np.stack(draws)
    images = dataset.preprocess(dataset.train_images[rows.ravel()])
    return images.reshape(*rows.shape, *images.shape[1:]), dataset.train_labels[rows[0]]


# --- showing --------------------------------------------------------------------------------------

CHANGE, BEYOND = "change", "beyond"
SHOWN = {CHANGE: "Change against t300", BEYOND: "Change beyond that of random real images"}


def options(result: Result, picked: dict[str, str]) -> Iterator[Option]:
    """What the colours mean, and which factor is shown in detail."""
    yield Option("show", "Colours", SHOWN)
    names = dict.fromkeys(level["factor"] for level in result["levels"] if level["factor"])
    yield Option("factor", "In detail", {name: FACTORS[name] for name in names})


def changes(result: Result) -> np.ndarray:
    """Accuracy under each change minus that without, in points and paired by network: (S, L, nets)."""
    accuracy = np.array(result["accuracy"])
    return 100 * (accuracy - accuracy[:, :1])


def beyond(result: Result) -> np.ndarray:
    """Mean change (S, L) of each source minus that of random real images of its size."""
    return against_random(result).mean(2)


def worse(result: Result) -> np.ndarray:
    """Whether (S, L) a source loses more than random real images, beyond what varies between networks.

    Paired tests, one for each set and change, with the correction over all of them. None of one network.
    """
    p = significance.paired(against_random(result), significance.LESS).p
    tested = np.array([bool(s["method"]) for s in result["sources"]])
    found = np.zeros(p.shape, bool)
    found[tested, 1:] = significance.discoveries(p[tested, 1:])
    return found


def against_random(result: Result) -> np.ndarray:
    """Change (S, L, nets) minus that of random real images in the network of the same number."""
    change = changes(result)
    place = {s["ipc"]: i for i, s in enumerate(result["sources"]) if not s["method"]}
    return np.stack([row - change[place[s["ipc"]]] for s, row in zip(result["sources"], change)])


def _line(level: dict[str, str]) -> str:
    return f"{FACTORS[level['factor']]}: {level['name']}"


def _looks(result: Result) -> list[colours.Style]:
    runs = [s for s in result["sources"] if s["method"]]
    symbols = ("diamond", "diamond-open", "circle", "circle-open")
    real = [
        colours.Style(colours.REAL, "dash", symbols[i % len(symbols)], "--", "D")
        for i in range(len(result["sources"]) - len(runs))
    ]
    return colours.styles([s["method"] for s in runs]) + real


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """The heat map of all changes, and the networks of one factor."""
    return [_map(result, picked["show"]), _strip(result, picked["factor"])]


def _map(result: Result, show: str) -> Drawn:
    values = (changes(result).mean(2) if show == CHANGE else beyond(result))[:, 1:]
    keep = [i for i, s in enumerate(result["sources"]) if show == CHANGE or s["method"]]
    labels = ["<br>".join(wrapped(result["sources"][i]["label"], 16)) for i in keep]
    rows = [_line(level) for level in result["levels"][1:]]
    most = max(1.0, min(50.0, float(np.abs(values[keep]).max())))
    figure = drawing.new_figure(height=90 + 24 * len(rows), legend=False)
    figure.add_heatmap(
        z=values[keep].T,
        x=labels,
        y=rows,
        zmin=-most,
        zmax=most,
        colorscale="RdBu",
        colorbar={"title": "points", "thickness": 12},
        text=[[f"{v:+.1f}" for v in row] for row in values[keep].T.round(1) + 0.0],
        texttemplate="%{text}",
        hovertemplate="%{x}<br>%{y}: %{z:+.1f} points<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", type="category")
    plain = "; ".join(
        f"{result['sources'][i]['label']} {100 * np.mean(result['accuracy'][i][0]):.1f} %"
        for i in keep
    )
    what = "minus that of random real images of the same size, " if show == BEYOND else ""
    caption = (
        f"Change of test accuracy, {what}mean of {result['nets']} networks. Without any change "
        f"({result['network']}, {result['iterations']} full-batch steps, SGD at .01 with momentum .9): "
        f"{plain}."
    )
    return Drawn("Test accuracy when one factor is changed", figure, caption)


def _strip(result: Result, factor: str) -> Drawn:
    which = [0] + [i for i, v in enumerate(result["levels"]) if v["factor"] == factor]
    names = [result["levels"][i]["name"] for i in which]
    accuracy = np.array(result["accuracy"])[:, which]
    figure = drawing.new_figure("", "test accuracy", per_cent=True, scattermode="group")
    for source, values, look in zip(result["sources"], accuracy, _looks(result)):
        figure.add_scatter(
            x=np.repeat(names, values.shape[1]),
            y=values.ravel(),
            name=source["label"],
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 8, "opacity": 0.8},
            hovertemplate=f"{source['label']}, %{{x}}: %{{y:.1%}}<extra></extra>",
        )
    figure.update_xaxes(type="category")
    margin = 0.05 * max(0.02, float(np.ptp(accuracy)))
    figure.update_yaxes(range=[float(accuracy.min()) - margin, float(accuracy.max()) + margin])
    words = "; ".join(
        f"{s['label']} " + ", ".join(f"{100 * m:.1f}" for m in values.mean(1))
        for s, values in zip(result["sources"], accuracy)
    )
    caption = f"A marker is a network. Means in per cent, in the order of the figure: {words}."
    return Drawn(f"{FACTORS[factor]}, every network", figure, caption)


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """Heat map of the changes, and strips of every network's change."""
    import pandas as pd
    import seaborn as sns

    values, rows = changes(result), [_line(level) for level in result["levels"][1:]]
    labels = [s["label"] for s in result["sources"]]
    figure, axes = drawing.panels(1, 2, width=5.2, height=1.2 + 0.22 * len(rows))
    left, right = axes[0]
    most = max(1.0, min(50.0, float(np.abs(values.mean(2)).max())))
    sns.heatmap(
        values.mean(2)[:, 1:].T,
        ax=left,
        center=0,
        vmin=-most,
        vmax=most,
        cmap="RdBu",
        annot=True,
        fmt="+.1f",
        annot_kws={"fontsize": 6},
        xticklabels=labels,
        yticklabels=rows,
    )
    left.tick_params(labelsize=6)
    left.tick_params(axis="x", rotation=20)
    left.set(title="Change of test accuracy in points")
    frame = pd.DataFrame(
        [
            {"set": s["label"], "level": line, "points": value}
            for s, each in zip(result["sources"], values[:, 1:])
            for line, own in zip(rows, each)
            for value in own
        ]
    )
    palette = [
        look.colour if s["method"] else "black"
        for s, look in zip(result["sources"], _looks(result))
    ]
    sns.stripplot(
        frame,
        x="points",
        y="level",
        hue="set",
        palette=palette,
        dodge=True,
        jitter=False,  # it would draw from a global generator
        size=3,
        ax=right,
    )
    right.axvline(0, color="black", lw=0.8, ls=":")
    right.set(ylabel="", xlabel="Change in points, every network")
    right.tick_params(labelsize=6)
    right.legend(frameon=False, fontsize=6)
    sns.despine(ax=right)
    return figure


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, change and network."""
    values = changes(result)
    return [
        {
            "set": source["key"],
            "label": source["label"],
            "factor": level["factor"] or "none",
            "level": level["name"],
            "number": i,
            "accuracy": float(result["accuracy"][s][v][i]),
            "change": float(values[s, v, i]),
        }
        for s, source in enumerate(result["sources"])
        for v, level in enumerate(result["levels"])
        for i in range(result["nets"])
    ]


def sentence(result: Result) -> str:
    """What hurts each set most, and under how many changes it loses more than real images."""
    mean, apart, lost = changes(result).mean(2), beyond(result), worse(result)
    parts, count, nets = [], len(result["levels"]) - 1, result["nets"]
    for s, source in enumerate(result["sources"]):
        if not source["method"] or not count:
            continue
        worst = 1 + int(mean[s, 1:].argmin())
        line = _line(result["levels"][worst])
        text = (
            f"{source['label']} **{_points(mean[s, worst])} points** ({line}; random real images "
            f"{_points(mean[s, worst] - apart[s, worst])})"
        )
        if nets > 1:
            text += f", and it was shown to lose more than these under {int(lost[s, 1:].sum())} of {count}"
        parts.append(text)
    if not parts:
        return "Nothing was changed."
    found = f"The change that is worst for each set: {'; '.join(parts)}"
    if nets == 1:
        return f"{found}. One network: nothing is said of chance."
    return (
        f"{found} changes. Shown: paired {significance.RULE}, over {nets} networks, which differ in starting "
        "weights and real images; the sets are the same for all."
    )


def _points(value: float) -> str:
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0 else text


ANALYSIS = Analysis(
    name="sensitivity",
    title="Sensitivity",
    icon=":material/tune:",
    order=90,
    question="Does a set depend on how networks are trained on it?",
    read="""\
- Networks are trained on each set under one plain set-up (t300: full-batch gradient descent with momentum),
  then with one factor changed. A number is the change of test accuracy in points; red costs, blue helps.
- Random real images, as many, undergo the same change. What hurts them too is a property of the training;
  what hurts only a set is a property of the set: choose *beyond that of random real images*.
- A set is said to lose more than these only where a paired t test over networks shows it, with at most
  5 % of such findings false over all sets and changes (Benjamini-Hochberg); never from one network.
- The strips show every network, so that differences can be held against chance.""",
    doubt="""\
- One factor at a time says nothing of two changed together; a smaller step size with more steps may lose
  nothing.
- Every factor has its best setting elsewhere: nothing is tuned again after a change.
- Accuracies near the ceiling cannot rise, and sets that start low cannot fall far: compare changes of sets
  with similar accuracies.
- A set made for one network, step size or augmentation is at home there; t300 may not be its home.
- Differences of a point are within what other seeds give. With 3 networks only large and steady ones can be
  shown; *not shown* does not mean *the same*.
- Networks differ in their start and in the random real images. The set itself was made once: another
  distillation may behave otherwise.""",
    paper="""\
Yang et al. 2024 limit what distilled data can stand in for to the standard evaluation setting. What they
call sensitivity to training is adding real data, which is on the page about mixing.""",
    differs="""\
**This view is ours.** The set-up is that of Yang et al. (300 full-batch steps at step size .01 with momentum
.9, no weight decay or augmentation); their code changes none of these factors. Networks start from the same
weights for every set and for every change that leaves the network alone, so changes are paired. Batches of
parts of the set take as many steps as the whole set. Images of digits are never mirrored.""",
    spec=SensitivityTask,
    presets=presets,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    options=options,
    smallest={
        "factors": ("optimiser", "batch", "init"),
        "nets": 2,
        "network": "convnet-4",
        "iterations": 10,
    },
)
