"""Finished analyses as one HTML file that opens without a network (`templates/report.html`).

plotly.js is written into it once, images are data URIs; every figure can be hovered and zoomed.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.claims import picture, table
from analysis.claims.base import HOLDS, NOT, OPEN, Claim, Verdict
from analysis.contract import Analysis, Drawn, Pictures, of_spec, seen
from analysis.settings import picked
from analysis.shared import drawing
from analysis.task import load_arrays
from analysis.uses.shown import UseShown, shown
from ddcore.base.foreign_text import plain
from ddcore.sets import render
from ddcore.tasks.store import Store, Task

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

SCALE = 6  # screen pixels per image pixel at most
WIDTH = 96  # of an image, about
SIGNS = {HOLDS: "✓", NOT: "✗", OPEN: "?"}


def html(tasks: Sequence[Task], store: Store, uses: Sequence[str] = ()) -> str:
    """The report of finished tasks, in the order of the pages, then of uses by their keys."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    found = sorted(((of_spec(t.spec()), t) for t in tasks), key=lambda pair: pair[0].order)
    lines = table.lines(store, {analysis.name: task for analysis, task in found}, plain)
    analysis, task = found[0]
    first = analysis.result(task)
    return (
        _environment()
        .get_template("report.html")
        .render(
            data_label=first.data_label,
            sets=", ".join(run.label for run in first.runs),
            findings=_findings(lines),
            summary=table.summary([line for line in lines if line.verdict]),
            legend=table.LEGEND,
            rule=table.RULE,
            signs=SIGNS,
            parts=[
                _part(analysis, task, store, place) for place, (analysis, task) in enumerate(found)
            ],
            uses=[_use(shown(store, key), place) for place, key in enumerate(uses)],
            plotly=Markup(get_plotlyjs()),  # a library, not a text
        )
    )


def _environment() -> Environment:
    """Where the template comes from: every text is escaped, a name that is not given is an error."""
    import jinja2
    from markupsafe import Markup

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        coded=_coded,
        drawn=lambda evidence: Markup(picture.html(evidence)),
        markdown=_markdown,
        number=_number,
        pngs=_pngs,
        typeset=drawing.typeset,
    )
    return made


# --- what the template shows ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Finding:
    """A finding of the paper with its verdict here, and why."""

    claim: Claim
    verdict: Verdict
    reasons: tuple[str, ...]
    parts: tuple[str, ...]


def _findings(lines: list[table.ClaimLine]) -> list[_Finding]:
    """The paper's findings beside these results, if there are several: they are decided together."""
    if len({line.claim.analysis for line in lines if line.verdict}) < 2:
        return []
    return [
        _Finding(
            claim=line.claim,
            verdict=verdict,
            reasons=(verdict.why, line.explained, "; ".join(line.differs)),
            parts=tuple(table.part_text(part) for part, _ in verdict.parts),
        )
        for line in lines
        if (verdict := line.verdict)
    ]


@dataclass(frozen=True)
class _Figure:
    """A figure as HTML that needs plotly.js."""

    title: str
    html: Markup
    caption: str


@dataclass(frozen=True)
class _Part:
    """One analysis: `names` are the columns of its table, `spec` what was asked for."""

    analysis: Analysis[Any, Any]
    task: Task
    sentence: str
    figures: list[_Figure]
    pictures: list[Pictures]
    rows: list[dict[str, Any]]
    names: list[str]
    spec: str
    versions: dict[str, str]


def _part(analysis: Analysis[Any, Any], task: Task, store: Store, place: int) -> _Part:
    result, arrays = analysis.result(task), load_arrays(store, task)
    shown, rows = seen(result, plain), analysis.table(result, arrays)
    figures = analysis.figures(shown, arrays, picked(analysis, result))
    return _Part(
        analysis=analysis,
        task=task,
        sentence=analysis.sentence(shown),
        figures=[_figure(drawn, f"figure-{place}-{i}") for i, drawn in enumerate(figures)],
        pictures=analysis.pictures(result, arrays),
        rows=rows,
        names=list(dict.fromkeys(name for row in rows for name in row)),
        spec=json.dumps(task.document()["spec"], indent=1),
        versions=result.versions,
    )


@dataclass(frozen=True)
class _UsePart:
    """One use: its figures drawn; `names` are the columns of its table."""

    shown: UseShown
    figures: list[_Figure]
    names: list[str]


def _use(of: UseShown, place: int) -> _UsePart:
    figures = [_figure(drawn, f"use-{place}-{i}") for i, drawn in enumerate(of.drawn)]
    return _UsePart(of, figures, list(dict.fromkeys(name for row in of.rows for name in row)))


def _figure(drawn: Drawn, name: str) -> _Figure:
    import plotly.io
    from markupsafe import Markup

    drawn.figure.update_layout(template="none", paper_bgcolor=None, plot_bgcolor=None)
    drawn.figure.update_xaxes(automargin=True).update_yaxes(automargin=True)
    body = plotly.io.to_html(
        drawn.figure,
        include_plotlyjs=False,
        full_html=False,
        div_id=name,
        config={"displaylogo": False},
    )
    return _Figure(drawn.title, Markup(body), drawn.caption)


# --- filters --------------------------------------------------------------------------------------


def _pngs(group: Pictures) -> Iterator[tuple[str, str]]:
    """Each label with its image, a PNG in base 64."""
    scale = max(1, min(SCALE, WIDTH // group.pixels.shape[-1])) if len(group.labels) else 1
    for pixels, label in zip(group.pixels, group.labels):
        yield label, base64.b64encode(render.png(pixels, scale)).decode()


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _coded(text: str) -> Markup:
    """Text of ours with `plain` parts: their entities stay what they are."""
    from markupsafe import Markup, escape

    # A plain str: substituting in Markup would escape what is put in.
    return Markup(re.sub(r"&amp;(#\d+;)", r"&\1", str(escape(text))))


def _markdown(text: str) -> Markup:
    """The little Markdown that texts of analyses use: paragraphs, lists, **bold**, *italics*, `code`."""
    from markupsafe import Markup

    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        if block.startswith("- "):
            items = re.split(r"\n?^- ", block, flags=re.M)[1:]
            blocks.append("<ul>" + "".join(f"<li>{_inline(i)}</li>" for i in items) + "</ul>")
        else:
            blocks.append(f"<p>{_inline(block)}</p>")
    return Markup("".join(blocks))


def _inline(text: str) -> str:
    text = str(_coded(text))
    for pattern, tag in ((r"\*\*(.+?)\*\*", "b"), (r"\*(.+?)\*", "i"), (r"`(.+?)`", "code")):
        text = re.sub(pattern, rf"<{tag}>\1</{tag}>", text, flags=re.S)
    return text
