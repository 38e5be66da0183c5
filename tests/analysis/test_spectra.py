"""Spectra: against numpy's transform, waves whose bands are known, and clouds of known dimension."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.runs import Chosen, Run
from analysis.shared.set_ups import usual
from analysis.suite.spectra import ANALYSIS
from analysis.suite.spectra.dimension import LEAST, MANY, TWO, likelihood, participation
from analysis.suite.spectra.figures import bands, beyond, dimension_text, headline, sentence, shown
from analysis.suite.spectra.maths import (
    BOTH,
    TEST,
    TRAIN,
    edges,
    losses,
    places,
    power,
    radii,
    rings,
    without,
)
from analysis.suite.spectra.result import SpectraFound
from analysis.suite.spectra.spec import SpectraTask, presets, require_bands
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData
from ddcore.nets.words import network
from ddcore.sets.distilled import DistilledSet
from ddcore.training.train import train
from tests.analysis.made import made_up

few = settings(max_examples=30, deadline=None, derandomize=True)
SIDES = st.tuples(st.integers(4, 13), st.integers(4, 13))


def drawn(seed: int, sides: tuple[int, int], channels: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, channels, *sides))


def plane_wave(sides: tuple[int, int], rows: int, columns: int, phase: float = 0.3) -> np.ndarray:
    """A cosine with so many cycles down and across, (1, 1, H, W)."""
    y, x = (np.arange(side) / side for side in sides)
    wave = np.cos(2 * np.pi * (rows * y[:, None] + columns * x) + phase)
    return wave[None, None]


# --- frequencies and bands ----------------------------------------------------------------------------


@few
@given(st.integers(0, 2**32 - 1), SIDES, st.integers(2, 4))
def test_parts_hold_the_energy_of_the_pixels(seed, sides, count):
    """Parseval: over bands and the mean, and over rings, power is the mean square of the pixels."""
    pixels = drawn(seed, sides)
    energy = (pixels**2).mean((1, 2, 3))
    count = min(count, min(sides) // 2)
    for of in (places(sides, count) + 1, rings(sides)):
        np.testing.assert_allclose(power(pixels, of).sum(1), energy, rtol=1e-10)
    np.testing.assert_allclose(
        power(pixels, rings(sides))[:, 0], (pixels.mean((2, 3)) ** 2).mean(1), rtol=1e-9
    )


@few
@given(st.integers(0, 2**32 - 1), SIDES, st.integers(2, 4))
def test_bands_and_mean_sum_to_the_image(seed, sides, count):
    pixels, count = drawn(seed, sides), min(count, min(sides) // 2)
    of = places(sides, count)
    parts = [pixels - without(pixels, of == b) for b in range(-1, count)]
    np.testing.assert_allclose(sum(parts), pixels, atol=1e-12)
    for one in range(count):
        for other in range(one):
            inner = (parts[one + 1] * parts[other + 1]).sum((2, 3))
            np.testing.assert_allclose(inner, 0, atol=1e-9)
    means = np.broadcast_to(pixels.mean((2, 3), keepdims=True), pixels.shape)
    np.testing.assert_allclose(without(pixels, of >= 0), means, atol=1e-12)
    np.testing.assert_allclose(parts[0], means, atol=1e-12)


@few
@given(st.integers(0, 2**32 - 1), SIDES)
def test_power_is_that_of_numpy(seed, sides):
    """Entry by entry, with frequencies in cycles of a whole image counted by hand."""
    pixels = drawn(seed, sides, channels=1)
    spectrum = np.abs(np.fft.fft2(pixels[:, 0])) ** 2 / (sides[0] * sides[1]) ** 2
    count, least = 2, min(sides)
    found, expected = power(pixels, places(sides, count) + 1), np.zeros((3, 1 + count))
    for v in range(sides[0]):
        for u in range(sides[1]):
            down, across = min(v, sides[0] - v), min(u, sides[1] - u)
            radius = np.sqrt((down * least / sides[0]) ** 2 + (across * least / sides[1]) ** 2)
            part = 0 if radius == 0 else 1 if radius <= least / 4 else 2
            expected[:, part] += spectrum[:, v, u]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


def test_a_wave_lies_in_its_band_and_is_removed_with_it():
    sides = (8, 8)
    of = places(sides, 4)
    assert edges(sides, 4).tolist() == [0, 1, 2, 3, 4]
    for rows, columns, band in ((1, 0, 0), (1, 1, 1), (0, 2, 1), (2, 2, 2), (3, 0, 2), (3, 3, 3)):
        wave = plane_wave(sides, rows, columns)
        shares = power(wave, of + 1)[0]
        np.testing.assert_allclose(shares[band + 1], 0.5, rtol=1e-12)
        np.testing.assert_allclose(np.delete(shares, band + 1), 0, atol=1e-20)
        np.testing.assert_allclose(without(wave, of == band), 0, atol=1e-14)
        np.testing.assert_allclose(without(wave, of == (band + 1) % 4), wave, atol=1e-14)
    assert (radii((8, 16))[:, 0] == [0, 1, 2, 3, 4, 3, 2, 1]).all()
    assert radii((8, 16))[0, 2] == 1, "in cycles along the shorter side"


# --- dimensions ---------------------------------------------------------------------------------------


def embedded(points: np.ndarray, into: int, seed: int) -> np.ndarray:
    """The same cloud turned into a space of more dimensions."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(into, points.shape[1])))
    return points @ basis.T


