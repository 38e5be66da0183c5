"""Feature maps: preimages, ranges, storage. A map is exact if phi(preimage(z)) = z for every z."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.kernels.feature_maps import FCNN, RFF, Affine, LinearMap, Solver, from_arrays

D = 24
EXACT = {
    "linear": LinearMap(D),
    "one layer": FCNN.make(D),
    "three layers": FCNN.make(D, (20, 20, 12)),
    "orthogonal": FCNN.make(D, (D, D), orthogonal=True),
    "cosines": RFF.make(D, variance=0.1),
    "few cosines": RFF.make(D, 10),
    "affine": Affine.make(D, (40, 16)),
    "deep linear": Affine.make(D, (D, D), bias_std=0),
}
INEXACT = {
    "wide": FCNN.make(D, (30,)),
    "wide inside": FCNN.make(D, (30, 12)),
    "many cosines": RFF.make(D, 30, variance=0.1),
    "affine": Affine.make(D, (40, 30)),
    "deep linear": Affine.make(D, (40, 30), bias_std=0),
}


def draw(*shape, seed=0):
    return torch.randn(shape, generator=rng.generator(seed, shape), dtype=torch.float64)


def error(found, true):
    return ((found - true).norm() / true.norm()).item()


def round_trip(phi, z):
    """Of features shrunk into the map's range, relative to them."""
    z = phi.shrink(z) * z
    return error(phi(phi.preimage(z)), z)


@pytest.mark.parametrize("phi", EXACT.values(), ids=EXACT)
def test_every_feature_vector_has_an_image(phi):
    assert phi.exact
    assert phi.preimage(draw(7, phi.features)).shape == (7, D)
    assert round_trip(phi, draw(7, phi.features)) < 1e-9
    assert phi.span is None
    assert phi.unit is None


@pytest.mark.parametrize("phi", INEXACT.values(), ids=INEXACT)
def test_maps_into_more_dimensions_miss_most_feature_vectors(phi):
    assert not phi.exact
    assert phi.preimage(draw(7, phi.features)).shape == (7, D)
    assert round_trip(phi, draw(7, phi.features)) > 0.1


@given(
    inputs=st.integers(2, 12),
    widths=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    seed=st.integers(0, 50),
)
@settings(max_examples=40, deadline=None)
def test_exactness_of_a_network_is_a_matter_of_widths(inputs, widths, seed):
    phi = FCNN.make(inputs, widths, orthogonal=True, seed=seed)
    sizes = [inputs, *widths]
    assert phi.exact == all(a >= b for a, b in itertools.pairwise(sizes))
    assert (round_trip(phi, draw(3, widths[-1])) < 1e-9) >= phi.exact


def test_a_network_is_what_it_says():
    phi, x = FCNN.make(D, (16, 10)), draw(5, D)
    leaky = torch.nn.LeakyReLU(0.1)
    first, second = phi.weights
    torch.testing.assert_close(phi(x), leaky(leaky(x @ first.T) @ second.T))
    wide = FCNN.make(400)  # variance 1 / fan-in
    assert wide.weights[0].var().item() == pytest.approx(1 / 400, rel=0.05)
    rows = EXACT["orthogonal"].weights[0]
    torch.testing.assert_close(rows @ rows.T, torch.eye(D, dtype=torch.float64))


def test_cosines_approach_a_gaussian_kernel():
    phi, x = RFF.make(D, 40_000, variance=0.02), draw(5, D)
    truth = torch.exp(-0.02 / 2 * torch.cdist(x, x).square())
    assert (phi(x) @ phi(x).T - truth).abs().max() < 4 / math.sqrt(40_000)


def test_cosines_shrink_only_what_is_outside_their_box():
    phi = RFF.make(D, 10)
    inside = 0.1 * math.sqrt(2 / 10) * draw(4, 10).tanh()
    assert phi.shrink(inside) == 1
    outside = draw(4, 10) * 50
    assert (phi.shrink(outside) * outside).abs().max() <= math.sqrt(2 / 10)


