"""Transfer: do distilled sets work for networks they were not made with? Other architectures and widths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from analysis import base, colours, drawing, significance
from analysis.base import Analysis, AnalysisTask, Arrays, Chosen, Cost, Drawn, Result
from analysis.pools import Counts
from ddcore.base import rng
from ddcore.base.foreign_text import wrapped
from ddcore.base.spread import deviation, deviations, plus_minus
from ddcore.measure.spec import BaselineTask
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network, parse
from ddcore.training.protocols import PROTOCOLS, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure
    from plotly.graph_objects import Figure

    from ddcore.tasks.worker import Context

SET, RANDOM, MEAN = "set", "random", "class_mean"
BASELINES = {RANDOM: "Random real images", MEAN: "Class means"}


@dataclass(frozen=True, kw_only=True)
class TransferTask(AnalysisTask):
    """`nets` networks of every kind trained on each set under protocol t300, `iterations` full-batch steps.

    `architectures` are networks such as mlp, lenet or resnet18-8 (a number is the width); `widths` are those
    of further ConvNets. The networks that the sets were made with come on top.
    """

    KIND: ClassVar[str] = "transfer"
    RUNNER: ClassVar[str] = "analysis.transfer:run"

    architectures: tuple[str, ...] = ("mlp", "resnet18-8")
    widths: tuple[int, ...] = (8, 16, 32)
    nets: int = 3
    iterations: int = 300

    def validate(self) -> None:
        """Check ranges and names."""
        super().validate()
        for text in self.architectures:
            parse("architectures", text)
        named = self.architectures and len(set(self.architectures)) == len(self.architectures)
        self.require("architectures", bool(named), "one or more different networks, such as mlp")
        ok = len(set(self.widths)) == len(self.widths) and all(1 <= w <= 2048 for w in self.widths)
        self.require("widths", ok, "different widths of a ConvNet, from 1 to 2048")
        self.require_range("nets", 1, 100)
        self.require_range("iterations", 1, 100_000)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few narrow networks; published: wide ones of every family that fits the images."""
    side = min(shape[1:])
    quick: dict[str, Any] = {"architectures": ("mlp", "lenet" if side >= 12 else "resnet18-8")}
    if ipc > 5 or side >= 28:
        quick |= {"iterations": 100}
    teaching = ("mlp", *(("lenet",) if side >= 12 else ()), "resnet18-8")
    published = ("mlp", *(("lenet",) if side >= 12 else ()), "alexnet", "resnet18-64")
    return {
        "quick": quick,
        "teaching": {"architectures": teaching, "widths": (8, 16, 32, 64)},
        "published": {
            "architectures": (*published, *(("vgg11",) if side >= 32 else ())),
            "widths": (32, 64, 128, 256),
            "nets": 5,
        },
    }


# --- what is trained ------------------------------------------------------------------------------


def networks(spec: TransferTask, chosen: Chosen) -> list[NetSpec]:
    """Every network once: those the sets were made with, then architectures, then widths."""
    wide = [f"convnet-{width}" for width in spec.widths]
    named = [("architectures", text) for text in spec.architectures] + [("widths", t) for t in wide]
    made = [network(field, text, chosen.shape, chosen.classes) for field, text in named]
    return list(dict.fromkeys([*chosen.nets, *made]))


def recipe(spec: TransferTask) -> Protocol:
    """T300 of Yang et al. 2024, with so many steps."""
    return PROTOCOLS["t300"].replace(epochs=spec.iterations)


def sizes(chosen: Chosen) -> list[int]:
    """Images per class of the sets made without distilling: one of each kind for each size of set."""
    return sorted({run.ipc for run in chosen.runs})


def cost(spec: TransferTask, chosen: Chosen, counts: Counts) -> Cost:
    """Training every network on every set, random set and class means; a pass over the test images."""
    own = [run.images for run in chosen.runs]
    own += [ipc * chosen.classes for ipc in sizes(chosen) for _ in BASELINES]
    macs = largest = 0.0
    for net in networks(spec, chosen):
        one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
        macs += sum(3.0 * spec.iterations * m + counts.test for m in own) * one.macs
        largest = max(largest, one.activations)
    return Cost(spec.nets * macs, memory=12.0 * largest * max(200, *own))


