"""What commands say: to people in lines, to programs as one JSON line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from ddcore.base import spread
from ddcore.base.errors import DDError


class Commands:
    """The commands of a program. Every one knows `--json`."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        self, name: str, function: Callable[[argparse.Namespace], int | None], summary: str
    ) -> argparse.ArgumentParser:
        """One more, to which arguments are added; `function` gives its exit code, None for 0."""
        parser = self._parsers.add_parser(name, help=summary, description=summary)
        parser.set_defaults(command=function)
        parser.add_argument("--json", action="store_true", help="print one JSON line")
        return parser


def output(options: argparse.Namespace, answer: Any, show: Callable[[], Any]) -> None:
    """For people, or one JSON line."""
    if options.json:
        print(json.dumps(answer))
    else:
        show()


def line(row: dict[str, Any]) -> str:
    """The values of a row of a list, for people."""
    return "  ".join(str(v) for v in row.values() if v not in (None, ""))


def setting(text: str) -> tuple[str, str]:
    """The two sides of field=value."""
    name, sign, value = text.partition("=")
    if not sign:
        raise DDError(f"--set {text!r} is not understood: write field=value.")
    return name, value


def figure(row: dict[str, Any]) -> dict[str, Any]:
    """Mean, spread and number of a row of results."""
    return {"mean": row["mean"], "std": spread.of(row), "n": row["n"]}
