"""Runs on a small graph: what comes out, resuming, judging, and the files that others get."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from ddcore.base.errors import Cancelled, DataError, SpecError
from ddcore.graphs import baselines, condense
from ddcore.graphs.artefact import GraphSet, matrix_bytes
from ddcore.graphs.contract import GraphRun, graph_method, graph_methods, make_graph_run
from ddcore.graphs.exports import export_graph, load_graph_set
from ddcore.graphs.graph import propagation, smoothed
from ddcore.graphs.judge import Bench
from ddcore.graphs.matching import GraphMatching
from ddcore.graphs.measure_spec import (
    GRAPH_BASELINES,
    GraphAccuracy,
    GraphEvaluate,
    GraphMap,
    default_graph_evaluation,
)
from ddcore.graphs.problem import GraphProblem
from ddcore.graphs.protocols import GRAPH_PROTOCOLS, NETS
from ddcore.tasks import worker
from tests.graphs import made

EACH = pytest.mark.parametrize("method", graph_methods())
SHORT = GRAPH_PROTOCOLS["short"]


def tiny(folder, method="gcond", **settings) -> GraphRun:
    small = graph_method(method).smallest | {
        "epochs": "12",
        "edge_epochs": "2",
        "feature_epochs": "3",
    }
    if method == "gcond-x":
        small = {k: v for k, v in small.items() if k not in ("edge_epochs", "feature_epochs")}
    chosen = small | {k: str(v) for k, v in settings.items()}
    return make_graph_run(method, made.data(folder), settings=list(chosen.items()))


def problem_of(spec, graph) -> GraphProblem:
    return GraphProblem(spec.seed, spec.ratio, spec.params, graph, "cpu")


@EACH
def test_a_run_leaves_a_set_that_can_be_read(tmp_path, compute, method):
    # Steps that can be told in 12 epochs.
    steps = {} if method == "gcond" else {"lr_features": "1e-3"}
    task = compute(tiny(tmp_path, method, **steps))
    found = GraphSet.from_task(task)
    assert (
        found.features.shape == (12, made.FEATURES)
        and found.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    )
    assert (found.adjacency > 0).any() == (method == "gcond")
    assert task.snapshot_steps()[0] == 0 and task.snapshot_steps()[-1] == 12
    last = task.snapshot_arrays(12)
    assert np.abs(last["edges"] / 255 - found.adjacency).max() < 0.5 / 255 + 1e-3
    assert last["places"].shape == (12, 2)
    result = task.result()
    assert result["nodes"] == 12 and result["bytes"] == found.stored_bytes()
    events = [e["loss"] for e in task.events() if "loss" in e]
    assert len(events) == 12 and events[-1] < events[0]


@EACH
def test_resuming_equals_never_having_stopped(tmp_path, compute, store, monkeypatch, method):
    spec = tiny(tmp_path, method, neighbours="3,2", validations="3")
    whole = compute(spec)
    arrays, steps = (
        whole.arrays("set"),
        {s: whole.snapshot_arrays(s) for s in whole.snapshot_steps()},
    )
    validation = whole.result()["validation"]
    for stop in (1, 7):
        store.delete(store.task(spec))
        task, real = store.create(spec), condense._GraphLoop.report

        def report(self, metrics, stop=stop, real=real):
            if self.step == stop:
                (self.context.task.folder / "cancel").touch()
            real(self, metrics)

        monkeypatch.setattr(condense._GraphLoop, "report", report)
        with pytest.raises(Cancelled):
            worker.run_task(store, task, spec, "cpu")
        monkeypatch.setattr(condense._GraphLoop, "report", real)
        assert task.has_checkpoint()
        (task.folder / "cancel").unlink()
        worker.run_task(store, task, spec, "cpu")
        again = task.arrays("set")
        assert all((again[n] == arrays[n]).all() for n in arrays) and again.keys() == arrays.keys()
        assert task.result()["validation"] == validation
        for step, kept in steps.items():
            assert all((task.snapshot_arrays(step)[n] == kept[n]).all() for n in kept)


def test_epochs_take_turns_between_edges_and_features(tmp_path):
    spec = tiny(tmp_path)
    distiller = GraphMatching(problem_of(spec, made.graph()))

    def moved(epoch):
        before = {n: t.detach().clone() for n, t in distiller.tensors().items()}
        distiller.step(epoch)
        distiller.optimiser.step()
        return {
            n.partition(".")[0] for n, t in distiller.tensors().items() if (t != before[n]).any()
        }

    assert [moved(epoch) for epoch in (0, 1, 2, 4, 5)] == [
        {"pairs"},
        {"pairs"},
        {"features"},
        {"features"},
        {"pairs"},
    ]


def test_an_epoch_is_what_the_algorithm_says(tmp_path):
    """Against the same epoch with autograd alone: gradients taken twice, torch's Adam, plain pairs."""
    spec = tiny(tmp_path, outer=3, inner=2)
    problem = problem_of(spec, made.graph())
    ours, theirs = (GraphMatching(problem) for _ in range(2))
    ours.step(2)  # an epoch of features
    graph, p = problem.graph, torch.from_numpy(propagation(problem.graph.adjacency()).toarray())
    h = p @ (p @ torch.from_numpy(graph.features.toarray()))
    net, _ = theirs._network(2)
    weight, bias = (w.clone().requires_grad_() for w in (net[:-1], net[-1]))
    adam = torch.optim.Adam([weight, bias], lr=spec.params.lr_net)
    cross_entropy = torch.nn.functional.cross_entropy
    features = torch.optim.Adam([theirs.features], lr=spec.params.lr_features)

    def spread():
        a = theirs.pairs.plain(theirs.features)
        with_loops = a + torch.eye(len(a))
        root = torch.diag(with_loops.sum(1) ** -0.5)
        q = root @ with_loops @ root
        return q @ q @ theirs.features

    for change in range(3):
        loss, mine = 0.0, spread()
        for c in range(3):
            rows = torch.from_numpy(graph.train & (graph.labels == c))
            label = torch.full((int(rows.sum()),), c)
            real = torch.autograd.grad(cross_entropy(h[rows] @ weight + bias, label), weight)[0]
            own = theirs.labels == c
            out = cross_entropy(mine[own] @ weight + bias, theirs.labels[own])
            syn = torch.autograd.grad(out, weight, create_graph=True)[0]
            cosine = (real * syn).sum(0) / (real.norm(dim=0) * syn.norm(dim=0) + 1e-6)
            loss = loss + (1 - cosine).sum()  # classes are of one size
        slope = torch.autograd.grad(loss, theirs.features)[0]
        if change == 2:
            break
        theirs.features.grad = slope
        features.step()
        seen = spread().detach()
        for _ in range(2):
            adam.zero_grad()
            cross_entropy(seen @ weight + bias, theirs.labels).backward()
            adam.step()
    assert torch.allclose(ours.features, theirs.features, atol=1e-6)
    assert torch.allclose(
        ours.features.grad, slope, rtol=2e-3, atol=1e-5 * float(slope.abs().max())
    )


