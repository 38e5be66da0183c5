"""Training expert trajectories (`TrajectoryTask`) and reading them back, a few snapshots at a time.

Each expert has a file of its own: the first weights in float32, then one float16 difference per epoch,
taken from what the file gives back for the epoch before, so that rounding never adds up. Half the bytes
of float32, and the relative error of theta_{t+2} - theta_t, all that matching looks at, stays below
3e-4 (digits with SGD 0.1 and 0.01, CIFAR-10 with SGD 0.01). Rounding the weights themselves would make
it 3 % in float16 and 22 % in bfloat16, since an expert moves by a few per cent of its length only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import DDError
from ddcore.base.spread import summary
from ddcore.data.tensors import DeviceData
from ddcore.nets.network import Weights
from ddcore.pools.estimate import trajectory_work
from ddcore.pools.networks import Job
from ddcore.pools.trajectory_spec import TrajectoryPart, TrajectoryTask
from ddcore.tasks import fanout
from ddcore.tasks.store import Task
from ddcore.tasks.worker import Context
from ddcore.training.protocols import Protocol
from ddcore.training.train import train
from ddcore.training.trained import TrainedNets

_START, _MOVES = "start.", "moves."  # before a weight's name in an expert's file


def run(context: Context[TrajectoryTask]) -> None:
    """Task `trajectories`: see `TrajectoryTask`. What finished before a stop is not trained again."""
    spec = context.spec
    job = Job(context, spec.nets)
    data = job.data
    parts = fanout.ranges(job.left(), job.at_once(spec.batch), fanout.wanted(context))
    took = _by_parts(context, job, parts) if len(parts) > 1 else {}
    _train(context, job)
    validation, test = job.joined()["accuracies"].swapaxes(0, 1).tolist()
    job.save_result(
        trajectory_work(spec, data.shape, data.num_classes, len(data.train)),
        validation=summary([of[-1] for of in validation]),
        test=summary([of[-1] for of in test]),
        accuracies={"validation": validation, "test": test},  # by expert and epoch
        epochs=spec.epochs,
        **took,
    )


def run_part(context: Context[TrajectoryPart]) -> None:
    """Task `trajectories_part`: see `TrajectoryPart`."""
    spec = context.spec
    # Of the context's own task the job wants to know nothing but these.
    like = cast("Context[TrajectoryTask]", context)
    job = Job(like, spec.nets, spec=spec.whole, first=spec.first)
    _train(context, job)
    context.save_arrays(job.joined())
    job.save_result(0.0)


def _train(context: Context, job: Job[TrajectoryTask]) -> None:
    """The experts that are still to be trained. Whose files are written is finished."""
    for experts in job.chunks(job.spec.batch):
        recorder = train_experts(job.spec, job.data, experts, job.reporter(len(experts)))
        for expert, arrays in zip(experts, recorder.arrays()):
            context.save_arrays(arrays, file_name(expert))
        job.keep(len(experts), {"accuracies": recorder.accuracies()}, at_any_rate=True)


def _by_parts(
    context: Context[TrajectoryTask], job: Job[TrajectoryTask], parts: Sequence[range]
) -> dict[str, Any]:
    """The same as tasks of their own, whose files are taken over; what they took."""
    specs = [TrajectoryPart(whole=context.spec, first=r.start, nets=len(r)) for r in parts]
    tasks = fanout.shared(context, specs, len(specs))
    for experts, task in zip(parts, tasks):
        for expert in experts:
            context.take_over(task, f"{file_name(expert)}.safetensors")
        job.keep(len(experts), task.arrays(), at_any_rate=True)
    took = fanout.cost(tasks)
    fanout.discard(context, tasks)
    return took


def file_name(expert: int) -> str:
    """An expert's file, without the suffix."""
    return f"expert-{expert:04d}"


