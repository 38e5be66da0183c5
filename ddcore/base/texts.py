"""Figures as people read them."""

from __future__ import annotations


def percent(share: float) -> str:
    """A share from 0 to 1: "0 %", "less than 0.01 %", "0.37 %", "4.2 %", "58 %", "100 %"."""
    value = 100 * share
    if value == 0:
        return "0 %"
    if value < 0.01:
        return "less than 0.01 %"
    if 99 < value < 100:
        return f"{min(value, 99.99):.2f} %"
    return f"{value:.2g} %" if value < 10 else f"{value:.0f} %"


def duration(seconds: float) -> str:
    """Rounded for reading: "40 s", "3 min", "1.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Bytes for reading."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return (
                f"{count / factor:.2g} {unit}"
                if count < 10 * factor
                else f"{count / factor:.0f} {unit}"
            )
    return f"{max(count / 1e3, 1):.0f} kB"
