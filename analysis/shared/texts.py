"""Numbers of several sets in a few words."""

from __future__ import annotations

from collections.abc import Iterable


def span(values: Iterable[float], unit: str = "", *, digits: int = 0, signed: bool = False) -> str:
    """ "64 to 98 %": the smallest and the largest, or the one that there is; `signed` writes a plus, too."""
    known = sorted(values)
    low, high = (_written(value, digits, signed) for value in (known[0], known[-1]))
    return " ".join(filter(None, (low if low == high else f"{low} to {high}", unit)))


def _written(value: float, digits: int, signed: bool) -> str:
    """Without the sign of a number that is written as zero."""
    number = round(value, digits) + 0.0
    return f"{number:{'+' if signed and number else ''}.{digits}f}"
