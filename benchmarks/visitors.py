"""Visitors reading at once: errors, and processor time of the server for a page it has shown before.

python benchmarks/visitors.py [--folders 500] [--visitors 30]

Each visitor is a session over a websocket of its own to a server on this machine, as a browser opens it:
it asks for a page, receives everything the page sends and waits until the script has ended. What a
browser would fetch besides (the program's own files, pictures by their address) is not fetched.
First each page alone, warm: processor seconds of the server per page. Then all visitors at once, each
going through the same pages from another start.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import urllib.parse
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

import numpy as np  # noqa: E402
from streamlit.proto.BackMsg_pb2 import BackMsg  # noqa: E402
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: E402
from websockets.asyncio.client import connect  # noqa: E402
from websockets.exceptions import ConnectionClosed  # noqa: E402

from benchmarks import _dashboard  # noqa: E402
from ddcore.tasks.store import Store  # noqa: E402

PAGES = ("", "Data", "Distil", "Run", "Images", "Evaluate", "Compare", "Runs", "Understand", "Jobs")
OF_A_RUN = ("Run", "Images", "Evaluate")
WARM = 2  # visits of each page before one is counted
COUNTED = 3
PAGE_LIMIT_S = 180.0
LIKE_A_BROWSER = {"subprotocols": ["streamlit"], "max_size": 1 << 28, "ping_interval": None}


async def visit(server: _dashboard.Dashboard, page: str, query: dict[str, str]) -> list[str]:
    """Open a page in a session of its own; what went wrong."""
    url = f"ws://127.0.0.1:{server.port}/_stcore/stream"
    ask = BackMsg()
    ask.rerun_script.query_string = urllib.parse.urlencode(query)
    ask.rerun_script.page_name = page
    errors, shown = [], 0
    try:
        async with asyncio.timeout(PAGE_LIMIT_S), connect(url, **LIKE_A_BROWSER) as socket:
            await socket.send(ask.SerializeToString())
            async for content in socket:
                message = ForwardMsg.FromString(content)
                kind = message.WhichOneof("type")
                if kind == "page_not_found":
                    errors.append(f"{page}: no such page")
                if kind == "delta":
                    shown += 1
                    element = message.delta.new_element
                    if element.WhichOneof("type") == "exception":
                        errors.append(f"{page}: {element.exception.message}")
                if kind == "script_finished":
                    return errors if shown > 10 else [*errors, f"{page}: only {shown} elements"]
        return [*errors, f"{page}: the server hung up"]
    except (TimeoutError, ConnectionClosed, OSError) as error:
        return [*errors, f"{page}: {type(error).__name__} {error}"]


async def alone(server: _dashboard.Dashboard, run: str) -> list[str]:
    """Each page several times after it has been shown; prints processor seconds."""
    errors, all_costs = [], []
    for page in PAGES:
        costs = []
        for i in range(WARM + COUNTED):
            before = server.cpu_seconds()
            errors += await visit(server, page, {"run": run} if page in OF_A_RUN else {})
            if i >= WARM:
                costs.append(server.cpu_seconds() - before)
        all_costs += costs
        print(f"  {page or 'Start':12s} {np.mean(costs):.2f} CPU s", flush=True)
    median, p95 = np.percentile(all_costs, [50, 95])
    print(f"a cached page, one visitor: median {median:.2f}, p95 {p95:.2f} CPU s", flush=True)
    return errors


async def together(
    server: _dashboard.Dashboard, runs: list[str], visitors: int, pages: int
) -> list[str]:
    """All visitors at once, each through `pages` pages with a run of its own."""

    async def one(number: int) -> list[str]:
        errors, run = [], runs[number % len(runs)]
        for i in range(pages):
            page = PAGES[(number + i) % len(PAGES)]
            errors += await visit(server, page, {"run": run} if page in OF_A_RUN else {})
        return errors

    before = server.cpu_seconds()
    found = await asyncio.gather(*(one(i) for i in range(visitors)))
    spent, views = server.cpu_seconds() - before, visitors * pages
    print(f"{visitors} visitors at once: {views} pages, {spent / views:.2f} CPU s per page")
    return [e for errors in found for e in errors]


def main() -> None:
    """Fill a store, read it alone and together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folders", type=int, default=500)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--pages", type=int, default=len(PAGES), help="each visitor reads so many")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name) / "cache")
        runs = [task.key for task in _dashboard.fill(store, options.folders)]
        with _dashboard.serve(store, Path(name)) as server:
            errors = asyncio.run(alone(server, runs[0]))
            errors += asyncio.run(together(server, runs, options.visitors, options.pages))
            print(f"errors: {len(errors)}; memory of the server {server.megabytes():.0f} MB")
            log = server.log.read_text(errors="replace")
    for error in sorted(set(errors)):
        print(error)
    if "Traceback" in log:
        print(log[-3000:])
    sys.exit(bool(errors) or "Traceback" in log)


if __name__ == "__main__":
    main()
