"""Agreement: does a network trained on distilled images decide like one stopped early on real data?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from analysis import base, colours, drawing, significance
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
from analysis.pools import Counts, EarlyPool, Pool, SubsetPool
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network, parse
from ddcore.protocols import PROTOCOLS

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure

    from ddcore.data.tensors import DeviceData
    from ddcore.distilled import DistilledSet
    from ddcore.nets.architectures import NetSpec
    from ddcore.worker import Context

T300 = PROTOCOLS["t300"]
EARLY, SUBSET = "early", "subset"
POOLS = {EARLY: "early-stopped", SUBSET: "subset-trained"}
COLOURS = {SUBSET: "#FFC20A", EARLY: "#0C7BDC"}  # of the paper's figure
MEASURES = {
    "agreement": "same answer, of all test images",
    "kappa": "Cohen's kappa",
    "shared": "same answer, of shared errors",
}
# Of a matched pair: number of the distilled-trained network and of the other one, at which iteration (or
# trained on how many images per class), accuracies of both, the three measures, images both get wrong.
PAIR = ("net", "other", "at", "accuracy", "other_accuracy", *MEASURES, "both_wrong")
UNEQUAL = 0.005  # mean accuracies of the two matched pools that differ by as much are pointed out
SHOWN = 10  # images of a kind that are shown


@dataclass(frozen=True, kw_only=True)
class AgreementTask(AnalysisTask):
    """`nets` networks trained on each set, beside early-stopped and subset-trained ones of equal accuracy.

    `network` is an architecture and its width, such as convnet-16. Early stopping: `early` networks, tested
    after every `every`-th of their first `iterations` on all training images, in batches of `early_batch`.
    Subsets: `draws` networks for each of `sizes` images per class, trained for `epochs` in batches of
    `subset_batch`. A network counts as matched if its accuracy differs by at most `gap` (0.03 are 3 points).
    """

    KIND: ClassVar[str] = "agreement"
    VERSION: ClassVar[int] = 2
    RUNNER: ClassVar[str] = "analysis.agreement:run"

    network: str = "convnet-16"
    nets: int = 3
    early: int = 12
    iterations: int = 120
    every: int = 1
    early_batch: int = 64
    sizes: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    draws: int = 8
    epochs: int = 300
    subset_batch: int = 256
    gap: float = 0.03

    def validate(self) -> None:
        """Check ranges, the network's name and what the pools will be asked for."""
        super().validate()
        parse("network", self.network)
        self.require_range("nets", 1, 100)
        self.require_range("early", 1, 1000)
        self.require_range("iterations", 1, 100_000)
        self.require_range("every", 1, self.iterations)
        self.require_range("early_batch", 0, 1_000_000)
        ok = self.sizes and len(set(self.sizes)) == len(self.sizes) and min(self.sizes) >= 1
        self.require("sizes", bool(ok), "different numbers of images per class, 1 or more")
        self.require_range("draws", 1, 1000)
        self.require_range("epochs", 1, 100_000)
        self.require_range("subset_batch", 0, 1_000_000)
        self.require_range("gap", 0.001, 1)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Pools that reach the accuracy of sets of this size; published: the paper's 30 and 520 networks."""
    if shape[1] < 28:  # a larger set teaches more: longer runs and larger subsets match it
        few = ipc <= 4
        sizes = (1, 2, 3, 4, 5, 6, 8, 12) if few else (5, 8, 12, 20, 32)
        common = {"iterations": 120 if few else 240, "sizes": sizes, "draws": 8 if few else 7}
        common |= {"every": 1 if few else 2, "epochs": 300 if few else 200}
        quick, teaching = {**common, "nets": 3}, {**common, "nets": 5}
    else:
        common = {"iterations": 120, "epochs": 100}
        sizes = (1, 2, 5, 10, 20) if ipc <= 4 else (5, 10, 20, 50)
        quick = {**common, "nets": 3, "early": 4, "every": 8, "sizes": sizes, "draws": 3}
        teaching = {"nets": 5, "early": 8, "every": 4, "draws": 6, "epochs": 100}
        teaching |= {"network": "convnet-32", "iterations": 196, "early_batch": 256}
        teaching["sizes"] = sizes if ipc <= 4 else (10, 20, 50, 100, 200)
    published = {
        "network": "convnet-128",
        "nets": 3,
        "early": 30,
        "iterations": 196,
        "early_batch": 256,
        # 0.5 % to 5 % of CIFAR-10's 5000 images per class, evenly spread: 65 sizes, 520 networks
        "sizes": tuple(round(25 + 224 * i / 64) for i in range(65)),
        "draws": 8,
        "epochs": 100,
    }
    return {"quick": quick, "teaching": teaching, "published": published}


