"""What is shown of a finished `dynamics`: figures, table, sentence, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option
from analysis.results import known
from analysis.shared import colours, drawing
from analysis.shared.texts import span
from analysis.suite.dynamics.result import DynamicsResult
from analysis.suite.dynamics.spec import MEASURES, TEST

if TYPE_CHECKING:
    pass


def options(result: DynamicsResult, picked: dict[str, str]) -> Iterator[Option]:
    """What the second figure shows."""
    yield Option("measure", "Below", {k: v for k, v in MEASURES.items() if k != "accuracy"})


def series(result: DynamicsResult) -> list[tuple[str, str, colours.Style]]:
    """(key, label, look) of each run, then of the real test images."""
    runs = result.runs
    looks = colours.styles([r.method for r in runs])
    found = [(r.key, r.label, look) for r, look in zip(runs, looks)]
    return [*found, (TEST, "Real test images", colours.Style(colours.REAL))]


def figures(result: DynamicsResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Accuracy with plateaus, and loss or probability."""
    return [_accuracy(result, arrays), _other(result, arrays, picked["measure"])]


def _curves(result: DynamicsResult, arrays: Arrays, name: str, **layout: Any) -> Any:
    """Mean of all networks for each set, and a band from the lowest to the highest of them."""
    figure = drawing.new_figure("iteration of training on real data", MEASURES[name], **layout)
    steps = arrays["steps"]
    for key, label, look in series(result):
        every = arrays[f"{name}.{key}"]
        figure.add_scatter(
            x=np.concatenate([steps, steps[::-1]]),
            y=np.concatenate([every.max(0), every.min(0)[::-1]]),
            mode="lines",
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


def _accuracy(result: DynamicsResult, arrays: Arrays) -> Drawn:
    figure = _curves(result, arrays, "accuracy", per_cent=True)
    for key, label, look in series(result):
        facts = result.found.sets[key]
        if facts.plateau is None:
            continue
        place = np.searchsorted(arrays["steps"], facts.plateau)
        level = arrays[f"accuracy.{key}"][:, place].mean()
        hollow = "-open" if facts.ceiling and not look.symbol.endswith("open") else ""
        figure.add_scatter(
            x=[facts.plateau],
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


def _networks(result: DynamicsResult) -> str:
    return f"{result.found.nets} network{'s' if result.found.nets > 1 else ''}"


def _words(result: DynamicsResult, key: str, label: str) -> str:
    facts = result.found.sets[key]
    if facts.plateau is None:
        text = "still rising near the end"
    elif facts.ceiling:
        text = f"plateau from iteration {facts.plateau}, at the ceiling"
    else:
        text = f"plateau from iteration {facts.plateau}"
    if facts.full is not None:
        text += f", all right from iteration {facts.full}"
    return f"{label}: {text}."


def _other(result: DynamicsResult, arrays: Arrays, name: str) -> Drawn:
    figure = _curves(result, arrays, name, per_cent=name != "loss")
    if name == "loss":
        every = np.concatenate([arrays[f"loss.{key}"].ravel() for key, _, _ in series(result)])
        decades = np.log10(every.max() / max(every.min(), np.finfo(np.float32).tiny))
        figure.update_yaxes(type="log", tickformat="~g", dtick=1 if decades > 2 else "D2")
    rows = [(label, arrays[f"{name}.{key}"][:, -1].mean()) for key, label, _ in series(result)]
    last = int(arrays["steps"][-1])
    words = "; ".join(f"{label} {v:.3g}" for label, v in rows)
    caption = (
        f"The same networks; where accuracy is full this still moves. At iteration {last}: {words}."
    )
    return Drawn(MEASURES[name].capitalize(), figure, caption)


def table(result: DynamicsResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, network and test."""
    rows = []
    for key, label, _ in series(result):
        columns = {name: arrays[f"{name}.{key}"].tolist() for name in MEASURES}
        for net in range(result.found.nets):
            each = zip(arrays["steps"].tolist(), *(values[net] for values in columns.values()))
            rows += [
                {"set": key, "label": label, "net": net, "iteration": t}
                | dict(zip(MEASURES, values))
                for t, *values in each
            ]
    return rows


def headline(result: DynamicsResult) -> str:
    """How much is recognised early on."""
    sets, test = result.found.sets, result.found.sets[TEST]
    early = span([100 * sets[run.key].then for run in result.runs], "%")
    return (
        f"After {test.moment} iterations **{early}** of the distilled images are recognised, and "
        f"{100 * test.then:.0f} % of test images."
    )


def sentence(result: DynamicsResult) -> str:
    """How much is recognised early on, where it stops rising, and what the test accuracy does after."""
    sets, test = result.found.sets, result.found.sets[TEST]
    early = ", ".join(f"**{100 * sets[r.key].then:.1f} %** of {r.label}" for r in result.runs)
    text = (
        f"After {test.moment} iterations on real data networks recognise {early}, and "
        f"{100 * test.then:.1f} % of real test images"
    )
    settled = [(sets[r.key], r.label) for r in result.runs if sets[r.key].plateau is not None]
    if not settled:
        return f"{text}. No set's recognition stops rising early enough to be called a plateau."
    words = ", ".join(f"{label} from iteration {facts.plateau}" for facts, label in settled)
    high = sum(facts.ceiling for facts, _ in settled)
    ceiling = f" ({high} of {len(settled)} at the ceiling of 100 %)" if high else ""
    last = max((facts for facts, _ in settled), key=lambda facts: known(facts.plateau))
    return (
        f"{text}. Recognition does not rise again by more than a point or an image: {words}{ceiling}; after "
        f"the last of these test accuracy changes by {100 * known(last.test_gain):+.1f} points."
    )
