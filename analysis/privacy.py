"""Privacy: do distilled images show training images, and do networks trained on them give them away?

Two measurements. The nearest training image of every distilled image, beside the same distance of real
images that were held out. And a membership test: a network's loss on training images against its loss on
images that were never used (Yeom et al. 2018); the better the two can be told apart, the more it gives away.
"""

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
from analysis.nearest import COPY, held_out_sample, nearest, psnr
from analysis.nearest import flat as flat_pixels
from analysis.pools import Counts, RealPool
from ddcore.base import rng
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network, parse
from ddcore.training.estimate import protocol_work
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure

    from ddcore.tasks.worker import Context

ALL, SAME = "real", "same_size"
TITLES = {ALL: "All real images", SAME: "Random real images, as many"}
RESAMPLES = 500
Rows = dict[str, tuple[str, np.ndarray]]
SHOWN = 6  # images beside their nearest training image
PAIRS_PER_S = 4e9  # multiply-adds of comparing pixels


@dataclass(frozen=True, kw_only=True)
class PrivacyTask(AnalysisTask):
    """`nets` networks `network` are trained on each set, and on real data, for the membership test.

    A network is written as an architecture and its width, such as convnet-16. `images` training images and
    as many test images are compared in the test, and at most as many held-out images in distance. `epochs`,
    `batch` and `lr` are those of the networks trained on all real data (0 epochs: chosen by their number).
    """

    KIND: ClassVar[str] = "privacy"
    RUNNER: ClassVar[str] = "analysis.privacy:run"

    network: str = "convnet-16"
    nets: int = 5
    images: int = 1000
    epochs: int = 0
    batch: int = 64
    lr: float = 0.02

    def validate(self) -> None:
        """Check ranges and the network's name."""
        super().validate()
        parse("network", self.network)
        self.require_range("nets", 1, 100)
        self.require_range("images", 10, 50_000)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Narrow networks; published: the network of the other analyses (the paper has none of this)."""
    small = shape[1] < 28
    quick = {"network": "convnet-16", "epochs": 15 if small else 3}
    return {
        "quick": {**quick, "nets": 3, "images": 500},
        "teaching": {**quick, "nets": 5},
        "published": {
            "network": "convnet-128",
            "epochs": 40,
            "batch": 256,
            "lr": 0.01,
            "images": 5000,
        },
    }


def pools(spec: PrivacyTask, chosen: Chosen) -> list[RealPool]:
    """Networks trained on all real data."""
    return [base.real_pool(spec, chosen, "network", spec.network)]


def cost(spec: PrivacyTask, chosen: Chosen, counts: Counts) -> Cost:
    """Training on each set and a random one, and comparing every image with every training image."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    sizes = [r.images for r in chosen.runs]
    protocol = PROTOCOLS["t300"]
    macs = spec.nets * sum(
        protocol_work(protocol, net, chosen.shape, chosen.classes, m) for m in (*sizes, max(sizes))
    )
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    macs += (len(sizes) + 2) * spec.nets * 2 * spec.images * one.macs
    macs += (sum(sizes) + spec.images) * counts.train * float(np.prod(chosen.shape))
    return Cost(macs, memory=4.0 * one.activations * 2000, disk=4e5)


# --- computing ------------------------------------------------------------------------------------


def run(context: Context) -> None:
    """Task `privacy`."""
    from analysis._pools import load
    from ddcore.data.tensors import DeviceData
    from ddcore.training.chunks import limit_threads

    spec: PrivacyTask = context.spec
    given = base.opened(context)
    data = given.dataset
    total = len(given.sets) + 3
    arrays, rows, facts = {}, {}, {}
    held = held_out_sample(len(data.val_images), spec.images)
    reference = nearest(flat_pixels(data.val_images[held]), data.train_images, 1)[1][:, 0]
    arrays["held_out"] = np.sort(reference)
    for step, (key, made) in enumerate(given.sets.items(), 1):
        context.progress(step, total, message="nearest training images")
        facts[key] = _near(made, data, reference, key, arrays, rows)
    device_data = DeviceData(data, context.device)
    members = _sample(len(data.train_images), spec.images, spec.seed, "members")
    others = _sample(len(data.test_images), spec.images, spec.seed, "others")
    (pool,) = given.pools
    whole = load(pool, context.device)
    limit_threads(whole.network, context.device)
    seeds = [rng.derive(spec.seed, "privacy", i) for i in range(spec.nets)]
    tests = {ALL: _losses(whole, device_data, members, others)}
    for key, made in given.sets.items():
        context.progress(total - 1, total, message="membership test")
        trained = _trained(
            pool.spec().net, *made.for_training(PROTOCOLS["t300"]), seeds, device_data
        )
        tests[key] = _losses(trained, device_data, members, others)
    tests[SAME] = _same_size(given, spec, pool.spec().net, seeds, device_data, others)
    for key, (inside, outside) in tests.items():
        facts.setdefault(key, {})["membership"] = membership(inside, outside, spec.seed)
    context.progress(total, total)
    result = {
        "sets": facts,
        "held_out_median": float(np.median(reference)),
        "members": len(members),
    }
    base.save(context, given, {**result, "pools": [pool.key]}, arrays, rows)