@pytest.mark.parametrize("dimension", [1, 2, 5])
@pytest.mark.parametrize("shape", ["plane", "ball"])
def test_known_dimensions_are_found(dimension, shape):
    draws = np.random.default_rng(dimension)
    points = draws.normal(size=(3000, dimension))
    if shape == "ball":
        radius = draws.uniform(size=(3000, 1)) ** (1 / dimension)
        points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
    points = embedded(points, 40, 0)
    for neighbours in (TWO, MANY):
        assert likelihood(points, neighbours) == pytest.approx(dimension, rel=0.08)
    assert participation(points) == pytest.approx(dimension, rel=0.02)


def test_two_neighbours_are_the_formula_of_two_nn():
    """By brute force over all distances: n - 1 over the sum of ln(r2 / r1)."""
    points = np.random.default_rng(0).normal(size=(LEAST, 3))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    first, second = np.sort(apart, axis=1)[:, 1:3].T
    expected = (LEAST - 1) / np.log(second / first).sum()
    assert likelihood(points, TWO) == pytest.approx(expected, rel=1e-12)
    twice = np.concatenate([points, points[:7]])
    assert likelihood(twice, TWO) == pytest.approx(expected, rel=1e-12)


def test_few_images_tell_nothing():
    assert likelihood(np.random.default_rng(0).normal(size=(LEAST - 1, 3)), TWO) is None
    assert likelihood(np.ones((200, 3)), TWO) is None
    assert participation(np.ones((10, 3))) == 0
    assert participation(np.eye(10)) == pytest.approx(9), "bounded by the number of points"


# --- what is computed -----------------------------------------------------------------------------------


def test_knock_outs_are_training_and_testing_without_a_band(finished, analysed):
    """Made again with numpy's transform and plain training."""
    task = finished("spectra")
    spec, result = task.spec_as(SpectraTask), ANALYSIS.result(task)
    key = spec.run_keys[0]
    made = DistilledSet.from_task(analysed.find(key))
    data = DeviceData(load(analysed, DataSpec()), "cpu")
    low = np.array([[np.hypot(min(v, 8 - v), min(u, 8 - u)) for u in range(8)] for v in range(8)])
    removed = (low > 0) & (low <= 1)  # the first of four bands

    def lacking(pixels: np.ndarray) -> torch.Tensor:
        spectrum = np.fft.fft2(pixels.astype(np.float64))
        spectrum[..., removed] = 0
        changed = np.fft.ifft2(spectrum).real.astype(np.float32)
        return torch.from_numpy(made.preprocess.forward(changed))

    net = network("network", spec.network, data.shape, 10)
    seeds = [rng.derive(spec.seed, "spectra", i) for i in range(spec.nets)]
    labels = torch.from_numpy(made.hard_labels)
    truth = torch.from_numpy(data.dataset.test_labels)
    test = {
        0: torch.from_numpy(data.dataset.preprocess(data.dataset.test_images)),
        1: lacking(data.dataset.test_images / 255),
    }
    found = result.found.accuracies[key]
    for trained_without, images in (
        (0, torch.from_numpy(made.images)),
        (1, lacking(made.pixels())),
    ):
        nets = train(net, images, labels, 10, usual(spec.iterations), seeds)
        for tested_without, pixels in test.items():
            right = (nets.predict(pixels) == truth).double().mean(1).tolist()
            assert right == pytest.approx(found[trained_without, tested_without], abs=0.003)


