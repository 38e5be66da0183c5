"""Server time of the Start page with a warm cache, and whether torch was imported on the way.

python benchmarks/start_page.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))


def measure() -> None:
    """Run app.py's script a few times in this process, as the server does for each visitor."""
    from streamlit.testing.v1 import AppTest

    times = []
    for _ in range(6):
        start = time.perf_counter()
        test = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=30).run()
        times.append(time.perf_counter() - start)
        assert not test.exception, test.exception
    print(times[0], statistics.median(times[1:]), "torch" in sys.modules)


def main() -> None:
    """In a fresh process."""
    command = [sys.executable, __file__, "measure"]
    line = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT).stdout
    first, warm, torch_imported = line.split()[-3:]
    from benchmarks.machine import describe

    print(describe())
    print(f"Start page, server time: first {float(first):.2f} s, warm {float(warm):.3f} s")
    print(f"torch imported: {torch_imported}")


if __name__ == "__main__":
    measure() if len(sys.argv) > 1 else main()
