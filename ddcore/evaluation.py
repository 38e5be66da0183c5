"""Measuring a set: train fresh networks on it under a protocol, test them, keep every network's figure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddcore import baselines, rng, spread
from ddcore.bank_spec import Start
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData
from ddcore.distilled import DistilledSet
from ddcore.estimate import protocol_work
from ddcore.evaluation_spec import BEFORE, LABELLED, WHOLE, AccuracyTask, BaselineTask, EvaluateTask
from ddcore.kernels import machine
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network, Params, select
from ddcore.parametrizations.decoder import step_major_labels
from ddcore.protocols import Protocol, whole_protocol
from ddcore.training import (
    Trained,
    TrainedNets,
    agreement,
    limit_threads,
    mean_losses,
    nets_at_once,
    starting_weights,
    train,
    train_ordered,
    with_learned_lr,
)
from ddcore.worker import Context

# Step sizes a baseline may choose from (on validation data) where the protocol learns its own.
BASELINE_LRS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
RANDOM_DRAWS = 10
WHOLE_NETS = 3


def summary(accuracies: list[float]) -> dict[str, Any]:
    """Mean, standard deviation over networks (None for a single one) and n; as shares, not per cent."""
    std = spread.deviation(accuracies)
    return {"mean": statistics.fmean(accuracies), "std": std, "n": len(accuracies)}


def train_on_everything(
    data: DeviceData, net: NetSpec, seeds: list[int], on_step: Callable[[int, int], None]
) -> TrainedNets:
    """Networks trained on all real training images."""
    everything = data.batch(torch.arange(len(data.train)))
    protocol = whole_protocol(len(data.train))
    return train(
        net, everything, data.train.labels, data.num_classes, protocol, seeds, on_step=on_step
    )


def train_for(
    images: Tensor,
    labels: Tensor,
    data: DeviceData,
    net: NetSpec,
    protocol: Protocol,
    seeds: list[int],
    like: DistilledSet | None,
    on_step: Callable[[int, int], None] = lambda step, total: None,
    weights: Params | None = None,
) -> Trained:
    """Networks trained on a set: (M, ...) shared, or (N, M, ...) one set each; class or step order.

    Under the ordered protocol they start from `weights`, or from what `like` and the seeds say; a
    closed-form one takes the kernel of `like`.
    """
    if protocol.closed_form:
        return machine.train(like.learner, images, labels, data.num_classes, seeds)
    if not protocol.ordered:
        return train(net, images, labels, data.num_classes, protocol, seeds, on_step=on_step)
    count = len(next(iter(weights.values()))) if weights else len(seeds)
    network = Network(net, data.shape, data.num_classes, count)
    lrs = torch.from_numpy(like.lrs)
    at_once = nets_at_once(network, images.shape[-4] // like.steps, data.device)
    trained = []
    for first in range(0, count, at_once):
        part = slice(first, min(first + at_once, count))
        few = network.with_nets(part.stop - first)
        start = (
            select(weights, part)
            if weights
            else starting_weights(like, few, seeds[part], data.device)
        )

        def report(step: int, _: Params, done: int = first, nets: int = few.num_nets) -> None:
            on_step(done * len(lrs) + step * nets, count * len(lrs))

        own = images if images.ndim == 4 else images[part]
        wanted = labels if labels.ndim < 3 else labels[part]
        end = train_ordered(few, start, own, wanted, lrs, like.steps, report, like.momentum)
        trained.append(end)
    joined = {k: torch.cat([t[k] for t in trained]) for k in trained[0]}
    return TrainedNets(network, joined, network.init_stats(data.device))


def relabelled(labels: Tensor, relabel: tuple[int, int] | None) -> Tensor:
    """Labels (B,) with class a counted as b, if `relabel` is (a, b)."""
    if relabel is None:
        return labels
    attacked, target = relabel
    return torch.where(labels == attacked, target, labels)


def attack_figures(
    predicted: Tensor, labels: Tensor, relabel: tuple[int, int], classes: int
) -> dict[str, Any]:
    """What an attack did, from predictions (N, B) and true labels (B,).

    accuracy: share of all images classified by their true labels; modified: by labels in which the
    attacked class counts as the target; flipped: share of the attacked class's images called the target;
    others: accuracy on all other classes, of which per_class has the networks' mean (K,). The first four
    are summaries over networks.
    """
    attacked, target = relabel
    labels = labels.to(predicted.device)
    hit, chosen = predicted == labels, labels == attacked
    shares = {
        "accuracy": agreement(predicted, labels),
        "modified": agreement(predicted, relabelled(labels, relabel)),
        "flipped": (predicted[:, chosen] == target).float().mean(1).tolist(),
        "others": hit[:, ~chosen].float().mean(1).tolist(),
    }
    per_class = [hit[:, labels == c].float().mean().item() for c in range(classes)]
    return {
        "attacked": attacked,
        "target": target,
        **{name: summary(values) for name, values in shares.items()},
        "per_class": per_class,
        "images": int(chosen.sum()),
    }


def step_major(images: Tensor, classes: int, steps: int) -> Tensor:
    """Class-sorted sets (..., K*ipc, C, H, W) reordered so that each step has ipc/steps per class."""
    split = images.unflatten(-4, (classes, steps, -1))
    return split.movedim(-5, -6).flatten(-6, -4)


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
            self.protocol = with_learned_lr(self.protocol, self.own)
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
        from ddcore.bank import start_weights  # bank imports this module

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
            weights = starting_weights(self.like, network, self.seeds, self.data.device)
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


def baseline_task(name: str, run: Any, nets: int, seed: int = 0) -> BaselineTask:
    """The baseline of the size of a run's set."""
    judged = name in ("herding", "kcenter", "optimised_random", LABELLED)
    many = max(nets, RANDOM_DRAWS)  # the same draws, whoever labels them
    draws = {"random": many, LABELLED: many, "optimised_random": RANDOM_DRAWS}.get(name, 1)
    return BaselineTask(
        name=name,
        data=run.data,
        ipc=run.ipc,
        seed=seed,
        draws=draws,
        net=run.net if judged else None,
    )


