"""A teacher, a researcher and a student go through the dashboard, and somebody without a mouse.

How many pages each needed, and how long, is printed (`-s`).
"""

from __future__ import annotations

import time

import pytest

from tests.browser.conftest import IDLE, drawn
from tests.browser.test_journey import RUN_LIMIT_S, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TINY = "ipc=1&set=iterations=60;validations=1;val_nets=1;nets=1;real_batch=16;net.width=8"
CHART = "[data-testid=stPlotlyChart] .js-plotly-plot"
FOCUSED = """() => {
  let e = document.activeElement
  while (e.shadowRoot?.activeElement) e = e.shadowRoot.activeElement
  return (e.innerText || e.ariaLabel || e.title || '').trim()
}"""


class Journey:
    """Counts pages and takes the time from the first on."""

    def __init__(self, who: str, page: object) -> None:
        self.who, self.page, self.pages, self.start = who, page, 1, time.monotonic()

    def to(self, name: str, where: object = None) -> None:
        """Follow a link of this name, in the sidebar or in `where`, and wait for the page."""
        scope = where or self.page.get_by_test_id("stSidebarUserContent")
        before = self.page.url
        scope.get_by_role("link", name=name, exact=True).first.click()
        self.page.wait_for_function("before => location.href !== before", arg=before)
        self.pages += 1
        drawn(self.page)

    def end(self) -> None:
        """Say how it went."""
        print(f"\n{self.who}: {self.pages} pages, {time.monotonic() - self.start:.0f} s")


def test_a_teacher_shows_what_distilled_images_hold(open_page):
    page = open_page()
    journey = Journey("teacher", page)
    page.locator(".st-key-start-film img").wait_for()
    journey.to("Teach", page.get_by_role("main"))
    page.locator(".stop", has_text="Stop 1 of 7").wait_for()
    page.keyboard.press("Escape")
    page.locator(".stop").wait_for(state="hidden")
    journey.to("Overview")
    assert page.get_by_role("main").locator("img").count() >= 6, "a picture of each answer"
    journey.to("Recognition", page.get_by_role("main"))
    page.locator(CHART).first.wait_for()
    page.get_by_role("button", name="Read and doubt").click()
    page.get_by_text("How to doubt it").first.wait_for()
    page.keyboard.press("Escape")
    journey.to("The paper, here")
    assert "findings hold" in page.inner_text("body")
    journey.end()


def test_a_researcher_compares_and_takes_numbers_away(open_page, tmp_path):
    page = open_page()
    journey = Journey("researcher", page)
    journey.to("Runs")
    page.locator("[data-testid=stDataFrame]").first.wait_for()
    journey.to("Compare")
    page.locator(".grid[data-painted]").first.wait_for()
    assert page.locator(".grid[data-painted]").count() >= 2
    journey.to("Reproduce")
    page.locator(".matrix button").first.wait_for()
    journey.to("Curvature")
    page.locator(CHART).first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Numbers (CSV)").click()
    file = tmp_path / "numbers.csv"
    download.value.save_as(file)
    assert len(file.read_text().splitlines()) > 4
    journey.end()


def test_a_student_makes_a_set_and_doubts_it(app, open_page):
    page = open_page(f"Distil?method=dm&{TINY}")
    journey = Journey("student", page)
    page.locator(".st-key-distil-go button:visible").click()
    page.wait_for_url("**/Run*")
    drawn(page)
    journey.pages += 1
    page.get_by_text("60 iterations in").wait_for(timeout=RUN_LIMIT_S * 1000)
    journey.to("See the images", page.get_by_role("main"))
    page.locator(".st-key-images-sheet .grid[data-painted]").wait_for()
    journey.to("Evaluate")
    page.get_by_text("How to doubt it").first.wait_for(timeout=RUN_LIMIT_S * 1000)
    assert "Random real images" in page.inner_text("body")
    journey.end()


def test_by_the_keyboard_alone_from_start_to_a_finished_run_and_its_images(app, open_page):
    page = open_page()
    journey = Journey("keyboard", page)
    before = {task.key for task in app.store.tasks("distill")}
    press(page, "Watch it happen")
    page.wait_for_url("**/Run*")
    drawn(page)
    journey.pages += 1
    wait_for(lambda: {t.key for t in app.store.tasks("distill")} - before, "a run")
    page.get_by_text("iterations in").first.wait_for(timeout=4 * RUN_LIMIT_S * 1000)
    drawn(page)
    press(page, "See the images")
    page.wait_for_url("**/Images*")
    drawn(page)
    journey.pages += 1
    sheet = page.locator(".st-key-images-sheet .grid[data-painted]")
    sheet.wait_for()
    press(page, "image 1", part=True)
    page.locator(".st-key-images-drawer").wait_for()
    journey.end()


def press(page, name: str, part: bool = False, limit: int = 120) -> None:
    """Go on by Tab until what has this name has the focus, then press Enter."""
    seen = []
    for _ in range(limit):
        page.wait_for_selector(IDLE)
        page.keyboard.press("Tab")
        seen.append(page.evaluate(FOCUSED))
        if name in seen[-1] if part else seen[-1].split("\n")[-1] == name:
            return page.keyboard.press("Enter")
    pytest.fail(f"{name} is not reached by Tab: {seen}")
