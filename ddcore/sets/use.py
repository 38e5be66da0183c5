"""How a set is meant to be used: at which step size, from which weights, on one network or on many."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from ddcore.base.specs import TaskSpec
from ddcore.data.tensors import Part
from ddcore.kernels import machine
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network, Weights, select
from ddcore.pools import bank
from ddcore.pools.bank_spec import Start
from ddcore.sets.artefact import Artefact
from ddcore.tasks.store import Task
from ddcore.training.chunks import nets_at_once
from ddcore.training.labels import relabelled
from ddcore.training.ordered import train_ordered
from ddcore.training.protocols import Protocol
from ddcore.training.train import train
from ddcore.training.trained import Trained, TrainedNets, agreement, as_tensor

OnStep = Callable[[int, int], None]  # step, total
Made = TypeVar("Made", bound=Artefact)


def no_report(step: int, total: int) -> None:
    """A progress callback that does nothing."""


@dataclass(frozen=True)
class Use:
    """Networks of one architecture trained by one protocol on a set, or on others in the set's way.

    Only the ordered protocol starts them from the weights that a set is made for: those of a bank's
    networks, weights that all networks share, or fresh ones. All others start afresh.
    """

    made: Artefact
    protocol: Protocol
    net: NetSpec

    # --- the rule -------------------------------------------------------------------------------

    @property
    def recipe(self) -> Protocol:
        """The protocol, at the set's own step size where it asks for that."""
        return self.made.with_learned_lr(self.protocol)

    @property
    def start(self) -> Start:
        """The trained weights to start from."""
        return Start.from_dict(self.made.start) if self.protocol.ordered else Start()

    @property
    def fixed(self) -> bool:
        """Whether networks start from the one initialisation that the set holds."""
        return self.protocol.ordered and bool(self.made.init_weights) and self.net == self.made.net

    @property
    def pretrained(self) -> bool:
        """Whether networks start from weights that were trained beforehand, whatever the set."""
        start = self.start
        return bool(start.bank) or (start.known and self.net == self.made.net)

    @property
    def one(self) -> bool:
        """Whether all networks start from the same weights: on one set they are one network."""
        return self.fixed or (self.start.known and self.net == self.made.net)

    def few(self, seeds: list[int]) -> list[int]:
        """Of these seeds, one for each network, those that differ in anything."""
        return seeds[:1] if self.one else seeds

    # --- what follows from it -------------------------------------------------------------------

    def arrays(self, device: str | torch.device) -> tuple[Tensor, Tensor]:
        """The set's images and labels, as the protocol needs them."""
        images, labels = self.made.for_training(self.protocol)
        return as_tensor(images).to(device), as_tensor(labels).to(device)

    def bank(
        self, part: str, nets: int, device: torch.device, need: Callable[[TaskSpec], Task]
    ) -> Weights | None:
        """Stacked weights of so many networks of a bank's part; None where no bank belongs to the set."""
        if not self.start.bank:
            return None
        network = Network(self.net, self.made.shape, self.made.num_classes, nets)
        return bank.start_weights(self.start, network, part, need, device)

    def train(
        self,
        images: Tensor,
        labels: Tensor,
        seeds: list[int],
        weights: Weights | None = None,
        on_step: OnStep = no_report,
    ) -> Trained:
        """Networks trained on sets: (M, ...) shared, or (N, M, ...) one each; in class or step order.

        Under the ordered protocol they start from a bank's `weights`, or from what set and seeds say. A
        closed-form one solves for the set's kernel machine, by the map that is kept with the set.
        """
        classes, protocol, kernel = self.made.num_classes, self.recipe, self.made.learner
        if protocol.closed_form:
            phi = machine.stored_map(kernel, self.made.exact, images.device)
            return machine.train(kernel, images, labels, classes, seeds, phi)
        if not protocol.ordered:
            return train(self.net, images, labels, classes, protocol, seeds, on_step=on_step)
        return self._in_order(images, labels, seeds, weights, on_step)

    def _in_order(
        self,
        images: Tensor,
        labels: Tensor,
        seeds: list[int],
        weights: Weights | None,
        on_step: OnStep,
    ) -> TrainedNets:
        made, device = self.made, images.device
        count = len(next(iter(weights.values()))) if weights else len(seeds)
        network = Network(self.net, made.shape, made.num_classes, count)
        lrs = as_tensor(made.step_sizes)
        at_once = nets_at_once(network, images.shape[-4] // made.steps, device)
        trained = []
        for first in range(0, count, at_once):
            part = slice(first, min(first + at_once, count))
            few = network.with_nets(part.stop - first)
            if weights:
                start = select(weights, part)
            else:
                start = made.starting_weights(few, seeds[part], device)

            def report(step: int, _: Weights, done: int = first, nets: int = few.num_nets) -> None:
                on_step(done * len(lrs) + step * nets, count * len(lrs))

            own = images if images.ndim == 4 else images[part]
            wanted = labels if labels.ndim < 3 else labels[part]
            end = train_ordered(few, start, own, wanted, lrs, made.steps, report, made.momentum)
            trained.append(end)
        joined = {k: torch.cat([t[k] for t in trained]) for k in trained[0]}
        return TrainedNets(network, joined, network.init_stats(device))

    def scores(self, nets: Trained, part: Part) -> list[float]:
        """Each network's accuracy by the labels that the set is made to teach."""
        return agreement(nets.predict(part), relabelled(part.labels, self.made.relabel))


def from_fresh_weights(made: Made) -> Made:
    """The set without the weights that it is made for."""
    return dataclasses.replace(made, init_weights={}, start={})
