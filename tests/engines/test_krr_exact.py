"""Exact distillation of ridge regression: it recovers the model where theory says so, and nowhere else.

Recovery is always judged by training on the images again, never by the construction's own matrices.
"""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcore import data
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data.tensors import DeviceData
from ddcore.distil.engines import krr_exact
from ddcore.distil.engines.krr_exact import construct, cycle_classes, eight_bits, train, verify
from ddcore.kernels import ridge
from ddcore.kernels.feature_maps import FCNN, RFF, Affine, LinearMap
from ddcore.tasks import worker
from ddcore.tasks.store import Store

D, K = 64, 10
MAPS = {
    "linear": LinearMap(D),
    "one layer": FCNN.make(D),
    "two layers": FCNN.make(D, (D, 40)),
    "two orthogonal layers": FCNN.make(D, (D, D), orthogonal=True),
    "cosines": RFF.make(D),
    "few cosines": RFF.make(D, 40, variance=0.01),
    "affine": Affine.make(D, (80, 50)),
    "deep linear": Affine.make(D, (80, 100), bias_std=0),
}
PLANE = Affine.make(D, (80, 100))  # more features than pixels, beside the origin


def draw(*shape, seed=0):
    return torch.randn(shape, generator=rng.generator(seed, shape), dtype=torch.float64)


def low_rank(k, p, rank, seed=0):
    """Weights (k, p) of this rank, well conditioned."""
    return draw(k, rank, seed=seed) @ draw(rank, p, seed=seed + 1) / math.sqrt(rank)


def error(found, true):
    return ((found - true).norm() / true.norm()).item()


def stream(seed=0):
    return rng.generator(seed, "construct")


def made_error(weights, phi, points, **settings):
    """Relative error of the weights trained on a set, and the set."""
    made = construct(weights, phi, points, generator=stream(), **settings)
    return error(train(made, phi), weights), made


class Digits:
    """Digits as rows, and models trained on them."""

    def __init__(self, folder):
        store, spec = Store(folder, gallery=None), data.resolve("digits")
        task = store.create(data.dataset_task(spec))
        worker.run_task(store, task, data.dataset_task(spec), "cpu")
        self.data = DeviceData(data.load(store, spec))
        part = self.data.test
        self.test, self.classes = (
            part.batch(torch.arange(len(part))).flatten(1).double(),
            part.labels,
        )
        self.models = {}

    def model(self, phi, *, centred=False, lam=None):
        """Weights (k, p) at the best lambda by validation, or at `lam`."""
        key = (id(phi), centred, lam)
        if key not in self.models:
            batches = self.data.train.batches(256)
            rows = ((x, ridge.targets(y, K, centred=centred)) for x, y in batches)
            path = ridge.accumulate(phi, rows, phi.features, K).path()
            val = self.data.val.batches(256)
            self.models[key] = (
                ridge.choose(path, phi, val).weights if lam is None else path.weights(lam)
            )
        return self.models[key]

    def real(self, points, seed=0):
        """Training images, cycling through the classes."""
        chosen = cycle_classes(self.data.train.labels, K, points, rng.generator(seed, "real"))
        assert (self.data.train.labels[chosen] == torch.arange(points) % K).all()
        assert len(set(chosen.tolist())) == points
        return self.data.batch(chosen).flatten(1).double()


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return Digits(tmp_path_factory.mktemp("digits"))


# --- it is exact ----------------------------------------------------------------------------------


@pytest.mark.parametrize("start", krr_exact.STARTS)
@pytest.mark.parametrize("phi", MAPS.values(), ids=MAPS)
def test_digits_models_are_recovered(digits, phi, start):
    weights = digits.model(phi)
    made = construct(weights, phi, K, start=start, real=digits.real(K), generator=stream())
    assert made.diagnostics.guaranteed
    assert (made.images.shape, made.labels.shape) == ((K, D), (K, K))
    check = verify(made, weights, phi, stream(), digits.test)
    assert check.exact
    assert check.weights <= 1e-8
    assert check.test_output <= 1e-7
    assert check.random_output <= 1e-7
    assert check.test_agreement == check.random_agreement == 1
    called, truth = (phi(digits.test) @ w.T for w in (train(made, phi), weights))
    hits = [(c.argmax(1) == digits.classes).double().mean() for c in (called, truth)]
    assert hits[0] == hits[1] > 0.85


