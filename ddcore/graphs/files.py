"""Graphs as files: found, read in a limited process of its own, and known by what is in them. No torch."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ddcore.base import isolated, paths
from ddcore.base.errors import DataError, SpecError, short
from ddcore.graphs.graph import Graph, content_mark
from ddcore.graphs.known import KNOWN, OWN
from ddcore.graphs.layouts import EXPECTED, graph_of
from ddcore.graphs.spec import GraphData, GraphTask

MAX_BYTES = 512 << 20  # of all files of a graph
MEMORY, SECONDS = 1 << 30, 60
EDGES, FEATURES, LABELS, SPLIT = "edges.txt", "features.npy", "labels.txt", "split.txt"
LIST = f"{EDGES} (two node numbers a line), {FEATURES}, {LABELS} (one class a line) and perhaps {SPLIT}"
SPLIT_WORDS = ("train", "val", "test")


def is_graph(text: str) -> bool:
    """Whether a name or path that somebody typed is meant as a graph."""
    path = Path(text)
    return text in KNOWN or text.endswith(".npz") or (path / EDGES).is_file()


def resolve_graph(text: str, **fields: Any) -> GraphData:
    """The spec of a known graph, or of an npz or a folder of one's own. `SpecError`, `DataError`."""
    if text in KNOWN:
        return GraphData(name=text, **fields)
    path = paths.typed(text)
    if not text.strip() or not path.exists():
        known = ", ".join(KNOWN)
        raise SpecError("dataset", text, f"one of the graphs {known}, or the path of one")
    path = path.resolve()
    return GraphData(name=OWN, path=str(path), fingerprint=fingerprint(path), **fields)


def fingerprint(path: Path) -> str:
    """sha256 of the files of a graph of one's own."""
    digest = hashlib.sha256()
    for file in _files(path):
        digest.update(file.name.encode() + b"\n")
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        found = [path]
    else:
        found = [path / name for name in (EDGES, FEATURES, LABELS, SPLIT)]
        missing = next((f for f in found[:3] if not f.is_file()), None)
        if missing:
            raise DataError(f"{short(str(path))} has no {missing.name}: expected {LIST}.")
        found = [file for file in found if file.is_file()]
    if (size := sum(f.stat().st_size for f in found)) > MAX_BYTES:
        raise DataError(f"{path} has {size >> 20:,} MB: at most {MAX_BYTES >> 20} are read.")
    return found


def load_graph(spec: GraphTask) -> Graph:
    """Read what a spec names; `DataError` if it is not there, not that graph or no graph at all."""
    if spec.name == OWN:
        path = Path(spec.path)
        if not path.exists() or fingerprint(path) != spec.fingerprint:
            raise DataError(f"{path} has changed or gone since it was chosen: choose it again.")
        return read(path)
    known = KNOWN[spec.name]
    path = known.file(paths.data_root())
    if not path.is_file():
        raise DataError(
            f"{known.title} is not in {path}: put it there, or let DD_DATA name a folder that has "
            f"{path.parent.name}/{path.name} (docs/graphs.md tells its layout)."
        )
    graph = read(path)
    if content_mark(graph) != known.mark:
        raise DataError(
            f"{path} holds another graph than {known.title} in its public split: give its path as the "
            "dataset to use it as a graph of your own."
        )
    return graph


def read(path: Path) -> Graph:
    """The graph in an npz or a folder, understood in a process of its own."""
    _files(path)
    with tempfile.TemporaryDirectory(prefix="dd-graph-", ignore_cleanup_errors=True) as place:
        told = isolated.call(
            "ddcore.graphs.files:_understand",
            {"path": str(path)},
            Path(place),
            isolated.Limits(memory=MEMORY, cpu_seconds=SECONDS),
            what=str(path),
            preload=("scipy.sparse",),
        )
        arrays = {name: np.array(a) for name, a in isolated.arrays(Path(place)).items()}
    return Graph.from_arrays(arrays, tuple(told["class_names"]))


def _understand(
    request: dict[str, Any], place: Path, progress: isolated.Progress
) -> dict[str, Any]:
    """What the other process does."""
    graph = understand(Path(request["path"]))
    isolated.write_arrays(place, graph.arrays())
    return {"class_names": graph.class_names}


def understand(path: Path) -> Graph:
    """The graph in an npz or a folder, without the fence around it."""
    return graph_of(_edge_list(path) if path.is_dir() else _npz(path), str(path))


def _npz(path: Path) -> dict[str, Any]:
    from ddcore.sets import foreign_files

    try:
        found = foreign_files.tree(foreign_files.content(path, str(path)))
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path} is damaged ({type(error).__name__}).") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} is one array: expected {EXPECTED}.")
    return found


def _edge_list(folder: Path) -> dict[str, Any]:
    from ddcore.sets import foreign_files

    features = foreign_files.tree(foreign_files.content(folder / FEATURES, FEATURES))
    found: dict[str, Any] = {"features": features, "edge_index": _pairs(folder / EDGES)}
    labels = _lines(folder / LABELS)
    whole = all(line.lstrip("-").isdecimal() and len(line) < 10 for line in labels)
    found["labels"] = np.array([int(line) for line in labels]) if whole else np.array(labels)
    if (folder / SPLIT).is_file():
        words = _lines(folder / SPLIT)
        other = next((w for w in words if w not in (*SPLIT_WORDS, "none")), None)
        if other is not None:
            raise DataError(f"{SPLIT} says {short(other)!r}: expected train, val, test or none.")
        found |= {name: np.array([w == name for w in words]) for name in SPLIT_WORDS}
    return found


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(errors="replace").splitlines()]


def _pairs(path: Path) -> np.ndarray:
    """Two node numbers a line, with a space, tab or comma between; lines that begin with # are none."""
    pairs = []
    for number, line in enumerate(_lines(path), 1):
        if not line or line.startswith("#"):
            continue
        parts = line.replace(",", " ").split()
        if len(parts) != 2 or not all(p.isdecimal() and len(p) < 10 for p in parts):
            raise DataError(f"{path.name}, line {number}: expected two node numbers.")
        pairs.append((int(parts[0]), int(parts[1])))
    return np.array(pairs, np.int64).reshape(-1, 2).T


def run(context: Any) -> None:
    """Task `graph`."""
    graph = load_graph(context.spec)
    context.save_arrays(graph.arrays())
    context.save_result(graph.facts())
