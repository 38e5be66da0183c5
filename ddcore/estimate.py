"""What a task will cost, before it starts: operations counted, speed as `ddcore.speed` finds it.

Every finished run stores the multiply-adds it needed and the seconds it took; the shipped gallery makes
sure there are some from the start. No torch here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ddcore.bank_spec import Start
from ddcore.data.registry import OWN, get
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.evaluation_spec import EvaluateTask
from ddcore.methods import method
from ddcore.methods.base import image_macs
from ddcore.methods.spec import DistillSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape, cost
from ddcore.protocols import Protocol, whole_protocol
from ddcore.speed import MATRIX, speed
from ddcore.store import Store
from ddcore.trajectory_spec import TrajectoryTask

START_S = 6.0  # importing torch and decoding the data
BASE_BYTES = 500 << 20  # interpreter and torch


@dataclass(frozen=True)
class Estimate:
    """Seconds of computing, bytes of memory and disk; `basis` says what the time rests on."""

    seconds: float
    memory: float
    disk: float
    basis: str

    def sentence(self) -> str:
        """For people."""
        return (
            f"about {duration(self.seconds)}, {size(self.memory)} of memory and {size(self.disk)} on "
            f"disk ({self.basis})"
        )


def distillation(spec: DistillSpec, store: Store, shape: Shape, classes: int) -> Estimate:
    """Estimate of a distillation, validation included."""
    p = spec.params
    needs = method(spec.method).cost(spec, shape, classes)
    work, images = needs.macs, classes * spec.images_per_class(shape, classes)
    checks = max(1, spec.validations) * spec.val_nets  # the last set is judged in any case
    if not spec.protocol.ordered:
        work += checks * protocol_work(spec.protocol, spec.net, shape, classes, images)
    image = MATRIX if spec.protocol.closed_form else image_macs(spec.net, shape, classes)
    rate, basis = speed(store, "distill", work / p.iterations, image, spec.method)
    macs = cost(spec.net.plan(shape, classes), shape)
    graph = macs.activations * needs.images * 4
    stored = macs.parameters * 4 * needs.weights
    pixels = math.prod(shape) * images
    start = spec.start
    parts = {"training": start.bank.nets, "validation": start.validation} if start.bank else {}
    banks = bank_seconds(start, parts, spec.net, store, shape, classes)
    return Estimate(
        seconds=START_S + work / rate + banks,
        memory=BASE_BYTES + graph + stored,
        disk=pixels * (2 * 36 + 4) + 100_000,
        basis=basis,
    )


def evaluation(
    task: EvaluateTask, run: DistillSpec, store: Store, shape: Shape, classes: int
) -> Estimate:
    """Estimate of a run's evaluation beside its baselines (their selection not included)."""
    images = classes * run.images_per_class(shape, classes)
    subjects = 1 + len([b for b in task.baselines if b != "whole"])
    work = sum(
        subjects * task.nets * protocol_work(task.protocol, net, shape, classes, images)
        for net in task.archs
    )
    image = max(image_macs(net, shape, classes) for net in task.archs)
    rate, basis = speed(store, "accuracy", work, image)
    largest = max(cost(net.plan(shape, classes), shape).activations for net in task.archs)
    batch = min(task.protocol.batch or images, images)
    start, parts = run.start, {"held_out": task.nets, "validation": run.start.validation}
    banks = sum(bank_seconds(start, parts, n, store, shape, classes) for n in task.archs)
    return Estimate(
        seconds=START_S + work / rate + (banks if task.protocol.ordered else 0.0),
        memory=BASE_BYTES + 12.0 * largest * max(200, batch),
        disk=4000.0 * subjects * len(task.archs),
        basis=basis,
    )


def trajectories(spec: TrajectoryTask, store: Store, shape: Shape, classes: int) -> Estimate:
    """Estimate of training the experts of trajectory matching; nothing if they are there."""
    if store.task(spec).is_done():
        return Estimate(0.0, 0.0, 0.0, "they are there")
    images = _train_size(spec.data, store)
    work = trajectory_work(spec, shape, classes, images)
    image = image_macs(spec.net, shape, classes)
    rate, basis = speed(store, spec.KIND, work, image)
    one = cost(spec.net.plan(shape, classes), shape)
    return Estimate(
        seconds=START_S + work / rate,
        memory=BASE_BYTES + 12.0 * one.activations * spec.batch,
        disk=4.0 * spec.nets * (spec.epochs + 1) * one.parameters,
        basis=basis,
    )


def trajectory_work(spec: TrajectoryTask, shape: Shape, classes: int, images: int) -> float:
    """Multiply-adds of training the experts on `images` images: forward and backward."""
    each = cost(spec.net.plan(shape, classes), shape).macs
    return 3.0 * spec.nets * spec.epochs * images * each


def bank_seconds(
    start: Start, parts: dict[str, int], net: NetSpec, store: Store, shape: Shape, classes: int
) -> float:
    """Seconds to train the networks of a bank's parts (part to number) that are not there yet."""
    seconds = 0.0
    for part, nets in parts.items() if start.bank else ():
        wanted = start.bank.replace(part=part, nets=nets, net=net)
        if store.task(wanted).is_done():
            continue
        images = _train_size(wanted.data, store)
        protocol = whole_protocol(images)
        protocol = protocol.replace(epochs=wanted.epochs or protocol.epochs)
        work = nets * protocol_work(protocol, net, shape, classes, images)
        seconds += work / speed(store, "bank", work, image_macs(net, shape, classes))[0]
    return seconds


def _train_size(data: DataSpec, store: Store) -> int:
    """Training images; of pictures that are not decoded yet, a thousand."""
    task = store.task(dataset_task(data))
    if task.is_done():
        return sum(task.result()["counts"]["train"])
    return 1000 if data.name in OWN else get(data.name).train_size


def protocol_work(
    protocol: Protocol, net: NetSpec, shape: Shape, classes: int, images: int
) -> float:
    """Multiply-adds of training one network on `images` images: forward and backward."""
    return 3.0 * protocol.epochs * images * cost(net.plan(shape, classes), shape).macs


def duration(seconds: float) -> str:
    """Rounded for reading: "40 s", "3 min", "1.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Bytes for reading."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return (
                f"{count / factor:.2g} {unit}"
                if count < 10 * factor
                else f"{count / factor:.0f} {unit}"
            )
    return f"{max(count / 1e3, 1):.0f} kB"
