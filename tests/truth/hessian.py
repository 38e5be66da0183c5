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


def by_func(net, images, labels):
    """The same by torch.func: reverse over reverse mode of the loss as a function of one vector."""
    shapes = {name: w.shape for name, w in net.named_parameters()}
    sizes = [shape.numel() for shape in shapes.values()]

    def loss(vector):
        parts = vector.split(sizes)
        weights = {name: part.view(shapes[name]) for name, part in zip(shapes, parts)}
        return F.cross_entropy(torch.func.functional_call(net, weights, (images,)), labels)

    vector = torch.cat([w.detach().flatten() for w in net.parameters()])
    return torch.func.jacrev(torch.func.jacrev(loss))(vector).numpy()


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
