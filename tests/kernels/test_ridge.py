"""Ridge regression: streamed sums, one decomposition for all lambdas, primal, dual and library agree."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.kernels import ridge
from ddcore.kernels.feature_maps import FCNN, LinearMap

CLASSES = 4


def draw(*shape, seed=0):
    return torch.randn(shape, generator=rng.generator(seed, shape), dtype=torch.float64)


def labelled(n, d, seed=0):
    """Images in which the class is a noisy direction, and their classes."""
    x = draw(n, d, seed=seed)
    return x, (x[:, :CLASSES] + 0.5 * draw(n, CLASSES, seed=seed + 1)).argmax(1)


def split(x, y, size):
    return list(zip(x.split(size), y.split(size)))


def by_library(features, labels, lam):
    model = Ridge(alpha=lam, fit_intercept=False, solver="svd")
    return torch.from_numpy(model.fit(features.numpy(), labels.numpy()).coef_)


@given(
    n=st.integers(1, 30),
    p=st.integers(1, 20),
    lam=st.floats(1e-3, 1e3),
    size=st.integers(1, 30),
    seed=st.integers(0, 100),
)
@settings(max_examples=50, deadline=None)
def test_all_ways_to_the_solution_agree(n, p, lam, size, seed):
    x, y = draw(n, p, seed=seed), draw(n, 2, seed=seed + 1)
    gram = ridge.accumulate(lambda z: z, split(x, y, size), p, 2)
    assert gram.count == n
    truth = by_library(x, y, lam).reshape(2, p)
    found = {
        "streamed": gram.path().weights(lam),
        "primal": ridge.primal(x, y, lam),
        "dual": ridge.dual(x, y, lam),
        "pseudo-inverse": (ridge.pinv(x, lam) @ y).T,
    }
    for name, weights in found.items():
        torch.testing.assert_close(weights, truth, rtol=1e-8, atol=1e-9, msg=name)


def test_images_are_flattened_and_mapped_and_float32_is_summed_in_float64():
    phi = FCNN.make(12, (8,))
    x, y = draw(50, 1, 3, 4).float(), draw(50, 3)
    gram = ridge.accumulate(phi, split(x, y, 7), 8, 3)
    features = phi(x.double().flatten(1))
    torch.testing.assert_close(gram.gram, features.T @ features)
    torch.testing.assert_close(gram.cross, features.T @ y)


def test_without_ridge_the_least_norm_solution():
    x = draw(30, 6) @ draw(6, 10)  # of rank 6
    x[:, 3] = 0  # a pixel that never changes
    y = draw(30, 2)
    truth = torch.from_numpy(np.linalg.pinv(x.numpy())) @ y
    path = ridge.accumulate(LinearMap(10), [(x, y)], 10, 2).path()
    torch.testing.assert_close(path.weights(0).T, truth, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(ridge.pinv(x), torch.from_numpy(np.linalg.pinv(x.numpy())))


@pytest.mark.parametrize("shape", [(8, 5), (5, 8)])
def test_pseudo_inverse_is_accurate_where_normal_equations_are_not(shape):
    left, _, right = torch.linalg.svd(draw(*shape), full_matrices=False)
    values = torch.logspace(0, -12, 5, dtype=torch.float64)
    x = (left * values) @ right
    for lam in (0.0, 1e-20):
        truth = (right.T * (values / (values**2 + lam))) @ left.T
        assert (ridge.pinv(x, lam) - truth).norm() < 0.01 * truth.norm()
    squared = torch.linalg.inv(x.T @ x + 1e-30 * torch.eye(shape[1])) @ x.T
    assert (squared - ridge.pinv(x)).norm() > 0.01 * squared.norm()


def test_lambda_is_chosen_by_validation_accuracy():
    x, classes = labelled(45, 40)
    val_x, val = labelled(300, 40, seed=5)
    path = ridge.accumulate(
        LinearMap(40), split(x, ridge.targets(classes, CLASSES), 16), 40, CLASSES
    ).path()
    choice = ridge.choose(path, LinearMap(40), split(val_x, val, 64))
    for lam in ridge.GRID:
        weights = ridge.primal(x, ridge.targets(classes, CLASSES), lam)
        right = (ridge.predict(val_x, weights).argmax(1) == val).double().mean().item()
        assert choice.accuracies[lam] == pytest.approx(right, abs=1e-9)
    best = max(choice.accuracies.values())
    assert best > min(choice.accuracies.values()) + 0.05  # it matters
    assert choice.lam == max(lam for lam, a in choice.accuracies.items() if a == best)
    assert torch.equal(choice.weights, path.weights(choice.lam))


def test_of_equally_good_lambdas_the_largest_is_chosen():
    x = torch.eye(CLASSES, dtype=torch.float64)
    path = ridge.accumulate(LinearMap(CLASSES), [(x, x)], CLASSES, CLASSES).path()
    choice = ridge.choose(
        path, LinearMap(CLASSES), [(x, torch.arange(CLASSES))], (1.0, 100.0, 0.01)
    )
    assert set(choice.accuracies.values()) == {1.0}
    assert choice.lam == 100


def test_grids_are_those_of_the_paper():
    np.testing.assert_allclose(ridge.GRID, 10 ** np.arange(-6, 5.6, 0.5))
    np.testing.assert_allclose(ridge.GRID_LINEAR, 10 ** np.arange(-3, 5.6, 0.5))


def test_centred_targets_give_weights_of_smaller_rank():
    x, classes = labelled(50, 10)
    rows = ridge.targets(classes, CLASSES, centred=True)
    assert rows.sum(1).abs().max() < 1e-15
    weights = ridge.primal(x, rows, 1.0)
    assert weights.sum(0).norm() < 1e-12 * weights.norm()


def test_kernel_regression_is_ridge_regression_on_its_features():
    x, y, new = draw(12, 5), draw(12, 3), draw(4, 5)
    found = ridge.kernel_predict(new @ x.T, x @ x.T, y, 0.3)
    torch.testing.assert_close(found, ridge.predict(new, by_library(x, y, 0.3)))


@pytest.mark.parametrize("lam", [-1.0, float("inf"), float("nan")])
def test_a_lambda_that_is_none_is_refused(lam):
    path = ridge.accumulate(LinearMap(3), [(draw(5, 3), draw(5, 2))], 3, 2).path()
    with pytest.raises(SpecError, match="lambda"):
        path.weights(lam)


def test_an_empty_grid_is_refused():
    path = ridge.accumulate(LinearMap(3), [(draw(5, 3), draw(5, 2))], 3, 2).path()
    with pytest.raises(SpecError, match="grid"):
        ridge.choose(path, LinearMap(3), [], ())
