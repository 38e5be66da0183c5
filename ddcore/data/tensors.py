"""A dataset on a device: batches by index, class-balanced draws. No worker processes, no global state."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import torch

from ddcore.base.placing import placed
from ddcore.data.dataset import Dataset
from ddcore.data.preprocess import Preprocess

# A part that is smaller than this as float32 is preprocessed once, on first use. Measured on two
# cores: 256 MNIST images take 0.2 ms so and 0.4 ms otherwise; 256 whitened CIFAR images 2 and 23 ms.
FLOAT_BYTES = 256 << 20
FLOAT_BYTES_ZCA = 1 << 30


class Part:
    """One part (training, validation or test): labels int64 `(N,)` and preprocessed images on demand."""

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        preprocessing: Preprocess,
        device: str | torch.device,
        float_bytes: int | None = None,
    ) -> None:
        if float_bytes is None:
            float_bytes = FLOAT_BYTES_ZCA if preprocessing.whitens else FLOAT_BYTES
        self.preprocessing = preprocessing
        self.images = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        self.labels = torch.from_numpy(np.ascontiguousarray(labels)).to(device)
        self._small = 4 * self.images.numel() <= float_bytes

    def __len__(self) -> int:
        return len(self.labels)

    @functools.cached_property
    def _floats(self) -> torch.Tensor | None:
        if not self._small:
            return None
        out = torch.empty(self.images.shape, device=self.images.device)
        for start in range(0, len(self), 2048):
            block = slice(start, start + 2048)
            out[block] = self.preprocessing.forward(self.images[block])
        return out

    def batch(self, indices: torch.Tensor) -> torch.Tensor:
        """Preprocessed float32 `(len(indices), C, H, W)`; indices may live on any device."""
        indices = placed(indices, self.images.device)
        if self._floats is not None:
            return self._floats[indices]
        return self.preprocessing.forward(self.images[indices])

    def batches(self, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All (images, labels) in their order, `size` at a time; the last may be shorter."""
        for start in range(0, len(self), size):
            block = slice(start, start + size)
            floats = self._floats
            images = (
                self.preprocessing.forward(self.images[block]) if floats is None else floats[block]
            )
            yield images, self.labels[block]


class DeviceData:
    """The three parts of a dataset on one device; drawing is from the training part.

    Draws use an explicit CPU generator, so they are the same on every device.
    """

    def __init__(
        self,
        dataset: Dataset,
        device: str | torch.device = "cpu",
        float_bytes: int | None = None,
    ) -> None:
        self.dataset, self.device = dataset, torch.device(device)
        self.preprocessing = dataset.preprocessing

        def part(images: np.ndarray, labels: np.ndarray) -> Part:
            return Part(images, labels, self.preprocessing, device, float_bytes)

        self.train = part(dataset.train_images, dataset.train_labels)
        self.val = part(dataset.val_images, dataset.val_labels)
        self.test = part(dataset.test_images, dataset.test_labels)
        self.num_classes = dataset.num_classes
        order = np.argsort(dataset.train_labels, kind="stable")
        counts = np.bincount(dataset.train_labels, minlength=self.num_classes)
        # On the CPU, where draws are made: all indices sorted by class, and where each class starts.
        self._order = torch.from_numpy(order)
        self._counts = torch.from_numpy(counts)
        self._starts = torch.from_numpy(np.cumsum(counts) - counts)
        self._class_labels = torch.arange(self.num_classes, device=self.device)
        self.class_indices = self._order.to(self.device).split(counts.tolist())

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.dataset.shape

    def batch(self, indices: torch.Tensor) -> torch.Tensor:
        """Preprocessed training images `(len(indices), C, H, W)`."""
        return self.train.batch(indices)

    def sample_per_class(
        self, n: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`n` training images of every class, drawn with replacement and sorted by class.

        Returns float32 `(K * n, C, H, W)` and labels `(K * n,)`.
        """
        # One draw for all classes: a 62-bit number modulo a class size is uniform for all purposes.
        draws = torch.randint(1 << 62, (self.num_classes, n), generator=generator)
        places = draws % self._counts[:, None] + self._starts[:, None]
        return self.batch(self._order[places.flatten()]), self._class_labels.repeat_interleave(n)

    def minibatch(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """`n` training images and labels, drawn uniformly with replacement."""
        indices = placed(torch.randint(len(self.train), (n,), generator=generator), self.device)
        return self.batch(indices), self.train.labels[indices]
