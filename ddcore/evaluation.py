"""Measuring a set: train fresh networks on it under a protocol, test them, keep every network's figure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddcore import baselines, rng
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData
from ddcore.distilled import DistilledSet
from ddcore.estimate import protocol_work
from ddcore.evaluation_spec import WHOLE, AccuracyTask, BaselineTask, EvaluateTask
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network
from ddcore.protocols import Protocol
from ddcore.training import (
    TrainedNets,
    limit_threads,
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


def summary(accuracies: list[float]) -> dict[str, float]:
    """Mean, standard deviation over networks (0 for a single one) and n; as shares, not per cent."""
    std = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    return {"mean": statistics.fmean(accuracies), "std": std, "n": len(accuracies)}


def whole_protocol(train_size: int) -> Protocol:
    """Minibatch training for the whole set: enough epochs to converge, fewer for larger sets."""
    epochs = max(3, min(50, 400_000 // train_size))
    return Protocol(name=WHOLE, lr=0.02, milestones=(0.7,), epochs=epochs, batch=64)


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
) -> TrainedNets:
    """Networks trained on a set: (M, ...) shared, or (N, M, ...) one set each; class or step order."""
    if not protocol.ordered:
        return train(net, images, labels, data.num_classes, protocol, seeds, on_step=on_step)
    network = Network(net, data.shape, data.num_classes, len(seeds))
    weights = starting_weights(like, network, seeds, data.device)
    lrs = torch.from_numpy(like.lrs)
    weights = train_ordered(
        network,
        weights,
        images,
        labels,
        lrs,
        like.steps,
        lambda k, _: on_step(k, len(lrs)),
        momentum=like.momentum,
    )
    return TrainedNets(network, weights, network.init_stats(data.device))


def step_major(images: Tensor, classes: int, steps: int) -> Tensor:
    """Class-sorted sets (..., K*ipc, C, H, W) reordered so that each step has ipc/steps per class."""
    split = images.unflatten(-4, (classes, steps, -1))
    return split.movedim(-5, -6).flatten(-6, -4)


def run_accuracy(context: Context) -> None:
    """Task `accuracy`: see `AccuracyTask`."""
    spec: AccuracyTask = context.spec
    dataset = ensure(context, spec.data)
    data = DeviceData(dataset, context.device)
    limit_threads(Network(spec.net, data.shape, data.num_classes), context.device)
    like = DistilledSet.from_task(context.need_key(spec.like)) if spec.like else None
    if like is not None and spec.fresh:
        like = _without_init(like)
    seeds = [rng.derive(spec.seed, "evaluation", i) for i in range(spec.nets)]
    protocol, chosen_lr = spec.protocol, None

    def report(step: int, total: int) -> None:
        context.progress(step, total)

    if spec.subject == WHOLE:
        protocol = whole_protocol(len(data.train))
        seeds = seeds[:WHOLE_NETS]
        trained = train_on_everything(data, spec.net, seeds, report)
    else:
        subject = context.need_key(spec.subject)
        if subject.kind == "baseline":
            images, labels = baselines.sets(subject, dataset, data.device)
            images = images[torch.arange(len(seeds)) % len(images)]  # network i sees draw i
            if len(subject.result()["draws"]) == 1:
                images = images[0]
            if protocol.ordered:
                images = step_major(images, data.num_classes, like.steps)
                labels = torch.from_numpy(like.hard_labels).to(data.device)
                like, chosen_lr = _best_lrs(images, labels, data, spec.net, protocol, seeds, like)
        else:
            own = DistilledSet.from_task(subject)
            images = torch.from_numpy(own.images).to(data.device)
            labels = torch.from_numpy(own.labels).to(data.device)
            if protocol.ordered and like is None:
                like = _without_init(own) if spec.fresh else own
            protocol = with_learned_lr(protocol, own)
        known = like is not None and like.init_weights and spec.net == like.net
        if known and images.ndim == 4:
            seeds = seeds[:1]  # one known network and one set: nothing is random, one figure
        trained = train_for(images, labels, data, spec.net, protocol, seeds, like, report)
    count = len(data.train) if spec.subject == WHOLE else len(labels)
    work = protocol_work(protocol, spec.net, data.shape, data.num_classes, count) * len(seeds)
    if protocol.ordered:  # one step per learned step size, each on one part of the set
        work *= len(like.lrs) / like.steps
    accuracies = trained.accuracy(data.test)
    context.save_result(
        {
            **summary(accuracies),
            "accuracies": accuracies,
            "losses": trained.losses(data.test),
            "validation": summary(trained.accuracy(data.val)),
            "protocol": protocol.to_dict(),
            "step_size": chosen_lr,
            "test_images": len(data.test),
            "device": context.device,
            "seconds": context.seconds,
            "work": work,
        }
    )


def _without_init(made: DistilledSet) -> DistilledSet:
    return dataclasses.replace(made, init_weights={})


def _best_lrs(
    images: Tensor,
    labels: Tensor,
    data: DeviceData,
    net: NetSpec,
    protocol: Protocol,
    seeds: list[int],
    like: DistilledSet,
) -> tuple[DistilledSet, float | str]:
    """The step sizes with which a baseline does best on validation data: learned ones or a constant."""
    candidates: list[tuple[float | str, np.ndarray]] = [("learned", like.lrs)]
    candidates += [(lr, np.full_like(like.lrs, lr)) for lr in BASELINE_LRS]
    scored = []
    for name, lrs in candidates:
        candidate = dataclasses.replace(like, lrs=lrs)
        nets = train_for(images, labels, data, net, protocol, seeds, candidate)
        score = statistics.fmean(nets.accuracy(data.val))
        scored.append((score, name, candidate))
    _, name, best = max(scored, key=lambda s: s[0])
    return best, name


def baseline_task(name: str, run: Any, nets: int, seed: int = 0) -> BaselineTask:
    """The baseline of the size of a run's set."""
    judged = name in ("herding", "kcenter", "optimised_random")
    draws = {"random": max(nets, RANDOM_DRAWS), "optimised_random": RANDOM_DRAWS}.get(name, 1)
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
    ordered = spec.protocol.ordered
    known_init = ordered and getattr(run.params, "setting", "") == "fixed"
    rows: list[dict[str, Any]] = []
    jobs: list[tuple[str, NetSpec, dict[str, Any]]] = []
    for net in spec.archs:
        jobs.append(("distilled", net, {"subject": spec.run_key}))
        if known_init and net == run.net:
            jobs.append(("other_inits", net, {"subject": spec.run_key, "fresh": True}))
        for name in spec.baselines:
            if name == WHOLE:
                jobs.append((WHOLE, net, {"subject": WHOLE}))
                continue
            baseline = baseline_task(name, run, spec.nets, spec.seed)
            like = {"like": spec.run_key} if ordered else {}
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
        kept = ("mean", "std", "n", "accuracies", "losses", "step_size")
        rows.append(
            {
                "subject": name,
                "arch": net.label(),
                "net": net.to_dict(),
                "key": task.key,
                "seconds": task.status().get("seconds"),
                **{k: result[k] for k in kept},
            }
        )
    context.progress(len(jobs), len(jobs))
    context.save_result({"rows": rows, "protocol": spec.protocol.to_dict()})
