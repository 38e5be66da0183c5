"""What a teacher uses, in a real browser: links, presenting, the tour, cards of terms, the toy."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import TimeoutError as TooLate

from tests.browser.conftest import drawn
from tests.pages.fakes import done, evaluated, spec

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WAIT = 30_000
FOCUSED = """() => {
  let found = document.activeElement
  while (found?.shadowRoot?.activeElement) found = found.shadowRoot.activeElement
  return found?.textContent
}"""


@pytest.fixture(scope="module")
def run(app):
    """A judged run of the app's own store."""
    made = done(app.store)
    evaluated(app.store, made.spec())
    return made


@pytest.fixture
def page(open_page):
    """Opens a page whose clipboard can be read."""

    def visit(address: str):
        tab = open_page(address)
        tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
        return tab

    return visit


def button(tab, name: str):
    """A button of the frame, or of a page, by its whole name."""
    return tab.get_by_role("button", name=name, exact=True)


def arrived(tab, address: str) -> None:
    """Wait until a page is there."""
    tab.wait_for_url(lambda url: address in url, timeout=WAIT)
    drawn(tab)


def test_a_copied_link_names_what_the_address_does_not(page, run, app):
    tab = page("Images?cls=3")
    button(tab, "Copy link").click()
    tab.wait_for_function("navigator.clipboard.readText().then(t => t.includes('run='))")
    copied = tab.evaluate("navigator.clipboard.readText()")
    query = parse_qs(urlsplit(copied).query)
    assert copied.startswith(app.url + "Images?")
    assert query["cls"] == ["3"] and len(query["run"][0]) == 16 and "step" in query
    tab.locator("[role=status]", has_text="Link copied").wait_for()
    done(app.store, spec(seed=5))  # newer
    other = page(copied)
    assert not other.locator("[data-testid=stAlert]").count()
    assert query["run"][0][:8] in other.get_by_role("combobox", name="Run").input_value()


def test_a_link_for_a_class_leaves_out_and_locks(page, run):
    tab = page(f"Images?run={run.key}")
    button(tab, "Teach").click()
    tab.get_by_label("Which runs are shown").select_option("hide")
    tab.get_by_label("What is shown of them, and how").select_option("lock")
    tab.get_by_label("The list of pages").select_option("hide")
    button(tab, "Open it").click()
    arrived(tab, "teach=")
    taught = parse_qs(urlsplit(tab.url).query)["teach"][0].split(",")
    assert sorted(taught) == ["hide-pages", "hide-run", "lock-view"]
    assert not tab.get_by_role("combobox", name="Run").is_visible()
    assert not tab.locator("[data-testid=stSidebar]").is_visible()
    assert tab.locator(".st-key-images-sheet").is_visible()
    assert button(tab, "Play").is_disabled()
    assert button(tab, "Copy link").is_visible() and not button(tab, "Teach").count()


def test_views_are_collected_and_walked_through_by_keys(page, run):
    tab = page("Toy?points=5")
    for address in ("", f"Images?run={run.key}"):
        if address:
            tab.goto(address)
            drawn(tab)
        button(tab, "Teach").click()
        button(tab, "Add this view").click()
        tab.keyboard.press("Escape")
    button(tab, "Teach").click()
    button(tab, "Copy as one link").click()
    tab.wait_for_function("navigator.clipboard.readText().then(t => t.includes('views='))")
    one = tab.evaluate("navigator.clipboard.readText()")
    button(tab, "Present them").click()
    arrived(tab, "Toy?toy=moons&points=5&present=1")
    assert not tab.locator("[data-testid=stSidebar]").is_visible()
    size = "parseFloat(getComputedStyle(document.documentElement).fontSize)"
    assert tab.evaluate(size) == 22
    tab.keyboard.press("ArrowRight")
    arrived(tab, f"Images?run={run.key}")
    tab.get_by_text("2 of 2").wait_for()
    tab.keyboard.press("ArrowLeft")
    arrived(tab, "Toy?")
    tab.get_by_text("1 of 2").wait_for()
    tab.keyboard.press("Escape")
    tab.wait_for_url(lambda url: "present" not in url, timeout=WAIT)
    tab.locator("[data-testid=stSidebar]").wait_for()
    assert tab.evaluate(size) < 22
    other = page(one)  # the link holds the whole list
    other.get_by_text("1 of 2").wait_for()
    other.keyboard.press("PageDown")
    arrived(other, f"Images?run={run.key}")


