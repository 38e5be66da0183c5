"""The task `transfer`: from sets and pools to a result and arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.runs import Chosen
from analysis.suite.transfer.result import KindOfSource, NetworkFacts, TransferFound
from analysis.suite.transfer.spec import (
    BASELINES,
    RANDOM,
    SET,
    TransferTask,
    networks,
    recipe,
    sizes,
)
from analysis.task import Opened, opened, save
from ddcore.base import rng
from ddcore.measure.spec import BaselineTask
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context


@dataclass(frozen=True)
class TransferSource:
    """What is trained on: a set that all networks share, or real images of its own for each network."""

    kind: str  # SET, RANDOM or MEAN
    key: str
    method: str
    label: str
    ipc: int
    images: np.ndarray  # (M, C, H, W), or (nets, M, C, H, W); preprocessed
    labels: np.ndarray  # (M,) or (M, K)


def run(context: Context[TransferTask]) -> None:
    """Task `transfer`: test accuracy of every kind of network on every set."""
    from analysis.shared.grid import Cell, accuracies, ready

    spec = context.spec
    given = opened(context)
    chosen, protocol = given.chosen, recipe(spec)
    every, sources = networks(spec, chosen), _sources(context, given)
    # Network i of a kind starts from the same weights for every set.
    seeds = [rng.derive(spec.seed, "transfer", i) for i in range(spec.nets)]
    cells = []
    for source in sources:
        for net in every:
            one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
            data, work = ready(source.images, source.labels), len(source.labels) * one.macs
            cells.append(Cell(net, protocol, data, work))
    found = accuracies(context, cells, seeds, given.dataset)
    accuracy = found.reshape(len(sources), len(every), spec.nets)
    named = {network("architectures", t, chosen.shape, chosen.classes) for t in spec.architectures}
    shown = named | set(chosen.nets.values())
    transferred = TransferFound(
        sources=tuple(KindOfSource(s.kind, s.key, s.method, s.label, s.ipc) for s in sources),
        networks=tuple(NetworkFacts(_name(n), n.arch, n.width, _plain(n, chosen)) for n in every),
        home={run.key: every.index(chosen.nets[run.key]) for run in chosen.runs},
        architectures=[i for i, n in enumerate(every) if n in shown],
        accuracy=accuracy.tolist(),
        iterations=spec.iterations,
        nets=spec.nets,
        soft=tuple(key for key, made in given.sets.items() if made.soft),
    )
    save(context, given, transferred, {"accuracy": accuracy})


def _name(net: NetSpec) -> str:
    return net.label() + (" Xavier" if net.init == "xavier" else "")


def _plain(net: NetSpec, chosen: Chosen) -> bool:
    """Whether it is a ConvNet that differs from the others in nothing but its width."""
    if net.arch != "convnet":
        return False
    return net == network("widths", f"convnet-{net.width}", chosen.shape, chosen.classes)


def _sources(context: Context[TransferTask], given: Opened) -> list[TransferSource]:
    """The sets in the order of figures, then random real images and class means for each size of set."""
    from ddcore.measure import baselines

    spec = context.spec
    chosen, protocol, found = given.chosen, recipe(context.spec), []
    for own in chosen.runs:
        pair = given.sets[own.key].for_training(protocol)
        found.append(TransferSource(SET, own.key, own.method, own.label, own.ipc, *pair))
    several = len(sizes(chosen)) > 1
    for kind, label in BASELINES.items():
        for ipc in sizes(chosen):
            draws = spec.nets if kind == RANDOM else 1
            task = context.need(
                BaselineTask(name=kind, data=chosen.data, ipc=ipc, seed=spec.seed, draws=draws)
            )
            images, labels = (x.numpy() for x in baselines.sets(task, given.dataset, "cpu"))
            images = images if kind == RANDOM else images[0]
            text = label + (f", {ipc} per class" if several else "")
            found.append(TransferSource(kind, f"{kind}.{ipc}", "", text, ipc, images, labels))
    return found
