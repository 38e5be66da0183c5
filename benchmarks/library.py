"""The Runs page over a store of so many runs: processor seconds of the server for a look and for a filter.

python benchmarks/library.py [--runs 500]

Each look is a session over a websocket of its own, as a browser opens it. "first" is the first look after the
server's start (everything is read and every thumbnail of the page made), "new tab" a later one, "filter" a
rerun in a session that is open, with other filters in the link. Jobs and Images are there for comparison.
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

from benchmarks import _dashboard  # noqa: E402
from benchmarks.visitors import LIKE_A_BROWSER, PAGE_LIMIT_S  # noqa: E402
from ddcore.tasks import notes  # noqa: E402
from ddcore.tasks.store import Store  # noqa: E402

LOOKS = ({"q": "seed=1"}, {"method": "Distribution matching"}, {"tag": "tenth"}, {"sort": "name"})
NAMED = 10  # every such run has a name and a tag
PAGE_S, FILTER_S = 1.0, 0.3  # what it may cost


async def look(server: _dashboard.Dashboard, page: str, queries: list[dict]) -> list[tuple]:
    """One session that looks at a page under one link after the other: (CPU s, bytes) of each."""
    found = []
    url = f"ws://127.0.0.1:{server.port}/_stcore/stream"
    async with asyncio.timeout(PAGE_LIMIT_S), connect(url, **LIKE_A_BROWSER) as socket:
        for query in queries:
            ask = BackMsg()
            ask.rerun_script.query_string = urllib.parse.urlencode(query)
            ask.rerun_script.page_name = page
            before, size = server.cpu_seconds(), 0
            await socket.send(ask.SerializeToString())
            async for content in socket:
                size += len(content)
                message = ForwardMsg.FromString(content)
                if message.delta.new_element.WhichOneof("type") == "exception":
                    raise SystemExit(message.delta.new_element.exception.message)
                if message.WhichOneof("type") == "script_finished":
                    break
            found.append((server.cpu_seconds() - before, size))
    return found


def say(what: str, found: list[tuple]) -> float:
    """Print the mean of some looks; returns its processor seconds."""
    cpu, size = np.mean(found, axis=0)
    print(f"  {what:16s} {cpu:.2f} CPU s, {size / 1e3:,.0f} kB", flush=True)
    return float(cpu)


async def measure(server: _dashboard.Dashboard) -> bool:
    """All looks; whether they cost no more than they may."""
    server.settle()
    await look(server, "", [{}])  # what Streamlit imports for its first page
    first = say("Runs, first", await look(server, "Runs", [{}]))
    tabs = [(await look(server, "Runs", [{}]))[0] for _ in range(3)]
    tab = say("Runs, new tab", tabs)
    change = say("Runs, filter", (await look(server, "Runs", [{}, *LOOKS, *LOOKS]))[1:])
    for page in ("Jobs", "Images"):
        say(f"{page}, first", await look(server, page, [{}]))
        say(f"{page}, new tab", [(await look(server, page, [{}]))[0] for _ in range(3)])
    return max(first, tab) < PAGE_S and change < FILTER_S


def main() -> None:
    """Fill a store and look at it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name) / "cache")
        runs = _dashboard.fill(store, 2 * options.runs)
        for number, run in enumerate(runs[::NAMED]):
            notes.change(store, run.key, name=f"Run {number}", add=["tenth"])
        print(f"{len(runs)} runs, each with an evaluation, and those that are shipped")
        with _dashboard.serve(store, Path(name)) as server:
            ok = asyncio.run(measure(server))
    print(f"allowed: {PAGE_S} CPU s for the page, {FILTER_S} for a filter")
    sys.exit(not ok)


if __name__ == "__main__":
    main()
