"""Dynamics: when, in training on real data, do networks learn what distilled images show?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from analysis import base, colours, drawing
from analysis.base import Analysis, AnalysisTask, Arrays, Chosen, Cost, Drawn, Option, Result
from analysis.pools import Counts
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network, parse

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as StaticFigure
    from torch import Tensor

    from ddcore.data.tensors import Part
    from ddcore.nets.architectures import NetSpec
    from ddcore.worker import Context

TEST = "test"
MOMENT = 100  # the iteration that the answer names
MEASURES = {
    "accuracy": "called the intended class",
    "loss": "mean cross-entropy",
    "probability": "mean true-class probability",
}
LEAST_RISE = 0.01  # a smaller rise of the accuracy does not end a plateau
LEAST_LENGTH = 0.2  # of all iterations: what is shorter is not called a plateau


@dataclass(frozen=True, kw_only=True)
class DynamicsTask(AnalysisTask):
    """`nets` networks in their first `iterations` on all real training images, tested along the way.

    `network` is an architecture and its width, such as convnet-16. Training is plain SGD with step size
    `lr`, momentum 0.9 and shuffled batches of `batch`. After every `every`-th iteration all images of all
    sets and `test_images` test images (drawn by `seed`; 0: all) are classified.
    """

    KIND: ClassVar[str] = "dynamics"
    RUNNER: ClassVar[str] = "analysis.dynamics:run"

    network: str = "convnet-16"
    nets: int = 3
    iterations: int = 300
    every: int = 1
    batch: int = 64
    lr: float = 0.01
    test_images: int = 2000

    def validate(self) -> None:
        """Check ranges and the network's name."""
        super().validate()
        parse("network", self.network)
        self.require_range("nets", 1, 100)
        self.require_range("iterations", 1, 100_000)
        self.require_range("every", 1, self.iterations)
        self.require_range("batch", 1, 1_000_000)
        self.require_range("lr", 1e-8, 1e3)
        self.require_range("test_images", 0, 1_000_000)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Fewer tests on larger images; published: the paper's network and batch, more than its one run."""
    if shape[1] < 28:
        quick, teaching = {"nets": 2, "every": 4}, {"nets": 5}
    else:
        quick = {"nets": 2, "every": 10, "test_images": 500}
        teaching = {
            "nets": 3,
            "every": 5,
            "test_images": 2000,
            "network": "convnet-32",
            "batch": 256,
        }
    published = {"network": "convnet-128", "batch": 256, "test_images": 0}
    return {"quick": quick, "teaching": teaching, "published": published}


