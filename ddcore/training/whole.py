"""Networks trained on all real training images."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ddcore.data.tensors import DeviceData
from ddcore.nets.architectures import NetSpec
from ddcore.training.protocols import whole_protocol
from ddcore.training.train import train
from ddcore.training.trained import TrainedNets


def train_on_everything(
    data: DeviceData,
    net: NetSpec,
    seeds: list[int],
    on_step: Callable[[int, int], None],
    only: range | None = None,
) -> TrainedNets:
    """Networks trained on all real training images, of those with these seeds `only` some."""
    everything = data.batch(torch.arange(len(data.train)))
    protocol = whole_protocol(len(data.train))
    return train(
        net,
        everything,
        data.train.labels,
        data.num_classes,
        protocol,
        seeds,
        on_step=on_step,
        only=only,
    )
