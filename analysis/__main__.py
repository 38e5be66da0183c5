"""Analyses on the command line: the same store, the same tasks as the pages.

python -m analysis recognition --run 350963ea --run c3614fdf --preset teaching --set nets=5 --json
python -m analysis report --run 350963ea --run c3614fdf report.html
python -m analysis paper 956473ff ee5f7fc8 fc618f65 da6f7121 --preset quick
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from analysis import analyses, analysis
from analysis.contract import PRESETS, Analysis, AnalysisTask
from analysis.runs import choose
from analysis.settings import estimate, make_spec
from analysis.task import load_arrays
from ddcore import cli
from ddcore.base import outputs
from ddcore.base.errors import NotReady, SpecError
from ddcore.sets.distilled import KINDS
from ddcore.tasks.files import write_atomic
from ddcore.tasks.store import Store


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    return cli.execute(_parser(), arguments)


def list_analyses(options: argparse.Namespace) -> None:
    """`list`: every analysis and its question."""
    rows = [{"name": a.name, "title": a.title, "question": a.question} for a in analyses().values()]
    cli.output(options, rows, lambda: [print(cli.line(row)) for row in rows])


def compute(options: argparse.Namespace) -> int:
    """`NAME`: compute, print the answer."""
    store, chosen_analysis = Store(), analysis(options.analysis)
    chosen = choose(store, [run_key(store, text) for text in options.run])
    settings = [cli.setting(text) for text in options.set]
    spec = make_spec(chosen_analysis, chosen, options.preset, settings)
    if options.dry_run:
        guess = estimate(chosen_analysis, spec, chosen, store)
        print(f"{spec.title()} ({spec.key}): {guess.sentence()}")
        return 0
    answer = _facts(chosen_analysis, spec, store)
    cli.output(options, answer, lambda: _print(answer))
    return 0


def report(options: argparse.Namespace) -> None:
    """`report OUT`: compute what is missing, write one HTML file."""
    from analysis.report import html

    out = outputs.file(options.out, force=options.force)
    store = Store()
    chosen = choose(store, [run_key(store, text) for text in options.run])
    wanted = [analysis(name) for name in options.only] or list(analyses().values())
    specs = []
    for each in wanted:
        try:
            specs.append(make_spec(each, chosen, options.preset))
        except SpecError as refused:  # of all, leave out what has no answer for these runs
            if options.only:
                raise
            print(f"Without {each.name}: {refused}", file=sys.stderr)
    tasks = [cli.compute(store, spec) for spec in specs]
    write_atomic(out, html(tasks, store).encode())
    answer = {"path": str(out), "tasks": [task.key for task in tasks]}
    cli.output(options, answer, lambda: print(out))


def paper(options: argparse.Namespace) -> None:
    """`paper KEY...`: the findings of the paper beside what these runs show; what is missing is said."""
    from analysis.claims import table

    store = Store()
    chosen = choose(store, [run_key(store, text) for text in options.run])
    found = table.tasks(store, chosen, options.preset)
    if options.compute:
        for name, task in list(found.items()):
            if not isinstance(task, str) and not task.is_done():
                spec = make_spec(analysis(name), chosen, options.preset)
                found[name] = cli.compute(store, spec)
    lines = table.lines(store, found)
    answer = {"answer": table.summary(lines), "rows": [table.facts(line) for line in lines]}
    cli.output(options, answer, lambda: _print_paper(answer))


def _print_paper(answer: dict[str, Any]) -> None:
    for row in answer["rows"]:
        print(f"{row['verdict'].upper()}  {row['statement']}")
        print(f"  paper: {row['published']} ({row['read']})")
        for name in ("ours", "why", "explained"):
            if row[name]:
                print(f"  {name}: {row[name]}")
        if row["differs"]:
            print(f"  here: {'; '.join(row['differs'])}")
    print(answer["answer"].replace("**", ""))


def run_key(store: Store, text: str) -> str:
    """The key of the run or opened set that a key or its beginning names."""
    keys = sorted({t.key for kind in KINDS for t in store.tasks(kind) if t.key.startswith(text)})
    if not text or not keys:
        raise NotReady(f"No run {text!r} here: see python -m ddcore list runs.")
    if len(keys) > 1:
        raise NotReady(f"Run {text!r} is not unique: {', '.join(keys)}.")
    return keys[0]


def gallery(options: argparse.Namespace) -> None:
    """`gallery`: compute the shipped analyses and put them where they are shipped from."""
    from analysis.gallery import build, build_recipes

    keys = build_recipes() if options.recipes else build(cli.watch, only=options.only)
    cli.output(options, keys, lambda: print(f"{len(keys)} folders"))


def _facts(of: Analysis, spec: AnalysisTask, store: Store) -> dict[str, Any]:
    task = cli.compute(store, spec)
    result, arrays = task.result(), load_arrays(store, task)
    return {
        "key": task.key,
        "analysis": of.name,
        "question": of.question,
        "answer": of.sentence(result),
        "rows": of.table(result, arrays),
        "spec": spec.to_dict(),
        "seconds": round(result["seconds"], 3),
        "folder": str(task.folder),
    }


def _print(answer: dict[str, Any]) -> None:
    print(answer["question"])
    print(answer["answer"].replace("**", ""))
    print(f"{answer['analysis']} {answer['key']}, {answer['seconds']} s, {answer['folder']}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON line")
    runs = argparse.ArgumentParser(add_help=False)
    runs.add_argument(
        "--run", action="append", required=True, help="key or its beginning; repeat for several"
    )
    runs.add_argument("--preset", default="quick", help=", ".join(PRESETS))

    sub = commands.add_parser("list", help="what there is", parents=[common])
    sub.set_defaults(command=list_analyses)
    for known in analyses().values():
        sub = commands.add_parser(known.name, help=known.question, parents=[common, runs])
        sub.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
        sub.add_argument("--dry-run", action="store_true", help="print the estimate and stop")
        sub.set_defaults(command=compute, analysis=known.name)
    sub = commands.add_parser("report", help="one HTML file of several", parents=[common, runs])
    sub.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="repeat for several"
    )
    sub.add_argument("--force", action="store_true", help="replace a file of that name")
    sub.add_argument("out", metavar="OUT.html")
    sub.set_defaults(command=report)
    sub = commands.add_parser(
        "paper", help="findings of the paper beside those of runs", parents=[common]
    )
    sub.add_argument("run", nargs="+", metavar="KEY", help="of a run, or its beginning")
    sub.add_argument("--preset", default="quick", help=", ".join(PRESETS))
    sub.add_argument("--compute", action="store_true", help="compute analyses that are missing")
    sub.set_defaults(command=paper)
    sub = commands.add_parser("gallery", help="make the shipped analyses", parents=[common])
    sub.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="repeat for several"
    )
    sub.add_argument(
        "--recipes", action="store_true", help="only copy what recipes have made, computing nothing"
    )
    sub.set_defaults(command=gallery)
    return parser


if __name__ == "__main__":
    sys.exit(main())