def cost(spec: DynamicsTask, chosen: Chosen, counts: Counts) -> Cost:
    """Training, and a pass over all sets and the test images at each test."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    batch = min(spec.batch, counts.train)
    images = sum(r.images for r in chosen.runs) + min(spec.test_images or counts.test, counts.test)
    tests = 1 + spec.iterations // spec.every
    macs = spec.nets * (3 * spec.iterations * batch + tests * images) * one.macs
    held = max(12.0 * one.activations * batch, 4.0 * one.activations * min(images, 2000))
    values = 4.0 * len(MEASURES) * spec.nets * tests * (len(chosen.runs) + 1)
    return Cost(macs, memory=held + values, disk=values + 1e5)


# --- computing ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """Images of several sets one after the other: (M, C, H, W), classes (M,), how many of each set."""

    images: Tensor
    labels: Tensor
    sizes: list[int]


def run(context: Context) -> None:
    """Task `dynamics`: train on real data and test on everything along the way."""
    import torch

    from ddcore import rng
    from ddcore.data.tensors import DeviceData
    from ddcore.nets.network import Network
    from ddcore.training import limit_threads, nets_at_once

    spec: DynamicsTask = context.spec
    given = base.opened(context)
    data = DeviceData(given.dataset, context.device)
    net = network("network", spec.network, given.chosen.shape, given.chosen.classes)
    plain = Network(net, data.shape, data.num_classes)
    limit_threads(plain, context.device)
    rows = torch.from_numpy(_test_rows(len(data.test), spec.test_images, spec.seed))
    images = [torch.from_numpy(s.images).to(data.device) for s in given.sets.values()]
    labels = [torch.from_numpy(s.hard_labels).to(data.device) for s in given.sets.values()]
    images.append(data.test.batch(rows))
    labels.append(data.test.labels[rows.to(data.device)])
    judged = Judged(torch.cat(images), torch.cat(labels), [len(x) for x in images])
    names = [*given.sets, TEST]
    resumed = context.load_checkpoint()
    found = [resumed[0]["values"]] if resumed else []
    at_once = nets_at_once(plain, min(spec.batch, len(data.train)), context.device)
    for first in range(sum(map(len, found)), spec.nets, at_once):
        numbers = range(first, min(first + at_once, spec.nets))

        def report(t: int, before: int = first, count: int = len(numbers)) -> None:
            context.progress(before * spec.iterations + count * t, spec.nets * spec.iterations)

        seeds = [rng.derive(spec.seed, "dynamics", i) for i in numbers]
        found.append(follow(net, data.train, data.num_classes, seeds, judged, spec, report))
        if context.checkpoint_due():
            values = np.concatenate(found)
            context.save_checkpoint(len(values), {"values": values}, {})
    values = np.concatenate(found)  # (nets, tests, measures, sets)
    steps = np.arange(0, spec.iterations + 1, spec.every)
    arrays: Arrays = {"steps": steps}
    for place, key in enumerate(names):
        for i, name in enumerate(MEASURES):
            arrays[f"{name}.{key}"] = values[:, :, i, place]
    result = {
        "sets": {k: facts(steps, arrays, k, n) for k, n in zip(names, judged.sizes)},
        "nets": spec.nets,
        "network": net.label(),
        "soft": [k for k, s in given.sets.items() if s.soft],
    }
    base.save(context, given, result, arrays)


def _test_rows(count: int, wanted: int, seed: int) -> np.ndarray:
    """Sorted rows of the test images that are used."""
    from ddcore import rng

    order = rng.numpy_generator(seed, "dynamics", "test").permutation(count)
    return np.sort(order[: wanted or count])


def follow(
    net: NetSpec,
    train: Part,
    classes: int,
    seeds: list[int],
    judged: Judged,
    spec: DynamicsTask,
    on_iteration: Callable[[int], None] = lambda t: None,
) -> np.ndarray:
    """Train one network per seed and test it before training and after every `every`-th iteration.

    Returns (networks, tests, measures, sets): accuracy, loss, probability, as in `MEASURES`.
    """
    from analysis._pools import train_real
    from ddcore.training import TrainedNets

    seen: list[np.ndarray] = []

    def test(t: int, nets: TrainedNets) -> None:
        on_iteration(t)
        if t % spec.every == 0:
            seen.append(measure(nets.logits_in_batches(judged.images), judged))

    train_real(
        net,
        train,
        classes,
        seeds,
        iterations=spec.iterations,
        batch=spec.batch,
        lr=spec.lr,
        on_iteration=test,
    )
    return np.stack(seen, axis=1)


def measure(logits: list[Tensor], judged: Judged) -> np.ndarray:
    """(networks, measures, sets) of outputs (networks, b, classes) in batches, over each set's images."""
    import torch

    outputs, labels = torch.cat(logits, dim=1), judged.labels.cpu()
    index = labels.expand(len(outputs), -1)[..., None]
    logs = outputs.log_softmax(2).gather(2, index)[..., 0]
    hits = (outputs.argmax(2) == labels).float()
    parts = torch.stack([hits, -logs, logs.exp()], dim=1).split(judged.sizes, dim=2)
    return torch.stack([p.mean(2) for p in parts], dim=2).numpy()


