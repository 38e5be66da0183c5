"""The command line: the same store, the same tasks as the dashboard; a module for each group of commands."""

from ddcore.cli.console import Commands, line, output, setting
from ddcore.cli.follow import compute, watch
from ddcore.cli.program import execute, main

__all__ = ["Commands", "compute", "execute", "line", "main", "output", "setting", "watch"]