# --- computing ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """What is trained on: a set that all networks share, or real images of its own for each network."""

    kind: str  # SET, RANDOM or MEAN
    key: str
    method: str
    label: str
    ipc: int
    images: np.ndarray  # (M, C, H, W), or (nets, M, C, H, W); preprocessed
    labels: np.ndarray  # (M,) or (M, K)


def run(context: Context) -> None:
    """Task `transfer`: test accuracy of every kind of network on every set."""
    from analysis._grid import Cell, accuracies

    spec: TransferTask = context.spec
    given = base.opened(context)
    chosen, protocol = given.chosen, recipe(spec)
    every, sources = networks(spec, chosen), _sources(context, given)
    # Network i of a kind starts from the same weights for every set.
    seeds = [rng.derive(spec.seed, "transfer", i) for i in range(spec.nets)]
    cells = []
    for source in sources:
        for net in every:
            one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
            pair = (source.images, source.labels)
            cells.append(Cell(net, protocol, lambda pair=pair: pair, len(source.labels) * one.macs))
    found = accuracies(context, cells, seeds, given.dataset)
    accuracy = found.reshape(len(sources), len(every), spec.nets)
    parts = ("kind", "key", "method", "label", "ipc")
    named = {network("architectures", t, chosen.shape, chosen.classes) for t in spec.architectures}
    result = {
        "sources": [{part: getattr(s, part) for part in parts} for s in sources],
        "networks": [
            {"name": _name(n), "family": n.arch, "width": n.width, "plain": _plain(n, chosen)}
            for n in every
        ],
        "home": {r.key: every.index(n) for r, n in zip(chosen.runs, chosen.nets)},
        "architectures": [i for i, n in enumerate(every) if n in (*chosen.nets, *named)],
        "accuracy": accuracy.tolist(),  # (sources, networks, nets)
        "iterations": spec.iterations,
        "nets": spec.nets,
        "soft": [key for key, made in given.sets.items() if made.soft],
    }
    base.save(context, given, result, {"accuracy": accuracy})


def _name(net: NetSpec) -> str:
    return net.label() + (" Xavier" if net.init == "xavier" else "")


def _plain(net: NetSpec, chosen: Chosen) -> bool:
    """Whether it is a ConvNet that differs from the others in nothing but its width."""
    if net.arch != "convnet":
        return False
    return net == network("widths", f"convnet-{net.width}", chosen.shape, chosen.classes)


def _sources(context: Context, given: base.Opened) -> list[Source]:
    """The sets in the order of figures, then random real images and class means for each size of set."""
    from ddcore.measure import baselines

    spec: TransferTask = context.spec
    chosen, protocol, found = given.chosen, recipe(context.spec), []
    for own, made in zip(chosen.runs, given.sets.values()):
        found.append(
            Source(SET, own.key, own.method, own.label, own.ipc, *made.for_training(protocol))
        )
    several = len(sizes(chosen)) > 1
    for kind, label in BASELINES.items():
        for ipc in sizes(chosen):
            draws = spec.nets if kind == RANDOM else 1
            task = context.need(
                BaselineTask(name=kind, data=chosen.data, ipc=ipc, seed=spec.seed, draws=draws)
            )
            images, labels = (x.numpy() for x in baselines.sets(task, given.dataset, "cpu"))
            images = images if kind == RANDOM else images[0]
            text = label + (f", {ipc} per class" if several else "")
            found.append(Source(kind, f"{kind}.{ipc}", "", text, ipc, images, labels))
    return found


# --- showing --------------------------------------------------------------------------------------


def gains(result: Result) -> np.ndarray:
    """Accuracy beyond that on random real images of the same size, in points: (sources, networks, nets).

    Network i is paired with network i, which starts from the same weights.
    """
    accuracy = np.array(result["accuracy"])
    place = {s["ipc"]: i for i, s in enumerate(result["sources"]) if s["kind"] == RANDOM}
    return 100 * np.stack(
        [v - accuracy[place[s["ipc"]]] for s, v in zip(result["sources"], accuracy)]
    )


