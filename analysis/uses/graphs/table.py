"""What a condensed graph reaches beside its baselines, as a sentence and a table."""

from __future__ import annotations

from collections.abc import Sequence

from ddcore.base.spread import figure_text
from ddcore.base.texts import size
from ddcore.graphs.measure_spec import OURS
from ddcore.graphs.published import SOURCE
from ddcore.graphs.rows import GraphRow

SUBJECTS = {
    OURS: "Condensed",
    "class_mean": "Class mean of P²X, no edges",
    "kmeans": "k-means of P²X, no edges",
    "random_smoothed": "Random nodes with their P²X, no edges",
    "random": "Random nodes with their edges",
    "herding": "Herding",
    "kcenter": "k-center",
    "whole": "The whole graph",
}


def sentence(rows: Sequence[GraphRow]) -> str:
    """What it reaches beside the baseline that costs nothing; "" where it has not been judged."""
    found = {row.subject: row for row in rows}
    if OURS not in found:
        return ""
    own, mean = found[OURS], found.get("class_mean")
    text = f"**{own.nodes} nodes teach a network {figure_text(own.best)}** of the test nodes"
    if mean:
        text += f"; {mean.nodes} class means of P²X without edges, nothing distilled, "
        text += figure_text(mean.best)
    return f"{text} (best look on validation nodes)."


def table(rows: Sequence[GraphRow]) -> list[dict[str, str]]:
    """Rows for people: both columns, what was published if anything was, and what each set takes."""
    told = any(row.published for row in rows)
    lines = []
    for row in rows:
        line = {
            "Set": SUBJECTS[row.subject],
            "Best validation": figure_text(row.best),
            "Last epoch": figure_text(row.last),
        }
        if told:
            line["Published"] = "{:.1f} ± {:.1f}".format(*row.published) if row.published else ""
        line |= {"Nodes": f"{row.nodes:,}", "Edges": f"{row.edges:,}", "Size": size(row.bytes)}
        lines.append(line)
    return lines


def note(rows: Sequence[GraphRow]) -> str:
    """What n and size are, and where published figures were read."""
    own = next((row for row in rows if row.subject == OURS), None)
    said = "n counts networks"
    if own and own.seeds > 1:
        said += f", of the condensed set its {own.seeds} seeds (each the mean of its networks)"
    said += ". Size: half precision, dense or sparse, whichever is less."
    return said + (f" Published: {SOURCE}." if any(row.published for row in rows) else "")
