"""Names of classes as files tell them: texts, each once, by their number."""

from __future__ import annotations

from typing import Any

from ddcore.base.errors import DataError


def distinct_names(told: Any, where: str) -> tuple[str, ...]:
    """Names from a list, or from a dict whose keys are the classes' numbers; `DataError` for anything else.

    `where` names the file in messages.
    """
    if isinstance(told, dict):
        places = {str(i) for i in range(len(told))}
        if set(told) != places:
            odd = sorted(set(told) - places)
            raise DataError(
                f"{where} names its classes by {str(odd[0])[:40]!r}: expected the numbers 0 to "
                f"{len(told) - 1}."
            )
        told = [told[str(i)] for i in range(len(told))]
    if not isinstance(told, list | tuple):
        raise DataError(
            f"{where} names its classes by {str(told)[:40]!r}: expected a list of texts."
        )
    seen: dict[str, int] = {}
    for i, name in enumerate(told):
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"{where} names class {i} {str(name)[:40]!r}: expected a text.")
        if name in seen:
            raise DataError(
                f"{where} names both class {seen[name]} and class {i} {name[:40]!r}: expected each name once."
            )
        seen[name] = i
    return tuple(told)
