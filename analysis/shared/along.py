"""Networks trained on one source after the other and looked at along the way, with progress and recovery."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch

from analysis.contract import AnalysisTask
from analysis.shared.grid import UNITS
from analysis.shared.stand_ins import TrainedOn
from ddcore.nets.architectures import NetSpec
from ddcore.tasks.worker import Context
from ddcore.training import train
from ddcore.training.protocols import Protocol
from ddcore.training.trained import TrainedNets

SeenAlong = dict[str, np.ndarray]  # by name (nets, ...)
Look = Callable[[TrainedNets, bool], SeenAlong]  # told whether training has ended


def followed(
    context: Context[AnalysisTask],
    sources: Sequence[TrainedOn],
    net: NetSpec,
    classes: int,
    protocol: Protocol,
    seeds: Sequence[int],
    looks: Sequence[int],
    look: Look,
) -> SeenAlong:
    """What `look` sees of the networks after each of the epochs `looks`, the last of which ends training.

    By name (sources, looks, nets, ...), or (sources, 1, nets, ...) of what it sees at the end only. Network i
    starts from the same weights on every source.
    """
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    first = 0
    if resumed := context.load_checkpoint():
        arrays, meta = resumed
        found |= {name: list(rows) for name, rows in arrays.items()}
        first = meta["sources"]
    for place in range(first, len(sources)):

        def on_step(step: int, steps: int, place: int = place) -> None:
            context.progress(int(UNITS * (place + step / steps) / len(sources)), UNITS)

        seen = _one(
            context.device, sources[place], net, classes, protocol, seeds, looks, look, on_step
        )
        for name, values in seen.items():
            found[name].append(values)
        if context.checkpoint_due():
            done = {name: np.stack(rows) for name, rows in found.items()}
            context.save_checkpoint(place, done, {"sources": place + 1})
    context.progress(UNITS, UNITS)
    return {name: np.stack(rows) for name, rows in found.items()}


def _one(
    device: str,
    source: TrainedOn,
    net: NetSpec,
    classes: int,
    protocol: Protocol,
    seeds: Sequence[int],
    looks: Sequence[int],
    look: Look,
    on_step: Callable[[int, int], None],
) -> SeenAlong:
    """Of one source (looks, nets, ...) by name; networks may be trained in several groups."""
    seen: dict[str, dict[int, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))

    def on_epoch(epoch: int, nets: TrainedNets) -> None:
        if epoch not in looks:
            return
        still = {name: w.detach() for name, w in nets.params.items()}
        group = TrainedNets(nets.network, still, nets.stats)
        for name, values in look(group, epoch == looks[-1]).items():
            seen[name][epoch].append(values)

    images, labels = (torch.from_numpy(a).to(device) for a in (source.images, source.labels))
    train.train(net, images, labels, classes, protocol, seeds, on_step=on_step, on_epoch=on_epoch)
    return {
        name: np.stack([np.concatenate(at[epoch]) for epoch in looks if epoch in at])
        for name, at in seen.items()
    }


def looked_at(iterations: int, looks: int) -> tuple[int, ...]:
    """The start, and about so many iterations until the end, each longer after the one before."""
    steps = np.geomspace(max(1, iterations // 50), iterations, looks).round()
    return tuple(sorted({0, iterations, *map(int, steps)}))