@pytest.mark.parametrize("start", krr_exact.STARTS)
@pytest.mark.parametrize("centred", [False, True], ids=["one-hot", "centred"])
@pytest.mark.parametrize("points", ["rank", K, K + 3, 10 * K])
def test_linear_with_any_number_of_points_and_any_ridge(digits, points, centred, start):
    phi, rank = MAPS["linear"], K - centred
    weights = digits.model(phi, centred=centred)
    points = rank if points == "rank" else points
    setting = {"start": start, "real": digits.real(points)}
    found, made = made_error(weights, phi, points, **setting)
    assert made.diagnostics.rank_weights == rank
    assert made.diagnostics.guaranteed
    assert found <= 1e-12
    # With a ridge D of real images changes too, so its bound is only near that of the set without.
    share = made.diagnostics.bound * (0.999 if start == "noise" else 0.5)
    sets = {}
    for root in krr_exact.ROOTS:
        found, sets[root] = made_error(weights, phi, points, lambda_s=share, root=root, **setting)
        assert found <= 1e-11
        assert sets[root].lambda_s == share
    assert sets["-"].images.norm() < sets["+"].images.norm()


@pytest.mark.parametrize("points", [K - 1, K, K + 3])
@pytest.mark.parametrize("phi", MAPS.values(), ids=MAPS)
def test_every_map_with_a_model_of_smaller_rank(digits, phi, points):
    found, made = made_error(digits.model(phi, centred=True), phi, points)
    assert made.diagnostics.rank_weights == K - 1
    assert made.diagnostics.rank == points  # noise fills what labels leave free
    assert found <= 1e-8


@pytest.mark.parametrize("root", krr_exact.ROOTS)
@pytest.mark.parametrize("phi", MAPS.values(), ids=MAPS)
def test_every_map_with_a_ridge(digits, phi, root):
    weights = digits.model(phi, centred=True)
    bound = construct(weights, phi, 3 * K, generator=stream()).diagnostics.bound
    found, made = made_error(weights, phi, 3 * K, lambda_s=bound / 2, root=root)
    assert found <= 1e-8
    assert made.lambda_s == pytest.approx(bound / 2 * made.diagnostics.scale**2)


@given(
    k=st.integers(1, 6),
    p=st.integers(2, 15),
    rank=st.integers(1, 6),
    extra=st.integers(0, 12),
    share=st.sampled_from([0.0, 1e-6, 0.5, 1.0]),
    root=st.sampled_from(krr_exact.ROOTS),
    real=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=80, deadline=None)
def test_random_models_of_any_size_and_rank(k, p, rank, extra, share, root, real, seed):
    rank = min(rank, k, p)
    weights, points, phi = low_rank(k, p, rank, seed), rank + extra, LinearMap(p)
    setting = {"start": "real", "real": draw(points, p, seed=seed)} if real else {}
    found, made = made_error(weights, phi, points, **setting)
    facts = made.diagnostics
    assert facts.rank_weights == rank
    assert facts.guaranteed
    tolerance = 1e-13 * max(100, facts.condition**2)
    assert found <= tolerance
    if share and not real:
        found, _ = made_error(weights, phi, points, lambda_s=share * facts.bound, root=root)
        assert found <= tolerance


def test_one_point_per_class_is_the_pseudo_inverse_of_the_weights(digits):
    weights = digits.model(MAPS["linear"])
    made = construct(weights, MAPS["linear"], K, generator=stream())
    torch.testing.assert_close(made.labels, torch.eye(K, dtype=torch.float64))
    truth = torch.from_numpy(np.linalg.pinv(weights.numpy()))
    torch.testing.assert_close(made.images, truth.T, rtol=1e-9, atol=1e-9)
    assert not made.diagnostics.soft_labels


def test_fewer_points_than_classes_if_the_rank_allows(digits):
    weights = digits.model(MAPS["linear"], centred=True)
    found, made = made_error(weights, MAPS["linear"], K - 1)
    assert made.images.shape == (K - 1, D)
    assert found <= 1e-12


def test_labels_of_ones_own_any_scale(digits):
    weights, labels = digits.model(MAPS["linear"]), draw(15, K)
    for factor in (1, 1000):
        found, made = made_error(weights, MAPS["linear"], 15, labels=factor * labels)
        assert found <= 1e-11
        assert made.diagnostics.soft_labels


