"""Curvature of a network's mean loss with respect to all its weights, from Hessian-vector products.

A product H v is a double backward pass, without vmap: vmapped forward-over-reverse differentiates
library norms silently wrong (functorch #1019), and norms here are written from elementary operations.
N copies of a network are one `Network`; the Hessian of the sum of their losses is block-diagonal, so one
double backward gives N products at once, and the first derivative's graph serves any number of them.
Weights and directions are flat: (N, p) for N networks of p parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.shared.products import product
from ddcore.base import execution, rng
from ddcore.nets.network import Network, Weights
from ddcore.nets.plan import cost
from ddcore.training import chunks
from ddcore.training.losses import cross_entropy
from ddcore.training.steps import batch_parts

GRAPH = 6  # floats a product holds, in activations: 2.3 are kept (measured), the rest come and go
CPU_FLOATS_AT_ONCE = 1 << 28  # in such graphs
VECTOR_FLOATS = 1 << 26  # in directions, and in copies of weights, that are used together
AGREED = 0.01  # of the largest eigenvalue, by which estimates of one may disagree
FEWER = 0.75  # of the steps, in the estimates that are held against those of all steps
DEPENDENT = 1e-6  # squared sine below which directions count as one: float32 products tell no more
TOGETHER = 2000  # vectors of several starts in one matrix: a joint space has quadratic cost in them
ASYMMETRY = 0.01  # rounding stays below 1e-4; a wrong second derivative reaches 0.1


class LabelledImages(Protocol):
    """Labelled images, all of which count the same: preprocessed (b, C, H, W) and classes (b,)."""

    def __len__(self) -> int: ...

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All of them in order, `size` at a time; the last may be fewer."""
        ...


@dataclass(frozen=True)
class Images:
    """Images held as tensors: (M, C, H, W) preprocessed, and classes (M,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """See `LabelledImages`."""
        yield from zip(self.images.split(size), self.labels.split(size))


def images_at_once(network: Network, device: torch.device) -> int:
    """Networks x images in one graph: what is quick on the CPU, what fits into memory on a GPU."""
    floats = GRAPH * cost(network.plan, network.shape).activations
    if device.type == "cpu":
        return max(1, min(chunks.CPU_IMAGES_AT_ONCE, CPU_FLOATS_AT_ONCE // floats))
    return max(1, chunks.CUDA_FLOATS_AT_ONCE // floats)


def flat(values: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    """Stacked tensors (N, ...), in the order of the weights, as (N, p)."""
    return torch.cat([v.flatten(1) for v in values], dim=1)


def shaped(vectors: Tensor, like: list[Tensor]) -> list[Tensor]:
    """(N, p) as views in the shapes of the stacked weights `like`."""
    parts = vectors.split([w[0].numel() for w in like], dim=1)
    return [part.view(-1, *w.shape[1:]) for part, w in zip(parts, like)]


def copies(weights: Weights, count: int) -> Weights:
    """One network's stacked weights (1, ...) as (count, ...)."""
    return {name: w.expand(count, *w.shape[1:]).contiguous() for name, w in weights.items()}


