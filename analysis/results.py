"""What analyses find, as frozen dataclasses; written to result.json and read back here alone.

A result is what every analysis stores and what this one found, a `Found` of its own (in its `result.py`).
In the file both are one object of plain values, whose order is that of the classes' fields. What goes with a
run is kept by the run's key, and figures read attributes: a name that does not exist is an error at once.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Generic, Self, TypeVar

from analysis.runs import Run
from ddcore.base.errors import Damaged
from ddcore.base.specs import Spec, field_types
from ddcore.data.spec import DataSpec
from ddcore.nets.plan import Shape

# Of a field that is left out of the file where it is None: `field(default=None, metadata=LEFT_OUT)`.
LEFT_OUT = {"left out": True}


@dataclass(frozen=True)
class Found:
    """What one analysis found; its subclasses are the schemas of results."""

    def seen(self, how: Callable[[str], str]) -> Self:
        """The same with everything that other people wrote passed through `how`."""
        return self


F = TypeVar("F", bound=Found)
D = TypeVar("D")


@dataclass(frozen=True)
class Result(Generic[F]):
    """A finished analysis: what it is about, what it found, and what makes it repeatable.

    `runs` are in the order of figures, `shape` is (C, H, W) of an image, `work` are multiply-adds of the
    analysis itself, `seconds` and `cpu_seconds` what it took without its pools.
    """

    data: DataSpec
    runs: tuple[Run, ...]
    data_label: str
    class_names: tuple[str, ...]
    shape: Shape
    found: F
    versions: dict[str, str]
    device: str
    work: float
    seconds: float
    cpu_seconds: float | None = field(default=None, metadata=LEFT_OUT)

    def to_dict(self) -> dict[str, Any]:
        """One flat object, ready for JSON."""
        values = to_plain(self)
        return {
            name: value
            for key, own in values.items()
            for name, value in (own.items() if key == "found" else ((key, own),))
        }


def from_dict(kind: type[F], stored: dict[str, Any]) -> Result[F]:
    """Inverse of `Result.to_dict`, where `kind` was found; `Damaged` names a field that is missing."""
    return _made(Result, {**stored, "found": _made(kind, stored)})


def known(value: D | None) -> D:
    """What a result holds wherever this is asked for: `Damaged` where it does not."""
    if value is None:
        raise Damaged("result.json holds nothing where something has to be.")
    return value


def to_plain(value: Any) -> Any:
    """Plain nested values of a dataclass, ready for JSON."""
    if isinstance(value, Spec):
        return value.to_dict()
    if is_dataclass(value):
        named = ((f, getattr(value, f.name)) for f in fields(value))
        kept = (
            (f, v) for f, v in named if v is not None or not LEFT_OUT.items() <= f.metadata.items()
        )
        return {f.name: to_plain(v) for f, v in kept}
    if isinstance(value, dict):
        return {key: to_plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    return value


def _made(kind: type[D], stored: dict[str, Any]) -> D:
    """A dataclass from a stored object. What it does not know is left alone: the object may hold more."""
    hints, given = field_types(kind), {}
    for f in fields(typing.cast(Any, kind)):
        if f.name in stored:
            given[f.name] = _read(hints[f.name], stored[f.name])
        elif f.default is dataclasses.MISSING:
            raise Damaged(f"result.json holds no {f.name!r}, which {kind.__name__} has to have.")
    return kind(**given)


def _read(hint: Any, value: Any) -> Any:
    """A stored value as its type says: objects become dataclasses, lists tuples; others stay."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if value is None:
        return None
    if origin in (typing.Union, types.UnionType):
        (hint,) = (a for a in arguments if a is not types.NoneType)
        return _read(hint, value)
    if origin is tuple:
        return tuple(_read(arguments[0], v) for v in value)
    if origin is list:
        return [_read(arguments[0], v) for v in value]
    if origin is dict:
        return {key: _read(arguments[1], v) for key, v in value.items()}
    if isinstance(hint, type) and isinstance(value, dict):
        if issubclass(hint, Spec):
            return hint.from_dict(value)
        if is_dataclass(hint):
            return _made(hint, value)
    return value
