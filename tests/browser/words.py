"""Pages are looked at, not read: how many words are seen. Words in a figure belong to the figure."""

from __future__ import annotations

from analysis import analyses

CARD, FIRST_SCREEN = 25, 80  # words of a card of the overview, and of a first screen
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


def check_words(page, name: str) -> None:
    """An analysis is no text, nor is their overview. The page is at rest at the size that counts."""
    if name.lower() in analyses():
        _, first = page.evaluate(COUNT)
        assert 10 < len(first) <= FIRST_SCREEN, (len(first), " ".join(first))
    if name == "Understand":
        every, _ = page.evaluate(COUNT)
        assert 50 < every <= CARD * len(analyses())
