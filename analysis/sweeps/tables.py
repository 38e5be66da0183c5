"""What was found in a sweep as rows and sentences: for the command, its files and the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.shared.significance import RULE
from analysis.sweeps import maths
from analysis.sweeps.maths import Looked, PairedDifference, RowChoice, SweepRow
from ddcore.base.spread import figure_text
from ddcore.sweeps.axes import Axes, CellPlace

STATES = ("done", "running", "queued", "missing", *maths.FAILED, "invalid")
WAITING = "not begun"  # what "missing" means in a sweep


def label(axes: Axes, place: CellPlace, without: Sequence[str] = ()) -> str:
    """A place by what is varied: "dm, ipc 10, lr 0.1"; methods, datasets and presets by their value alone."""
    named = ("method", "dataset", "preset")
    at = [(axis, value) for axis, value in place if axis in axes.varied and axis not in without]
    if not at and not without:
        at = [(axis, value) for axis, value in place if axis in ("method", "dataset", "ipc")]
    return ", ".join(value if axis in named else f"{axis} {value}" for axis, value in at)


def progress(looked: Sequence[Looked]) -> str:
    """ "18 of 24 cells done, 1 failed, 5 not begun." """
    found = maths.counts(looked)
    parts = [f"{found.get('done', 0)} of {len(looked)} cells done"]
    for state in STATES[1:]:
        if state in found:
            parts.append(f"{found[state]} {WAITING if state == 'missing' else state}")
    return ", ".join(parts) + "."


def row_facts(axes: Axes, row: SweepRow) -> dict[str, Any]:
    """A row of the table as plain values; shares."""
    test, validation = row.test, row.validation
    return {
        **row.at,
        "mean": test["mean"] if test else None,
        "sd": test["std"] if test else None,
        "n": test["n"] if test else 0,
        "seeds": row.seeds,
        "failed": row.failed,
        "networks_sd": row.networks,
        "networks": next((r.nets for r in row.results.values()), None),
        "validation_mean": validation["mean"] if validation else None,
        "random_mean": row.random["mean"] if row.random else None,
        "random_sd": row.random["std"] if row.random and row.random["n"] > 1 else None,
    }


def cell_facts(each: Looked) -> dict[str, Any]:
    """A cell as plain values; shares."""
    found, run = each.found, each.cell.run
    return {
        **each.cell.at,
        "state": each.state.state,
        "run": run.key if run else None,
        "test": found.test if found else None,
        "networks_sd": found.deviation if found else None,
        "networks": found.nets if found else None,
        "validation": found.validation if found else None,
        "message": each.state.message,
    }


def choice_facts(axes: Axes, each: RowChoice) -> dict[str, Any]:
    """A choice as plain values; shares."""
    return {
        **dict(each.within),
        "chosen": each.row.at,
        "compared": each.compared,
        "left_out": each.left_out,
        "validation": each.row.validation,
        "test": each.row.test,
    }


def difference_facts(each: PairedDifference) -> dict[str, Any]:
    """A difference as plain values; shares."""
    return {
        "axis": each.axis,
        "of": each.row.at,
        "against": each.against.at,
        "mean": each.mean,
        "sd": each.deviation,
        "n": each.n,
        "low": each.low,
        "high": each.high,
        "p": each.p if each.p == each.p else None,
        "more_than_chance": each.claimed,
    }


# --- for people ---------------------------------------------------------------------------------------------


def lines(axes: Axes, rows: Sequence[SweepRow]) -> list[dict[str, str]]:
    """The table: a column for each axis that is varied."""
    shown = axes.varied or ("method", "dataset", "ipc")
    return [
        {
            **{axis: row.at[axis] for axis in shown},
            "Test accuracy": figure_text(row.test) if row.test else "–",
            "Spread of networks": "–" if row.networks is None else f"{100 * row.networks:.1f} %",
            "Validation": figure_text(row.validation) if row.validation else "–",
            "Random real (networks)": figure_text(row.random) if row.random else "–",
            **({"Failed": str(row.failed)} if any(r.failed for r in rows) else {}),
        }
        for row in rows
    ]


def difference_lines(axes: Axes, found: Sequence[PairedDifference]) -> list[dict[str, str]]:
    """Paired differences in points."""
    return [
        {
            "Set": label(axes, each.row.place),
            "Against": label(axes, each.against.place),
            "Difference": _points(each),
            "95 % interval": "–" if each.low is None else _span(each),
            "p": f"{each.p:.2g}" if each.p == each.p else "not tested",
            "More than chance": "yes" if each.claimed else "no",
        }
        for each in found
    ]


def _points(each: PairedDifference) -> str:
    spread = "" if each.deviation is None else f" ± {100 * each.deviation:.1f}"
    return f"{100 * each.mean:+.1f}{spread} points (n = {each.n})"


def _span(each: PairedDifference) -> str:
    low, high = each.low or 0.0, each.high or 0.0
    return f"{100 * low:+.1f} to {100 * high:+.1f}"


def choice_text(axes: Axes, each: RowChoice) -> str:
    """ "Of 6 compared on validation images for digits, ipc 1: dm, lr 0.1, on test images 75.3 ± 1.2 %"."""
    task = ", ".join(value if axis != "ipc" else f"ipc {value}" for axis, value in each.within)
    figure = figure_text(each.row.test) if each.row.test else "–"
    name = label(axes, each.row.place, without=[a for a, _ in each.within]) or "the only one"
    text = f"{task}: {name}, best of {each.compared} on validation images; on test images {figure}"
    if each.left_out:
        text += f" ({each.left_out} not compared: seeds or validation images are missing)"
    return text


def difference_text(found: Sequence[PairedDifference]) -> str:
    """How many differences were tested, and how many are more than chance."""
    tested = sum(each.p == each.p for each in found)
    if not found:
        return ""
    if not tested:
        return "No difference can be tested: that takes at least two seeds, and some spread."
    claimed = sum(each.claimed for each in found)
    many = "difference" if tested == 1 else "differences"
    return (
        f"Of {tested} {many} tested, {claimed} more than chance: two-sided {RULE} (Benjamini-Hochberg), "
        "paired by seed."
    )


def headline(axes: Axes, rows: Sequence[SweepRow]) -> str:
    """What was chosen, of how many, or why nothing is."""
    found = maths.winners(axes, rows)
    if not found:
        return "" if len(rows) > 1 else "There is one set only: nothing is chosen."
    return "; ".join(choice_text(axes, each) for each in found) + "."
