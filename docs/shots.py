"""The pictures of `docs/shots`: eight pages, light and dark, as a first visit sees them. Needs Chromium.

The dashboard is started with an empty store, so all that is shown is shipped; the digits are read first.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from ddcore.data import dataset_task, resolve
from ddcore.tasks.worker import run_task
from tests.browser.conftest import IDLE, OPTIONS, chromium_path, served

OUT = Path(__file__).with_name("shots")
PAGES = {
    "start": "",
    "images": "Images",
    "compare": "Compare",
    "runs": "Runs",
    "features": "Features",
    "curvature": "Curvature",
    "influence": "Influence",
    "reproduce": "Reproduce",
}
SIZE = {"width": 1280, "height": 720}
MOST = 2_500_000  # bytes of all pictures together
LARGE = 200_000  # bytes from which a picture, one of many photographs, is kept in 256 colours
FLAT = 64  # of them
LOADING = "[data-testid=stSkeleton]"
REST_MS, RESTS = 400, 25
PATIENCE_MS = 180_000  # a busy machine may take long to draw a page


def main() -> int:
    """Make all of them; returns 1 if they are too large."""
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, served("app.py", Path(folder)) as app:
        wanted = dataset_task(resolve("digits"))
        run_task(app.store, app.store.create(wanted), wanted, "cpu")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=OPTIONS)
            for theme in ("light", "dark"):
                context = browser.new_context(
                    viewport=SIZE, color_scheme=theme, reduced_motion="reduce", base_url=app.url
                )
                for name, address in PAGES.items():
                    page = context.new_page()
                    page.set_default_timeout(PATIENCE_MS)
                    page.goto(address)
                    (OUT / f"{name}-{theme}.png").write_bytes(small(at_rest(page)))
                    page.close()
            browser.close()
    total = sum(file.stat().st_size for file in OUT.glob("*.png"))
    print(f"{len(PAGES) * 2} pictures, {total / 1e6:.2f} MB in {OUT}")
    return int(total > MOST)


def at_rest(page: Page) -> bytes:
    """A picture of the page once two in a row are the same."""
    page.wait_for_selector("h1")
    before = b""
    for _ in range(RESTS):
        page.wait_for_selector(IDLE)
        page.wait_for_selector(LOADING, state="detached")
        page.wait_for_timeout(REST_MS)
        now = page.screenshot()
        if now == before:
            break
        before = now
    return before


def small(content: bytes) -> bytes:
    """The same picture; in few colours where it would be large: the most frequent ones as they are, which
    are those of the page and its marks, the others as near as the rest allows.
    """
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    every = _png(picture)
    if len(every) < LARGE:
        return every
    counted = sorted(picture.getcolors(picture.width * picture.height), reverse=True)
    flat = [value for _, colour in counted[:FLAT] for value in colour]
    rest = picture.quantize(256 - FLAT).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette([*flat, *rest[: 3 * (256 - FLAT)]])
    return _png(picture.quantize(palette=palette, dither=Image.Dither.NONE))


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
