"""From the arrays of a file to a `Graph`, or one sentence that says what is wrong with them. No torch.

Four layouts are read: our own npz, PyTorch Geometric's `Data` as arrays, the npz of the Amazon and Coauthor
graphs that its `read_npz` takes, and a folder with an edge list.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from ddcore.base import rng
from ddcore.base.errors import DataError
from ddcore.graphs.graph import PARTS, UNKNOWN, Graph

MAX_NODES, MAX_EDGES, MAX_FEATURES, MAX_CLASSES = 200_000, 5_000_000, 50_000, 1000
MAX_VALUES = 100_000_000  # numbers of dense features
TRAIN_PER_CLASS, VAL_PER_CLASS = 20, 30  # of a split that we draw (Shchur et al. 2018)
EXPECTED = (
    "features (or feat_data, feat_indices, feat_indptr, feat_shape), edge_index, labels and perhaps train, "
    "val, test; PyTorch Geometric's x, edge_index, y, train_mask, val_mask, test_mask; or its adj_data, "
    "adj_indices, adj_indptr, attr_data, attr_indices, attr_indptr, labels"
)
GraphArrays = dict[str, Any]


def graph_of(found: GraphArrays, what: str) -> Graph:
    """The graph in the arrays of a file called `what`; `DataError` with one sentence."""
    arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
    features = _features(arrays, what)
    nodes = features.shape[0]
    if not 2 <= nodes <= MAX_NODES:
        raise DataError(f"{what} has {nodes:,} nodes: expected 2 to {MAX_NODES:,}.")
    edges = _edges(arrays, nodes, what)
    labels, names = _labels(arrays, nodes, what)
    parts = _parts(arrays, labels, len(names), what)
    return Graph(features=features, edges=edges, labels=labels, class_names=names, **parts)


# --- features -------------------------------------------------------------------------------------


def _features(arrays: GraphArrays, what: str) -> sp.csr_matrix:
    for prefix in ("feat", "attr"):
        if f"{prefix}_indptr" in arrays:
            return _sparse_features(arrays, prefix, what)
    for name in ("features", "x", "attr_matrix"):
        if name in arrays:
            return _dense_features(arrays[name], name, what)
    raise DataError(f"{what} has no features: expected {EXPECTED}.")


def _sparse_features(arrays: GraphArrays, prefix: str, what: str) -> sp.csr_matrix:
    names = [f"{prefix}_{part}" for part in ("data", "indices", "indptr", "shape")]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(f"{what} has {names[2]} but no {missing[0]}.")
    data, indices, indptr, shape = (arrays[name] for name in names)
    numbers = _numbers(data, names[0], what)
    places = [_integers(array, name, what) for array, name in zip((indices, indptr), names[1:3])]
    shape = tuple(map(int, _integers(shape, names[3], what).ravel()))
    if len(shape) != 2 or min(shape) < 1 or len(places[1]) != shape[0] + 1:
        raise DataError(f"{what}: {names[3]} {shape} does not go with {len(places[1])} row starts.")
    _check_width(shape[1], what)
    rows = np.diff(places[1])
    whole = places[1][0] == 0 and places[1][-1] == len(numbers) == len(places[0])
    inside = len(places[0]) == 0 or (places[0].min() >= 0 and places[0].max() < shape[1])
    if (rows < 0).any() or not whole or not inside:
        raise DataError(f"{what}: {names[1]} and {names[2]} are not a sparse matrix of {shape}.")
    made = sp.csr_matrix((numbers, *places), shape=shape, dtype=np.float32, copy=True)
    made.sum_duplicates()
    made.eliminate_zeros()
    return made


def _dense_features(array: np.ndarray, name: str, what: str) -> sp.csr_matrix:
    if array.ndim != 2 or array.size == 0 or array.size > MAX_VALUES:
        raise DataError(
            f"{what}: {name} has shape {array.shape}: expected (nodes, features) with at most "
            f"{MAX_VALUES:,} numbers."
        )
    _check_width(array.shape[1], what)
    return sp.csr_matrix(_numbers(array, name, what))


def _check_width(width: int, what: str) -> None:
    if width > MAX_FEATURES:
        raise DataError(f"{what} has {width:,} features: at most {MAX_FEATURES:,}.")


def _numbers(array: np.ndarray, name: str, what: str) -> np.ndarray:
    if array.dtype.kind not in "buif":
        raise DataError(f"{what}: {name} holds {array.dtype}: expected numbers.")
    found = np.asarray(array, np.float32)
    if not np.isfinite(found).all():
        raise DataError(f"{what}: {name} holds values that are no numbers (NaN or infinite).")
    return found


def _integers(array: np.ndarray, name: str, what: str) -> np.ndarray:
    whole = array.dtype.kind in "bui" or (
        array.dtype.kind == "f" and (np.abs(array) < 2**53).all() and (array == array.round()).all()
    )
    if not whole:
        raise DataError(f"{what}: {name} holds {array.dtype}: expected whole numbers.")
    return np.asarray(array, np.int64)


# --- edges ----------------------------------------------------------------------------------------


def _edges(arrays: GraphArrays, nodes: int, what: str) -> np.ndarray:
    if "adj_indptr" in arrays:
        pairs = _from_matrix(arrays, nodes, what)
    elif "edge_index" in arrays:
        pairs = _integers(arrays["edge_index"], "edge_index", what)
        if pairs.ndim == 2 and pairs.shape[0] != 2 and pairs.shape[1] == 2:
            pairs = pairs.T
    else:
        raise DataError(f"{what} has no edges: expected {EXPECTED}.")
    if pairs.ndim != 2 or pairs.shape[0] != 2:
        raise DataError(f"{what}: edge_index has shape {pairs.shape}: expected (2, edges).")
    if pairs.shape[1] > MAX_EDGES:
        raise DataError(f"{what} has {pairs.shape[1]:,} edges: at most {MAX_EDGES:,}.")
    for name in ("edge_weight", "edge_attr", "adj_data"):
        weights = arrays.get(name)
        if weights is not None and weights.size and not (weights == weights.flat[0]).all():
            raise DataError(f"{what}: {name} has different weights: only plain edges are read.")
    outside = pairs[(pairs < 0) | (pairs >= nodes)]
    if outside.size:
        raise DataError(
            f"{what}: an edge names node {int(outside[0])}: expected nodes from 0 to {nodes - 1}."
        )
    return unique_edges(pairs)


def unique_edges(pairs: np.ndarray) -> np.ndarray:
    """Pairs (2, E) each once with i < j, in order; loops are dropped."""
    low, high = pairs.min(0), pairs.max(0)
    kept = low < high
    found = np.unique(np.stack([low[kept], high[kept]], 1), axis=0)
    return np.ascontiguousarray(found.T.reshape(2, -1))


def _from_matrix(arrays: GraphArrays, nodes: int, what: str) -> np.ndarray:
    if "adj_indices" not in arrays:
        raise DataError(f"{what} has adj_indptr but no adj_indices.")
    indices = _integers(arrays["adj_indices"], "adj_indices", what).ravel()
    rows = np.diff(_integers(arrays["adj_indptr"], "adj_indptr", what).ravel())
    if len(rows) != nodes or (rows < 0).any() or rows.sum() != len(indices):
        raise DataError(f"{what}: adj_indptr does not go with {nodes:,} nodes.")
    return np.stack([np.repeat(np.arange(nodes), rows), indices])


# --- labels and split -----------------------------------------------------------------------------


def _labels(arrays: GraphArrays, nodes: int, what: str) -> tuple[np.ndarray, tuple[str, ...]]:
    found = next((arrays[name] for name in ("labels", "y") if name in arrays), None)
    if found is None or found.size == 0:
        raise DataError(f"{what} has no labels: expected one class for each node (-1: unknown).")
    if found.dtype.kind in "US":
        names, labels = np.unique(found.ravel().astype(str), return_inverse=True)
        kept = [str(n) for n in names if n.strip()]
        place = {n: i for i, n in enumerate(kept)}
        labels = np.array([place.get(names[i], UNKNOWN) for i in labels])
    else:
        labels = _integers(found, "labels", what).ravel()
        kept = [str(c) for c in range(max(int(labels.max(initial=UNKNOWN)) + 1, 0))]
    if len(labels) != nodes:
        raise DataError(f"{what} has {len(labels):,} labels for {nodes:,} nodes.")
    if labels.min() < UNKNOWN:
        raise DataError(f"{what} has the label {int(labels.min())}: expected -1 or a class.")
    if not 2 <= len(kept) <= MAX_CLASSES:
        raise DataError(f"{what} has {len(kept)} classes: expected 2 to {MAX_CLASSES}.")
    return labels.astype(np.int64), tuple(kept)


def _parts(
    arrays: GraphArrays, labels: np.ndarray, classes: int, what: str
) -> dict[str, np.ndarray]:
    given: dict[str, np.ndarray | None] = {n: arrays.get(n, arrays.get(f"{n}_mask")) for n in PARTS}
    missing = [name for name, mask in given.items() if mask is None]
    if len(missing) == len(PARTS):
        return draw_split(labels, classes, what)
    if missing:
        raise DataError(f"{what} has no mask {missing[0]}: expected train, val and test, or none.")
    masks: dict[str, np.ndarray] = {}
    for name, mask in given.items():
        assert mask is not None  # `missing` has said so
        if mask.ndim != 1 or mask.dtype.kind not in "bui" or len(mask) != len(labels):
            raise DataError(
                f"{what}: {name} has shape {mask.shape}: expected one yes or no for each node."
            )
        masks[name] = mask.astype(bool)
        if not masks[name].any():
            raise DataError(f"{what}: {name} names no node.")
        if (labels[masks[name]] == UNKNOWN).any():
            raise DataError(f"{what}: {name} names a node without a label.")
    if np.any(sum(m.astype(int) for m in masks.values()) > 1):
        raise DataError(f"{what}: a node is in two of train, val and test.")
    empty = set(range(classes)) - set(labels[masks["train"]].tolist())
    if empty:
        raise DataError(f"{what}: class {min(empty)} has no training node.")
    return masks


def draw_split(labels: np.ndarray, classes: int, what: str) -> dict[str, np.ndarray]:
    """20 nodes of each class to train, 30 to validate, the rest to test (Shchur et al. 2018)."""
    generator = rng.numpy_generator(0, "graph split")
    masks = {name: np.zeros(len(labels), bool) for name in PARTS}
    needed = TRAIN_PER_CLASS + VAL_PER_CLASS
    for c in range(classes):
        members = generator.permutation(np.flatnonzero(labels == c))
        if len(members) <= needed:
            raise DataError(
                f"{what} has no split and class {c} has {len(members)} nodes: give train, val and test, "
                f"or more than {needed} nodes of each class."
            )
        masks["train"][members[:TRAIN_PER_CLASS]] = True
        masks["val"][members[TRAIN_PER_CLASS:needed]] = True
        masks["test"][members[needed:]] = True
    return masks
