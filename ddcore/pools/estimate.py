"""What it will cost to train the networks of a bank or the experts of trajectories. No torch here."""

from __future__ import annotations

from ddcore.data.registry import OWN, get
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, cost
from ddcore.pools.bank_spec import Start
from ddcore.pools.trajectory_spec import TrajectoryTask
from ddcore.tasks.store import Store
from ddcore.training.estimate import BASE_BYTES, START_S, Estimate, protocol_work
from ddcore.training.protocols import whole_protocol
from ddcore.training.speed import speed


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
    if start.bank is None:
        return 0.0
    seconds = 0.0
    for part, nets in parts.items():
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