def test_the_order_of_the_authors_code_mixes_classes_up(tmp_path):
    graph = made.graph()
    labels = graph.labels.copy()
    train = graph.train & ~(
        (labels == 0) & (np.arange(60) < 9)
    )  # class 0 has fewer, so it comes first
    train &= ~((labels == 2) & (np.arange(60) < 6))
    graph = dataclasses.replace(graph, train=train)
    spec = tiny(tmp_path, order="official")
    problem = problem_of(spec, graph)
    sizes = problem.counts
    assert list(sizes) == [0, 2, 1]
    nodes = problem.chosen_nodes("features")
    given, of_nodes = problem.labels().numpy(), graph.labels[nodes]
    assert given.tolist() == [c for c in (0, 2, 1) for _ in range(sizes[c])]
    assert of_nodes.tolist() == [c for c in (0, 1, 2) for _ in range(sizes[c])]
    right = problem_of(tiny(tmp_path), graph)
    assert (right.labels().numpy() == graph.labels[right.chosen_nodes("features")]).all()


# --- judging --------------------------------------------------------------------------------------


def test_an_evaluation_has_all_rows_with_two_columns(tmp_path, compute):
    run = tiny(tmp_path)
    wanted = default_graph_evaluation(
        run, baselines=tuple(GRAPH_BASELINES), archs=tuple(NETS), thresholds=(0.0, 0.4)
    )
    task = compute(wanted)
    rows = task.result()["rows"]
    assert len(rows) == len(NETS) * (2 + len(GRAPH_BASELINES))
    for row in rows:
        for column in ("best", "last"):
            assert row[column]["n"] == SHORT.nets and all(
                0 <= v <= 1 for v in row[column]["values"]
            )
    own = [r for r in rows if r["subject"] == "distilled" and r["arch"] == "gcn"]
    assert own[1]["edges"] < own[0]["edges"]
    whole = next(r for r in rows if r["subject"] == "whole" and r["arch"] == "gcn")
    assert whole["nodes"] == 60 and whole["best"]["mean"] > 0.6
    means = next(r for r in rows if r["subject"] == "class_mean" and r["arch"] == "gcn")
    assert means["nodes"] == 3 and means["edges"] == 0 and means["best"]["mean"] > 0.5


