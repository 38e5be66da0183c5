"""The dashboard in a process of its own, and a real Chromium to visit it with.

Skipped where there is no Chromium; `CHROMIUM` names one that is not on the path.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ddcore.base import paths
from ddcore.tasks import jobs
from ddcore.tasks.store import Store

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
IDLE = "[data-testid='stApp'][data-test-script-state='notRunning']"
START_LIMIT_S = STOP_LIMIT_S = 60.0  # of a busy machine
# Streamlit looks for its own server below the page's address before it looks beside it.
# Pictures that a page shows in vain.
BROKEN = "() => [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
HARMLESS = re.compile(r"/_stcore/(health|host-config)$")


@dataclass
class App:
    """A running dashboard and the store it works on."""

    url: str
    store: Store
    process: subprocess.Popen
    log: Path


@dataclass
class Visits:
    """What pages asked for and complained about."""

    requests: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def foreign(self, url: str) -> list[str]:
        """Requests to anything but the dashboard."""
        own = (url, url.replace("http:", "ws:"), "data:", "blob:")
        return sorted(r for r in self.requests if not r.startswith(own))


def chromium_path() -> str | None:
    """The installed Chromium, if any."""
    if named := os.environ.get("CHROMIUM"):
        return named
    return next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Chromium, headless."""
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium is installed (apt install chromium, or set CHROMIUM)")
    playwright = pytest.importorskip("playwright.sync_api").sync_playwright().start()
    opened = playwright.chromium.launch(executable_path=path, args=OPTIONS)
    yield opened
    opened.close()
    playwright.stop()


@pytest.fixture(scope="module")
def app(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The dashboard on a free port, with an empty store."""
    with served("app.py", tmp_path_factory.mktemp("dashboard")) as found:
        yield found


@contextlib.contextmanager
def served(script: str, folder: Path) -> Iterator[App]:
    """A Streamlit script on a free port, with an empty store in `folder`."""
    port = _free_port()
    one_thread = {"DD_THREADS": "1", "OMP_NUM_THREADS": "1", "DD_DEVICE": "cpu"}
    places = {"DD_CACHE": str(folder / "cache"), "DD_DATA": str(folder / "data")}
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.headless=true"]
    with open(folder / "app.log", "wb") as log:
        process = subprocess.Popen(
            [*command, f"--server.port={port}"],
            cwd=paths.PROJECT,
            env=os.environ | one_thread | places,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    found = App(f"http://127.0.0.1:{port}/", Store(folder / "cache"), process, folder / "app.log")
    try:
        _wait_for_health(found)
        yield found
    finally:
        process.terminate()
        process.wait(STOP_LIMIT_S)
        for task in found.store.tasks():
            jobs.cancel(task)


@pytest.fixture
def visits() -> Visits:
    """What the pages of one test did."""
    return Visits()


@pytest.fixture
def open_page(browser: object, app: App, visits: Visits) -> Iterator[Callable]:
    """Open an address of the dashboard in a tab and wait until it has been drawn.

    Afterwards nothing may have left this machine, and no page may have complained.
    """
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, base_url=app.url, accept_downloads=True
    )
    context.set_default_timeout(180_000)  # pages of a busy machine
    context.on("request", lambda request: visits.requests.add(request.url))

    def complain(message: object) -> None:
        said = f"{message.text} ({message.location})"
        # A page that is left before its pictures have come may ask for some that are gone: see below.
        if message.type == "error" and not HARMLESS.search(message.location.get("url", "")):
            visits.errors += [] if "/media/" in said else [said]

    def visit(address: str = "") -> object:
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: visits.errors.append(str(error)))
        page.on("websocket", lambda socket: visits.requests.add(socket.url))
        page.goto(address)
        drawn(page)
        return page

    yield visit
    for page in context.pages:
        visits.errors += page.evaluate(BROKEN)
    context.close()
    assert visits.foreign(app.url) == []
    assert visits.errors == []


def drawn(page: object) -> None:
    """Wait until the page's script has run and shows no exception."""
    page.wait_for_selector("h1")
    page.wait_for_selector(IDLE)
    assert page.locator("[data-testid=stException]").count() == 0, page.inner_text("body")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for_health(app: App) -> None:
    end = time.time() + START_LIMIT_S
    while time.time() < end:
        if app.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{app.url}_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"The dashboard did not start:\n{app.log.read_text(errors='replace')[-2000:]}")
