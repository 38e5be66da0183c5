"""Every way of storing images: what it says of itself, what it decodes to, what it costs."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import DataSpec, datasets
from ddcore.data.preprocess import Preprocess
from ddcore.distil.contract import DistillSpec, methods, parametrizations, unfit
from ddcore.distil.problem import Problem

EACH = pytest.mark.parametrize("name", parametrizations())
SHAPE, CLASSES = (2, 8, 8), 3


def taken_by(name):
    """A method that takes the parametrization."""
    return next(m for m in methods() if name not in unfit(m)["parametrization"])


def spec_of(name, **fields):
    return DistillSpec(method=taken_by(name), parametrization=name, **fields)


def problem(name, ipc):
    """On made-up pictures of noise."""
    pictures = torch.randn(60, *SHAPE, generator=rng.generator(0))
    data = SimpleNamespace(
        shape=SHAPE,
        num_classes=CLASSES,
        device=torch.device("cpu"),
        class_indices=torch.arange(60).split(20),
        batch=lambda index: pictures[index],
        preprocessing=Preprocess(np.zeros(2, np.float32), np.ones(2, np.float32)),
    )
    return Problem(spec_of(name, ipc=ipc, init="real"), data, "cpu")


def test_a_method_that_another_one_is_with_a_parametrization_names_that_one_for_all_others():
    """Else the same computation had two names and two keys."""
    for name, own, base in (("memories", "bases", "bptt"), ("textures", "canvas", "dm")):
        assert own not in unfit(name)["parametrization"]
        for other in parametrizations():
            if other not in (own, *unfit(base)["parametrization"]):
                with pytest.raises(SpecError, match=f"'{other}' .* this is {base}, so choose"):
                    DistillSpec(method=name, parametrization=other, ipc=4)


def test_what_only_some_methods_follow_names_methods_that_are_there_and_why():
    limited = [p for p in parametrizations().values() if p.only_for]
    assert limited
    for chosen in limited:
        assert set(chosen.only_for) <= set(methods()) and chosen.why_only
        takers = {m for m in methods() if chosen.name not in unfit(m)["parametrization"]}
        assert takers == set(chosen.only_for)


@EACH
def test_it_says_what_it_is(name):
    chosen = parametrizations()[name]
    assert chosen.title and chosen.idea.endswith(".")
    assert any(year in chosen.source for year in map(str, range(2010, 2100)))
    assert chosen.knobs().validate() is None


@EACH
def test_how_many_images_it_shows_is_a_whole_number_for_every_dataset(name):
    shown = parametrizations()[name].per_class
    for source in datasets().values():
        classes, images = len(source.classes), DataSpec(name=source.name, source=source.kinds[0])
        for ipc in (1, 2, 4, 10, 50):
            count = shown(spec_of(name, data=images, ipc=ipc), source.shape, classes)
            assert isinstance(count, int) and count >= 1, (source.name, ipc)


@EACH
def test_steps_have_as_many_images_each(name):
    """An ordered set shows every step the same number, or the spec is refused."""
    if name in unfit("dd2018")["parametrization"]:
        return
    shown = parametrizations()[name].per_class
    spec = DistillSpec(method="dd2018", parametrization=name, ipc=6)
    for steps in (1, 2, 3, 6):
        try:
            chosen = spec.replace(params=spec.params.replace(steps=steps))
            count = shown(chosen, SHAPE, CLASSES)
        except SpecError:
            continue
        assert count % steps == 0, steps


@EACH
@pytest.mark.parametrize("ipc", [1, 4])
def test_what_it_stores_decodes_to_images_by_class_within_the_budget(name, ipc):
    made, again = (parametrizations()[name].build(problem(name, ipc)) for _ in range(2))
    count = CLASSES * spec_of(name, ipc=ipc).images_per_class(SHAPE, CLASSES)
    images = made.take(made.decode(), made.final())
    assert images.shape == (count, *SHAPE) and torch.isfinite(images).all()
    assert torch.equal(images, again.take(again.decode(), again.final()))
    stored = list(made.tensors().values())
    derivatives = torch.autograd.grad(images.square().sum(), stored, allow_unused=True)
    assert any(each is not None and each.abs().sum() > 0 for each in derivatives)
    floats = sum(each.numel() for each in stored)
    assert floats <= ipc * CLASSES * math.prod(SHAPE) or name == "generator"
