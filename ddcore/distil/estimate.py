"""What a task will cost, before it starts: operations counted, speed as `ddcore.training.speed` finds it.

Every finished run stores the multiply-adds it needed and the seconds it took; the shipped gallery makes
sure there are some from the start. No torch here.
"""

from __future__ import annotations

import math

from ddcore.distil.contract import DistillSpec, method
from ddcore.nets.architectures import image_macs
from ddcore.nets.plan import Shape, cost
from ddcore.pools.estimate import bank_seconds
from ddcore.tasks.store import Store
from ddcore.training.estimate import BASE_BYTES, START_S, Estimate, protocol_work
from ddcore.training.speed import MATRIX, speed


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
