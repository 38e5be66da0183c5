"""Pixel density: are the pixel values of distilled images distributed as those of real ones?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from analysis import base, colours, drawing
from analysis.base import Analysis, AnalysisTask, Arrays, Chosen, Cost, Drawn, Option, Result
from analysis.pools import Counts
from ddcore.base import rng
from ddcore.base.texts import percent
from ddcore.nets.plan import Shape

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure

    from ddcore.data import Dataset
    from ddcore.sets.distilled import DistilledSet
    from ddcore.tasks.store import Task
    from ddcore.tasks.worker import Context

REAL = "real"
GRID = 512
FINE = 256  # cells per bandwidth: the density is exact to about 1e-4 of its height
ROUNDING = 1e-6  # of taking the normalisation back: nearer to 0 or 1 does not count as outside
LEVEL = 0.02  # grey levels: nearer to a whole one is one, after float32 has gone there and back


@dataclass(frozen=True, kw_only=True)
class PixelsTask(AnalysisTask):
    """Pixel values of the sets beside those of `real_images` test images per class (drawn by `seed`)."""

    KIND: ClassVar[str] = "pixels"
    RUNNER: ClassVar[str] = "analysis.pixels:run"
    SLOT: ClassVar[str] = "light"

    real_images: int = 20

    def validate(self) -> None:
        """Check ranges."""
        super().validate()
        self.require_range("real_images", 1, 1000)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """More real images for a smoother curve; published: one image of a class, so any number will do."""
    return {"quick": {}, "teaching": {"real_images": 50}, "published": {"real_images": 100}}


def cost(spec: PixelsTask, chosen: Chosen, counts: Counts) -> Cost:
    """A few thousand points of a grid for each set and channel."""
    channels, values = chosen.shape[0], float(np.prod(chosen.shape))
    sets = len(chosen.runs) + 1
    images = sum(r.images for r in chosen.runs)
    macs = sets * (channels + 1) * GRID * 4096.0 + images * values
    disk = values * (4.0 * images + spec.real_images * chosen.classes)
    return Cost(macs, memory=16 * values * images, disk=disk)


# --- computing ------------------------------------------------------------------------------------


def run(context: Context) -> None:
    """Task `pixels`: exact extremes and densities of every set, and the pixels for single images."""
    spec: PixelsTask = context.spec
    given = base.opened(context)
    rounded = [k for k, made in given.sets.items() if eight_bit(context.store.find(k), made)]
    rows = real_sample(given.dataset, spec.real_images, spec.seed)
    arrays: Arrays = {
        "real_labels": given.dataset.test_labels[rows],
    }
    values = {REAL: given.dataset.test_images[rows].astype(np.float64) / 255}
    for key, made in given.sets.items():
        arrays[f"pixels.{key}"] = made.pixels()
        arrays[f"labels.{key}"] = made.hard_labels
        values[key] = arrays[f"pixels.{key}"].astype(np.float64)
    channels = given.chosen.shape[0]
    low, high = min(map(np.min, values.values())), max(map(np.max, values.values()))
    margin = 0.3 * (high - low)
    grid = np.linspace(low - margin, high + margin, GRID)
    arrays["grid"], facts = grid, {}
    for step, (key, pixels) in enumerate(values.items()):
        context.progress(step, len(values))
        parts = [pixels, *(pixels[:, c] for c in range(channels) if channels > 1)]
        arrays[f"density.{key}"] = np.stack([density(p.ravel(), grid) for p in parts])
        facts[key] = [extremes(p) for p in parts]
    context.progress(len(values), len(values))
    shown = {"real_images": ("test", rows)}
    found = {"channels": channels, "sets": facts, "eight_bit": rounded}
    base.save(context, given, found, arrays, shown)


def eight_bit(task: Task, made: DistilledSet) -> bool:
    """Whether a set came from 8-bit pixels: it was opened as such, or all its pixels are among the 256."""
    if task.document()["spec"].get("scale") == "byte":
        return True
    levels = 255 * made.pixels().astype(np.float64)
    near = np.abs(levels - np.rint(levels).clip(0, 255)) < LEVEL
    return bool(near.all())


def real_sample(dataset: Dataset, per_class: int, seed: int) -> np.ndarray:
    """Sorted rows of `per_class` test images of every class, fewer where there are not so many."""
    found = []
    for c in range(dataset.num_classes):
        members = np.flatnonzero(dataset.test_labels == c)
        found.append(rng.numpy_generator(seed, "pixels", c).permutation(members)[:per_class])
    return np.sort(np.concatenate(found))


def extremes(pixels: np.ndarray) -> dict[str, float]:
    """Exact facts about pixel values on the scale where real ones are 0..1; nothing is clamped."""
    below, above = pixels < -ROUNDING, pixels > 1 + ROUNDING
    return {
        "min": float(pixels.min()),
        "max": float(pixels.max()),
        "below": float(below.mean()),
        "above": float(above.mean()),
        "outside": float((below | above).mean()),
        "mean": float(pixels.mean()),
        "std": float(pixels.std()),
    }


def density(values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Gaussian kernel density (G,) of values (n,) on a grid, with Scott's bandwidth.

    That is the default of scipy and seaborn. Values are first rounded to 1/256 of the bandwidth, so that
    millions of them cost no more than thousands. Values that are all the same get a narrow peak.
    """
    width = values.std(ddof=1) * len(values) ** -0.2 if len(values) > 1 else 0.0
    width = max(float(width), 1e-3)
    cells, count = np.unique(np.rint(values * (FINE / width)), return_counts=True)
    apart = (grid[:, None] - cells * (width / FINE)) / width
    peak = width * np.sqrt(2 * np.pi) * len(values)
    return np.exp(-(apart**2) / 2) @ count / peak