def ladder(result: Result) -> list[int]:
    """The ConvNets that differ in width alone, from narrow to wide."""
    plain = [i for i, n in enumerate(result["networks"]) if n["plain"]]
    return sorted(plain, key=lambda i: result["networks"][i]["width"])


def others(result: Result, key: str) -> tuple[list[int], list[int]]:
    """The networks of other families than the one a set was made with, and those of other widths."""
    nets, home = result["networks"], result["home"][key]
    families = [i for i in result["architectures"] if nets[i]["family"] != nets[home]["family"]]
    widths = [i for i in ladder(result) if i != home] if nets[home]["plain"] else []
    return families, widths


def _looks(result: Result) -> list[colours.Style]:
    """One look per source; sets made without distilling are grey."""
    runs = [s for s in result["sources"] if s["kind"] == SET]
    found, turns = colours.styles([s["method"] for s in runs]), {RANDOM: 0, MEAN: 0}
    own = {RANDOM: ("dash", "diamond", "--", "D"), MEAN: ("dot", "circle", ":", "o")}
    for source in result["sources"][len(runs) :]:
        dash, symbol, line, marker = own[source["kind"]]
        turn = turns[source["kind"]]
        symbol += colours.SYMBOLS[turn % len(colours.SYMBOLS)]
        found.append(colours.Style(colours.REAL, dash, symbol, line, marker))
        turns[source["kind"]] += 1
    return found


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Accuracy over architectures and over widths, and what is gained over random real images."""
    nets = result["networks"]
    steps = f"{result['iterations']} full-batch steps"
    nets_ = result["nets"]
    spreads = (
        f"Mean and standard deviation of {nets_} networks"
        if nets_ > 1
        else "One network of each kind"
    )
    spreads += f", {steps}"
    found = [
        Drawn(
            "Other architectures",
            _accuracies(result, result["architectures"], [n["name"] for n in nets], "markers"),
            f"{spreads}. In per cent: {_words(result, result['architectures'])}.",
        )
    ]
    if len(ladder(result)) > 1:
        names = [str(n["width"]) for n in nets]
        figure = _accuracies(result, ladder(result), names, "lines+markers")
        figure.update_xaxes(title="width of the ConvNet (channels)")
        words = f"{spreads}. In per cent, from narrow to wide: {_words(result, ladder(result))}."
        found.append(Drawn("Other widths", figure, words))
    return [*found, _gains(result)]


def _words(result: Result, which: list[int]) -> str:
    parts = []
    for source, values in zip(result["sources"], np.array(result["accuracy"])[:, which]):
        parts.append(f"{source['label']} " + ", ".join(f"{100 * v.mean():.1f}" for v in values))
    return "; ".join(parts)


def _accuracies(result: Result, which: list[int], names: list[str], mode: str) -> Figure:
    """Mean and standard deviation of every source on some of the networks."""
    beside = "group" if mode == "markers" else "overlay"
    figure = drawing.new_figure("", "test accuracy", per_cent=True, height=420, scattermode=beside)
    accuracy = np.array(result["accuracy"])[:, which]
    low, high = 1.0, 0.0
    for source, values, look in zip(result["sources"], accuracy, _looks(result)):
        means, widths = values.mean(1), deviations(values)
        around = 0.0 if widths is None else widths
        low, high = min(low, *(means - around)), max(high, *(means + around))
        figure.add_scatter(
            x=[names[i] for i in which],
            y=means,
            error_y=None if widths is None else {"array": widths, "thickness": 1.5, "width": 4},
            name=source["label"],
            mode=mode,
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            customdata=[", ".join(f"{100 * x:.1f}" for x in v) for v in values],
            hovertemplate=f"{source['label']}, %{{x}}: %{{y:.1%}}<br>%{{customdata}} %<extra></extra>",
        )
    figure.update_xaxes(type="category")
    margin = 0.05 * max(0.02, high - low)
    figure.update_yaxes(range=[low - margin, high + margin])
    return figure


def _gains(result: Result) -> Drawn:
    """Heat map of networks and sets."""
    values = gains(result).mean(2)
    keep = [i for i, s in enumerate(result["sources"]) if s["kind"] != RANDOM]
    order = _order(result)
    labels = ["<br>".join(wrapped(result["sources"][i]["label"], 16)) for i in keep]
    rows = [result["networks"][n]["name"] for n in order]
    most = max(1.0, min(50.0, float(np.abs(values[keep]).max())))
    figure = drawing.new_figure(height=110 + 34 * len(rows), legend=False)
    figure.add_heatmap(
        z=[[values[i, n] for i in keep] for n in order],
        x=labels,
        y=rows,
        zmin=-most,
        zmax=most,
        colorscale="RdBu",
        colorbar={"title": "points", "thickness": 12},
        text=[[_cell(result, values, i, n) for i in keep] for n in order],
        texttemplate="%{text}",
        hovertemplate="%{x}<br>%{y}: %{z:+.1f} points<extra></extra>",
    )
    figure.update_xaxes(tickangle=0)
    figure.update_yaxes(autorange="reversed", type="category")
    caption = (
        "Test accuracy minus that of random real images of the same size, in points, mean of "
        f"{result['nets']} networks. In brackets: on the kind of network that the set was made with."
    )
    return Drawn("Gained over random real images", figure, caption)


def _order(result: Result) -> list[int]:
    """All networks: ConvNets by width first, then the others."""
    first = ladder(result)
    return first + [i for i in range(len(result["networks"])) if i not in first]


def _cell(result: Result, values: np.ndarray, source: int, net: int) -> str:
    text = f"{round(float(values[source, net]), 1) + 0.0:+.1f}"
    return f"[{text}]" if result["home"].get(result["sources"][source]["key"]) == net else text


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """The same three panels."""
    import seaborn as sns

    figure, axes = drawing.panels(1, 3, width=4.6, height=3.6)
    names = [n["name"] for n in result["networks"]]
    wide = [str(n["width"]) for n in result["networks"]]
    panels = ((result["architectures"], names, ""), (ladder(result), wide, "-"))
    count = len(result["sources"])
    for ax, (which, ticks, line) in zip(axes[0], panels):
        for place, (source, look) in enumerate(zip(result["sources"], _looks(result))):
            values = np.array(result["accuracy"][place])[which]
            shift = 0.0 if line else (place - (count - 1) / 2) * 0.7 / count
            ax.errorbar(
                np.arange(len(which)) + shift,
                values.mean(1),
                deviations(values),
                color="black" if source["kind"] != SET else look.colour,
                ls=look.linestyle if line else "",
                marker=look.marker,
                ms=4,
                label=source["label"],
            )
        ax.set_xticks(range(len(which)), [ticks[i] for i in which], fontsize=7)
        ax.set(ylabel="Test accuracy", xlabel="Width of the ConvNet" if line else "")
        sns.despine(ax=ax)
    axes[0][0].legend(frameon=False, fontsize=6)
    values, order = gains(result).mean(2), _order(result)
    keep = [i for i, s in enumerate(result["sources"]) if s["kind"] != RANDOM]
    shown = np.array([[values[i, n] for i in keep] for n in order])
    ax = axes[0][2]
    sns.heatmap(
        shown,
        ax=ax,
        center=0,
        cmap="RdBu",
        annot=[[_cell(result, values, i, n) for i in keep] for n in order],
        fmt="",
        annot_kws={"fontsize": 6},
        xticklabels=[result["sources"][i]["label"] for i in keep],
        yticklabels=[names[n] for n in order],
    )
    ax.tick_params(labelsize=6)
    ax.tick_params(axis="x", rotation=20)
    ax.set(title="Points beyond random real images")
    return figure


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, kind of network and network."""
    beyond = gains(result)
    return [
        {
            "set": source["key"],
            "label": source["label"],
            "network": net["name"],
            "home": result["home"].get(source["key"]) == n,
            "number": i,
            "accuracy": float(result["accuracy"][s][n][i]),
            "gain": float(beyond[s, n, i]),
        }
        for s, source in enumerate(result["sources"])
        for n, net in enumerate(result["networks"])
        for i in range(result["nets"])
    ]


