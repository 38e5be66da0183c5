"""Finished analyses as one HTML file that opens without a network.

plotly.js is written into it once, images are data URIs; every figure can be hovered and zoomed.
"""

from __future__ import annotations

import base64
import html as escaping
import json
import re
from collections.abc import Sequence
from typing import Any

from analysis.claims import picture, table
from analysis.claims.base import HOLDS, NOT, OPEN
from analysis.contract import Analysis, Pictures, of_spec, seen
from analysis.results import Result
from analysis.settings import picked
from analysis.shared import drawing
from analysis.task import load_arrays
from ddcore.base.foreign_text import plain
from ddcore.sets import render
from ddcore.tasks.store import Store, Task

SCALE = 6  # screen pixels per image pixel at most
WIDTH = 96  # of an image, about
CSS = """
:root{color-scheme:light dark;--back:#fff;--ink:#0b1118;--soft:#5b6670;--line:#d5dce2}
@media(prefers-color-scheme:dark){:root{--back:#14181d;--ink:#e6e9ec;--soft:#a3adb5;--line:#353d46}}
body{font:16px/1.5 system-ui,sans-serif;background:var(--back);color:var(--ink);max-width:1000px;
margin:2rem auto;padding:0 1rem}h1,h2,h3{line-height:1.25}h2{margin-top:3rem;border-top:1px solid var(--line);
padding-top:1.5rem}.answer{font-size:1.15rem}.caption,footer{color:var(--soft);font-size:.9rem}
.two{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.two>div{border:1px solid var(--line);padding:0 1rem;
border-radius:6px}@media(max-width:700px){.two{grid-template-columns:1fr}}
table{border-collapse:collapse;font-size:.85rem}
td,th{padding:.15rem .6rem;border-bottom:1px solid var(--line);
text-align:right}td:first-child,th:first-child{text-align:left}
.pictures{display:flex;flex-wrap:wrap;gap:8px}figure{margin:0;font-size:.75rem;text-align:center}
img{image-rendering:pixelated;background:#808080}pre{white-space:pre-wrap;font-size:.8rem}
details{margin:1rem 0}.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(420px,1fr));gap:1rem}
.cards>div{border:1px solid var(--line);padding:.5rem 1rem;border-radius:6px}.cards p{margin:.4rem 0}
"""
SIGNS = {HOLDS: "✓", NOT: "✗", OPEN: "?"}
# Axes and legends follow the reader's theme, as the text does.
THEME = """
const dark=matchMedia('(prefers-color-scheme: dark)').matches;
for(const g of document.querySelectorAll('.plotly-graph-div'))
Plotly.relayout(g,{paper_bgcolor:'rgba(0,0,0,0)',plot_bgcolor:'rgba(0,0,0,0)','font.color':dark?'#e6e9ec':'#0b1118',
...Object.fromEntries(Object.keys(g.layout).filter(k=>/^[xy]axis/.test(k)).flatMap(k=>
[[k+'.gridcolor',dark?'#353d46':'#e3e8ec'],[k+'.zerolinecolor',dark?'#4a535d':'#c9d1d8']]))});
"""


def html(tasks: Sequence[Task], store: Store) -> str:
    """The report of finished tasks, in the order of the pages."""
    from plotly.offline import get_plotlyjs

    found = sorted(((of_spec(t.spec()), t) for t in tasks), key=lambda pair: pair[0].order)
    parts = [_section(analysis, task, store, place) for place, (analysis, task) in enumerate(found)]
    findings = _findings({analysis.name: task for analysis, task in found}, store)
    analysis, task = found[0]
    first = analysis.result(task)
    sets = ", ".join(run.label for run in first.runs)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Distilled sets of {_text(first.data_label)}</title><style>{CSS}</style>"
        f"<script>{get_plotlyjs()}</script></head><body>"
        f"<h1>What do distilled images hold?</h1><p>{_text(sets)}; {_text(first.data_label)}. "
        "Analyses after Yang et al. 2024, <i>What is Dataset Distillation Learning?</i></p>"
        f"{findings}{''.join(parts)}<script>{THEME}</script></body></html>"
    )


def _findings(tasks: dict[str, Task], store: Store) -> str:
    """The paper's findings beside these results, if there are several: they are decided together."""
    lines = [line for line in table.lines(store, tasks, plain) if line.verdict]
    if len({line.claim.analysis for line in lines}) < 2:
        return ""
    cards = "".join(_finding(line) for line in lines)
    return (
        f'<h2>The paper, here</h2><div class="answer">{_markdown(table.summary(lines))}</div>'
        f'<p class=caption>{_text(table.LEGEND)}</p><div class="cards">{cards}</div>'
        f"<p class=caption>{_text(table.RULE)}</p>"
    )


