"""Declared fields: what a spec says of each is all there is to say, and what is enforced."""

import importlib
import math
import pkgutil
import typing
from dataclasses import MISSING, dataclass, fields

import pytest

import analysis
import ddcore
from ddcore.base.errors import SpecError
from ddcore.base.fields import (
    REQUIRED,
    choice,
    choices,
    declared,
    flag,
    number,
    numbers,
    part,
    text,
)
from ddcore.base.specs import KINDS, Spec, field_types, task_class
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.distil.contract import methods, parametrizations
from ddcore.distil.settings import make_spec
from ddcore.graphs.contract import GraphRun, graph_methods
from ddcore.kernels.spec import KernelSpec
from ddcore.measure.spec import AccuracyTask
from ddcore.nets import NetSpec
from ddcore.pools.trajectory_spec import TrajectoryTask
from ddcore.sets.importers import importers
from ddcore.training.protocols import PROTOCOLS

KEY = "0" * 16
GIVEN = {  # values of fields that have no default
    "data": DataSpec(),
    "net": NetSpec(),
    "dataset": dataset_task(DataSpec()),
    "protocol": PROTOCOLS["quick"],
    "method": "dm",
    "format": next(iter(importers())),
    "files": ("0" * 64,),
    "run_key": KEY,
    "run_keys": (KEY,),
    "subject": KEY,
    "ipc": 1,
    "images": 10,
    "kind": "hard",
    "place": "here",
    "device": "cpu",
}
ALSO = {  # what else an example needs, by kind
    "download": {"name": "mnist"},
    "baseline": {"name": "random"},
    "evaluate": {"archs": (NetSpec(),)},
    "accuracy_part": {
        "whole": AccuracyTask(
            subject=KEY, data=DataSpec(), net=NetSpec(), protocol=PROTOCOLS["quick"], nets=10_000
        ),
        "nets": 1,
    },
    "trajectories_part": {
        "whole": TrajectoryTask(data=DataSpec(), net=NetSpec(), nets=10_000),
        "nets": 1,
    },
    "graph_run": {"method": "gcond"},
    "graph_evaluate": {"of_run": GraphRun(method="gcond")},
    "graph_accuracy": {"subject": "random"},
    "regimes": {"sets": (make_spec("dm", DataSpec(), (1, 8, 8)),)},
    "distill": {"labels": "learned", "method": "bptt"},  # labels that have a step size
}


def specs() -> list[type[Spec]]:
    """Every class of specs that a registry names, those of their fields, and the kernels of methods."""
    found = [KernelSpec, *(task_class(kind) for kind in KINDS | analysis.kinds())]
    found += [m.params for m in graph_methods().values()]
    found += [m.params for m in methods().values()] + [p.knobs for p in parametrizations().values()]
    for cls in found:
        for hint in field_types(cls).values():
            parts = (hint, *typing.get_args(hint))
            found += [
                p for p in parts if isinstance(p, type) and issubclass(p, Spec) and p not in found
            ]
    return list(dict.fromkeys(found))


def examples(cls: type[Spec]) -> list[Spec]:
    """One, and of a method's parameters one of each variant."""
    needed = (f.name for f in fields(cls) if f.default is f.default_factory is MISSING)
    also = ALSO.get(getattr(cls, "KIND", ""), {})
    first = cls(**{**{name: GIVEN.get(name) for name in needed}, **also})
    variants = next((m.variants for m in methods().values() if m.params is cls), {})
    return [first, *(first.replace(**{n: v}) for n, values in variants.items() for v in values)]


def example(cls: type[Spec], name: str) -> Spec:
    """One in which a field means something, if there is any."""
    known = examples(cls)
    return next((e for e in known if name not in getattr(e, "idle", ())), known[0])


def named(cls: type[Spec]) -> str:
    return getattr(cls, "KIND", "") or cls.__name__


def kinds_of(hint) -> tuple:
    """The plain types in a type such as int | None or tuple[float, ...]."""
    return tuple(a for a in typing.get_args(hint) if a not in (type(None), ...)) or (hint,)


EACH = pytest.mark.parametrize("cls", specs(), ids=named)


def test_no_spec_is_left_out():
    for package in (ddcore, analysis):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)

    def below(cls):
        return {d for child in cls.__subclasses__() for d in (child, *below(child))}

    own = {c for c in below(Spec) if c.__module__.partition(".")[0] in ("ddcore", "analysis")}
    known = set(specs())
    # What only others build on: their fields are in those.
    assert {c for c in own if not any(issubclass(k, c) for k in known)} == set()
    assert len(known) > 45


@EACH
def test_every_field_has_help_and_every_number_bounds(cls):
    said, hints = declared(cls), field_types(cls)
    assert list(said) == [f.name for f in fields(cls)]
    for name, field in said.items():
        assert field.help.endswith("."), name
        numeric = {int, float} & set(kinds_of(hints[name]))
        assert bool(numeric) == (field.low is not None and field.high is not None), name
        assert not numeric or field.low <= field.high, name
        assert "From" in field.sentences() or not numeric or field.low == field.high, name