def shown(result: Result) -> dict[str, bool]:
    """Whether each set gains over random real images on the kind of network that it was made with: a paired
    test over networks, with the correction over the sets. Never of one network."""
    keys = [s["key"] for s in result["sources"] if s["kind"] == SET]
    beyond = gains(result)
    place = {s["key"]: i for i, s in enumerate(result["sources"])}
    own = np.stack([beyond[place[key], result["home"][key]] for key in keys])
    p = significance.paired(own, significance.GREATER).p
    return dict(zip(keys, significance.discoveries(p).tolist()))


def sentence(result: Result) -> str:
    """What every set gains where it was made, and how much of that it keeps elsewhere."""
    beyond, clear, found = gains(result), shown(result), []
    for place, source in enumerate(result["sources"]):
        if source["kind"] != SET:
            continue
        home, key = result["home"][source["key"]], source["key"]
        own = beyond[place, home]
        elsewhere = []
        for which, what in zip(others(result, key), ("architecture", "width")):
            if which:
                each = beyond[place, which].mean(0)
                where = f"on {len(which)} other {what}{'s' if len(which) > 1 else ''}"
                elsewhere.append(
                    _kept(each, own, where) if clear[key] else f"{_points(each)} {where}"
                )
        over = "" if found else " over random real images"
        text = (
            f"{source['label']}, made with {result['networks'][home]['name']}, "
            f"{'gains' if clear[key] else 'has'} **{_points(own)}** points{over} there"
        )
        if clear[key]:
            text += f"; {' and '.join(elsewhere)}" if elsewhere else ""
        else:
            text += ", not shown to be a gain" if result["nets"] > 1 else ""
            text += f", and {' and '.join(elsewhere)}" if elsewhere else ""
        found.append(text + ".")
    return f"{' '.join(found)} {_tested(result)}"


