"""Every page begins with what it is about, at the sizes people have; it is neither endless nor all text."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ddcore.base import paths
from ddcore.data import dataset_task, resolve
from ddcore.tasks.store import Store
from ddcore.tasks.worker import run_task
from tests.browser.conftest import IDLE
from tests.browser.words import check_words

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAGES = [
    "",
    *(f.stem.partition("_")[2] for f in sorted((paths.PROJECT / "pages").glob("[0-9]*.py"))),
]
SIZES = ((1280, 720), (1024, 768))
BEGINS, SEEN = (
    260,
    300,
)  # screen pixels: where the main thing begins at the latest, and what is seen of it
WIDE, TALLEST = (1400, 900), 2200  # of a page
LISTS = {"Runs", "Paper", "Reproduce"}  # of runs, findings, recipes: as long as there are many
PICTURES = """[data-testid=stPlotlyChart], [data-testid^=stBidiComponent], [data-testid=stDataFrame],
[data-testid=stImage], [data-testid=stFileUploader]"""
LOADING = "[data-testid=stMain] [data-testid=stSkeleton]"  # what a figure's own script will fill
# Where a page says what its main thing is, that is measured; else its first picture.
MEASURE = """pictures => {
  const main = document.querySelector('[data-testid=stMain]')
  const said = main.querySelector('.st-key-page-main')
  const boxes = [...(said ? [said] : main.querySelectorAll(pictures))]
    .map(each => each.getBoundingClientRect()).filter(box => box.width >= 150 && box.height >= 60)
  const first = boxes.sort((one, other) => one.top - other.top)[0]
  return {
    top: first ? first.top + main.scrollTop : null,
    seen: first ? Math.min(first.bottom, innerHeight) - first.top : 0,
    height: first ? first.height : 0,
    page: main.scrollHeight,
    sideways: main.scrollWidth > main.clientWidth,
    headings: [...main.querySelectorAll('h1, h2, h3, h4, h5, h6')]
      .filter(each => each.checkVisibility()).map(each => +each.tagName[1]),
  }
}"""


@pytest.fixture(scope="module", autouse=True)
def digits(app):
    """The digits have been read, as after the first run."""
    wanted = dataset_task(resolve("digits"))
    run_task(app.store, app.store.create(wanted), wanted, "cpu")


def measured(page, size) -> dict:
    """What there is at a size of the window, once nothing moves any more."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    before = None
    for _ in range(20):
        page.wait_for_timeout(250)
        page.wait_for_selector(IDLE)
        page.wait_for_selector(LOADING, state="detached")
        now = page.evaluate(MEASURE, PICTURES)
        if now == before and now["top"] is not None:
            return now
        before = now
    pytest.fail(f"There is no picture, or it does not come to rest: {before}")


def check(page, name: str) -> None:
    """First screen at every size, height, and headings of an open page."""
    for size in SIZES:
        found = measured(page, size)
        assert found["top"] < BEGINS, (size, found)
        assert found["seen"] >= min(SEEN, found["height"]), (size, found)
        assert not found["sideways"], (size, found)
        if size == SIZES[0]:
            check_words(page, name)
    found = measured(page, WIDE)
    assert name in LISTS or found["page"] <= TALLEST, found
    levels = found["headings"]
    assert levels[0] == 1 and all(b - a <= 1 for a, b in pairwise(levels)), levels


@pytest.mark.parametrize("name", PAGES, ids=lambda name: name or "Start")
def test_a_page_begins_with_what_it_is_about(open_page, name):
    check(open_page(name), name)


def test_a_finished_run_begins_with_its_images(open_page, app):
    from pages.components import runs

    featured = runs.featured(Store(app.store.root, paths.GALLERY))
    check(open_page(f"Run?run={featured.key}"), "Run")


@pytest.mark.parametrize("view", ["wipe", "difference"])
def test_a_pair_in_one_place_is_on_the_first_screen(open_page, view):
    check(open_page(f"Compare?view={view}"), "Compare")
