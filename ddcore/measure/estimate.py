"""What an evaluation will cost. No torch here."""

from __future__ import annotations

from ddcore.measure.spec import EvaluateTask, Run
from ddcore.nets.architectures import image_macs
from ddcore.nets.plan import Shape, cost
from ddcore.pools.estimate import bank_seconds
from ddcore.tasks.store import Store
from ddcore.training.estimate import BASE_BYTES, START_S, Estimate, protocol_work
from ddcore.training.speed import speed


def evaluation(task: EvaluateTask, run: Run, store: Store, shape: Shape, classes: int) -> Estimate:
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
