"""Influence: what does a single distilled image teach? Exact leave-one-out retraining."""

from __future__ import annotations

import base64
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
from analysis.pools import Counts, Need, Pool
from ddcore import render, rng
from ddcore.nets.architectures import ARCHITECTURES
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network, parse
from ddcore.spread import deviation

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure
    from plotly.graph_objects import Figure

    from ddcore.data.tensors import DeviceData
    from ddcore.distilled import DistilledSet
    from ddcore.store import Task
    from ddcore.worker import Context

TOP = 9  # test images beside a distilled one, as in the paper
OFFERED = 3  # test images of each class to choose from
SHOWN = 10  # images of a class that are shown
POINTS = 2000  # of the scatter of estimates
ESTIMATES = {"last": "the last layer", "all": "all weights", "none": "nothing"}
RAW, CENTRED = "raw", "centred"
EFFECTS = {RAW: "Influence", CENTRED: "Influence beyond its class mates"}
PRECISIONS = {"single": 1, "double": 2}  # work of an operation
AT_ONCE = 64  # networks trained together, for the estimate of memory
TYPICAL_STEPS = 60  # of conjugate gradients


@dataclass(frozen=True, kw_only=True)
class LeaveOneOut(Pool):
    """M + 1 networks from each of `inits` shared starts: one without each image of a set, one with all.

    Full-batch gradient descent of `iterations` steps on hard labels (protocol t300 of Yang et al. 2024).
    `run_key` names the set, `images` is its M, `precision` that of the training. Stored: influence (inits,
    M, N) half precision, the loss with all images (inits, N) and accuracies (inits, M + 1), the last with
    all; the weights of these networks.
    """

    KIND: ClassVar[str] = "leave_one_out"
    RUNNER: ClassVar[str] = "analysis._loo:run"

    run_key: str
    images: int
    inits: int = 3
    iterations: int = 300
    batch: int = 0
    precision: str = "single"

    def validate(self) -> None:
        """Check ranges."""
        super().validate()
        self.require_range("images", 2, 100_000)
        self.require_range("inits", 1, 100)
        self.require_range("iterations", 1, 100_000)
        self.require_choice("precision", PRECISIONS)
        self.require("batch", self.batch == 0, "0: leaving out is exact with all images at once")

    def title(self) -> str:
        """Line for lists."""
        nets = self.inits * (self.images + 1)
        return f"{nets} networks {self.net.label()} without one image of {self.run_key}"

    def work(self, shape: Shape, classes: int, tests: int) -> float:
        """Multiply-adds: training on all images (those left out are computed too), one test pass."""
        nets = self.inits * (self.images + 1)
        one = net_cost(self.net.plan(shape, classes), shape)
        twice = PRECISIONS[self.precision]
        return nets * (3.0 * twice * self.iterations * self.images + tests) * one.macs

    def cost(self, shape: Shape, classes: int, counts: Counts) -> Need:
        """Training and testing."""
        one = net_cost(self.net.plan(shape, classes), shape)
        batch = min(AT_ONCE, self.images + 1) * self.images
        pairs = self.inits * (self.images + 1.0) * counts.test
        need = self._need(one, 0, 0, batch, 2 * pairs + 4.0 * self.inits * one.parameters)
        return Need(self.work(shape, classes, counts.test), need.memory / 4 + 12 * pairs, need.disk)


@dataclass(frozen=True, kw_only=True)
class InfluenceTask(AnalysisTask):
    """Each image of each set left out in turn, from `inits` initialisations that all sets share.

    `network` is an architecture without batch norm and its width, such as convnet-16, trained for
    `iterations` full-batch steps at step size `lr` with momentum 0.9, in single or double `precision`.
    Beside the exact influence two cheap estimates are computed, from derivatives with respect to the weights
    that `estimate` names: last (the last layer), all, or none. `damping` is added to the Hessian's
    eigenvalues for one of them; with all weights some are negative, which it must outweigh: about .1.
    """

    KIND: ClassVar[str] = "influence"
    RUNNER: ClassVar[str] = "analysis.influence:run"

    network: str = "convnet-16"
    inits: int = 3
    iterations: int = 300
    lr: float = 0.01
    precision: str = "single"
    estimate: str = "last"
    damping: float = 0.001

    def validate(self) -> None:
        """Check ranges and the network's name."""
        super().validate()
        check_network(self)
        self.require_range("inits", 1, 100)
        self.require_range("iterations", 1, 100_000)
        self.require_range("lr", 1e-8, 1e3)
        self.require_choice("precision", PRECISIONS)
        self.require_choice("estimate", ESTIMATES)
        self.require_range("damping", 1e-12, 1e6)


