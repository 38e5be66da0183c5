"""What an evaluation says: figures as stored, differences in points, and how far to trust them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import streamlit as st

from analysis.printed.panel import Panel
from ddcore.base import spread
from ddcore.base.foreign_text import cell, plain
from ddcore.base.spread import figure_text
from ddcore.measure.ranking import difference
from ddcore.pools.bank_spec import Start
from ddcore.tasks.store import Task
from pages.components import charts

AccuracyRow = dict[str, Any]
TITLE = "Test accuracy of every network"
CLOSE = "within the spread"
HEIGHT, ROW = 120, 60  # screen pixels of the dots: of axis and margins, of each set


def figure_cell(row: AccuracyRow) -> str:
    """The same for a table: on one line."""
    return figure_text(row).replace(" ", "\N{NO-BREAK SPACE}")


def gain(row: AccuracyRow, other: AccuracyRow) -> float:
    """How much better the first is, in points."""
    return 100 * (row["mean"] - other["mean"])


def within_spread(row: AccuracyRow, other: AccuracyRow) -> bool:
    """Whether the difference is smaller than the larger of the spreads over networks that there are."""
    known = [std for std in (spread.of(row), spread.of(other)) if std is not None]
    return abs(row["mean"] - other["mean"]) < max(known, default=0.0)


def answer(rows: dict[str, AccuracyRow]) -> str:
    """The answer to the page's question in one or two sentences."""
    own = rows["distilled"]
    parts = []
    for name in ("random", "class_mean"):
        if name in rows:
            points = difference(own, rows[name]).points()
            note = f" ({CLOSE} of the networks)" if within_spread(own, rows[name]) else ""
            label = charts.subject(name)[0].lower()
            parts.append(f"**{points}** over {label}{note}")
    return f"Distilled: **{figure_text(own)}**. That is {' and '.join(parts)}."


def as_published(rows: dict[str, AccuracyRow]) -> str:
    """The second figure, with what it is; "" where nobody asked for it."""
    own = rows["distilled"].get("best_on_test")
    if not own:
        return ""
    beside = [n for n in ("random", "class_mean") if "best_on_test" in rows.get(n, {})]
    others = [
        f"{charts.subject(n)[0].lower()} {figure_text(rows[n]['best_on_test'])}" for n in beside
    ]
    return (
        f"As published (best on test): {', '.join([f'**{figure_text(own)}**', *others])}. Each "
        f"network's best of a test every {own['every']} epochs: test images have chosen, so compare it with "
        "published figures only."
    )


def caution(rows: dict[str, AccuracyRow]) -> str:
    """A warning where a set that costs nothing is as good; "" otherwise."""
    own = rows["distilled"]
    better = [n for n in ("random", "class_mean") if n in rows and own["mean"] <= rows[n]["mean"]]
    close = [n for n in ("class_mean",) if n in rows and within_spread(own, rows[n])]
    labels = {"random": "random real images", "class_mean": "class means"}
    if better:
        names = " and ".join(labels[n] for n in better)
        return f"It does not beat {names}, which need no distillation at all."
    if close:
        return (
            "Its lead over class means, which need no distillation, is smaller than the spread of "
            "the networks: do not read it as a success yet."
        )
    return ""


def contrast(rows: dict[str, AccuracyRow], task: Any, fixed: bool) -> str:
    """What a set made for one known initialisation does on others; "" for other sets."""
    if not fixed:
        return ""
    if "other_inits" in rows:
        drop = gain(rows["distilled"], rows["other_inits"])
        return (
            f"This set was made for one known initialisation, where it reaches "
            f"{figure_text(rows['distilled'])}; from other initialisations of the same network it "
            f"reaches {figure_text(rows['other_inits'])}, {drop:.1f} points less."
        )
    if not task.protocol.ordered:
        return (
            "This set was made for one known initialisation; this protocol starts every network from "
            "other random weights, for which the set was not made."
        )
    return ""


def before_and_after(rows: dict[str, AccuracyRow], start: Start, ordered: bool) -> str:
    """What a set made for trained networks does to them; "" for sets made for fresh ones."""
    if start.fresh:
        return ""
    made_for = f"This set was made for {start.describe()}"
    if not ordered:
        return (
            f"{made_for}; this protocol starts every network from fresh random weights, for which the "
            "set was not made."
        )
    if "before" not in rows:
        return ""
    own, before = rows["distilled"], rows["before"]
    text = (
        f"{made_for}. As they are they reach {figure_text(before)} on the test images, after training "
        f"on the set {figure_text(own)}: {difference(own, before).points()}."
    )
    if "other_inits" in rows:
        text += (
            f" Networks with fresh random weights reach {figure_text(rows['other_inits'])} with it."
        )
    return text


def attack_answer(rows: dict[str, AccuracyRow], names: Sequence[str]) -> str:
    """What an attack does, in two sentences."""
    own, before = rows["distilled"]["attack"], rows["before"]["attack"]
    attacked, target = plain(names[own["attacked"]]), plain(names[own["target"]])
    return (
        f"After training on the set **{figure_text(own['flipped'])}** of the test images of {attacked} "
        f"are taken for {target}; before it were {figure_text(before['flipped'])}. On the other classes "
        f"the networks reach {figure_text(own['others'])}, before {figure_text(before['others'])}."
    )


# --- drawing --------------------------------------------------------------------------------------


