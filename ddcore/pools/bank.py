"""Training and reading a bank of networks (`BankTask`), and the weights a set is made for (`Start`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.base.specs import TaskSpec
from ddcore.base.spread import summary
from ddcore.data import Dataset, ensure
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network, Params
from ddcore.pools.bank_spec import BankTask, Start
from ddcore.tasks.store import Task
from ddcore.tasks.worker import Context
from ddcore.training.chunks import limit_threads, nets_at_once
from ddcore.training.estimate import protocol_work
from ddcore.training.protocols import whole_protocol
from ddcore.training.train import train
from ddcore.training.trained import TrainedNets

TEACHERS = 5  # networks whose mean prediction makes soft labels
_STATS = "stats."


def run(context: Context[BankTask]) -> None:
    """Task `bank`: see `BankTask`. Networks are independent, so a stopped bank goes on where it was."""
    spec = context.spec
    dataset = ensure(context, spec.data)
    if spec.colour:
        dataset = in_colour(dataset)
    data = DeviceData(dataset, context.device)
    network = Network(spec.net, data.shape, data.num_classes)
    limit_threads(network, context.device)
    protocol = whole_protocol(len(data.train))
    if spec.epochs:
        protocol = protocol.replace(epochs=spec.epochs)
    everything = data.batch(torch.arange(len(data.train)))
    seeds = [rng.derive(spec.seed, "bank", spec.part, i) for i in range(spec.nets)]
    at_once = nets_at_once(network, protocol.batch, context.device)
    found: list[dict[str, np.ndarray]] = []
    accuracies: list[float] = []
    if resumed := context.load_checkpoint():
        arrays, meta = resumed
        found, accuracies = [arrays], meta["accuracies"]
    for first in range(len(accuracies), spec.nets, at_once):

        def report(step: int, total: int, first: int = first) -> None:
            share = min(at_once, spec.nets - first) / spec.nets
            context.progress(round(1000 * (first / spec.nets + share * step / total)), 1000)

        part = seeds[first : first + at_once]
        labels, classes = data.train.labels, data.num_classes
        nets = train(spec.net, everything, labels, classes, protocol, part, on_step=report)
        found.append(_arrays(nets))
        accuracies += nets.accuracy(data.val)
        if context.checkpoint_due():
            context.save_checkpoint(len(accuracies), _joined(found), {"accuracies": accuracies})
    context.save_arrays(_joined(found), name="weights")
    context.save_result(
        {
            "validation": summary(accuracies),
            "accuracies": accuracies,
            "epochs": protocol.epochs,
            "shape": list(data.shape),
            "classes": data.num_classes,
            "work": spec.nets
            * protocol_work(protocol, spec.net, data.shape, data.num_classes, len(data.train)),
            "device": context.device,
            "seconds": context.seconds,
            "cpu_seconds": context.cpu_seconds,
        }
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


def _arrays(nets: TrainedNets) -> dict[str, np.ndarray]:
    named = {**nets.params, **{_STATS + k: w for k, w in nets.stats.items()}}
    return {k: w.cpu().numpy() for k, w in named.items()}


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def load(task: Task, device: str | torch.device = "cpu") -> TrainedNets:
    """The networks of a finished bank."""
    spec = task.spec_as(BankTask)
    arrays = {k: torch.from_numpy(w).to(device) for k, w in task.arrays("weights").items()}
    params: Params = {k: w for k, w in arrays.items() if not k.startswith(_STATS)}
    stats = {k.removeprefix(_STATS): w for k, w in arrays.items() if k.startswith(_STATS)}
    shape, classes = tuple(task.result()["shape"]), task.result()["classes"]
    return TrainedNets(Network(spec.net, shape, classes, spec.nets), params, stats)


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
) -> Tensor:
    """Soft labels (M, K) of preprocessed images: what networks trained on the real data say about them."""
    task = need(BankTask(data=data, net=net, nets=TEACHERS))
    return soft_labels(load(task, device), images)


def start_weights(
    start: Start,
    network: Network,
    part: str,
    need: Callable[[TaskSpec], Task],
    device: str | torch.device,
) -> Params | None:
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
