"""The Start page in a real browser: it plays by itself, obeys keyboard and system, fits small screens."""

from __future__ import annotations

import pytest

from tests.browser.conftest import drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PICTURE = ".st-key-start-film img"
PLACE = f"parseFloat(getComputedStyle(document.querySelector('{PICTURE}')).objectPosition.split(' ')[1])"
FOCUSED = "document.activeElement.tagName + ' ' + document.activeElement.innerText"
SPARE = """() => {
  const main = document.querySelector('[data-testid=stMain]');
  return [main.clientHeight - main.scrollHeight, main.clientWidth - main.scrollWidth];
}"""
SHARP = f"""() => {{
  const image = document.querySelector('{PICTURE}');
  const drawn = image.getBoundingClientRect();
  return [drawn.width / image.naturalWidth, drawn.right, innerWidth];
}}"""


@pytest.fixture
def start(open_page):
    """The page, reloaded for a system that asks for this kind of motion."""

    def visit(motion: str = "no-preference") -> object:
        page = open_page()
        page.emulate_media(reduced_motion=motion)
        page.reload()
        drawn(page)
        page.wait_for_selector(PICTURE)
        return page

    return visit


def test_plays_once_and_again_by_the_keyboard(start):
    page = start()
    page.wait_for_function(f"{PLACE} === 100", timeout=20_000)
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED).startswith("BUTTON") and "Play again" in page.evaluate(FOCUSED):
            break
    page.keyboard.press("Enter")
    page.wait_for_function(f"{PLACE} < 50")
    page.wait_for_function(f"{PLACE} === 100", timeout=20_000)
    page.keyboard.press("Tab")  # to the slider
    page.keyboard.press("Home")
    page.wait_for_url("**step=*")
    page.wait_for_function(f"{PLACE} === 0")
    page.wait_for_timeout(1500)
    assert page.evaluate(PLACE) == 0, "at rest where the slider is"


def test_rests_where_less_motion_is_asked_for_until_the_button_is_pressed(start):
    page = start("reduce")
    for _ in range(10):
        assert page.evaluate(PLACE) == 100
        page.wait_for_timeout(100)
    page.get_by_role("button", name="Play again").click()
    page.wait_for_function(f"{PLACE} < 50")


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1024, 768)])
def test_the_whole_page_fits(start, width, height):
    page = start("reduce")
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(500)
    assert min(page.evaluate(SPARE)) >= 0, page.evaluate(SPARE)
    scale, right, room = page.evaluate(SHARP)
    assert scale >= 2 and scale == round(scale), "every pixel is a whole square"
    assert right <= room
    for name in ("Explore", "Open a set", "Teach"):
        assert page.get_by_role("main").get_by_role("link", name=name).is_visible()
    assert page.get_by_role("button", name="Watch it happen").is_visible()