# --- showing --------------------------------------------------------------------------------------


def options(result: Result, picked: dict[str, str]) -> Iterator[Option]:
    """Whole sets, or one image of a class; all channels together or one of them."""
    yield Option("of", "Pixels of", {"sets": "whole sets", "image": "one image each"})
    if picked["of"] == "image":
        yield Option("cls", "Class", {str(i): n for i, n in enumerate(result["class_names"])})
        ipc = min(run["ipc"] for run in result["runs"])
        yield Option("nth", "Image of the class", {str(i): str(i + 1) for i in range(min(ipc, 50))})
    if result["channels"] > 1:
        names = ("red", "green", "blue") if result["channels"] == 3 else ()
        each = {str(c + 1): n for c, n in enumerate(names)}
        yield Option("channel", "Channel", {"0": "all together", **each})


def curves(
    result: Result, arrays: Arrays, picked: dict[str, str]
) -> list[tuple[str, str, np.ndarray, dict[str, float]]]:
    """(key, label, density (G,), exact facts) of the real images, then of each run."""
    channel, grid = int(picked.get("channel", 0)), arrays["grid"]
    labels = {REAL: "Real images", **{r["key"]: r["label"] for r in result["runs"]}}
    found = []
    for key, label in labels.items():
        if picked["of"] == "sets":
            found.append(
                (key, label, arrays[f"density.{key}"][channel], _facts(result, key, channel))
            )
            continue
        if key == REAL and "real_images" not in arrays:
            continue
        image = one_image(arrays, key, int(picked["cls"]), int(picked["nth"]))
        part = image if channel == 0 else image[channel - 1]
        found.append((key, label, density(part.ravel(), grid), extremes(part)))
    return found


def _facts(result: Result, key: str, channel: int = 0) -> dict[str, float]:
    return result["sets"][key][channel]


