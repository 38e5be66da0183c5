"""Training and reading a bank of networks (`BankTask`)."""

from __future__ import annotations

import torch
from torch import Tensor

from ddcore import rng
from ddcore.bank_spec import BankTask
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData
from ddcore.evaluation import summary, whole_protocol
from ddcore.nets.network import Network, Params
from ddcore.store import Task
from ddcore.training import TrainedNets, limit_threads, train
from ddcore.worker import Context

_STATS = "stats."


def run(context: Context) -> None:
    """Task `bank`: see `BankTask`."""
    spec: BankTask = context.spec
    data = DeviceData(ensure(context, spec.data), context.device)
    network = Network(spec.net, data.shape, data.num_classes)
    limit_threads(network, context.device)
    protocol = whole_protocol(len(data.train))
    if spec.epochs:
        protocol = protocol.replace(epochs=spec.epochs)
    everything = data.batch(torch.arange(len(data.train)))
    seeds = [rng.derive(spec.seed, "bank", i) for i in range(spec.nets)]

    def report(step: int, total: int) -> None:
        context.progress(step, total)

    trained = train(
        spec.net, everything, data.train.labels, data.num_classes, protocol, seeds, on_step=report
    )
    arrays = {k: w.cpu().numpy() for k, w in trained.params.items()}
    arrays |= {_STATS + k: w.cpu().numpy() for k, w in trained.stats.items()}
    context.save_arrays(arrays, name="weights")
    accuracies = {"validation": trained.accuracy(data.val), "test": trained.accuracy(data.test)}
    context.save_result(
        {
            **{name: summary(found) for name, found in accuracies.items()},
            "accuracies": accuracies,
            "epochs": protocol.epochs,
            "shape": list(data.shape),
            "classes": data.num_classes,
            "device": context.device,
            "seconds": context.seconds,
        }
    )


def load(task: Task, device: str | torch.device = "cpu") -> TrainedNets:
    """The networks of a finished bank."""
    spec: BankTask = task.spec()
    arrays = {k: torch.from_numpy(w).to(device) for k, w in task.arrays("weights").items()}
    params: Params = {k: w for k, w in arrays.items() if not k.startswith(_STATS)}
    stats = {k.removeprefix(_STATS): w for k, w in arrays.items() if k.startswith(_STATS)}
    shape, classes = tuple(task.result()["shape"]), task.result()["classes"]
    return TrainedNets(Network(spec.net, shape, classes, spec.nets), params, stats)


def soft_labels(nets: TrainedNets, images: Tensor) -> Tensor:
    """Mean predicted distribution (M, K) of all networks on preprocessed images."""
    logits = torch.cat(nets.logits_in_batches(images), dim=1)
    return logits.softmax(2).mean(0)
