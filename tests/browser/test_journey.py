"""A newcomer's way through the dashboard in a real browser: distil, watch, look, take away, doubt."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ddcore.base.spread import figure_text
from ddcore.sets import exports
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.store import Task
from tests.browser.conftest import drawn
from tests.browser.test_grid import READ, SIZES

pytestmark = pytest.mark.browser

# Small enough for seconds, long enough to be watched.
SETTINGS = {
    "iterations": 400,
    "validations": 2,
    "val_nets": 1,
    "nets": 2,
    "real_batch": 16,
    "net.width": 8,
}
SHEET = ".st-key-images-sheet .grid"
SLIDER = ".st-key-images-step input"
RUN_LIMIT_S = 90.0


def test_journey(app, open_page, tmp_path):
    page = open_page()
    assert "Dataset Distillation Explorer" in page.title()
    page.get_by_test_id("stSidebarUserContent").get_by_role("link", name="Distil").click()
    page.wait_for_url("**/Distil*")
    drawn(page)
    task = distil(app, page)
    page = close_the_tab_and_come_back(app, open_page, page, task)
    page.get_by_text(f"{SETTINGS['iterations']} iterations in").wait_for(timeout=RUN_LIMIT_S * 1000)
    page.get_by_role("link", name="See the images").click()
    page.wait_for_url("**/Images*")
    drawn(page)
    look_at_the_images(page, task)
    take_them_away(page, task, tmp_path)
    doubt_them(app, open_page, task)


def distil(app, page) -> Task:
    """Start a small run from a link that fills the form; returns its folder."""
    settings = ";".join(f"{name}={value}" for name, value in SETTINGS.items())
    page.goto(f"Distil?method=dm&ipc=2&set={settings}")
    drawn(page)
    assert f"{len(SETTINGS)} changed" in page.inner_text("body")
    page.locator(".st-key-distil-go button:visible").click()
    page.wait_for_url("**/Run*")
    page.get_by_text("You may close this tab").wait_for()
    found = list(app.store.tasks("distill"))
    return next(t for t in found if not t.shipped)


def close_the_tab_and_come_back(app, open_page, page, task):
    """The run goes on without a visitor, and its link finds it again."""
    address = page.url
    page.get_by_test_id("stProgress").first.wait_for()
    wait_for(lambda: (task.status().get("step") or 0) > 0, "the first iteration")
    page.close()
    assert not task.is_done()
    before = task.status()["step"]
    wait_for(lambda: task.is_done() or task.status().get("step", 0) > before, "going on alone")
    page = open_page(address)
    assert task.key in page.url
    return page


def look_at_the_images(page, task) -> None:
    """The slider changes all images; every one is shown pixel for pixel."""
    made = DistilledSet.from_task(task)
    steps = sorted({*task.snapshot_steps(), task.result()["best_step"]})
    page.goto(f"{page.url}&scale=clip")  # which of them is usual depends on how much is clipped
    assert_lossless(page, made.pixels())
    source = page.get_attribute(SHEET, "data-painted")
    page.locator(SLIDER).press("Home")
    page.wait_for_url(f"**step={steps[0]}*")
    page.locator(f"{SHEET}:not([data-painted='{source}'])").wait_for()
    assert_lossless(page, task.snapshot(steps[0])["pixels"].astype(np.float32))


def assert_lossless(page, pixels: np.ndarray) -> None:
    """The browser shows exactly the clipped, rounded pixels, each a whole square."""
    page.locator(f"{SHEET}[data-painted]").wait_for()
    drawn(page)
    sheet = page.locator(SHEET)
    height, width = pixels.shape[2:]
    shown = np.array(sheet.evaluate(READ), np.uint8).reshape(-1, height, width, 4)
    expected = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)[:, 0]
    np.testing.assert_array_equal(shown[..., 0], expected)
    assert all(size % width == 0 for size, *_ in sheet.evaluate(SIZES))


def take_them_away(page, task, folder) -> None:
    """The download is the set, number for number."""
    with page.expect_download() as download:
        page.locator(".st-key-images-get-npz button:visible").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    loaded, made = exports.load(path), DistilledSet.from_task(task)
    for name, array in made.to_arrays()[0].items():
        np.testing.assert_array_equal(loaded.to_arrays()[0][name], array)
    assert loaded.run_key == task.key


def doubt_them(app, open_page, task) -> None:
    """The evaluation that followed by itself shows what it stored."""
    page = open_page(f"Evaluate?run={task.key}")
    page.get_by_text("How to doubt it").first.wait_for(timeout=RUN_LIMIT_S * 1000)
    drawn(page)
    text = page.inner_text("body")
    evaluated = next(t for t in app.store.tasks("evaluate") if not t.shipped)
    for label in ("Distilled", "Random real images", "Class means"):
        assert label in text
    for row in evaluated.result()["rows"]:
        figure = figure_text(row)
        assert figure in text
    chart = page.locator("[data-testid=stPlotlyChart]")
    chart.wait_for()  # strict: exactly one; the chart's own script arrives after the text


# --- accessibility --------------------------------------------------------------------------------

CHECKS = """() => {
  const problems = [];
  const heads = document.querySelectorAll('h1').length;
  if (heads !== 1) problems.push(`${heads} first-level headings`);
  if (!document.documentElement.lang) problems.push('no language');
  for (const e of document.querySelectorAll('img'))
    if (!e.hasAttribute('alt')) problems.push('image without alt: ' + e.src);
  for (const e of document.querySelectorAll('button, a[href]')) {
    const name = e.innerText || e.getAttribute('aria-label') || e.title
      || e.getAttribute('aria-labelledby') || e.querySelector('[aria-label], title, img[alt]');
    if (e.checkVisibility() && !name) problems.push('no name: ' + e.outerHTML.slice(0, 120));
  }
  for (const e of document.querySelectorAll('input, select, textarea')) {
    const name = e.labels?.length || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby');
    if (e.checkVisibility() && !name) problems.push('no label: ' + e.outerHTML.slice(0, 120));
  }
  return problems;
}"""
FOCUSED = """() => {
  const e = document.activeElement, box = e.getBoundingClientRect();
  return e === document.body ? null : `${e.tagName} ${e.innerText || e.ariaLabel || e.id}`;
}"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["", "Data", "Distil", "Run", "Images", "Evaluate", "Compare", "Jobs"]
)
def test_names_headings_and_keyboard(app, open_page, name):
    run = next((t.key for t in app.store.tasks("distill") if t.is_done()), "")
    page = open_page(f"{name}?run={run}" if run else name)
    wait_for(lambda: page.evaluate(CHECKS) == [], page.evaluate(CHECKS), limit_s=5)
    reached = set()
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(FOCUSED))
    assert len(reached - {None}) >= 3  # focus moves on, from one thing to the next


def wait_for(condition, what: object, limit_s: float = RUN_LIMIT_S) -> None:
    """Poll until something is true."""
    end = time.time() + limit_s
    while not condition():
        assert time.time() < end, f"waited {limit_s:.0f} s in vain for {what}"
        time.sleep(0.1)
