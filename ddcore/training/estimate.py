"""What training will cost, before it starts: operations are counted. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from ddcore.base.texts import duration, size
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape, cost
from ddcore.training.protocols import Protocol

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


def protocol_work(
    protocol: Protocol, net: NetSpec, shape: Shape, classes: int, images: int
) -> float:
    """Multiply-adds of training one network on `images` images: forward and backward."""
    return 3.0 * protocol.epochs * images * cost(net.plan(shape, classes), shape).macs
