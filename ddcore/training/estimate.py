"""What training will cost, before it starts: operations are counted. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ddcore.base.texts import duration, size
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Plan, Shape, cost, largest
from ddcore.training.protocols import Protocol

START_S = 6.0  # importing torch and decoding the data
BASE_BYTES = 740 << 20  # interpreter, torch and its optimisers (measured)


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


TESTED = 2000  # images that networks are tested on at a time, at most
TEST_FLOATS = (
    1 << 26
)  # that a layer makes of them: 2,000 images of 32 x 32 in a ConvNet of width 32
ALIVE = 3  # tensors of a layer's size that a test holds at a time (measured)


def tested_at_once(plan: Plan, shape: Shape) -> int:
    """How many images to test a network on at a time: 2,000, halved until memory is small."""
    count, each = TESTED, largest(plan, shape)
    while count > 1 and count * each > TEST_FLOATS:
        count //= 2
    return count


def testing_bytes(net: NetSpec, shape: Shape, classes: int) -> float:
    """Memory of testing a network: a few of its largest layer's outputs."""
    plan = net.plan(shape, classes)
    return 4.0 * ALIVE * tested_at_once(plan, shape) * largest(plan, shape)


def data_bytes(shape: Shape, images: int, tested: int) -> float:
    """Memory of a dataset: bytes as stored, floats of those that are tested on."""
    return math.prod(shape) * (images + 5.0 * tested)


def float_bytes(shape: Shape, images: int) -> float:
    """Memory of so many preprocessed images."""
    return 4.0 * math.prod(shape) * images


def protocol_work(
    protocol: Protocol, net: NetSpec, shape: Shape, classes: int, images: int
) -> float:
    """Multiply-adds of training one network on `images` images: forward and backward."""
    return 3.0 * protocol.passes * images * cost(net.plan(shape, classes), shape).macs