def _tested(result: Result) -> str:
    nets = result["nets"]
    if nets == 1:
        return "One network of each kind: nothing is said of chance."
    return (
        f"Mean ± standard deviation of {nets} networks, each with random images of its own; gains by a "
        f"paired {significance.RULE}."
    )


def _kept(each: np.ndarray, own: np.ndarray, where: str) -> str:
    share = float(each.mean() / own.mean())
    kept = f"**{100 * share:.0f} %**" if share > 0 else "**none**"
    return f"{kept} of that {where} ({_points(each)})"


def _points(values: np.ndarray) -> str:
    """Mean and spread of some networks' points."""
    mean = f"{round(float(values.mean()), 1) + 0.0:+.1f}"
    return plus_minus(mean, deviation(values)).replace("-", "−")


ANALYSIS = Analysis(
    name="transfer",
    title="Transfer",
    icon=":material/swap_horiz:",
    order=95,
    question="Do distilled sets work for networks they were not made with?",
    read="""\
- Networks of several kinds are trained on each set in one plain way (t300), and tested on real images. Beside
  them are random real images, as many, drawn anew for every network, and means of parts of each class.
- A set that holds what a task needs helps every network. One that is cut to its own network loses its lead
  over random real images on others; the table of gains shows it, with the network a set was made with in
  brackets.
- Widths are the same test in small steps: the same ConvNet with fewer or more channels.""",
    doubt="""\
- One step size for all: a network that t300 trains badly says little of the sets. Look at what random real
  images reach on it.
- Class means cost nothing. A set that does not beat them elsewhere has not carried anything over.
- A share of a small gain is uncertain: shares are given only where a gain was shown, by a t test over
  networks, paired with random real images (at most 5 % of such findings false over all sets).
- Networks vary, and with them the random real images; each set was made once.
- Sets with learned step sizes, or made for fixed starting weights, are used here without them.
- Widths and architectures were not chosen at random: other ones may rank the sets otherwise.""",
    paper="""\
Yang et al. 2024 look at distilled data through networks of the kind it was made with, and limit what it can
stand in for to the standard evaluation setting. They show no such comparison in the part that can be read
here.""",
    differs="""\
**This view is ours**: the usual table of papers on dataset distillation, with the training of Yang et al.
(300 full-batch steps at step size .01 with momentum .9, no weight decay or augmentation) for every set and
every network. Network i starts from the same weights for all sets, so gains are paired. *Quick* takes 100
steps where there are many images.""",
    spec=TransferTask,
    presets=presets,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    smallest={"architectures": ("mlp-8",), "widths": (4, 6), "nets": 2, "iterations": 5},
)