def run_evaluate(context: Context) -> None:
    """Task `evaluate`: accuracies of a run and its baselines, one row per subject and architecture."""
    spec: EvaluateTask = context.spec
    run = context.need_key(spec.run_key).spec()
    ordered, closed_form = spec.protocol.ordered, spec.protocol.closed_form
    known_init = ordered and getattr(run.params, "setting", "") == "fixed"
    start = run.start if ordered else Start()  # other protocols start afresh
    rows: list[dict[str, Any]] = []
    jobs: list[tuple[str, NetSpec, dict[str, Any]]] = []
    for net in spec.archs:
        jobs.append(("distilled", net, {"subject": spec.run_key}))
        special = bool(start.bank) or (start.known and net == run.net)
        if special:
            jobs.append((BEFORE, net, {"subject": BEFORE, "like": spec.run_key}))
        # Fresh networks have nothing to attack.
        if (known_init and net == run.net) or (special and not run.params.relabel):
            jobs.append(("other_inits", net, {"subject": spec.run_key, "fresh": True}))
        for name in spec.baselines:
            if name == WHOLE:
                kernel = {"like": spec.run_key} if closed_form else {}
                jobs.append((WHOLE, net, {"subject": WHOLE, **kernel}))
                continue
            baseline = baseline_task(name, run, spec.nets, spec.seed)
            like = {"like": spec.run_key} if ordered or closed_form else {}
            jobs.append((name, net, {"subject": baseline, **like}))
    for index, (name, net, fields) in enumerate(jobs):
        context.progress(index, len(jobs), message=f"{name} in {net.label()}")
        if isinstance(fields["subject"], BaselineTask):
            fields = {**fields, "subject": context.need(fields["subject"]).key}
        task = context.need(
            AccuracyTask(
                data=run.data,
                net=net,
                protocol=spec.protocol,
                nets=spec.nets,
                seed=spec.seed,
                **fields,
            )
        )
        result = task.result()
        kept = ("mean", "std", "n", "accuracies", "losses", "step_size", "ridge", "attack")
        rows.append(
            {
                "subject": name,
                "arch": result.get("learner") or net.label(),
                "net": net.to_dict(),
                "key": task.key,
                "seconds": task.status().get("seconds"),
                **{k: result[k] for k in kept if k in result},
            }
        )
    context.progress(len(jobs), len(jobs))
    context.save_result({"rows": rows, "protocol": spec.protocol.to_dict()})
