"""Measuring a set: train fresh networks on it under a protocol, test them, keep every network's figure."""

from __future__ import annotations

import dataclasses
import statistics
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.base.spread import summary
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData, Part
from ddcore.kernels import machine
from ddcore.kernels.spec import KernelSpec
from ddcore.measure import baselines
from ddcore.measure.attack import attack_figures
from ddcore.measure.labelled import labelled
from ddcore.measure.spec import BEFORE, WHOLE, WHOLE_NETS, AccuracyTask
from ddcore.nets.network import Network
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.use import Use, from_fresh_weights
from ddcore.tasks.store import Task
from ddcore.tasks.worker import Context
from ddcore.training.chunks import limit_threads
from ddcore.training.estimate import protocol_work
from ddcore.training.labels import relabelled, step_major, step_major_labels
from ddcore.training.protocols import Protocol, whole_protocol
from ddcore.training.train import train
from ddcore.training.trained import Trained, TrainedNets, agreement, mean_losses
from ddcore.training.whole import train_on_everything

# Step sizes a baseline may choose from (on validation data) where the protocol learns its own.
BASELINE_LRS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


@dataclass(frozen=True, kw_only=True)
class Tested:
    """The networks that are tested, and what the result says of their training.

    `work` are the multiply-adds of the training, `step_size` is what a baseline chose under the ordered
    protocol, `learner` the kernel machine of a closed-form one, `relabel` the classes of an attack.
    """

    trained: Trained
    protocol: Protocol
    work: float
    step_size: float | str | None = None
    learner: KernelSpec | None = None
    relabel: tuple[int, int] | None = None
    best: list[float] | None = None


class BestOnTest:
    """The best test accuracy of each network on its way: chosen on the images it is measured on.

    Looks every so many epochs, and at the end; 0: never.
    """

    def __init__(self, every: int, epochs: int, test: Part) -> None:
        self.every, self.epochs, self.test = every, epochs, test
        self._groups: list[list[float]] = []  # networks that are trained together

    def look(self, epoch: int, nets: TrainedNets) -> None:
        """Called after every epoch of every group; 0: untrained."""
        if epoch == 0:
            self._groups.append([0.0] * nets.network.num_nets)
        elif self.every and (epoch % self.every == 0 or epoch == self.epochs):
            now = nets.accuracy(self.test)
            self._groups[-1] = list(map(max, self._groups[-1], now))

    def best(self) -> list[float] | None:
        """Of each network; None where nobody looked."""
        if not self.every:
            return None
        return [value for group in self._groups for value in group]


def run_accuracy(context: Context[AccuracyTask]) -> None:
    """Task `accuracy`: see `AccuracyTask`."""
    data = DeviceData(ensure(context, context.spec.data), context.device)
    limit_threads(Network(context.spec.net, data.shape, data.num_classes), context.device)
    tested = _tested(_Trial(context, data))
    logits = torch.cat(tested.trained.logits_in_batches(data.test), dim=1)
    predicted, true = logits.argmax(2), data.test.labels.cpu()
    accuracies = agreement(predicted, true)
    result = {
        **summary(accuracies),
        "accuracies": accuracies,
        "losses": mean_losses(logits, true),
        "protocol": tested.protocol.to_dict(),
        "step_size": tested.step_size,
        "ridge": getattr(tested.trained, "ridge", None),
        "learner": tested.learner.label() if tested.learner else None,
        "test_images": len(data.test),
        "device": context.device,
        "seconds": context.seconds,
        "cpu_seconds": context.cpu_seconds,
        "work": tested.work,
    }
    if tested.best:
        best = list(map(max, tested.best, accuracies))
        every = context.spec.best_every
        result["best_on_test"] = {**summary(best), "accuracies": best, "every": every}
    if tested.relabel:
        result["attack"] = attack_figures(predicted, true, tested.relabel, data.num_classes)
    context.save_result(result)


@dataclass(frozen=True)
class _Trial:
    """What every way of training needs: the task and its data."""

    context: Context[AccuracyTask]
    data: DeviceData

    @property
    def spec(self) -> AccuracyTask:
        return self.context.spec

    @property
    def seeds(self) -> list[int]:
        """One for each network."""
        return [rng.derive(self.spec.seed, "evaluation", i) for i in range(self.spec.nets)]

    @property
    def subject(self) -> Task:
        """The run or the baseline that is measured."""
        return self.context.need_key(self.spec.subject)

    def work(self, protocol: Protocol, images: int, nets: int, passes: float = 1.0) -> float:
        """Multiply-adds of training so many networks on so many images, so many times over."""
        shape, classes = self.data.shape, self.data.num_classes
        return protocol_work(protocol, self.spec.net, shape, classes, images) * passes * nets

    def check(self, step: int, total: int) -> None:
        """A progress callback that only lets itself be stopped."""
        self.context.check_cancel()