def pools(spec: AgreementTask, chosen: Chosen) -> list[Pool]:
    """Networks trained on subsets, then early-stopped ones: too large subsets are refused at once."""
    common = {
        "data": chosen.data,
        "net": network("network", spec.network, chosen.shape, chosen.classes),
        "seed": spec.seed,
    }
    early = EarlyPool(
        **common,
        nets=spec.early,
        iterations=spec.iterations,
        every=spec.every,
        batch=spec.early_batch,
    )
    subset = SubsetPool(
        **common, sizes=spec.sizes, draws=spec.draws, epochs=spec.epochs, batch=spec.subset_batch
    )
    return [subset, early]


def stored(spec: AgreementTask, images: int) -> int:
    """Bytes of all predictions of both pools for so many test images: one each."""
    tests = spec.early * (spec.iterations // spec.every) + len(spec.sizes) * spec.draws
    return tests * images


def cost(spec: AgreementTask, chosen: Chosen, counts: Counts) -> Cost:
    """Training on each set, a test of each network, and comparing predictions."""
    net = pools(spec, chosen)[0].net
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    images, largest = sum(r.images for r in chosen.runs), max(r.images for r in chosen.runs)
    passes = spec.nets * (3 * T300.epochs * images + counts.test * len(chosen.runs))
    held = stored(spec, counts.test)
    compared = 4.0 * len(chosen.runs) * spec.nets * held
    return Cost(passes * one.macs + compared, 12.0 * one.activations * largest + held)


# --- computing ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """Predicted classes (..., N) for the N test images, and what follows from them alone.

    Leading axes: (networks,), or (networks, tests) where each was tested several times.
    """

    called: np.ndarray
    hits: np.ndarray  # (...) images predicted as labelled
    shares: np.ndarray  # (..., C) of each class among the predictions

    @classmethod
    def of(cls, called: np.ndarray, labels: np.ndarray, classes: int) -> Answers:
        """Count hits and classes."""
        shares = np.stack([(called == c).mean(-1) for c in range(classes)], axis=-1)
        return cls(called, (called == labels).sum(-1), shares)

    def __getitem__(self, which: Any) -> Answers:
        return Answers(self.called[which], self.hits[which], self.shares[which])

    @property
    def accuracy(self) -> np.ndarray:
        """(...) shares."""
        return self.hits / self.called.shape[-1]


def compare(one: Answers, others: Answers, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Measures (...) of one network's answers (N,) against those of others (..., N).

    agreement: share of all images with the same answer. kappa: (agreement - chance) / (1 - chance) where
    chance is the agreement of independent answers with the same class shares (Cohen 1960); NaN where
    chance is 1. shared: share with the same answer of the `both_wrong` images that both get wrong; NaN
    where there are none.
    """
    agreement = (others.called == one.called).mean(-1)
    chance = others.shares @ one.shares
    wrong = one.called != labels
    theirs = others.called[..., wrong]
    both = (theirs != labels[wrong]).sum(-1)
    same = (theirs == one.called[wrong]).sum(-1)  # the same wrong answer
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = np.where(chance < 1, (agreement - chance) / (1 - chance), np.nan)
        shared = np.where(both > 0, same / both, np.nan)
    return {"agreement": agreement, "kappa": kappa, "shared": shared, "both_wrong": both}


def match(hits: np.ndarray, target: int, gap: float, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Networks, and which test of each, that come nearest to a number of hits.

    Of every network (R, T) the test with the nearest number counts, the earliest of equals, if it differs
    by at most `gap` of all images. Returns two index arrays of one length.
    """
    apart = np.abs(hits.astype(np.int64) - int(target))
    best = apart.argmin(-1)
    near = np.flatnonzero(apart[np.arange(len(hits)), best] <= gap * images + 1e-9)
    return near, best[near]


def run(context: Context) -> None:
    """Task `agreement`: train on every set, match both pools in accuracy, compare answers."""
    spec: AgreementTask = context.spec
    given = base.opened(context)
    trained = _trained(context, given)
    subset, early = (task.arrays() for task in given.pools)
    labels, classes = given.dataset.test_labels, given.chosen.classes
    others = {
        EARLY: Answers.of(early["predicted"], labels, classes),  # (runs, iterations)
        SUBSET: Answers.of(subset["predicted"][:, None], labels, classes),  # (networks, 1)
    }
    at = {  # where each test was made: iteration, images per class
        EARLY: np.broadcast_to(early["steps"], others[EARLY].hits.shape),
        SUBSET: subset["size"][:, None],
    }
    arrays: Arrays = {}
    for pool in POOLS:
        arrays[f"at.{pool}"] = np.unique(at[pool])
        arrays[f"accuracy.{pool}"] = _by_place(others[pool].accuracy[None], at[pool])
    facts, real = {}, {}
    for key, called in trained.items():
        own = Answers.of(called, labels, classes)
        pairs, votes = {}, {}
        for pool in POOLS:
            pairs[pool], along, votes[pool] = _against(
                own, others[pool], at[pool], labels, spec.gap
            )
            arrays[f"pairs.{pool}.{key}"] = pairs[pool]
            arrays |= {f"along.{pool}.{name}.{key}": v for name, v in along.items()}
        facts[key] = {"accuracy": own.accuracy.tolist(), **summaries(pairs), "lead": lead(pairs)}
        facts[key]["sides"] = {}
        for side, (count, rows, answers) in disagreeing(called, votes, classes).items():
            facts[key]["sides"][side] = count
            arrays[f"answers.{side}.{key}"] = np.stack([labels[rows], *answers])
            real[f"images.{side}.{key}"] = ("test", rows)
    result = {
        "sets": facts,
        "gap": spec.gap,
        "test_images": len(labels),
        "stored_bytes": int(early["predicted"].nbytes + subset["predicted"].nbytes),
        "pools": [task.key for task in given.pools],
        "networks": {pool: len(others[pool].hits) for pool in POOLS},
        "network": given.pools[0].spec().net.label(),
    }
    base.save(context, given, result, arrays, real)


def _against(
    own: Answers, others: Answers, at: np.ndarray, labels: np.ndarray, gap: float
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """A set's networks against a pool: matched pairs (P, columns of `PAIR`), each measure at every
    place, averaged over all pairs of networks, and the answers (P, N) of the matched ones."""
    rows, votes, along = [], [], []
    for i, hits in enumerate(own.hits):
        measured = compare(own[i], others, labels)
        along.append(measured)
        which = match(others.hits, hits, gap, len(labels))
        count = len(which[0])
        row = [np.full(count, i), which[0], at[which], np.full(count, own.accuracy[i])]
        row += [others.accuracy[which], *(measured[name][which] for name in PAIR[5:])]
        rows.append(np.stack(row, axis=1).astype(np.float64))
        votes.append(others.called[which])
    means = {name: _by_place(np.stack([m[name] for m in along]), at) for name in MEASURES}
    return np.concatenate(rows), means, np.concatenate(votes)


def _by_place(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Mean at each different place of (n, R, T) values, leaving out NaN; NaN where nothing is left."""
    return np.array([_mean(values[:, at == place]) for place in np.unique(at)])


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else np.nan


def _trained(context: Context, given: base.Opened) -> dict[str, np.ndarray]:
    """Answers (nets, N) for the test images of networks trained on each set (protocol T300)."""
    from ddcore import rng
    from ddcore.data.tensors import DeviceData

    spec: AgreementTask = context.spec
    data = DeviceData(given.dataset, context.device)
    net = pools(spec, given.chosen)[0].net
    resumed = context.load_checkpoint()
    found = dict(resumed[0]) if resumed else {}
    for step, (key, made) in enumerate(given.sets.items()):
        context.progress(100 * step, 100 * len(given.sets))
        if key in found:
            continue
        seeds = [rng.derive(spec.seed, "agreement", key, i) for i in range(spec.nets)]

        def report(at: int, total: int, before: int = step) -> None:
            context.progress(round(100 * (before + at / total)), 100 * len(given.sets))

        found[key] = answers_of(net, made, data, seeds, report)
        if context.checkpoint_due():
            context.save_checkpoint(step + 1, found, {})
    return {key: found[key] for key in given.sets}


def answers_of(
    net: NetSpec,
    made: DistilledSet,
    data: DeviceData,
    seeds: list[int],
    on_step: Callable[[int, int], None] = lambda step, total: None,
) -> np.ndarray:
    """Predicted classes (networks, N) of the test images after training on a set for 300 steps."""
    import torch

    from ddcore.nets.network import Network
    from ddcore.training import limit_threads, train

    images, labels = (torch.from_numpy(a).to(data.device) for a in made.for_training(T300))
    limit_threads(Network(net, data.shape, data.num_classes), data.device)
    nets = train(net, images, labels, data.num_classes, T300, seeds, on_step=on_step)
    return nets.predict(data.test).numpy().astype(np.min_scalar_type(data.num_classes - 1))


def summaries(pairs: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """What is said about each pool's matched pairs; None for what there is not.

    Every network trained on the set counts the same, however many others match it: means over the
    others first. Where some are matched by both pools, the rest are left out of the means, so that both
    pools are judged by the same networks.
    """
    both = set.intersection(*(set(p[:, 0]) for p in pairs.values()))
    return {pool: _summary(p, both or set(p[:, 0])) for pool, p in pairs.items()}


def _summary(pairs: np.ndarray, nets: set[float]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "pairs": len(pairs),
        "networks": len(np.unique(pairs[:, PAIR.index("other")])),
    }
    for name in ("accuracy", "other_accuracy", *MEASURES):
        column = pairs[:, PAIR.index(name)]
        mean = _mean(np.array([_mean(column[pairs[:, 0] == i]) for i in sorted(nets)]))
        found[name] = mean if np.isfinite(mean) else None
    return found


def lead(pairs: dict[str, np.ndarray]) -> dict[str, float | None] | None:
    """How much more a set's networks agree with early-stopped ones; cautious error, degrees of freedom, p.

    The error adds the variances of three means: over the networks trained on the set, the early-stopped
    and the subset-trained ones, since pairs that share a network are not independent. It and what follows
    is None if one of the three has a single network. None altogether without pairs of both pools.
    """
    value, other = PAIR.index("agreement"), PAIR.index("other")
    means, samples = {}, []
    for pool, rows in pairs.items():
        means[pool] = {i: rows[rows[:, 0] == i, value].mean() for i in np.unique(rows[:, 0])}
        samples.append([rows[rows[:, other] == j, value].mean() for j in np.unique(rows[:, other])])
    leads = [means[EARLY][i] - means[SUBSET][i] for i in means[EARLY] if i in means[SUBSET]]
    if not leads:
        return None
    test = significance.combined(float(np.mean(leads)), [leads, *samples], significance.GREATER)
    found = {name: float(getattr(test, name)) for name in ("mean", "error", "df", "p")}
    return {name: number if np.isfinite(number) else None for name, number in found.items()}


def majority(called: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent class (N,) of answers (M, N), the lowest of equals, and its share of them."""
    counts = np.stack([(called == c).sum(0) for c in range(classes)])
    return counts.argmax(0), counts.max(0) / len(called)


def disagreeing(
    called: np.ndarray, votes: dict[str, np.ndarray], classes: int
) -> dict[str, tuple[int, np.ndarray, np.ndarray]]:
    """Images on which the networks (M, N) side with the majority of one pool and not the other's.

    For each pool: how many; rows of the clearest, by the smallest of the three majorities; their classes
    (2, n), the networks' own and the other pool's. Empty if a pool has nobody.
    """
    if not all(map(len, votes.values())):
        return {}
    own, sure = majority(called, classes)
    answers = {pool: majority(v, classes) for pool, v in votes.items()}
    clear = np.min([sure, *(share for _, share in answers.values())], axis=0)
    found = {}
    for side, against in ((EARLY, SUBSET), (SUBSET, EARLY)):
        same, other = answers[side][0], answers[against][0]
        rows = np.flatnonzero((own == same) & (own != other))
        shown = rows[np.argsort(-clear[rows], kind="stable")][:SHOWN]
        found[side] = (len(rows), shown, np.stack([own[shown], other[shown]]))
    return found


# --- showing --------------------------------------------------------------------------------------


def options(result: Result, picked: dict[str, str]) -> Iterator[Option]:
    """By which measure."""
    yield Option("measure", "Measure", MEASURES)


def values(arrays: Arrays, pool: str, key: str, name: str) -> np.ndarray:
    """What is known of a measure for the matched pairs of a run."""
    column = arrays[f"pairs.{pool}.{key}"][:, PAIR.index(name)]
    return column[np.isfinite(column)]


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Two distributions for each run, and the measure along accuracy."""
    name = picked["measure"]
    return [_distributions(result, arrays, name), _along(result, arrays, name)]


def _distributions(result: Result, arrays: Arrays, name: str) -> Drawn:
    runs = result["runs"]
    figure = drawing.new_figure(MEASURES[name], height=120 + 100 * len(runs))
    for pool in (SUBSET, EARLY):
        for run in runs:
            found = values(arrays, pool, run["key"], name)
            figure.add_violin(
                x=found,
                y=[run["label"]] * len(found),
                name=POOLS[pool],
                legendgroup=pool,
                showlegend=run is runs[0],
                orientation="h",
                side="positive",
                width=1.5,
                bandwidth=bandwidth(found),
                points="all",
                pointpos=-0.12 if pool == EARLY else -0.24,
                jitter=0.1,
                line={"color": COLOURS[pool], "width": 1.5},
                fillcolor=drawing.faded(COLOURS[pool], 0.35),
                marker={
                    "color": COLOURS[pool],
                    "size": 5,
                    "opacity": 0.7,
                    "symbol": "circle" if pool == EARLY else "diamond",
                },
                hoveron="points",
                hovertemplate=f"{run['label']}<br>{POOLS[pool]}: %{{x:.3f}}<extra></extra>",
            )
        means = [(result["sets"][r["key"]][pool][name], r["label"]) for r in runs]
        means = [(value, label) for value, label in means if value is not None]
        figure.add_scatter(
            x=[value for value, _ in means],
            y=[label for _, label in means],
            name=POOLS[pool],
            legendgroup=pool,
            showlegend=False,
            mode="markers",
            marker={
                "symbol": "line-ns",
                "size": 20,
                "line": {"width": 4, "color": COLOURS[pool]},
            },
            hovertemplate=f"%{{y}}<br>{POOLS[pool]}, mean: %{{x:.3f}}<extra></extra>",
        )
    figure.update_layout(violinmode="overlay")
    figure.update_xaxes(tickformat="" if name == "kappa" else ".0%")
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=[r["label"] for r in reversed(runs)],
        tickformat=None,
        automargin=True,
    )
    words = " ".join(_matched(result, run) for run in runs)
    caption = (
        "Curves: smoothed distribution; dots: single pairs of networks; bars: means, in which every "
        f"network trained on the set counts the same. {words}"
    )
    return Drawn("Who answers alike, at equal accuracy", figure, caption)


def bandwidth(found: np.ndarray) -> float:
    """Scott's, as scipy and seaborn choose it; not below 0.002, so that equal values have a shape."""
    spread = float(np.std(found, ddof=1)) if len(found) > 1 else 0.0
    return max(0.002, spread * max(len(found), 1) ** -0.2)


def _matched(result: Result, run: dict[str, Any]) -> str:
    """Accuracies and numbers of what was compared, for under the figure."""
    facts = result["sets"][run["key"]]
    own = facts[EARLY]["accuracy"] or facts[SUBSET]["accuracy"] or np.mean(facts["accuracy"])
    parts = []
    for pool, word in POOLS.items():
        side = facts[pool]
        if side["pairs"]:
            of = result["networks"][pool]
            parts.append(
                f"{100 * side['other_accuracy']:.1f} % {word} (n = {side['networks']} of {of})"
            )
        else:
            parts.append(f"no {word} network within {100 * result['gap']:.1f} points")
    return f"{run['label']}: accuracy {100 * own:.1f} %, matched with {', '.join(parts)}."


def _along(result: Result, arrays: Arrays, name: str) -> Drawn:
    """The measure of all networks in both pools against their accuracy, in the colours of the methods."""
    runs = result["runs"]
    looks = colours.styles([r["method"] for r in runs])
    targets = [np.mean(result["sets"][r["key"]]["accuracy"]) for r in runs]
    x = {pool: arrays[f"accuracy.{pool}"] for pool in POOLS}
    figure = drawing.new_figure("test accuracy of the other networks", MEASURES[name])
    low, top = max(0.0, min(targets) - 0.12), max(v.max() for v in x.values()) + 0.005
    seen = []
    for run, look, target in zip(runs, looks, targets):
        for pool in (EARLY, SUBSET):
            y = arrays[f"along.{pool}.{name}.{run['key']}"]
            seen.append(y[(x[pool] >= low) & np.isfinite(y)])
            figure.add_scatter(
                x=x[pool],
                y=y,
                name=run["label"],
                legendgroup=run["key"],
                showlegend=pool == EARLY,
                mode="lines" if pool == EARLY else "lines+markers",
                line={
                    "color": look.colour,
                    "width": 2,
                    "dash": "solid" if pool == EARLY else "dot",
                },
                marker={"color": look.colour, "symbol": look.symbol, "size": 9},
                customdata=arrays[f"at.{pool}"],
                hovertemplate=(
                    f"{run['label']}<br>{POOLS[pool]}, "
                    + ("iteration %{customdata}" if pool == EARLY else "%{customdata} per class")
                    + "<br>accuracy %{x:.1%}, %{y:.3f}<extra></extra>"
                ),
            )
        figure.add_vline(target, line={"color": look.colour, "width": 1, "dash": "dash"})
    found = np.concatenate([s for s in seen if len(s)] or [np.array([0.0, 1.0])])
    margin = 0.05 * max(found.max() - found.min(), 0.02)
    figure.update_xaxes(range=[low, min(top, 1.005)], tickformat=".0%")
    figure.update_yaxes(
        range=[found.min() - margin, found.max() + margin],
        tickformat="" if name == "kappa" else ".0%",
    )
    caption = (
        "Solid: early-stopped networks along training, mean of "
        f"{result['networks'][EARLY]} runs. Dotted with markers: networks trained on subsets, mean for "
        "each size. Vertical: accuracy of the networks trained on the set, where the two are compared."
    )
    return Drawn("The same at every accuracy", figure, caption)


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """The paper's panels (Fig. 4), one for each run; ticks are single pairs."""
    import seaborn as sns

    runs = result["runs"]
    columns = min(2, len(runs))
    rows = -(-len(runs) // columns)
    figure, axes = drawing.panels(rows, columns, width=3.6, height=2.4)
    for ax in axes.flat[len(runs) :]:
        ax.set_visible(False)
    for place, (ax, run) in enumerate(zip(axes.flat, runs)):
        for depth, pool in enumerate((SUBSET, EARLY)):
            found = values(arrays, pool, run["key"], "agreement")
            look = {"color": COLOURS[pool], "ax": ax}
            if len(np.unique(found)) > 1:
                sns.kdeplot(x=found, fill=True, label=POOLS[pool], **look)
            sns.rugplot(x=found, height=0.05 * (2 - depth), expand_margins=False, **look)
        ax.set(title=run["label"], yticks=[], ylabel="")
        ax.set_xlabel("Agreement" if place >= len(runs) - columns else "")
        sns.despine(ax=ax, left=True)
    from matplotlib.patches import Patch

    marks = [Patch(color=COLOURS[p], alpha=0.5, label=POOLS[p]) for p in (SUBSET, EARLY)]
    figure.legend(handles=marks, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figure


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per matched pair of networks."""
    rows = []
    for run in result["runs"]:
        for pool, word in POOLS.items():
            for pair in arrays[f"pairs.{pool}.{run['key']}"].tolist():
                row = dict(zip(PAIR, pair))
                rows.append(
                    {
                        "set": run["key"],
                        "label": run["label"],
                        "pool": word,
                        "net": int(row["net"]),
                        "other": int(row["other"]),
                        "iteration": int(row["at"]) if pool == EARLY else "",
                        "per_class": int(row["at"]) if pool == SUBSET else "",
                        "accuracy": row["accuracy"],
                        "other_accuracy": row["other_accuracy"],
                        **{n: row[n] if np.isfinite(row[n]) else "" for n in MEASURES},
                        "both_wrong": int(row["both_wrong"]),
                    }
                )
    return rows or [{"set": r["key"], "label": r["label"]} for r in result["runs"]]


def sentence(result: Result) -> str:
    """How many sets are nearer to early stopping, and the matched figures of each."""
    leads, parts = [], []
    for run in result["runs"]:
        facts = result["sets"][run["key"]]
        early, subset = facts[EARLY], facts[SUBSET]
        if not facts["lead"]:
            which = POOLS[EARLY if not early["pairs"] else SUBSET]
            parts.append(f"{run['label']} has no {which} network of its accuracy")
            continue
        leads.append(facts["lead"])
        text = f"**{100 * early['agreement']:.1f} %** against {100 * subset['agreement']:.1f} %"
        parts.append(f"{run['label']} {text}")
        apart = subset["other_accuracy"] - early["other_accuracy"]
        if abs(apart) >= UNEQUAL:
            word = "more" if apart > 0 else "less"
            parts[-1] += f" (but these are {100 * abs(apart):.1f} points {word} accurate)"
    if not leads:
        return f"Nothing could be compared at equal accuracy: {'; '.join(parts)}."
    ahead = sum(lead["mean"] > 0 for lead in leads)
    sets = "set" if len(leads) == 1 else "sets"
    return (
        f"At equal accuracy, networks trained on **{ahead} of {len(leads)}** {sets} agreed more "
        f"with early-stopped than with subset-trained networks{_shown(leads)}: {'; '.join(parts)}."
    )


def _shown(leads: list[dict[str, Any]]) -> str:
    """For how many sets that is more than chance between networks; a set without a test counts as not."""
    p = np.array([lead.get("p") for lead in leads], np.float64)  # None becomes NaN
    if not np.isfinite(p).any():
        return " (one network or no spread: nothing is said of chance)"
    clear = int(significance.discoveries(p).sum())
    return f" (shown for {clear} of them by a {significance.RULE}, over the networks of all three kinds)"


def pictures(result: Result, arrays: Arrays) -> list[Pictures]:
    """Of each run, test images on which its networks side with one pool and not the other."""
    names, found = result["class_names"], []
    for run in result["runs"]:
        sides = result["sets"][run["key"]]["sides"]
        for side, count in sides.items():
            images = arrays.get(f"images.{side}.{run['key']}", ())
            if not len(images):  # nobody, or the dataset is not here
                continue
            truth, own, other = arrays[f"answers.{side}.{run['key']}"]
            lines = [_line(names[t], names[a], names[b]) for t, a, b in zip(truth, own, other)]
            title = (
                f"{run['label']} with the {POOLS[side]}: {count} of {result['test_images']} test images "
                "(class: its answer / that of the others)"
            )
            found.append(Pictures(title, images.astype(np.float32) / 255, lines))
    return found


def _line(truth: str, own: str, other: str) -> str:
    text = f"{truth}: {own} / {other}"
    return text if len(text) <= 14 else f"{truth[:3]}: {own[:3]}/{other[:3]}"


ANALYSIS = Analysis(
    name="agreement",
    title="Agreement",
    icon=":material/handshake:",
    order=50,
    question="Is training on distilled images like stopping early, or like training on few images?",
    read="""\
- Networks trained on a set are compared with two pools that saw only real data: networks *stopped early*
  on all of it, and networks trained to the end on *small subsets*. Only networks of the same accuracy
  are compared, since good networks agree more with anything that is good.
- The further right, the more test images get the same answer, right or wrong. If blue lies right of
  yellow, the set teaches what is learnt early.
- The second figure shows all networks of both pools. Compare solid and dotted lines of one colour where
  the vertical line of that colour crosses them.
- A lead of early stopping counts as shown only where a t test says so. Its error adds what varies between
  the networks trained on the set, the early-stopped and the subset-trained ones, since pairs share
  networks; at most 5 % of such findings are false over all sets (Benjamini-Hochberg).
- Cohen's kappa takes away agreement by chance. Images that *both* get wrong show whether networks fail
  alike; there right answers, which agree by necessity, do not count.""",
    doubt="""\
- Look at the matched accuracies under the figure: if one pool is a point better than the other, a point of
  agreement is explained by that.
- Early-stopped and distilled-trained networks see a mixture of all images, subset-trained ones see few.
  Agreement says who answers alike, not why.
- Pairs share networks, so the dots are not independent: the width of a curve is not an error bar.
- Of images both get wrong there may be few: their count is under *Numbers*.
- The test images below are those where the majorities of the two pools differ. A majority is better than
  its members, so counts of such images need not follow the agreement of single networks.
- All networks have the same architecture and each its own random start. Sets made for learned step sizes
  or for a fixed start are trained here as any other, and may be less accurate than on their own terms.""",
    paper="""\
Yang et al. 2024 (Fig. 4; CIFAR-10, 10 images per class) find that early-stopped networks agree more for all
four methods. The distributions peak at 62 % (subsets) and 66 % (early stopping) for backpropagation through
time, 47 % and 58 % for distribution matching, 57 % and 63 % for trajectory matching; for gradient matching
near 52 % and above 56 %. They conclude that training on distilled data resembles early stopping.""",
    differs="""\
- Their code stops all 30 runs at one iteration per method, chosen by hand: distribution matching, whose
  network is less accurate, got a later one than gradient matching. Here each run is stopped where its
  accuracy is nearest to that of the network it is compared with, and runs that never come near are left out.
- Subset networks are matched by the difference in accuracy instead of rounded per cent, and n is shown.
  In means every network trained on the set counts the same, however many others match it.
- Several networks are trained on each set, not one; all starts and draws follow from the seed, where
  theirs came from the clock.
- Kappa and the agreement on shared errors are ours.
- *As published* has its 30 early-stopped and 520 subset-trained networks; sizes of subsets are spread evenly
  over its range (25 to 249 images per class) instead of drawn, and smaller ones are part of larger ones.
  Predictions are kept in one byte each: 64 MB for 10,000 test images.""",
    spec=AgreementTask,
    presets=presets,
    pools=pools,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    options=options,
    pictures=pictures,
    smallest={
        "network": "convnet-4",
        "nets": 2,
        "early": 2,
        "iterations": 6,
        "sizes": (1, 2),
        "draws": 2,
        "epochs": 5,
        "gap": 0.5,
    },
)