def one_image(arrays: Arrays, key: str, cls: int, nth: int) -> np.ndarray:
    """Pixels (C, H, W) of an image of a class; the last one where there are fewer."""
    pixels = arrays["real_images"] / 255 if key == REAL else arrays[f"pixels.{key}"]
    rows = np.flatnonzero(arrays["real_labels" if key == REAL else f"labels.{key}"] == cls)
    return pixels[rows[min(nth, len(rows) - 1)]].astype(np.float64)


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Overlaid densities, and where the exact extremes are."""
    found = curves(result, arrays, picked)
    looks = dict(zip([r["key"] for r in result["runs"]], _styles(result)))
    figure = drawing.new_figure("pixel value (0 black, 1 white)", "density")
    for key, label, y, _ in found:
        look = looks.get(key, colours.Style(colours.REAL))
        figure.add_scatter(
            x=arrays["grid"],
            y=y,
            name=label,
            mode="lines",
            line={"color": look.colour, "dash": look.dash, "width": 2.5},
            fill="tozeroy",
            fillcolor=drawing.faded(look.colour, 0.14),
        )
    for edge in (0, 1):
        figure.add_vline(edge, line={"color": colours.REAL, "dash": "dot", "width": 1})
    span = drawing.new_figure("pixel value", height=70 + 44 * len(found), legend=False)
    for key, label, _, facts in found:
        look = looks.get(key, colours.Style(colours.REAL))
        text = f"{label}: {facts['min']:.3f} to {facts['max']:.3f}, {share(facts)} outside 0..1"
        span.add_scatter(
            x=[facts["min"], facts["max"]],
            y=[label, label],
            mode="lines+markers",
            line={"color": look.colour, "width": 4},
            marker={"color": look.colour, "symbol": "line-ns-open", "size": 16},
            hovertemplate=text + "<extra></extra>",
        )
    span.add_vrect(0, 1, fillcolor=drawing.faded(colours.REAL, 0.15), line_width=0)
    span.update_yaxes(autorange="reversed", type="category")
    words = "; ".join(
        f"{label} {facts['min']:.2f} to {facts['max']:.2f}, {share(facts)} outside 0..1"
        for _, label, _, facts in found
    )
    return [
        Drawn(
            "Density of pixel values",
            figure,
            "Kernel density estimate; dotted: black and white. A curve beyond them is partly smoothing: "
            "the figure below is exact.",
        ),
        Drawn("Smallest and largest value", span, f"Exact, not smoothed. {words}."),
    ]


def share(facts: dict[str, float]) -> str:
    """Share outside 0..1 for reading."""
    return percent(facts["outside"])


def _styles(result: Result) -> list[colours.Style]:
    return colours.styles([r["method"] for r in result["runs"]])


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """The paper's panel (Fig. 3, left) for one image of the first class, and the same for whole sets."""
    import seaborn as sns

    figure, axes = drawing.panels(1, 2)
    name = result["class_names"][0]
    views = (({"of": "image", "cls": "0", "nth": "0"}, f"one image of class {name}"),)
    views += (({"of": "sets"}, "whole sets"),)
    looks = _styles(result)
    for ax, (view, title) in zip(axes[0], views):
        for i, (_, label, y, _) in enumerate(curves(result, arrays, view)):
            colour = looks[i - 1].colour if i else "black"
            line = looks[i - 1].linestyle if i else "-"
            ax.fill_between(arrays["grid"], y, color=colour, alpha=0.2, lw=0)
            sns.lineplot(x=arrays["grid"], y=y, ax=ax, color=colour, label=label, linestyle=line)
        ax.set(title=title, xlabel="Pixel Value", ylabel="Density", yticks=[])
        for edge in (0, 1):
            ax.axvline(edge, color="grey", lw=0.8, ls=":")
        sns.despine(ax=ax)
        if ax.get_legend():
            ax.get_legend().remove()
    axes[0][1].legend(edgecolor="none", fontsize=8)
    return figure


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set and channel."""
    labels = {REAL: "Real images", **{r["key"]: r["label"] for r in result["runs"]}}
    channels = ["all"] + [str(c + 1) for c in range(result["channels"]) if result["channels"] > 1]
    return [
        {"set": label, "key": key, "channel": channel, **result["sets"][key][i]}
        for key, label in labels.items()
        for i, channel in enumerate(channels)
    ]


def sentence(result: Result) -> str:
    """How much of each set lies outside the range of real pixels."""
    parts = [f"**{share(_facts(result, r['key']))}** of {r['label']}" for r in result["runs"]]
    real = _facts(result, REAL)
    rounded = [r["label"] for r in result["runs"] if r["key"] in result.get("eight_bit", ())]
    limit = (
        f" {', '.join(rounded)}: from 8-bit pixels, which cannot show values outside 0..1, whatever the "
        "method had made."
        if rounded
        else ""
    )
    return (
        f"Outside the range of real pixels lie {', '.join(parts)}; of real images {share(real)}. The "
        f"distilled values reach from {min(_facts(result, r['key'])['min'] for r in result['runs']):.2f} "
        f"to {max(_facts(result, r['key'])['max'] for r in result['runs']):.2f}.{limit}"
    )


ANALYSIS = Analysis(
    name="pixels",
    title="Pixel density",
    icon=":material/area_chart:",
    order=30,
    question="Are distilled pixels distributed like real ones?",
    read="""\
- A curve is the share of pixel values near each brightness, smoothed; all channels together unless
  you choose one. 0 is black and 1 is white in a real image.
- The bars below are exact: smallest and largest value before any clamping, with the share outside 0..1.
- Choose one image of a class to repeat the paper's figure, or whole sets for all images at once.""",
    doubt="""\
- Smoothing carries mass beyond 0 and 1 even for real images: trust the bars, not the tails.
- One image says little: another of the same class may look different. Whole sets are the safer view.
- Sets that start from real images keep much of their distribution; that is a choice of the method's
  start, not a result of it.
- An 8-bit file, as every contact sheet, cannot show values outside 0..1: of a set opened from one, 0 % lie
  there by necessity. The sentence says so.
- Pixels compared here are those a network sees, taken back to 0..1. A network does not mind values that a
  screen cannot show.""",
    paper="""\
Yang et al. 2024 (Fig. 3, left) compare one airplane image each: the real one lies inside 0..1 with
one dark and one bright mode; the images of distribution and of trajectory matching have other modes and mass
below 0 and above 1. They conclude that distilled data leaves the valid range of pixels, so it is unlike
real data.""",
    differs="""\
The paper shows three hand-picked images. Here any image can be chosen, whole sets can be compared,
and smallest value, largest value and share outside are counted exactly rather than read off a smoothed
curve.""",
    spec=PixelsTask,
    presets=presets,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    options=options,
    smallest={"real_images": 2},
)
