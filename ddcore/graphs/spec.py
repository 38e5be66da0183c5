"""Specs of graphs as data: what is read once (`GraphTask`), how a run uses it (`GraphData`). No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ddcore.base.fields import choice, text
from ddcore.base.specs import Spec, TaskSpec
from ddcore.graphs.known import KNOWN, OWN

FINGERPRINT = re.compile(r"[0-9a-f]{64}")
SCALES = {"rows": "the features of each node sum to 1", "none": "as they are in the file"}


@dataclass(frozen=True, kw_only=True)
class GraphFiles(Spec):
    """Which graph."""

    name: str = choice(
        "cora", lambda: {k.name: k.about for k in KNOWN.values()}, "A known graph.", also=(OWN,)
    )
    path: str = text("", "Where a graph of your own is: an npz, or a folder with an edge list.")
    fingerprint: str = text("", "Of these files: a changed file is another graph.")

    def validate(self) -> None:
        """Check that name, path and fingerprint belong together."""
        if self.name == OWN:
            self.require("path", Path(self.path).is_absolute(), "the full path of a graph")
            ok = bool(FINGERPRINT.fullmatch(self.fingerprint))
            self.require("fingerprint", ok, "64 hex digits, as resolve_graph fills in")
        else:
            self.require("path", self.path == "", "no path, since the graph is a known one")
            self.require("fingerprint", self.fingerprint == "", "none for a known graph")

    def title_of_graph(self) -> str:
        """What people call it."""
        return KNOWN[self.name].title if self.name in KNOWN else Path(self.path).stem


@dataclass(frozen=True, kw_only=True)
class GraphTask(GraphFiles, TaskSpec):
    """Reading a graph once."""

    KIND: ClassVar[str] = "graph"
    RUNNER: ClassVar[str] = "ddcore.graphs.files:run"
    SLOT: ClassVar[str] = "light"

    def title(self) -> str:
        """Line for lists."""
        return f"read the graph {self.title_of_graph()}"


@dataclass(frozen=True, kw_only=True)
class GraphData(GraphFiles):
    """A graph as a run uses it. `files.resolve_graph` makes one from a name or a path."""

    scale: str = choice("rows", SCALES, "How features are scaled.")

    def task(self) -> GraphTask:
        """The reading that it needs."""
        return GraphTask(name=self.name, path=self.path, fingerprint=self.fingerprint)
