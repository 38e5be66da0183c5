"""Objectives of DM, DC and MTT and their gradients with respect to the images, by plain autograd."""

from __future__ import annotations

import pytest
import torch

from ddcore.distil.engines import gradient_match, match, trajectory_match
from ddcore.distil.engines.rules import GradientDescent
from ddcore.distil.engines.unroll import meta_gradient
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network
from ddcore.training.losses import cross_entropy
from tests.truth import convnet, objectives, streams

CLASSES, SIDE, WIDTH = 3, 4, 4
SHAPE = (1, SIDE, SIDE)


def truths(count):
    """Networks of the truth, in float64."""
    nets = [convnet.ConvNet(WIDTH, 2, 1, SIDE, CLASSES) for _ in range(count)]
    return [convnet.drawn(n, streams.of_torch(i, "net")).double() for i, n in enumerate(nets)]


def ours(nets, fused_norm=True):
    """The same networks, stacked."""
    net = NetSpec(width=WIDTH, depth=2)
    network = Network(net, SHAPE, CLASSES, len(nets), fused_norm=fused_norm)
    names = network.init(torch.Generator())
    each = [[w.detach() for w in n.parameters()] for n in nets]
    stacked = [torch.stack(ws) for ws in zip(*each)]
    return network, {k: w.reshape(names[k].shape) for k, w in zip(names, stacked)}


def images_of(per_class, label):
    draw = streams.of_torch(9, label)
    labels = torch.arange(CLASSES).repeat_interleave(per_class)
    return torch.randn(len(labels), *SHAPE, generator=draw, dtype=torch.float64), labels


def test_dm_distance_of_class_means():
    (real, real_labels), (images, labels) = images_of(7, "real"), images_of(2, "made")
    nets = truths(3)
    images.requires_grad_()
    true = objectives.class_mean_distance(nets, real, real_labels, images, labels)
    network, weights = ours(nets)
    target = match.class_means(network.features(weights, real), real_labels, CLASSES)
    means = match.class_means(network.features(weights, images), labels, CLASSES)
    found = match.mean_feature_distance(target, means)
    assert found.item() == pytest.approx(true.item(), rel=1e-10)
    (mine,), (theirs,) = (torch.autograd.grad(x, images) for x in (true, found))
    assert torch.allclose(mine, theirs, rtol=1e-8, atol=1e-12)


def test_dc_cosine_layer_by_layer():
    (real, real_labels), (images, labels) = images_of(7, "real"), images_of(2, "made")
    nets = truths(2)
    images.requires_grad_()
    true = sum(
        objectives.layerwise_cosine(
            net,
            real[real_labels == c],
            real_labels[real_labels == c],
            images[labels == c],
            labels[labels == c],
        )
        for net in nets
        for c in range(CLASSES)
    )
    network, weights = ours(nets, fused_norm=False)

    def gradients(x, y, graph):
        groups, targets = x.unflatten(0, (CLASSES, -1)), y.view(CLASSES, -1)
        found = gradient_match.group_gradients(
            network, weights, groups, targets, list(weights), graph=graph
        )
        return [g.flatten(0, 1) for g in found]

    found = gradient_match.channel_cosines(
        gradients(real, real_labels, False), gradients(images, labels, True)
    ).sum()
    assert found.item() == pytest.approx(true.item(), rel=1e-9)
    (mine,), (theirs,) = (torch.autograd.grad(x, images) for x in (true, found))
    assert torch.allclose(mine, theirs, rtol=1e-7, atol=1e-11)


def test_mtt_distance_and_its_gradients():
    """Through eight steps of descent: with respect to images and step size."""
    steps, rate = 8, torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    images, labels = images_of(2, "made")
    images.requires_grad_()
    first, last = truths(2)
    start, target = convnet.flat(first), convnet.flat(last)
    reached = objectives.unrolled(first, start, images, labels, rate, steps)
    true = objectives.normalised_distance(start, target, reached)
    mine = torch.autograd.grad(true, [images, rate])

    network, weights = ours([first])
    goal = tuple(ours([last])[1].values())
    names, theta = list(weights), tuple(weights.values())
    length = trajectory_match.squared_distance(theta, goal)

    def inner(t, current, leaves):
        return cross_entropy(network.logits(dict(zip(names, current)), leaves[0]), labels)

    rule, leaf = GradientDescent(), images.detach().requires_grad_()
    found = meta_gradient(
        inner,
        lambda w: (trajectory_match.squared_distance(w, goal) / length).sum(),
        rule,
        rule.start(theta),
        (leaf,),
        (rate.detach().expand(steps).clone(),),
        range(steps),
    )
    assert found.loss.item() == pytest.approx(true.item(), rel=1e-10)
    assert torch.allclose(found.leaves[0], mine[0], rtol=1e-7, atol=1e-11)
    assert found.hyper[0].sum().item() == pytest.approx(mine[1].item(), rel=1e-8)
