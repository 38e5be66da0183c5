"""Specs of pools: networks trained on real data that several analyses share. No torch.

Everybody who asks for the same pool finds the same folder, so it is trained once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ddcore.base.specs import TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Cost as NetCost
from ddcore.nets.plan import Shape, cost
from ddcore.training.protocols import whole_protocol

TEST_BATCH = 2000


@dataclass(frozen=True)
class Counts:
    """How many training images (without the validation part) and test images there are."""

    train: int
    test: int


@dataclass(frozen=True)
class Need:
    """Multiply-adds, bytes of memory and bytes on disk of a pool."""

    macs: float
    memory: float
    disk: float


@dataclass(frozen=True, kw_only=True)
class Pool(TaskSpec):
    """Networks of one architecture trained on real images: SGD with momentum on cross-entropy.

    No weight decay, schedule or augmentation (Yang et al. 2024). Each network draws its weights and its
    order of images from streams of its own; the last, shorter batch of an epoch is used too. A `batch` of
    0 is all images at once.
    """

    data: DataSpec
    net: NetSpec
    seed: int = 0
    batch: int = 64
    lr: float = 0.01
    momentum: float = 0.9

    def validate(self) -> None:
        """Check ranges. Subclasses call this."""
        self.require_range("seed", 0, 2**31 - 1)
        self.require_range("batch", 0, 1_000_000)
        self.require_range("lr", 1e-8, 1e3)
        self.require_range("momentum", 0, 1)

    def cost(self, shape: Shape, classes: int, counts: Counts) -> Need:
        """What training and testing all networks takes."""
        raise NotImplementedError

    def _need(self, one: NetCost, seen: float, tested: float, batch: int, disk: float) -> Need:
        """`seen` images trained on and `tested` ones, over all networks."""
        held = max(12.0 * one.activations * batch, 4.0 * one.activations * TEST_BATCH)
        return Need((3 * seen + tested) * one.macs, held, disk)


@dataclass(frozen=True, kw_only=True)
class RealPool(Pool):
    """`nets` networks trained to the end; `epochs` 0 chooses by the number of images.

    `per_class` 0 is all training images, else so many of each class, drawn anew for each network. Stored:
    weights, accuracy on the images trained on and on test images, classes predicted for test images.
    """

    KIND: ClassVar[str] = "real_nets"
    RUNNER: ClassVar[str] = "ddcore.pools.real:run_real"

    nets: int = 3
    epochs: int = 0
    per_class: int = 0

    def validate(self) -> None:
        """Check ranges."""
        super().validate()
        self.require_range("nets", 1, 1000)
        self.require_range("epochs", 0, 10_000)
        self.require_range("per_class", 0, 1_000_000)

    def title(self) -> str:
        """Line for lists."""
        part = f"{self.per_class} per class of " if self.per_class else ""
        return f"{self.nets} networks {self.net.label()} trained on {part}{self.data.title()}"

    def epochs_for(self, images: int) -> int:
        """How often all images are seen."""
        return self.epochs or whole_protocol(images).epochs

    def cost(self, shape: Shape, classes: int, counts: Counts) -> Need:
        """Training, then one pass over training and test images."""
        one = cost(self.net.plan(shape, classes), shape)
        images = min(self.per_class * classes, counts.train) if self.per_class else counts.train
        seen = self.nets * images * self.epochs_for(images)
        disk = self.nets * (4.0 * one.parameters + counts.test)
        tested = self.nets * (images + counts.test)
        return self._need(one, seen, tested, self.batch or images, disk)


@dataclass(frozen=True, kw_only=True)
class EarlyPool(Pool):
    """`nets` networks in their first `iterations` on all training images, tested after every `every`-th.

    Stored: the iterations of the tests (T,), accuracy (n, T) and predicted classes (n, T, N) of the N
    test images, one byte each.
    """

    KIND: ClassVar[str] = "early_nets"
    RUNNER: ClassVar[str] = "ddcore.pools.real:run_early"

    nets: int = 12
    iterations: int = 120
    every: int = 1

    def validate(self) -> None:
        """Check ranges."""
        super().validate()
        self.require_range("nets", 1, 1000)
        self.require_range("iterations", 1, 1_000_000)
        self.require_range("every", 1, self.iterations)

    def title(self) -> str:
        """Line for lists."""
        return (
            f"{self.nets} networks {self.net.label()} in their first {self.iterations} iterations on "
            f"{self.data.title()}"
        )

    def cost(self, shape: Shape, classes: int, counts: Counts) -> Need:
        """Training, and a pass over the test images at each test."""
        one = cost(self.net.plan(shape, classes), shape)
        batch = min(self.batch or counts.train, counts.train)
        tests = self.nets * (self.iterations // self.every) * counts.test
        need = self._need(one, self.nets * self.iterations * batch, tests, batch, 1.0 * tests)
        return Need(need.macs, need.memory + 2.0 * tests, need.disk)


@dataclass(frozen=True, kw_only=True)
class SubsetPool(Pool):
    """Networks trained to the end on small random subsets with the same number of each class.

    `sizes` are images per class; for each there are `draws` networks. Draw d of a smaller size is part of
    draw d of every larger one. Stored for each of the n = sizes x draws networks: images per class, draw,
    test accuracy, and the predicted classes (n, N) of the N test images, one byte each.
    """

    KIND: ClassVar[str] = "subset_nets"
    RUNNER: ClassVar[str] = "ddcore.pools.real:run_subset"

    sizes: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    draws: int = 8
    epochs: int = 300
    batch: int = 256

    def validate(self) -> None:
        """Check ranges."""
        super().validate()
        ok = self.sizes and len(set(self.sizes)) == len(self.sizes) and min(self.sizes) >= 1
        self.require("sizes", bool(ok), "different numbers of images per class, 1 or more")
        self.require_range("draws", 1, 1000)
        self.require_range("epochs", 1, 100_000)

    def title(self) -> str:
        """Line for lists."""
        nets, low, high = len(self.sizes) * self.draws, min(self.sizes), max(self.sizes)
        return (
            f"{nets} networks {self.net.label()} trained on {low} to {high} images per class of "
            f"{self.data.title()}"
        )

    def steps(self, images: int) -> int:
        """Iterations on a subset of so many images."""
        return self.epochs * math.ceil(images / (self.batch or images))

    def cost(self, shape: Shape, classes: int, counts: Counts) -> Need:
        """Training, then one pass over the test images each."""
        one = cost(self.net.plan(shape, classes), shape)
        nets = len(self.sizes) * self.draws
        seen = self.draws * self.epochs * classes * float(sum(self.sizes))
        batch = min(self.batch or counts.train, classes * max(self.sizes))
        return self._need(one, seen, nets * counts.test, batch, 1.0 * nets * counts.test)
