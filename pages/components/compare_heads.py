"""The head of a column: thumbnail, name, and the accuracy of each network beside what is free."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ddcore.base import spread
from ddcore.base.foreign_text import plain
from ddcore.base.spread import figure_text
from ddcore.tasks import stamps
from pages.components import charts, permissions, shell, thumbnails

if TYPE_CHECKING:
    from pages.components.compare_views import Side

Subjects = dict[str, dict[str, Any]]  # of an evaluation, by subject
FREE = ("random", "class_mean")
MIDDLE = '<i class="middle"></i>'
MARGIN = 0.06  # of the axis, on either side
WIDEST = 4  # columns that share a page's width; more can be scrolled
CSS = """<style>
.compare-head { font-size: .875rem; line-height: 1.3; }
.compare-head .strip { height: 26px; margin-bottom: 4px; background: left / auto 100% no-repeat;
  image-rendering: pixelated; }
.compare-head b, .compare-head span { display: block; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
.compare-head .axis { position: relative; height: 22px; margin: 0 6px; }
.compare-head .axis i { position: absolute; }
.compare-head .middle { left: 0; right: 0; top: 10px; border-top: 1px solid #808080; opacity: .5; }
.compare-head .free { top: 2px; width: 3px; height: 18px; margin-left: -1px; }
.compare-head .spread { top: 9px; height: 4px; }
.compare-head .dot { top: 7px; width: 8px; height: 8px; margin-left: -4px; border-radius: 50%;
  opacity: .75; }
.st-key-compare-columns [data-testid=stElementContainer]:has(.compare-head) {
  position: sticky; top: 2.25rem; z-index: 9; padding: 4px 0;
  background: color-mix(in srgb, Canvas 80%, transparent); backdrop-filter: blur(12px);
}
SCROLLED
</style>"""
SCROLLED = """.st-key-compare-columns { overflow: auto; max-width: 100%; max-height: calc(100vh - 5rem); }
.st-key-compare-columns [data-testid=stColumn] { min-width: 230px; }
.st-key-compare-columns [data-testid=stHorizontalBlock] { flex-wrap: nowrap; }
.st-key-compare-columns [data-testid=stElementContainer]:has(.compare-head) { top: 0; }"""


def css(columns: int) -> str:
    """How heads stay in sight: in the page, or, of many columns, in a part that can be scrolled."""
    return CSS.replace("SCROLLED", SCROLLED if columns > WIDEST else "")


def axis(found: dict[str, Subjects]) -> tuple[float, float]:
    """The lowest and the highest accuracy in any head, a little apart."""
    shown = [row for rows in found.values() for name, row in rows.items() if _is_shown(name)]
    values = [v for row in shown for v in (*row.get("accuracies", ()), row["mean"])]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = MARGIN * (high - low) or 0.01
    return low - room, high + room


def _is_shown(subject: str) -> bool:
    return subject == "distilled" or subject in FREE


def html(side: Side, rows: Subjects, ends: tuple[float, float]) -> str:
    """The head as HTML without SVG, which pages do not keep; names may be other people's."""
    store, keep = shell.store(), permissions.refusal() == ""
    strip = thumbnails.address(store.root, side.task, stamps.stamp(side.task), keep)
    look = f'role="img" aria-label="One image of each class" style="background-image:url({strip})"'
    picture = f'<div class="strip" {look}></div>' if strip else ""
    name = plain(side.name).replace('"', "&quot;")
    return (
        f'<div class="compare-head">{picture}<b title="{name}">{name}</b>'
        f"{_accuracy(rows, ends, charts.COLOURS[side.place])}</div>"
    )


def _accuracy(rows: Subjects, ends: tuple[float, float], colour: str) -> str:
    """Figure in words; a dot per network, a bar for mean and spread, lines for what is free."""
    if not rows:
        return "<span>not measured yet</span>"
    low, high = ends

    def at(value: float) -> float:
        return 100 * (value - low) / (high - low)

    own = rows["distilled"]
    words, parts = [f"distilled {figure_text(own)}"], [MIDDLE]
    for name in (name for name in FREE if name in rows):
        label, line, _ = charts.subject(name)
        words.append(f"{label.lower()} {figure_text(rows[name])}")
        place = f"left:{at(rows[name]['mean']):.2f}%;background:{line}"
        parts.append(f'<i class="free" style="{place}" title="{escape(words[-1])}"></i>')
    std = spread.of(own) or 0.0
    place = f"left:{at(own['mean'] - std):.2f}%;width:{200 * std / (high - low):.2f}%"
    parts.append(f'<i class="spread" style="{place};background:{colour}"></i>')
    for value in own.get("accuracies", ()):
        parts.append(f'<i class="dot" style="left:{at(value):.2f}%;background:{colour}"></i>')
    alt = escape("; ".join(words))
    figure = f"<span>{escape(figure_text(own))}</span>"
    return f'{figure}<div class="axis" role="img" aria-label="{alt}">{"".join(parts)}</div>'