def plateau(steps: np.ndarray, curve: np.ndarray, tolerance: float) -> int | None:
    """Where a curve (T,) stops rising: the first tested iteration after which it is never again more than
    `tolerance` above the highest value it had reached by then.

    None if that leaves less than a fifth of all iterations, since the last test has nothing after it.
    """
    highest = np.maximum.accumulate(curve)
    later = np.maximum.accumulate(curve[::-1])[::-1]
    settled = np.append(later[1:] <= highest[:-1] + tolerance + 1e-9, True)
    first = int(steps[settled.argmax()])
    return first if steps[-1] - first >= LEAST_LENGTH * steps[-1] else None


def facts(steps: np.ndarray, arrays: Arrays, key: str, images: int) -> dict[str, Any]:
    """What the curves of a set say. `full`: first test at which every network gets every image right;
    `ceiling`: the mean accuracy comes so near to 100 % that a rise above it could not be seen;
    `test_gain`: of the accuracy on real test images from the plateau to the end."""
    accuracy, loss = (arrays[f"{name}.{key}"].mean(0) for name in ("accuracy", "loss"))
    tolerance = max(LEAST_RISE, 1 / images)
    full = np.flatnonzero(arrays[f"accuracy.{key}"].min(0) >= 1)
    moment = np.searchsorted(steps, MOMENT, side="right") - 1
    start = plateau(steps, accuracy, tolerance)
    test = arrays[f"accuracy.{TEST}"].mean(0)
    return {
        "images": images,
        "tolerance": tolerance,
        "plateau": start,
        "test_gain": None if start is None else float(test[-1] - test[steps == start][0]),
        "ceiling": bool(accuracy.max() + tolerance >= 1),
        "full": int(steps[full[0]]) if len(full) else None,
        "moment": int(steps[moment]),
        "then": float(accuracy[moment]),
        "last": float(accuracy[-1]),
        "lowest_loss_at": int(steps[loss.argmin()]),
        "last_loss": float(loss[-1]),
    }


# --- showing --------------------------------------------------------------------------------------


def options(result: Result, picked: dict[str, str]) -> Iterator[Option]:
    """What the second figure shows."""
    yield Option("measure", "Below", {k: v for k, v in MEASURES.items() if k != "accuracy"})


