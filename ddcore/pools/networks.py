"""What all pools share: training chunk after chunk with checkpoints, and networks as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import numpy as np
import torch

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData
from ddcore.nets.network import Network
from ddcore.pools.bank_spec import BankTask
from ddcore.pools.real_spec import Pool, RealPool
from ddcore.pools.trajectory_spec import TrajectoryTask
from ddcore.tasks.store import Task
from ddcore.tasks.worker import Context
from ddcore.training.chunks import limit_threads, nets_at_once
from ddcore.training.trained import TrainedNets

Kept = dict[str, np.ndarray]
PoolTask = TypeVar("PoolTask", bound=BankTask | Pool | TrajectoryTask)
PARTS = 1000  # into which progress is divided
_STATS = "stats."  # before the name of a batch norm's statistic


class Job(Generic[PoolTask]):
    """`nets` networks on real data, a chunk at a time; a stopped job goes on after the last chunk kept.

    `spec` is what they belong to, the context's own unless given, of which they are those from `first` on;
    `data` that of the spec unless given. What is kept of networks are arrays with one row for each.
    """

    def __init__(
        self,
        context: Context[PoolTask],
        nets: int,
        data: DeviceData | None = None,
        spec: PoolTask | None = None,
        first: int = 0,
    ) -> None:
        self.context, self.nets, self.first = context, nets, first
        self.spec: PoolTask = spec or context.spec
        self.data = data or DeviceData(ensure(context, self.spec.data), context.device)
        self.network = Network(self.spec.net, self.data.shape, self.data.num_classes)
        limit_threads(self.network, context.device)
        self.found: list[Kept] = []
        self.done = 0
        resumed = context.load_checkpoint()
        if resumed and "nets" in resumed[1]:
            self.found, self.done = [resumed[0]], resumed[1]["nets"]

    def seed(self, *labels: object) -> int:
        """The seed of what these labels name: network i, or the images that it sees."""
        return seed_of(self.spec, *labels)

    def at_once(self, batch: int) -> int:
        """How many networks to train together on batches of so many images."""
        return nets_at_once(self.network, batch, self.context.device)

    def chunks(self, batch: int) -> Iterator[range]:
        """The networks that are still to be trained, a few at a time; each chunk is to be kept."""
        at_once = self.at_once(batch)
        while left := self.left():
            yield left[:at_once]

    def left(self) -> range:
        """The networks that are still to be trained."""
        return range(self.first + self.done, self.first + self.nets)

    def reporter(self, count: int) -> Callable[[int, int], None]:
        """Progress of the next `count` networks, given their step and how many there are."""
        before = self.done

        def report(step: int, total: int) -> None:
            share = (before + count * step / total) / self.nets
            self.context.progress(round(PARTS * share), PARTS)

        return report

    def keep(self, count: int, arrays: Kept, *, at_any_rate: bool = False) -> None:
        """What is known about the next `count` networks; `at_any_rate` with a checkpoint now."""
        self.found.append(arrays)
        self.done += count
        if at_any_rate or self.context.checkpoint_due():
            self.context.save_checkpoint(self.done, self.joined(), {"nets": self.done})

    def joined(self) -> Kept:
        """All arrays so far, networks along the first axis."""
        return {name: np.concatenate([f[name] for f in self.found]) for name in self.found[0]}

    def save_result(self, work: float, **facts: object) -> None:
        """Write what was found, and on what in which time; `work` in multiply-adds. `facts` win."""
        data, context = self.data, self.context
        context.save_result(
            {
                "shape": list(data.shape),
                "classes": data.num_classes,
                "work": work,
                "device": context.device,
                "seconds": context.seconds,
                "cpu_seconds": context.cpu_seconds,
                **facts,
            }
        )
        context.progress(PARTS, PARTS)


def seed_of(spec: BankTask | Pool | TrajectoryTask, *labels: object) -> int:
    """The seed of what these labels name in a pool: network i, or the images that it sees."""
    return rng.derive(spec.seed, spec.KIND, *labels)


def as_arrays(nets: TrainedNets) -> Kept:
    """Weights and statistics by name, networks along the first axis."""
    named = {**nets.params, **{_STATS + k: w for k, w in nets.stats.items()}}
    return {k: w.cpu().numpy() for k, w in named.items()}


def load(task: Task, device: str | torch.device = "cpu") -> TrainedNets:
    """The networks of a finished `BankTask` or `RealPool`; of others no weights are stored."""
    spec, result = task.spec(), task.result()
    if not isinstance(spec, (BankTask, RealPool)):
        raise SpecError("task", task.key, "a pool whose networks are stored")
    arrays = {k: torch.from_numpy(w).to(device) for k, w in task.arrays("weights").items()}
    params = {k: w for k, w in arrays.items() if not k.startswith(_STATS)}
    stats = {k.removeprefix(_STATS): w for k, w in arrays.items() if k.startswith(_STATS)}
    network = Network(spec.net, tuple(result["shape"]), result["classes"], spec.nets)
    return TrainedNets(network, params, stats)