@pytest.mark.parametrize("start", krr_exact.STARTS)
@pytest.mark.parametrize(
    ("points", "plain"), [(K - 1, False), (K, False), (K, True), (25, False), (25, True)]
)
def test_rounding_of_weights_is_no_further_direction(points, plain, start):
    """Inverted, a direction of size 1e-12 would be 1e12 times larger than the others."""
    weights = low_rank(K, D, K - 1)
    rough = weights + 1e-12 * draw(K, D)
    labels = ridge.targets(torch.arange(points) % K, K) if plain else None
    setting = {"start": start, "real": draw(points, D), "labels": labels}
    found, made = made_error(rough, LinearMap(D), points, **setting)
    assert made.diagnostics.rank_weights == K - 1
    assert made.diagnostics.condition < 1e4
    assert found <= 1e-10
    assert made.diagnostics.guaranteed


def test_cosines_need_scaled_labels(digits):
    phi = RFF.make(D, 40, variance=0.01)
    weights = 0.01 * digits.model(phi)  # small weights, large features
    found, made = made_error(weights, phi, 2 * K)
    scale = made.diagnostics.scale
    assert scale < 0.1
    assert found <= 1e-8
    plain = dataclasses.replace(made, labels=made.labels / scale)  # as in the authors' code
    assert error(train(plain, phi), weights) == pytest.approx(1 / scale - 1, rel=1e-6)


def test_real_images_that_carry_the_model_only_get_new_labels():
    x, weights = draw(30, 12), draw(4, 12)
    found, made = made_error(weights, LinearMap(12), 30, start="real", real=x)
    assert made.diagnostics.moved < 1e-12
    assert found <= 1e-11
    torch.testing.assert_close(made.labels, x @ weights.T)
    with_ridge, made = made_error(weights, LinearMap(12), 30, start="real", real=x, lambda_s=0.5)
    assert made.diagnostics.moved < 1e-12
    assert with_ridge <= 1e-11
    assert (made.labels - x @ weights.T).norm() > 0.01


def test_real_start_is_the_nearest_in_the_pseudo_inverse(digits):
    phi, real = MAPS["linear"], digits.real(20)
    weights = digits.model(phi)
    made = construct(weights, phi, 20, start="real", real=real, generator=stream())
    wanted = torch.linalg.pinv(real).T

    def distance(images):
        return (torch.linalg.pinv(images).T - wanted).norm()

    for seed in range(5):  # other images with the same labels that give the same model
        noise = draw(20, D, seed=seed) * 1e-3
        d = torch.linalg.pinv(made.images).T
        d = d + noise - torch.linalg.pinv(made.labels.T) @ (made.labels.T @ noise)
        other = dataclasses.replace(made, images=torch.linalg.pinv(d).T)
        assert error(train(other, phi), weights) < 1e-10
        assert distance(other.images) > distance(made.images)


# --- affine features ------------------------------------------------------------------------------


@pytest.mark.parametrize("lam", [1.0, 100.0])
@pytest.mark.parametrize("points", [K + 1, 3 * K + 1])
@pytest.mark.parametrize("start", krr_exact.STARTS)
def test_affine_features_need_one_point_more(digits, start, points, lam):
    weights = digits.model(PLANE, lam=lam)
    setting = {"start": start, "real": digits.real(points)}
    made = construct(weights, PLANE, points, generator=stream(), **setting)
    assert made.diagnostics.guaranteed
    check = verify(made, weights, PLANE, stream(), digits.test)
    assert check.exact
    if start == "noise":
        assert (made.labels[-1] == 0).all()


def test_one_point_per_class_is_not_enough_for_affine_features(digits):
    weights = digits.model(PLANE, lam=1000.0)
    # Whatever is done with Z: with one-hot labels there is none, D is W, and its features miss the plane.
    features = torch.linalg.pinv(weights).T
    by_hand = PLANE(PLANE.preimage(features))
    assert error(by_hand, features) > 1e-3
    solved = torch.linalg.lstsq(by_hand, torch.eye(K, dtype=torch.float64)).solution.T
    assert error(solved, weights) > 1e-2
    for labels in (None, torch.eye(K, dtype=torch.float64)):
        found, made = made_error(weights, PLANE, K, labels=labels)
        assert not made.diagnostics.guaranteed
        assert found > 1e-2


