"""Measuring a set: train fresh networks on it under a protocol, test them, keep every network's figure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.base.spread import summary
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData
from ddcore.kernels import machine
from ddcore.kernels.spec import KernelSpec
from ddcore.measure import baselines
from ddcore.measure.attack import attack_figures
from ddcore.measure.best import BestOnTest, best_facts
from ddcore.measure.labelled import labelled
from ddcore.measure.spec import BASELINE_LRS, BEFORE, WHOLE, WHOLE_NETS, AccuracyPart, AccuracyTask
from ddcore.nets.network import Network
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.use import Use, from_fresh_weights
from ddcore.tasks import fanout
from ddcore.tasks.store import Task
from ddcore.tasks.worker import Context
from ddcore.training.chunks import limit_threads, nets_at_once
from ddcore.training.estimate import protocol_work
from ddcore.training.labels import relabelled, step_major, step_major_labels
from ddcore.training.protocols import Protocol, whole_protocol
from ddcore.training.train import train
from ddcore.training.trained import Trained, TrainedNets, agreement, mean_losses
from ddcore.training.whole import train_on_everything


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


def run_accuracy(context: Context[AccuracyTask]) -> None:
    """Task `accuracy`: see `AccuracyTask`."""
    spec = context.spec
    trial = _begun(context, spec)
    split = fanout.wanted(context)
    parts = fanout.ranges(trial.which, _together(trial), split) if split > 1 else []
    found = _by_parts(context, parts) if len(parts) > 1 else _found(trial)
    accuracies = found["accuracies"]
    best = best_facts(found.pop("best"), accuracies, spec.best_every)
    context.save_result({**summary(accuracies), **found, "device": context.device, **best})


def run_part(context: Context[AccuracyPart]) -> None:
    """Task `accuracy_part`: see `AccuracyPart`."""
    part = context.spec
    which = range(part.first, part.first + part.nets)
    context.save_result(_found(_begun(context, part.whole, which)))


def _by_parts(context: Context[AccuracyTask], parts: Sequence[range]) -> dict[str, Any]:
    """What networks are found to do in tasks of their own, as one task would have found it."""
    specs = [AccuracyPart(whole=context.spec, first=r.start, nets=len(r)) for r in parts]
    tasks = fanout.shared(context, specs, len(specs))
    results = [task.result() for task in tasks]
    found = results[0] | {
        name: [value for result in results for value in result[name]]
        for name in ("accuracies", "losses", "best")
    }
    found |= fanout.cost(tasks)
    fanout.discard(context, tasks)
    return found


def _begun(context: Context, spec: AccuracyTask, which: range | None = None) -> _Trial:
    data = DeviceData(ensure(context, spec.data), context.device)
    limit_threads(Network(spec.net, data.shape, data.num_classes), context.device)
    nets = min(spec.nets, WHOLE_NETS) if spec.subject == WHOLE else spec.nets
    return _Trial(context, spec, data, which or range(nets))


def _together(trial: _Trial) -> int:
    """How many networks are trained at once, which parts must not cut through; all but in the usual way."""
    spec, data = trial.spec, trial.data
    if spec.protocol.closed_form or (spec.protocol.ordered and spec.subject != WHOLE):
        return len(trial.which)
    if spec.subject == WHOLE:
        protocol, count = whole_protocol(len(data.train)), len(data.train)
    else:
        protocol, images, _ = _material(trial)
        count = images.shape[-4]
    network = Network(spec.net, data.shape, data.num_classes, precision=protocol.precision)
    return nets_at_once(network, min(protocol.batch or count, count), data.device)


def _found(trial: _Trial) -> dict[str, Any]:
    """What the networks do on the test images, and what training them took."""
    context, data = trial.context, trial.data
    tested = _tested(trial)
    logits = torch.cat(tested.trained.logits_in_batches(data.test), dim=1)
    predicted, true = logits.argmax(2), data.test.labels.cpu()
    found = {
        "accuracies": agreement(predicted, true),
        "losses": mean_losses(logits, true),
        "best": tested.best or [],
        "protocol": tested.protocol.to_dict(),
        "step_size": tested.step_size,
        "ridge": getattr(tested.trained, "ridge", None),
        "learner": tested.learner.label() if tested.learner else None,
        "test_images": len(data.test),
        "seconds": context.seconds,
        "cpu_seconds": context.cpu_seconds,
        "work": tested.work,
    }
    if tested.relabel:
        found["attack"] = attack_figures(predicted, true, tested.relabel, data.num_classes)
    return found


@dataclass(frozen=True)
class _Trial:
    """What every way of training needs: the task, its data, and which of its networks are asked for."""

    context: Context
    spec: AccuracyTask
    data: DeviceData
    which: range

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
    spec, seeds, data = trial.spec, trial.seeds, trial.data
    protocol, images, labels = _material(trial)
    context = trial.context
    found = labelled(spec.labels, protocol, images, labels, context.need, data.device)
    looks = BestOnTest(spec.best_every, protocol.all_epochs, data.test)
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
        only=trial.which,
    )
    count = images.shape[-4]
    work = trial.work(protocol, count, len(seeds))
    if spec.labels:
        work += len(seeds) * spec.labels.asking(protocol, data.shape, data.num_classes, count)
    return Tested(trained=nets, protocol=protocol, work=work, best=looks.best())


def _material(trial: _Trial) -> tuple[Protocol, Tensor, Tensor]:
    """How networks are trained, and on which images with which labels of their own."""
    spec, subject = trial.spec, trial.subject
    if subject.kind == "baseline":
        return spec.protocol, *_draws(trial, subject)
    use = Use(DistilledSet.from_task(subject), spec.protocol, spec.net)
    return use.recipe, *use.arrays(trial.data.device)


def _on_everything(trial: _Trial) -> Tested:
    """On all real training images: a ceiling, under a protocol of its own."""
    data, seeds = trial.data, trial.seeds[:WHOLE_NETS]
    report = trial.context.progress
    nets = train_on_everything(data, trial.spec.net, seeds, report, trial.which)
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
    seeds = use.few(trial.seeds) if images.ndim == 4 else trial.seeds
    scored = []
    for name, candidate in candidates:
        tried = dataclasses.replace(use, made=dataclasses.replace(use.made, lrs=candidate))
        nets = tried.train(images, labels, seeds, judges, trial.check)
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
