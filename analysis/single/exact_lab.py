"""Exact distillation recomputed at once: move a slider, and see whether the model comes back.

Small data only (digits: about 10 ms a trial); large data are for runs of the method krr-exact. Imports torch.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data.dataset import Dataset
from ddcore.data.tensors import DeviceData
from ddcore.distil.engines import krr_exact
from ddcore.kernels import machine, ridge
from ddcore.kernels.spec import KernelSpec

ERROR_POINTS = tuple(range(1, 21))  # of the curve over the number of images


@dataclass(frozen=True)
class Trial:
    """What is asked: `points` images from `start` noise or real; `lam` 0 takes the best on validation data.

    `share` is lambda_S as a share of its bound (above 1 it is refused); `root` counts for share > 0.
    """

    points: int = 10
    start: str = "noise"
    lam: float = 0.0
    share: float = 0.0
    root: str = "+"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class TrialOutcome:
    """What came of it. `refused` is the reason where nothing could be made; then the rest is empty."""

    lam: float
    whole_accuracy: float  # of the model of all data, on test images
    refused: str = ""
    lambda_s: float = 0.0
    bound: float = float("inf")
    pixels: np.ndarray = field(default_factory=lambda: np.zeros((0, 1, 1, 1)))  # (m, C, H, W)
    classes: tuple[int, ...] = ()  # largest label of each image
    labels: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)))  # (m, k)
    accuracy: float = 0.0  # of the model of the set
    check: krr_exact.Check | None = None
    diagnostics: krr_exact.Diagnostics | None = None


class Lab:
    """One dataset and one feature map; the model of all data is fitted once."""

    def __init__(self, dataset: Dataset, kernel: KernelSpec) -> None:
        torch.set_num_threads(1)  # tiny matrices: a second thread costs more than it gains
        self.data, self.kernel = DeviceData(dataset), kernel
        self.classes = dataset.num_classes
        self.phi = machine.feature_map(kernel, dataset.train_images[0].size)
        count = self.classes
        batches = ((x, ridge.targets(y, count)) for x, y in self.data.train.batches(2048))
        gram = ridge.accumulate(self.phi, batches, self.phi.features, count)
        self.path = gram.path()
        val = list(self.data.val.batches(2048))
        grid = machine.grid_of(kernel)
        self.choice = ridge.choose(self.path, self.phi, val, grid)
        self.test = torch.cat([x for x, _ in self.data.test.batches(2048)]).flatten(1)

    @property
    def most_points(self) -> int:
        """As many as every class has images for."""
        return int(np.bincount(self.data.dataset.train_labels).min()) * self.classes

    @functools.cached_property
    def _order(self) -> Tensor:
        """Training images that go round the classes."""
        labels = self.data.train.labels
        generator = rng.generator(0, "real points")
        return krr_exact.cycle_classes(labels, self.classes, self.most_points, generator)

    def model(self, lam: float) -> tuple[Tensor, float]:
        """Weights (k, p) of all data, and their lambda."""
        if lam:
            return self.path.weights(lam), lam
        return self.choice.weights, self.choice.lam

    def accuracy(self, weights: Tensor) -> float:
        """On test images."""
        called = ridge.predict(self.phi(self.test), weights).argmax(1)
        return (called == self.data.test.labels).double().mean().item()

    def run(self, trial: Trial) -> TrialOutcome:
        """Construct, train on what was constructed, compare."""
        weights, lam = self.model(trial.lam)
        whole = self.accuracy(weights)
        try:
            made = self._made(weights, trial)
        except SpecError as error:
            return TrialOutcome(lam, whole, refused=str(error))
        generator = rng.generator(trial.seed, "verify")
        check = krr_exact.verify(made, weights, self.phi, generator, self.test)
        images = made.images.unflatten(1, self.data.shape).numpy()
        return TrialOutcome(
            lam=lam,
            whole_accuracy=whole,
            lambda_s=made.lambda_s,
            bound=made.diagnostics.bound,
            pixels=self.data.preprocessing.inverse(images.astype(np.float32)),
            classes=tuple(made.labels.argmax(1).tolist()),
            labels=made.labels.numpy(),
            accuracy=self.accuracy(krr_exact.train(made, self.phi)),
            check=check,
            diagnostics=made.diagnostics,
        )

    def errors(self, trial: Trial, points: tuple[int, ...] = ERROR_POINTS) -> list[float]:
        """Relative weight error for each number of images, all else equal and lambda_S = 0."""
        return self._errors(trial.lam, trial.start, trial.seed, points)

    @functools.lru_cache(maxsize=32)  # noqa: B019 (labs are few and kept by the page)
    def _errors(self, lam: float, start: str, seed: int, points: tuple[int, ...]) -> list[float]:
        weights, _ = self.model(lam)
        found = []
        for m in points:
            made = self._made(weights, Trial(points=m, start=start, seed=seed))
            trained = krr_exact.train(made, self.phi)
            found.append(((trained - weights).norm() / weights.norm()).item())
        return found

    def _made(self, weights: Tensor, trial: Trial) -> krr_exact.Constructed:
        make = functools.partial(self._construct, weights, trial)
        free = make(lambda_s=0.0, root="+")
        if not trial.share:
            return free
        # The bound belongs to a set, and from real images a set depends on lambda_S: a step towards it.
        return make(lambda_s=trial.share * free.diagnostics.bound, root=trial.root)

    def _construct(
        self, weights: Tensor, trial: Trial, lambda_s: float, root: str
    ) -> krr_exact.Constructed:
        real = None
        if trial.start == "real":
            real = self.data.batch(self._order[: trial.points]).flatten(1)
        return krr_exact.construct(
            weights,
            self.phi,
            trial.points,
            start=trial.start,
            real=real,
            lambda_s=lambda_s,
            root=root,
            generator=rng.generator(trial.seed, "noise"),
        )