def test_a_list_from_a_link_leads_nowhere_else(page, run):
    foreign = [
        "http://foreign.invalid/x",
        "javascript:alert(1)",
        "//foreign.invalid",
        "Toy?points=2",
    ]
    sent = base64.urlsafe_b64encode(json.dumps(foreign).encode()).decode().rstrip("=")
    tab = page(f"Toy?present=1&views={sent}")
    tab.get_by_text("1 of 1").wait_for()


def test_the_tour_by_keyboard(page, run):
    tab = page("?tour=1")
    for number, name in enumerate(("Data", "Distil", "Images", "Evaluate", "Understand", "Toy"), 2):
        tab.locator(".stop", has_text=f"Stop {number - 1} of 7").wait_for()
        tab.keyboard.press("ArrowRight")
        arrived(tab, f"{name}?tour={number}")
        tab.locator(".stop", has_text=f"Stop {number} of 7").wait_for()
        tab.locator(".ring").wait_for()  # the thing is there
        box = tab.locator(".stop").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 1280
        assert box["y"] >= 0 and box["y"] + box["height"] <= 900
        assert tab.evaluate(FOCUSED) == ("Next" if number < 7 else "Done")
    tab.keyboard.press("ArrowLeft")
    arrived(tab, "Understand?tour=6")
    tab.locator(".stop", has_text="Stop 6 of 7").wait_for()
    tab.keyboard.press("Escape")
    tab.wait_for_url(lambda url: "tour" not in url, timeout=WAIT)
    tab.locator(".stop").wait_for(state="hidden")


def seen(card):
    """Whether it appears within three seconds."""
    with contextlib.suppress(TooLate):
        card.wait_for(timeout=3000)
    return card.is_visible()


def test_terms_show_their_cards_to_the_mouse_and_the_keyboard(page, run):
    tab = page(f"Evaluate?run={run.key}")
    drawn(tab)  # what has the focus when its part is drawn anew loses it
    link = tab.locator("a[href*='#term-']:visible").first
    card = tab.locator(".card")
    for _ in range(10):  # a part that is drawn anew takes the focus away
        link.blur()
        link.focus()
        if seen(card):
            break
    assert link.get_attribute("aria-description") in card.inner_text()
    tab.keyboard.press("Escape")
    card.wait_for(state="hidden")
    link.hover()
    card.wait_for()
    link.focus()
    tab.keyboard.press("Enter")
    arrived(tab, "Glossary?find=")


def test_the_toy_plays_pauses_and_steps(page):
    tab = page("Toy?toy=chequers&points=2")
    canvas, state = tab.locator(".toy canvas"), tab.locator(".toy .state")
    tab.locator(".toy .all b", has_text="±").wait_for()
    assert state.inner_text() == "Iteration 0"
    before = canvas.evaluate("c => c.toDataURL()")
    canvas.focus()
    tab.keyboard.press("ArrowRight")
    assert state.inner_text().startswith("Iteration 1, loss")
    tab.keyboard.press("Space")
    tab.locator(".toy .state", has_text=re.compile(r"Iteration ([6-9]\d|\d{3,})")).wait_for(
        timeout=120_000
    )
    tab.keyboard.press("Space")
    assert button(tab, "Play").is_visible()
    rest = state.inner_text()
    tab.wait_for_timeout(500)
    assert state.inner_text() == rest
    assert canvas.evaluate("c => c.toDataURL()") != before
    made, few = (
        float(tab.locator(f".toy .{name} b").inner_text().split()[0]) for name in ("made", "few")
    )
    assert made > few
    assert "distilled points among 240 real ones" in canvas.get_attribute("aria-label")
    button(tab, "Start again").click()
    assert state.inner_text() == "Iteration 0"


def test_the_toy_follows_its_choosers_and_the_theme(browser, app):
    context = browser.new_context(base_url=app.url, color_scheme="dark")
    tab = context.new_page()
    tab.goto("Toy?points=1")
    drawn(tab)
    canvas = tab.locator(".toy canvas")
    tab.locator(".toy .all b", has_text="±").wait_for()
    corner = canvas.evaluate("c => [...c.getContext('2d').getImageData(2, 2, 1, 1).data]")
    assert sum(corner[:3]) < 360  # dark ground
    assert canvas.get_attribute("aria-label").count("class 1 at") == 1
    tab.get_by_text("Three arms").click()
    tab.wait_for_url(lambda url: "toy=arms" in url, timeout=WAIT)
    tab.wait_for_function(
        """() => [...document.querySelectorAll('*')].some(e => e.shadowRoot?.querySelector(
        '.toy canvas')?.getAttribute('aria-label').includes('class 3 at'))"""
    )
    context.close()
