"""A store of its own for each test, and pages opened on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ddcore.base import paths
from ddcore.tasks import locks
from ddcore.tasks.store import Store, Task


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store without a gallery; nothing is ever launched from it."""
    monkeypatch.setenv("DD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DD_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(paths, "GALLERY", tmp_path / "gallery")
    monkeypatch.setattr("ddcore.tasks.jobs.launch", lambda tasks: None)
    # What is queued stays queued, however long a busy machine takes for a page.
    monkeypatch.setattr("ddcore.tasks.jobs.START_LIMIT_S", 600.0)
    return Store(tmp_path / "cache", tmp_path / "gallery")


@pytest.fixture
def alive() -> Callable[[Task], None]:
    """Hold a folder's lock as its worker would, until the test ends."""
    held = []

    def hold(task: Task) -> None:
        held.append(locks.acquire(task.folder / ".lock"))

    yield hold
    for lock in held:
        lock.release()


@pytest.fixture
def visit(store: Store) -> Callable[..., AppTest]:
    """Open a page (file name, or "" for Start) with query parameters, without exceptions."""

    def open_page(page: str = "", **query: str) -> AppTest:
        app = AppTest.from_file(str(paths.PROJECT / "app.py"), default_timeout=120)
        if page:
            app.switch_page(f"pages/{page}")
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, app.exception
        return app

    return open_page
