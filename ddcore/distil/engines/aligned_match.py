"""Trajectory matching whose difficulty is that of the set's size (DATM).

Guo et al. 2024: networks start from experts within a window that widens, labels are an expert's at first
and learned with the images, and stretches on which training fails teach nothing.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.data.tensors import DeviceData
from ddcore.distil.engines.trajectory_match import Stretches, TrajectoryMatching
from ddcore.distil.problem import Problem
from ddcore.distil.synthetic import Synthetic
from ddcore.pools.trajectory import Trajectories
from ddcore.training.trained import TrainedNets


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """Experts are `min_start` epochs old or older, and younger than `first_start`, which grows to
    `max_start` of the stretches in `widening` iterations (0: they are those from the beginning).

    The set starts from real images that an expert gets right after `epochs` epochs, if `correct`. Learned
    labels have a `label_momentum` of their own under sgd.
    """

    min_start: int
    first_start: int
    widening: int
    epochs: int
    correct: bool
    label_momentum: float


class AlignedMatching(TrajectoryMatching):
    """DATM. Without window, experts' labels and choice of images this is `TrajectoryMatching`."""

    def __init__(
        self, problem: Problem, experts: Trajectories, params: Stretches, alignment: Alignment
    ) -> None:
        self.alignment, self.experts = alignment, experts
        super().__init__(problem, experts, params)
        if params.optimiser == "sgd" and self.synthetic.learn:
            self.optimiser.param_groups[1]["momentum"] = alignment.label_momentum

    def window(self, iteration: int) -> tuple[int, int]:
        """The upper end grows evenly."""
        a, last = self.alignment, self.params.max_start
        if iteration >= a.widening:
            return a.min_start, last
        return a.min_start, a.first_start + (last - a.first_start) * iteration // a.widening

    def started(self) -> Synthetic:
        """Images that an expert gets right; labels to be learned are those of all that do."""
        problem = self.problem
        if self.alignment.correct:
            problem = dataclasses.replace(problem, data=self._right(problem.data))
        if problem.spec.labels != "learned":
            return problem.synthetic()
        decoder = problem.spec.decoder(problem)
        with torch.no_grad():
            images = decoder.take(decoder.decode(), decoder.final())
        logits = self._logits(range(len(self.experts)), images)
        labels = judged(logits, decoder.labels).to(images.dtype)
        return Synthetic(decoder, torch.device(problem.device), labels, learn=True, logits=True)

    def _right(self, data: DeviceData) -> DeviceData:
        """The data with only those training images that one expert gets right; all of a class without."""
        generator = self.problem.generator("teacher")
        expert = int(torch.randint(len(self.experts), (), generator=generator))
        found = []
        for c, members in enumerate(data.class_indices):
            said = self._logits([expert], data.batch(members))[0]
            right = members[(said.argmax(1) == c).to(members.device)]
            found.append(right if len(right) else members)
        chosen = copy.copy(data)
        chosen.class_indices = found
        return chosen

    def _logits(self, experts: range | list[int], images: Tensor) -> Tensor:
        """(E, B, K) on the CPU, of experts at the end of their training."""
        epochs, device = self.alignment.epochs, self.problem.device
        network = self.problem.network(1)
        each = []
        for expert in experts:
            weights = self.experts.stretch(expert, epochs, epochs)[0]
            held = {name: w[None].to(device) for name, w in weights.items()}
            each.append(torch.cat(TrainedNets(network, held, {}).logits_in_batches(images), 1)[0])
        return torch.stack(each)


def judged(logits: Tensor, classes: Tensor) -> Tensor:
    """(B, K): mean logits (E, B, K) of the experts that are right about an image, of all where none is."""
    right = (logits.argmax(2) == classes).to(logits.dtype)
    right = torch.where(right.sum(0) > 0, right, 1.0)
    return (logits * right[..., None]).sum(0) / right.sum(0)[:, None]
