"""Specs of pools: networks trained on real data that several analyses share. No torch.

Everybody who asks for the same pool finds the same folder, so it is trained once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from ddcore.base.errors import SpecError
from ddcore.base.fields import REQUIRED, number, numbers, part, seed, text
from ddcore.base.specs import TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.nets import published
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import NetCost, Shape, cost
from ddcore.nets.precision import precision
from ddcore.training.protocols import whole_protocol

TEST_BATCH = 2000
MOST = 1_000_000  # images of a class in a subset


@dataclass(frozen=True)
class Counts:
    """How many training images (without the validation part) and test images there are."""

    train: int
    test: int


@dataclass(frozen=True)
class Need:
    """Multiply-adds, bytes of memory and bytes on disk of a pool, or of an analysis beyond its pools."""

    macs: float
    memory: float = 0.0
    disk: float = 1e5


@dataclass(frozen=True, kw_only=True)
class Pool(TaskSpec):
    """Networks of one architecture trained on real images: SGD with momentum on cross-entropy.

    No weight decay, schedule or augmentation (Yang et al. 2024). Each network draws its weights and its
    order of images from streams of its own; the last, shorter batch of an epoch is used too.
    """

    data: DataSpec = part(REQUIRED, "What they are trained on.")
    net: NetSpec = part(REQUIRED, "Their architecture.")
    seed: int = seed()
    batch: int = number(64, 0, 1_000_000, "Images per step; 0: all at once.", unit="images")
    lr: float = number(0.01, 1e-8, 1e3, "Step size of sgd.")
    momentum: float = number(0.9, 0, 1, "Momentum of sgd.")
    precision: str = precision()

    def cost(self, shape: Shape, classes: int, counts: Counts) -> Need:
        """What training and testing all networks takes."""
        raise NotImplementedError

    def _need(self, one: NetCost, seen: float, tested: float, batch: int, disk: float) -> Need:
        """`seen` images trained on and `tested` ones, over all networks."""
        held = max(12.0 * one.activations * batch, 4.0 * one.activations * TEST_BATCH)
        return Need((3 * seen + tested) * one.macs, held, disk)


@dataclass(frozen=True, kw_only=True)
class RealPool(Pool):
    """Networks trained to the end.

    Stored: weights, accuracy on the images trained on and on test images, classes predicted for test images.
    """

    KIND: ClassVar[str] = "real_nets"
    RUNNER: ClassVar[str] = "ddcore.pools.real:run_real"

    nets: int = number(3, 1, 1000, "How many.", unit="networks")
    epochs: int = number(0, 0, 10_000, "How often all images are seen; 0: chosen by their number.")
    per_class: int = number(
        0, 0, 1_000_000, "Images of each class, drawn anew for each network; 0: all there are."
    )
    published: str = text(
        "",
        "Weights of a file instead of training: one of torchvision's networks, such as resnet18-f37072fd.",
        grammar=lambda field, word: published.parse(field, word) if word else None,
        later=True,
    )

    def validate(self) -> None:
        """A file holds one network, which has seen images as torchvision normalises them."""
        if not self.published:
            return
        name, _ = published.parse("published", self.published)
        self.require("net", self.net == published.NETWORKS[name], f"that of {name}")
        self.require("nets", self.nets == 1, "1 with weights from a file")
        self.require("per_class", self.per_class == 0, "0 with weights from a file")
        if self.data.preprocess != "imagenet":
            allowed = "imagenet with a teacher from a file"
            raise SpecError("preprocess", self.data.preprocess, allowed)

    def title(self) -> str:
        """Line for lists."""
        if self.published:
            return f"{self.net.label()} with the weights {self.published} on {self.data.title()}"
        part = f"{self.per_class} per class of " if self.per_class else ""
        return f"{self.nets} networks {self.net.label()} trained on {part}{self.data.title()}"

    def epochs_for(self, images: int) -> int:
        """How often all images are seen."""
        return self.epochs or whole_protocol(images).epochs

    def cost(self, shape: Shape, classes: int, counts: Counts) -> Need:
        """Training, then one pass over training and test images."""
        one = cost(self.net.plan(shape, classes), shape)
        images = min(self.per_class * classes, counts.train) if self.per_class else counts.train
        seen = 0 if self.published else self.nets * images * self.epochs_for(images)
        disk = self.nets * (4.0 * one.parameters + counts.test)
        tested = self.nets * (counts.test if self.published else images + counts.test)
        return self._need(one, seen, tested, self.batch or images, disk)


@dataclass(frozen=True, kw_only=True)
class EarlyPool(Pool):
    """Networks in their first iterations on all training images, tested along the way.

    Stored: the iterations of the tests (T,), accuracy (n, T) and predicted classes (n, T, N) of the N
    test images, one byte each.
    """

    KIND: ClassVar[str] = "early_nets"
    RUNNER: ClassVar[str] = "ddcore.pools.real:run_early"

    nets: int = number(12, 1, 1000, "How many.", unit="networks")
    iterations: int = number(120, 1, 1_000_000, "Steps of training.")
    every: int = number(1, 1, 1_000_000, "Iterations between two tests.")

    def validate(self) -> None:
        """Check that there is a test."""
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


def subset_sizes() -> Any:
    """The field for sizes of random subsets."""
    return numbers(
        (1, 2, 3, 4, 5, 6, 7, 8),
        1,
        MOST,
        "different numbers of images per class, 1 or more",
        "Sizes of random subsets.",
        unit="images per class",
    )


@dataclass(frozen=True, kw_only=True)
class SubsetPool(Pool):
    """Networks trained to the end on small random subsets with the same number of each class.

    Draw d of a smaller size is part of draw d of every larger one. Stored for each of the n = sizes x draws
    networks: images per class, draw, test accuracy, and the predicted classes (n, N) of the N test images,
    one byte each.
    """

    KIND: ClassVar[str] = "subset_nets"
    RUNNER: ClassVar[str] = "ddcore.pools.real:run_subset"

    sizes: tuple[int, ...] = subset_sizes()
    draws: int = number(8, 1, 1000, "Networks for each size.", unit="networks")
    epochs: int = number(300, 1, 100_000, "How often all images of the subset are seen.")
    batch: int = 256

    def validate(self) -> None:
        """Check that there are different subsets."""
        self.require("sizes", 0 < len(set(self.sizes)) == len(self.sizes))

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
