"""Rows of dictionaries as a table can show them: every column of one kind, so that it sorts by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Values by the name of their column, in order of appearance; what a row does not say is None.

    An empty text beside numbers says nothing either. Where texts and numbers are both meant, all are texts.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _of_one_kind([row.get(name) for row in rows]) for name in names}


def _of_one_kind(values: list[Any]) -> list[Any]:
    if all(isinstance(value, str) or value is None for value in values):
        return values
    said = [None if value == "" else value for value in values]
    if not any(isinstance(value, str) for value in said):
        return said
    return [value if value is None else str(value) for value in said]
