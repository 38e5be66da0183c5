"""What is shown of a finished `agreement`: figures, table, sentence, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option, Pictures
from analysis.results import known
from analysis.runs import Run
from analysis.shared import colours, drawing, significance
from analysis.suite.agreement.result import AgreementLead, AgreementResult
from analysis.suite.agreement.spec import COLOURS, EARLY, MEASURES, PAIR, POOLS, SUBSET, UNEQUAL

if TYPE_CHECKING:
    pass

BELOW = 0.12  # of the accuracies compared: where the curves over accuracy begin


def options(result: AgreementResult, picked: dict[str, str]) -> Iterator[Option]:
    """By which measure."""
    yield Option("measure", "Measure", MEASURES)


def values(arrays: Arrays, pool: str, key: str, name: str) -> np.ndarray:
    """What is known of a measure for the matched pairs of a run."""
    column = arrays[f"pairs.{pool}.{key}"][:, PAIR.index(name)]
    return column[np.isfinite(column)]


def figures(result: AgreementResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Two distributions for each run, and the measure along accuracy."""
    name = picked["measure"]
    return [_distributions(result, arrays, name), _along(result, arrays, name)]


def _distributions(result: AgreementResult, arrays: Arrays, name: str) -> Drawn:
    runs = result.runs
    figure = drawing.new_figure(MEASURES[name], height=120 + 100 * len(runs))
    for pool in (SUBSET, EARLY):
        for run in runs:
            found = values(arrays, pool, run.key, name)
            figure.add_violin(**_violin(run, pool, found), showlegend=run is runs[0])
        means = {r.label: getattr(result.found.sets[r.key].matched(pool), name) for r in runs}
        means = {label: mean for label, mean in means.items() if mean is not None}
        figure.add_scatter(
            x=list(means.values()),
            y=list(means),
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
        categoryarray=[r.label for r in reversed(runs)],
        tickformat=None,
        automargin=True,
    )
    words = " ".join(_matched(result, run) for run in runs)
    caption = (
        "Curves: smoothed distribution; dots: single pairs of networks; bars: means, in which every "
        f"network trained on the set counts the same. {words}"
    )
    return Drawn("Who answers alike, at equal accuracy", figure, caption)


def _violin(run: Run, pool: str, found: np.ndarray) -> dict[str, Any]:
    """A run's matched pairs with one pool."""
    return {
        "x": found,
        "y": [run.label] * len(found),
        "name": POOLS[pool],
        "legendgroup": pool,
        "orientation": "h",
        "side": "positive",
        "width": 1.5,
        "bandwidth": bandwidth(found),
        "points": "all",
        "pointpos": -0.12 if pool == EARLY else -0.24,
        "jitter": 0.1,
        "line": {"color": COLOURS[pool], "width": 1.5},
        "fillcolor": drawing.faded(COLOURS[pool], 0.35),
        "marker": {
            "color": COLOURS[pool],
            "size": 5,
            "opacity": 0.7,
            "symbol": "circle" if pool == EARLY else "diamond",
        },
        "hoveron": "points",
        "hovertemplate": f"{run.label}<br>{POOLS[pool]}: %{{x:.3f}}<extra></extra>",
    }


def bandwidth(found: np.ndarray) -> float:
    """Scott's, as scipy and seaborn choose it; not below 0.002, so that equal values have a shape."""
    spread = float(np.std(found, ddof=1)) if len(found) > 1 else 0.0
    return max(0.002, spread * max(len(found), 1) ** -0.2)


def _matched(result: AgreementResult, run: Run) -> str:
    """Accuracies and numbers of what was compared, for under the figure."""
    facts = result.found.sets[run.key]
    own = facts.early.accuracy or facts.subset.accuracy or np.mean(facts.accuracy)
    parts = []
    for pool, word in POOLS.items():
        side = facts.matched(pool)
        if side.pairs:
            of = result.found.networks[pool]
            accuracy = 100 * known(side.other_accuracy)
            parts.append(f"{accuracy:.1f} % {word} (n = {side.networks} of {of})")
        else:
            parts.append(f"no {word} network within {100 * result.found.gap:.1f} points")
    return f"{run.label}: accuracy {100 * own:.1f} %, matched with {', '.join(parts)}."


