"""A condensed graph as a file for use elsewhere, and back exactly: arrays as PyTorch Geometric takes them.

f = numpy.load("graph.npz")
Data(x=from_numpy(f["x"]), edge_index=from_numpy(f["edge_index"]), edge_weight=..., y=from_numpy(f["y"]))
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from ddcore.base import outputs
from ddcore.base.errors import DataError, SpecError
from ddcore.graphs.artefact import GraphSet
from ddcore.sets.foreign_files import content, tree
from ddcore.tasks.files import write_atomic

GRAPH_FORMATS = ("npz",)


def export_graph(made: GraphSet, format: str, out: Path, *, force: bool = False) -> Path:
    """Write it to `out`, whose absolute path is returned; what is there is replaced with `force` only."""
    if format not in GRAPH_FORMATS:
        raise SpecError("format", format, "npz for a condensed graph")
    out = outputs.file(out, force=force)
    write_atomic(out, graph_bytes(made))
    return out


def graph_bytes(made: GraphSet) -> bytes:
    """npz: x (n, d), edge_index (2, E) both ways, edge_weight (E,), y (n,), and meta as JSON bytes."""
    _, meta = made.to_arrays()
    i, j = np.nonzero(made.adjacency)
    if meta["data"].get("path"):
        meta["data"] = meta["data"] | {"path": Path(meta["data"]["path"]).name}
    arrays: dict[str, Any] = {
        "x": made.features,
        "edge_index": np.stack([i, j]),
        "edge_weight": made.adjacency[i, j],
        "y": made.labels,
        "meta": np.frombuffer(json.dumps(meta).encode(), np.uint8),
    }
    if made.sources is not None:
        arrays["sources"] = made.sources
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def load_graph_set(path: Path) -> GraphSet:
    """Inverse of `export_graph`; `DataError` for anything else."""
    try:
        found = tree(content(path, str(path)))
        meta = json.loads(found["meta"].tobytes())
        n = len(found["x"])
        adjacency = np.zeros((n, n), np.float32)
        i, j = found["edge_index"]
        adjacency[i, j] = found["edge_weight"]
        arrays = {"features": found["x"], "labels": found["y"], "adjacency": adjacency}
        arrays |= {"sources": found["sources"]} if "sources" in found else {}
        return GraphSet.from_arrays(arrays, meta)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path} is no condensed graph ({type(error).__name__}).") from error
