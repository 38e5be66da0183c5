"""What a parametrization is: knobs, texts, how many images it makes. No torch here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddcore.nets.plan import Shape
from ddcore.specs import Spec

if TYPE_CHECKING:
    from ddcore.engines.problem import Problem
    from ddcore.methods.spec import DistillSpec
    from ddcore.parametrizations.decoder import Decoder


@dataclass(frozen=True, kw_only=True)
class Knobs(Spec):
    """Settings of a parametrization; each adds its own. Their names differ from all methods' parameters."""


@dataclass(frozen=True)
class Parametrization:
    """A way to store images within the budget of `ipc` images' worth of numbers per class.

    `per_class(spec, shape, classes)` is how many images of each class a network sees;
    `build(problem)` makes the `Decoder` (imports torch inside). `check(spec)` raises `SpecError`
    where a spec does not go with it.
    """

    name: str
    title: str
    idea: str
    source: str
    knobs: type[Knobs]
    per_class: Callable[[DistillSpec, Shape, int], int]
    build: Callable[[Problem], Decoder]
    check: Callable[[DistillSpec], None] = lambda spec: None
