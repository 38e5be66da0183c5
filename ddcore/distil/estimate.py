"""What a task will cost, before it starts: operations counted, speed as `ddcore.training.speed` finds it.

Every finished run stores the multiply-adds it needed and the seconds it took; the shipped gallery makes
sure there are some from the start. No torch here.
"""

from __future__ import annotations

import math

from ddcore.distil.contract import DistillSpec, method
from ddcore.distil.selection_spec import SelectionPart, selection_work
from ddcore.nets.architectures import image_macs
from ddcore.nets.plan import Shape, cost
from ddcore.pools.bank_spec import BankTask
from ddcore.pools.estimate import bank_seconds, known_form, sizes, training_seconds
from ddcore.pools.teaching import teaching
from ddcore.tasks.store import Store, Task
from ddcore.training.estimate import (
    BASE_BYTES,
    START_S,
    Estimate,
    data_bytes,
    protocol_work,
    testing_bytes,
)
from ddcore.training.speed import MATRIX, speed

SNAPSHOTS = 36  # of a run, in 16 bits; at most one for each iteration, and one of the start


def distillation(spec: DistillSpec, store: Store, shape: Shape, classes: int) -> Estimate:
    """Estimate of a distillation, validation included."""
    p = spec.params
    needs = method(spec.method).cost(spec, shape, classes)
    images = classes * spec.images_per_class(shape, classes)
    work = needs.macs + judging(spec, shape, classes)
    image = MATRIX if spec.protocol.closed_form else image_macs(spec.net, shape, classes)
    rate, basis = speed(
        store,
        "distill",
        work / p.iterations,
        image,
        spec.method,
        besides=_judged,
        start=START_S,
    )
    macs = cost(spec.net.plan(shape, classes), shape)
    graph = macs.activations * needs.images * 4
    stored = macs.parameters * 4 * needs.weights
    pixels = math.prod(shape) * images
    train, test = sizes(spec.data, store)
    held = data_bytes(shape, train + test, test)
    start = spec.start
    parts = {"training": start.bank.nets, "validation": start.validation} if start.bank else {}
    banks = bank_seconds(start, parts, spec.net, store, shape, classes)
    return Estimate(
        seconds=START_S + work / rate + banks + _teacher_seconds(spec, store, shape, classes),
        memory=BASE_BYTES + held + max(graph + stored, testing_bytes(spec.net, shape, classes)),
        disk=pixels * (2 * min(SNAPSHOTS, p.iterations + 1) + 4) + 100_000,
        basis=basis,
    )


def _teacher_seconds(spec: DistillSpec, store: Store, shape: Shape, classes: int) -> float:
    """Seconds to train the networks that choose, or label, the images; 0 where they are there."""
    if spec.labels != "soft" and not spec.params.asks:
        return 0.0
    asked = teaching(spec.data, spec.net, spec.params.teaches)
    return training_seconds(asked, store, shape, classes) if isinstance(asked, BankTask) else 0.0


def need_of_run(spec: DistillSpec, store: Store) -> Estimate:
    """`distillation`, for what starts workers elsewhere."""
    return distillation(spec, store, *known_form(spec.data, store))


def need_of_selection(spec: SelectionPart, store: Store) -> Estimate:
    """A part of a selection: its crops through the teacher, and the images of its classes."""
    shape, classes = known_form(spec.data, store)
    own, asked = len(spec.classes(classes)), teaching(spec.data, spec.net, spec.teacher)
    work = selection_work(asked, spec.asked, shape, own, classes)
    rate, basis = speed(store, spec.KIND, work, image_macs(asked.net, shape, classes))
    train, test = (count * own / classes for count in sizes(spec.data, store))
    return Estimate(
        seconds=START_S + work / rate,
        memory=BASE_BYTES
        + data_bytes(shape, round(train + test), round(test))
        + testing_bytes(asked.net, shape, classes),
        disk=4.0 * math.prod(shape) * own * spec.ipc,
        basis=basis,
    )


def judging(spec: DistillSpec, shape: Shape, classes: int) -> float:
    """Multiply-adds of judging the set during a run; the last set is judged in any case."""
    if spec.protocol.ordered or spec.protocol.closed_form:
        return 0.0
    images = classes * spec.images_per_class(shape, classes)
    checks = max(1, spec.validations) * spec.val_nets
    return checks * protocol_work(spec.protocol, spec.net, shape, classes, images)


def _judged(task: Task) -> float:
    """The same of a finished run, whose result counts what makes the set alone."""
    result = task.result()
    shape: Shape = tuple(result["shape"])
    return judging(task.spec_as(DistillSpec), shape, len(result["set"]["class_names"]))
