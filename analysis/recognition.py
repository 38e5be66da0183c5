"""Recognition: do networks that saw only real data classify distilled images as intended?"""

from __future__ import annotations

from collections.abc import Iterator
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
    Option,
    Pictures,
    Result,
)
from analysis.pools import Counts, RealPool
from ddcore.foreign_text import wrapped_unmathematical
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import parse
from ddcore.spread import deviations

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure

    from ddcore.worker import Context

REAL = "real"
SHOWN = 10  # images of a set that are shown


@dataclass(frozen=True, kw_only=True)
class RecognitionTask(AnalysisTask):
    """`nets` networks of each of several architectures (`networks`), trained on all real training data.

    A network is written as an architecture and its width, such as convnet-16. `epochs` 0 chooses by the
    number of images; `batch` and `lr` are those of plain SGD with momentum 0.9.
    """

    KIND: ClassVar[str] = "recognition"
    RUNNER: ClassVar[str] = "analysis.recognition:run"

    networks: tuple[str, ...] = ("mlp-64", "convnet-16", "convnet-64", "resnet18-8")
    nets: int = 3
    epochs: int = 0
    batch: int = 64
    lr: float = 0.02

    def validate(self) -> None:
        """Check ranges and the networks' names."""
        super().validate()
        several = 1 <= len(set(self.networks)) == len(self.networks) <= 8
        self.require("networks", several, "1 to 8 different networks")
        for text in self.networks:
            parse("networks", text)
        self.require_range("nets", 1, 100)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Narrow networks; published: the paper's four, those with plain layers by its recipe."""
    small = shape[1] < 28
    quick = ("mlp-64", "convnet-16") if small else ("convnet-16", "convnet-32")
    teaching = ("mlp-64", "convnet-16", "convnet-64", "resnet18-8")
    if not small:  # the paper's families, narrower
        teaching = ("convnet-16", "convnet-32", "convnet-64", "resnet18-8")
    published = ("convnet-16", "convnet-128", "resnet18-64", "resnet34-64")
    return {
        "quick": {"networks": quick, "epochs": 15 if small else 3},
        "teaching": {"networks": teaching, "epochs": 15 if small else 5},
        "published": {"networks": published, "epochs": 40, "batch": 256, "lr": 0.01},
    }


def pools(spec: RecognitionTask, chosen: Chosen) -> list[RealPool]:
    """One pool for each architecture."""
    return [base.real_pool(spec, chosen, "networks", text) for text in spec.networks]


def cost(spec: RecognitionTask, chosen: Chosen, counts: Counts) -> Cost:
    """One pass over each set (and a real one of the largest size) in every network."""
    images = sum(r.images for r in chosen.runs) + max(r.images for r in chosen.runs)
    one = [
        net_cost(p.net.plan(chosen.shape, chosen.classes), chosen.shape)
        for p in pools(spec, chosen)
    ]
    macs = sum(c.macs for c in one) * spec.nets * images
    largest = max(c.activations for c in one)
    return Cost(macs, memory=4.0 * largest * images, disk=images * spec.nets * len(one) + 1e5)


# --- computing ------------------------------------------------------------------------------------


def run(context: Context) -> None:
    """Task `recognition`: what every network calls every image of every set."""
    from analysis._pools import load

    spec: RecognitionTask = context.spec
    given = base.opened(context)
    data, names = given.dataset, [r.key for r in given.chosen.runs]
    rows = base.same_size(given, spec.seed)
    images = {k: s.images for k, s in given.sets.items()}
    images[REAL] = data.preprocess(data.train_images[rows])
    labels = {k: s.hard_labels for k, s in given.sets.items()}
    labels[REAL] = data.train_labels[rows]
    called: dict[str, list[np.ndarray]] = {key: [] for key in images}
    for step, task in enumerate(given.pools):
        context.progress(step, len(given.pools))
        nets = load(task, context.device)
        for key, x in images.items():
            called[key].append(nets.predict(x).numpy())
    context.progress(len(given.pools), len(given.pools))
    predicted = {key: np.stack(each) for key, each in called.items()}  # (networks, nets, M)
    kind = np.min_scalar_type(given.chosen.classes - 1)
    arrays: Arrays = {f"called.{k}": p.astype(kind) for k, p in predicted.items()}
    arrays |= {f"labels.{k}": v.astype(kind) for k, v in labels.items()}
    arrays |= {f"pixels.{k}": given.sets[k].pixels() for k in names}
    arrays |= {
        f"confusion.{k}": confusion(p, labels[k], given.chosen.classes)
        for k, p in predicted.items()
    }
    accuracy = {k: (p == labels[k]).mean(-1).tolist() for k, p in predicted.items()}
    stored = [task.arrays() for task in given.pools]
    specs = [task.spec() for task in given.pools]
    result = {
        "networks": [s.net.label() for s in specs],
        "recognised": accuracy,  # of each set, (networks, nets)
        "test": [a["test"].tolist() for a in stored],
        "train": [a["train"].tolist() for a in stored],
        "pools": [task.key for task in given.pools],
        "soft": [k for k in names if given.sets[k].soft],
        "real_images": len(rows),
    }
    base.save(context, given, result, arrays)


