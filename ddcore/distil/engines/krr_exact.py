"""Exact distillation of ridge regression in closed form (Chen, Huang & Weng, NeurIPS 2024).

From the weights W (k, p) of a model f(x) = W phi(x) it makes m images with labels, such that ridge
regression on them gives W again. Rows are samples here, columns in the paper: labels (m, k) are Y_S',
features (m, p) Phi_S'. In the paper's terms:

    D = Y_S^+ W + (I - Y_S^+ Y_S) Z       all matrices with Y_S D = W, one for each Z
    D = V diag(sigma) U'                  the regularised pseudo-inverse that the features must have
    Phi_S = U diag(s) V'                  with s / (s^2 + lambda_S) = sigma, two roots
    X_S = phi^-1(Phi_S)

possible if and only if the labels can carry W (Y_S Y_S^+ W = W) and lambda_S <= 1 / (4 sigma_max^2).

Affine features (phi(x) = B x + a with more features than pixels) lie on a plane, q'phi = 1. That is the
same task with one more output: weights q, label 1. So it takes k + 1 points, and lambda_S = 0.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.base.errors import SpecError
from ddcore.kernels import ridge
from ddcore.kernels.feature_maps import FeatureMap

STARTS = ("noise", "real")
ROOTS = ("+", "-")
NOISE = 0.1  # of Z, relative to the spread of Y_S^+ W (the authors' code)
RANK = 1e-10  # directions of W below this share of its largest one are rounding
EXACT = 1e-8  # relative error of the weights up to which a set is called exact
CHUNK = 4096


@dataclass(frozen=True)
class Diagnostics:
    """What theory says of a set before anything is trained on it; `verify` says what rounding leaves.

    residual is the share of W (with q, for affine features) that the labels cannot carry; for
    surjective features it is the relative error to expect. `bound` is the largest lambda_S for this D,
    before features are shrunk by `scale`. `moved` is the relative distance of the images from the
    real ones they start from (0: real images with new labels), None for noise.
    """

    guaranteed: bool
    reason: str
    rank_weights: int
    rank: int  # of D, and so of the features
    condition: float  # largest by smallest singular value of D, zeros left out
    bound: float
    residual: float
    scale: float
    soft_labels: bool  # anything but plain one-hot rows (times `scale`)
    moved: float | None


@dataclass(frozen=True, eq=False)
class ExactSet:
    """images (m, d) and labels (m, k), float64; to be trained on with `lambda_s` and the same phi."""

    images: Tensor
    labels: Tensor
    lambda_s: float
    root: str
    start: str


@dataclass(frozen=True, eq=False)
class Constructed(ExactSet):
    """A set as it comes from `construct`, with what theory says of it."""

    diagnostics: Diagnostics


def construct(
    weights: Tensor,
    phi: FeatureMap,
    points: int,
    *,
    start: str = "noise",
    real: Tensor | None = None,
    labels: Tensor | None = None,
    lambda_s: float = 0.0,
    root: str = "+",
    generator: torch.Generator,
) -> Constructed:
    """A set of `points` images on which ridge regression with `lambda_s` gives `weights` (k, p).

    `start` "noise" draws Z from `generator` (Gaussian), "real" keeps D as near as possible to that of
    the images `real` (points, d); where those already carry the model they stay as they are, and only
    labels are new (with `lambda_s` only while its root is below their features' singular values).
    `labels` (points, k) are chosen if not given, see `default_labels`; with a real start they are the
    model's own predictions if these can carry W. With too few points, or labels that do not fit, the
    best possible set is made and `diagnostics` says what is missing.

    Raises `SpecError` if lambda_s exceeds the bound, or if arguments do not fit together.
    """
    weights = weights.double()
    _validate(weights, phi, points, start, real, labels, lambda_s, root)
    weights, rank_weights = _cleaned(weights)
    labels, near = _start(weights, phi, points, start, real, labels, lambda_s, generator)
    d, residual = _pseudo_inverse(weights, labels, near, phi, noise=start == "noise")
    left, sigma, right = torch.linalg.svd(d, full_matrices=False)
    bound = 1 / (4 * sigma.max().item() ** 2)
    if lambda_s > bound * (1 + 1e-12):
        raise SpecError("lambda_s", lambda_s, f"at most {bound:.12g} for this set")
    sigma = torch.where(sigma > ridge.cut_off(d.shape, sigma), sigma, 0)
    features = (left * feature_values(sigma, lambda_s, root)) @ right
    if phi.span is not None:
        features = features @ phi.span.T
    scale = phi.shrink(features)
    images = phi.preimage(scale * features)
    rank = int((sigma > 0).sum())
    diagnostics = Diagnostics(
        guaranteed=residual <= EXACT / 10 and _reachable(phi, left[:, :rank]),
        reason=phi.reason,
        rank_weights=rank_weights,
        rank=rank,
        condition=(sigma[0] / sigma[rank - 1]).item(),
        bound=bound,
        residual=residual,
        scale=scale,
        soft_labels=not torch.equal(labels, ridge.targets(labels.argmax(1), labels.shape[1])),
        moved=None if start == "noise" or real is None else _relative(images, real.double()),
    )
    return Constructed(images, scale * labels, scale**2 * lambda_s, root, start, diagnostics)


def _pseudo_inverse(
    weights: Tensor, labels: Tensor, near: Tensor, phi: FeatureMap, *, noise: bool
) -> tuple[Tensor, float]:
    """D (m, p), in coordinates of the subspace that features can reach, and the share of W it misses."""
    wanted, carried = weights, labels
    if phi.unit is not None:  # one more output, which is 1 on every image
        wanted = torch.cat([weights, phi.unit[None]])
        carried = torch.cat([labels, labels.new_ones(len(labels), 1)], 1)
    inverse = torch.linalg.pinv(carried.T, rtol=RANK)  # Y_S^+ (m, k)
    if noise:
        near = near * (NOISE * (inverse @ wanted).std())
    residual = _relative(carried.T @ (inverse @ wanted), wanted)
    if phi.span is not None:
        wanted, near = wanted @ phi.span, near @ phi.span
    return near + inverse @ (wanted - carried.T @ near), residual


def _reachable(phi: FeatureMap, made: Tensor) -> bool:
    """Whether images can have these features, whose left singular vectors are `made` (m, rank)."""
    if phi.unit is None:
        return phi.exact or phi.span is not None
    ones = made.new_ones(len(made))  # q'Phi_S = 1' D D^+ is 1' only if D can make it
    return _relative(made @ (made.T @ ones), ones) <= EXACT / 10


def feature_values(sigma: Tensor, lambda_s: float, root: str) -> Tensor:
    """Singular values s with s / (s^2 + lambda_s) = sigma, 0 where sigma is 0.

    Root "-" is written as a quotient, since the difference of nearly equal numbers would lose digits.
    """
    half = (1 - 4 * lambda_s * sigma.square()).clamp(min=0).sqrt()  # below 0 by rounding only
    if root == "-":
        return 2 * lambda_s * sigma / (1 + half)
    return torch.where(sigma > 0, (1 + half) / (2 * sigma), 0)


def default_labels(weights: Tensor, phi: FeatureMap, points: int) -> Tensor:
    """Labels (m, k) that carry W (k, p) with as few points as possible.

    One-hot rows cycling through the classes. If there are fewer points than classes, W's left singular
    vectors take their place: then as many points as W's rank are enough (k - 1 with centred targets).
    Affine features need labels of which no combination is constant, so there the last label is 0.

    If W has smaller rank than k, labels are projected on its column space. What they then leave free is
    filled by Z; otherwise D and the features would have zero singular values, which rounding in a
    nonlinear preimage turns into small ones, and a pseudo-inverse into huge ones.
    """
    classes, rank = len(weights), _rank(weights)
    space = torch.linalg.svd(weights, full_matrices=False)[0]
    cycled = points if phi.unit is None else points - 1
    if cycled < classes:
        labels = space.T[:cycled]
    else:
        labels = ridge.targets(torch.arange(cycled, device=weights.device) % classes, classes)
    if rank < classes:
        labels = labels @ space[:, :rank] @ space[:, :rank].T
    return torch.cat([labels, labels.new_zeros(points - len(labels), classes)])


def cycle_classes(classes: Tensor, count: int, points: int, generator: torch.Generator) -> Tensor:
    """Indices (points,) of distinct random samples, cycling through the `count` classes (N,).

    Raises `SpecError` if a class has too few samples.
    """
    order = []
    for c in range(count):
        members = (classes.cpu() == c).nonzero().flatten()
        needed = len(range(c, points, count))
        allowed = f"so few that class {c} needs at most its {len(members)} images"
        _require("points", points, needed <= len(members), allowed)
        order.append(members[torch.randperm(len(members), generator=generator)])
    return torch.tensor([int(order[i % count][i // count]) for i in range(points)])


def _start(
    weights: Tensor,
    phi: FeatureMap,
    points: int,
    start: str,
    real: Tensor | None,
    labels: Tensor | None,
    lambda_s: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Labels (m, k), and the matrix (m, p) that D is to be near: noise, or D of the real images."""
    chosen = default_labels(weights, phi, points) if labels is None else labels.double()
    if start == "noise" or real is None:
        drawn = torch.randn(points, phi.features, generator=generator, dtype=torch.float64)
        return chosen, drawn.to(weights)
    left, values, right = torch.linalg.svd(phi(real.double()), full_matrices=False)
    keep = values > ridge.cut_off((points, phi.features), values)
    regular = values + lambda_s / values  # 1 / singular values of the regularised pseudo-inverse
    near = left * torch.where(keep, 1 / regular, 0) @ right
    # The labels nearest to giving W; with lambda_s = 0 they are its predictions, Phi W'.
    soft = left * torch.where(keep, regular, 0) @ (right @ weights.T)
    if labels is None and _rank(soft) >= _rank(weights):
        chosen = soft
    return chosen, near


def _cleaned(weights: Tensor) -> tuple[Tensor, int]:
    """W without directions that are rounding, whose inverse would drown the others; and its rank."""
    left, values, right = torch.linalg.svd(weights, full_matrices=False)
    rank = int((values > RANK * values.max()).sum())
    if rank == len(weights):
        return weights, rank
    return (left[:, :rank] * values[:rank]) @ right[:rank], rank


# --- checking -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """How far a model trained on a set is from the model it was made from. All errors are relative.

    Outputs are compared on random Gaussian images and, if given, on test images (else None): the largest
    difference by the largest output, and the share of images for which both call the same class.
    `float32` and `uint8` are errors of the weights if images (and labels, for float32) are stored so;
    uint8 means the whole set's smallest to largest value in 256 steps.
    """

    weights: float
    random_output: float
    random_agreement: float
    test_output: float | None
    test_agreement: float | None
    float32: float
    uint8: float

    @property
    def agreement(self) -> float:
        """The smaller of both shares."""
        given = (self.random_agreement, self.test_agreement)
        return min(share for share in given if share is not None)

    @property
    def exact(self) -> bool:
        """Whether nothing but rounding is left."""
        return self.weights <= EXACT and self.agreement == 1.0


def verify(
    made: ExactSet,
    weights: Tensor,
    phi: FeatureMap,
    generator: torch.Generator,
    test: Tensor | None = None,
) -> Check:
    """Train on the images through phi, and compare with `weights` (k, p). test: images (n, d)."""
    weights = weights.double()
    trained = train(made, phi)
    random = torch.randn(1000, phi.inputs, generator=generator, dtype=torch.float64).to(weights)
    random_output, random_agreement = _compare(trained, weights, phi, random)
    on_test = (None, None) if test is None else _compare(trained, weights, phi, test)
    single = dataclasses.replace(
        made, images=made.images.float().double(), labels=made.labels.float().double()
    )
    coarse = dataclasses.replace(made, images=eight_bits(made.images))
    return Check(
        weights=_relative(trained, weights),
        random_output=random_output,
        random_agreement=random_agreement,
        test_output=on_test[0],
        test_agreement=on_test[1],
        float32=_relative(train(single, phi, torch.finfo(torch.float32).eps), weights),
        uint8=_relative(train(coarse, phi), weights),
    )


def train(made: ExactSet, phi: FeatureMap, eps: float = ridge.EPS) -> Tensor:
    """W_S (k, p): ridge regression on the set's images, which knows nothing of how they were made.

    `eps` is the precision of the images.
    """
    return ridge.fit(phi(made.images), made.labels, made.lambda_s, eps)


def eight_bits(images: Tensor) -> Tensor:
    """Images after storing them as uint8, smallest value 0 and largest 255, and reading them back."""
    low, high = images.aminmax()
    step = (high - low).clamp(min=torch.finfo(images.dtype).tiny) / 255
    return ((images - low) / step).round() * step + low


def _compare(
    trained: Tensor, weights: Tensor, phi: FeatureMap, images: Tensor
) -> tuple[float, float]:
    """Largest difference of outputs by the largest output; share of equally classified images."""
    difference, largest, same = 0.0, 0.0, 0
    for part in images.split(CHUNK):
        features = phi(part)
        mine, theirs = ridge.predict(features, trained), ridge.predict(features, weights)
        difference = max(difference, (mine - theirs).abs().max().item())
        largest = max(largest, theirs.abs().max().item())
        same += int((mine.argmax(1) == theirs.argmax(1)).sum())
    return difference / largest, same / len(images)


def _relative(found: Tensor, true: Tensor) -> float:
    return ((found - true).norm() / true.norm()).item()


def _rank(matrix: Tensor) -> int:
    values = torch.linalg.svdvals(matrix)
    return int((values > RANK * values.max()).sum())


def _validate(
    weights: Tensor,
    phi: FeatureMap,
    points: int,
    start: str,
    real: Tensor | None,
    labels: Tensor | None,
    lambda_s: float,
    root: str,
) -> None:
    _require("points", points, points >= 1, "at least 1")
    _require("start", start, start in STARTS, "one of " + ", ".join(STARTS))
    _require("root", root, root in ROOTS, "one of " + ", ".join(ROOTS))
    _require("lambda_s", lambda_s, 0 <= lambda_s < float("inf"), "a number of at least 0")
    beside = phi.unit is not None and lambda_s > 0
    _require("lambda_s", lambda_s, not beside, "0, since these features lie beside the origin")
    vanishes = root == "-" and lambda_s == 0
    _require(
        "root", root, not vanishes, "+ at lambda_s = 0 (the other root makes all images vanish)"
    )
    shape = tuple(weights.shape)
    fits = weights.ndim == 2 and shape[1] == phi.features and bool(weights.any())
    _require("weights", shape, fits, f"(classes, {phi.features}) numbers, not all 0")
    if start == "real":
        given = None if real is None else tuple(real.shape)
        _require("real", given, given == (points, phi.inputs), f"{(points, phi.inputs)} images")
    if labels is not None:
        expected = (points, shape[0])
        given = tuple(labels.shape)
        _require(
            "labels", given, given == expected and bool(labels.any()), f"{expected}, not all 0"
        )


def _require(field: str, value: object, ok: bool, allowed: str) -> None:
    if not ok:
        raise SpecError(field, value, allowed)
