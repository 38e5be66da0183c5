"""Pages paint without torch: they run in a fresh process and torch is not there afterwards."""

from __future__ import annotations

import os
import subprocess
import sys

from ddcore.base import paths
from tests.pages.fakes import decoded, done, evaluated

SCRIPT = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=60)
for page in [None, *sys.argv[2:]]:
    if page:
        app.switch_page(page)
    app.query_params["run"] = sys.argv[1]
    app.run()
    assert not app.exception, (page, app.exception)
    heavy = {"torch", "sklearn", "umap", "numba"} | (set() if page else {"pandas"})
    loaded = sorted(heavy & set(sys.modules))
    assert not loaded, f"{page or 'app.py'} imports {loaded}"
"""


def test_no_page_imports_torch(store):
    task = done(store)
    evaluated(store, task.spec())
    decoded(store)
    pages = sorted(f"pages/{p.name}" for p in (paths.PROJECT / "pages").glob("[0-9]*.py"))
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, task.key, *pages],
        cwd=paths.PROJECT,
        env=os.environ | {"PYTHONPATH": str(paths.PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr[-2000:]
