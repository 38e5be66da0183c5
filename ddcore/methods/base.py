"""What a method is: parameters, presets, texts and the wiring of engine parts. No torch here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape, cost
from ddcore.specs import Spec

if TYPE_CHECKING:
    from ddcore.engines.problem import Distiller, Problem
    from ddcore.methods.spec import DistillSpec


@dataclass(frozen=True, kw_only=True)
class Params(Spec):
    """Parameters every method has; each method adds its own."""

    iterations: int = 1000

    def validate(self) -> None:
        """Check ranges."""
        self.require_range("iterations", 1, 10_000_000)


@dataclass(frozen=True)
class Method:
    """A published method.

    `build` wires the engine parts for a problem (imports torch inside). `work` counts multiply-adds of
    a whole run, from which time is estimated; `presets(data_name, shape)` gives for each of quick,
    teaching and paper the fields that differ from the defaults, as a nested dict of `DistillSpec`.
    """

    name: str
    title: str
    idea: str
    paper: str
    formula: str
    params: type[Params]
    build: Callable[[Problem], Distiller]
    work: Callable[[DistillSpec, Shape, int], float]
    presets: Callable[[str, Shape, int, dict[str, str]], dict[str, dict[str, Any]]]
    variants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    caveat: str = ""


def image_macs(net: NetSpec, shape: Shape, classes: int) -> float:
    """Multiply-adds of one image's forward pass."""
    return cost(net.plan(shape, classes), shape).macs
