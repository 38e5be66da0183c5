"""What is shown of finished regimes: a table, sentences about the claim, a figure."""

from __future__ import annotations

from analysis.contract import Drawn
from analysis.shared import colours, drawing
from analysis.shared.sources import RANDOM
from analysis.suite.labels.figures import LOOKS
from analysis.suite.labels.spec import HARD, ONLINE, ORDER, SOFT
from analysis.uses.regimes.maths import AboveRandom, above_random, spread_of_choices
from analysis.uses.regimes.result import FoundRegimes
from ddcore.base import spread

COLUMNS = {HARD: "Hard labels", SOFT: "Fixed soft labels", ONLINE: "Teacher on every batch"}
CLAIM = "with soft labels random images match distilled sets"


def table(found: FoundRegimes) -> list[dict[str, str]]:
    """One row for each size and selection, with mean ± spread over seeds."""
    return [
        {
            "Per class": str(row.ipc),
            "Images": row.title,
            **{
                COLUMNS[kind]: spread.figure_text(spread.summary(values.tolist()))
                for kind, values in zip(ORDER, row.accuracy)
            },
        }
        for row in found.rows
    ]


def sentence(found: FoundRegimes) -> str:
    """The claim, and what becomes of it with a teacher on every batch."""
    told = "; ".join(
        f"{row.title}, {row.ipc} per class: **{above_random(found, row, ONLINE).verdict}** "
        f"({_points(above_random(found, row, ONLINE))})"
        for row in found.sets
    )
    return f"That {CLAIM}, where a teacher is asked on every batch: {told}."


def notes(found: FoundRegimes) -> list[str]:
    """Every set against random images under every regime, and how far all choices lie apart."""
    lines = [
        f"{row.title}, {row.ipc} per class, above random images with the same labels: "
        + "; ".join(f"{COLUMNS[k].lower()} {_points(above_random(found, row, k))}" for k in ORDER)
        for row in found.sets
    ]
    for ipc in sorted({row.ipc for row in found.rows}):
        apart = spread_of_choices(found, ipc)
        told = ", ".join(f"{COLUMNS[k].lower()} {v:.1f}" for k, v in zip(ORDER, apart))
        lines.append(f"From the worst to the best choice of {ipc} per class, in points: {told}")
    return lines


def _points(above: AboveRandom) -> str:
    """ "+4.1 points, 95 % interval +2.0 to +6.2"."""
    if above.low is None:
        return f"{above.mean:+.1f} points, one seed"
    return f"{above.mean:+.1f} points, 95 % interval {above.low:+.1f} to {above.high:+.1f}"


def gains(found: FoundRegimes) -> Drawn:
    """Points above random images, sets and coresets, regime by regime at every size."""
    figure = drawing.new_figure("", "points above random images")
    sizes = sorted({row.ipc for row in found.rows})
    names = [f"{ipc} per class<br>{COLUMNS[kind]}" for ipc in sizes for kind in ORDER]
    own = [row for row in found.rows if row.selection != RANDOM]
    for title in dict.fromkeys(row.title for row in own):
        rows = [row for row in own if row.title == title]
        cells = [(row, kind) for row in rows for kind in ORDER]
        values = [above_random(found, row, kind) for row, kind in cells]
        look = LOOKS.get(rows[0].selection) or colours.style(rows[0].selection)
        bars = None
        if all(v.low is not None for v in values):
            bars = {"array": [v.mean - (v.low or 0.0) for v in values], "thickness": 1.5}
        figure.add_scatter(
            x=[f"{row.ipc} per class<br>{COLUMNS[kind]}" for row, kind in cells],
            y=[v.mean for v in values],
            error_y=bars,
            name=title,
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            hovertemplate=f"{title}<br>%{{x}}: %{{y:+.1f}} points<extra></extra>",
        )
    figure.update_layout(scattermode="group")
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=names)
    figure.add_hline(y=0, line_dash="dot", line_color=colours.REAL)
    caption = (
        f"Test accuracy minus that of random images with the same labels, paired over {len(found.teacher)} "
        "seeds; bars are 95 % intervals. Points above zero beat a random choice."
    )
    return Drawn("Gain over random images", figure, caption)