class Recorder:
    """Takes a group of experts down while they train (`observe` after every epoch)."""

    def __init__(self, data: DeviceData) -> None:
        self.data = data
        self.start: Weights = {}
        self.known: Weights = {}  # float32 (N, ...): what reading gives for the last epoch so far
        self.moves: dict[str, list[Tensor]] = {}  # float16 (N, ...) per epoch
        self._accuracies: list[list[list[float]]] = []

    def observe(self, epoch: int, nets: TrainedNets) -> None:
        """Keep the weights and accuracies after `epoch` epochs."""
        weights = {name: w.detach().cpu() for name, w in nets.params.items()}
        if epoch == 0:
            self.start = {name: w.clone() for name, w in weights.items()}
            self.known = {name: w.clone() for name, w in weights.items()}
            self.moves = {name: [] for name in weights}
        else:
            moves = {name: (w - self.known[name]).half() for name, w in weights.items()}
            _check(epoch, moves)
            for name, move in moves.items():
                self.moves[name].append(move)
                self.known[name] += move
        parts = (self.data.val, self.data.test)
        self._accuracies.append([nets.accuracy(part) for part in parts])

    def arrays(self) -> list[dict[str, np.ndarray]]:
        """Each expert's file: per weight its start (...) float32 and moves (epochs, ...) float16."""
        stacked = {name: torch.stack(moves, dim=1) for name, moves in self.moves.items()}
        count = len(next(iter(self.start.values())))
        return [
            {_START + name: w[i].numpy() for name, w in self.start.items()}
            | {_MOVES + name: moves[i].numpy() for name, moves in stacked.items()}
            for i in range(count)
        ]

    def accuracies(self) -> np.ndarray:
        """Shares right (N, 2, epochs + 1): validation and test."""
        return np.array(self._accuracies).transpose(2, 1, 0)


def _check(epoch: int, moves: Weights) -> None:
    """An expert that is lost, or that does not move, is a trajectory to nowhere."""
    moved = torch.stack([m.float().abs().flatten(1).amax(1) for m in moves.values()]).amax(0)
    if not moved.isfinite().all():
        raise DDError(
            f"An expert diverged in epoch {epoch}: choose a smaller step size for experts."
        )
    if not (moved > 0).all():
        raise DDError(
            f"An expert stood still in epoch {epoch}: choose a larger step size for experts."
        )


def train_experts(
    spec: TrajectoryTask,
    data: DeviceData,
    experts: Sequence[int],
    on_step: Callable[[int, int], None] = lambda step, total: None,
) -> Recorder:
    """Train the experts with these numbers together; which others train with them changes nothing."""
    recipe = Protocol(
        name="expert",
        lr=spec.lr,
        momentum=spec.momentum,
        weight_decay=0.0,
        epochs=spec.epochs,
        batch=spec.batch,
        augment=spec.augment,
        precision=spec.precision,
    )
    everything = data.batch(torch.arange(len(data.train)))
    seeds = [rng.derive(spec.seed, "expert", i) for i in experts]
    recorder = Recorder(data)
    train(
        spec.net,
        everything,
        data.train.labels,
        data.num_classes,
        recipe,
        seeds,
        on_step=on_step,
        on_epoch=recorder.observe,
        chunk=len(seeds),
    )
    return recorder


class Trajectories:
    """The experts of a finished task. Files are memory-mapped: only what is asked for is read."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.count = task.spec_as(TrajectoryTask).nets
        self._files: dict[int, safe_open] = {}

    def __len__(self) -> int:
        return self.count

    def stretch(self, expert: int, first: int, last: int) -> tuple[Weights, Weights]:
        """One expert's weights after `first` and after `last` >= `first` epochs; float32, on the CPU."""
        file = self._file(expert)
        names = [k.removeprefix(_START) for k in file.keys() if k.startswith(_START)]  # noqa: SIM118
        start, end = {}, {}
        for name in names:
            moves = file.get_slice(_MOVES + name)
            start[name] = file.get_tensor(_START + name) + _sum(moves[:first])
            end[name] = start[name] + _sum(moves[first:last])
        return start, end

    def _file(self, expert: int) -> safe_open:
        if expert not in self._files:
            path = self.task.checked(f"{file_name(expert)}.safetensors")
            self._files[expert] = safe_open(path, framework="pt")
        return self._files[expert]


def _sum(moves: Tensor) -> Tensor:
    return moves.sum(0, dtype=torch.float32)