def _finding(line: table.Line) -> str:
    verdict, published = line.verdict, line.claim.published
    parts = "".join(
        f"<li>{_coded(drawing.typeset(table.part_text(part)))}</li>" for part, _ in verdict.parts
    )
    reasons = [verdict.why, line.explained, "; ".join(line.differs)]
    why = "".join(f"<p>{_coded(drawing.typeset(text))}</p>" for text in reasons if text)
    here = f" Here: {_text(verdict.evidence.n)}." if verdict.evidence.n else ""
    return (
        f"<div><p><b>{SIGNS[verdict.outcome]} {verdict.word}</b></p><p>{_text(line.claim.statement)}</p>"
        f"{picture.html(verdict.evidence)}"
        f"<p class=caption>Paper: {_text(drawing.typeset(published.text))}.{here}</p>"
        f"<details><summary>Why</summary>{why}<ul>{parts}</ul>"
        f"<p class=caption>Read in {_text(published.read)}.</p></details></div>"
    )


def _section(analysis: Analysis, task: Task, store: Store, place: int) -> str:
    import plotly.io

    result, arrays = analysis.result(task), load_arrays(store, task)
    shown, figures = seen(result, plain), []
    for number, drawn in enumerate(analysis.figures(shown, arrays, picked(analysis, result))):
        drawn.figure.update_layout(template="none", paper_bgcolor=None, plot_bgcolor=None)
        drawn.figure.update_xaxes(automargin=True).update_yaxes(automargin=True)
        body = plotly.io.to_html(
            drawn.figure,
            include_plotlyjs=False,
            full_html=False,
            div_id=f"figure-{place}-{number}",
            config={"displaylogo": False},
        )
        caption = _coded(drawing.typeset(drawn.caption))
        figures.append(f"<h3>{_coded(drawn.title)}</h3>{body}<p class=caption>{caption}</p>")
    images = [_pictures(group) for group in analysis.pictures(result, arrays)]
    texts = {
        "How to read it": analysis.read,
        "How to doubt it": analysis.doubt,
        "What the paper found": analysis.paper,
        "What differs here": analysis.differs,
    }
    cells = "".join(f"<div><h3>{head}</h3>{_markdown(body)}</div>" for head, body in texts.items())
    spec = json.dumps(task.document()["spec"], indent=1)
    return (
        f"<section><h2>{_text(analysis.question)}</h2>"
        f'<div class="answer">{_markdown(drawing.typeset(analysis.sentence(shown)))}</div>'
        f"{''.join(figures)}{''.join(images)}"
        f"<details><summary>Numbers</summary>{_table(analysis.table(result, arrays))}</details>"
        f'<div class="two">{cells}</div>'
        f"<details><summary>What was asked for</summary><pre>{_text(spec)}</pre></details>"
        f"<footer>{_text(task.kind)} {task.key}; {_text(_versions(result))}</footer></section>"
    )


def _versions(result: Result[Any]) -> str:
    return ", ".join(f"{name} {number}" for name, number in result.versions.items())


def _pictures(group: Pictures) -> str:
    scale = max(1, min(SCALE, WIDTH // group.pixels.shape[-1])) if len(group.labels) else 1
    cells = []
    for pixels, label in zip(group.pixels, group.labels):
        code = base64.b64encode(render.png(pixels, scale)).decode()
        text = _text(label)
        image = f'<img alt="{text}" src="data:image/png;base64,{code}">'
        cells.append(f"<figure>{image}<figcaption>{text}</figcaption></figure>")
    return f'<h3>{_text(group.title)}</h3><div class="pictures">{"".join(cells)}</div>'


def _table(rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(_number(row.get(n, '')))}</td>" for n in names) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _text(text: str) -> str:
    return escaping.escape(str(text))


def _coded(text: str) -> str:
    """Text of ours with `plain` parts: their entities stay what they are."""
    return re.sub(r"&amp;(#\d+;)", r"&\1", _text(text))


def _markdown(text: str) -> str:
    """The little Markdown that texts of analyses use: paragraphs, lists, **bold**, *italics*, `code`."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        if block.startswith("- "):
            items = re.split(r"\n?^- ", block, flags=re.M)[1:]
            blocks.append("<ul>" + "".join(f"<li>{_inline(i)}</li>" for i in items) + "</ul>")
        else:
            blocks.append(f"<p>{_inline(block)}</p>")
    return "".join(blocks)


def _inline(text: str) -> str:
    text = _coded(text)
    for pattern, tag in ((r"\*\*(.+?)\*\*", "b"), (r"\*(.+?)\*", "i"), (r"`(.+?)`", "code")):
        text = re.sub(pattern, rf"<{tag}>\1</{tag}>", text, flags=re.S)
    return text
