"""A set used the way it is meant to be: its protocol, its step sizes, its starting weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network, Params, select
from ddcore.training.protocols import Protocol

if TYPE_CHECKING:
    from ddcore.sets.distilled import DistilledSet
from ddcore.data.tensors import DeviceData
from ddcore.kernels import machine
from ddcore.sets.distilled import DistilledSet
from ddcore.training.chunks import nets_at_once
from ddcore.training.ordered import train_ordered
from ddcore.training.train import train
from ddcore.training.trained import Trained, TrainedNets


def train_for(
    images: Tensor,
    labels: Tensor,
    data: DeviceData,
    net: NetSpec,
    protocol: Protocol,
    seeds: list[int],
    like: DistilledSet | None,
    on_step: Callable[[int, int], None] = lambda step, total: None,
    weights: Params | None = None,
) -> Trained:
    """Networks trained on a set: (M, ...) shared, or (N, M, ...) one set each; class or step order.

    Under the ordered protocol they start from `weights`, or from what `like` and the seeds say; a
    closed-form one takes the kernel of `like`.
    """
    if protocol.closed_form:
        return machine.train(like.learner, images, labels, data.num_classes, seeds)
    if not protocol.ordered:
        return train(net, images, labels, data.num_classes, protocol, seeds, on_step=on_step)
    count = len(next(iter(weights.values()))) if weights else len(seeds)
    network = Network(net, data.shape, data.num_classes, count)
    lrs = torch.from_numpy(like.lrs)
    at_once = nets_at_once(network, images.shape[-4] // like.steps, data.device)
    trained = []
    for first in range(0, count, at_once):
        part = slice(first, min(first + at_once, count))
        few = network.with_nets(part.stop - first)
        start = (
            select(weights, part)
            if weights
            else like.starting_weights(few, seeds[part], data.device)
        )

        def report(step: int, _: Params, done: int = first, nets: int = few.num_nets) -> None:
            on_step(done * len(lrs) + step * nets, count * len(lrs))

        own = images if images.ndim == 4 else images[part]
        wanted = labels if labels.ndim < 3 else labels[part]
        end = train_ordered(few, start, own, wanted, lrs, like.steps, report, like.momentum)
        trained.append(end)
    joined = {k: torch.cat([t[k] for t in trained]) for k in trained[0]}
    return TrainedNets(network, joined, network.init_stats(data.device))
