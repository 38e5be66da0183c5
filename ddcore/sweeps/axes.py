"""Axes of a sweep: the values of every field that is varied, from texts as people type them.

A text names several values: `dm,dc`, and of whole numbers `0-4` or `0,2,5-7`. Of other fields of a run values
stand between commas, `lr=0.1,1`, or between semicolons where they contain commas, `widths=8,16;32,64`. A law
draws values instead: `lr=log:0.01:10`.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ddcore.base import rng
from ddcore.base.errors import DDError, SpecError
from ddcore.base.specs import text_of
from ddcore.distil.contract import methods
from ddcore.distil.settings import PRESETS

OWN = ("method", "dataset", "preset", "ipc", "seed")  # axes with an option of their own
REPEATED = "seed"  # what a mean is taken over
MOST_CELLS, MOST_POINTS = 10_000, 1000
MOST_RANGE = 10_000  # values of one range
DIGITS = 4  # of a value that is drawn: what is read is what is computed
LAWS = {"log": "log-uniform", "uniform": "uniform", "whole": "whole numbers, each as likely"}

CellPlace = tuple[tuple[str, str], ...]  # (axis, value) of a cell on every axis, in their order


@dataclass(frozen=True)
class Law:
    """From what the values of a field are drawn: one of `LAWS`, from `low` to `high`."""

    field: str
    law: str
    low: float
    high: float

    def text(self) -> str:
        """As it is typed."""
        return f"{self.field}={self.law}:{text_of(self.low)}:{text_of(self.high)}"

    def draw(self, name: str, points: int) -> list[str]:
        """Values for the sweep `name`, as typed: of its own stream, so more points begin with fewer."""
        stream = rng.numpy_generator(0, "sweep", name, self.field)
        return [self._value(float(share)) for share in stream.random(points)]

    def _value(self, share: float) -> str:
        if self.law == "whole":
            return str(min(int(self.low + share * (self.high - self.low + 1)), int(self.high)))
        if self.law == "log":
            value = math.exp(math.log(self.low) * (1 - share) + math.log(self.high) * share)
        else:
            value = self.low + share * (self.high - self.low)
        return f"{min(max(float(f'{value:.{DIGITS}g}'), self.low), self.high):.12g}"


@dataclass(frozen=True)
class Axes:
    """Values of every axis as texts, in the order in which they were typed.

    `settings` are (field, values) pairs of further fields; `points` are drawn for all `over` together.
    """

    method: tuple[str, ...]
    dataset: tuple[str, ...]
    preset: tuple[str, ...]
    ipc: tuple[str, ...]
    seed: tuple[str, ...]
    settings: tuple[tuple[str, tuple[str, ...]], ...] = ()
    points: int = 0
    over: tuple[Law, ...] = ()

    def __post_init__(self) -> None:
        for name in OWN:
            _distinct(name, getattr(self, name))
        _names("method", self.method, methods())
        _names("preset", self.preset, PRESETS)
        fields = [*(field for field, _ in self.settings), *(law.field for law in self.over)]
        for field in fields:
            if field in (*OWN, "data") or fields.count(field) > 1:
                allowed = f"another field, once: {', '.join(OWN)} have options of their own"
                raise SpecError("set", field, allowed)
        for field, values in self.settings:
            _distinct(field, values)
        if bool(self.points) != bool(self.over):
            raise DDError(
                "A search needs both how many points are drawn and what of: say --search 20 --over "
                "lr=log:0.01:10."
            )
        if not 0 <= self.points <= MOST_POINTS:
            raise SpecError("search", self.points, f"a number from 1 to {MOST_POINTS}")
        if self.count > MOST_CELLS:
            raise SpecError("cells", self.count, f"at most {MOST_CELLS:,} in one sweep")

    @property
    def count(self) -> int:
        """How many cells there are."""
        listed = [len(getattr(self, name)) for name in OWN]
        return math.prod([*listed, *(len(v) for _, v in self.settings), max(self.points, 1)])

    @property
    def varied(self) -> tuple[str, ...]:
        """The axes with several values, in their order, without seeds."""
        several = [name for name in OWN[:-1] if len(getattr(self, name)) > 1]
        several += [field for field, values in self.settings if len(values) > 1]
        return (*several, *(law.field for law in self.over if self.points > 1))

    def places(self, name: str) -> Iterator[CellPlace]:
        """The place of every cell of the sweep `name`; seeds turn fastest."""
        listed = [[(axis, value) for value in getattr(self, axis)] for axis in OWN[:-1]]
        listed += [[(field, value) for value in values] for field, values in self.settings]
        drawn = [[(law.field, v) for v in law.draw(name, self.points)] for law in self.over]
        together = list(zip(*drawn)) if drawn else [()]
        seeds = [(REPEATED, seed) for seed in self.seed]
        for fixed, point, seed in itertools.product(itertools.product(*listed), together, seeds):
            yield (*fixed, *point, seed)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {name: list(getattr(self, name)) for name in OWN} | {
            "settings": [[field, list(values)] for field, values in self.settings],
            "points": self.points,
            "over": [law.text() for law in self.over],
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Axes:
        """The inverse; `ValueError`, `KeyError` or `TypeError` for what no sweep has written."""
        own = {name: _texts(found[name]) for name in OWN}
        settings = tuple((str(field), _texts(values)) for field, values in found["settings"])
        over = tuple(law(str(text)) for text in found["over"])
        return cls(**own, settings=settings, points=int(found["points"]), over=over)

    def command(self, name: str) -> str:
        """What one types for it."""
        words = ["ddx", "sweep", name]
        for axis in OWN:
            words += [f"--{axis}", *getattr(self, axis)]
        for field, values in self.settings:
            several = any("," in value for value in values)
            mark = ";" if several else ","
            end = ";" if several and len(values) == 1 else ""
            words += ["--set", f"{field}={mark.join(values)}{end}"]
        words += ["--search", str(self.points)] if self.over else []
        for each in self.over:
            words += ["--over", each.text()]
        return " ".join(_quoted(word) for word in words)


def make(
    *,
    method: Iterable[str],
    dataset: Iterable[str] = ("digits",),
    preset: Iterable[str] = ("quick",),
    ipc: Iterable[str] = ("1",),
    seed: Iterable[str] = ("0",),
    settings: Iterable[str] = (),
    points: int = 0,
    over: Iterable[str] = (),
) -> Axes:
    """Axes from what is typed after each option; `SpecError` or `DDError` says what is not understood."""
    return Axes(
        method=_words("method", method),
        dataset=tuple(dataset),
        preset=_words("preset", preset),
        ipc=whole("ipc", ipc),
        seed=whole("seed", seed),
        settings=tuple(setting(text) for text in settings),
        points=points,
        over=tuple(law(text) for text in over),
    )


def whole(axis: str, texts: Iterable[str]) -> tuple[str, ...]:
    """Whole numbers of `0-4`, `0,2,5-7` and the like, as texts."""
    found: list[str] = []
    for text in _words(axis, texts):
        match = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", text, re.ASCII)
        if not match:
            raise SpecError(axis, text, "whole numbers such as 3 or 0,2,5-7")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < first + MOST_RANGE:
            raise SpecError(axis, text, f"a range upwards of at most {MOST_RANGE:,} numbers")
        found += map(str, range(first, last + 1))
    return tuple(found)


def setting(text: str) -> tuple[str, tuple[str, ...]]:
    """A field and its values, of `lr=0.1,1`; between semicolons where they contain commas."""
    field, sign, typed = text.partition("=")
    if not (sign and field):
        raise DDError(f"--set {text!r} is not understood: write field=value, or field=value,value.")
    if ";" in typed:
        return field, tuple(value for value in typed.split(";") if value)
    return field, tuple(typed.split(","))


def law(text: str) -> Law:
    """What values of a field are drawn from, of `lr=log:0.01:10`."""
    field, _, typed = text.partition("=")
    kind, low, high = [*typed.split(":"), "", ""][:3]
    try:
        found = Law(field, kind, float(low), float(high))
    except ValueError:
        found = Law(field, "", 0.0, 0.0)
    sound = bool(field) and typed.count(":") == 2 and math.isfinite(found.high - found.low)
    if found.law not in LAWS or not sound or not found.low < found.high:
        names = ", ".join(LAWS)
        raise SpecError("over", text, f"field=law:low:high with one of {names} and low below high")
    if found.law == "log" and found.low <= 0:
        raise SpecError("over", text, "a low end above 0 for log")
    if found.law == "whole" and not (found.low.is_integer() and found.high.is_integer()):
        raise SpecError("over", text, "whole ends for whole")
    return found


def _words(axis: str, texts: Iterable[str]) -> tuple[str, ...]:
    found = tuple(word for text in texts for word in text.split(","))
    if "" in found:
        raise SpecError(axis, ",".join(found), "values between commas")
    return found


def _texts(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(value, str) for value in found):
        raise ValueError(f"{found!r} is no list of texts")
    return tuple(found)


def _distinct(axis: str, values: Sequence[str]) -> None:
    if not values or len({*values}) < len(values):
        raise SpecError(axis, ",".join(values), "at least one value, and each once")


def _names(axis: str, values: Iterable[str], known: Iterable[str]) -> None:
    known = tuple(known)
    for value in values:
        if value not in known:
            raise SpecError(axis, value, "one of " + ", ".join(known))


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[\w.,:=/+-]+", word) else "'" + word.replace("'", "'\\''") + "'"