def _tested(trial: _Trial) -> Tested:
    """One of four ways: by a kernel, on everything, in the order of a set, or as networks usually are."""
    spec = trial.spec
    if spec.protocol.closed_form:
        return _by_kernel(trial)
    if spec.subject == WHOLE:
        return _on_everything(trial)
    if spec.protocol.ordered:
        return _in_order(trial)
    return _ordinarily(trial)


# --- as networks usually are trained ------------------------------------------------------------------


def _ordinarily(trial: _Trial) -> Tested:
    """Minibatches in random order, from fresh weights."""
    spec, subject, seeds, data = trial.spec, trial.subject, trial.seeds, trial.data
    if subject.kind == "baseline":
        protocol, (images, labels) = spec.protocol, _draws(trial, subject)
    else:
        use = Use(DistilledSet.from_task(subject), spec.protocol, spec.net)
        protocol, (images, labels) = use.recipe, use.arrays(data.device)
    context = trial.context
    found = labelled(spec.labels, protocol, images, labels, context.need, data.device)
    looks = BestOnTest(spec.best_every, protocol.epochs, data.test)
    nets = train(
        spec.net,
        images,
        found.labels,
        data.num_classes,
        protocol,
        seeds,
        on_step=context.progress,
        teach=found.teach,
        on_epoch=looks.look,
    )
    count = images.shape[-4]
    work = trial.work(protocol, count, len(seeds))
    if spec.labels:
        work += len(seeds) * spec.labels.asking(protocol, data.shape, data.num_classes, count)
    return Tested(trained=nets, protocol=protocol, work=work, best=looks.best())


def _on_everything(trial: _Trial) -> Tested:
    """On all real training images: a ceiling, under a protocol of its own."""
    data, seeds = trial.data, trial.seeds[:WHOLE_NETS]
    nets = train_on_everything(data, trial.spec.net, seeds, trial.context.progress)
    protocol = whole_protocol(len(data.train))
    work = trial.work(protocol, len(data.train), len(seeds))
    return Tested(trained=nets, protocol=protocol, work=work)


def _draws(trial: _Trial, baseline: Task) -> tuple[Tensor, Tensor]:
    """A baseline's images, draw i for network i where chance is involved, and labels."""
    data, count = trial.data, trial.spec.nets
    images, labels = baselines.sets(baseline, data.dataset, data.device)
    soft = labels.is_floating_point()
    return _each(images, count), _each(labels, count) if soft else labels


def _each(draws: Tensor, count: int) -> Tensor:
    """Draw i for network i; a single one is shared."""
    return draws[0] if len(draws) == 1 else _cycled(draws, count)


def _cycled(draws: Tensor, count: int) -> Tensor:
    """Draw i for network i, from the first one on again where there are too few."""
    return draws[torch.arange(count) % len(draws)]


def _way(trial: _Trial) -> DistilledSet:
    """The set whose way of training is taken: that of `like`, else the subject's own."""
    spec = trial.spec
    key = spec.like or (spec.subject if spec.subject not in (WHOLE, BEFORE) else "")
    if not key:
        raise SpecError("like", spec.like, f"a run, whose way protocol {spec.protocol.name} takes")
    made = DistilledSet.from_task(trial.context.need_key(key))
    return from_fresh_weights(made) if spec.fresh else made


# --- in the order of a set ----------------------------------------------------------------------------


def _in_order(trial: _Trial) -> Tested:
    """Through the steps of a set, in their order, at its step sizes, from the weights it is made for."""
    spec, data = trial.spec, trial.data
    use = Use(_way(trial), spec.protocol, spec.net)
    if spec.subject == BEFORE:
        return _untouched(trial, use)
    subject, step_size = trial.subject, None
    if subject.kind == "baseline":
        images, labels = _as_steps(trial, use, *_draws(trial, subject))
        use, step_size = _best_lrs(trial, use, images, labels)
        protocol = spec.protocol
    else:
        own = Use(DistilledSet.from_task(subject), spec.protocol, spec.net)
        protocol, (images, labels) = own.recipe, own.arrays(data.device)
    # On one set from one start nothing is random.
    seeds = use.few(trial.seeds) if images.ndim == 4 else trial.seeds
    judges = use.bank("held_out", len(seeds), data.device, trial.context.need)
    nets = use.train(images, labels, seeds, judges, trial.context.progress)
    passes = len(use.made.step_sizes) / use.made.steps
    return Tested(
        trained=nets,
        protocol=protocol,
        work=trial.work(protocol, len(labels), len(seeds), passes),
        step_size=step_size,
        relabel=use.made.relabel,
    )