def _near(
    made: Any, data: Any, reference: np.ndarray, key: str, arrays: Arrays, rows: Rows
) -> dict[str, Any]:
    """Distances to the nearest training image; the nearest pairs go to `arrays` and `rows`."""
    pixels = made.pixels()
    flat = flat_pixels(pixels)
    indices, apart = nearest(flat, data.train_images, 1)
    apart, size = apart[:, 0], flat.shape[1]
    closest = np.argsort(apart, kind="stable")[:SHOWN]
    arrays[f"distance.{key}"] = apart
    arrays[f"pixels.{key}"] = pixels[closest]
    rows[f"nearest.{key}"] = ("train", indices[closest, 0])
    arrays[f"closest.{key}"] = apart[closest]
    ratio = psnr(apart, size)
    return {
        "median_distance": float(np.median(apart)),
        "nearer_than_held_out": float(np.mean(apart < np.median(reference))),
        "copies": int(np.sum(apart < COPY * size**0.5)),
        "largest_psnr": float(np.max(ratio[np.isfinite(ratio)], initial=0.0)),
    }


def _sample(count: int, wanted: int, seed: int, name: str) -> np.ndarray:
    order = rng.numpy_generator(seed, "privacy", name).permutation(count)
    return np.sort(order[:wanted])


def _trained(net: Any, images: np.ndarray, labels: np.ndarray, seeds: list[int], data: Any) -> Any:
    """Networks trained on one set (M, ...), or on a set each (N, M, ...), under protocol t300."""
    import torch

    from ddcore.training.train import train

    x, y = (torch.from_numpy(np.ascontiguousarray(a)).to(data.device) for a in (images, labels))
    return train(net, x, y, data.num_classes, PROTOCOLS["t300"], seeds)


