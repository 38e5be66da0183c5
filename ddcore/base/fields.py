"""Fields of specs that say themselves what they mean and what they may be.

    nets: int = number(1, 1, 1000, "Networks trained at once.")

is an ordinary dataclass field with the default 1, whose declaration is kept as its metadata. Validation, the
forms of pages, `--help` and docs/fields.md read it, so that nothing of it is written twice. A subclass that
gives another default (`nets: int = 8`) keeps the declaration.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ddcore.base.errors import SpecError

REQUIRED: Any = dataclasses.MISSING  # as a default: there is none
METADATA = "declared"

Names = Iterable[str] | Callable[[], Iterable[str]]  # a function where names come from a registry
# (field, text); raises SpecError for a text it does not know
Grammar = Callable[[str, str], object]


@dataclasses.dataclass(frozen=True)
class Declared:
    """What a field says of itself. Of a list, everything but `expected` is about each value in it.

    `help` are sentences for people; `unit` is what the number counts or measures. Numbers lie in [`low`,
    `high`]. `names` are the texts that are allowed, with their meanings if they are a mapping to words, and
    `also` further ones that nobody is offered. `grammar` judges texts that are no names. `expected` completes
    «expected ...» in a message; without it, it follows from the rest. A field that came `later` than stored
    results is left out of a spec's values while it has its default, so that their keys stay.
    """

    help: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    names: Names = ()
    also: tuple[str, ...] = ()
    grammar: Grammar | None = None
    expected: str = ""
    later: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts to choose from; () where it is no choice."""
        return tuple(self._named())

    @property
    def allowed(self) -> str:
        """What completes «expected ...»."""
        if self.expected:
            return self.expected
        if self.low is not None:
            return f"a number from {self.low:g} to {self.high:g}"
        return "one of " + ", ".join(self.choices)

    def check(self, field: str, value: Any) -> None:
        """`SpecError` for a value, of the right type, that is not allowed."""
        for each in value if isinstance(value, tuple) else (value,):
            if not self._allows(each):
                raise SpecError(field, value, self.allowed)
            if self.grammar and isinstance(each, str):
                self.grammar(field, each)

    def _allows(self, value: Any) -> bool:
        if isinstance(value, str):
            return not self.names or value in self.choices or value in self.also
        bounded = self.low is not None and self.high is not None and value is not None
        return not bounded or self.low <= value <= self.high

    def sentences(self) -> str:
        """Help, with the meanings of the names and the range."""
        named = self._named()
        meant = named.items() if isinstance(named, Mapping) else ()
        words = [f"{name}: {text}" for name, text in meant if isinstance(text, str)]
        found = [self.help, "; ".join(words) + "." if words else "", self.bounds()]
        return " ".join(filter(None, found))

    def bounds(self) -> str:
        """The bounds of a number in words; "" without any."""
        if self.low is None or self.high is None or self.low == self.high:
            return ""
        unit = f" {self.unit}" if self.unit else ""
        return f"From {_figure(self.low)} to {_figure(self.high)}{unit}."

    def _named(self) -> Iterable[str]:
        return self.names() if callable(self.names) else self.names


def _figure(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def declared(cls: type) -> dict[str, Declared]:
    """What every field of a dataclass says of itself, in their order."""
    return _declared(cls)


@functools.cache
def _declared(cls: type) -> dict[str, Declared]:
    found: dict[str, Declared] = {}
    for base in filter(dataclasses.is_dataclass, reversed(cls.__mro__)):
        for field in dataclasses.fields(base):
            if METADATA in field.metadata or field.name not in found:
                found[field.name] = field.metadata.get(METADATA, Declared())
    return found


# --- declarations -----------------------------------------------------------------------------------


def number(
    default: Any,
    low: float,
    high: float,
    help: str,
    *,
    unit: str = "",
    expected: str = "",
    later: bool = False,
) -> Any:
    """A number, or None where that is the default, from `low` to `high`; `later` as for a choice."""
    said = Declared(help=help, unit=unit, low=low, high=high, expected=expected, later=later)
    return _field(default, said)


def numbers(
    default: tuple[float, ...],
    low: float,
    high: float,
    expected: str,
    help: str,
    *,
    unit: str = "",
    later: bool = False,
) -> Any:
    """Several numbers, each from `low` to `high`; `expected` says in messages what they have to be."""
    said = Declared(help=help, unit=unit, low=low, high=high, expected=expected, later=later)
    return _field(default, said)


def choice(
    default: Any, names: Names, help: str, *, also: tuple[str, ...] = (), later: bool = False
) -> Any:
    """One of some names; `later` if it was added when results had been stored without it."""
    return _field(default, Declared(help=help, names=names, also=also, later=later))


def choices(default: tuple[str, ...], names: Names, expected: str, help: str) -> Any:
    """Several names; `expected` says in messages what they have to be."""
    return _field(default, Declared(help=help, names=names, expected=expected))


def text(default: Any, help: str, *, grammar: Grammar | None = None, later: bool = False) -> Any:
    """A text, or several, that `grammar` understands; any without it. `later` as for a choice."""
    return _field(default, Declared(help=help, grammar=grammar, later=later))


def flag(default: Any, help: str) -> Any:
    """On or off."""
    return _field(default, Declared(help=help))


def part(default: Any, help: str, *, names: Names = (), later: bool = False) -> Any:
    """A spec within the spec: by default what `default` makes, None, or `REQUIRED`.

    `names` are those by which it is chosen; `later` as for a choice, where the default is None.
    """
    said = Declared(help=help, names=names, later=later)
    if callable(default):
        return dataclasses.field(default_factory=default, metadata={METADATA: said})
    return _field(default, said)


def seed(default: Any = 0, help: str = "Another seed gives other random numbers.") -> Any:
    """From which random numbers are derived."""
    return number(default, 0, 2**31 - 1, help)


def _field(default: Any, said: Declared) -> Any:
    return dataclasses.field(default=default, metadata={METADATA: said})
