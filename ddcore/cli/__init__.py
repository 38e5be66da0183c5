"""The command line: the same store, the same tasks as the dashboard; a module for each group of commands."""

from ddcore.cli import fields
from ddcore.cli.console import Commands, line, output, rows, setting
from ddcore.cli.follow import compute, watch
from ddcore.cli.program import execute, main

__all__ = [
    "Commands",
    "compute",
    "execute",
    "fields",
    "line",
    "main",
    "output",
    "rows",
    "setting",
    "watch",
]
