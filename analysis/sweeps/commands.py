"""`sweep` on the command line: what cannot be run is listed first, the rest computed, told as a table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.export import csv_text
from analysis.sweeps import maths, tables
from ddcore import cli
from ddcore.base import outputs, paths
from ddcore.base.errors import DDError, SpecError
from ddcore.base.texts import duration
from ddcore.cli import follow
from ddcore.data import datasets
from ddcore.distil.estimate import distillation
from ddcore.sweeps import axes as of_axes
from ddcore.sweeps import cells as of_cells
from ddcore.sweeps import drive, file
from ddcore.sweeps.axes import Axes
from ddcore.sweeps.cells import Known, SweepCell
from ddcore.sweeps.file import Sweep
from ddcore.tasks.files import write_atomic
from ddcore.tasks.store import Store

MOST_AT_ONCE = 1000


def add(sub: argparse.ArgumentParser) -> None:
    """Arguments of `sweep`."""
    what = "of small letters; without axes the sweep of that name goes on; without a name all are listed"
    sub.add_argument("name", nargs="?", default="", help=what)
    told = "several values; of whole numbers ranges such as 0-4 too"
    sub.add_argument("--method", nargs="+", metavar="NAME", help="which make the sets")
    sub.add_argument("--dataset", nargs="+", help="names, or paths of folders")
    sub.add_argument("--preset", nargs="+", help="quick, teaching, hour, paper")
    sub.add_argument("--ipc", nargs="+", help=f"images per class: {told}")
    sub.add_argument("--seed", nargs="+", help=f"what means are taken over: {told}")
    what = "of a run, such as lr=0.1,1; values with commas stand between semicolons; repeat for several"
    sub.add_argument("--set", action="append", default=[], metavar="FIELD=V,V", help=what)
    sub.add_argument("--search", type=int, default=0, metavar="N", help="draw N points of --over")
    laws = "; ".join(f"{name}: {text}" for name, text in of_axes.LAWS.items())
    what = f"such as lr=log:0.01:10 ({laws}); repeat for several"
    sub.add_argument("--over", action="append", default=[], metavar="FIELD=LAW:LOW:HIGH", help=what)
    sub.add_argument("--at-once", type=int, metavar="N", help="workers alive at a time")
    sub.add_argument("--skip-invalid", action="store_true", help="run the cells that can be run")
    sub.add_argument("--replace", action="store_true", help="other axes under a name that is taken")
    sub.add_argument("--dry-run", action="store_true", help="list cells and estimate, then stop")
    sub.add_argument("--table", action="store_true", help="tell what is there; compute nothing")
    what = "the axis along which differences are tested: by default methods, else the first that varies"
    sub.add_argument("--compare", default="", metavar="AXIS", help=what)
    sub.add_argument("--csv", metavar="OUT.csv", help="write the table")
    sub.add_argument("--cells", metavar="OUT.csv", help="write every cell")
    sub.add_argument("--force", action="store_true", help="replace files of these names")


def sweep(options: argparse.Namespace) -> int:
    """`sweep NAME`: list what cannot be run, compute the rest, tell the table."""
    store = Store()
    if not options.name:
        return _list(options, store)
    of_rows, of_each = (_out(options, out) for out in (options.csv, options.cells))
    planned = _planned(options, store)
    maths.check_axis(planned.axes, options.compare)
    known = _datasets(store, planned.axes, options.table)
    cells = of_cells.expand(planned.name, planned.axes, known)
    if options.dry_run:
        return _dry(options, store, cells, known)
    if not options.table:
        _refuse_invalid(options, cells)
        file.keep(store, planned.name, planned.axes, options.replace)
        _compute(options, store, planned, cells)
    looked = maths.look(store, cells)
    rows = maths.table(looked)
    answer = _answer(options, planned, looked, rows)
    _write(of_rows, [tables.row_facts(planned.axes, row) for row in rows])
    _write(of_each, [tables.cell_facts(each) for each in looked])
    cli.output(options, answer, lambda: _print(options, planned, looked, rows))
    return 1 if answer["failed"] and not options.table else 0


def _out(options: argparse.Namespace, name: str | None) -> Path | None:
    return outputs.file(name, force=options.force) if name else None


def _write(out: Path | None, rows: Sequence[dict[str, Any]]) -> None:
    if out:
        write_atomic(out, csv_text(list(rows)).encode())


def _list(options: argparse.Namespace, store: Store) -> int:
    found = []
    for name in file.names(store):
        try:
            there = file.read(store, name)
        except DDError as error:
            found.append({"name": name, "problem": str(error)})
            continue
        cells = of_cells.expand(name, there.axes, of_cells.stored(store, there.axes.dataset))
        told = tables.progress(maths.look(store, cells))
        found.append({"name": name, "progress": told, "command": there.axes.command(name)})
    empty = ["There is no sweep yet."]
    cli.output(options, found, lambda: [print(x) for x in map(cli.line, found) or empty])
    return 0


def _planned(options: argparse.Namespace, store: Store) -> Sweep:
    """The sweep that is asked for: its axes, or those that are kept under its name."""
    file.path(store, options.name)
    listed = {axis: getattr(options, axis) for axis in of_axes.OWN}
    given = {axis: values for axis, values in listed.items() if values is not None}
    if "method" not in given:
        if given or options.set or options.over or options.search:
            raise DDError("Axes need methods: say --method, such as --method dm dc.")
        return file.read(store, options.name)
    if "dataset" in given:
        given["dataset"] = [_named(text) for text in given["dataset"]]
    asked = of_axes.make(**given, settings=options.set, points=options.search, over=options.over)
    return Sweep(options.name, asked, 0.0)


def _named(text: str) -> str:
    """A name of a dataset as it is; a path as it is from everywhere."""
    return text if text in datasets() else str(paths.typed(text).resolve())


def _datasets(store: Store, axes: Axes, read_only: bool) -> dict[str, Known]:
    if read_only:
        return of_cells.stored(store, axes.dataset)
    return of_cells.datasets(store, axes.dataset, lambda spec: follow.compute(store, spec))


def _problems(cells: Sequence[SweepCell]) -> list[dict[str, Any]]:
    return [
        {"cell": dict(place), "seeds": seeds, "problem": problem}
        for place, seeds, problem in of_cells.problems(cells)
    ]


def _refuse_invalid(options: argparse.Namespace, cells: Sequence[SweepCell]) -> None:
    """Say every cell that cannot be run; stop here unless they are to be skipped, or none is left."""
    found = _problems(cells)
    for each in found:
        follow.say(_invalid(each))
    invalid = sum(each["seeds"] for each in found)
    if invalid == len(cells):
        raise DDError("No cell of this sweep can be run: nothing was started.")
    if found and not options.skip_invalid:
        raise DDError(
            f"{invalid} of {len(cells)} cells cannot be run, so that nothing was started: change the axes, "
            "or add --skip-invalid."
        )


def _invalid(found: dict[str, Any]) -> str:
    told = ", ".join(f"{axis} {value}" for axis, value in found["cell"].items())
    seeds = f" ({found['seeds']} seeds)" if found["seeds"] > 1 else ""
    return f"cannot be run: {told}{seeds}: {found['problem']}"


def _dry(
    options: argparse.Namespace, store: Store, cells: Sequence[SweepCell], known: dict[str, Known]
) -> int:
    """Every cell, what cannot be run and why, and what the distillations will take."""
    looked = maths.look(store, cells)
    seconds = 0.0
    for each in looked:
        form = known[each.cell.at["dataset"]]
        if each.cell.run and each.state.state != "done" and not isinstance(form, str):
            seconds += distillation(each.cell.run, store, form[1], form[2]).seconds
    facts = {
        "name": options.name,
        "cells": [tables.cell_facts(each) for each in looked],
        "invalid": _problems(cells),
        "seconds": seconds,
    }

    def show() -> None:
        for problem in facts["invalid"]:
            print(_invalid(problem))
        for each in looked:
            if each.cell.run:
                word = tables.WAITING if each.state.state == "missing" else each.state.state
                print(f"{each.cell.run.key}  {', '.join(v for _, v in each.cell.place)}  {word}")
        print(tables.progress(looked))
        print(
            f"Distilling what is left takes about {duration(seconds)} of a device, not judging it."
        )

    cli.output(options, facts, show)
    return 0


def _compute(
    options: argparse.Namespace, store: Store, planned: Sweep, cells: Sequence[SweepCell]
) -> None:
    from tqdm import tqdm

    at_once = drive.usual_at_once() if options.at_once is None else options.at_once
    if not 1 <= at_once <= MOST_AT_ONCE:
        raise SpecError("at-once", at_once, f"a number from 1 to {MOST_AT_ONCE}")
    total = sum(cell.run is not None for cell in cells)
    with tqdm(total=total, desc=planned.name, unit="cell", leave=False, disable=None) as bar:
        try:
            drive.work_through(store, cells, at_once, follow.say, lambda cell: bar.update())
        except KeyboardInterrupt:
            raise DDError(f"Stopped; go on with: ddx sweep {planned.name}") from None


def _answer(
    options: argparse.Namespace,
    planned: Sweep,
    looked: Sequence[maths.Looked],
    rows: Sequence[maths.SweepRow],
) -> dict[str, Any]:
    axes = planned.axes
    found = maths.comparison(axes, rows, options.compare)
    return {
        "name": planned.name,
        "axes": axes.to_dict(),
        "cells": len(looked),
        "compared": len(rows),
        "states": maths.counts(looked),
        "rows": [tables.row_facts(axes, row) for row in rows],
        "chosen": [tables.choice_facts(axes, each) for each in maths.chosen(axes, rows)],
        "best": [tables.choice_facts(axes, each) for each in maths.winners(axes, rows)],
        "differences": [tables.difference_facts(each) for each in found],
        "failed": [
            {"cell": cell.at, "run": cell.run.key if cell.run else None, "state": s, "message": m}
            for cell, s, m in maths.failures(looked)
        ],
        "invalid": _problems([each.cell for each in looked]),
        "answer": tables.headline(axes, rows),
    }


def _print(
    options: argparse.Namespace,
    planned: Sweep,
    looked: Sequence[maths.Looked],
    rows: Sequence[maths.SweepRow],
) -> None:
    axes = planned.axes
    cli.rows(tables.lines(axes, rows))
    found = maths.comparison(axes, rows, options.compare)
    if found:
        print()
        cli.rows(tables.difference_lines(axes, found))
        print(tables.difference_text(found))
    for each in maths.chosen(axes, rows):
        print(f"chosen for {tables.choice_text(axes, each)}")
    if told := tables.headline(axes, rows):
        print(told)
    for cell, state, message in maths.failures(looked):
        print(f"{state}: {', '.join(value for _, value in cell.place)}: {message}")
    print(tables.progress(looked))
