"""One command for everything: what `python -m ddcore`, `python -m analysis` and `serve.py` do.

ddx app                                the dashboard; --share and --address as `make share` has them
ddx list methods                       or datasets, runs, protocols, nets, analyses
ddx fields dm                          what can be set in every run and in those of a method
ddx distil dm --dataset digits         (or distill) run a method, evaluate the set beside its baselines
ddx analyse recognition --run KEY      (or analyze) an analysis of one run or of several
ddx report --run KEY report.html       analyses as one HTML file
ddx figures --run KEY figures.zip      their panels for papers: PDF, SVG or PNG, and their numbers
ddx paper KEY KEY                      findings of the paper beside those of runs
ddx continual --source random dm       classes arrive in steps: what a small memory keeps
ddx search --run KEY                   do small sets rank architectures as full training does?
ddx regimes --method dm --ipc 1 10     what labels give: hard, soft, a teacher's, over seeds
ddx sweep first --method dm dc --seed 0-4  runs over axes, as one table
ddx gallery --only dm                  make what is shipped anew: all of it, or of methods and analyses
ddx doctor                             do this machine, the store and a cluster's nodes fit together?
ddx evaluate, export, import, jobs, cancel, resume, prune, verify, recompute, download, reproduce
                                       as `python -m ddcore --help` tells them

After any of them, --help says what it takes; ddx --version says which version this is.
"""

from __future__ import annotations

import argparse
import os
import sys

import ddcore
from ddcore.base import paths

OTHER_NAMES = {"distil": "distill", "analyze": "analyse"}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    command = OTHER_NAMES.get(command, command)
    if command in ("-h", "--help", "--version"):
        print(f"ddx {ddcore.__version__}" if command == "--version" else __doc__.strip())
        return 0
    if not paths.GALLERY.is_dir():  # pages, shipped sets and results lie beside the code
        print("error: ddx needs a checkout: install it with pip install -e .", file=sys.stderr)
        return 2
    if command == "app":
        return _app(rest)
    if command == "gallery":
        return _gallery(rest)
    if (command, rest[:1]) == ("list", ["analyses"]):
        return _analysis("list", *rest[1:])
    if command in ("report", "figures", "paper", "continual", "search", "regimes", "sweep"):
        return _analysis(command, *rest)
    return _analysis(*rest) if command == "analyse" else _ddcore(command, *rest)


def _ddcore(*arguments: str) -> int:
    from ddcore.cli import main as run

    return run(list(arguments), prog="ddx")


def _analysis(*arguments: str) -> int:
    from analysis.__main__ import main as run

    return run(list(arguments), prog="ddx analyse")


def _app(rest: list[str]) -> int:
    """The server takes the place of this process."""
    os.chdir(paths.PROJECT)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "serve.py", *rest])


def _gallery(rest: list[str]) -> int:
    """The shipped runs, then the shipped analyses; of `--only`, each name where it is known."""
    parser = argparse.ArgumentParser(prog="ddx gallery", add_help=False)
    parser.add_argument("--only", action="append", default=[])
    options, others = parser.parse_known_args(rest)
    if {"-h", "--help", "--table"} & set(others):
        return _ddcore("gallery", *rest)
    if not options.only:
        return _ddcore("gallery", *others) or _analysis("gallery", *others)
    from analysis import gallery
    from ddcore.distil.contract import methods

    for name in options.only:
        if name not in (known := [*methods(), *gallery.shipped_kinds()]):
            parser.error(f"only = {name!r} is not allowed: expected one of {', '.join(known)}.")
    runs = [f"--only={name}" for name in options.only if name in methods()]
    analyses = [f"--only={name}" for name in options.only if name not in methods()]
    failed = _ddcore("gallery", *runs, *others) if runs else 0
    return failed or (_analysis("gallery", *analyses, *others) if analyses else 0)


if __name__ == "__main__":
    sys.exit(main())
