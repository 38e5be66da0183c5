"""The task `transfer`: from sets and pools to a result and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.runs import Chosen
from analysis.shared.set_ups import usual
from analysis.shared.stand_ins import trained_on
from analysis.suite.transfer.result import NetworkFacts, TransferFound
from analysis.suite.transfer.spec import TransferTask, networks
from analysis.task import opened, save
from ddcore.base import rng
from ddcore.data.tensors import DeviceData
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context


def run(context: Context[TransferTask]) -> None:
    """Task `transfer`: test accuracy of every kind of network on every set."""
    from analysis.shared.grid import Cell, accuracies, ready

    spec = context.spec
    given = opened(context)
    chosen, protocol = given.chosen, usual(spec.iterations)
    every = networks(spec, chosen)
    data = DeviceData(given.dataset, context.device)
    sources = trained_on(given, data, protocol, spec.nets, spec.seed)
    # Network i of a kind starts from the same weights for every set.
    seeds = [rng.derive(spec.seed, "transfer", i) for i in range(spec.nets)]
    cells = []
    for source in sources:
        for net in every:
            one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
            images = ready(source.images, source.labels)
            cells.append(Cell(net, protocol, images, len(source.labels) * one.macs))
    found = accuracies(context, cells, seeds, given.dataset)
    accuracy = found.reshape(len(sources), len(every), spec.nets)
    named = {network("architectures", t, chosen.shape, chosen.classes) for t in spec.architectures}
    shown = named | set(chosen.nets.values())
    transferred = TransferFound(
        sources=tuple(s.facts for s in sources),
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
