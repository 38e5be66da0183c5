"""Measuring a set: train fresh networks on it under a protocol, test them, keep every network's figure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.base.spread import summary
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData
from ddcore.kernels import machine
from ddcore.measure import baselines
from ddcore.measure.attack import attack_figures
from ddcore.measure.spec import BEFORE, WHOLE, AccuracyTask
from ddcore.nets.network import Network, Params
from ddcore.pools.bank_spec import Start
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.use import train_for
from ddcore.tasks.worker import Context
from ddcore.training.chunks import limit_threads
from ddcore.training.estimate import protocol_work
from ddcore.training.labels import relabelled, step_major, step_major_labels
from ddcore.training.protocols import whole_protocol
from ddcore.training.trained import Trained, TrainedNets, agreement, mean_losses
from ddcore.training.whole import train_on_everything

# Step sizes a baseline may choose from (on validation data) where the protocol learns its own.
BASELINE_LRS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
WHOLE_NETS = 3


def run_accuracy(context: Context) -> None:
    """Task `accuracy`: see `AccuracyTask`."""
    dataset = ensure(context, context.spec.data)
    data = DeviceData(dataset, context.device)
    trial = _Trial(context, data)
    trained = trial.trained()
    logits = torch.cat(trained.logits_in_batches(data.test), dim=1)
    predicted, true = logits.argmax(2), data.test.labels.cpu()
    accuracies = agreement(predicted, true)
    result = {
        **summary(accuracies),
        "accuracies": accuracies,
        "losses": mean_losses(logits, true),
        "protocol": trial.protocol.to_dict(),
        "step_size": trial.step_size,
        "ridge": getattr(trained, "ridge", None),
        "learner": trial.like.learner.label() if trial.protocol.closed_form else None,
        "test_images": len(data.test),
        "device": context.device,
        "seconds": context.seconds,
        "cpu_seconds": context.cpu_seconds,
        "work": trial.work(),
    }
    if trial.relabel:
        result["attack"] = attack_figures(predicted, true, trial.relabel, data.num_classes)
    context.save_result(result)


class _Trial:
    """Which networks an `AccuracyTask` tests: what they start from, and what they are trained on."""

    def __init__(self, context: Context, data: DeviceData) -> None:
        self.context, self.data = context, data
        self.spec: AccuracyTask = context.spec
        spec = self.spec
        self.network = Network(spec.net, data.shape, data.num_classes)
        limit_threads(self.network, context.device)
        self.seeds = [rng.derive(spec.seed, "evaluation", i) for i in range(spec.nets)]
        self.protocol = spec.protocol
        self.step_size: float | str | None = None  # of a baseline under the ordered protocol
        self.count = 0  # images trained on
        real = spec.subject in (WHOLE, BEFORE)
        self.subject = None if real else context.need_key(spec.subject)
        like = DistilledSet.from_task(context.need_key(spec.like)) if spec.like else None
        if self.subject is not None and self.subject.kind != "baseline":
            self.own = DistilledSet.from_task(self.subject)
            self.protocol = self.own.with_learned_lr(self.protocol)
            special = self.protocol.ordered or self.protocol.closed_form
            like = like or (self.own if special else None)
        if like is not None and spec.fresh:
            like = dataclasses.replace(like, init_weights={}, start={})
        self.like = like
        self.start = Start.from_dict(like.start) if like else Start()
        self.relabel = like.relabel if like else None

    def trained(self) -> Trained:
        """The networks to test."""
        if self.spec.subject == WHOLE and self.protocol.closed_form:
            check, kernel = self.context.check_cancel, self.like.learner
            return machine.train_on_everything(kernel, self.data, self.seeds[:WHOLE_NETS], check)
        if self.spec.subject == WHOLE:
            self.protocol = whole_protocol(len(self.data.train))
            self.seeds = self.seeds[:WHOLE_NETS]
            self.count = len(self.data.train)
            return train_on_everything(self.data, self.spec.net, self.seeds, self.context.progress)
        if self.spec.subject == BEFORE:
            return self._untouched()
        if self.subject.kind == "baseline":
            images, labels = self._baseline()
        else:
            images, labels = (
                torch.from_numpy(a).to(self.data.device)
                for a in self.own.for_training(self.protocol)
            )
            if self.protocol.closed_form and self.own.kernel is None:
                self._choose_ridge(images, labels)  # made for networks: it has none of its own
        self.count = len(labels)
        if self._known() and images.ndim == 4:
            self.seeds = self.seeds[:1]  # one known network and one set: nothing is random
        weights = self._bank("held_out", len(self.seeds))
        return self._on(images, labels, self.like, weights, self.context.progress)

    def work(self) -> float:
        """Multiply-adds of the training; 0 of kernel machines, which do not count as such."""
        data, p = self.data, self.protocol
        if p.closed_form:
            return 0.0
        each = protocol_work(p, self.spec.net, data.shape, data.num_classes, self.count)
        if p.ordered:  # one step per learned step size, each on one part of the set
            each *= len(self.like.lrs) / self.like.steps
        return each * len(self.seeds)

    def _known(self) -> bool:
        """Whether all networks start from the same weights."""
        if self.like is None or self.spec.net != self.like.net:
            return False
        return bool(self.like.init_weights) or self.start.known

    def _bank(self, part: str, count: int) -> Params | None:
        """Weights of the bank's networks, for a set that is made for some."""
        from ddcore.pools.bank import start_weights  # bank imports this module

        if not self.start.bank:
            return None
        network = self.network.with_nets(count)
        return start_weights(self.start, network, part, self.context.need, self.context.device)

    def _untouched(self) -> TrainedNets:
        if self._known():
            self.seeds = self.seeds[:1]
        network = self.network.with_nets(len(self.seeds))
        weights = self._bank("held_out", len(self.seeds))
        if weights is None:
            weights = self.like.starting_weights(network, self.seeds, self.data.device)
        return TrainedNets(network, weights, network.init_stats(self.data.device))

    def _baseline(self) -> tuple[Tensor, Tensor]:
        """Images, a draw of their own for each network where chance is involved, and labels."""
        images, labels = baselines.sets(self.subject, self.data.dataset, self.data.device)
        # Network i sees draw i.
        count = len(self.seeds)
        soft = labels.is_floating_point()
        images, labels = _each(images, count), _each(labels, count) if soft else labels
        if self.protocol.closed_form:
            self._choose_ridge(images, labels)
        if not self.protocol.ordered:
            return images, labels
        classes = self.data.num_classes  # a set stored in parts may have more images than `ipc`
        images = step_major(images, classes, self.like.steps)
        if soft:
            labels = step_major(labels[..., None, None], classes, self.like.steps)[..., 0, 0]
        else:
            labels = step_major_labels(classes, images.shape[-4] // classes, self.like.steps)
            labels = relabelled(labels.to(self.data.device), self.relabel)
        self.like, self.step_size = self._best_lrs(images, labels)
        return images, labels

    def _best_lrs(self, images: Tensor, labels: Tensor) -> tuple[DistilledSet, float | str]:
        """The step sizes with which a baseline does best on validation data: learned or constant.

        For a set made for a bank's networks they are tried on its validation networks, so that the
        held-out ones choose nothing.
        """
        context = self.context
        candidates: list[tuple[float | str, np.ndarray]] = [("learned", self.like.lrs)]
        candidates += [(lr, np.full_like(self.like.lrs, lr)) for lr in BASELINE_LRS]
        judges = self._bank("validation", self.start.validation)
        if judges is not None and images.ndim == 5:
            images = _cycled(images, self.start.validation)
            labels = _cycled(labels, self.start.validation) if labels.ndim == 3 else labels
        wanted = relabelled(self.data.val.labels, self.relabel)
        scored = []
        for name, lrs in candidates:
            candidate = dataclasses.replace(self.like, lrs=lrs)
            nets = self._on(images, labels, candidate, judges, lambda *_: context.check_cancel())
            score = statistics.fmean(agreement(nets.predict(self.data.val), wanted.cpu()))
            scored.append((score, name, candidate))
        _, name, best = max(scored, key=lambda s: s[0])
        return best, name

    def _choose_ridge(self, images: Tensor, labels: Tensor) -> None:
        """Of the kernel in use, the ridge with which these images do best on validation data."""
        kernel, classes = self.like.learner, self.data.num_classes
        best = machine.best_ridge(kernel, images, labels, classes, self.seeds, self.data.val)
        self.like = dataclasses.replace(self.like, kernel=best)

    def _on(
        self,
        images: Tensor,
        labels: Tensor,
        like: DistilledSet | None,
        weights: Params | None,
        on_step: Callable[[int, int], None],
    ) -> Trained:
        net, protocol, seeds = self.spec.net, self.protocol, self.seeds
        return train_for(images, labels, self.data, net, protocol, seeds, like, on_step, weights)


def _each(draws: Tensor, count: int) -> Tensor:
    """Draw i for network i; a single one is shared."""
    return draws[0] if len(draws) == 1 else _cycled(draws, count)


def _cycled(draws: Tensor, count: int) -> Tensor:
    """Draw i for network i, from the first one on again where there are too few."""
    return draws[torch.arange(count) % len(draws)]