def test_one_hot_labels_cannot_carry_affine_features(digits):
    weights = digits.model(PLANE, lam=1000.0)
    labels = ridge.targets(torch.arange(3 * K) % K, K)
    found, made = made_error(weights, PLANE, 3 * K, labels=labels)
    assert not made.diagnostics.guaranteed
    assert made.diagnostics.residual > 1e-3
    assert found > 1e-3


def test_more_points_than_the_plane_has_dimensions(digits):
    found, made = made_error(digits.model(PLANE, lam=10.0), PLANE, D + 10)
    assert not made.diagnostics.guaranteed
    assert found > 1e-3


def test_affine_features_allow_no_ridge(digits):
    with pytest.raises(SpecError, match=r"lambda_s.*beside the origin"):
        made_error(digits.model(PLANE, lam=10.0), PLANE, K + 1, lambda_s=1e-3)


# --- it fails where theory says so ----------------------------------------------------------------


@pytest.mark.parametrize("missing", [1, 4])
@pytest.mark.parametrize("phi", [MAPS["linear"], MAPS["two layers"]], ids=["linear", "network"])
def test_too_few_points_cost_what_the_formula_says(digits, phi, missing):
    weights, points = digits.model(phi), K - missing
    values = torch.linalg.svdvals(weights)
    found, made = made_error(weights, phi, points)  # the best labels: singular vectors
    truth = values[points:].norm() / values.norm()
    assert not made.diagnostics.guaranteed
    assert found == pytest.approx(truth.item(), rel=1e-6)
    assert made.diagnostics.residual == pytest.approx(found, rel=1e-6)

    labels = ridge.targets(torch.arange(points), K)  # some classes have no image
    found, made = made_error(weights, phi, points, labels=labels)
    truth = weights[points:].norm() / weights.norm()
    assert found == pytest.approx(truth.item(), rel=1e-6)
    assert made.diagnostics.residual == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize(
    "phi",
    [RFF.make(D, 100), FCNN.make(D, (100,))],
    ids=["more cosines than pixels", "wider than the image"],
)
def test_nonlinear_maps_into_more_dimensions_are_not_exact(digits, phi):
    weights = digits.model(phi)
    found, made = made_error(weights, phi, 2 * K)
    assert not made.diagnostics.guaranteed
    assert found > 0.1
    assert not verify(made, weights, phi, stream(), digits.test).exact


@pytest.mark.parametrize("factor", [1.01, 100])
def test_a_ridge_above_the_bound_is_refused(digits, factor):
    weights = digits.model(MAPS["linear"])
    facts = construct(weights, MAPS["linear"], 20, generator=stream()).diagnostics
    d = np.linalg.pinv(construct(weights, MAPS["linear"], 20, generator=stream()).images.numpy())
    assert facts.bound == pytest.approx(1 / (4 * np.linalg.norm(d, 2) ** 2), rel=1e-9)
    asked = factor * facts.bound
    with pytest.raises(SpecError) as caught:
        made_error(weights, MAPS["linear"], 20, lambda_s=asked)
    assert (caught.value.field, caught.value.value) == ("lambda_s", asked)
    allowed = float(caught.value.allowed.split()[2])  # the named bound can be used as it stands
    assert made_error(weights, MAPS["linear"], 20, lambda_s=allowed)[0] <= 1e-11


def test_changed_images_and_real_images_with_plain_labels_fail(digits):
    phi, weights = MAPS["linear"], digits.model(MAPS["linear"])
    made = construct(weights, phi, K, generator=stream())
    noise = draw(K, D)
    moved = made.images + 0.01 * noise * made.images.norm() / noise.norm()
    check = verify(dataclasses.replace(made, images=moved), weights, phi, stream(), digits.test)
    assert 1e-3 < check.weights < 1
    assert check.test_output > 1e-3
    assert not check.exact

    plain = ridge.targets(torch.arange(50) % K, K)
    real = dataclasses.replace(made, images=digits.real(50), labels=plain)
    check = verify(real, weights, phi, stream(), digits.test)
    assert check.weights > 0.3
    assert check.test_agreement < 0.95


def test_another_map_of_the_same_kind_gives_no_guarantee(digits):
    phi, other = FCNN.make(D), FCNN.make(D, seed=1)
    weights = digits.model(phi)
    made = construct(weights, phi, K, generator=stream())
    assert error(train(made, other), weights) > 0.3


# --- what is reported -----------------------------------------------------------------------------


