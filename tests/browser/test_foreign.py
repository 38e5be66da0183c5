"""Hostile names in a real browser: no request leaves, no picture of somebody else's is there."""

from __future__ import annotations

import pytest

from tests.browser.conftest import drawn
from tests.pages import hostile

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAGES = ("Data", "Run", "Images", "Compare", "Pixels", "Jobs")
PARTS = "document.querySelectorAll('img, a, svg image, iframe, object')"
ADDRESSES = f"[...{PARTS}].map(e => e.src || e.href?.baseVal || e.href || e.data || '')"


def test_hostile_names_call_nobody(app, open_page, visits, tmp_path):
    keys = {name: task.key for name, task in hostile.plant(app.store, tmp_path).items()}
    query = (
        f"run={keys['finished']}&runs={keys['opened']},{keys['finished']}&data={keys['decoded']}"
    )
    seen = set()
    for page in PAGES:
        tab = open_page(f"{page}?{query}")
        drawn(tab)
        tab.wait_for_timeout(500)  # figures are drawn after the script has ended
        addresses = tab.evaluate(ADDRESSES)
        assert not [a for a in addresses if "foreign" in a], page
        assert tab.locator("main .katex").count() == 0, page
        if "![x](http:" in tab.inner_text("body").replace("\u2060", ""):
            seen.add(page)
        tab.close()
    assert {"Run", "Images", "Compare", "Pixels", "Jobs"} <= seen
    assert not [r for r in visits.requests if "foreign" in r]