def test_small_sets_are_told_apart_from_large_ones(finished):
    result = ANALYSIS.result(finished("spectra"))
    by_key = {(d.key, d.space): d for d in result.found.dimensions}
    set_ = by_key[result.runs[0].key, "pixels"]
    assert set_.images == 20 and set_.two is None and set_.ratio[0] > 1
    assert "cannot be told" in dimension_text(set_)
    real = by_key["real", "features"]
    assert real.images > 1000 and len(real.two) == len(real.many) == result.found.nets
    assert len(by_key["random.2", "pixels"].ratio) == result.found.nets, "one for each draw"


# --- words ------------------------------------------------------------------------------------------------


def made(accuracy: dict[str, np.ndarray]):
    """A result of these accuracies (3, 3, nets), two bands."""
    sources = [
        {"key": name, "method": "" if "." in name else "dm", "label": name, "ipc": 10}
        for name in accuracy
    ]
    stored = {
        "sources": sources,
        "edges": [0.0, 2.0, 4.0],
        "power": [[0.5, 0.3, 0.1]] * len(sources),
        "accuracy": [v.tolist() for v in accuracy.values()],
        "dimensions": [],
        "nets": next(iter(accuracy.values())).shape[-1],
    }
    return made_up(SpectraFound, stored)


def test_losses_by_hand():
    accuracy = np.array([[[0.9], [0.8], [0.85]], [[0.5], [0.6], [0.1]], [[0.7], [0.1], [0.75]]])
    result = made({"DM": accuracy, "random.10": accuracy})
    lost = losses(result)["DM"]
    np.testing.assert_allclose(lost[TRAIN], [[40], [20]])
    np.testing.assert_allclose(lost[TEST], [[10], [5]])
    np.testing.assert_allclose(lost[BOTH], [[30], [15]])
    assert bands(result) == ["0 to 2", "above 2"]
    np.testing.assert_allclose(result.found.shares["DM"], [0.75, 0.25])


@few
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_what_is_shown_is_tested_and_corrected(seed, nets):
    draws = np.random.default_rng(seed)
    names = ("DM", "MTT", "random.10")
    values = {
        n: draws.uniform(0.5, 0.9, (3, 3, 1)) + draws.normal(0, 0.01, (3, 3, nets)) for n in names
    }
    result = made(values)
    text, short = sentence(result), headline(result)
    assert len(short.split()) <= 20
    found = {name: np.stack(list(rows.values())) for name, rows in shown(result).items()}
    if nets == 1:
        assert "(shown" not in text and not any(v.any() for v in found.values())
        return
    lost = {n: np.stack(list(rows.values())) for n, rows in losses(result).items()}

    def expected(each: np.ndarray) -> np.ndarray:
        p = stats.ttest_1samp(each, 0, axis=-1, alternative="greater").pvalue
        return stats.false_discovery_control(p.ravel()).reshape(p.shape) <= 0.05

    np.testing.assert_array_equal(
        np.stack([found[n] for n in names]), expected(np.stack([lost[n] for n in names]))
    )
    apart = np.stack([lost[n] - lost["random.10"] for n in names[:2]])
    more = {name: np.stack(list(rows.values())) for name, rows in beyond(result).items()}
    np.testing.assert_array_equal(np.stack([more[n] for n in names[:2]]), expected(apart))
    assert text.count("(shown") == sum(
        shown(result)[n][w].sum() for n in names for w in (TRAIN, BOTH)
    )


# --- the spec ---------------------------------------------------------------------------------------------


def test_no_band_is_empty():
    for shape in ((1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 5, 9)):
        for preset in presets("own", shape, 10).values():
            spec = SpectraTask(run_keys=("0" * 16,), **preset)
            require_bands(spec, shape)
            of = places(shape[1:], spec.bands)
            assert np.bincount(of[of >= 0], minlength=spec.bands).min() > 0
    with pytest.raises(SpecError, match="bands = 5"):
        require_bands(SpectraTask(run_keys=("0" * 16,), bands=5), (1, 8, 8))


def test_the_cost_counts_what_is_trained():
    from analysis.suite.spectra.spec import cost
    from ddcore.pools.real_spec import Counts

    run = Run("0" * 16, "dm", "Distribution matching", 10, 100)
    chosen = Chosen((run,), DataSpec(), tuple("0123456789"), (1, 8, 8))
    spec = SpectraTask(run_keys=(run.key,))
    macs = cost(spec, chosen, Counts(1000, 500)).macs
    assert cost(spec.replace(nets=10), chosen, Counts(1000, 500)).macs > 1.8 * macs
    assert cost(spec.replace(bands=2), chosen, Counts(1000, 500)).macs < 0.7 * macs
