"""Texts of plotly figures as matplotlib shows them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from ddcore.base.foreign_text import JOINER, unmathematical

_BREAK = re.compile(r"<br ?/?>")
_TAG = re.compile(r"</?(?:b|i|sub|sup|extra)>")
_FORMAT = re.compile(r"(?P<sign>\+?)(?:\.(?P<digits>\d+))?(?P<trim>~?)(?P<kind>[%fgeds]?)")


def read(text: object) -> str:
    """What a reader sees of a text for plotly, in lines: tags of ours are taken out, entities resolved."""
    bare = _TAG.sub("", _BREAK.sub("\n", str(text)))
    return html.unescape(bare).replace(JOINER, "")


def shown(text: object) -> str:
    """The same for matplotlib."""
    return unmathematical(read(text))


def formatter(form: str | None) -> Callable[[float, object], str] | None:
    """How an axis writes numbers, from the formats of d3 that figures use; None for the usual way.

    Raises `ValueError` for a format that is not known here.
    """
    if not form:
        return None
    found = _FORMAT.fullmatch(form)
    if not found:
        raise ValueError(f"tickformat: {form!r} is no format that is printed")
    sign, digits, kind = found["sign"], found["digits"] or "0", found["kind"] or "g"

    def write(value: float, _place: object = None) -> str:
        if kind == "%":
            text = f"{100 * value:{sign}.{digits}f}%"
        elif kind in ("g", "s", "d"):
            text = f"{value:{sign}g}"
        else:
            text = f"{value:{sign}.{digits}{kind}}"
        return text.replace("-", "−")

    return write
