"""The map of images in a real browser: hover, lasso, images for points; pixels of several sets at once."""

from __future__ import annotations

import pytest

from tests.browser.conftest import IDLE, drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PLOT = ".st-key-page-main .js-plotly-plot, [class*='st-key-features-figure-0'] .js-plotly-plot"
# The screen place of the distilled image in the last map that lies farthest from all others, with room for a
# lasso around it: where points crowd, the one that answers the mouse may be a real image without a picture.
POINT = """plot => {
  const last = plot._fullData.findLast(each => each.customdata && each.marker?.line?.width > 0)
  const [x, y] = [last.xaxis, last.yaxis].map(each => plot._fullLayout[each.replace(/^./, '$&axis')])
  const places = trace => [...trace.x].map(
    (value, i) => [x._offset + x.l2p(value), y._offset + y.l2p(trace.y[i])])
  const map = plot._fullData.filter(each => each.customdata && each.xaxis === last.xaxis).flatMap(places)
  const room = ([left, top]) =>
    map.map(each => Math.hypot(each[0] - left, each[1] - top)).sort((a, b) => a - b)[1]
  const inside = (axis, value) => Math.abs(value - axis._offset - axis._length / 2) < axis._length / 2 - 64
  const [left, top] = places(last).filter(each => inside(x, each[0]) && inside(y, each[1]))
    .reduce((best, each) => room(each) > room(best) ? each : best)
  const box = plot.getBoundingClientRect()
  return [box.left + left, box.top + top]
}"""
TIP = """() => [...document.body.children].some(each => each.style.backgroundImage.includes('/media/')
  && each.style.display === 'block')"""


@pytest.fixture
def features(open_page):
    """The page with its map drawn."""

    def visit(query: str = "") -> object:
        page = open_page(f"Features{query}")
        page.locator(PLOT).first.wait_for()
        page.wait_for_selector(IDLE)
        page.wait_for_timeout(1500)  # the figure's own script and the one that follows it
        return page

    return visit


def test_the_image_of_a_point_is_shown_under_the_mouse(features):
    page = features()
    assert not page.evaluate(TIP)
    for step in range(40):  # meanwhile the map may be drawn anew, and further down
        x, y = page.locator(PLOT).first.evaluate(POINT)
        page.mouse.move(x - 40 * (step % 2 == 0), y, steps=5)
        page.wait_for_timeout(250)
        if page.evaluate(TIP):
            break
    assert page.evaluate(TIP)


def test_images_stand_for_their_points_when_asked_for(features):
    layer = "canvas.feature-images"
    assert features().locator(layer).count() == 0
    page = features("?view_points=images")
    page.locator(f"{layer}[data-shown]").first.wait_for()
    shown = int(page.locator(layer).first.get_attribute("data-shown"))
    inked = page.locator(layer).first.evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 0)"
    )
    assert shown > 10 and inked


def test_a_lasso_opens_the_images_inside(features):
    page = features()
    before = page.locator(".st-key-features-chosen").count()
    x, y = page.locator(PLOT).first.evaluate(POINT)
    corners = [(-60, -60), (60, -60), (60, 60), (-60, 60), (-60, -60)]
    page.mouse.move(x - 60, y - 60)
    page.mouse.down()
    for across, down in corners:
        page.mouse.move(x + across, y + down, steps=4)
    page.mouse.up()
    page.locator(".st-key-features-chosen").wait_for()
    assert before == 0
    drawn(page)


def test_enlarged_images_side_by_side_show_the_same_pixel(open_page):
    page = open_page("Compare")
    page.locator(".grid[data-painted]").first.wait_for()
    page.locator(".grid[data-painted] [role=option]").first.click()
    frames = page.locator(".magnified .frame")
    frames.nth(1).wait_for()
    page.wait_for_selector(IDLE)
    frames.first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    words = page.locator(".magnified .words")
    said = [words.nth(i).inner_text().partition(":")[0] for i in range(2)]
    assert said == ["Row 1, column 1"] * 2, said
    page.keyboard.press("Tab")
    assert "Point at a pixel" in words.nth(1).inner_text()
