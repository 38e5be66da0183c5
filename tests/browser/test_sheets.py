"""Sheets on their pages: the drawer of Images, clicking through Influence, sets side by side."""

from __future__ import annotations

import pytest

from tests.browser.conftest import drawn
from tests.browser.test_grid import SIZES

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAINTED = """() => [...document.querySelectorAll('.grid')]
  .every(each => !each.checkVisibility() || each.dataset.painted)"""
WIDTHS = (1280, 1024, 700)


def shown(page, key: str) -> object:
    """A sheet, once its picture is there."""
    found = page.locator(f".st-key-{key} .grid[data-painted]")
    found.wait_for()
    return found


def test_the_drawer_opens_by_mouse_and_keyboard_and_is_in_the_link(open_page):
    page = open_page("Images")
    sheet = shown(page, "images-sheet")
    sheet.locator(".tile").nth(4).click()
    page.wait_for_url("**img=*")
    page.get_by_role("button", name="Close").wait_for()
    shown(page, "images-sheet").locator(".tile").nth(4).focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Close").wait_for(state="hidden")
    assert "img=" not in page.url
    page.keyboard.press("Enter")
    page.wait_for_url("**img=*")
    page.get_by_role("button", name="Close").wait_for()
    again = open_page(page.url)
    again.get_by_role("button", name="Close").wait_for()


def test_the_large_image_says_its_values(open_page):
    page = open_page("Images")
    shown(page, "images-sheet").locator(".tile").first.click()
    large = page.locator(".magnified[data-scale]")
    large.wait_for()
    words = large.locator(".words")
    assert words.inner_text().startswith("Point at a pixel")
    large.locator(".frame").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):  # the first one says where it begins
        page.keyboard.press(key)
    assert words.inner_text().startswith("Row 1, column 1: ")
    large.locator("canvas").hover(position={"x": 2, "y": 2})
    assert words.inner_text().startswith("Row 0, column 0: ")


@pytest.mark.parametrize("address", ["Images", "Images?start=true", "Compare", "Influence"])
def test_no_image_is_cut(open_page, address):
    page = open_page(address)
    page.locator(".grid[data-painted]").first.wait_for()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 768})
        page.wait_for_timeout(500)
        page.wait_for_function(PAINTED)
        for sheet in page.locator(".grid:visible").all():
            sizes = sheet.evaluate(SIZES)
            assert all(left >= 0 and right <= width for _, left, right in sizes), (address, width)
            scale = int(sheet.get_attribute("data-scale"))
            assert all(size % scale == 0 for size, *_ in sizes), (address, width)


def test_influence_is_clicked_through_and_back(open_page):
    page = open_page("Influence")
    shown(page, "influence-set").locator(".tile").nth(6).click()
    page.wait_for_url("**view_image=*")
    drawn(page)
    helped = page.locator(".st-key-influence-helped .grid[data-painted]")
    if not helped.count():  # the shipped analysis is of a dataset that is not here
        return
    helped.locator(".tile").first.click()
    page.wait_for_url("**view_test=*")
    drawn(page)
    assert "Which images did it: test image" in page.inner_text("body")


def test_sets_side_by_side_share_scale_and_choice(open_page):
    page = open_page("Compare")
    first, second = shown(page, "compare-A"), shown(page, "compare-B")
    assert first.get_attribute("data-scale") == second.get_attribute("data-scale")
    first.locator(".tile").nth(1).click()
    page.locator(".st-key-compare-B [aria-selected=true]").wait_for()
    assert page.locator(".magnified").count() == 2
