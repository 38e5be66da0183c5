"""Training and reading a bank of networks (`BankTask`), and the weights a set is made for (`Start`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ddcore.base.errors import SpecError
from ddcore.base.specs import TaskSpec
from ddcore.base.spread import summary
from ddcore.data import Dataset, ensure
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network, Weights
from ddcore.pools.bank_spec import BankTask, Start
from ddcore.pools.networks import Job, as_arrays, load
from ddcore.pools.teaching import teaching
from ddcore.tasks.store import Task
from ddcore.tasks.worker import Context
from ddcore.training.estimate import protocol_work
from ddcore.training.protocols import whole_protocol
from ddcore.training.train import train
from ddcore.training.trained import TrainedNets

ACCURACY = "accuracy"  # beside the weights of networks that are still being trained


def run(context: Context[BankTask]) -> None:
    """Task `bank`: see `BankTask`. Networks are independent, so a stopped bank goes on where it was."""
    spec = context.spec
    dataset = ensure(context, spec.data)
    data = DeviceData(in_colour(dataset) if spec.colour else dataset, context.device)
    job = Job(context, spec.nets, data)
    protocol = whole_protocol(len(data.train)).replace(precision=spec.precision)
    if spec.epochs:
        protocol = protocol.replace(epochs=spec.epochs)
    everything, labels = data.batch(torch.arange(len(data.train))), data.train.labels
    for chunk in job.chunks(protocol.batch):
        seeds, report = [job.seed(spec.part, i) for i in chunk], job.reporter(len(chunk))
        nets = train(
            spec.net, everything, labels, data.num_classes, protocol, seeds, on_step=report
        )
        accuracy = np.array(nets.accuracy(data.val))
        job.keep(len(chunk), {**as_arrays(nets), ACCURACY: accuracy})
    weights = job.joined()
    accuracies = weights.pop(ACCURACY).tolist()
    context.save_arrays(weights, name="weights")
    shape, classes = data.shape, data.num_classes
    each = protocol_work(protocol, spec.net, shape, classes, len(data.train))
    job.save_result(
        spec.nets * each,
        validation=summary(accuracies),
        accuracies=accuracies,
        epochs=protocol.epochs,
    )


def in_colour(dataset: Dataset) -> Dataset:
    """Grey images repeated in three channels, and so their normalisation; not for whitened ones."""
    if dataset.shape[0] == 3:
        return dataset
    return dataclasses.replace(
        dataset,
        train_images=np.repeat(dataset.train_images, 3, axis=1),
        val_images=np.repeat(dataset.val_images, 3, axis=1),
        test_images=np.repeat(dataset.test_images, 3, axis=1),
        mean=np.repeat(dataset.mean, 3),
        std=np.repeat(dataset.std, 3),
    )


def soft_labels(nets: TrainedNets, images: Tensor) -> Tensor:
    """Mean predicted distribution (M, K) of all networks on preprocessed images."""
    logits = torch.cat(nets.logits_in_batches(images), dim=1)
    return logits.softmax(2).mean(0)


def teacher_labels(
    data: DataSpec,
    net: NetSpec,
    images: Tensor,
    need: Callable[[TaskSpec], Task],
    device: str | torch.device,
    word: str = "",
) -> Tensor:
    """Soft labels (M, K) of preprocessed images: what networks trained on the real data say about them.

    `word` names one from a file (`nets.published`) in place of networks trained here.
    """
    return soft_labels(load(need(teaching(data, net, word)), device), images)


def start_weights(
    start: Start,
    network: Network,
    part: str,
    need: Callable[[TaskSpec], Task],
    device: str | torch.device,
) -> Weights | None:
    """Stacked initial weights of `network.num_nets` networks of a bank's part; None for fresh ones.

    `network` may be of another architecture than the bank: then such networks are trained. A bank on
    images of another shape, or with other classes, raises `SpecError`.
    """
    if start.weights:
        from ddcore.nets.pretrained import alexnet_weights

        return alexnet_weights(start.weights, network, start.seed, device)
    if start.bank is None:
        return None
    wanted = start.bank.replace(net=network.net, part=part, nets=network.num_nets)
    nets = load(need(wanted), device)
    found, asked = nets.network, network
    if (found.shape, found.classes) != (asked.shape, asked.classes):
        (c, h, w), k = asked.shape, asked.classes
        raise SpecError(
            "source",
            wanted.data.title(),
            f"images of {c} × {h} × {w} numbers in {k} classes, as the target's",
        )
    return nets.params