def test_the_best_look_never_sees_the_test_nodes():
    """Test labels turned round: the same look is chosen, and the accuracy of what it calls is the rest."""
    graph = made.graph()
    turned = dataclasses.replace(
        graph, labels=np.where(graph.test, (graph.labels + 1) % 3, graph.labels)
    )
    made_by = baselines.class_means(graph)
    found = [Bench(g, "gcn", "cpu") for g in (graph, turned)]
    one, other = (b.judge(b.of_set(made_by), SHORT, 7) for b in found)
    assert (one.validation, one.epoch) == (other.validation, other.epoch)
    assert one.best != other.best


def test_every_network_learns_the_graph_it_is_given():
    graph = made.graph()
    for net in NETS:
        bench = Bench(graph, net, "cpu")
        judged = bench.judge(bench.whole(), SHORT, 3)
        assert judged.best > 0.45 and judged.validation > 0.45, net  # chance is a third
        again = bench.judge(bench.whole(), SHORT, 3)
        assert again == judged


def test_baselines_are_what_they_say():
    graph, h = made.graph(), smoothed(made.graph()).toarray()

    def of(name, draw=0):
        return baselines.baseline(name, graph, 0.5, 0, draw, lambda: h)

    means = of("class_mean")
    for c in range(3):
        assert np.allclose(
            means.features[c], h[graph.train & (graph.labels == c)].mean(0), atol=1e-6
        )
    random = of("random")
    assert graph.train[random.sources].all() and len(set(random.sources)) == 12
    assert (
        random.adjacency == graph.adjacency()[random.sources][:, random.sources].toarray()
    ).all()
    assert (random.labels == graph.labels[random.sources]).all()
    assert set(of("random", 1).sources) != set(random.sources)
    spread = of("random_smoothed")
    assert np.allclose(spread.features, h[spread.sources], atol=1e-6) and not spread.adjacency.any()
    k = of("kmeans")
    assert k.features.shape == (12, made.FEATURES)
    for name in ("herding", "kcenter"):
        found = of(name)
        assert graph.train[found.sources].all() and len(set(found.sources)) == 12
    members = np.flatnonzero(graph.train & (graph.labels == 0))
    first = of("herding").sources[0]
    nearest = members[np.linalg.norm(h[members] - h[members].mean(0), axis=1).argmin()]
    assert first == nearest


def test_thresholds_drop_edges_and_none_is_the_set_without_any():
    rng = np.random.default_rng(0)
    a = np.triu(rng.random((5, 5)), 1)
    made_by = GraphSet(rng.random((5, 4)), a + a.T, [0, 0, 1, 1, 1], ("a", "b"))
    assert made_by.edge_count() == 10 and made_by.edge_count(1.0) == 0
    assert np.allclose(made_by.propagation(1.0), np.eye(5))
    assert made_by.edge_count(0.5) == (a > 0.5).sum()
    p = made_by.propagation()
    b = made_by.adjacency + np.eye(5)
    assert np.allclose(p, b / np.sqrt(np.outer(b.sum(1), b.sum(1))), atol=1e-6)
    assert np.allclose(made_by.smoothed(), p @ p @ made_by.features, atol=1e-6)


