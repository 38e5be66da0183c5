"""The small picture of a verdict: our mean and spread beside the published figure, a line for each set.

HTML with styles of its own, since pages keep no SVG and a report needs no script for it. Text and the
published marks take the colour of the text around them, so both themes are served.
"""

from __future__ import annotations

import math

from analysis import colours
from analysis.claims.base import Evidence, Mark
from ddcore.foreign_text import plain, unescaped

LINE_PX, DOT_PX = 18, 9
STEPS = 5  # at most, between the ends of the axis
COLUMNS = "grid-template-columns:minmax(44px,max-content) minmax(80px,1fr) max-content max-content"
GRID = f"display:grid;{COLUMNS};column-gap:10px;font-size:13px;line-height:{LINE_PX}px"
SOFT = "opacity:.75;white-space:nowrap"
CELL = "white-space:nowrap;text-align:right"
DOT = (
    f"position:absolute;top:{(LINE_PX - DOT_PX + 1) / 2}px;width:{DOT_PX}px;height:{DOT_PX}px;"
    f"margin-left:-{DOT_PX / 2}px;border-radius:50%;"
)
LINE = "position:absolute;top:0;height:100%;border-left:1px dashed currentColor;opacity:.45;"


def html(evidence: Evidence) -> str:
    """The picture; "" where there is nothing to draw."""
    if not evidence.marks:
        return ""
    low, high, step = axis(evidence)
    theirs = any(mark.published for mark in evidence.marks)
    heads = ("", plain(evidence.unit), "● here", "× paper" if theirs else "")
    head = "".join(f'<span style="{SOFT};{_align(i)}">{h}</span>' for i, h in enumerate(heads))
    rows = "".join(_row(mark, evidence, low, high) for mark in evidence.marks)
    ends = _end(low, step, "left") + _end(high, step, "right")
    foot = f'<span></span>{_place(ends)}<span style="grid-column:span 2"></span>'
    words = "; ".join(said(mark, evidence) for mark in evidence.marks)
    return f'<div role="img" aria-label="{_quoted(words)}" style="{GRID}">{head}{rows}{foot}</div>'


def axis(evidence: Evidence) -> tuple[float, float, float]:
    """Ends of the axis around everything that is drawn, and the round step that they are multiples of."""
    values = [] if evidence.reference is None else [evidence.reference]
    means = [value for mark in evidence.marks for value in (mark.ours, *mark.published)]
    for mark in evidence.marks:
        spread = mark.spread or 0.0
        values += [mark.ours - spread, mark.ours + spread]
    low, high = min([*values, *means]), max([*values, *means])
    if evidence.unit.startswith("%") and max(means) <= 100:
        high = min(high, 100.0)
    rough = max(high - low, 1e-3 * max(abs(low), abs(high)), 0.5) / STEPS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return (low - step, high, step) if low >= high else (low, high, step)


def said(mark: Mark, evidence: Evidence) -> str:
    """A line of the picture in words."""
    name = f"{mark.label} ({unescaped(mark.full)})" if mark.full else mark.label
    theirs = f", published {_published(mark)}" if mark.published else ""
    return f"{name}: {mark.text(evidence.digits)} {evidence.unit}{theirs}"


def _row(mark: Mark, evidence: Evidence, low: float, high: float) -> str:
    """Label, marks, our figure and the published one."""
    colour = colours.style(mark.method).colour if mark.method else colours.REAL

    def place(value: float) -> float:
        return 100 * (min(max(value, low), high) - low) / (high - low)

    drawn = ""
    if evidence.reference is not None:
        drawn += f'<i style="{LINE}left:{place(evidence.reference):.2f}%"></i>'
    if mark.spread is not None:
        left, right = place(mark.ours - mark.spread), place(mark.ours + mark.spread)
        drawn += (
            f'<i style="position:absolute;top:{LINE_PX // 2 - 1}px;height:3px;background:{colour};'
            f'left:{left:.2f}%;width:{right - left:.2f}%"></i>'
        )
    drawn += f'<i style="{DOT}background:{colour};left:{place(mark.ours):.2f}%"></i>'
    for value in mark.published:
        drawn += (
            '<b style="position:absolute;width:12px;margin-left:-6px;text-align:center;'
            f'font-size:15px;left:{place(value):.2f}%">×</b>'
        )
    hint = f' title="{_quoted(said(mark, evidence))}"'
    return (
        f'<span style="white-space:nowrap"{hint}>{plain(mark.label)}</span>{_place(drawn, hint)}'
        f'<span style="{CELL}">{_minus(mark.text(evidence.digits))}</span>'
        f'<span style="{CELL};min-width:44px">{_minus(_published(mark))}</span>'
    )


def _published(mark: Mark) -> str:
    """ "73", "41–71" of several."""
    ends = sorted({min(mark.published), max(mark.published)}) if mark.published else []
    return "–".join(f"{value:g}" for value in ends)


def _place(drawn: str, hint: str = "") -> str:
    return f'<span{hint} style="position:relative;height:{LINE_PX}px;margin:0 6px">{drawn}</span>'


def _end(value: float, step: float, side: str) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    text = _minus(f"{value + 0.0:,.{digits}f}")
    return f'<span style="position:absolute;{side}:0;font-size:11px;{SOFT}">{text}</span>'


def _align(column: int) -> str:
    return "text-align:right" if column > 1 else "padding-left:6px"


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _quoted(text: str) -> str:
    """For an attribute: `plain`, and no quotation mark ends it."""
    return plain(unescaped(text)).replace('"', "&quot;")