def _losses(
    trained: Any, data: Any, members: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy of every network on training images (N, members) and on test images (N, others)."""
    return (
        _loss(
            trained, data.dataset.train_images[members], data.dataset.train_labels[members], data
        ),
        _loss(trained, data.dataset.test_images[others], data.dataset.test_labels[others], data),
    )


def _loss(trained: Any, images: np.ndarray, labels: np.ndarray, data: Any) -> np.ndarray:
    import torch
    import torch.nn.functional as F

    logits = torch.cat(trained.logits_in_batches(data.dataset.preprocess(images)), dim=1)
    wanted = torch.from_numpy(labels).long().expand(len(logits), -1)
    return F.cross_entropy(logits.mT, wanted, reduction="none").double().numpy()


def _same_size(
    given: Any, spec: PrivacyTask, net: Any, seeds: list[int], data: Any, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The yardstick: networks trained on few real images each, tested on just those against test images."""
    rows = np.stack([base.same_size(given, s) for s in seeds])
    real = data.dataset
    images = real.preprocess(real.train_images[rows.ravel()])
    labels = real.train_labels[rows[0]]  # sorted by class, so the same for all
    trained = _trained(net, images.reshape(*rows.shape, *images.shape[1:]), labels, seeds, data)
    outside = _loss(trained, real.test_images[others], real.test_labels[others], data)
    own = [
        _loss(trained, real.train_images[r], real.train_labels[r], data)[i]
        for i, r in enumerate(rows)
    ]
    return np.stack(own), outside


def auc(members: np.ndarray, others: np.ndarray) -> float:
    """Chance that a training image has a smaller loss than another image, ties counting half."""
    from scipy.stats import rankdata

    n, m = len(members), len(others)
    ranks = rankdata(np.concatenate([-members, -others]))[:n].sum()
    return float((ranks - n * (n + 1) / 2) / (n * m))


def membership(members: np.ndarray, others: np.ndarray, seed: int) -> dict[str, Any]:
    """AUC of the loss test of every network (N, ·), their mean, and a 95 % interval for one network's.

    The interval is a bootstrap that draws one network and images, since both are samples. Of one network it
    speaks of the images alone.
    """
    each = [auc(a, b) for a, b in zip(members, others)]
    generator = rng.numpy_generator(seed, "membership")
    found = []
    for _ in range(RESAMPLES):
        net = generator.integers(len(members))
        inside = generator.integers(members.shape[1], size=members.shape[1])
        outside = generator.integers(others.shape[1], size=others.shape[1])
        found.append(auc(members[net, inside], others[net, outside]))
    low, high = np.quantile(found, [0.025, 0.975])
    return {"auc": each, "mean": float(np.mean(each)), "low": float(low), "high": float(high)}


# --- showing --------------------------------------------------------------------------------------


def rows_of(result: Result) -> list[tuple[str, str, dict[str, Any], colours.Style]]:
    """(key, label, facts, look) of each run, then of the two yardsticks."""
    looks = colours.styles([r["method"] for r in result["runs"]])
    found = [
        (r["key"], r["label"], result["sets"][r["key"]], look)
        for r, look in zip(result["runs"], looks)
    ]
    real = ((SAME, "circle-open"), (ALL, "diamond"))
    return found + [
        (k, TITLES[k], result["sets"][k], colours.Style(colours.REAL, "dot", s)) for k, s in real
    ]


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """How near the sets are to training images, and what networks give away."""
    return [_distances(result, arrays), _membership(result)]


def _distances(result: Result, arrays: Arrays) -> Drawn:
    figure = drawing.new_figure(
        "distance to the nearest training image (pixels 0..1)", "share of images", per_cent=True
    )
    series = [
        (label, np.sort(arrays[f"distance.{key}"]), look)
        for key, label, _, look in rows_of(result)
        if key not in TITLES
    ]
    series.append(("Held-out real images", arrays["held_out"], colours.Style(colours.REAL, "dot")))
    for label, values, look in series:
        figure.add_scatter(
            x=np.concatenate([[values[0]], values]),
            y=np.linspace(0, 1, len(values) + 1),
            name=label,
            mode="lines",
            line={"color": look.colour, "dash": look.dash, "shape": "hv", "width": 2},
            hovertemplate=f"{label}<br>%{{y:.0%}} nearer than %{{x:.3g}}<extra></extra>",
        )
    words = "; ".join(f"{label} median {np.median(values):.3g}" for label, values, _ in series)
    caption = (
        f"Share of images that are nearer to a training image than a distance (Euclidean, all pixels of an "
        f"image on the scale 0 black to 1 white). {words}. Left of the dotted line: nearer to the "
        "training data than real images that were not in it."
    )
    return Drawn("How near to training images", figure, caption)


def _membership(result: Result) -> Drawn:
    figure = drawing.new_figure("AUC of the membership test", "", legend=False, height=330)
    for _, label, facts, look in reversed(rows_of(result)):
        m = facts["membership"]
        figure.add_scatter(
            x=[m["mean"]],
            y=[label],
            error_x={
                "array": [m["high"] - m["mean"]],
                "arrayminus": [m["mean"] - m["low"]],
                "thickness": 1.5,
            },
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 12},
            hovertemplate=f"{label}: %{{x:.3f}}<extra></extra>",
        )
    figure.add_vline(x=0.5, line_dash="dot", line_color=colours.REAL)
    words = "; ".join(
        f"{label} {f['membership']['mean']:.3f} ({f['membership']['low']:.3f} to "
        f"{f['membership']['high']:.3f})"
        for _, label, f, _ in rows_of(result)
    )
    n = len(result["sets"][ALL]["membership"]["auc"])
    of = f"Mean of {n} networks" if n > 1 else "One network"
    over = "one of the networks and the images" if n > 1 else "the images"
    caption = (
        f"{of}; bars: 95 % of bootstrap samples, which draw {over} anew. 0.5 is guessing. {words}."
    )
    return Drawn("Can training images be told from others by a network's loss?", figure, caption)


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """Both figures side by side."""
    import seaborn as sns

    figure, axes = drawing.panels(1, 2, width=4.2)
    left, right = axes[0]
    for key, label, _, look in rows_of(result):
        if key in TITLES:
            continue
        sns.ecdfplot(
            x=arrays[f"distance.{key}"], ax=left, color=look.colour, ls=look.linestyle, label=label
        )
    sns.ecdfplot(x=arrays["held_out"], ax=left, color="black", ls=":", label="Held-out real images")
    left.set(xlabel="Distance to the nearest training image", ylabel="Share of images")
    left.legend(frameon=False, fontsize=6)
    rows = rows_of(result)
    for place, (key, _, facts, look) in enumerate(reversed(rows)):
        m = facts["membership"]
        colour = "black" if key in TITLES else look.colour
        spread = [[m["mean"] - m["low"]], [m["high"] - m["mean"]]]
        right.errorbar(m["mean"], place, xerr=spread, fmt=look.marker, color=colour)
    right.set_yticks(range(len(rows)), [label for _, label, _, _ in reversed(rows)], fontsize=7)
    right.axvline(0.5, color="black", lw=0.8, ls=":")
    right.set(xlabel="AUC of the membership test")
    sns.despine(figure)
    return figure


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set and network."""
    found = []
    for key, label, facts, _ in rows_of(result):
        near = {
            k: facts.get(k, "")
            for k in ("median_distance", "nearer_than_held_out", "copies", "largest_psnr")
        }
        for i, value in enumerate(facts["membership"]["auc"]):
            found.append({"set": key, "label": label, "number": i, "auc": value, **near})
    return found


def sentence(result: Result) -> str:
    """Copies, closeness, and what the networks give away."""
    runs = [(label, f) for key, label, f, _ in rows_of(result) if key not in TITLES]
    copies = [f"{f['copies']} of {label}" for label, f in runs if f["copies"]]
    close = "; ".join(f"{label} **{100 * f['nearer_than_held_out']:.0f} %**" for label, f in runs)
    given = "; ".join(f"{label} **{f['membership']['mean']:.2f}**" for label, f in runs)
    real = result["sets"]
    first = (
        f"Copies of training images: **{', '.join(copies)}**." if copies else "No image is a copy."
    )
    return (
        f"{first} Nearer to a training image than the median held-out real image: {close}. Networks "
        f"trained on the sets tell training images from others with AUC {given}; on as many real images "
        f"{real[SAME]['membership']['mean']:.2f}, on all of them {real[ALL]['membership']['mean']:.2f}."
    )


def pictures(result: Result, arrays: Arrays) -> list[Pictures]:
    """Of each set the images nearest to a training image, each beside it."""
    found = []
    for run in result["runs"]:
        if f"nearest.{run['key']}" not in arrays:
            continue
        mine = arrays[f"pixels.{run['key']}"]
        real = arrays[f"nearest.{run['key']}"].astype(np.float32) / 255
        pairs = np.stack([mine, real], 1).reshape(-1, *mine.shape[1:])
        apart = arrays[f"closest.{run['key']}"]
        lines = [text for d in apart for text in (f"at {d:.2f}", "training")]
        title = f"{run['label']}: the images nearest to a training image, each beside it"
        found.append(Pictures(title, pairs, lines))
    return found


ANALYSIS = Analysis(
    name="privacy",
    title="Privacy",
    icon=":material/shield_person:",
    order=100,
    question="Do distilled images give the training images away?",
    read="""\
