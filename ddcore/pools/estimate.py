"""What it will cost to train the networks of a bank or the experts of trajectories. No torch here."""

from __future__ import annotations

from ddcore.data.registry import OWN, get
from ddcore.data.spec import DataSpec, dataset_task, form
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, cost
from ddcore.pools.bank_spec import BankTask, Start
from ddcore.pools.trajectory_spec import TrajectoryTask
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
from ddcore.training.protocols import whole_protocol
from ddcore.training.speed import speed


def trajectories(spec: TrajectoryTask, store: Store, shape: Shape, classes: int) -> Estimate:
    """Estimate of training the experts of trajectory matching; nothing if they are there."""
    if store.task(spec).is_done():
        return Estimate(0.0, 0.0, 0.0, "they are there")
    images, test = sizes(spec.data, store)
    work = trajectory_work(spec, shape, classes, images)
    image = image_macs(spec.net, shape, classes)
    rate, basis = speed(store, spec.KIND, work, image)
    one = cost(spec.net.plan(shape, classes), shape)
    return Estimate(
        seconds=START_S + work / rate,
        memory=BASE_BYTES
        + data_bytes(shape, images + test, test)
        + float_bytes(shape, images)
        + max(12.0 * one.activations * spec.batch, testing_bytes(spec.net, shape, classes)),
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
        seconds += training_seconds(wanted, store, shape, classes)
    return seconds


def training_seconds(wanted: BankTask, store: Store, shape: Shape, classes: int) -> float:
    """Seconds to train the networks of one part of a bank; 0 where they are there."""
    if store.task(wanted).is_done():
        return 0.0
    images, _ = sizes(wanted.data, store)
    protocol = whole_protocol(images)
    protocol = protocol.replace(epochs=wanted.epochs or protocol.epochs)
    work = wanted.nets * protocol_work(protocol, wanted.net, shape, classes, images)
    return work / speed(store, "bank", work, image_macs(wanted.net, shape, classes))[0]


def known_form(data: DataSpec, store: Store) -> tuple[Shape, int]:
    """Shape and number of classes of a dataset; `NotReady` of own data that nobody has read yet."""
    if data.name not in OWN:
        return form(data)
    facts = store.task(dataset_task(data)).result()
    return tuple(facts["shape"]), len(facts["class_names"])


def need_of_experts(spec: TrajectoryTask, store: Store) -> Estimate:
    """`trajectories`, for what starts workers elsewhere."""
    return trajectories(spec, store, *known_form(spec.data, store))


def sizes(data: DataSpec, store: Store) -> tuple[int, int]:
    """Training and test images; of pictures that are not decoded yet, a thousand and a tenth of them."""
    task = store.task(dataset_task(data))
    if task.is_done():
        counts = task.result()["counts"]
        return _chosen(counts["train"], data), _chosen(counts["test"], data)
    if data.name in OWN:
        return 1000, 100
    source = get(data.name)
    share = len(data.classes) / len(source.classes) if data.classes else 1.0
    return round(share * source.train_size), round(share * source.test_size)


def _chosen(counts: list[int], data: DataSpec) -> int:
    """Images of the classes that are asked for, of those per class."""
    return sum(counts[c] for c in data.classes or range(len(counts)))
