"""What the presets Quick promise on digits. Minutes: marked slow.

Bounds lie a point or more below what was measured (docs/results.md): rounding on another machine makes
another run of the same quality. Where seeds differ by more than that leaves room for, three are taken.
"""

import statistics

import pytest

from ddcore.data import resolve
from ddcore.distil.settings import make_spec
from ddcore.measure.spec import default_evaluation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
SEEDS = (0, 1, 2)


def figures(compute, name, ipc=1, seeds=(0,), **settings):
    """Mean over seeds of every subject's test accuracy."""
    found: dict[str, list[float]] = {}
    for seed in seeds:
        spec = make_spec(
            name, resolve("digits"), (1, 8, 8), ipc=ipc, seed=seed, settings=list(settings.items())
        )
        compute(spec)
        rows = compute(default_evaluation(spec.key, spec)).result()["rows"]
        for row in rows:
            found.setdefault(row["subject"], []).append(row["mean"])
    print(name, settings, found)
    return {subject: statistics.fmean(values) for subject, values in found.items()}


def test_dm_with_one_image_per_class(compute):
    got = figures(compute, "dm")
    assert got["distilled"] >= 0.82
    assert got["distilled"] > got["random"] + 0.1


def test_dd_unknown_initialisation(compute):
    got = figures(compute, "dd2018", seeds=SEEDS, setting="unknown")
    assert got["distilled"] >= 0.83
    assert got["distilled"] > max(got["random"], got["class_mean"])


def test_dd_fixed_initialisation_only_works_on_its_own(compute):
    got = figures(compute, "dd2018", seeds=SEEDS, setting="fixed")
    assert got["distilled"] >= 0.865
    assert got["other_inits"] < 0.48


# Method and the least accuracy with ten images; class means reach 82 %.
LEAST = {"bptt": 0.84, "rat-bptt": 0.84, "mtt": 0.835, "dc": 0.79}


@pytest.mark.parametrize("name", LEAST)
def test_other_methods_with_one_image_per_class(compute, name):
    got = figures(compute, name)
    assert got["distilled"] >= LEAST[name]
    assert got["distilled"] > got["random"] + 0.1


# Kernel methods under their own kernel (frepo: fresh networks).
KERNELS = {("kip", 1): 0.94, ("kip", 10): 0.98, ("rfad", 1): 0.935, ("frepo", 1): 0.85}


@pytest.mark.parametrize(("name", "ipc"), KERNELS)
def test_kernel_methods(compute, name, ipc):
    got = figures(compute, name, ipc=ipc)
    assert got["distilled"] >= KERNELS[name, ipc]
    assert got["distilled"] > got["random"] + 0.04


def test_dm_with_ten_images_per_class(compute):
    got = figures(compute, "dm", ipc=10)
    assert got["distilled"] >= got["random"] + 0.03