- The curves say which share of a set lies within a distance of some training image. Real images that were
  held out are the yardstick: what lies left of their curve is closer to the training data than chance.
- An AUC is the chance that a training image has a smaller loss than an image never used, in networks
  trained on the set: 0.5 is guessing, 1 gives every training image away.
- Networks trained on *few real* images, asked about just these, show what giving away looks like.""",
    doubt="""\
- Images made *from* real ones are often near-copies: sets that start from real images and move little, and
  exact distillation started from real images with many images per class. The pictures show it.
- Distance of pixels misses copies that are shifted, scaled or drawn in other colours.
- A threshold on the loss is the weakest of attacks: failing here proves nothing. No figure on this page is a
  guarantee, such as differential privacy would give.
- For a distilled set every training image counts as used, though the set can only hold on to a few.
- Intervals are over networks and images. The sets were made once: nothing is said of another
  distillation.""",
    paper="""\
Yang et al. 2024 do not ask this. For exact distillation, Chen et al. 2024 say that a set does not determine
the training data, of which many give the same model; that says nothing of a set that starts from them.""",
    differs="This view is ours: nearest training images, and the loss-threshold test of Yeom et al. 2018.",
    spec=PrivacyTask,
    presets=presets,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    pools=pools,
    pictures=pictures,
    smallest={"network": "convnet-4", "nets": 2, "images": 50, "epochs": 1},
)