def hvp(
    network: Network,
    weights: Weights,
    vectors: Tensor,
    source: LabelledImages,
    stats: Weights | None = None,
    *,
    chunk: int = 0,
    tick: Callable[[int], None] = lambda images: None,
    work: float = 0.0,
) -> Tensor:
    """Products of N networks' Hessians with S directions each: (S, N, p) to (S, N, p).

    The Hessian of network n is that of its mean loss over `source`, summed over chunks of `chunk` images
    (0: as many as fit) by their share. Batch norms use the running statistics `stats`, since only then is
    the loss a mean over images. `tick` hears how many images have been through a product; `work` are the
    multiply-adds of all such products to come, by which it is decided whether they are worth compiling.
    Cost: a forward and backward pass, and about two of each for every one of the S directions.
    """
    assert not network.fused_norm, "norms must be written from elementary operations"
    leaves = {name: w.detach().requires_grad_() for name, w in weights.items()}
    order = list(leaves.values())
    directions = [shaped(v, order) for v in vectors]
    chunk = chunk or max(1, images_at_once(network, vectors.device) // network.num_nets)
    out = torch.zeros_like(vectors)
    held = [w.detach() for w in network.in_order(leaves, stats)]
    along = [network.in_order(dict(zip(leaves, d))) for d in directions]
    step = execution.step(product, network, total=work)
    for images, labels in source.batches(chunk):
        parts = batch_parts(network, images, labels)
        if step.compiles(*held, *along[0], *parts[0]):
            for s, direction in enumerate(along):
                for x, y in parts:
                    named = dict(zip(network.names, step(*held, *direction, x, y)))
                    out[s] += flat([named[name] for name in leaves]) * (len(y) / len(source))
                tick(len(labels) * network.num_nets)
            continue
        loss = cross_entropy(network.logits(leaves, images, stats, training=False), labels)
        share = len(labels) / len(source)
        gradient = torch.autograd.grad(loss * share, order, create_graph=True)
        last = len(directions) - 1
        for s, direction in enumerate(directions):
            found = torch.autograd.grad(
                gradient, order, direction, retain_graph=s < last, materialize_grads=True
            )
            out[s] += flat(found)
            tick(len(labels) * network.num_nets)
    return out


@dataclass(frozen=True)
class MeanLoss:
    """The mean loss of one network, as (1, ...) weights, over a source: a function of p parameters.

    `tick` and `work` are those of `hvp`.
    """

    network: Network
    weights: Weights
    source: LabelledImages
    stats: Weights
    tick: Callable[[int], None] = lambda images: None
    work: float = 0.0

    @property
    def size(self) -> int:
        """How many parameters."""
        return sum(w[0].numel() for w in self.weights.values())

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(iter(self.weights.values())).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and so of the products."""
        return next(iter(self.weights.values())).dtype

    def products(self, vectors: Tensor) -> Tensor:
        """H times each of (P, p). Few images are shared by many copies, many images by none."""
        count = len(vectors)
        fit = images_at_once(self.network, self.device) // len(self.source)
        rounds = -(-count // max(1, min(fit, VECTOR_FLOATS // self.size)))
        nets = -(-count // rounds)
        padded = F.pad(vectors.to(self.dtype), (0, 0, 0, rounds * nets - count))
        found = hvp(
            self.network.with_nets(nets),
            copies(self.weights, nets),
            padded.view(rounds, nets, -1),
            self.source,
            copies(self.stats, nets),
            tick=self.tick,
            work=self.work,
        )
        return found.flatten(0, 1)[:count].to(vectors.dtype)


# --- trace ----------------------------------------------------------------------------------------


def rademacher(seed: int, numbers: range, size: int, device: torch.device) -> Tensor:
    """Probes of +1 and -1, (P, size): probe i comes from its own stream, whoever else is drawn."""
    drawn = [
        torch.randint(0, 2, (size,), generator=rng.generator(seed, "probe", i), dtype=torch.int8)
        for i in numbers
    ]
    return 2 * torch.stack(drawn).to(device).float() - 1


@dataclass(frozen=True)
class Trace:
    """Hutchinson's estimate: v.Hv of every probe (P,), whose expectation is the trace of H.

    `asymmetry` is |u.Hv - v.Hu| of the first two probes, over the geometric mean of |Hu| and |Hv|, which is
    as large as u.Hv usually is: near 0 if and only if the products are those of a symmetric matrix.
    """

    samples: Tensor
    asymmetry: float

    @property
    def value(self) -> float:
        """Mean over the probes."""
        return float(self.samples.mean())

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return float(self.samples.std() / math.sqrt(len(self.samples)))


def trace(loss: MeanLoss, probes: int, seed: int) -> Trace:
    """Trace of the Hessian by `probes` fixed probes (Hutchinson 1990), at least 2.

    The number of probes is fixed: stopping once the running mean hardly changes, as PyHessian does, gives
    wrong traces. The same seed gives every loss of so many parameters the same probes.
    """
    at_once = max(2, VECTOR_FLOATS // loss.size)
    samples, asymmetry = [], 0.0
    for first in range(0, probes, at_once):
        numbers = range(first, min(first + at_once, probes))
        vectors = rademacher(seed, numbers, loss.size, loss.device).to(loss.dtype)
        products = loss.products(vectors)
        samples.append((vectors.double() * products.double()).sum(1).cpu())
        if first == 0:
            (u, v), (hu, hv) = vectors[:2].double(), products[:2].double()
            scale = (hu.norm() * hv.norm()).sqrt()
            asymmetry = float((u @ hv - v @ hu).abs() / scale) if scale > 0 else 0.0
    return Trace(torch.cat(samples), asymmetry)


def fisher_trace(loss: MeanLoss) -> float:
    """Trace of the empirical Fisher matrix: mean squared norm of the gradient of each image's own loss.

    Each image gets a copy of the network. Never negative; equal to the trace of the Gauss-Newton part of
    the Hessian in expectation over labels that the network itself draws.
    """
    fit = min(images_at_once(loss.network, loss.device), VECTOR_FLOATS // loss.size)
    total = 0.0
    for images, labels in loss.source.batches(max(1, fit)):
        count = len(labels)
        leaves = [w.requires_grad_() for w in copies(loss.weights, count).values()]
        outputs = loss.network.with_nets(count).logits(
            dict(zip(loss.weights, leaves)),
            images.unsqueeze(1),
            copies(loss.stats, count),
            training=False,
        )
        found = torch.autograd.grad(cross_entropy(outputs, labels.unsqueeze(1)), leaves)
        total += sum(float(g.double().square().sum()) for g in found)
        loss.tick(count)
    return total / len(loss.source)


# --- eigenvalues and spectral density -------------------------------------------------------------


@dataclass(frozen=True)
class Spectrum:
    """What Lanczos knows of a symmetric matrix from each of S starting vectors in m products (float64).

    `nodes` with `weights` are Gauss quadratures: sum_i w_i f(node_i) is start.f(H)start, exact for
    polynomials of degree up to 2m - 1. Their mean over random starts is the spectral density.

    A bound says that *some* eigenvalue is near a node, not which: it may be the next one, where one was
    skipped. Estimates of the k-th largest are never above it, but for rounding, whatever space they are
    from. So a rank is taken as known where several spaces agree on it: that of each start, that of each
    start after `FEWER` of the steps, and `joint`, that of all starts together, which finds as many of
    equal eigenvalues as there are starts, where one start finds one.
    """

    nodes: Tensor  # (S, m) Ritz values, ascending
    weights: Tensor  # (S, m), adding up to 1
    bounds: Tensor  # (S, m): an eigenvalue lies within this distance of the node
    fewer: Tensor  # (S, n) Ritz values of the first n = FEWER * m steps, ascending
    joint: Tensor  # Ritz values of the spaces of all starts (of more than `TOGETHER` / m, the first) together

    def top(self, count: int) -> tuple[Tensor, Tensor]:
        """The largest eigenvalues (k,), descending, and how far estimates of each disagree (k,).

        Both are NaN from the first rank on which they disagree by more than `AGREED` of the largest
        absolute value: not converged. The disagreement includes the bound. One start alone is confirmed by
        nothing: all are NaN.
        """
        return self._agreed(count, lambda values: values.flip(-1), self.bounds.flip(-1))

    def lowest(self) -> tuple[float, float]:
        """The smallest eigenvalue and the disagreement, likewise; NaN where not converged."""
        value, apart = self._agreed(1, lambda values: -values, self.bounds)
        return -float(value), float(apart)

    def _agreed(
        self, count: int, descending: Callable[[Tensor], Tensor], bounds: Tensor
    ) -> tuple[Tensor, Tensor]:
        every = torch.full((2 * len(self.nodes) + 1, count), -math.inf, dtype=self.nodes.dtype)
        for row, values in zip(every, (*self.nodes, *self.fewer, self.joint)):
            found = descending(values)[:count]
            row[: len(found)] = found
        best = every.amax(0)  # all are from below
        apart = torch.maximum(best - every.amin(0), bounds[:, :count].amax(0))
        known = apart <= AGREED * self.nodes.abs().max()
        known = (known & (len(self.nodes) > 1)).cumprod(0).bool()
        return best.where(known, math.nan), apart.where(known, math.nan)

    def moment(self, power: int) -> float:
        """Estimate of the mean of the eigenvalues' powers: trace(H^power) / p."""
        return float((self.weights * self.nodes**power).sum(1).mean())


def lanczos(products: Callable[[Tensor], Tensor], starts: Tensor, steps: int) -> Spectrum:
    """`steps` Lanczos steps with full reorthogonalisation from several starts (S, p) at once.

    `products` maps (S, p) to H times each row. Bounds are those of the recurrence (Parlett 1980, 4.4);
    rounding of the products, about 1e-6 of the largest eigenvalue in float32, comes on top. Where a start's
    space is exhausted it goes on with a fresh direction, which has no weight in the quadrature.
    Cost: S x steps products and 2 S steps p numbers. Density: Ubaru, Chen & Saad 2017.
    """
    starts = starts.double()
    count, size = starts.shape
    steps = min(steps, size)
    fresh = rng.generator(0, "lanczos")
    basis = starts.new_zeros(count, steps + 1, size)
    diagonal, off = starts.new_zeros(count, steps), starts.new_zeros(count, steps)
    v = starts / starts.norm(dim=1, keepdim=True)
    for j in range(steps):
        basis[:, j] = v
        w = products(v)
        diagonal[:, j] = (v * w).sum(1)
        w = _orthogonal(w, basis[:, : j + 1])
        off[:, j] = w.norm(dim=1)
        scale = diagonal.abs().amax(1) + off.amax(1)
        ended = off[:, j] <= 1e-12 * scale
        if bool(ended.any()) and j + 1 < steps:
            off[ended, j] = 0.0
            draw = torch.randn(count, size, generator=fresh, dtype=torch.float64).to(v.device)
            w = torch.where(ended[:, None], _orthogonal(draw, basis[:, : j + 1]), w)
        v = w / w.norm(dim=1, keepdim=True).clamp_min(1e-300)
    basis[:, steps] = v
    inner = off[:, :-1]
    matrix = torch.diag_embed(diagonal) + torch.diag_embed(inner, 1) + torch.diag_embed(inner, -1)
    together = max(1, TOGETHER // steps)
    joint = _joint(basis[:together], matrix[:together], off[:together, -1])
    matrix = matrix.cpu()
    nodes, vectors = torch.linalg.eigh(matrix)
    bounds = off[:, -1:].cpu() * vectors[:, -1].abs()
    first = max(1, round(FEWER * steps))
    fewer = torch.linalg.eigvalsh(matrix[:, :first, :first])
    return Spectrum(nodes, vectors[:, 0].square(), bounds, fewer, joint)


def _joint(basis: Tensor, matrix: Tensor, last: Tensor) -> Tensor:
    """Ritz values, ascending, of the spaces of all starts together, without further products.

    From the recurrence H V = V T + last v_(m+1) of each start: `basis` (S, m + 1, p), `matrix` T (S, m, m),
    `last` (S,). Directions that the starts have in common but for `DEPENDENT` count once.
    """
    count, steps = matrix.shape[:2]
    images = F.pad(matrix, (0, 1))  # rows: H v_j in terms of the basis, (S, m, m + 1)
    images[:, -1, -1] = last
    own = basis[:, :-1].flatten(0, 1)
    inner = own @ basis.flatten(0, 1).T  # (S m, S (m + 1))
    form = (inner @ torch.block_diag(*images).T).cpu()
    overlap = inner.view(-1, count, steps + 1)[:, :, :-1].flatten(1).cpu()
    sizes, axes = torch.linalg.eigh(overlap)
    kept = sizes > DEPENDENT
    axes = axes[:, kept] / sizes[kept].sqrt()
    reduced = axes.T @ form @ axes
    return torch.linalg.eigvalsh((reduced + reduced.T) / 2)


def _orthogonal(w: Tensor, basis: Tensor) -> Tensor:
    """(S, p) without what lies in the span of each (S, j, p); twice, since once is not exact."""
    for _ in range(2):
        w = w - torch.einsum("sjp,sj->sp", basis, torch.einsum("sjp,sp->sj", basis, w))
    return w


def spectrum(loss: MeanLoss, starts: int, steps: int, seed: int) -> Spectrum:
    """Largest eigenvalues and density of a Hessian from `starts` random directions, `steps` products each."""
    directions = torch.stack(
        [torch.randn(loss.size, generator=rng.generator(seed, "start", i)) for i in range(starts)]
    )
    return lanczos(loss.products, directions.to(loss.device), steps)
