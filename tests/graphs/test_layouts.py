"""Graphs as people bring them: four layouts are the same graph, and what is wrong is one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from ddcore.base.errors import DataError, SpecError
from ddcore.graphs import files
from ddcore.graphs.graph import content_mark
from ddcore.graphs.layouts import graph_of
from tests.graphs import made


def geometric() -> dict[str, np.ndarray]:
    """As torch_geometric's `Data` holds it: both directions, a weight for each."""
    a = made.arrays()
    both = np.concatenate([a["edge_index"], a["edge_index"][::-1]], 1)
    masks = {f"{n}_mask": a[n] for n in ("train", "val", "test")}
    return {
        "x": a["features"],
        "edge_index": both,
        "edge_weight": np.ones(both.shape[1], np.float32),
        "y": a["labels"],
        **masks,
    }


def sparse() -> dict[str, np.ndarray]:
    """As the npz of the Amazon graphs: features and edges as sparse matrices."""
    a = made.arrays()
    f = sp.csr_matrix(a["features"])
    i, j = a["edge_index"]
    adj = sp.csr_matrix((np.ones(len(i), np.float32), (i, j)), shape=(made.NODES, made.NODES))
    parts = {"attr": f, "adj": adj}
    found = {
        f"{n}_{p}": getattr(m, p) for n, m in parts.items() for p in ("data", "indices", "indptr")
    }
    shapes = {f"{n}_shape": np.array(m.shape) for n, m in parts.items()}
    return found | shapes | {"labels": a["labels"], **{n: a[n] for n in ("train", "val", "test")}}


def folder(place) -> None:
    """An edge list, with loops and edges listed twice."""
    a = made.arrays()
    lines = [
        "# comment",
        *(f"{i}\t{j}" for i, j in a["edge_index"].T),
        "0,0",
        "{1} {0}".format(*a["edge_index"][:, 0]),
    ]
    (place / "edges.txt").write_text("\n".join(lines) + "\n")
    np.save(place / "features.npy", a["features"])
    (place / "labels.txt").write_text("\n".join(map(str, a["labels"])) + "\n")
    words = [
        next((n for n in ("train", "val", "test") if a[n][k]), "none") for k in range(made.NODES)
    ]
    (place / "split.txt").write_text("\n".join(words) + "\n")


def test_all_layouts_are_one_graph(tmp_path):
    wanted = content_mark(graph_of(made.arrays(), "x"))
    for name, found in (("pyg", geometric()), ("sparse", sparse())):
        np.savez(tmp_path / f"{name}.npz", **found)
        assert content_mark(files.read(tmp_path / f"{name}.npz")) == wanted, name
    folder(tmp_path)
    assert content_mark(files.read(tmp_path)) == wanted
    named = files.resolve_graph(str(tmp_path))
    assert named.title_of_graph() == tmp_path.name
    (tmp_path / "labels.txt").write_text("a\nb\n" * 30)
    assert files.resolve_graph(str(tmp_path)).fingerprint != named.fingerprint
    with pytest.raises(DataError, match="has changed or gone"):
        files.load_graph(named.task())
    assert files.understand(tmp_path).class_names == ("a", "b")


def without(name):
    return {k: v for k, v in made.arrays().items() if k != name}


def changed(**changes):
    return made.arrays() | changes


LABELS = made.arrays()["labels"]
TRAIN = made.arrays()["train"]
WRONG = [
    (without("features"), "g has no features: expected features"),
    (without("edge_index"), "g has no edges: expected features"),
    (without("labels"), "g has no labels: expected one class for each node"),
    (changed(labels=np.zeros(0, int)), "g has no labels"),
    (changed(labels=LABELS[:-1]), "g has 59 labels for 60 nodes."),
    (changed(labels=LABELS - 2), "g has the label -2: expected -1 or a class."),
    (changed(labels=LABELS * 0), "g has 1 classes: expected 2 to 1000."),
    (changed(labels=LABELS + 0.5), "labels holds float64: expected whole numbers."),
    (
        changed(edge_index=np.array([[0], [60]])),
        "an edge names node 60: expected nodes from 0 to 59.",
    ),
    (
        changed(edge_index=np.array([[-1], [3]])),
        "an edge names node -1: expected nodes from 0 to 59.",
    ),
    (
        changed(edge_index=np.zeros((3, 4), int)),
        "edge_index has shape (3, 4): expected (2, edges).",
    ),
    (changed(edge_weight=np.array([1.0, 2.0])), "edge_weight has different weights"),
    (changed(features=np.full((60, 2), np.nan)), "features holds values that are no numbers"),
    (changed(features=np.full((60, 2), "a")), "features holds <U1: expected numbers."),
    (changed(features=np.zeros(60)), "features has shape (60,): expected (nodes, features)"),
    (without("val"), "g has no mask val: expected train, val and test, or none."),
    (changed(val=TRAIN), "a node is in two of train, val and test."),
    (changed(val=TRAIN[:5]), "val has shape (5,): expected one yes or no for each node."),
    (changed(test=TRAIN & False), "test names no node."),
    (changed(train=TRAIN & (LABELS != 1)), "class 1 has no training node."),
    (
        changed(labels=np.where(np.arange(60) == 0, -1, LABELS)),
        "train names a node without a label.",
    ),
    ({"feat_indptr": np.array([0])}, "g has feat_indptr but no feat_data."),
]


