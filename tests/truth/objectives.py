"""What DC, DM and MTT minimise, as their papers write it, by plain autograd on one network at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def class_mean_distance(nets, real, real_labels, images, labels):
    """DM (Zhao & Bilen 2021, eq. 6): sum over classes of the squared distance of mean features."""
    total = 0.0
    for net in nets:
        for c in labels.unique():
            real_mean = net.features(real[real_labels == c]).mean(0)
            total = total + (real_mean - net.features(images[labels == c]).mean(0)).square().sum()
    return total / len(nets)


def layerwise_cosine(net, real, real_labels, images, labels):
    """DC (Zhao et al. 2021, eq. 7) for one class: 1 - cosine per output node of each layer's weights.

    Offsets and norms are left out, and 1e-6 is added to the product of norms, as in the authors' code.
    """
    weights = [w for w in net.parameters() if w.ndim > 1]

    def gradients(x, y, graph):
        return torch.autograd.grad(F.cross_entropy(net(x), y), weights, create_graph=graph)

    total = 0.0
    for g, h in zip(gradients(real, real_labels, False), gradients(images, labels, True)):
        for a, b in zip(g, h):
            a, b = a.flatten(), b.flatten()
            total = total + 1 - a @ b / (a.norm() * b.norm() + 1e-6)
    return total


def normalised_distance(start, target, reached):
    """MTT (Cazenavette et al. 2022, eq. 2), of weights as vectors."""
    return (reached - target).square().sum() / (start - target).square().sum()


def unrolled(net, start, images, labels, rate, steps):
    """Weights (a vector) after full-batch descent from `start`, differentiable in images and rate."""
    names = [n for n, _ in net.named_parameters()]
    shapes = [w.shape for w in net.parameters()]
    vector = start
    for _ in range(steps):
        vector = vector if vector.requires_grad else vector.requires_grad_()
        parts = [p.view(s) for p, s in zip(vector.split([s.numel() for s in shapes]), shapes)]
        out = torch.func.functional_call(net, dict(zip(names, parts)), (images,))
        (gradient,) = torch.autograd.grad(F.cross_entropy(out, labels), vector, create_graph=True)
        vector = vector - rate * gradient
    return vector
