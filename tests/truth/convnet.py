"""The ConvNet of Gidaris & Komodakis 2018 as gradient matching uses it (Zhao et al. 2021), in plain torch.

Blocks of 3x3 convolution with padding 1 (3 for the first one on 28x28 grey images), instance norm with
scale and offset, ReLU, 2x2 average pooling; then one linear layer. Initial weights are torch's own unless
they are given. Training is `torch.optim.SGD` on the mean cross-entropy, the whole set at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


class ConvNet(nn.Module):
    """`depth` blocks of `width` channels for square images (channels, side, side)."""

    def __init__(self, width, depth, channels=1, side=8, classes=10):
        super().__init__()
        self.blocks = nn.ModuleList()
        for block in range(depth):
            padding = 3 if block == 0 and (channels, side) == (1, 28) else 1
            self.blocks.append(
                nn.Sequential(
                    nn.Conv2d(width if block else channels, width, 3, padding=padding),
                    nn.InstanceNorm2d(width, affine=True),
                    nn.ReLU(),
                    nn.AvgPool2d(2),
                )
            )
            side = (side + 2 * (padding - 1)) // 2
        self.classifier = nn.Linear(width * side * side, classes)

    def features(self, images):
        """What the classifier sees (B, F)."""
        for block in self.blocks:
            images = block(images)
        return images.flatten(1)

    def forward(self, images):
        """Outputs (B, K)."""
        return self.classifier(self.features(images))


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum; the step size falls to a tenth in epoch `drop` + 1, counted from 0."""

    epochs: int
    lr: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    drop: int | None = None


QUICK = Recipe(
    epochs=200, lr=0.05, weight_decay=5e-4, drop=100
)  # as the protocol of that name says
T300 = Recipe(epochs=300, lr=0.01)


def train(net, images, labels, recipe, steps=None):
    """Train on all images at once; labels (M,) or, soft, (M, K). `steps` ends it early."""
    optimiser = torch.optim.SGD(
        net.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay
    )
    for epoch in range(recipe.epochs if steps is None else steps):
        if recipe.drop is not None and epoch == recipe.drop + 1:
            optimiser.param_groups[0]["lr"] /= 10
        optimiser.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimiser.step()
    return net


def descend(net, images, labels, rates, steps):
    """Gradient descent of Wang et al. 2018: part k mod `steps` of the set at the k-th step size."""
    size = len(images) // steps
    for k, rate in enumerate(rates):
        rows = slice(k % steps * size, (k % steps + 1) * size)
        net.zero_grad()
        F.cross_entropy(net(images[rows]), labels[rows]).backward()
        with torch.no_grad():
            for weight in net.parameters():
                weight -= rate * weight.grad
    return net


@torch.no_grad()
def answers(net, images):
    """Predicted classes (B,)."""
    return net(images).argmax(1).numpy()


@torch.no_grad()
def losses(net, images, labels):
    """Cross-entropy of every image (B,) in float64."""
    return F.cross_entropy(net(images).double(), labels, reduction="none").numpy()


def assign(net, weights):
    """Give a network the weights of another, in the order conv weight, bias, scale, offset, ..."""
    own = list(net.parameters())
    assert len(own) == len(weights)
    with torch.no_grad():
        for mine, given in zip(own, weights):
            mine.copy_(torch.as_tensor(given).reshape(mine.shape))
    return net


def exported(net, arrays, prefix="init."):
    """Give a network exported weights, named by the layer's place in the network and what it is."""
    names = sorted((n for n in arrays if n.startswith(prefix)), key=_place)
    return assign(net, [arrays[name] for name in names])


def _place(name):
    *_, layer, kind = name.split(".")
    return int(layer), kind != "weight"


def drawn(net, generator, scheme="default"):
    """Give a network weights from a stream, layer after layer, weight before bias.

    "default" is torch's rule: all uniform within 1 / sqrt(fan-in); "xavier" is Glorot & Bengio's normal one
    with offsets 0. Scales of norms are 1 and their offsets 0.
    """
    values = []
    for weight, bias in _layers(net):
        if weight.ndim == 1:
            values += [torch.ones(weight.shape), torch.zeros(bias.shape)]
            continue
        fan_in, fan_out = weight[0].numel(), len(weight) * weight[0, 0].numel()
        if scheme == "xavier":
            normal = torch.randn(weight.shape, generator=generator)
            values += [normal * math.sqrt(2 / (fan_in + fan_out)), torch.zeros(bias.shape)]
        else:
            pair = [torch.rand(w.shape, generator=generator) for w in (weight, bias)]
            values += [(2 * w - 1) / math.sqrt(fan_in) for w in pair]
    return assign(net, values)


def _layers(net):
    tensors = list(net.parameters())
    return zip(tensors[::2], tensors[1::2])


def flat(net):
    """All weights as one vector, in the order of `assign`."""
    return torch.cat([w.detach().flatten() for w in net.parameters()])
