"""Closed forms against autograd, factorised pairs against plain ones, propagation against its definition."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcore.graphs import closed_form
from ddcore.graphs.graph import block_means, class_counts, homophily, propagation, smoothed
from ddcore.graphs.networks import GraphView, Operator, first_weights, logits
from ddcore.graphs.pairs import PairPerceptron, dense_propagation
from ddcore.graphs.problem import RealNodes, sampled_rows
from ddcore.graphs.protocols import NETS
from tests.graphs import made


def double(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- gradients ------------------------------------------------------------------------------------


def test_the_closed_form_is_the_gradient_of_the_cross_entropy_on_the_graph():
    """On the real graph in float64, with P P X W + b written out and differentiated by autograd."""
    graph = made.graph()
    p = torch.from_numpy(propagation(graph.adjacency()).toarray()).double()
    x = torch.from_numpy(graph.features.toarray()).double()
    labels = torch.from_numpy(graph.labels)
    weight, bias = double(made.FEATURES, 3).requires_grad_(), double(3, seed=1).requires_grad_()
    out = p @ (p @ (x @ weight)) + bias
    wanted = torch.autograd.grad(torch.nn.functional.cross_entropy(out, labels), [weight, bias])
    h = p @ (p @ x)
    found = closed_form.gradient(h, labels, weight.detach(), bias.detach())
    for one, other in zip(found, wanted):
        assert (one.reshape(other.shape) - other).abs().max() < 1e-10
    apart = closed_form.class_gradients(h, labels, weight, bias, [0, 1, 2])
    for c in range(3):
        rows = labels == c
        loss = torch.nn.functional.cross_entropy((h @ weight + bias)[rows], labels[rows])
        assert (apart[c] - torch.autograd.grad(loss, weight)[0]).abs().max() < 1e-10


def test_the_matching_loss_has_the_derivative_that_double_backward_gives():
    """With respect to features and edges, against gradients of a network taken with create_graph."""
    x, labels = double(6, 5).requires_grad_(), torch.tensor([0, 0, 1, 1, 2, 2])
    raw = double(6, 6, seed=3)
    weight, bias = double(5, 3, seed=4), double(3, seed=5)
    real = double(3, 5, 3, seed=6)
    a = torch.sigmoid(raw + raw.T).requires_grad_()

    def through(gradients):
        p = dense_propagation(a - torch.diag(a.diagonal()))
        return closed_form.distances(real, gradients(p @ (p @ x)), "cosine").sum()

    def twice(h):
        w = weight.clone().requires_grad_()
        found = []
        for c in range(3):
            loss = torch.nn.functional.cross_entropy(
                (h @ w + bias)[labels == c], labels[labels == c]
            )
            found.append(torch.autograd.grad(loss, w, create_graph=True)[0])
        return torch.stack(found)

    once = through(lambda h: closed_form.class_gradients(h, labels, weight, bias, [0, 1, 2]))
    for one, other in zip(
        torch.autograd.grad(once, [x, a]), torch.autograd.grad(through(twice), [x, a])
    ):
        assert (one - other).abs().max() < 1e-10


def test_distances_are_sums_over_outputs():
    one, other = double(2, 5, 3), double(2, 5, 3, seed=1)
    cosine = torch.nn.functional.cosine_similarity(one, other, dim=1)
    found = closed_form.distances(one, other, "cosine")
    assert torch.allclose(found, (1 - cosine).sum(1), atol=1e-5)  # its eps is 1e-6
    assert torch.allclose(
        closed_form.distances(one, one, "cosine"), torch.zeros(2).double(), atol=1e-5
    )
    assert torch.equal(closed_form.distances(one, other, "mse"), ((one - other) ** 2).sum((1, 2)))


# --- pairs ----------------------------------------------------------------------------------------


def perceptron(width=5, hidden=7):
    pairs = PairPerceptron(width, hidden, torch.Generator().manual_seed(0))
    return pairs.to("cpu", torch.float64)


def test_factorised_pairs_are_plain_pairs_and_so_are_their_gradients():
    pairs, x = perceptron(), double(6, 5).requires_grad_()
    weights = [x, *pairs.weights.values()]
    found, wanted = pairs.adjacency(x), pairs.plain(x)
    assert (found - wanted).abs().max() < 1e-12
    direction = double(6, 6, seed=2)
    slopes = [torch.autograd.grad((a * direction).sum(), weights) for a in (found, wanted)]
    assert all((a - b).abs().max() < 1e-10 for a, b in zip(*slopes))


def test_edges_are_symmetric_shares_without_loops():
    a = perceptron().adjacency(double(6, 5))
    assert torch.allclose(a, a.T) and not a.diagonal().any()
    assert a.min() >= 0 and a.max() < 1


@given(st.permutations(range(6)))
@settings(max_examples=10)
def test_the_order_of_nodes_changes_nothing_of_a_set(order):
    """Edges, P P X and the gradients of each class are the same nodes in another order."""
    pairs, x, order = perceptron(), double(6, 5), list(order)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    weight, bias = double(5, 3, seed=4), double(3, seed=5)

    def seen(x, labels):
        a = pairs.adjacency(x)
        p = dense_propagation(a)
        h = p @ (p @ x)
        return a, h, closed_form.class_gradients(h, labels, weight, bias, [0, 1, 2])

    a, h, gradients = seen(x, labels)
    other_a, other_h, other_gradients = seen(x[order], labels[order])
    assert torch.allclose(other_a, a[order][:, order], atol=1e-12)
    assert torch.allclose(other_h, h[order], atol=1e-12)
    assert torch.allclose(other_gradients, gradients, atol=1e-12)


# --- propagation ----------------------------------------------------------------------------------


def test_propagation_is_its_definition_dense_and_sparse():
    graph = made.graph()
    a = graph.adjacency().toarray().astype(np.float64)
    assert (a == a.T).all() and not a.diagonal().any() and a.sum() == 2 * graph.edges.shape[1]
    b = a + np.eye(len(a))
    root = np.diag(b.sum(1) ** -0.5)
    wanted = root @ b @ root
    assert np.abs(propagation(graph.adjacency()).toarray() - wanted).max() < 1e-6
    assert np.abs(dense_propagation(torch.from_numpy(a)).numpy() - wanted).max() < 1e-12
    h = wanted @ wanted @ graph.features.toarray()
    assert np.abs(smoothed(graph).toarray() - h).max() < 1e-6


def test_the_order_of_nodes_changes_nothing_of_the_real_graph():
    graph = made.graph()
    order = np.random.default_rng(1).permutation(graph.nodes)
    place = np.argsort(order)
    named = {n: getattr(graph, n)[order] for n in ("labels", "train", "val", "test")}
    other = dataclasses.replace(
        graph, features=graph.features[order], edges=np.sort(place[graph.edges], 0), **named
    )
    assert np.allclose(smoothed(other).toarray(), smoothed(graph).toarray()[order], atol=1e-6)
    assert homophily(other.edges, other.labels) == homophily(graph.edges, graph.labels)
    density = [block_means(g.adjacency(), g.labels, 3) for g in (graph, other)]
    assert np.allclose(*density)
    weights = first_weights("gcn", made.FEATURES, 8, 3, torch.Generator().manual_seed(0))
    outs = []
    for g in (graph, other):
        field = GraphView(Operator(g.features, "cpu"), Operator(propagation(g.adjacency()), "cpu"))
        outs.append(logits("gcn", weights, field).numpy())
    assert np.allclose(outs[1], outs[0][order], atol=1e-5)


def test_block_means_are_means_over_pairs():
    graph = made.graph()
    a, labels = graph.adjacency().toarray(), graph.labels
    found = block_means(graph.adjacency(), labels, 3)
    for i in range(3):
        for j in range(3):
            block = a[labels == i][:, labels == j]
            pairs = block.size - (len(block) if i == j else 0)
            assert found[i, j] == pytest.approx(block.sum() / pairs)
    assert np.allclose(block_means(a, labels, 3), found)


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", NETS)
def test_sparse_and_dense_networks_agree_with_their_gradients(net):
    graph = made.graph()
    p = propagation(graph.adjacency())
    drawn = first_weights(net, made.FEATURES, 8, 3, torch.Generator().manual_seed(0))
    weights = [w.requires_grad_() for w in drawn]
    found = []
    for convert in (sp.csr_matrix, lambda m: m.toarray()):
        spread = None if net == "mlp" else Operator(convert(p), "cpu")
        out = logits(net, weights, GraphView(Operator(convert(graph.features), "cpu"), spread))
        slopes = torch.autograd.grad((out**2).sum(), weights)
        found.append([out.detach(), *slopes])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*found))


def test_networks_are_their_formulas():
    graph = made.graph()
    p = torch.from_numpy(propagation(graph.adjacency()).toarray())
    x = torch.from_numpy(graph.features.toarray())
    field = GraphView(
        Operator(graph.features, "cpu"), Operator(propagation(graph.adjacency()), "cpu")
    )
    one, a, two, b = first_weights("gcn", made.FEATURES, 8, 3, torch.Generator().manual_seed(0))
    many = [one, a, two, b]
    gcn = p @ (torch.relu(p @ (x @ one) + a) @ two) + b
    assert torch.allclose(logits("gcn", many, field), gcn, atol=1e-5)
    mlp = torch.relu(x @ one + a) @ two + b
    assert torch.allclose(logits("mlp", many, GraphView(field.features, None)), mlp, atol=1e-5)
    # APPNP's power iteration tends to alpha (I - (1 - alpha) P)^-1 times the first outputs
    z = mlp
    for _ in range(10):
        z = 0.9 * p @ z + 0.1 * mlp
    assert torch.allclose(logits("appnp", many, field), z, atol=1e-5)
    weight, bias = first_weights("sgc", made.FEATURES, 8, 3, torch.Generator().manual_seed(0))
    assert torch.allclose(
        logits("sgc", [weight, bias], field), p @ p @ x @ weight + bias, atol=1e-5
    )


# --- sampled neighbours ---------------------------------------------------------------------------


def test_sampling_all_neighbours_is_exact():
    real = RealNodes(made.graph())
    exact = real.exact()
    sampled = real.sampled((1000, 1000), 1000, np.random.default_rng(0))
    for one, other in zip(exact, sampled):  # in another order
        assert np.allclose(np.sort(one, 0), np.sort(other, 0), atol=1e-6)
    assert [len(h) for h in real.sampled((2, 2), 3, np.random.default_rng(0))] == [3, 3, 3]


def test_sampled_rows_keep_values_and_every_entry_is_as_likely():
    matrix = sp.random(6, 30, 0.5, random_state=0, format="csr")
    rng, counts = np.random.default_rng(0), np.zeros((6, 30))
    for _ in range(2000):
        part, columns = sampled_rows(matrix, np.arange(6), 4, rng)
        dense = np.zeros((6, 30))
        dense[:, columns] = part.toarray()
        kept = dense != 0
        assert (dense[kept] == matrix.toarray()[kept]).all() and (kept.sum(1) <= 4).all()
        counts += kept
    for row in range(6):
        there = matrix[row].indices
        wanted = 2000 * min(4, len(there)) / len(there)
        assert np.abs(counts[row, there] - wanted).max() < 6 * np.sqrt(2000 / 4)


# --- sizes ----------------------------------------------------------------------------------------


def test_sizes_of_classes_are_those_of_the_authors_code():
    """140 training nodes of Cora, 20 of each of 7 classes; 120 of Citeseer."""
    cora = np.repeat(np.arange(7), 20)
    assert sum(class_counts(cora, 0.5).values()) == 70
    assert class_counts(cora, 0.25) == dict.fromkeys(range(7), 5)
    assert sum(class_counts(np.repeat(np.arange(6), 20), 0.5).values()) == 60
    uneven = np.array([2] * 10 + [0] * 3 + [1] * 5)
    assert list(class_counts(uneven, 0.5).items()) == [(0, 1), (1, 2), (2, 6)]
    assert class_counts(uneven, 0.01) == {0: 1, 1: 1, 2: 1}