@pytest.mark.parametrize("phi", [RFF.make(D, 10), Affine.make(D, (16, 10))], ids=["rff", "affine"])
def test_of_many_preimages_the_smallest_is_taken(phi):
    z = 0.1 * draw(5, phi.features)
    x = phi.preimage(z)
    rows = phi.weight if phi.kind == "rff" else phi.matrix
    null = torch.linalg.svd(rows)[2][10:]  # directions that change no feature
    torch.testing.assert_close(phi(x + draw(5, len(null)) @ null), z)
    assert (x @ null.T).abs().max() < 1e-10


def test_an_affine_range_is_a_plane_with_a_read_out_that_is_one():
    phi = INEXACT["affine"]
    x = draw(9, D)
    torch.testing.assert_close(phi(x), x @ phi.matrix.T + phi.offset)
    torch.testing.assert_close(phi(x) @ phi.unit, torch.ones(9, dtype=torch.float64))
    both = torch.cat([phi.matrix, phi.offset[:, None]], 1)
    torch.testing.assert_close(torch.linalg.pinv(both)[-1], phi.unit)
    assert phi.span.shape == (30, D + 1)
    torch.testing.assert_close(phi(x) @ phi.span @ phi.span.T, phi(x))
    assert round_trip(phi, phi(x)) < 1e-12  # on the plane there are preimages


@pytest.mark.parametrize("reach", [False, True], ids=["no offset", "offset that an image makes"])
def test_an_affine_range_through_the_origin_has_no_such_read_out(reach):
    phi = INEXACT["deep linear"]
    if reach:
        phi = Affine(phi.weights, (phi.biases[0], phi.matrix @ draw(D)))
    assert phi.unit is None
    assert phi.span.shape == (30, D)
    assert round_trip(phi, draw(5, D) @ phi.matrix.T) < 1e-12


def test_layers_that_lose_dimensions_are_refused():
    with pytest.raises(SpecError, match=r"weights.*\(16, 24\).*full rank"):
        Affine.make(D, (8, 16)).preimage(draw(3, 16))


@given(st.integers(1, 15), st.integers(1, 15), st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_solver_agrees_with_least_squares(rows, columns, seed):
    matrix, z = draw(rows, columns, seed=seed), draw(4, rows, seed=seed)
    truth = np.linalg.lstsq(matrix.numpy(), z.T.numpy(), rcond=None)[0].T
    scale = max(1, np.abs(truth).max())
    assert np.abs(Solver(matrix)(z).numpy() - truth).max() < 1e-8 * scale


@pytest.mark.parametrize("phi", [*EXACT.values(), *INEXACT.values()], ids=[*EXACT, *INEXACT])
def test_stored_and_read_back(phi):
    again = from_arrays(phi.kind, load(save(phi.arrays())))
    x, z = draw(3, D), 0.1 * draw(3, phi.features)
    assert torch.equal(again(x), phi(x))
    assert torch.equal(again.preimage(z), phi.preimage(z))
    assert (again.exact, again.reason) == (phi.exact, phi.reason)
    assert (again.inputs, again.features) == (D, phi.features)


@pytest.mark.parametrize(
    "make", [FCNN.make, RFF.make, lambda d, seed: Affine.make(d, (30,), seed=seed)]
)
def test_a_seed_names_a_map(make):
    x = draw(3, D)
    assert torch.equal(make(D, seed=4)(x), make(D, seed=4)(x))
    assert error(make(D, seed=5)(x), make(D, seed=4)(x)) > 1e-3


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: FCNN.make(D, (0,)), "widths"),
        (lambda: FCNN.make(D, ()), "widths"),
        (lambda: FCNN.make(0), "inputs"),
        (lambda: FCNN.make(D, slope=0.0), "slope"),
        (lambda: RFF.make(D, variance=0.0), "variance"),
        (lambda: Affine.make(D, (3,), bias_std=-1.0), "bias_std"),
        (lambda: from_arrays("cubic", {}), "kind"),
    ],
)
def test_bad_settings_are_named(make, field):
    with pytest.raises(SpecError) as caught:
        make()
    assert caught.value.field == field