@pytest.mark.parametrize(("arrays", "sentence"), WRONG, ids=[s[:40] for _, s in WRONG])
def test_what_is_wrong_is_one_sentence(arrays, sentence):
    with pytest.raises(DataError) as refused:
        graph_of(arrays, "g")
    assert sentence in str(refused.value) and str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("field", "value"),
    [("attr_indptr", [0, 5, 3]), ("attr_indices", 99), ("adj_indptr", 0)],
)
def test_sparse_matrices_that_are_none_are_refused(field, value):
    arrays = sparse()
    array = arrays[field].copy()
    array[: np.size(value)] = value
    if field == "adj_indptr":
        array = array[:-1]
    with pytest.raises(DataError, match=r"sparse matrix|does not go with"):
        graph_of(arrays | {field: array}, "g")


def test_a_split_is_drawn_where_there_is_none_and_classes_are_large_enough():
    small = {k: v for k, v in made.arrays().items() if k not in ("train", "val", "test")}
    with pytest.raises(DataError, match="has no split and class 0 has 20 nodes"):
        graph_of(small, "g")
    labels = np.arange(180) % 3
    large = {"x": np.eye(180), "edge_index": np.array([[0], [3]]), "y": labels}
    found = graph_of(large, "g")
    assert [int(getattr(found, n).sum()) for n in ("train", "val", "test")] == [60, 90, 30]
    assert (found.train.astype(int) + found.val + found.test == 1).all()
    assert content_mark(graph_of(large, "g")) == content_mark(found)


def test_isolated_and_unlabelled_nodes_are_counted_and_hurt_nothing(tmp_path):
    arrays = made.arrays()
    lonely = int(np.flatnonzero(arrays["test"])[0])
    kept = (arrays["edge_index"] != lonely).all(0)
    arrays["edge_index"] = arrays["edge_index"][:, kept]
    other = int(np.flatnonzero(arrays["test"])[1])
    arrays["labels"] = np.where(np.arange(60) == other, -1, arrays["labels"])
    arrays["test"] = arrays["test"] & (arrays["labels"] >= 0)
    arrays["features"][other] = 0
    graph = graph_of(arrays, "g").scaled("rows")
    facts = graph.facts()
    assert (facts["isolated"], facts["isolated_test"], facts["unlabelled"]) == (1, 1, 1)
    assert np.isfinite(graph.features.toarray()).all() and not graph.features[other].nnz
    sums = np.asarray(graph.features.sum(1)).ravel()
    assert np.allclose(sums[sums > 0], 1)


def test_files_that_are_no_graph_are_one_sentence(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError, match=r"x\.npz is cut off or damaged"):
        files.read(path)
    np.savez(path, labels=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickled objects, which are never read"):
        files.read(path)
    (tmp_path / "edges.txt").write_text("0 1\n0 x\n")
    with pytest.raises(DataError, match=r"has no features\.npy"):
        files.read(tmp_path)
    np.save(tmp_path / "features.npy", np.eye(3))
    (tmp_path / "labels.txt").write_text("0\n1\n1\n")
    with pytest.raises(DataError, match=r"edges\.txt, line 2: expected two node numbers\."):
        files.read(tmp_path)
    with pytest.raises(SpecError, match="one of the graphs cora, citeseer, or the path of one"):
        files.resolve_graph("nothing.npz")


def test_a_known_name_means_the_known_graph_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("DD_DATA", str(tmp_path))
    named = files.resolve_graph("cora")
    with pytest.raises(DataError, match=r"Cora is not in .*put it there"):
        files.load_graph(named.task())
    (tmp_path / "graphs").mkdir()
    np.savez(tmp_path / "graphs" / "cora.npz", **made.arrays())
    with pytest.raises(DataError, match="another graph than Cora"):
        files.load_graph(named.task())
