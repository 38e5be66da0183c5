"""Analyses on the command line: the same store, the same tasks as the pages.

python -m analysis recognition --run 350963ea --run c3614fdf --preset teaching --set nets=5 --json
python -m analysis report --run 350963ea --run c3614fdf report.html
python -m analysis figures --run 350963ea --only recognition --format svg --width double figures.zip
python -m analysis paper 956473ff ee5f7fc8 fc618f65 da6f7121 --preset quick
python -m analysis continual --dataset digits --source random kmeans dm --ipc 5
python -m analysis search --dataset digits --run ee5f7fc8
python -m analysis regimes --dataset digits --method dm --ipc 1 10 50 --seeds 5
python -m analysis sweep first --method dm dc --ipc 1 10 --seed 0-4
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from analysis import analyses, analysis
from analysis.contract import COMPUTED, PRESETS, Analysis, AnalysisTask
from analysis.printed.panel import FORMATS, WIDTHS
from analysis.runs import choose
from analysis.settings import estimate, make_spec, preset_of
from analysis.sweeps import commands as sweeps
from analysis.task import load_arrays
from analysis.uses import commands as uses
from ddcore import cli
from ddcore.base import outputs
from ddcore.base.errors import NotReady, SpecError
from ddcore.sets.distilled import KINDS
from ddcore.tasks.files import write_atomic
from ddcore.tasks.store import Store, Task

FIELDS = "FIELD=VALUE, with the defaults that presets change"


def main(arguments: list[str] | None = None, prog: str = "python -m analysis") -> int:
    """Run a command; returns the exit code. `prog` is what usage messages call it."""
    return cli.execute(_parser(prog), arguments)


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

    out, store = outputs.file(options.out, force=options.force), Store()
    tasks = _computed(options, store)
    write_atomic(out, html(tasks, store, options.use).encode())
    _written(options, out, tasks)


def figures(options: argparse.Namespace) -> None:
    """`figures OUT`: compute what is missing, write all panels and their numbers into one zip."""
    from analysis.printed import archive

    out, store = outputs.file(options.out, force=options.force), Store()
    tasks = _computed(options, store)
    named = not options.unnamed
    content = archive.of_tasks(store, tasks, options.format, options.width, named=named)
    write_atomic(out, content)
    _written(options, out, tasks)


def _computed(options: argparse.Namespace, store: Store) -> list[Task]:
    """The analyses that are asked for, or all that have an answer for the runs."""
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
    return [cli.compute(store, spec) for spec in specs]


def _written(options: argparse.Namespace, out: Path, tasks: list[Task]) -> None:
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
                of = analysis(name)
                spec = make_spec(of, chosen, preset_of(of, chosen, store, options.preset))
                found[name] = cli.compute(store, spec)
    lines = table.lines(store, found)
    answer = {"answer": table.summary(lines), "rows": [table.facts(line) for line in lines]}
    as_text = (
        (lambda: print(table.markdown(lines))) if options.table else lambda: _print_paper(answer)
    )
    cli.output(options, answer, as_text)


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

    if options.recipes:
        keys = build_recipes()
    else:
        keys = build(cli.watch, only=options.only, missing=options.missing)
    cli.output(options, keys, lambda: print(f"{len(keys)} folders"))


def _facts(of: Analysis, spec: AnalysisTask, store: Store) -> dict[str, Any]:
    task = cli.compute(store, spec)
    result, arrays = of.result(task), load_arrays(store, task)
    return {
        "key": task.key,
        "analysis": of.name,
        "question": of.question,
        "answer": of.sentence(result),
        "rows": of.table(result, arrays),
        "spec": spec.to_dict(),
        "seconds": round(result.seconds, 3),
        "folder": str(task.folder),
    }


def _print(answer: dict[str, Any]) -> None:
    print(answer["question"])
    print(answer["answer"].replace("**", ""))
    print(f"{answer['analysis']} {answer['key']}, {answer['seconds']} s, {answer['folder']}")


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
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
        sub = commands.add_parser(
            known.name,
            help=known.question,
            parents=[common, runs],
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=cli.fields.text({FIELDS: cli.fields.rows(known.spec, but=("run_keys",))}),
        )
        sub.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
        sub.add_argument("--dry-run", action="store_true", help="print the estimate and stop")
        sub.set_defaults(command=compute, analysis=known.name)
    _add_files(commands, [common, runs])
    sub = commands.add_parser(
        "paper", help="findings of the paper beside those of runs", parents=[common]
    )
    sub.add_argument("run", nargs="+", metavar="KEY", help="of a run, or its beginning")
    what = ", ".join(PRESETS) + f"; {COMPUTED}: of each analysis the largest there is"
    sub.add_argument("--preset", default=COMPUTED, help=what)
    sub.add_argument("--compute", action="store_true", help="compute analyses that are missing")
    sub.add_argument("--table", action="store_true", help="print the table of docs/results.md")
    sub.set_defaults(command=paper)
    _add_uses(commands, common)
    sub = commands.add_parser("gallery", help="make the shipped analyses", parents=[common])
    sub.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="repeat for several"
    )
    sub.add_argument(
        "--recipes", action="store_true", help="only copy what recipes have made, computing nothing"
    )
    sub.add_argument("--missing", action="store_true", help="only what the gallery lacks")
    sub.set_defaults(command=gallery)
    return parser


def _add_uses(commands: Any, common: argparse.ArgumentParser) -> None:
    """What is made of many runs: memories, searches, sweeps."""
    what = "learn classes step by step from what is kept of them"
    sub = commands.add_parser("continual", help=what, parents=[common])
    uses.add_continual(sub)
    sub.set_defaults(command=uses.continual)
    what = "sets, coresets and random images under three regimes of labels, over seeds"
    sub = commands.add_parser("regimes", help=what, parents=[common])
    uses.add_regimes(sub)
    sub.set_defaults(command=uses.regimes)
    what = "rank architectures on small sets, and find out what that is worth"
    sub = commands.add_parser("search", help=what, parents=[common])
    uses.add_search(sub)
    sub.set_defaults(command=uses.search)
    what = "runs over axes of methods, sizes, settings and seeds, as a table"
    sub = commands.add_parser("sweep", help=what, parents=[common])
    sweeps.add(sub)
    sub.set_defaults(command=sweeps.sweep)


def _add_files(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """What writes several analyses into one file."""
    files = argparse.ArgumentParser(add_help=False)
    files.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="repeat for several"
    )
    files.add_argument("--force", action="store_true", help="replace a file of that name")
    several = [*parents, files]
    what = "every panel as a file for papers, and its numbers, in one zip"
    sub = commands.add_parser("figures", help=what, parents=several)
    sub.add_argument("--format", choices=FORMATS, default="pdf")
    what = "of one column (3.25 in) or of two (6.75 in)"
    sub.add_argument("--width", choices=WIDTHS, default="single", help=what)
    what = "without the line below each panel about runs, seeds, n and commit"
    sub.add_argument("--unnamed", action="store_true", help=what)
    sub.add_argument("out", metavar="OUT.zip")
    sub.set_defaults(command=figures)
    sub = commands.add_parser("report", help="one HTML file of several", parents=several)
    what = (
        "a finished continual, search, regimes or condensed graph as a section; repeat for several"
    )
    sub.add_argument("--use", action="append", default=[], metavar="KEY", help=what)
    sub.add_argument("out", metavar="OUT.html")
    sub.set_defaults(command=report)


if __name__ == "__main__":
    sys.exit(main())
