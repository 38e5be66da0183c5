"""Specs: frozen dataclasses that say everything which changes a result's numbers, and nothing else.

A spec turns into canonical JSON; the hash of kind, version and that JSON is the key of the folder
its result lives in. Two people who ask for the same thing therefore find the same folder.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import json
import math
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any, ClassVar, Self

from ddcore.base.errors import SpecError
from ddcore.base.fields import declared

KEY_LENGTH = 16
KINDS = {  # where the class of each kind of task is, as "module:class"
    "accuracy": "ddcore.measure.spec:AccuracyTask",
    "accuracy_part": "ddcore.measure.spec:AccuracyPart",
    "bank": "ddcore.pools.bank_spec:BankTask",
    "baseline": "ddcore.measure.spec:BaselineTask",
    "changes": "ddcore.measure.changes:ChangesTask",
    "dataset": "ddcore.data.spec:DatasetTask",
    "distill": "ddcore.distil.contract:DistillSpec",
    "download": "ddcore.data.spec:DownloadTask",
    "early_nets": "ddcore.pools.real_spec:EarlyPool",
    "evaluate": "ddcore.measure.spec:EvaluateTask",
    "graph": "ddcore.graphs.spec:GraphTask",
    "graph_accuracy": "ddcore.graphs.measure_spec:GraphAccuracy",
    "graph_evaluate": "ddcore.graphs.measure_spec:GraphEvaluate",
    "graph_map": "ddcore.graphs.measure_spec:GraphMap",
    "graph_run": "ddcore.graphs.contract:GraphRun",
    "import": "ddcore.sets.imported_spec:ImportTask",
    "real_nets": "ddcore.pools.real_spec:RealPool",
    "selection": "ddcore.distil.selection_spec:SelectionPart",
    "sleepy": "ddcore.tasks.testing:SleepyTask",
    "speed": "ddcore.training.speed:Calibration",
    "subset_nets": "ddcore.pools.real_spec:SubsetPool",
    "trajectories": "ddcore.pools.trajectory_spec:TrajectoryTask",
    "trajectories_part": "ddcore.pools.trajectory_spec:TrajectoryPart",
    "zca": "ddcore.data.spec:ZcaTask",
}
MORE_KINDS = (
    "analysis",
)  # packages above this one, imported only for a kind that is not in `KINDS`


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; non-finite numbers are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_key(kind: str, version: Any, fields: dict[str, Any]) -> str:
    """The key of a task: 16 hex digits of sha256(kind, version, canonical JSON of its fields)."""
    text = f"{kind}\n{version}\n{canonical_json(fields)}"
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


@functools.cache
def _field_types(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {n: h.__bound__ if isinstance(h, typing.TypeVar) else h for n, h in hints.items()}


def field_types(cls: type) -> dict[str, Any]:
    """Types of a class's fields, of a generic one the widest that are allowed.

    They are kept, since resolving them takes longer than all the rest of making a spec.
    """
    return _field_types(cls)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A frozen set of plain values (numbers, strings, booleans, tuples, nested specs).

    What a field may be by itself is part of its declaration (`base.fields`) and checked first.
    """

    def __post_init__(self) -> None:
        hints = field_types(type(self))
        for f in fields(self):
            coerced = _coerce(f.name, getattr(self, f.name), hints[f.name])
            object.__setattr__(self, f.name, coerced)
        for name, said in declared(type(self)).items():
            said.check(name, getattr(self, name))
        self.validate()

    def validate(self) -> None:
        """Refuse fields that do not go together: `SpecError`. Overridden by subclasses."""

    def require(self, field: str, ok: bool, allowed: str = "") -> None:
        """Refuse the spec unless `ok`; `allowed` completes «expected ...» (as declared without it)."""
        if not ok:
            allowed = allowed or declared(type(self))[field].allowed
            raise SpecError(field, getattr(self, field), allowed)

    def require_range(self, field: str, low: float, high: float) -> None:
        """Refuse a number outside [low, high], where other fields decide what these are."""
        value = getattr(self, field)
        self.require(field, low <= value <= high, f"a number from {low:g} to {high:g}")

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed (validated again)."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dict, ready for JSON; without fields that came later and have their default."""
        said = declared(type(self))
        return {
            f.name: _plain(getattr(self, f.name))
            for f in fields(self)
            if not (said[f.name].later and getattr(self, f.name) == f.default)
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`; unknown fields are refused by name."""
        known = {f.name for f in fields(cls)}
        for name in values:
            if name not in known:
                raise SpecError(name, values[name], "one of the fields " + ", ".join(sorted(known)))
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class TaskSpec(Spec):
    """A spec that names a computation: `KIND`, `VERSION` and where its code is.

    `RUNNER` is "module:function", imported by the worker only, so specs stay free of torch. The
    function takes a `worker.Context` and writes its results through it. `SLOT` is the queue the
    task waits in: "compute" (one at a time per device) or "light" (seconds of one core). `ESTIMATE`,
    "module:function" too, tells (spec, store) its seconds and bytes of memory; "" for nothing known.
    """

    KIND: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1
    RUNNER: ClassVar[str] = ""
    SLOT: ClassVar[str] = "compute"
    ESTIMATE: ClassVar[str] = ""

    @property
    def key(self) -> str:
        """Content key: 16 hex digits of sha256(kind, version, canonical JSON)."""
        return content_key(self.KIND, self.VERSION, self.to_dict())

    def title(self) -> str:
        """One short line that names the task in lists."""
        return f"{self.KIND} {self.key}"

    def follow_ups(self) -> list[TaskSpec]:
        """Tasks that people want right after this one, queued with it."""
        return []

    def prerequisites(self) -> Sequence[TaskSpec]:
        """Long tasks that this one needs and others may need too; it would compute them itself."""
        return ()

    def document(self) -> dict[str, Any]:
        """What is stored as spec.json."""
        return {
            "kind": self.KIND,
            "module": type(self).__module__,
            "version": self.VERSION,
            "key": self.key,
            "spec": self.to_dict(),
        }

    def run(self, context: object) -> None:
        """Import and call the task's code (worker only)."""
        module, function = self.RUNNER.split(":")
        getattr(importlib.import_module(module), function)(context)


def task_class(kind: object) -> type[TaskSpec]:
    """The class of a kind of task: from `KINDS`, else from one of the tables in `MORE_KINDS`."""
    known = KINDS
    if kind not in tuple(known):
        for package in filter(find_spec, MORE_KINDS):
            known = known | importlib.import_module(package).kinds()
    if kind not in tuple(known):
        raise SpecError("kind", kind, "one of " + ", ".join(sorted(known)))
    module, _, name = known[kind].partition(":")
    return getattr(importlib.import_module(module), name)


def task_from_document(document: dict[str, Any]) -> TaskSpec:
    """Rebuild a task spec from its spec.json; `SpecError` names what is not allowed.

    Its kind says which class it is. The module that the document names is for people: files move.
    """
    cls = task_class(document.get("kind"))
    try:
        return cls.from_dict(document["spec"])
    except (
        KeyError,
        TypeError,
        AttributeError,
    ) as error:  # a field is missing, or no fields at all
        raise SpecError("spec", document.get("spec"), f"the fields of {cls.KIND}") from error


def with_setting(spec: Spec, path: str, text: str) -> Spec:
    """`spec` with the field at dotted `path` set from `text` (as typed on the command line)."""
    head, _, rest = path.partition(".")
    names = [f.name for f in fields(spec)]
    if head not in names:
        raise SpecError(path, text, "one of the fields " + ", ".join(names))
    current = getattr(spec, head)
    if rest:
        if not isinstance(current, Spec):
            raise SpecError(path, text, f"no part after {head!r}")
        return spec.replace(**{head: with_setting(current, rest, text)})
    return spec.replace(**{head: parse_text(head, text, field_types(type(spec))[head])})


def parse_text(field: str, text: str, hint: Any) -> Any:
    """A command-line text as the type `hint` names."""
    inner, optional = _strip_optional(hint)
    if optional and text.lower() in ("none", "null", ""):
        return None
    if inner is bool:
        if text.lower() in ("true", "yes", "on", "1"):
            return True
        if text.lower() in ("false", "no", "off", "0"):
            return False
        raise SpecError(field, text, "true or false")
    if inner in (int, float):
        try:
            return int(text) if inner is int else float(text)
        except ValueError:
            kind = "a whole number" if inner is int else "a number"
            raise SpecError(field, text, kind) from None
    if typing.get_origin(inner) is tuple:
        item = typing.get_args(inner)[0]
        return tuple(parse_text(field, part, item) for part in text.split(",") if part)
    return text


def text_of(value: Any) -> str:
    """A value as one types it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(text_of, value))
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _strip_optional(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        args = [a for a in typing.get_args(hint) if a is not type(None)]
        return args[0], len(args) < len(typing.get_args(hint))
    return hint, False


def _coerce(field: str, value: Any, hint: Any) -> Any:
    """Check `value` against `hint`; ints become floats, lists tuples, dicts specs where asked."""
    inner, optional = _strip_optional(hint)
    if value is None:
        if optional:
            return None
        raise SpecError(field, value, _describe(inner))
    if isinstance(inner, type) and issubclass(inner, Spec):
        if isinstance(value, dict):
            return inner.from_dict(value)
        if isinstance(value, inner):
            return value
    elif typing.get_origin(inner) is tuple:
        if isinstance(value, (list, tuple)):
            item = typing.get_args(inner)[0]
            return tuple(_coerce(field, v, item) for v in value)
    elif inner is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise SpecError(field, value, "a finite number")
            return float(value)
    elif inner is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif inner in (str, bool):
        if isinstance(value, inner):
            return value
    else:
        return value
    raise SpecError(field, value, _describe(inner))


def _describe(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(hint, f"a value of type {getattr(hint, '__name__', hint)}")


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value
