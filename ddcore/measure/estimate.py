"""What an evaluation will cost. No torch here."""

from __future__ import annotations

from ddcore.base.errors import SpecError
from ddcore.measure.spec import BASELINE_LRS, WHOLE, WHOLE_NETS, EvaluateTask, MeasuredRun
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, cost
from ddcore.pools.estimate import bank_seconds, known_form, sizes
from ddcore.pools.real_spec import Counts
from ddcore.tasks.store import Store
from ddcore.training.estimate import (
    BASE_BYTES,
    START_S,
    Estimate,
    data_bytes,
    float_bytes,
    protocol_work,
    testing_bytes,
)
from ddcore.training.protocols import Protocol, whole_protocol
from ddcore.training.speed import speed


def evaluation(
    task: EvaluateTask, run: MeasuredRun, store: Store, shape: Shape, classes: int
) -> Estimate:
    """Estimate of a run's evaluation beside its baselines (their selection not included)."""
    images = classes * run.images_per_class(shape, classes)
    train, test = sizes(run.data, store)
    subjects = 1 + len([b for b in task.baselines if b != WHOLE])
    work = sum(
        subjects * task.nets * _judged(task.protocol, net, shape, classes, images, test)
        for net in task.archs
    )
    if task.best_every:
        looks = task.protocol.all_epochs // task.best_every
        passes = sum(image_macs(net, shape, classes) for net in task.archs)
        work += subjects * task.nets * looks * test * passes
    if task.labels:
        asked = task.labels.asking(task.protocol, shape, classes, images)
        work += subjects * task.nets * len(task.archs) * asked
    if WHOLE in task.baselines and not task.protocol.closed_form:
        recipe = whole_protocol(train)
        nets = min(WHOLE_NETS, task.nets)
        each = (_judged(recipe, net, shape, classes, train, test) for net in task.archs)
        work += nets * sum(each)
    if task.protocol.ordered:
        kept = round(train * run.data.val_fraction / (1 - run.data.val_fraction))
        tries = (subjects - 1) * task.nets * (1 + len(BASELINE_LRS))  # chosen on validation data
        tried = (_judged(task.protocol, net, shape, classes, images, kept) for net in task.archs)
        work += tries * sum(tried)
    image = max(image_macs(net, shape, classes) for net in task.archs)
    rate, basis = speed(store, "accuracy", work / (subjects * len(task.archs)), image)
    plans = [net.plan(shape, classes) for net in task.archs]
    everything = float_bytes(shape, train) if WHOLE in task.baselines else 0.0
    batch = min(task.protocol.batch or images, images)
    held = max(12.0 * cost(plan, shape).activations * max(200, batch) for plan in plans)
    tested = max(testing_bytes(net, shape, classes) for net in task.archs)
    start, parts = run.start, {"held_out": task.nets, "validation": run.start.validation}
    banks = sum(bank_seconds(start, parts, n, store, shape, classes) for n in task.archs)
    return Estimate(
        seconds=START_S
        + work / rate
        + (banks if task.protocol.ordered else 0.0)
        + _teacher_seconds(task, store, shape, classes),
        memory=BASE_BYTES + data_bytes(shape, train + test, test) + everything + max(held, tested),
        disk=4000.0 * subjects * len(task.archs),
        basis=basis,
    )


def need_of_evaluation(task: EvaluateTask, store: Store) -> Estimate:
    """`evaluation`, for what starts workers elsewhere; the run itself need not be finished."""
    run = store.find(task.run_key).spec()
    if not isinstance(run, MeasuredRun):
        raise SpecError("run_key", task.run_key, "the key of a run")
    return evaluation(task, run, store, *known_form(run.data, store))


def _teacher_seconds(task: EvaluateTask, store: Store, shape: Shape, classes: int) -> float:
    """Seconds to train the networks that label all sets, where they are not there yet."""
    teacher = task.labels.teacher if task.labels else None
    if teacher is None or store.task(teacher).is_done():
        return 0.0
    need = teacher.cost(shape, classes, Counts(*sizes(teacher.data, store)))
    image = image_macs(teacher.net, shape, classes)
    return need.macs / speed(store, teacher.KIND, need.macs, image)[0]


def _judged(
    recipe: Protocol, net: NetSpec, shape: Shape, classes: int, images: int, test: int
) -> float:
    """Multiply-adds of one network: trained on so many images, tested once."""
    trained = protocol_work(recipe, net, shape, classes, images)
    return trained + test * image_macs(net, shape, classes)
