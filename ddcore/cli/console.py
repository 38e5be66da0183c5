"""What commands say: to people in lines, to programs as one JSON line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ddcore.base import spread
from ddcore.base.errors import DDError


class Filled(argparse.ArgumentParser):
    """A command whose arguments are looked up when it is used: what others need is not imported for it."""

    fill: Callable[[argparse.ArgumentParser], object] | None = None

    def _arguments(self) -> None:
        fill, self.fill = self.fill, None
        if fill:
            fill(self)

    def parse_known_args(self, *arguments: Any, **details: Any) -> Any:
        """As every parser does."""
        self._arguments()
        return super().parse_known_args(*arguments, **details)

    def format_help(self) -> str:
        """As every parser does."""
        self._arguments()
        return super().format_help()


class Commands:
    """The commands of a program. Every one knows `--json`."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parsers = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Filled)

    def add(
        self,
        name: str,
        function: Callable[[argparse.Namespace], int | None],
        summary: str,
        fill: Callable[[argparse.ArgumentParser], object] | None = None,
        **details: Any,
    ) -> argparse.ArgumentParser:
        """One more, to which arguments are added, or by `fill` once it is used.

        `function` gives its exit code, None for 0.
        """
        parser = self._parsers.add_parser(name, help=summary, description=summary, **details)
        parser.fill = fill
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


def rows(found: Sequence[Mapping[str, str]]) -> None:
    """Print a table for people: columns as wide as what is in them."""
    if not found:
        raise DDError("There is nothing to tell.")
    names = list(found[0])
    widths = [max(len(n), *(len(row[n]) for row in found)) for n in names]
    for row in [dict(zip(names, names)), *found]:
        print("  ".join(row[n].ljust(w) for n, w in zip(names, widths)).rstrip())
