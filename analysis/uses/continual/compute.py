"""Task `continual`: memories are made step by step, networks trained, every class seen so far tested.

What is kept of a step comes from tasks on the data of its classes alone (`ContinualTask.maker`), so images,
statistics, experts and validation images of later classes cannot reach it. After every step of every order
there is a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.uses.continual.spec import DISTILLED, SAVED_BYTES, ContinualTask
from ddcore.base import rng
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData
from ddcore.measure import baselines
from ddcore.nets.network import Network
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.worker import Context
from ddcore.training.chunks import limit_threads
from ddcore.training.labels import one_hot
from ddcore.training.protocols import whole_protocol
from ddcore.training.train import train
from ddcore.training.trained import TrainedNets

WEIGHTS, STATS = "weights.", "stats."  # before names in a checkpoint
UNKNOWN = -1  # a class that had not come yet


def run(context: Context[ContinualTask]) -> None:
    """Runner of `ContinualTask`."""
    spec = context.spec
    data = DeviceData(ensure(context, spec.data), context.device)
    limit_threads(Network(spec.net, data.shape, data.num_classes), context.device)
    course = _Course(context, data)
    course.restore()
    course.loop()
    course.finish()


@dataclass(frozen=True)
class Piece:
    """What is kept of some classes: images (M, C, H, W), labels (M,) among all classes or (M, K) soft.

    `bytes` is what storing it takes, `new` whether its images are no real ones.
    """

    images: Tensor
    labels: Tensor
    bytes: int
    new: bool


class _Course:
    """All orders, one after the other, each from its first step to its last."""

    def __init__(self, context: Context[ContinualTask], data: DeviceData) -> None:
        self.context, self.spec, self.data = context, context.spec, data
        self.groups = self.spec.groups(data.num_classes)
        steps, orders = self.spec.steps, len(self.groups)
        self.correct = np.full((orders, self.spec.nets, steps, steps), UNKNOWN, np.int64)
        self.done = 0  # steps of all orders
        self.nets: TrainedNets | None = None  # those that go on
        self.kept: dict[tuple[tuple[int, ...], int], Piece] = {}
        self.keys: dict[
            str, float | None
        ] = {}  # of the tasks that made memories, and their CPU seconds

    # --- the loop -------------------------------------------------------------------------------

    def loop(self) -> None:
        """Every step that has not been done."""
        total = len(self.groups) * self.spec.steps
        while self.done < total:
            order, step = divmod(self.done, self.spec.steps)
            self.context.progress(self.done, total, f"order {order + 1}, step {step + 1}")
            if step == 0:
                self.nets = None
            self.learn(order, step)
            self.test(order, step)
            self.done += 1
            if self.context.checkpoint_due():
                self.checkpoint()
        self.context.progress(total, total)

    def learn(self, order: int, step: int) -> None:
        """Train the networks of one order after one of its steps."""
        spec, groups = self.spec, self.groups[order]
        images, labels = self.lesson(order, step)
        protocol = spec.protocol or whole_protocol(len(images))
        seeds = [
            rng.derive(spec.seed, "continual", spec.orders[order], step, i)
            for i in range(spec.nets)
        ]
        going_on = spec.strategy in ("replay", "finetune")
        self.nets = train(
            spec.net,
            images,
            labels,
            sum(map(len, groups)),
            protocol,
            seeds,
            on_step=lambda step, total: self.context.check_cancel(),
            start=self.nets if going_on else None,
        )

    def lesson(self, order: int, step: int) -> tuple[Tensor, Tensor]:
        """Images and labels that the strategy trains on after a step."""
        seen, new = self.groups[order][: step + 1], self.groups[order][step]
        if self.spec.strategy == "joint":
            return self.real([c for group in seen for c in group])
        if self.spec.strategy == "finetune":
            return self.real(list(new))
        if self.spec.strategy == "scratch":
            return self.memory(order, seen)
        images, labels = self.real(list(new))
        if not step:
            return images, labels
        old, named = self.memory(order, seen[:-1])
        if self.spec.balanced:
            often = max(1, round(len(images) / len(new) / self.spec.ipc))
            old, named = old.repeat(often, 1, 1, 1), named.repeat(often, *[1] * (named.ndim - 1))
        return torch.cat([images, old]), self.joined([labels, named])

    def test(self, order: int, step: int) -> None:
        """Count test images of each step so far that are called right among the classes seen."""
        assert self.nets, "networks that have been trained"
        groups = self.groups[order]
        seen = torch.tensor(sorted(c for group in groups[: step + 1] for c in group))
        logits = torch.cat(self.nets.logits_in_batches(self.data.test), dim=1)
        called, true = seen[logits[..., seen].argmax(-1)], self.data.test.labels.cpu()
        for place, group in enumerate(groups[: step + 1]):
            members = torch.isin(true, torch.tensor(group))
            right = (called[:, members] == true[members]).sum(1)
            self.correct[order, :, step, place] = right.numpy()

    # --- what is learned from -------------------------------------------------------------------

    def real(self, classes: list[int]) -> tuple[Tensor, Tensor]:
        """All training images of some classes."""
        rows = torch.cat([self.data.class_indices[c] for c in classes])
        return self.data.batch(rows), self.data.train.labels[rows]

    def memory(self, order: int, groups: list[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
        """What is kept of the steps so far."""
        pieces = self.pieces(order, groups)
        return torch.cat([p.images for p in pieces]), self.joined([p.labels for p in pieces])

    def pieces(self, order: int, groups: list[tuple[int, ...]]) -> list[Piece]:
        """The same in the parts in which it was made."""
        classes = self.data.num_classes
        parts = (piece for group in groups for piece in self.spec.pieces(group, classes))
        return [self.piece(piece, order) for piece in parts]

    def piece(self, classes: tuple[int, ...], order: int) -> Piece:
        """What an order keeps of some classes, asked for once where orders share it."""
        own = order if self.spec.source == "random" or self.spec.repeated else 0
        if (classes, own) not in self.kept:
            self.kept[classes, own] = self.made(classes, own)
        return self.kept[classes, own]

    def made(self, classes: tuple[int, ...], order: int) -> Piece:
        """Asked of the task that makes it; of random images each order has a draw of its own."""
        spec, device = self.spec, self.data.device
        maker = spec.maker(classes, self.data.num_classes, order)
        task = self.context.need(maker)
        names = torch.tensor(classes, device=device)
        if spec.source == DISTILLED:
            self.keys[task.key] = task.result().get("cpu_seconds")
            return self.distilled(DistilledSet.from_task(task), names)
        self.keys[task.key] = None
        dataset = ensure(self.context, maker.data)
        drawn, labels = baselines.sets(task, dataset, device)
        images = drawn[order if spec.source == "random" else 0]
        new = "images" in task.arrays()
        return Piece(images, names[labels], images.numel() * (4 if new else 1) + len(labels), new)

    def distilled(self, made: DistilledSet, names: Tensor) -> Piece:
        """A set, whose classes are `names` among all."""
        device = self.data.device
        kept, told = made.for_training(self.spec.protocol or whole_protocol(1))
        stored = sum(a.nbytes for a in made.stored.values()) or kept.nbytes
        images, labels = torch.from_numpy(kept).to(device), torch.from_numpy(told).to(device)
        if labels.ndim == 2:
            return Piece(images, self.spread(labels, names), stored + 4 * labels.numel(), True)
        return Piece(images, names[labels], stored + len(labels), True)

    def spread(self, labels: Tensor, names: Tensor) -> Tensor:
        """Soft labels (M, k) of some classes among all: (M, K), zero for the others."""
        found = torch.zeros(len(labels), self.data.num_classes, device=labels.device)
        found[:, names] = labels.float()
        return found

    def joined(self, labels: list[Tensor]) -> Tensor:
        """Labels one after the other; classes become one-hot where any are soft."""
        if any(each.ndim == 2 for each in labels):
            count = self.data.num_classes
            labels = [each if each.ndim == 2 else one_hot(each, count) for each in labels]
        return torch.cat(labels)

    # --- state ----------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Counts so far, and the networks that go on."""
        arrays = {"correct": self.correct}
        if self.nets:
            arrays |= {WEIGHTS + k: v.detach().cpu().numpy() for k, v in self.nets.params.items()}
            arrays |= {STATS + k: v.cpu().numpy() for k, v in self.nets.stats.items()}
        self.context.save_checkpoint(self.done, arrays, {})

    def restore(self) -> None:
        """Go on from the last checkpoint, if there is one."""
        found = self.context.load_checkpoint()
        if not found:
            return
        arrays, meta = found
        self.done, self.correct = meta["step"], arrays["correct"]
        network = Network(self.spec.net, self.data.shape, self.data.num_classes, self.spec.nets)
        self.nets = TrainedNets(
            network, _under(WEIGHTS, arrays, self.data), _under(STATS, arrays, self.data)
        )

    def finish(self) -> None:
        """Counts, class orders, what the memory takes."""
        spec, names = self.spec, self.data.dataset.class_names
        tested = np.bincount(self.data.test.labels.cpu(), minlength=len(names))
        counts = np.array([[tested[list(g)].sum() for g in groups] for groups in self.groups])
        arrays = {"correct": self.correct, "counts": counts}
        held = [[0] * spec.steps for _ in self.groups]
        if spec.strategy not in ("finetune", "joint"):
            made = [[self.pieces(o, [g]) for g in groups] for o, groups in enumerate(self.groups)]
            held = [list(np.cumsum([sum(p.bytes for p in ps) for ps in each])) for each in made]
            arrays |= self.pictures([p for ps in made[0] for p in ps])
        self.context.save_arrays(arrays)
        self.context.save_result(
            {
                "data_label": self.data.dataset.label,
                "class_names": list(names),
                "groups": [[list(g) for g in groups] for groups in self.groups],
                "memory_bytes": [[int(b) for b in each] for each in held],
                "makers": self.keys,
                "device": self.context.device,
                "seconds": self.context.seconds,
                "cpu_seconds": self.context.cpu_seconds,
            }
        )

    def pictures(self, pieces: list[Piece]) -> dict[str, np.ndarray]:
        """The first order's memory as pixels of 8 bits and classes, in the order in which they came.

        Nothing where real images are kept, which are not passed on, or where there is too much.
        """
        if not all(p.new for p in pieces) or sum(p.images.numel() for p in pieces) > SAVED_BYTES:
            return {}
        pixels = self.data.preprocessing.inverse(torch.cat([p.images for p in pieces]))
        classes = [p.labels if p.labels.ndim == 1 else p.labels.argmax(1) for p in pieces]
        return {
            "pixels": (255 * pixels.clamp(0, 1)).round().byte().cpu().numpy(),
            "classes": torch.cat(classes).cpu().numpy(),
        }


def _under(prefix: str, arrays: dict[str, np.ndarray], data: DeviceData) -> dict[str, Any]:
    found = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    return {k: torch.from_numpy(v.copy()).to(data.device) for k, v in found.items()}
