"""The explicit Hessian of a network's mean cross-entropy, row by row, in float64."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


def explicit(net, images, labels):
    """H (p, p), by a second backward pass for each row; network and images in float64."""
    weights = list(net.parameters())
    loss = F.cross_entropy(net(images), labels)
    gradient = torch.autograd.grad(loss, weights, create_graph=True)
    entries = torch.cat([g.flatten() for g in gradient])
    rows = []
    for entry in entries:
        row = torch.autograd.grad(entry, weights, retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([r.flatten() for r in row]))
    return torch.stack(rows).numpy()


def product(net, images, labels):
    """A function from v (p,) to H v, by two backward passes."""
    weights = list(net.parameters())
    loss = F.cross_entropy(net(images), labels)
    gradient = torch.autograd.grad(loss, weights, create_graph=True)
    flat = torch.cat([g.flatten() for g in gradient])

    def of(v):
        v = torch.as_tensor(np.ascontiguousarray(v), dtype=flat.dtype).flatten()
        found = torch.autograd.grad(flat @ v, weights, retain_graph=True)
        return torch.cat([g.flatten() for g in found]).numpy()

    return of, len(flat)


def largest(times, size, count):
    """The `count` largest eigenvalues of a matrix given by its products (ARPACK), descending."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    operator = LinearOperator((size, size), matvec=times, dtype=np.float64)
    start = np.random.default_rng(0).normal(size=size)
    return np.sort(eigsh(operator, k=count, which="LA", v0=start, return_eigenvectors=False))[::-1]


def by_differences(net, images, labels, step=1e-6):
    """The same from central differences of gradients, exact to about `step` squared.

    torch.func would be a third way, but differentiates the library's norms wrongly under vmap.
    """
    weights = list(net.parameters())
    start = torch.cat([w.detach().flatten() for w in weights])

    def gradient(vector):
        torch.nn.utils.vector_to_parameters(vector, weights)
        found = torch.autograd.grad(F.cross_entropy(net(images), labels), weights)
        return torch.cat([g.flatten() for g in found])

    columns = []
    for i in range(len(start)):
        move = torch.zeros_like(start)
        move[i] = step
        columns.append((gradient(start + move) - gradient(start - move)) / (2 * step))
    torch.nn.utils.vector_to_parameters(start, weights)
    return torch.stack(columns, 1).numpy()


def eigenvalues(matrix):
    """Descending."""
    return np.linalg.eigvalsh((matrix + matrix.T) / 2)[::-1]


def fisher_trace(net, images, labels):
    """Mean over images of the squared gradient of each one's own loss."""
    total = 0.0
    for i in range(len(images)):
        loss = F.cross_entropy(net(images[i : i + 1]), labels[i : i + 1])
        found = torch.autograd.grad(loss, list(net.parameters()))
        total += sum(float(g.square().sum()) for g in found)
    return total / len(images)
