"""What axe-core finds on every page in both themes: nothing serious and nothing moderate that is ours.

axe-core is not part of this repository: `AXE` names its built file (`npm pack axe-core`, then
`package/axe.min.js`); without it these tests are skipped. What remains is Streamlit's own and is listed in
docs/accessibility.md.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser.conftest import IDLE, drawn
from tests.browser.test_first_screen import LOADING, PAGES

AXE = os.environ.get("AXE", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not AXE, reason="AXE names no axe.min.js"),
]
IMPACTS = ("moderate", "serious", "critical")
# Streamlit's own: rule, and what the element has to contain. Each is explained in docs/accessibility.md.
STREAMLITS: tuple[tuple[str, str], ...] = ()
ASK = """async impacts => {
  const found = await axe.run(document, {resultTypes: ['violations']})
  return found.violations.filter(v => impacts.includes(v.impact)).flatMap(
    v => v.nodes.map(n => [v.id, v.impact, n.html.slice(0, 300), n.failureSummary.slice(0, 300)]))
}"""


def findings(page) -> list[list[str]]:
    """Rule, impact, element and explanation of everything found on a page at rest."""
    page.wait_for_selector(LOADING, state="detached")
    page.wait_for_timeout(1000)
    page.wait_for_selector(IDLE)
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    return page.evaluate(ASK, IMPACTS)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES, ids=lambda name: name or "Start")
def test_nothing_of_ours(open_page, name, theme):
    page = open_page(name)
    page.emulate_media(color_scheme=theme)
    page.reload()
    drawn(page)
    ours = [f for f in findings(page) if not _streamlits(f)]
    assert ours == [], "\n".join(map(str, ours))


def _streamlits(finding: list[str]) -> bool:
    return any(finding[0] == rule and part in finding[2] for rule, part in STREAMLITS)