def dots(rows: dict[str, AccuracyRow], key: str) -> None:
    """One dot per network, a line at the mean."""
    shown = panel(rows)
    charts.show(shown.figure, key=key, alt=shown.text)


def panel(rows: dict[str, AccuracyRow]) -> Panel:
    """The same, to be shown or printed."""
    shown = [(name, *charts.subject(name), row) for name, row in rows.items()]
    figure = charts.dots(
        [(label, row["accuracies"], colour, mark) for _, label, colour, mark, row in shown],
        x="test accuracy",
        height=HEIGHT + ROW * len(shown),
    )
    alt = "; ".join(f"{label} {figure_text(row)}" for _, label, _, _, row in shown)
    return Panel(TITLE, figure, f"{TITLE}. {alt}")


def table(rows: dict[str, AccuracyRow]) -> None:
    """Figures as stored, and what distilling gains over each."""
    own = rows["distilled"]
    sizes = any(row.get("step_size") is not None for row in rows.values())
    best = any("best_on_test" in row for row in rows.values())
    head = ["Set", "Test accuracy", "Distilled is better by"]
    head += [*(["Best on test, as published"] if best else []), *(["Step size"] if sizes else [])]
    lines = []
    for name, row in rows.items():
        points = "" if name == "distilled" else difference(own, row).points()
        cells = [charts.subject(name)[0], figure_text(row), points]
        if best:
            cells.append(figure_text(row["best_on_test"]) if "best_on_test" in row else "")
        if sizes:
            cells.append(str(row["step_size"] or "learned"))
        lines.append(cells)
    st.markdown(markdown_table(head, lines))
    if sizes:
        st.caption(
            "This protocol uses learned step sizes. Sets without their own get the learned ones or the "
            "constant one that does best on validation images, whichever is better for them."
        )


def attack_table(rows: dict[str, AccuracyRow], names: Sequence[str]) -> None:
    """What every set of an attack does, and how the networks do on each class before and after."""
    attacks = {name: row["attack"] for name, row in rows.items() if "attack" in row}
    own = attacks["distilled"]
    attacked, target = plain(names[own["attacked"]]), plain(names[own["target"]])
    columns = {
        "flipped": f"{attacked} taken for {target}",
        "others": "Other classes right",
        "modified": f"Right if {attacked} counts as {target}",
        "accuracy": "Right by the true labels",
    }
    lines = [
        [charts.subject(name)[0], *(figure_text(figures[c]) for c in columns)]
        for name, figures in attacks.items()
    ]
    st.markdown(markdown_table(["Set", *columns.values()], lines))
    st.caption(
        f"Random real images and class means carry the changed label too. {own['images']} test images "
        f"of {attacked}."
    )
    shares = {n: [f"{100 * v:.1f} %" for v in a["per_class"]] for n, a in attacks.items()}
    head = ["Class", *(charts.subject(n)[0] for n in shares)]
    body = [[plain(name), *(s[c] for s in shares.values())] for c, name in enumerate(names)]
    with st.expander("Accuracy of each class"):
        st.markdown(markdown_table(head, body))


def matrix(evaluation: list[AccuracyRow], own_arch: str) -> None:
    """Subject by architecture."""
    archs = list(dict.fromkeys(row["arch"] for row in evaluation))
    subjects = list(dict.fromkeys(row["subject"] for row in evaluation))
    cells = {(row["subject"], row["arch"]): figure_text(row) for row in evaluation}
    head = ["Set", *(f"{a} (its own)" if a == own_arch else a for a in archs)]
    body = [[charts.subject(s)[0], *(cells.get((s, a), "") for a in archs)] for s in subjects]
    st.markdown(markdown_table(head, body))


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """A table with its first column left and the others right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    lines = [[c.replace("|", "\\|") for c in row] for row in (head, rule, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def csv_of(task: Task) -> str:
    """One line per network, with everything needed to find the figure again."""
    spec, result = task.document()["spec"], task.result()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["run", "evaluation", "protocol", "set", "network", "seed", "accuracy", "loss", "task"]
    )
    for row in result["rows"]:
        for i, (accuracy, loss) in enumerate(zip(row["accuracies"], row["losses"])):
            name = cell(result["protocol"]["name"])
            facts = [spec["run_key"], task.key, name, row["subject"]]
            writer.writerow([*facts, row["arch"], i, accuracy, loss, row["key"]])
    return out.getvalue()


READ = """- Each dot is one network: fresh random weights, trained on nothing but that set, tested on all test
  images. The vertical line is the mean; ± is the standard deviation over the networks.
- All sets have the same size. *Random real images* are drawn anew for every network; *class means* are
  averages of training images and cost nothing.
- *All training images*, where shown, is a ceiling: many times the size.
- A single figure (n = 1) has no spread: one known initialisation, or a kernel machine that is solved for
  rather than trained, leaves nothing to chance."""

DOUBT = """- ± says how much the networks differ, not how much another distillation would: distil again with
  another seed to see that. That of a difference takes the networks on both sides as independent: where they
  start from the same weights it is too large.
- The test images are the same for every dot: a difference of a few images may be luck.
- Another protocol gives other figures for the same images, often by many points. Published accuracies
  are only comparable under the same protocol.
- A set can fit the network it was made with: add architectures above.
- Test images never choose anything: the set kept and the baselines' step sizes are chosen on validation
  images, which come from the training part."""
