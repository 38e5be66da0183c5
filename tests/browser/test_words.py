"""Pages are looked at, not read: how many words are seen. Words in a figure belong to the figure."""

from __future__ import annotations

import pytest

from analysis import analyses
from tests.browser.conftest import IDLE
from tests.browser.test_first_screen import LOADING

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CARD, FIRST_SCREEN = 25, 80  # words of a card of the overview, and of a first screen
SIZE = {"width": 1280, "height": 720}
# All visible words of the page without the sidebar, and those of its first screen.
COUNT = """() => {
  const main = document.querySelector('[data-testid=stMain]')
  const walk = document.createTreeWalker(main, NodeFilter.SHOW_TEXT), range = document.createRange()
  const no = '[data-testid=stIconMaterial], style, script, .js-plotly-plot'
  let all = 0, first = []
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const words = node.data.match(/\\S*\\p{L}\\S*/gu)
    const seen = {visibilityProperty: true, opacityProperty: true}
    if (!words || node.parentElement.closest(no) || !node.parentElement.checkVisibility(seen)) continue
    range.selectNodeContents(node)
    const box = range.getBoundingClientRect()
    if (box.width < 2) continue
    all += words.length
    if (box.bottom > 0 && box.top < innerHeight) first.push(...words)
  }
  return [all, first]
}"""


def counted(page) -> tuple[int, list[str]]:
    """What is seen of a page at rest."""
    page.set_viewport_size(SIZE)
    page.wait_for_selector(LOADING, state="detached")
    page.wait_for_timeout(500)
    page.wait_for_selector(IDLE)
    return tuple(page.evaluate(COUNT))


@pytest.mark.parametrize("name", list(analyses()))
def test_the_first_screen_of_an_analysis_is_no_text(open_page, name):
    page = open_page(name.capitalize())
    page.locator("[data-testid=stPlotlyChart], .grid[data-painted]").first.wait_for()
    _, first = counted(page)
    assert 10 < len(first) <= FIRST_SCREEN, (len(first), " ".join(first))


def test_overview_is_no_text(open_page):
    every, _ = counted(open_page("Understand"))
    assert 50 < every <= CARD * len(analyses())