def confusion(called: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Counts (networks, C, C) of images of class (row) called (column), summed over the nets.

    `called` (networks, nets, M), `labels` (M,).
    """
    cells = labels.astype(np.int64) * classes + called
    flat = [np.bincount(c.ravel(), minlength=classes**2) for c in cells]
    return np.stack(flat).reshape(-1, classes, classes)


# --- showing --------------------------------------------------------------------------------------


def options(result: Result, picked: dict[str, str]) -> Iterator[Option]:
    """Whose confusion matrix is shown."""
    sets = {r["key"]: r["label"] for r in result["runs"]} | {REAL: "Real training images"}
    yield Option("set", "Confusion matrix of", sets)
    yield Option("net", "by", {str(i): n for i, n in enumerate(result["networks"])})


def rows_of(result: Result) -> list[tuple[str, str, np.ndarray]]:
    """(key, label, shares recognised (networks, nets)) of each run, then of the real images."""
    found = [(r["key"], r["label"], result["recognised"][r["key"]]) for r in result["runs"]]
    found.append((REAL, "Real training images, as many", result["recognised"][REAL]))
    found.append(("test", "Real test images", result["test"]))
    return [(key, label, np.array(values)) for key, label, values in found]


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Share recognised in every architecture, and one confusion matrix."""
    looks = colours.styles([r["method"] for r in result["runs"]])
    looks += [
        colours.Style(colours.REAL, "dot", "diamond"),
        colours.Style(colours.REAL, "solid", "circle-open"),
    ]
    rows = rows_of(result)
    figure = drawing.new_figure("", "called the intended class", per_cent=True, scattermode="group")
    for (_, label, values), look in zip(rows, looks):
        figure.add_scatter(
            x=result["networks"],
            y=values.mean(1),
            error_y={"array": deviations(values), "thickness": 1},
            name=label,
            mode="markers",
            cliponaxis=False,
            marker={"color": look.colour, "symbol": look.symbol, "size": 11},
            hovertemplate=f"{label}<br>%{{x}}: %{{y:.1%}}<extra></extra>",
        )
    around = [0.0 if (std := deviations(v)) is None else std for _, _, v in rows]
    lowest = min(float((v.mean(1) - std).min()) for (_, _, v), std in zip(rows, around))
    figure.update_yaxes(range=[max(0.0, np.floor(10 * lowest - 0.5) / 10), 1.0])
    words = "; ".join(f"{label} {100 * v.mean():.1f} %" for _, label, v in rows)
    nets = len(result["test"][0])
    bars = "; bars: standard deviation" if nets > 1 else ""
    caption = f"Mean of {nets} network{'s' * (nets > 1)} of each architecture{bars}. {words}."
    return [
        Drawn("Recognised by networks trained on real data", figure, caption),
        _matrix(result, arrays, picked),
    ]


def _matrix(result: Result, arrays: Arrays, picked: dict[str, str]) -> Drawn:
    counts = arrays[f"confusion.{picked['set']}"][int(picked["net"])]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = result["class_names"]
    figure = drawing.new_figure("called", "intended class", height=440, legend=False)
    figure.add_heatmap(
        z=shares,
        x=names,
        y=names,
        zmin=0,
        zmax=1,
        colorscale="Viridis",
        colorbar={"tickformat": ".0%", "thickness": 12},
        customdata=counts,
        hovertemplate="%{y} called %{x}: %{z:.0%} (%{customdata})<extra></extra>",
    )
    figure.update_xaxes(type="category")
    figure.update_yaxes(autorange="reversed", type="category", tickformat=None)
    label = {r["key"]: r["label"] for r in result["runs"]}.get(
        picked["set"], "Real training images"
    )
    net = result["networks"][int(picked["net"])]
    caption = (
        f"{label} by {net}: rows are intended classes, columns what the networks say; "
        f"{100 * np.trace(counts) / max(counts.sum(), 1):.1f} % lie on the diagonal."
    )
    return Drawn("What they are taken for", figure, caption)


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """The paper's grouped bars (Fig. 2, left), real test accuracy as hollow markers."""
    import pandas as pd
    import seaborn as sns

    figure, axes = drawing.panels(width=1.6 + 1.3 * (len(result["runs"]) + 1))
    ax = axes[0][0]
    rows = [r for r in table(result, arrays) if r["set"] != "test"]
    frame = pd.DataFrame(rows)
    sns.barplot(
        frame,
        x="label",
        y="accuracy",
        hue="network",
        errorbar="sd",
        palette="colorblind",
        edgecolor="black",
        ax=ax,
        err_kws={"linewidth": 1, "color": "black"},
    )
    tests = np.array(result["test"]).mean(1)
    for bars, test in zip(ax.containers, tests):
        for bar in bars:
            ax.plot(bar.get_x() + bar.get_width() / 2, test, "D", mfc="none", mec="black", ms=4)
    ax.plot([], [], "D", mfc="none", mec="black", ms=4, label="on real test images")
    ax.set(xlabel="", ylabel="Accuracy", ylim=(0, 1.05))
    ax.tick_params(axis="x", labelsize=7)
    ax.set_xticks(
        range(len(ax.get_xticklabels())), [_wrapped(t.get_text()) for t in ax.get_xticklabels()]
    )
    ax.legend(frameon=False, fontsize=7, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    sns.despine(ax=ax)
    return figure


def _wrapped(text: str) -> str:
    return "\n".join(wrapped_unmathematical(text, 16))


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, architecture and network."""
    return [
        {"set": key, "label": label, "network": net, "number": i, "accuracy": float(value)}
        for key, label, values in rows_of(result)
        for net, each in zip(result["networks"], values)
        for i, value in enumerate(each)
    ]


def sentence(result: Result) -> str:
    """Who is recognised, who least, and where."""
    sets = [(label, v) for key, label, v in rows_of(result) if key not in (REAL, "test")]
    parts = [f"**{100 * v.mean():.1f} %** of {label}" for label, v in sets]
    label, least = min(sets, key=lambda s: s[1].mean(1).min())
    place = int(least.mean(1).argmin())
    low = float(least.mean(1)[place])
    where = (
        f"{label} in {result['networks'][place]}, {100 * low:.1f} %"
        if low < 1
        else "none below 100 %"
    )
    return (
        f"Networks trained on real data recognise {', '.join(parts)}; of real test images "
        f"{100 * np.mean(result['test']):.1f} %. Lowest: {where}."
    )


def pictures(result: Result, arrays: Arrays) -> list[Pictures]:
    """Of each set the images most often called something else, with what they are called."""
    names, found = result["class_names"], []
    for run in result["runs"]:
        called, labels = arrays[f"called.{run['key']}"], arrays[f"labels.{run['key']}"]
        every = called.reshape(-1, len(labels))
        wrong = every != labels
        share = wrong.mean(0)
        worst = [i for i in np.argsort(-share, kind="stable")[:SHOWN] if share[i] > 0]
        if not worst:
            continue
        lines = []
        for i in worst:
            other = int(np.bincount(every[wrong[:, i], i]).argmax())
            lines.append(f"{names[labels[i]]} as {names[other]}, {wrong[:, i].sum()}/{len(every)}")
        title = f"{run['label']}: the images most often taken for another class"
        found.append(Pictures(title, arrays[f"pixels.{run['key']}"][worst], lines))
    return found


ANALYSIS = Analysis(
    name="recognition",
    title="Recognition",
    icon=":material/visibility:",
    order=10,
    question="Do networks that saw only real data recognise distilled images?",
    read="""\
- A marker is the share of a set's images that networks of one architecture call the intended class. The
  networks were trained on real images only and never saw a distilled one.
- Two yardsticks: real test images, and as many real *training* images as a set has. The second must be
  close to the networks' accuracy on their training data, else something is wrong.
- The matrix shows what images are taken for; below it are the images that fail most often.""",
    doubt="""\
- A small set has a coarse scale: with 10 images one of them is 10 points, and its standard error is
  near 10 points too.
- Being recognised is not being useful: a set may be recognised fully and still teach little, or the
  other way round.
- Soft labels are replaced by their most likely class here.
- Other networks, trained longer or shorter, give other figures: compare the architectures.
- Spread is over networks trained on real data. The sets were made once: nothing is said of another
  distillation.""",
    paper="""\
Yang et al. 2024 (Fig. 2, left; CIFAR-10, 10 images per class) find images of trajectory matching and of
backpropagation through time recognised almost always, those of distribution and of gradient matching
far less, least by the residual networks. They conclude that the latter two carry less information.""",
    differs="""\
The bars of the paper's published notebook carry labels in another order than its results: corrected,
the two plain ConvNets recognise most and the residual networks least (distribution matching .71 in the
ConvNet, .54 in its narrow version, .46 and .41 in ResNet-18 and -34). It trains one network of each kind;
here several, with their spread, are trained. *As published* takes its four networks and its step size, batch
and 40 epochs; its narrow ConvNet had 20 epochs and the recipe of its residual networks is not stated, so all
four follow the same one.""",
    spec=RecognitionTask,
    presets=presets,
    pools=pools,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    options=options,
    pictures=pictures,
    smallest={"networks": ("mlp-8", "convnet-4"), "nets": 2, "epochs": 1},
)
