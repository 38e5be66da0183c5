"""The spec of a distillation run, and how it is put together from a method, a preset and settings."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from ddcore.base.errors import SpecError
from ddcore.base.specs import Spec, field_types, parse_text, with_setting
from ddcore.data.spec import DataSpec
from ddcore.distil.contract import DistillSpec, Knobs, method
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.training.protocols import protocol

PRESETS = ("quick", "teaching", "hour", "paper")


def with_text_setting(spec: DistillSpec, path: str, text: str) -> DistillSpec:
    """`spec` with one field set from text."""
    return with_text_settings(spec, [(path, text)])


def with_text_settings(spec: DistillSpec, settings: Iterable[tuple[str, str]]) -> DistillSpec:
    """`spec` with fields set from (field, text) pairs, in any order.

    A method's own parameters need no `params.` before them, nor a parametrization's settings `knobs.`.
    Those are set together, so that fields which bound each other need no order.
    """
    settings = list(settings)
    for path, text in settings:
        if path == "parametrization":  # another one has other knobs: back to its defaults
            spec = spec.replace(parametrization=text, knobs=Knobs())
    changes: dict[str, dict[str, Any]] = {"params": {}, "knobs": {}}
    rest = []
    for path, text in settings:
        owner = next((o for o in changes if path in _names(getattr(spec, o))), None)
        if owner:
            hint = field_types(type(getattr(spec, owner)))[path]
            changes[owner][path] = parse_text(path, text, hint)
        elif path != "parametrization":
            rest.append((path, text))
    own = {o: getattr(spec, o).replace(**values) for o, values in changes.items() if values}
    # In one piece with the plain fields, since a method may ask for both to fit (steps and ipc).
    for path, text in rest:
        if "." not in path and path in _names(spec) and path not in ("protocol", "data", "net"):
            own[path] = parse_text(path, text, field_types(DistillSpec)[path])
    spec = spec.replace(**own) if own else spec
    for path, text in rest:
        if path not in own:
            spec = _with_part(spec, path, text)
    return spec


def _with_part(spec: DistillSpec, path: str, text: str) -> DistillSpec:
    """A named protocol or architecture, or one field of a nested spec."""
    if path == "protocol":
        return spec.replace(protocol=protocol(text))
    if path == "net.arch":  # another family has other knobs: back to its defaults
        return spec.replace(net=NetSpec(arch=text, init=spec.net.init))
    if path.split(".")[0] not in _names(spec):
        known = {*_names(spec), *_names(spec.params), *_names(spec.knobs)} - {"params", "knobs"}
        raise SpecError(path, text, "one of the fields " + ", ".join(sorted(known)))
    return typing.cast(DistillSpec, with_setting(spec, path, text))


def _names(spec: Spec) -> set[str]:
    return {f.name for f in fields(spec)}


def presets_of(
    method_name: str, data: str, shape: Shape, ipc: int = 1, typed: dict[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """What a method has of `PRESETS` for images of `shape` (C, H, W), in their order: fields of the spec."""
    found = method(method_name).presets(data, shape, ipc, typed or {})
    return {name: found[name] for name in PRESETS if name in found}


def make_spec(
    method_name: str,
    data: DataSpec,
    shape: Shape,
    *,
    ipc: int = 1,
    seed: int = 0,
    preset: str = "quick",
    settings: Iterable[tuple[str, str]] = (),
    given: dict[str, Any] | None = None,
) -> DistillSpec:
    """The run a preset describes, with single fields changed.

    `given` are parameters of the method as values, set before the texts.

    `shape` is the images' (C, H, W). `settings` are (field, text) pairs as typed by the user; those
    that name a variant (such as `setting` of dd2018) choose the preset's variant first.
    """
    chosen = method(method_name)
    settings = list(settings)
    variant = {k: v for k, v in settings if k in chosen.variants}
    for name, value in variant.items():
        if value not in chosen.variants[name]:
            raise SpecError(name, value, "one of " + ", ".join(chosen.variants[name]))
    known = presets_of(method_name, data.name, shape, ipc, dict(settings))
    if preset not in known:
        raise SpecError("preset", preset, "one of " + ", ".join(known))
    fields_of = known[preset]
    if given:
        fields_of = fields_of | {"params": fields_of.get("params", {}) | given}
    spec = DistillSpec(
        **{"method": method_name, "data": data, "ipc": ipc, "seed": seed, **_built(fields_of)}
    )
    return with_text_settings(spec, settings)


def _built(values: dict[str, Any]) -> dict[str, Any]:
    return {k: (v.to_dict() if isinstance(v, Spec) else v) for k, v in values.items()}
