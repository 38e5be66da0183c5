"""Curvature: how bent is the loss on each set along training on real data?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from analysis import base, colours, drawing, significance
from analysis.base import Analysis, AnalysisTask, Arrays, Chosen, Cost, Drawn, Option, Result
from analysis.pools import Counts
from ddcore.errors import DDError
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network, parse

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as StaticFigure

    from analysis._hessian import Source
    from ddcore.nets.architectures import NetSpec
    from ddcore.nets.network import Params
    from ddcore.training import TrainedNets
    from ddcore.worker import Context

REAL = "real"
KEEP = 0.9  # share of the smoothed value that an iteration keeps (Yang et al. 2024)
PRODUCT, SHARED = 6, 3  # passes of a Hessian-vector product, and of the gradient several share
GRID, WIDTH = 400, 0.01  # points of a density, and its Gaussian's width as a share of the range
LOWEST_DENSITY = 1e-5
VIEWS = {"smooth": "smoothed", "raw": "as measured"}


@dataclass(frozen=True, kw_only=True)
class CurvatureTask(AnalysisTask):
    """`nets` networks in their first `iterations` on real training images; along the way, every `every`
    iterations, the Hessian of the loss on each set.

    `network` is an architecture and its width, such as convnet-16. Training is plain SGD with step size
    `lr`, momentum 0.9 and shuffled batches of `batch`. Traces take `probes` random directions, the same for
    all sets; the real set is a class-balanced sample of `real_images` (0: all). At `spectra` moments spread
    evenly, Lanczos gives the density from `starts` directions of `steps` products each, and those of the
    `top` largest eigenvalues on which the starts agree; one start alone has nothing to agree with.
    """

    KIND: ClassVar[str] = "curvature"
    VERSION: ClassVar[int] = 2
    RUNNER: ClassVar[str] = "analysis.curvature:run"

    network: str = "convnet-16"
    nets: int = 1
    iterations: int = 300
    every: int = 10
    batch: int = 64
    lr: float = 0.01
    real_images: int = 1000
    probes: int = 50
    spectra: int = 4
    top: int = 5
    starts: int = 2
    steps: int = 40

    def validate(self) -> None:
        """Check ranges and the network's name."""
        super().validate()
        parse("network", self.network)
        self.require_range("nets", 1, 100)
        self.require_range("iterations", 1, 100_000)
        self.require_range("every", 1, self.iterations)
        self.require_range("batch", 1, 1_000_000)
        self.require_range("lr", 1e-8, 1e3)
        self.require_range("real_images", 0, 10_000_000)
        self.require_range("probes", 2, 10_000)
        self.require_range("spectra", 1, 1 + self.iterations // self.every)
        self.require_range("steps", 2, 1000)
        self.require_range("top", 1, self.steps)
        self.require_range("starts", 1, 1000)

    def moments(self) -> np.ndarray:
        """Iterations of the traces (T,), the network before training included."""
        return np.arange(0, self.iterations + 1, self.every)

    def spectrum_places(self) -> np.ndarray:
        """Which of the moments get eigenvalues and densities; one alone is the last."""
        last = len(self.moments()) - 1
        return np.linspace(last if self.spectra == 1 else 0, last, self.spectra).round().astype(int)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Fewer moments and real images on larger images; published: the paper's network, batch and grid."""
    few = {"spectra": 2}
    if shape[1] < 28:
        quick, teaching = {"every": 30, "probes": 20, "real_images": 300, **few}, {}
    else:
        quick = {"every": 60, "probes": 10, "real_images": 100, **few}
        teaching = {"nets": 3, "probes": 10, "real_images": 2000, "batch": 256, **few}
        teaching |= {"network": "convnet-32"}
    published = {
        "network": "convnet-128",
        "every": 1,
        "batch": 256,
        "real_images": 0,
        "probes": 100,
    }
    return {"quick": quick, "teaching": teaching, "published": published}


def products(spec: CurvatureTask, sizes: list[int]) -> float:
    """Images times directions that go through Hessian-vector products for one network."""
    each = len(spec.moments()) * spec.probes + spec.spectra * spec.starts * spec.steps
    return float(each * sum(sizes))


def cost(spec: CurvatureTask, chosen: Chosen, counts: Counts) -> Cost:
    """Training once, Hessian-vector products, one gradient per image at each moment."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    sizes = [r.images for r in chosen.runs] + [min(spec.real_images or counts.train, counts.train)]
    moments = len(spec.moments())
    passes = PRODUCT * products(spec, sizes)
    passes += SHARED * sum(sizes) * (2 * moments + spec.spectra * spec.steps)
    passes += 3 * spec.iterations * min(spec.batch, counts.train)
    vectors = max(3.0 * spec.probes, 3.0 * spec.starts * spec.steps) * one.parameters
    stored = 8.0 * spec.nets * len(sizes) * (moments * spec.probes + 2 * spec.spectra * spec.steps)
    held = 4.0 * 6 * one.activations * min(200, max(sizes)) + 4.0 * vectors
    return Cost(spec.nets * passes * one.macs, memory=held + stored, disk=stored + 1e5)


# --- computing ------------------------------------------------------------------------------------


def run(context: Context) -> None:
    """Task `curvature`: train on real data, and along the way measure the loss on every set."""
    import torch

    from analysis._hessian import AGREED, Images
    from analysis._pools import train_real
    from ddcore import rng
    from ddcore.data.tensors import DeviceData
    from ddcore.nets.network import Network
    from ddcore.training import limit_threads

    spec: CurvatureTask = context.spec
    given = base.opened(context)
    data = DeviceData(given.dataset, context.device)
    net = network("network", spec.network, given.chosen.shape, given.chosen.classes)
    limit_threads(Network(net, data.shape, data.num_classes), context.device)

    def source(images: np.ndarray, labels: np.ndarray) -> Images:
        return Images(
            torch.from_numpy(images).to(data.device), torch.from_numpy(labels).to(data.device)
        )

    sets: dict[str, Source] = {k: source(s.images, s.hard_labels) for k, s in given.sets.items()}
    sets[REAL] = data.train
    if spec.real_images:
        rows = base.same_size(given, spec.seed, ipc=spec.real_images // given.chosen.classes)
        rows = torch.from_numpy(rows)
        sets[REAL] = Images(data.train.batch(rows), data.train.labels[rows.to(data.device)])
    job = _Measuring(context, net, data.shape, data.num_classes, sets)
    for i in range(spec.nets):
        if not job.finished(
            i
        ):  # a resumed task trains again, which is quick and gives the same weights
            train_real(
                net,
                data.train,
                data.num_classes,
                [rng.derive(spec.seed, "curvature", i)],
                iterations=spec.iterations,
                batch=spec.batch,
                lr=spec.lr,
                on_iteration=lambda t, nets, i=i: job.look(i, t, nets),
            )
    arrays = job.arrays | {
        "steps": spec.moments(),
        "spectra": spec.moments()[spec.spectrum_places()],
    }
    sizes = {key: len(s) for key, s in sets.items()}
    result = {
        "sets": {
            k: {"images": sizes[k], **known} for k, known in facts(arrays, spec.every).items()
        },
        "nets": spec.nets,
        "probes": spec.probes,
        "every": spec.every,
        "last": spec.iterations,
        "spectra": arrays["spectra"].tolist(),
        "network": net.label(),
        "parameters": job.size,
        "all_real": not spec.real_images,
        "agreed": AGREED,
        "asymmetry": max(float(arrays[f"asymmetry.{k}"].max()) for k in sets),
        "soft": [k for k, s in given.sets.items() if s.soft],
    }
    base.save(context, given, result, arrays)


class _Measuring:
    """Measures every set at the moments of each network's training, and keeps what it found."""

    def __init__(
        self, context: Context, net: NetSpec, shape: Shape, classes: int, sets: dict[str, Source]
    ) -> None:
        from ddcore.nets.network import Network

        self.context, self.sets = context, sets
        self.spec: CurvatureTask = context.spec
        self.network = Network(net, shape, classes, fused_norm=False)
        self.size = net_cost(self.network.plan, shape).parameters
        self.moments = self.spec.moments().tolist()
        self.places = self.spec.spectrum_places().tolist()
        self.one = products(self.spec, [len(s) for s in sets.values()]) / 1000  # of progress
        self.one += len(self.moments) * sum(len(s) for s in sets.values()) / 1000  # Fisher traces
        self.seen = 0.0
        resumed = context.load_checkpoint()
        self.arrays, meta = resumed or (self._empty(), {"done": 0})
        self.done: int = meta["done"]
        for place in range(self.done):
            self.seen += self._work(place % len(self.moments))

    def _empty(self) -> Arrays:
        spec, moments = self.spec, len(self.moments)
        nodes = (spec.nets, spec.spectra, spec.starts, min(spec.steps, self.size))
        top = (spec.nets, spec.spectra, min(spec.top, self.size))
        shapes = {
            "samples": (spec.nets, moments, spec.probes),
            "fisher": (spec.nets, moments),
            "asymmetry": (spec.nets, moments),
            "nodes": nodes,
            "weights": nodes,
            "top": top,
            "bounds": top,
            "lowest": (spec.nets, spec.spectra),
        }
        return {f"{name}.{k}": np.zeros(s) for name, s in shapes.items() for k in self.sets}

    def _work(self, place: int) -> float:
        spec = self.spec
        each = spec.probes + 1 + spec.starts * spec.steps * self.places.count(place)
        return float(each * sum(len(s) for s in self.sets.values()))

    def finished(self, net: int) -> bool:
        """Whether all moments of a network are known."""
        return self.done >= (net + 1) * len(self.moments)

    def look(self, net: int, t: int, nets: TrainedNets) -> None:
        """Measure the network as it is after `t` iterations, if that is a moment not yet known."""
        self.context.check_cancel()
        place, rest = divmod(t, self.spec.every)
        number = net * len(self.moments) + place
        if rest or number < self.done:
            return
        for key, source in self.sets.items():
            self._measure(key, source, net, place, nets.params, nets.stats)
        self.done = number + 1
        if self.context.checkpoint_due():
            self.context.save_checkpoint(self.done, self.arrays, {"done": self.done})

    def _measure(
        self, key: str, source: Source, net: int, place: int, weights: Params, stats: Params
    ) -> None:
        from analysis import _hessian

        spec = self.spec
        weights = {name: w.detach().clone() for name, w in weights.items()}
        loss = _hessian.MeanLoss(self.network, weights, source, stats, self._tick)
        trace = _hessian.trace(loss, spec.probes, spec.seed)
        t = self.moments[place]
        if not np.isfinite(trace.value):
            raise DDError(
                f"The loss is not finite after {t} iterations: choose a smaller step size."
            )
        if trace.asymmetry > _hessian.ASYMMETRY:
            raise DDError(
                f"The Hessian after {t} iterations is not symmetric: {trace.asymmetry:.1e}."
            )
        found = {
            "samples": trace.samples.numpy(),
            "fisher": _hessian.fisher_trace(loss),
            "asymmetry": trace.asymmetry,
        }
        for name, values in found.items():
            self.arrays[f"{name}.{key}"][net, place] = values
        if place not in self.places:
            return
        spectrum = _hessian.spectrum(loss, spec.starts, spec.steps, spec.seed)
        top, bounds = spectrum.top(spec.top)
        found = {
            "nodes": spectrum.nodes.numpy(),
            "weights": spectrum.weights.numpy(),
            "top": top.numpy(),
            "bounds": bounds.numpy(),
            "lowest": spectrum.lowest()[0],
        }
        for name, values in found.items():
            self.arrays[f"{name}.{key}"][net, self.places.index(place)] = values

    def _tick(self, images: int) -> None:
        self.seen += images
        total = round(self.one * self.spec.nets)
        self.context.progress(min(round(self.seen / 1000), total), total)


# --- what the curves say --------------------------------------------------------------------------


def smooth(values: np.ndarray, every: int) -> np.ndarray:
    """s_t = k s_(t-1) + (1 - k) x_t along the first axis, started at the first value.

    k is .9 for each iteration, as published, so .9^every for moments that far apart.
    """
    keep = KEEP**every
    found = [values[0]]
    for value in values[1:]:
        found.append(keep * found[-1] + (1 - keep) * value)
    return np.stack(found)


def mean_and_error(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the last axis, the probes, and its standard error."""
    return samples.mean(-1), samples.std(-1, ddof=1) / np.sqrt(samples.shape[-1])


def quadratic(arrays: Arrays, key: str, view: str, every: int) -> np.ndarray:
    """v.Hv (T, probes) of a set, mean of the networks. Smoothing is linear, so each probe is smoothed."""
    samples = arrays[f"samples.{key}"].mean(0)
    return smooth(samples, every) if view == "smooth" else samples


def facts(arrays: Arrays, every: int) -> dict[str, dict[str, Any]]:
    """For each set and view of its trace: the peak, the end, and from when on it is below the real one.

    `below` is the first moment, not before the peak, from which on the trace is smaller than the real one
    at *every* measured moment: by the tests of `lower`, with the correction over all sets and moments of a
    view. None if there is none. Peaks and ends are also given as shares of the real ones.
    """
    steps, keys = (
        arrays["steps"],
        [k.removeprefix("samples.") for k in arrays if k.startswith("samples.")],
    )
    found: dict[str, dict[str, Any]] = {key: {} for key in keys}
    for view in VIEWS:
        truth = mean_and_error(quadratic(arrays, REAL, view, every))[0]
        others = [key for key in keys if key != REAL]
        tests = np.array([lower(arrays, key, view, every).p for key in others])
        claimed = dict(zip(others, significance.discoveries(tests)))
        for key in keys:
            values, errors = mean_and_error(quadratic(arrays, key, view, every))
            peak = int(values.argmax())
            start = None if key == REAL else since(claimed[key], peak)
            found[key][view] = {
                "peak": float(values[peak]),
                "peak_at": int(steps[peak]),
                "peak_to_real": _share(values[peak], truth.max()),
                "below": None if start is None else int(steps[start]),
                "last": float(values[-1]),
                "last_to_real": _share(values[-1], truth[-1]),
                "error": float(errors[peak]),
            }
    return found


def lower(arrays: Arrays, key: str, view: str, every: int) -> significance.Test:
    """Whether a set's trace (T,) is smaller than the real one, at each moment.

    Of several networks each has one value of the difference, since it is networks that vary. Of one network
    each probe has one, which both sets share: then only the estimate is in doubt, and nothing is said of
    other networks.
    """
    gap = arrays[f"samples.{key}"] - arrays[f"samples.{REAL}"]  # (nets, T, probes)
    gap = gap[0] if len(gap) == 1 else gap.mean(-1).T
    return significance.paired(smooth(gap, every) if view == "smooth" else gap, significance.LESS)


def since(claimed: np.ndarray, peak: int) -> int | None:
    """The first place, not before `peak`, from which on all are claimed; None if the last is not."""
    unclaimed = np.flatnonzero(~claimed)
    first = max(peak, int(unclaimed[-1]) + 1 if len(unclaimed) else 0)
    return first if first < len(claimed) else None


def _share(value: float, of: float) -> float | None:
    """None where the whole is not positive."""
    return float(value / of) if of > 0 else None


def density(nodes: np.ndarray, weights: np.ndarray, grid: np.ndarray, width: float) -> np.ndarray:
    """Spectral density on a grid: the quadratures (..., m) of all starts, each node a Gaussian of `width`."""
    count = nodes.size // nodes.shape[-1]
    apart = (grid[:, None] - nodes.ravel()) / width
    bells = np.exp(-0.5 * apart**2) / (width * np.sqrt(2 * np.pi))
    return (bells * weights.ravel()).sum(1) / count


def moment_of(arrays: Arrays, key: str, place: int, power: int) -> float:
    """Mean of the eigenvalues' powers at a spectrum, by the quadratures; power 0 is the mass."""
    nodes, weights = arrays[f"nodes.{key}"][:, place], arrays[f"weights.{key}"][:, place]
    return float((weights * nodes**power).sum(-1).mean())


# --- showing --------------------------------------------------------------------------------------


def options(result: Result, picked: dict[str, str]) -> Iterator[Option]:
    """Which curves, and when the spectrum is looked at."""
    yield Option("view", "Curves", VIEWS)
    moments = [(str(i), str(t)) for i, t in enumerate(result["spectra"])]
    yield Option("at", "Spectrum at iteration", dict(reversed(moments)))


def series(result: Result) -> list[tuple[str, str, colours.Style]]:
    """(key, label, look) of each run, then of the real images."""
    runs, real = result["runs"], result["sets"][REAL]["images"]
    looks = colours.styles([r["method"] for r in runs])
    found = [(r["key"], r["label"], look) for r, look in zip(runs, looks)]
    label = f"All {real:,} real images" if result["all_real"] else f"{real:,} real images"
    return [*found, (REAL, label, colours.Style(colours.REAL))]


def curve(result: Result, arrays: Arrays, key: str, view: str) -> tuple[np.ndarray, ...]:
    """Trace (T,) of a set, and the lower and upper edge of its band: a standard error of the probes, or, of
    several networks, the lowest and highest of them."""
    mean, error = mean_and_error(quadratic(arrays, key, view, result["every"]))
    if result["nets"] == 1:
        return mean, mean - error, mean + error
    each = arrays[f"samples.{key}"].mean(-1).T
    each = smooth(each, result["every"]) if view == "smooth" else each
    return mean, each.min(1), each.max(1)


def fisher_curve(result: Result, arrays: Arrays, key: str, view: str) -> np.ndarray:
    """Fisher trace (T,) of a set, mean of the networks."""
    mean = arrays[f"fisher.{key}"].mean(0)
    return smooth(mean, result["every"]) if view == "smooth" else mean


def number(value: float) -> str:
    """For reading: 4,812, 73.5, -0.52."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Traces of the Hessian and of the Fisher matrix, one density, and the eigenvalues beside it."""
    view, place = picked["view"], int(picked["at"])
    return [
        _trace(result, arrays, view),
        _fisher(result, arrays, view),
        _density(result, arrays, place),
        _eigenvalues(result, arrays, place),
    ]


def _networks(result: Result) -> str:
    return f"{result['nets']} network{'s' if result['nets'] > 1 else ''} {result['network']}"


def _trace(result: Result, arrays: Arrays, view: str) -> Drawn:
    steps, title = arrays["steps"], "trace of the Hessian"
    figure = drawing.new_figure("iteration of training on real data", title)
    for key, label, look in series(result):
        mean, low, high = curve(result, arrays, key, view)
        figure.add_scatter(
            x=np.concatenate([steps, steps[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            fill="toself",
            fillcolor=drawing.faded(look.colour, 0.18),
            line={"width": 0},
            hoverinfo="skip",
            legendgroup=key,
            showlegend=False,
        )
        figure.add_scatter(
            x=steps,
            y=mean,
            name=label,
            legendgroup=key,
            mode="lines",
            line={"color": look.colour, "dash": look.dash, "width": 3 if key == REAL else 2},
            hovertemplate=f"{label}<br>iteration %{{x}}: %{{y:.4g}}<extra></extra>",
        )
        known = result["sets"][key][view]
        marks = [("peak", known["peak_at"], look.symbol), ("below real", known["below"], "x-thin")]
        for words, t, symbol in marks:
            if t is None:
                continue
            figure.add_scatter(
                x=[t],
                y=[mean[np.searchsorted(steps, t)]],
                mode="markers",
                marker={
                    "color": look.colour,
                    "symbol": symbol,
                    "size": 11,
                    "line": {"width": 3 if symbol == "x-thin" else 0, "color": look.colour},
                },
                legendgroup=key,
                showlegend=False,
                hovertemplate=f"{label}<br>{words}, iteration %{{x}}: %{{y:.4g}}<extra></extra>",
            )
    words = "; ".join(_words(result, key, label, view) for key, label, _ in series(result))
    band = (
        "from the lowest to the highest"
        if result["nets"] > 1
        else "one standard error of the probes"
    )
    caption = (
        f"{_networks(result)}, {result['probes']} probes; bands: {band}. Marker: peak; cross: below the "
        f"real curve from there to the end ({_tested(result)}). {words}."
    )
    return Drawn(f"Trace of the Hessian, {VIEWS[view]}", figure, caption)


def _tested(result: Result) -> str:
    """What was tested, and over what it varies."""
    nets = result["nets"]
    over = f"{nets} networks" if nets > 1 else "the probes of this one network alone"
    return f"{significance.RULE} at every moment, over {over}"


def _words(result: Result, key: str, label: str, view: str) -> str:
    known = result["sets"][key][view]
    text = (
        f"{label}: peak {number(known['peak'])} at {known['peak_at']}, end {number(known['last'])}"
    )
    return text + ("" if known["below"] is None else f", below real {_from(known, result)}")


def _from(known: dict[str, Any], result: Result) -> str:
    """Moments are `every` iterations apart, so the last of them may be the only one."""
    start = known["below"]
    return f"at {start}, the end" if start == ends(result) else f"from {start} to the end"


def ends(result: Result) -> int:
    """The last iteration at which traces are measured."""
    return result["last"] - result["last"] % result["every"]


def _fisher(result: Result, arrays: Arrays, view: str) -> Drawn:
    figure = drawing.new_figure("iteration of training on real data", "trace of the Fisher matrix")
    parts = []
    for key, label, look in series(result):
        mean = fisher_curve(result, arrays, key, view)
        figure.add_scatter(
            x=arrays["steps"],
            y=mean,
            name=label,
            mode="lines",
            line={"color": look.colour, "dash": look.dash, "width": 3 if key == REAL else 2},
            hovertemplate=f"{label}<br>iteration %{{x}}: %{{y:.4g}}<extra></extra>",
        )
        parts.append(f"{label} {number(mean.max())}, then {number(mean[-1])}")
    caption = (
        "Mean squared norm of the gradient of single images, which cannot be negative and needs no "
        f"probes. Highest value and end: {'; '.join(parts)}."
    )
    return Drawn(f"Trace of the empirical Fisher matrix, {VIEWS[view]}", figure, caption)


def densities(
    result: Result, arrays: Arrays, place: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Grid of eigenvalues (G,) that holds all sets' spectra, and the density of each set on it."""
    nodes = {key: arrays[f"nodes.{key}"][:, place] for key in result["sets"]}
    low, high = min(n.min() for n in nodes.values()), max(n.max() for n in nodes.values())
    spread = max(high - low, 1e-9)
    width = WIDTH * spread
    grid = np.linspace(low - 4 * width, high + 4 * width, GRID)
    return grid, {
        key: density(n, arrays[f"weights.{key}"][:, place], grid, width) for key, n in nodes.items()
    }


def _density(result: Result, arrays: Arrays, place: int) -> Drawn:
    figure = drawing.new_figure("eigenvalue of the Hessian", "density")
    grid, curves = densities(result, arrays, place)
    floor = LOWEST_DENSITY * max(c.max() for c in curves.values())
    parts = []
    for key, label, look in series(result):
        figure.add_scatter(
            x=grid,
            y=np.where(curves[key] > floor, curves[key], np.nan),
            name=label,
            mode="lines",
            line={"color": look.colour, "dash": look.dash, "width": 3 if key == REAL else 2},
            hovertemplate=f"{label}<br>%{{x:.4g}}: density %{{y:.3g}}<extra></extra>",
        )
        mean, square = (moment_of(arrays, key, place, power) for power in (1, 2))
        parts.append(f"{label} {mean:.3g} and {np.sqrt(square):.3g}")
    figure.update_yaxes(type="log", tickformat="~g", dtick=1)
    t = int(arrays["spectra"][place])
    mass = [moment_of(arrays, key, place, 0) for key in curves]
    caption = (
        f"How the {result['parameters']:,} eigenvalues are distributed after {t} iterations, each smoothed "
        f"by {100 * WIDTH:g} % of the range (mass {min(mass):.3f} to {max(mass):.3f}). Mean and root mean "
        f"square: {'; '.join(parts)}."
    )
    return Drawn(f"Density of the eigenvalues at iteration {t}", figure, caption)


def _eigenvalues(result: Result, arrays: Arrays, place: int) -> Drawn:
    figure = drawing.new_figure("rank", "eigenvalue")
    parts = []
    for key, label, look in series(result):
        # Mean of the networks; a rank that has not converged in one of them is NaN, and not drawn.
        top, bounds = (arrays[f"{name}.{key}"][:, place].mean(0) for name in ("top", "bounds"))
        figure.add_scatter(
            x=np.arange(1, len(top) + 1),
            y=top,
            error_y={"array": bounds, "thickness": 1},
            name=label,
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 1},
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            hovertemplate=f"{label}<br>number %{{x}}: %{{y:.5g}}<extra></extra>",
        )
        low = arrays[f"lowest.{key}"][:, place].mean()
        ends_ = f"{_known(top[0])} to {_known(low)}"
        parts.append(f"{label} {ends_}, {int(np.isfinite(top).sum())} of {len(top)} ranks shown")
    figure.update_xaxes(dtick=1, range=[0.5, arrays[f"top.{REAL}"].shape[-1] + 0.5])
    t = int(arrays["spectra"][place])
    caption = (
        "Lanczos from several random starts. A rank is shown where estimates from each start, from fewer "
        f"steps and from all starts together differ by at most {100 * result['agreed']:g} % of the largest "
        "eigenvalue, and so do all ranks before it; the others have not converged. Bars: by how much these "
        f"estimates differ, but for rounding (about {result['asymmetry']:.0e} of the largest). Largest to "
        f"smallest: {'; '.join(parts)}."
    )
    return Drawn(f"Largest eigenvalues at iteration {t}", figure, caption)


def _known(value: float) -> str:
    return number(value) if np.isfinite(value) else "(not converged)"


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """The paper's curves: as measured, and smoothed."""
    import seaborn as sns

    figure, axes = drawing.panels(1, 2, width=4.2)
    for ax, view in zip(axes[0], ("raw", "smooth")):
        _lines(ax, result, arrays, view)
        sns.despine(ax=ax)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def _lines(ax: Axes, result: Result, arrays: Arrays, view: str) -> None:
    import seaborn as sns

    steps = arrays["steps"]
    for key, label, look in series(result):
        colour = "black" if key == REAL else look.colour
        mean, low, high = curve(result, arrays, key, view)
        sns.lineplot(
            x=steps, y=mean, ax=ax, color=colour, linestyle=look.linestyle, lw=1.4, legend=False
        )
        ax.lines[-1].set_label(label)
        ax.fill_between(steps, low, high, color=colour, alpha=0.18, lw=0)
        known = result["sets"][key][view]
        for t, marker, edge in ((known["peak_at"], look.marker, 0.8), (known["below"], "x", 1.8)):
            if t is not None:
                level = mean[np.searchsorted(steps, t)]
                colours_of = (
                    {"color": colour} if marker == "x" else {"color": colour, "mec": "black"}
                )
                ax.plot(t, level, marker, ms=6, mew=edge, **colours_of)
    ax.set(xlabel="Iteration", ylabel=f"Trace, {VIEWS[view]}", xlim=(0, steps[-1]))


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, network and moment; eigenvalues where there is a spectrum."""
    rows, spectra = [], arrays["spectra"].tolist()
    for key, label, _ in series(result):
        samples = arrays[f"samples.{key}"]
        value, error = mean_and_error(samples)
        smoothed = smooth(value.T, result["every"]).T
        top, bounds = arrays[f"top.{key}"], arrays[f"bounds.{key}"]
        for net in range(result["nets"]):
            for i, t in enumerate(arrays["steps"].tolist()):
                row = {"set": key, "label": label, "net": net, "iteration": t}
                row |= {"trace": float(value[net, i]), "standard_error": float(error[net, i])}
                row["trace_smoothed"] = float(smoothed[net, i])
                row["fisher_trace"] = float(arrays[f"fisher.{key}"][net, i])
                row["asymmetry"] = float(arrays[f"asymmetry.{key}"][net, i])
                if t in spectra:
                    place = spectra.index(t)
                    for k in range(top.shape[-1]):
                        row[f"eigenvalue_{k + 1}"] = _cell(top[net, place, k])
                        row[f"bound_{k + 1}"] = _cell(bounds[net, place, k])
                    row["lowest"] = _cell(arrays[f"lowest.{key}"][net, place])
                rows.append(row)
    return rows


def _cell(value: float) -> float | str:
    """Empty where it has not converged."""
    return float(value) if np.isfinite(value) else ""


def sentence(result: Result) -> str:
    """Where each set's smoothed trace peaks, how it ends, and since when it is below the real one."""
    real = result["sets"][REAL]["smooth"]
    parts = [
        f"{run['label']} **{number(known['peak'])}** at {known['peak_at']}, {ending(known, result)}"
        for run in result["runs"]
        for known in [result["sets"][run["key"]]["smooth"]]
    ]
    return (
        "Along training on real data the smoothed trace of the Hessian on real images peaks at "
        f"{number(real['peak'])} (iteration {real['peak_at']}) and ends at {number(real['last'])}. On the "
        f"sets: {'; '.join(parts)}. Tested: {_tested(result)}."
    )


def ending(known: dict[str, Any], result: Result) -> str:
    """How a trace ends: below the real one, where that was shown, or what was measured and not shown."""
    share = known["last_to_real"]
    if share is None or known["last"] < 0:  # as a share it would say nothing
        measured = f"ends at {number(known['last'])}"
    elif share < 1:
        measured = f"ends at {per_cent(share)} of the real one"
    else:
        measured = f"ends at {per_cent(share)} of the real one, not below it"
    if known["below"] is not None:
        return f"below the real one {_from(known, result)} ({measured})"
    if share is None or share < 1:
        return f"{measured}, not shown to be below it"
    return measured


def per_cent(share: float) -> str:
    """Without decimals, unless rounding would make the part the whole."""
    digits = next(d for d in (0, 1, 2, 6) if share == 1 or d == 6 or round(100 * share, d) != 100)
    return f"{100 * share:.{digits}f} %"


ANALYSIS = Analysis(
    name="curvature",
    title="Curvature",
    icon=":material/show_chart:",
    order=70,
    question="How much is left to learn from each set, as training on real data goes on?",
    read="""\
- A network is trained on real images only. Along the way the loss is looked at on each set, at the same
  weights: the trace of its Hessian, the sum of all curvatures, stands for what that set could still
  change. High: much to learn from it. Near 0: the loss is flat, nothing more to learn.
- A set whose curve rises with the real one, peaks and then collapses below it holds what is learnt early,
  and little of what comes later.
- Marker: peak. Cross: from here to the end the curve is below the real one, at every moment that is
  measured: by a t test of the difference, at most 5 % of such findings false over all sets and moments
  (Benjamini-Hochberg). All sets have the same random probes, so much of their noise cancels.
- The test is over networks where there are several. Of one network it is over probes, and speaks of that
  network alone.
- The Fisher trace tells the same story from first derivatives alone. The density shows where the
  curvature is: most directions are flat, and a few large eigenvalues stand out.
- Eigenvalues are shown by rank only where estimates from several random starts, from fewer steps and from
  all starts together agree; a bar is by how much they differ. A single estimate may skip an eigenvalue.""",
    doubt="""\
- The trace is an estimate: look at the standard error, and take more probes if curves touch.
- It **can be negative**, above all in the first iterations: the loss of a network is no bowl, and there
  the directions that curve down may outweigh the others.
- A trace near 0 also comes from fitting a set perfectly: a few easy images are enough. It does not say that
  a set is bad.
- Curvature depends on how a network is scaled; compare sets at the same weights, not networks.
- Smoothing delays peaks and crossings. Look at the curves as measured, too.
- In the paper only two of four sets collapse. Distribution and gradient matching stay above the real curve
  to iteration 300: *distilled data holds only what is learnt early* is not shown for them.
- What varies is named under the figure: networks where there are several, else probes. The sets were made
  once, and all are measured at the same weights.""",
    paper="""\
Yang et al. 2024 (CIFAR-10, 10 images per class; traces, smoothed) see all curves rise together until
iteration 60. Peaks at 80 to 95: trajectory matching about 4,800, backpropagation 4,300, gradient matching
4,000, distribution matching 3,700, real data 2,200. At 300: real 1,800, backpropagation 440 and trajectory
matching 730, but distribution matching 2,300 and gradient matching 2,000, both still above real.""",
    differs="""\
- Their estimator, PyHessian 0.1, stops when the running mean hardly changes, and divides by that mean with
  its sign: where it is negative it stops after two probes, and elsewhere after a number that varies by
  chance. Here the number of probes is fixed, they are the same everywhere, and their error is shown.
- They have no eigenvalue, density or Fisher trace; these are ours.
- Their dotted line at iteration 60 was placed by hand; here peak and crossing have a definition.
- The factor .9 of the smoothing is per iteration; where only every tenth is measured it is .9^10.
- Every result holds how far its products are from those of a symmetric matrix, u.Hv against v.Hu: library
  norm layers can make them silently wrong.
- The real curve is of a class-balanced sample unless `real_images` is 0. *As published* has their network,
  batch, moments and all real images.""",
    spec=CurvatureTask,
    presets=presets,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    options=options,
    smallest={
        "network": "convnet-4",
        "nets": 2,
        "iterations": 60,
        "every": 30,
        "real_images": 50,
        "probes": 3,
        "spectra": 2,
        "top": 2,
        "starts": 2,
        "steps": 4,
    },
)