def series(result: Result) -> list[tuple[str, str, colours.Style]]:
    """(key, label, look) of each run, then of the real test images."""
    runs = result["runs"]
    looks = colours.styles([r["method"] for r in runs])
    found = [(r["key"], r["label"], look) for r, look in zip(runs, looks)]
    return [*found, (TEST, "Real test images", colours.Style(colours.REAL))]


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Accuracy with plateaus, and loss or probability."""
    return [_accuracy(result, arrays), _other(result, arrays, picked["measure"])]


def _curves(result: Result, arrays: Arrays, name: str, **layout: Any) -> Any:
    """Mean of all networks for each set, and a band from the lowest to the highest of them."""
    figure = drawing.new_figure("iteration of training on real data", MEASURES[name], **layout)
    steps = arrays["steps"]
    for key, label, look in series(result):
        every = arrays[f"{name}.{key}"]
        figure.add_scatter(
            x=np.concatenate([steps, steps[::-1]]),
            y=np.concatenate([every.max(0), every.min(0)[::-1]]),
            fill="toself",
            fillcolor=drawing.faded(look.colour, 0.15),
            line={"width": 0},
            hoverinfo="skip",
            legendgroup=key,
            showlegend=False,
        )
        text = "%{y:.1%}" if name != "loss" else "%{y:.3g}"
        figure.add_scatter(
            x=steps,
            y=every.mean(0),
            name=label,
            legendgroup=key,
            mode="lines",
            line={"color": look.colour, "dash": look.dash, "width": 3 if key == TEST else 2},
            hovertemplate=f"{label}<br>iteration %{{x}}: {text}<extra></extra>",
        )
    return figure


def _accuracy(result: Result, arrays: Arrays) -> Drawn:
    figure = _curves(result, arrays, "accuracy", per_cent=True)
    for key, label, look in series(result):
        known = result["sets"][key]
        if known["plateau"] is None:
            continue
        place = np.searchsorted(arrays["steps"], known["plateau"])
        level = arrays[f"accuracy.{key}"][:, place].mean()
        hollow = "-open" if known["ceiling"] and not look.symbol.endswith("open") else ""
        figure.add_scatter(
            x=[known["plateau"]],
            y=[level],
            mode="markers",
            marker={
                "color": look.colour,
                "symbol": look.symbol + hollow,
                "size": 12,
                "line": {"width": 2 if hollow else 0, "color": look.colour},
            },
            legendgroup=key,
            showlegend=False,
            hovertemplate=f"{label}<br>plateau from iteration %{{x}}, %{{y:.1%}}<extra></extra>",
        )
    words = " ".join(_words(result, key, label) for key, label, _ in series(result))
    caption = (
        f"Mean of {_networks(result)}; bands from the lowest to the highest. Marker: from here on the "
        f"accuracy no longer rises; hollow: because it is near 100 % already. {words}"
    )
    return Drawn("Recognised along training on real data", figure, caption)


def _networks(result: Result) -> str:
    return f"{result['nets']} network{'s' if result['nets'] > 1 else ''}"


def _words(result: Result, key: str, label: str) -> str:
    known = result["sets"][key]
    if known["plateau"] is None:
        text = "still rising near the end"
    elif known["ceiling"]:
        text = f"plateau from iteration {known['plateau']}, at the ceiling"
    else:
        text = f"plateau from iteration {known['plateau']}"
    if known["full"] is not None:
        text += f", all right from iteration {known['full']}"
    return f"{label}: {text}."


def _other(result: Result, arrays: Arrays, name: str) -> Drawn:
    figure = _curves(result, arrays, name, per_cent=name != "loss")
    if name == "loss":
        figure.update_yaxes(type="log", tickformat="~g", dtick=1)
    rows = [(label, arrays[f"{name}.{key}"][:, -1].mean()) for key, label, _ in series(result)]
    last = int(arrays["steps"][-1])
    words = "; ".join(f"{label} {v:.3g}" for label, v in rows)
    caption = (
        f"The same networks; where accuracy is full this still moves. At iteration {last}: {words}."
    )
    return Drawn(MEASURES[name].capitalize(), figure, caption)


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """The paper's lines (Fig. 5), and beside them the loss it computed but did not show."""
    import seaborn as sns

    figure, axes = drawing.panels(1, 2, width=4.2)
    for ax, name in zip(axes[0], ("accuracy", "loss")):
        _lines(ax, result, arrays, name)
        sns.despine(ax=ax)
    axes[0][0].set(ylabel="Accuracy", ylim=(0, 1.03))
    axes[0][1].set(ylabel="Cross-entropy", yscale="log")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def _lines(ax: Axes, result: Result, arrays: Arrays, name: str) -> None:
    import seaborn as sns

    steps = arrays["steps"]
    for key, label, look in series(result):
        every = arrays[f"{name}.{key}"]
        colour = "black" if key == TEST else look.colour
        look_of = {"color": colour, "linestyle": look.linestyle, "lw": 1.4}
        sns.lineplot(x=steps, y=every.mean(0), ax=ax, legend=False, **look_of)
        ax.lines[-1].set_label(label)
        ax.fill_between(steps, every.min(0), every.max(0), color=colour, alpha=0.15, lw=0)
        start = result["sets"][key]["plateau"]
        if name == "accuracy" and start is not None:
            level = every.mean(0)[np.searchsorted(steps, start)]
            ax.plot(start, level, look.marker, color=colour, ms=6, mec="black", mew=0.8)
    ax.set(xlabel="Iteration", xlim=(0, steps[-1]))


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, network and test."""
    rows = []
    for key, label, _ in series(result):
        columns = {name: arrays[f"{name}.{key}"].tolist() for name in MEASURES}
        for net in range(result["nets"]):
            each = zip(arrays["steps"].tolist(), *(values[net] for values in columns.values()))
            rows += [
                {"set": key, "label": label, "net": net, "iteration": t}
                | dict(zip(MEASURES, values))
                for t, *values in each
            ]
    return rows


def sentence(result: Result) -> str:
    """How much is recognised early on, where it stops rising, and what the test accuracy does after."""
    sets, test = result["sets"], result["sets"][TEST]
    early = ", ".join(
        f"**{100 * sets[r['key']]['then']:.1f} %** of {r['label']}" for r in result["runs"]
    )
    text = (
        f"After {test['moment']} iterations on real data networks recognise {early}, and "
        f"{100 * test['then']:.1f} % of real test images"
    )
    known = [(sets[r["key"]], r["label"]) for r in result["runs"]]
    known = [(facts, label) for facts, label in known if facts["plateau"] is not None]
    if not known:
        return f"{text}. No set's recognition stops rising early enough to be called a plateau."
    words = ", ".join(f"{label} from iteration {facts['plateau']}" for facts, label in known)
    high = sum(facts["ceiling"] for facts, _ in known)
    ceiling = f" ({high} of {len(known)} at the ceiling of 100 %)" if high else ""
    last = max((facts for facts, _ in known), key=lambda facts: facts["plateau"])
    return (
        f"{text}. Recognition does not rise again by more than a point or an image: {words}{ceiling}; after "
        f"the last of these test accuracy changes by {100 * last['test_gain']:+.1f} points."
    )


ANALYSIS = Analysis(
    name="dynamics",
    title="Recognition along training",
    icon=":material/timeline:",
    order=60,
    question="When, in training on real data, are distilled images learnt?",
    read="""\