def _along(result: AgreementResult, arrays: Arrays, name: str) -> Drawn:
    """The measure of all networks in both pools against their accuracy, in the colours of the methods."""
    runs = result.runs
    looks = colours.styles([r.method for r in runs])
    targets = [np.mean(result.found.sets[r.key].accuracy) for r in runs]
    x = {pool: arrays[f"accuracy.{pool}"] for pool in POOLS}
    figure = drawing.new_figure("test accuracy of the other networks", MEASURES[name])
    low, top = max(0.0, min(targets) - BELOW), max(*(v.max() for v in x.values()), *targets) + 0.005
    seen = []
    for run, look, target in zip(runs, looks, targets):
        for pool in (EARLY, SUBSET):
            y = arrays[f"along.{pool}.{name}.{run.key}"]
            seen.append(y[(x[pool] >= low) & np.isfinite(y)])
            figure.add_scatter(
                x=x[pool],
                y=y,
                name=run.label,
                legendgroup=run.key,
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
                    f"{run.label}<br>{POOLS[pool]}, "
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
        f"{result.found.networks[EARLY]} runs. Dotted with markers: networks trained on subsets, mean for "
        "each size. Vertical: accuracy of the networks trained on the set, where the two are compared."
    )
    return Drawn("The same at every accuracy", figure, caption)


def table(result: AgreementResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per matched pair of networks."""
    rows = []
    for run in result.runs:
        for pool, word in POOLS.items():
            for pair in arrays[f"pairs.{pool}.{run.key}"].tolist():
                row = dict(zip(PAIR, pair))
                rows.append(
                    {
                        "set": run.key,
                        "label": run.label,
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
    return rows or [{"set": r.key, "label": r.label} for r in result.runs]


def headline(result: AgreementResult) -> str:
    """On which side how many sets are."""
    leads = [lead for run in result.runs if (lead := result.found.sets[run.key].lead)]
    if not leads:
        return "No networks of equal accuracy could be compared."
    ahead = sum(lead.mean > 0 for lead in leads)
    verb = "agrees" if len(leads) == 1 else "agree"
    clear = _clear(leads)
    told = "" if clear is None else f" (shown for {clear})"
    return (
        f"At equal accuracy, **{ahead} of {len(leads)}** {verb} more with early-stopped than with "
        f"subset-trained networks{told}."
    )


def sentence(result: AgreementResult) -> str:
    """How many sets are nearer to early stopping, and the matched figures of each."""
    leads, parts = [], []
    for run in result.runs:
        facts = result.found.sets[run.key]
        early, subset = facts.early, facts.subset
        if not facts.lead:
            which = POOLS[EARLY if not early.pairs else SUBSET]
            parts.append(f"{run.label} has no {which} network of its accuracy")
            continue
        leads.append(facts.lead)
        one, other = (100 * known(side.agreement) for side in (early, subset))
        parts.append(f"{run.label} **{one:.1f} %** against {other:.1f} %")
        apart = known(subset.other_accuracy) - known(early.other_accuracy)
        if abs(apart) >= UNEQUAL:
            word = "more" if apart > 0 else "less"
            parts[-1] += f" (but these are {100 * abs(apart):.1f} points {word} accurate)"
    if not leads:
        return f"Nothing could be compared at equal accuracy: {'; '.join(parts)}."
    ahead = sum(lead.mean > 0 for lead in leads)
    sets = "set" if len(leads) == 1 else "sets"
    return (
        f"At equal accuracy, networks trained on **{ahead} of {len(leads)}** {sets} agreed more "
        f"with early-stopped than with subset-trained networks{_shown(leads)}: {'; '.join(parts)}."
    )


def _clear(leads: list[AgreementLead]) -> int | None:
    """How many leads are more than chance between networks; None where nothing can be said of any."""
    p = np.array([lead.p for lead in leads], np.float64)  # None becomes NaN
    return int(significance.discoveries(p).sum()) if np.isfinite(p).any() else None


def _shown(leads: list[AgreementLead]) -> str:
    """For how many sets that is more than chance between networks; a set without a test counts as not."""
    clear = _clear(leads)
    if clear is None:
        return " (one network or no spread: nothing is said of chance)"
    return f" (shown for {clear} of them by a {significance.RULE}, over the networks of all three kinds)"


def pictures(result: AgreementResult, arrays: Arrays) -> list[Pictures]:
    """Of each run, test images on which its networks side with one pool and not the other."""
    names, found = result.class_names, []
    for run in result.runs:
        sides = result.found.sets[run.key].sides
        for side, count in sides.items():
            images = arrays.get(f"images.{side}.{run.key}")
            if images is None or not len(images):  # nobody, or the dataset is not here
                continue
            truth, own, other = arrays[f"answers.{side}.{run.key}"]
            lines = [_line(names[t], names[a], names[b]) for t, a, b in zip(truth, own, other)]
            title = (
                f"{run.label} with the {POOLS[side]}: {count} of {result.found.test_images} test images "
                "(class: its answer / that of the others)"
            )
            found.append(Pictures(title, images.astype(np.float32) / 255, lines))
    return found


def _line(truth: str, own: str, other: str) -> str:
    text = f"{truth}: {own} / {other}"
    return text if len(text) <= 14 else f"{truth[:3]}: {own[:3]}/{other[:3]}"
