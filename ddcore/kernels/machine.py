"""Kernel machines: ridge regression trained on a set in closed form, used like trained networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.data.tensors import DeviceData, Part
from ddcore.kernels import feature_maps, ntk, random_features, ridge
from ddcore.kernels.feature_maps import FeatureMap
from ddcore.kernels.spec import KernelSpec
from ddcore.nets.network import Network, shape_of
from ddcore.nets.plan import Shape
from ddcore.training.trained import Images, Trained, in_batches

RIDGES = tuple(10.0**e for e in range(-7, 4))  # from which a set without its own takes the best
WHOLE_IMAGES = 6000  # of a kernel machine trained on real data; its matrix has their square

KernelFunction = Callable[[Tensor, Tensor], Tensor]
Outputs = Callable[[Tensor], Tensor]  # images (B, C, H, W) -> (N, B, K)


def feature_map(kernel: KernelSpec, inputs: int) -> FeatureMap:
    """The map that a spec describes, for images of `inputs` numbers."""
    widths = [kernel.width or inputs] * kernel.depth
    if kernel.kind == "linear":
        return feature_maps.LinearMap(inputs)
    if kernel.kind == "fcnn":
        return feature_maps.FCNN.make(
            inputs, widths, orthogonal=kernel.orthogonal, seed=kernel.seed
        )
    if kernel.kind == "rff":
        width = kernel.width or inputs
        return feature_maps.RFF.make(inputs, width, variance=kernel.variance, seed=kernel.seed)
    widths = [kernel.width or inputs * 3 // 2] * kernel.depth
    return feature_maps.Affine.make(inputs, widths, bias_std=kernel.bias, seed=kernel.seed)


def kernel_function(
    kernel: KernelSpec, shape: Shape, classes: int, seed: int, device: torch.device
) -> KernelFunction:
    """K(x, y) (n, m), float64, of images (n, C, H, W) and (m, C, H, W); `seed` draws random networks."""
    if kernel.random:
        network = Network(kernel.drawn, shape, classes, kernel.nets)
        weights = random_features.draw(network, rng.generator(seed, "random features"), device)

        def of_features(x: Tensor, y: Tensor) -> Tensor:
            psi_x, psi_y = (
                random_features.features(network, weights, z.to(torch.float32)) for z in (x, y)
            )
            return random_features.kernel(psi_x, psi_y)

        return of_features
    name = kernel.kind

    def infinite(x: Tensor, y: Tensor) -> Tensor:
        return getattr(ntk.fc_kernels(x.flatten(1), y.flatten(1), depth=kernel.depth), name)

    return infinite


@dataclass(frozen=True, eq=False)
class Machines(Trained):
    """N machines, each trained on a set of its own or with a random kernel of its own."""

    outputs: Outputs
    device: torch.device
    images: int  # that each was trained on
    ridge: float

    def logits_in_batches(self, images: Images, batch: int = 2000) -> list[Tensor]:
        """Outputs (N, b, K) per batch, on the CPU."""
        with torch.no_grad():
            return [self.outputs(x.to(self.device)).cpu() for x in in_batches(images, batch)]

    @property
    def module(self) -> torch.nn.Module:
        """The first machine as a module that maps preprocessed images to outputs."""
        return _Module(self.outputs)


class _Module(torch.nn.Module):
    def __init__(self, outputs: Outputs) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, images: Tensor) -> Tensor:
        return self.outputs(images)[0]


def stored_map(
    kernel: KernelSpec, arrays: dict[str, np.ndarray], device: str | torch.device
) -> FeatureMap | None:
    """The map kept with a set made for it, as "phi.*" among its exact arrays."""
    own = {k.removeprefix("phi."): a for k, a in arrays.items() if k.startswith("phi.")}
    return feature_maps.from_arrays(kernel.kind, own, device) if own else None


def targets(kernel: KernelSpec, labels: Tensor, classes: int) -> Tensor:
    """What is regressed on (M, K), float64: one-hot rows, centred (minus 1 / K) for kernels.

    Rows (M, K) count as they are, but for the centre; maps follow Chen et al. 2024, kernels KIP.
    """
    centre = 0.0 if kernel.explicit else 1 / classes
    if labels.is_floating_point():
        return labels.double() - centre
    return ridge.targets(labels, classes) - centre


def train(
    kernel: KernelSpec,
    images: Tensor,
    labels: Tensor,
    classes: int,
    seeds: Sequence[int],
    phi: FeatureMap | None = None,
) -> Machines:
    """Machines on images (M, C, H, W), or (N, M, C, H, W) with a set of its own for each seed.

    Labels (M,), (M, K), or (N, M, K) for each seed. One machine if neither the sets nor the kernel differ
    by seed. `phi` is a map kept with the set, else it is drawn from the kernel's seed.
    """
    device = images.device
    if images.ndim == 4 and not kernel.random:
        seeds = seeds[:1]
    sets = images if images.ndim == 5 else images.expand(len(seeds), *images.shape)
    wanted = _for_each(targets(kernel, labels.to(device), classes), len(sets))
    if kernel.explicit:
        phi = phi or feature_map(kernel, sets[0, 0].numel()).to(device)
        weights = [ridge.fit(phi(x.flatten(1)), y, kernel.ridge) for x, y in zip(sets, wanted)]
        outputs = linear_outputs(phi, torch.stack(weights))
    else:
        each = [_solved(kernel, x, y, classes, s) for x, y, s in zip(sets, wanted, seeds)]
        outputs = _joined(each)
    return Machines(outputs, device, images.shape[-4], kernel.ridge)


def _for_each(wanted: Tensor, count: int) -> Tensor:
    """Targets (count, M, K): the same (M, K) for all sets, or those of each."""
    return wanted if wanted.ndim == 3 else wanted.expand(count, *wanted.shape)


def linear_outputs(phi: FeatureMap, weights: Tensor) -> Outputs:
    """f(x) = W phi(x), of weights (N, k, p)."""
    return lambda images: phi(images.flatten(1)) @ weights.mT


def _joined(each: list[Outputs]) -> Outputs:
    return lambda images: torch.stack([outputs(images) for outputs in each])


def _solved(
    kernel: KernelSpec, support: Tensor, labels: Tensor, classes: int, seed: int
) -> Outputs:
    """f(x) = K(x, support) (K + rho I)^-1 labels."""
    function = kernel_function(kernel, shape_of(support), classes, seed, support.device)
    k_ss = function(support, support)
    identity = torch.eye(len(k_ss)).to(k_ss)
    solved = ridge.kernel_predict(identity, k_ss, labels, ntk.ridge_of(k_ss, kernel.ridge))
    return lambda images: function(images, support) @ solved


def best_ridge(
    kernel: KernelSpec,
    images: Tensor,
    labels: Tensor,
    classes: int,
    seeds: Sequence[int],
    val: Part,
    ridges: Sequence[float] = RIDGES,
) -> KernelSpec:
    """The kernel at the ridge with which these sets do best on validation data; the largest of equals.

    Every set is decomposed once for all ridges.
    """
    ridges = tuple(sorted({*ridges, kernel.ridge}))
    device = images.device
    if images.ndim == 4 and not kernel.random:
        seeds = seeds[:1]
    sets = images if images.ndim == 5 else images.expand(len(seeds), *images.shape)
    wanted = _for_each(targets(kernel, labels.to(device), classes), len(sets))
    if kernel.explicit:
        phi = feature_map(kernel, sets[0, 0].numel()).to(device)
        weights = torch.stack(
            [_map_path(phi(x.flatten(1)), y, ridges) for x, y in zip(sets, wanted)]
        )
        outputs = linear_outputs(phi, weights.flatten(0, 1))
    else:
        outputs = _joined(
            [_kernel_path(kernel, x, y, ridges, classes, s) for x, y, s in zip(sets, wanted, seeds)]
        )
    right = torch.zeros(len(ridges), dtype=torch.int64)
    for x, y in val.batches(2048):
        called = outputs(x).argmax(-1).view(-1, len(ridges), len(y))  # (sets, ridges, B)
        right += (called == y).sum((0, 2)).cpu()
    best = max(range(len(ridges)), key=lambda i: (right[i].item(), ridges[i]))
    return kernel.replace(ridge=ridges[best])


def _map_path(features: Tensor, wanted: Tensor, ridges: Sequence[float]) -> Tensor:
    """Weights (ridges, K, p) from features (m, p) and targets (m, K)."""
    left, values, right = torch.linalg.svd(features, full_matrices=False)
    keep = values > ridge.cut_off(features.shape, values)
    shrunk = [torch.where(keep, values / (values.square() + r), 0) for r in ridges]
    return (wanted.T @ left) * torch.stack(shrunk)[:, None] @ right


def _kernel_path(
    kernel: KernelSpec,
    support: Tensor,
    wanted: Tensor,
    ridges: Sequence[float],
    classes: int,
    seed: int,
) -> Outputs:
    """Outputs (ridges, B, K) of machines trained on one set at all ridges."""
    function = kernel_function(kernel, shape_of(support), classes, seed, support.device)
    k_ss = function(support, support)
    values, vectors = torch.linalg.eigh(k_ss)
    floor = len(k_ss) * ridge.EPS * values.max()  # rounding, which a ridge of 0 would blow up
    mean = k_ss.diagonal().mean()
    shrunk = torch.stack([1 / (values.clamp(min=floor) + r * mean) for r in ridges])
    solved = (vectors * shrunk[:, None]) @ (vectors.T @ wanted)  # (ridges, m, K)
    return lambda images: function(images, support) @ solved


def train_on_everything(
    kernel: KernelSpec,
    data: DeviceData,
    seeds: Sequence[int],
    check: Callable[[], None] = lambda: None,
) -> Machines:
    """Machines on all real training images, at the ridge best on validation data: the kernel's ceiling.

    A map's model takes the data in batches. A kernel's needs a matrix of all pairs, so of more than
    `WHOLE_IMAGES` images it sees a random part with the same number of each class.
    """
    count = data.num_classes
    if kernel.explicit:
        phi = feature_map(kernel, data.train.images[0].numel()).to(data.device)
        choice = fit_everything(phi, data, grid_of(kernel), check)
        outputs = linear_outputs(phi, choice.weights[None])
        return Machines(outputs, data.device, len(data.train), choice.lam)
    indices = torch.arange(len(data.train))
    if len(indices) > WHOLE_IMAGES:
        each = WHOLE_IMAGES // count
        generator = rng.generator(0, "whole kernel")
        rows = [m.cpu()[torch.randperm(len(m), generator=generator)] for m in data.class_indices]
        indices = torch.cat([r[:each] for r in rows])
    images, labels = data.batch(indices), data.train.labels[indices.to(data.device)]
    ridges = tuple(10.0**e for e in (-6, -4, -3, -2))
    best = best_ridge(kernel, images, labels, count, seeds[:1], data.val, ridges)
    return train(best, images, labels, count, seeds)


def grid_of(kernel: KernelSpec) -> tuple[float, ...]:
    """The lambdas that are tried on validation data."""
    return ridge.GRID_LINEAR if kernel.kind == "linear" else ridge.GRID


def fit_everything(
    phi: FeatureMap,
    data: DeviceData,
    grid: Sequence[float],
    check: Callable[[], None] = lambda: None,
) -> ridge.ChosenRidge:
    """Ridge regression on the features of all training images, in batches; lambda by validation data."""
    count = data.num_classes

    def batches(part: Part, targets: bool) -> ridge.LabelledBatches:
        for images, labels in part.batches(2048):
            check()
            yield images, ridge.targets(labels, count) if targets else labels

    gram = ridge.accumulate(phi, batches(data.train, True), phi.features, count)
    check()
    return ridge.choose(gram.path(), phi, batches(data.val, False), grid)
