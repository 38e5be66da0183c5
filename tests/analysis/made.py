"""Made-up results: what is given is known, all other fields are None."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any

from analysis.results import F, Result, from_dict
from ddcore.base.specs import Spec, field_types


def made_up(kind: type[F], stored: dict[str, Any]) -> Result[F]:
    """A result that holds no more than a test says, as plain values or as dataclasses."""
    return from_dict(kind, _filled(kind, _filled(Result, stored)))


def _filled(cls: type, stored: dict[str, Any]) -> dict[str, Any]:
    """An object with None for each field that it lacks and that has no default, in the objects below too."""
    hints = field_types(cls)
    lacking = {f.name: None for f in fields(cls) if f.name not in stored and f.default is not None}
    return lacking | {k: _below(hints[k], v) if k in hints else v for k, v in stored.items()}


def _below(hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _below(arguments[0], value)
    if origin is dict:
        return {key: _below(arguments[1], one) for key, one in value.items()}
    if origin in (list, tuple):
        return [_below(arguments[0], one) for one in value]
    if is_dataclass(hint) and not issubclass(hint, Spec) and isinstance(value, dict):
        return _filled(hint, value)
    return value
