"""Frequencies: the transform against SciPy's, which are kept, the budget."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import fft

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.distil.contract import DistillSpec
from ddcore.distil.parametrizations import fred
from ddcore.distil.parametrizations._fred import Frequencies, chosen, cosines, variances
from ddcore.distil.settings import with_text_settings

SHAPE = (2, 6, 5)
PICTURES = torch.randn(30, *SHAPE, dtype=torch.float64, generator=rng.generator(0))
CLASSES = torch.arange(30).split([12, 18])


def spec_of(ipc=1, steps=None, **knobs):
    method = "dd2018" if steps else "bptt"
    spec = DistillSpec(method=method, ipc=ipc, parametrization="fred", knobs=knobs)
    return spec.replace(params=spec.params.replace(steps=steps)) if steps else spec


@pytest.fixture
def data():
    return SimpleNamespace(
        shape=SHAPE,
        device=torch.device("cpu"),
        class_indices=CLASSES,
        batch=lambda index: PICTURES[index],
    )


def spectra(images):
    """SciPy's cosine transform of each channel, (M, C, H W)."""
    return fft.dctn(np.asarray(images), axes=(2, 3), norm="ortho").reshape(*images.shape[:2], -1)


@pytest.mark.parametrize("side", [1, 2, 5, 8, 28])
def test_the_transform_is_scipys_and_keeps_lengths(side):
    waves = cosines(side).numpy()
    assert np.allclose(waves, fft.dct(np.eye(side), axis=0, norm="ortho"), atol=1e-12)
    assert np.allclose(waves @ waves.T, np.eye(side), atol=1e-12)


def test_those_are_kept_in_which_real_images_of_the_class_differ_most(data):
    places = chosen(data, 7)
    for c, members in enumerate(CLASSES):
        truth = spectra(PICTURES[members]).mean(1).var(0)
        assert np.allclose(variances(data)[c], truth, rtol=1e-10)
        assert places[c].tolist() == np.argsort(-truth)[:7].tolist()
    assert places[0].tolist() != places[1].tolist()


def test_decoding_is_the_inverse_of_what_is_kept_and_all_of_them_are_the_images(data):
    labels = torch.tensor([0, 0, 1, 1, 0, 1])
    start = PICTURES[[0, 1, 12, 13, 2, 14]]
    for count in (7, 30):
        places = chosen(data, count)
        made = Frequencies(start, places, labels)
        spectrum = np.zeros((6, 2, 30))
        for i, c in enumerate(labels.tolist()):
            spectrum[i][:, places[c]] = spectra(start)[i][:, places[c]]
        truth = fft.idctn(spectrum.reshape(6, *SHAPE), axes=(2, 3), norm="ortho")
        assert np.allclose(made.decode().detach(), truth, atol=1e-12)
    assert np.allclose(made.decode().detach(), start, atol=1e-12)


def test_a_derivative_by_coefficients_is_the_transform_of_that_by_pixels(data):
    """So that step sizes of pixels fit."""
    made = Frequencies(PICTURES[:1], chosen(data, 7), torch.tensor([0]))
    slope = torch.randn(1, *SHAPE, dtype=torch.float64, generator=rng.generator(1))
    (by,) = torch.autograd.grad((made.decode() * slope).sum(), made.coefficients)
    assert np.allclose(by, spectra(slope)[:, :, chosen(data, 7)[0]], atol=1e-12)


def test_how_many_images_the_budget_pays_for():
    """CIFAR-10 as published: 64 of 1,024 frequencies in each channel."""
    assert fred.kept(spec_of(), (3, 32, 32)) == 64
    assert fred.per_class(spec_of(), (3, 32, 32), 10) == 16
    assert fred.per_class(spec_of(ipc=2), (3, 32, 32), 10) == 32
    assert fred.per_class(spec_of(), (1, 8, 8), 10) == 2
    assert fred.per_class(spec_of(frequencies=64), (1, 8, 8), 10) == 1
    assert fred.per_class(spec_of(ipc=6, steps=3, frequencies=23), (1, 8, 8), 10) == 15
    typed = with_text_settings(spec_of(), [("frequencies", "9")])
    assert fred.per_class(typed, (1, 8, 8), 10) == 7
    with pytest.raises(SpecError, match=r"frequencies = 65 .*at most 64"):
        fred.per_class(spec_of(frequencies=65), (1, 8, 8), 10)