def test_bytes_are_those_of_the_smaller_form():
    assert matrix_bytes(np.ones((10, 100), np.float32) * np.arange(1, 101)) == 2000
    few = np.zeros((10, 100), np.float32)
    few[:, 3] = np.arange(1, 11)
    assert matrix_bytes(few) == 10 * 4 + 40
    few[:, 3] = 1
    assert matrix_bytes(few) == 10 * 2 + 40


def test_the_map_has_a_place_for_every_node(tmp_path, compute):
    task = compute(GraphMap(data=made.data(tmp_path)))
    arrays, graph = task.arrays(), made.graph()
    h = smoothed(graph).toarray().astype(np.float64)
    centred = h - h.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    wanted = centred @ axes[:2].T
    assert np.allclose(np.abs(arrays["places"]), np.abs(wanted), atol=1e-5)
    density = np.array(task.result()["density"])
    assert (density.diagonal() > density.sum(1) - density.diagonal()).all()


# --- files and refusals ---------------------------------------------------------------------------


def test_an_export_is_read_back_exactly_and_says_no_path(tmp_path, compute):
    made_by = GraphSet.from_task(compute(tiny(tmp_path)))
    out = export_graph(made_by, "npz", tmp_path / "out.npz")
    again = load_graph_set(out)
    assert (again.features == made_by.features).all() and (
        again.adjacency == made_by.adjacency
    ).all()
    assert (again.labels == made_by.labels).all() and again.params == made_by.params
    with np.load(out) as found:
        assert found["x"].shape == (12, made.FEATURES) and found["edge_index"].shape[0] == 2
        assert str(tmp_path) not in json.dumps(json.loads(found["meta"].tobytes()))
    with pytest.raises(DataError, match="is there already"):
        export_graph(made_by, "npz", out)
    with pytest.raises(SpecError, match="npz for a condensed graph"):
        export_graph(made_by, "png", out)
    np.savez(tmp_path / "other.npz", x=np.eye(2))
    with pytest.raises(DataError, match="is no condensed graph"):
        load_graph_set(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"neighbours": "10"},
            "neighbours = (10,) is not allowed: expected nothing, or two numbers",
        ),
        ({"edge_epochs": "0", "feature_epochs": "0"}, "edge_epochs = 0 is not allowed"),
        ({"distance": "l1"}, "distance = 'l1' is not allowed: expected one of cosine, mse."),
        ({"ratio": "0"}, "ratio = 0.0 is not allowed: expected a number from 0.0001 to 1."),
        ({"ipc": "1"}, "ipc = '1' is not allowed: expected one of the fields"),
        ({"protocol": "t300"}, "protocol = 't300' is not allowed: expected one of gcond"),
    ],
)
def test_settings_that_are_not_allowed_are_one_sentence(tmp_path, settings, sentence):
    with pytest.raises(SpecError) as refused:
        tiny(tmp_path, **settings)
    assert sentence in str(refused.value)


def test_what_is_judged_is_said_once(tmp_path):
    run = tiny(tmp_path)
    with pytest.raises(SpecError, match="of_run"):
        GraphAccuracy(data=run.data, subject="kmeans", of_run=run)
    with pytest.raises(SpecError, match="ratio"):
        GraphAccuracy(data=run.data, subject="whole", ratio=0.5)
    with pytest.raises(SpecError, match="thresholds"):
        GraphEvaluate(of_run=run, thresholds=(0.5,))
    keys = [row.key for row in default_graph_evaluation(run).rows()]
    other = default_graph_evaluation(run.replace(seed=1)).rows()
    assert len({*keys} & {row.key for row in other}) == len(keys) - 1  # baselines are shared


def test_presets_differ_from_each_other():
    for name, method in graph_methods().items():
        found = [make_graph_run(name, made_data(), preset=p).key for p in method.presets]
        assert len(set(found)) == len(found) == 3


def made_data():
    from ddcore.graphs.spec import GraphData

    return GraphData()