- Networks are trained on real images only. Along the way all images of every set, and real test images, are
  classified: a line is the mean of several networks, its band reaches from the lowest to the highest.
- A marker shows where a plateau starts: the first test after which the line is never again more than one
  image of the set (and at least one point) above the highest value it had reached by then. The last
  fifth of training is too short to be called one.
- Where a line flattens while real test accuracy still rises, the set holds what networks learn early.
- A hollow marker is a plateau at the *ceiling*: nothing can rise above 100 %. There the figure below goes on
  telling: cross-entropy and the probability of the intended class still move.""",
    doubt="""\
- A plateau at the ceiling only says that the set is easy, not that nothing more could be learnt from it.
  Compare the loss.
- With few images the scale is coarse: with 10 images one is 10 points, and a plateau means little.
- The loss of a set can rise again while accuracy stays: networks become surer of the images they get wrong.
- Soft labels are replaced by their most likely class here.
- Step size and batch set the pace. Compare sets with each other and with the test line, not iterations of
  different recipes.
- Bands are over networks, which differ in start and order of images. The sets were made once: nothing is said
  of another distillation.""",
    paper="""\
Yang et al. 2024 (Fig. 5; CIFAR-10, 10 images per class) find sets of backpropagation through time and of
trajectory matching recognised fully after some 110 iterations; gradient matching stays near 83 % and
distribution matching near 73 % from about 150 on, while real test accuracy rises from 61 % (150) to 66 %
(300). They conclude that distilled data holds what is learnt early in training.""",
    differs="""\
- Their figure is one run whose start came from the clock; here several networks, with starts and orders from
  the seed, give a mean and a band.
- They computed the loss on every set but show only accuracy, so a plateau and the ceiling at 100 % look the
  same. Here the plateau has a definition, the ceiling is marked, and loss and probability are shown.
- The networks before training (iteration 0) are tested too.
- *As published* has their network, batch and step size and all test images.""",
    spec=DynamicsTask,
    presets=presets,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    options=options,
    smallest={"network": "convnet-4", "nets": 2, "iterations": 12, "every": 3, "test_images": 50},
)
