"""The commands together, and what becomes of mistakes.

python -m ddcore distill dm --dataset digits --ipc 1 --json
python -m ddcore export RUN --format npz distilled.npz
"""

from __future__ import annotations

import argparse
import json
import sys

from ddcore.base import environment
from ddcore.base.errors import DDError, refused_by_system
from ddcore.cli import fields, folders, importing, library, listing, published, runs
from ddcore.cli.console import Commands

PROG = "python -m ddcore"


def main(arguments: list[str] | None = None, prog: str = PROG) -> int:
    """Run a command; returns the exit code. `prog` is what usage messages call it."""
    return execute(parser(prog), arguments)


def execute(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    """Call the chosen command; expected errors are one line on stderr and exit code 2."""
    options = parser.parse_args(arguments)
    try:
        environment.check()
        return options.command(options) or 0
    except DDError as error:
        return _refuse(options, str(error))
    except BrokenPipeError:
        return 0
    except OSError as error:  # a full disk, a store that is read-only
        return _refuse(options, refused_by_system(error))


def _refuse(options: argparse.Namespace, sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    if getattr(options, "json", False):
        print(json.dumps({"state": "failed", "error": sentence}))
    return 2


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    """All commands, in the order of their help."""
    found = argparse.ArgumentParser(
        prog=prog,
        description="The command line: the same store, the same tasks as the dashboard.",
    )
    commands = Commands(found)
    for group in (listing, fields, runs, library, importing, folders, published):
        group.add(commands)
    folders.add_doctor(commands)
    folders.add_work(commands)
    return found
