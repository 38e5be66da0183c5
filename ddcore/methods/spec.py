"""The spec of a distillation run, and how it is put together from a method, a preset and settings."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from ddcore.bank_spec import Start
from ddcore.data.spec import DataSpec
from ddcore.errors import SpecError
from ddcore.methods import Params, method
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.parametrizations import Knobs, parametrization
from ddcore.protocols import PROTOCOLS, Protocol, protocol
from ddcore.specs import Spec, TaskSpec, field_types, parse_text, with_setting

PRESETS = ("quick", "teaching", "hour", "paper")
INITS = ("real", "noise", "mean")
LABELS = ("hard", "soft", "learned")
LABEL_LR = 0.01


def unfit(method_name: str) -> dict[str, dict[str, str]]:
    """Of each field that is combined freely, the values that do not go with a method, and why."""
    chosen = method(method_name)
    return {"labels": chosen.not_labels, "parametrization": chosen.not_parametrizations}


@dataclass(frozen=True, kw_only=True)
class DistillSpec(TaskSpec):
    """One distillation: which images, how many, by which method, judged by which protocol.

    `ipc` is the budget: as many numbers as that many images per class have. `parametrization` says
    how they are stored, with its own settings in `knobs`. `init` is how the images start: real training
    images, Gaussian noise, or means of random parts of each class. `labels` are hard (the class), soft
    (what networks trained on real data say about the first images; fixed) or learned (from the class on,
    with step size `label_lr`). `validations` times during the run the set is judged on the validation
    split with `val_nets` networks, and the best one is kept; test data never steer anything.
    """

    KIND: ClassVar[str] = "distill"
    VERSION: ClassVar[int] = 2
    RUNNER: ClassVar[str] = "ddcore.runner:run"

    method: str
    data: DataSpec = field(default_factory=DataSpec)
    ipc: int = 1
    seed: int = 0
    net: NetSpec = field(default_factory=NetSpec)
    parametrization: str = "pixels"
    knobs: Knobs = field(default_factory=Knobs)
    init: str = "real"
    labels: str = "hard"
    label_lr: float = 0.0
    protocol: Protocol = field(default_factory=lambda: PROTOCOLS["quick"])
    validations: int = 8
    val_nets: int = 3
    params: Params = field(default_factory=Params)

    def __post_init__(self) -> None:
        self._narrow("params", method(self.method).params, Params)
        self._narrow("knobs", parametrization(self.parametrization).knobs, Knobs)
        if isinstance(self.data, dict):
            object.__setattr__(self, "data", DataSpec.from_dict(self.data))
        object.__setattr__(self, "params", self.params.completed(self))
        if self.labels != "learned":  # one key for one computation
            object.__setattr__(self, "label_lr", 0.0)
        elif not self.label_lr:
            object.__setattr__(self, "label_lr", LABEL_LR)
        super().__post_init__()

    def _narrow(self, name: str, kind: type[Spec], base: type[Spec]) -> None:
        """Turn a dict, or the base class's placeholder, into the spec that belongs here."""
        value = getattr(self, name)
        if isinstance(value, dict):
            object.__setattr__(self, name, kind.from_dict(value))
        elif type(value) is base:
            object.__setattr__(self, name, kind())

    def validate(self) -> None:
        """Check ranges and the parts that do not compose."""
        self.require_range("ipc", 1, 1000)
        self.require_range("seed", 0, 2**31 - 1)
        self.require_choice("init", INITS)
        self.require_choice("labels", LABELS)
        self.require_range("label_lr", 0, 100)
        self.require_range("validations", 0, 1000)
        self.require_range("val_nets", 1, 200)
        for name, reasons in unfit(self.method).items():
            reason = reasons.get(getattr(self, name))
            self.require(name, reason is None, f"something else with {self.method}: {reason}")
        if self.labels == "soft":
            self.require("init", self.init != "noise", "real or mean with soft labels")
        parametrization(self.parametrization).check(self)
        check = getattr(self.params, "check_with", None)
        if check:
            check(self)

    @property
    def steps(self) -> int:
        """Into how many parts the set is split that are used one after the other."""
        return getattr(self.params, "steps", 1)

    @property
    def start(self) -> Start:
        """The weights from which networks are trained that the set is made for."""
        return self.params.start(self)

    def images_per_class(self, shape: Shape, classes: int) -> int:
        """Images of each class that a network sees: more than `ipc` if they are stored in parts."""
        return parametrization(self.parametrization).per_class(self, shape, classes)

    def title(self) -> str:
        """Line for lists."""
        return f"{method(self.method).title} on {self.data.name}, {self.ipc} per class"

    def follow_ups(self) -> list[TaskSpec]:
        """The run's own evaluation beside random real images and class means."""
        from ddcore.evaluation_spec import default_evaluation

        return [default_evaluation(self.key, self)]


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