def check_network(spec: AnalysisTask) -> None:
    """Refuse a name that is none, and networks whose batch norm lets images see each other."""
    arch, _ = parse("network", spec.network)
    mixes = ARCHITECTURES[arch].knobs.get("norm") == "batch"
    allowed = "a network without batch norm, in which an image left out would still count"
    spec.require("network", not mixes, allowed)


def loo_presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Narrow networks; published: the paper's, with its steps, from three initialisations.

    All analyses that share the retrained networks have these.
    """
    large = ipc > 5 or shape[1] >= 28
    quick = {"network": "convnet-8", "iterations": 100} if large else {"network": "convnet-16"}
    fewer = {"iterations": 100} if shape[1] >= 28 else {}
    return {
        "quick": {**quick, "inits": 2},
        "teaching": {"network": "convnet-16", "inits": 3, **fewer},
        "published": {"network": "convnet-128", "inits": 3},
    }


def loo_pools(spec: Any, chosen: Chosen) -> list[LeaveOneOut]:
    """The retrained networks of each run, for any spec with the fields of training."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    return [
        LeaveOneOut(
            data=chosen.data,
            net=net,
            seed=spec.seed,
            lr=spec.lr,
            run_key=run.key,
            images=run.images,
            inits=spec.inits,
            iterations=spec.iterations,
            precision=spec.precision,
        )
        for run in chosen.runs
    ]


def cost(spec: InfluenceTask, chosen: Chosen, counts: Counts) -> Cost:
    """The estimates: double precision, and a step of conjugate gradients is six passes."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    classifier = chosen.classes * (one.features + 1)
    macs = memory = 0.0
    for m in (run.images for run in chosen.runs):
        passes = m * (TYPICAL_STEPS * 6.0 * m + 6.0 * counts.test)
        products = m * (TYPICAL_STEPS * 2.0 * m + 2.0 * counts.test)
        macs += {"last": products * classifier, "all": passes * one.macs, "none": 0.0}[
            spec.estimate
        ]
        macs += 20.0 * m * counts.test  # ranks
        memory = max(memory, 16.0 * spec.inits * m * counts.test + 32.0 * m * one.activations)
    disk = sum(2.0 * run.images * counts.test for run in chosen.runs) + 1e5
    return Cost(2 * spec.inits * macs, memory=memory, disk=disk)


# --- computing ------------------------------------------------------------------------------------


def run(context: Context) -> None:
    """Task `influence`: means over initialisations, their agreement, and that of the estimates."""
    from ddcore.data.tensors import DeviceData

    spec: InfluenceTask = context.spec
    given = base.opened(context)
    data = DeviceData(given.dataset, context.device)
    labels = given.dataset.test_labels
    arrays: Arrays = {"test_labels": labels.astype(np.uint8)}
    facts, shown = {}, [np.zeros(0, np.int64)]
    total = len(given.pools) * spec.inits
    for place, (key, task) in enumerate(zip(given.sets, given.pools)):
        context.progress(place * spec.inits, total)
        made, stored = given.sets[key], task.arrays()
        own = made.hard_labels
        each = stored["influence"].astype(np.float32)  # (inits, M, N)
        mean = each.mean(0)
        arrays[f"influence.{key}"] = mean.astype(np.float16)
        arrays[f"value.{key}"] = each.mean(2).astype(np.float32)  # on the test loss, (inits, M)
        arrays[f"pixels.{key}"] = made.pixels()
        arrays[f"labels.{key}"] = own
        offered = most_moved(mean, labels)
        shown += [offered, *(_tops(values).ravel() for values in (mean, centred(mean, own)))]
        accuracy = stored["accuracy"]
        facts[key] = {
            "labels": own.tolist(),
            "tests": offered.tolist(),
            "agreement": {RAW: agreement(each), CENTRED: agreement(centred(each, own))},
            "same_class": {
                RAW: same_class(mean, own, labels),
                CENTRED: same_class(centred(mean, own), own, labels),
            },
            "accuracy": accuracy[:, -1].tolist(),
            "without": accuracy[:, :-1].mean(1).tolist(),
        }
        if spec.estimate != "none":
            facts[key]["estimates"] = _estimated(
                context, key, made, data, task, each, arrays, place * spec.inits, total
            )
    context.progress(total, total)
    rows = np.unique(np.concatenate(shown))
    result = {
        "sets": facts,
        "test_classes": {str(i): int(labels[i]) for i in rows},
        "tests": len(labels),
        "network": given.pools[0].result()["network"],
        "inits": spec.inits,
        "iterations": spec.iterations,
        "weights": spec.estimate,
        "damping": spec.damping,
        "pools": [task.key for task in given.pools],
        "soft": [key for key, made in given.sets.items() if made.soft],
    }
    base.save(context, given, result, arrays, {"shown": ("test", rows)})


def centred(influence: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Influence (..., M, N) minus its mean over the images of each class, `labels` (M,)."""
    found = np.array(influence)
    for c in np.unique(labels):
        rows = labels == c
        found[..., rows, :] -= influence[..., rows, :].mean(-2, keepdims=True)
    return found


