"""The Runs page in a real browser: a table on the first screen, rows to select, deletions to undo."""

from __future__ import annotations

import pytest

from ddcore.tasks import notes, trash
from tests.browser.conftest import drawn
from tests.pages import fakes

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TABLE = "[data-testid='stDataFrame']"
BOX = (18, 60)  # of the first row, from the table's corner
PLACE = f"""() => {{
  const box = document.querySelector("{TABLE}").getBoundingClientRect();
  return [box.top, Math.min(box.bottom, innerHeight) - box.top, box.right, innerWidth];
}}"""


@pytest.fixture
def runs(app):
    """Three runs of a visitor's own, the newest with a name."""
    made = [fakes.done(app.store, fakes.spec(seed=900 + seed)) for seed in range(3)]
    for task in made:
        fakes.evaluated(app.store, task.spec())
    notes.change(app.store, made[-1].key, name="Newest", add=["figure 2"])
    yield made
    for task in made:
        app.store.delete(task)


def select_first(page):
    """Tick the first row; the table is a canvas under what scrolls it."""
    page.wait_for_selector(f"{TABLE} canvas")
    box = page.locator(TABLE).first.bounding_box()
    page.mouse.click(box["x"] + BOX[0], box["y"] + BOX[1])
    page.get_by_role("button", name="Name and note").wait_for()


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1024, 768)])
def test_the_table_is_on_the_first_screen(open_page, runs, width, height):
    page = open_page("Runs")
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_selector(TABLE)
    page.wait_for_timeout(500)
    top, seen, right, room = page.evaluate(PLACE)
    assert top <= 260 and seen >= 300 and right <= room, page.evaluate(PLACE)


def test_search_select_name_and_open(open_page, app, runs):
    page = open_page("Runs?q=Newest")
    select_first(page)
    page.get_by_role("button", name="Name and note").click()
    page.get_by_label("Name", exact=True).fill("Figure 2, left")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Save").wait_for(state="detached")
    assert notes.read(app.store.root, runs[-1].key).name == "Figure 2, left"
    notes.change(app.store, runs[-1].key, name="Newest")


def test_delete_and_undo(open_page, app, runs):
    page = open_page("Runs?q=Newest")
    select_first(page)
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete 1 run").click()
    page.get_by_role("button", name="Undo").wait_for()
    assert {each.task.key for each in trash.thrown(app.store)} >= {runs[-1].key}
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").wait_for(state="detached")
    drawn(page)
    assert runs[-1].is_done() and not trash.thrown(app.store)