def test_storing_images_costs_exactness(digits):
    weights = digits.model(MAPS["linear"])
    made = construct(weights, MAPS["linear"], 5 * K, generator=stream())
    check = verify(made, weights, MAPS["linear"], stream())
    assert check.test_output is check.test_agreement is None
    assert check.weights < 1e-12 < 1e-9 < check.float32 < 1e-5 < 1e-3 < check.uint8
    coarse = dataclasses.replace(made, images=eight_bits(made.images))
    assert error(train(coarse, MAPS["linear"]), weights) == check.uint8


def test_a_set_that_does_not_fill_its_space_survives_single_precision(digits):
    """Rounding adds directions there that a pseudo-inverse would blow up."""
    weights = digits.model(MAPS["linear"])
    real = {"start": "real", "real": digits.real(10 * K)}
    made = construct(weights, MAPS["linear"], 10 * K, generator=stream(), **real)
    assert made.diagnostics.rank < D
    assert verify(made, weights, MAPS["linear"], stream()).float32 < 1e-4


def test_eight_bits_keep_smallest_and_largest():
    x = draw(3, 50)
    stored = (eight_bits(x) - x.min()) / (x.max() - x.min()) * 255
    torch.testing.assert_close(stored, stored.round(), rtol=0, atol=1e-9)
    assert (stored.min().round(), stored.max().round()) == (0, 255)
    assert (eight_bits(x) - x).abs().max() <= (x.max() - x.min()) / 255 / 2 * (1 + 1e-9)


@pytest.mark.parametrize("shape", [(12, 7), (7, 12)])
@pytest.mark.parametrize("lambda_s", [0.0, 0.3])
def test_training_is_ridge_regression(shape, lambda_s):
    x, y = draw(*shape), draw(shape[0], 3)
    made = krr_exact.ExactSet(x, y, lambda_s, "+", "noise")
    truth = np.linalg.pinv(x.numpy()) if lambda_s == 0 else None
    if lambda_s:
        truth = np.linalg.solve((x.T @ x + lambda_s * torch.eye(shape[1])).numpy(), x.T.numpy())
    torch.testing.assert_close(train(made, LinearMap(shape[1])), (torch.from_numpy(truth) @ y).T)


def test_a_seed_names_a_set(digits):
    weights, phi = digits.model(MAPS["linear"]), MAPS["linear"]
    first, again, other = (
        construct(weights, phi, 20, generator=stream(seed)).images for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert error(other, first) > 0.01


def test_roots_and_the_vanishing_one():
    sigma = torch.tensor([0.0, 1e-9, 0.3, 0.5], dtype=torch.float64)
    for root in krr_exact.ROOTS:
        s = krr_exact.feature_values(sigma, 1.0, root)
        torch.testing.assert_close(s / (s.square() + 1), sigma, rtol=1e-14, atol=0)
        assert s[-1] == 1  # both roots meet at the bound
        assert (s[1:3] < 1).all() == (root == "-")
    torch.testing.assert_close(
        krr_exact.feature_values(sigma, 1.0, "-")[1], sigma[1], rtol=1e-14, atol=0
    )


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("points", {"points": 0}),
        ("start", {"start": "mean"}),
        ("root", {"root": "both"}),
        ("root", {"root": "-"}),
        ("lambda_s", {"lambda_s": -1.0}),
        ("lambda_s", {"lambda_s": float("nan")}),
        ("real", {"start": "real"}),
        ("real", {"start": "real", "real": draw(4, 7)}),
        ("labels", {"labels": draw(4, 2)}),
        ("labels", {"labels": torch.zeros(4, 3)}),
        ("weights", {"weights": torch.zeros(3, 8)}),
        ("weights", {"weights": draw(3, 9)}),
    ],
)
def test_bad_arguments_are_named(field, settings):
    arguments = {"weights": draw(3, 8), "phi": LinearMap(8), "points": 4, **settings}
    with pytest.raises(SpecError) as caught:
        construct(**arguments, generator=stream())
    assert caught.value.field == field


def test_more_real_images_than_a_class_has_are_refused():
    classes = torch.tensor([0, 1, 0, 1, 0])
    assert (classes[cycle_classes(classes, 2, 5, stream())] == torch.tensor([0, 1, 0, 1, 0])).all()
    with pytest.raises(SpecError, match=r"points = 6.*class 1 needs at most its 2 images"):
        cycle_classes(classes, 2, 6, stream())