def agreement(each: np.ndarray) -> float | None:
    """Mean rank correlation of two initialisations (R, M, N): over test images, for each image left out.

    None where there is one initialisation, or where every influence is the same.
    """
    from scipy.stats import rankdata

    if len(each) < 2:
        return None
    ranks = rankdata(each, axis=2)
    ranks -= ranks.mean(2, keepdims=True)
    size = np.sqrt((ranks**2).sum(2))
    found = []
    for a in range(len(each)):
        for b in range(a):
            both = size[a] * size[b]
            ok = both > 0
            found += ((ranks[a] * ranks[b]).sum(1)[ok] / both[ok]).tolist()
    return float(np.mean(found)) if found else None


def _tops(influence: np.ndarray) -> np.ndarray:
    """(M, up to 2 * TOP) test images that each image helps most, then those it hurts most."""
    order = np.argsort(-influence, axis=1, kind="stable")
    return np.concatenate([order[:, :TOP], order[:, ::-1][:, :TOP]], axis=1)


def same_class(influence: np.ndarray, own: np.ndarray, labels: np.ndarray) -> float:
    """Of the TOP test images that each image helps most, the share of its own class."""
    top = np.argsort(-influence, axis=1, kind="stable")[:, :TOP]
    return float((labels[top] == own[:, None]).mean())