@EACH
def test_bounds_are_what_is_enforced(cls):
    for name, field in declared(cls).items():
        if field.low is None:
            continue
        spec, hint = example(cls, name), field_types(cls)[name]
        several = typing.get_origin(hint) is tuple
        for bound, away in ((field.low, -math.inf), (field.high, math.inf)):
            whole = int in kinds_of(hint)
            outside = int(bound + math.copysign(1, away)) if whole else math.nextafter(bound, away)
            inside = int(bound) if whole else bound
            with pytest.raises(SpecError) as refused:
                spec.replace(**{name: (outside,) if several else outside})
            assert (refused.value.field, refused.value.allowed) == (name, field.allowed)
            try:
                spec.replace(**{name: (inside,) if several else inside})
            except SpecError as other:
                assert several or (other.field, other.allowed) != (name, field.allowed), other


@EACH
def test_what_is_offered_is_taken_or_does_not_go_with_the_rest(cls):
    for name, field in declared(cls).items():
        hint = field_types(cls)[name]
        if not field.choices or str not in kinds_of(hint):
            continue
        spec, several = example(cls, name), typing.get_origin(hint) is tuple
        with pytest.raises(SpecError) as refused:
            spec.replace(**{name: ("nothing",) if several else "nothing"})
        assert (refused.value.field, refused.value.allowed) == (name, field.allowed)
        for value in field.choices:
            try:
                spec.replace(**{name: (value,) if several else value})
            except SpecError as other:
                assert (other.field, other.allowed) != (name, field.allowed), other


@EACH
def test_texts_with_a_grammar_are_judged_by_it(cls):
    for name, field in declared(cls).items():
        if field.grammar:
            spec = example(cls, name)
            several = isinstance(getattr(spec, name), tuple)
            with pytest.raises(SpecError) as refused:
                spec.replace(**{name: ("no such thing",) if several else "no such thing"})
            assert refused.value.field == name


# --- the declarations themselves --------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Inner(Spec):
    size: int = number(REQUIRED, 1, 9, "Of it.", unit="pixels")


@dataclass(frozen=True, kw_only=True)
class Made(Spec):
    steps: int = number(3, 1, 10, "How many.")
    side: float | None = number(None, 0.5, 2, "How wide.")
    sizes: tuple[int, ...] = numbers((1, 2), 1, 5, "small numbers", "Which.")
    rule: str = choice("sgd", {"sgd": "plain", "adam": "scaled"}, "How.", also=("own",))
    parts: tuple[str, ...] = choices(("a",), lambda: LATE, "any of a and b", "What.")
    word: str = text("", "Any.")
    on: bool = flag(False, "Whether.")
    inner: Inner | None = part(None, "More.")


@dataclass(frozen=True, kw_only=True)
class Other(Made):
    steps: int = 7
    side: float | None = number(None, 0, 1, "As a share.")


LATE = ["a", "b"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"steps": 11}, "steps = 11 is not allowed: expected a number from 1 to 10."),
        ({"side": 0.4}, "side = 0.4 is not allowed: expected a number from 0.5 to 2."),
        ({"sizes": (1, 6)}, "sizes = (1, 6) is not allowed: expected small numbers."),
        ({"rule": "lion"}, "rule = 'lion' is not allowed: expected one of sgd, adam."),
        ({"parts": ("a", "c")}, "parts = ('a', 'c') is not allowed: expected any of a and b."),
        ({"inner": {"size": 0}}, "size = 0 is not allowed: expected a number from 1 to 9."),
        ({"steps": "2"}, "steps = '2' is not allowed: expected a whole number."),
    ],
)
def test_what_is_not_allowed_is_one_sentence(values, sentence):
    with pytest.raises(SpecError) as refused:
        Made(**values)
    assert str(refused.value) == sentence


def test_what_is_allowed_is_taken():
    spec = Made(steps=10, side=2, sizes=(), rule="own", parts=["b"], word="x", inner={"size": 9})
    assert spec.side == 2.0 and spec.inner == Inner(size=9) and spec.parts == ("b",)
    assert Made().to_dict() == {
        "steps": 3,
        "side": None,
        "sizes": [1, 2],
        "rule": "sgd",
        "parts": ["a"],
        "word": "",
        "on": False,
        "inner": None,
    }


def test_a_new_default_keeps_the_declaration():
    assert Other().steps == 7
    with pytest.raises(
        SpecError, match="steps = 11 is not allowed: expected a number from 1 to 10"
    ):
        Other(steps=11)
    assert declared(Other)["steps"] == declared(Made)["steps"]
    assert declared(Other)["side"].help == "As a share." and declared(Made)["side"].low == 0.5
    assert list(declared(Other)) == list(declared(Made))


def test_a_field_without_a_default_has_to_be_given():
    with pytest.raises(TypeError, match="size"):
        Inner()


def test_help_tells_meanings_and_range():
    said = declared(Made)
    assert said["rule"].sentences() == "How. sgd: plain; adam: scaled."
    assert said["steps"].sentences() == "How many. From 1 to 10."
    assert said["side"].sentences() == "How wide. From 0.5 to 2."
    assert declared(Inner)["size"].sentences() == "Of it. From 1 to 9 pixels."
    assert said["parts"].sentences() == "What." and said["parts"].choices == ("a", "b")


def test_names_of_a_registry_are_asked_for_when_they_are_needed(monkeypatch):
    monkeypatch.setitem(globals(), "LATE", ["c"])
    assert Made(parts=("c",)).parts == ("c",) and declared(Made)["parts"].choices == ("c",)
