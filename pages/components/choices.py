"""Which values of a setting go with the rest of a run, and why the others do not.

Nothing is listed here: a field says which values it can have at all, and the spec is asked about each of
them, so that whatever a method, a parametrization or a network refuses is not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ddcore.base.errors import SpecError
from ddcore.distil.contract import DistillSpec, unfit
from ddcore.distil.settings import with_text_setting
from ddcore.nets.plan import Shape, cost

Fits = Callable[[DistillSpec], None]  # raises SpecError where a run would fail


@dataclass(frozen=True)
class Choices:
    """The values that can be chosen, and of the others the reason why not."""

    offered: tuple[str, ...]
    reasons: dict[str, str]


def fitting(preset: DistillSpec, shape: Shape, classes: int) -> Fits:
    """The check of a spec against the images, beyond what the spec can know of itself."""

    def check(spec: DistillSpec) -> None:
        spec.images_per_class(shape, classes)
        cost(spec.net.plan(shape, classes), shape)
        if spec.protocol.ordered and not preset.protocol.ordered:
            allowed = "a protocol with step sizes of its own: this method learns none"
            raise SpecError("protocol", spec.protocol.name, allowed)

    return check


def among(base: DistillSpec, path: str, wanted: Iterable[str], fits: Fits) -> Choices:
    """Which of the values `wanted` compose with everything else in `base`."""
    found = tried(wanted, lambda value: fits(with_text_setting(base, path, value)))
    known = unfit(base.method).get(path, {})
    return Choices(found.offered, {v: known.get(v, why) for v, why in found.reasons.items()})


def tried(wanted: Iterable[str], use: Callable[[str], object]) -> Choices:
    """Which of the values `wanted` can be used: the others raise `SpecError`."""
    offered, reasons = [], {}
    for value in wanted:
        try:
            use(value)
            offered.append(value)
        except SpecError as error:
            reasons[value] = str(error).removesuffix(".")
    return Choices(tuple(offered), reasons)
