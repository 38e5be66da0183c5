"""The graphs that are known by name, and by what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = "graphs"  # in the data root
OWN = "own"  # the name of a graph that people bring


@dataclass(frozen=True)
class KnownGraph:
    """A published graph in one public split; `mark` is `graph.content_mark` of it."""

    name: str
    title: str
    about: str
    mark: str

    def file(self, root: Path) -> Path:
        """Where it is looked for in a data root."""
        return root / FOLDER / f"{self.name}.npz"


KNOWN = {
    each.name: each
    for each in (
        KnownGraph(
            "cora",
            "Cora",
            "2,708 papers, words as features, citations as edges, 7 fields; the public Planetoid split",
            "2f3d660ab5059e50f255f5ff3ee69659b951678ce7e48a738d0f9a420e49af41",
        ),
        KnownGraph(
            "citeseer",
            "Citeseer",
            "3,327 papers, words as features, citations as edges, 6 fields; the public Planetoid split",
            "da2fcc1672bd57be69fbdf19b92e2255105ee067c0ab27e1e2ddb7e35966fdc4",
        ),
    )
}
