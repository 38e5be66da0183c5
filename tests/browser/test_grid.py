"""Sheets in a real browser: every pixel is there, none is cut, mouse and keyboard choose."""

from __future__ import annotations

import numpy as np
import pytest

from ddcore.sets import render
from tests.browser import grid_app
from tests.browser.conftest import drawn, served

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIRST, SECOND, THIRD = (f".st-key-{name}" for name in ("first", "second", "third"))
TILE = ".tile"
READ = """root => [...root.querySelectorAll('.tile canvas')].map(e =>
  [...e.getContext('2d').getImageData(0, 0, e.width, e.height).data])"""
SIZES = """root => [...root.querySelectorAll('.tile canvas')].map(e => {
  const style = getComputedStyle(e), box = e.getBoundingClientRect()
  return [parseFloat(style.width), box.left, box.right]})"""
FOCUSED = """root => root.getRootNode().activeElement?.dataset.index"""


@pytest.fixture(scope="module")
def app(browser, tmp_path_factory):
    """A page with nothing but sheets."""
    with served("tests/browser/grid_app.py", tmp_path_factory.mktemp("sheets")) as found:
        yield found


@pytest.fixture
def page(open_page):
    """That page, with all pictures in place."""
    page = open_page()
    for sheet in (FIRST, SECOND, THIRD):
        page.locator(f"{sheet} .grid[data-painted]").wait_for()
    return page


def root(page, sheet: str) -> object:
    """The outermost element of a sheet."""
    return page.locator(f"{sheet} .grid")


def wait_for_choice(page, text: str) -> None:
    """Until the server says that this is chosen."""
    page.get_by_text(f"chosen: {text}").wait_for()
    drawn(page)


def test_every_value_arrives(page):
    for sheet, pixels, order in (
        (FIRST, grid_app.pixels(20), range(20)),
        (SECOND, grid_app.pixels(70), range(69, -1, -1)),
    ):
        shown = np.array(root(page, sheet).evaluate(READ), np.uint8).reshape(-1, 8, 8, 4)
        expected = np.moveaxis(render.to_uint8(pixels[list(order)]), 1, -1)
        np.testing.assert_array_equal(shown[..., :3], expected)


@pytest.mark.parametrize("width", [1280, 1024, 700])
def test_whole_pixels_and_no_image_cut(page, width):
    page.set_viewport_size({"width": width, "height": 720})
    page.wait_for_timeout(300)
    for sheet in (FIRST, SECOND, THIRD):
        sizes = root(page, sheet).evaluate(SIZES)
        assert all(size % 8 == 0 and size >= 24 for size, *_ in sizes)
        assert all(left >= 0 and right <= width for _, left, right in sizes)
    scales = [root(page, sheet).get_attribute("data-scale") for sheet in (FIRST, SECOND)]
    assert scales[0] == scales[1]  # they are shown together


def test_click_chooses_shift_more_and_a_rerun_forgets_nothing(page):
    tiles = page.locator(f"{FIRST} {TILE}")
    tiles.nth(3).click()
    wait_for_choice(page, "[3] and []")
    tiles.nth(7).click(modifiers=["Shift"])
    wait_for_choice(page, "[3, 7] and []")
    page.locator(f"{SECOND} {TILE}").first.click()
    wait_for_choice(page, "[3, 7] and [69]")  # its own numbers, whatever order they are shown in
    page.get_by_role("button", name="Again").click()
    wait_for_choice(page, "[3, 7] and [69]")
    chosen = page.locator(f"{FIRST} [aria-selected=true]")
    assert [chosen.nth(i).get_attribute("data-index") for i in range(chosen.count())] == ["3", "7"]
    tiles.nth(3).click(modifiers=["Shift"])
    wait_for_choice(page, "[7] and [69]")


def test_keyboard(page):
    tiles, sheet = page.locator(f"{FIRST} {TILE}"), root(page, FIRST)
    tiles.nth(0).focus()
    page.keyboard.press("ArrowRight")  # beside it is the first image of the next class
    assert sheet.evaluate(FOCUSED) == "2"
    page.keyboard.press("ArrowDown")
    assert sheet.evaluate(FOCUSED) == "3"
    page.keyboard.press("Enter")
    wait_for_choice(page, "[3] and []")
    assert sheet.evaluate(FOCUSED) == "3"
    page.keyboard.press("End")
    assert sheet.evaluate(FOCUSED) == "19"
    page.keyboard.press("Shift+Space")
    wait_for_choice(page, "[3, 19] and []")
    page.keyboard.press("Home")
    assert sheet.evaluate(FOCUSED) == "0"
    page.keyboard.press("Escape")  # the enlarged image
    page.keyboard.press("Escape")  # the choice
    wait_for_choice(page, "[] and []")
    stops = "e => [...e.querySelectorAll('[tabindex=\"0\"]')].length"
    assert sheet.evaluate(stops) == 1  # one stop of the tabulator in each sheet


def test_the_image_under_the_mouse_is_enlarged_with_its_name(page):
    lens = page.locator(f"{SECOND} .lens")
    page.locator(f"{SECOND} {TILE}").nth(5).hover()
    lens.wait_for()
    assert lens.inner_text().startswith("<img src=x onerror=alert(64)>")
    size = lens.locator("canvas").evaluate("e => e.getBoundingClientRect().width / e.width")
    assert size == round(size) >= 16
    page.mouse.move(2, 2)
    lens.wait_for(state="hidden")


def test_roles_and_names(page):
    first = page.get_by_role("listbox", name="First sheet")
    assert first.get_by_role("option").count() == 20
    assert first.get_by_role("option", name="class b, image 2 of 2").count() == 1
    assert first.get_by_role("group", name="class b").count() == 1
    third = page.get_by_role("group", name="Third sheet")
    assert third.get_by_role("img", name="two").count() == 1
    assert page.get_by_role("listbox", name="Third sheet").count() == 0
    assert page.locator(f"{SECOND} img").count() == 0  # names are text