def _untouched(trial: _Trial, use: Use) -> Tested:
    """The networks that a set is made for, as they start."""
    data, seeds = trial.data, use.few(trial.seeds)
    network = Network(use.net, data.shape, data.num_classes, len(seeds))
    weights = use.bank("held_out", len(seeds), data.device, trial.context.need)
    if weights is None:
        weights = use.made.starting_weights(network, seeds, data.device)
    nets = TrainedNets(network, weights, network.init_stats(data.device))
    return Tested(trained=nets, protocol=use.protocol, work=0.0, relabel=use.made.relabel)


def _as_steps(trial: _Trial, use: Use, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A baseline's images and labels in the steps of a set, relabelled as its own are meant."""
    classes, steps = trial.data.num_classes, use.made.steps
    images = step_major(images, classes, steps)
    if labels.is_floating_point():
        return images, step_major(labels[..., None, None], classes, steps)[..., 0, 0]
    # A set that is stored in parts may have more images than `ipc`.
    labels = step_major_labels(classes, images.shape[-4] // classes, steps)
    return images, relabelled(labels.to(trial.data.device), use.made.relabel)


def _best_lrs(trial: _Trial, use: Use, images: Tensor, labels: Tensor) -> tuple[Use, float | str]:
    """The step sizes with which a baseline does best on validation data: learned or constant.

    For a set made for a bank's networks they are tried on its validation networks, so that the
    held-out ones choose nothing.
    """
    data, count, lrs = trial.data, use.start.validation, use.made.step_sizes
    candidates: list[tuple[float | str, np.ndarray]] = [("learned", lrs)]
    candidates += [(lr, np.full_like(lrs, lr)) for lr in BASELINE_LRS]
    judges = use.bank("validation", count, data.device, trial.context.need)
    if judges is not None and images.ndim == 5:
        images = _cycled(images, count)
        labels = _cycled(labels, count) if labels.ndim == 3 else labels
    scored = []
    for name, candidate in candidates:
        tried = dataclasses.replace(use, made=dataclasses.replace(use.made, lrs=candidate))
        nets = tried.train(images, labels, trial.seeds, judges, trial.check)
        scored.append((statistics.fmean(tried.scores(nets, data.val)), name, tried))
    _, name, best = max(scored, key=lambda s: s[0])
    return best, name


# --- by a set's kernel machine ------------------------------------------------------------------------


def _by_kernel(trial: _Trial) -> Tested:
    """Ridge regression with the kernel of a set, or with the default one at the best ridge."""
    spec, data, seeds = trial.spec, trial.data, trial.seeds
    use = Use(_way(trial), spec.protocol, spec.net)
    if spec.subject == WHOLE:
        learner, check = use.made.learner, trial.context.check_cancel
        machines = machine.train_on_everything(learner, data, seeds[:WHOLE_NETS], check)
        return _solved(machines, use, spec.protocol)
    subject = trial.subject
    if subject.kind == "baseline":
        protocol, (images, labels) = spec.protocol, _draws(trial, subject)
        use = _best_ridge(trial, use, images, labels)
    else:
        own = Use(DistilledSet.from_task(subject), spec.protocol, spec.net)
        protocol, (images, labels) = own.recipe, own.arrays(data.device)
        if own.made.kernel is None:  # made for networks: it has none of its own
            use = _best_ridge(trial, use, images, labels)
    return _solved(use.train(images, labels, seeds), use, protocol)


def _solved(machines: Trained, use: Use, protocol: Protocol) -> Tested:
    """Kernel machines, whose operations do not count as training."""
    return Tested(
        trained=machines,
        protocol=protocol,
        work=0.0,
        learner=use.made.learner,
        relabel=use.made.relabel,
    )


def _best_ridge(trial: _Trial, use: Use, images: Tensor, labels: Tensor) -> Use:
    """At the ridge with which the kernel in use does best on validation data, trained on these images."""
    kernel, data = use.made.learner, trial.data
    best = machine.best_ridge(kernel, images, labels, data.num_classes, trial.seeds, data.val)
    return dataclasses.replace(use, made=dataclasses.replace(use.made, kernel=best))
