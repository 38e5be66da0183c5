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