def most_moved(influence: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of each class the test images whose loss depends most on which image is left out, sorted."""
    spread = influence.astype(np.float64).std(0)
    found = []
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        found.append(members[np.argsort(-spread[members], kind="stable")[:OFFERED]])
    return np.sort(np.concatenate(found))


def correlation(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Pearson and rank correlation over all pairs; 0 where one of them does not vary."""
    from scipy.stats import rankdata

    def pearson(x: np.ndarray, y: np.ndarray) -> float:
        x, y = x - x.mean(), y - y.mean()
        size = float(np.sqrt((x * x).sum() * (y * y).sum()))
        return float((x * y).sum() / size) if size > 0 else 0.0

    a, b = (np.asarray(v, np.float64).ravel() for v in (a, b))
    return {"pearson": pearson(a, b), "spearman": pearson(rankdata(a), rankdata(b))}


def _estimated(
    context: Context,
    key: str,
    made: DistilledSet,
    data: DeviceData,
    task: Task,
    each: np.ndarray,
    arrays: Arrays,
    before: int,
    total: int,
) -> dict[str, Any]:
    """Correlation of both estimates with the exact influence; a sample of points goes to `arrays`."""
    import torch

    from analysis import _loo
    from ddcore.nets.network import Network, select
    from ddcore.training import TrainedNets, limit_threads

    spec, own = context.spec, made.hard_labels
    network_ = Network(task.spec().net, data.shape, data.num_classes)
    limit_threads(network_, context.device)
    weights = {k: torch.from_numpy(w).to(context.device) for k, w in task.arrays("weights").items()}
    images, labels = (torch.from_numpy(a).to(context.device) for a in (made.images, own))
    sums, solved = {"dot": 0.0, "cg": 0.0}, []
    single: dict[str, list[dict[str, float]]] = {"dot": [], "cg": []}
    for r in range(spec.inits):
        context.progress(before + r, total, message="estimates")
        nets = TrainedNets(network_, select(weights, r), {})
        curvature = (
            _loo.last_layer(nets, images, labels)
            if spec.estimate == "last"
            else _loo.AllWeights(network_, nets.params, images, labels)
        )
        found = _loo.estimates(curvature, data.test, spec.damping, context.check_cancel)
        solved.append(found.solved)
        for name, values in (("dot", found.dot), ("cg", found.cg)):
            sums[name] = sums[name] + values / spec.inits
            single[name].append(correlation(values, each[r]))
    exact = each.mean(0)
    pick = rng.numpy_generator(spec.seed, "points", key).permutation(exact.size)[:POINTS]
    arrays[f"points.{key}"] = np.stack(
        [v.ravel()[pick] for v in (exact, sums["dot"], sums["cg"])]
    ).astype(np.float32)
    return {
        name: {
            **correlation(sums[name], exact),
            "single": single[name],
            "beyond": correlation(centred(sums[name], own), centred(exact, own))["spearman"],
        }
        for name in sums
    } | {
        "residual": max(s.residual for s in solved),
        "steps": max(s.steps for s in solved),
        "given_up": sum(s.given_up for s in solved),
    }


# --- showing --------------------------------------------------------------------------------------

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
        rows = self.arrays[f"{base.ROWS}test.shown"]
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
        lacking = base.lacks_images(self.arrays)
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
    view = _View(result, arrays, base.picked(ANALYSIS, result))
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


ANALYSIS = Analysis(
    name="influence",
    title="Influence",
    icon=":material/moving:",
    order=80,
    question="What does a single distilled image teach?",
    read="""\
- *Influence* of a distilled image on a test image: how much larger the test image's loss is when a network
  is trained without it. Positive: it helps. Nothing is approximated, every network is trained again.
- All networks of one initialisation start from the same weights, so they differ in the missing image alone.
  Values are means over several initialisations; the rank correlation says how far two of these agree.
- *Beyond its class mates* subtracts the mean over the images of its class: what this image does that others
  of its class do not.
- The last figure compares two cheap estimates with the truth.""",
    doubt="""\
- Without an image its class has one image less than the others, so much of the influence is the class's.
  That part is gone beyond class mates, but with 2 images per class what is left is just their difference.
- The test images helped most are often simply those with a large loss, whichever image is left out.
- Where two initialisations hardly agree, the picture of one would show chance.
- Influence is of one image out of a full set: two images that can replace each other both seem worthless.
- Rounding grows in training: in single precision equivalent computations differ by a few per cent of the
  spread of influences. Double precision takes about twice as long and settles it.
- Soft labels are replaced by their most likely class here.
- Means are over starts of the network. The sets were made once: nothing is said of another distillation.""",
    paper="""\
Yang et al. 2024 (Fig. 10; CIFAR-10, 10 images per class) retrain without each image in turn and show, for
each image of a class, the 9 test images whose loss grows most. In the picture of class airplane for
backpropagation through time all of them are airplanes, and rows differ in sky, ground, size and pose. They
conclude that single distilled images carry meaning beyond the class.""",
    differs="""\
The same retraining: 300 full-batch steps at step size .01 with momentum, one start shared by all networks.
They use one initialisation; here there are several, and their agreement is shown. All networks of one
initialisation are trained as one batched network, with a weight of 0 or 1 for each image. Ours as well: the
view beyond class mates, the reverse question for a test image, and the estimates: gradient dot products
(Pruthi et al. 2020, at the final weights) and the influence function (Koh & Liang 2017) by conjugate
gradients in double precision. Sets with 1 image per class are refused. *As published* is their network and
all test images.""",
    spec=InfluenceTask,
    presets=loo_presets,
    pools=loo_pools,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    options=options,
    pictures=pictures,
    least_ipc=2,
    least_why="without the only image of a class the class itself would be missing",
    smallest={"network": "convnet-4", "inits": 2, "iterations": 30},
)
