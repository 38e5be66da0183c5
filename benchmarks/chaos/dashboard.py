"""The dashboard's real server on the loopback address, and a visitor who needs no browser."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.chaos import base

START_LIMIT_S, PAGE_LIMIT_S = 120.0, 120.0


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Dashboard:
    """A server on a store, until the end of the `with` block."""

    def __init__(self, root: Path) -> None:
        self.port = free_port()
        self.log = root / "dashboard.log"
        line = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
        line += ["--server.address", "127.0.0.1", "--server.port", str(self.port)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                line,
                cwd=base.PROJECT,
                env=base.environment(root),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        end = time.monotonic() + START_LIMIT_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"The dashboard did not start: {self.log.read_text()[-500:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.port}/_stcore/health"
            return urllib.request.urlopen(url, timeout=2).status == 200
        except OSError:
            return False

    def visit(self, page: str, query: str = "") -> Visitor:
        """Open a page (its file's name, "" for Start) and wait until its script has ended."""
        visitor = Visitor(self.port, re.sub(r"^\d+_|\.py$", "", page), query)
        visitor.rerun()
        return visitor


@dataclass
class Visitor:
    """One open tab: what its script sent last."""

    port: int
    page: str
    query: str = ""
    buttons: dict[str, str] = field(default_factory=dict)  # label by id of each button
    exceptions: list[str] = field(default_factory=list)
    clicks: int = 0
    connection: Any = None

    def __post_init__(self) -> None:
        from websockets.sync.client import connect

        address = f"127.0.0.1:{self.port}"
        self.connection = connect(
            f"ws://{address}/_stcore/stream",
            origin=f"http://{address}",
            subprotocols=["streamlit"],
            max_size=None,
            open_timeout=PAGE_LIMIT_S,
            ping_interval=None,  # a busy machine answers late
        )

    def rerun(self, clicked: str = "") -> None:
        """Run the page's script, as after a click on the button with this id."""
        from streamlit.proto.BackMsg_pb2 import BackMsg

        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_name = self.page
        if clicked:
            state = message.rerun_script.widget_states.widgets.add()
            state.id, state.trigger_value = clicked, True
        self.connection.send(message.SerializeToString())
        self.listen()

    def listen(self) -> None:
        """Read until the script has ended."""
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        end = time.monotonic() + PAGE_LIMIT_S
        while True:
            message = ForwardMsg()
            message.ParseFromString(self.connection.recv(timeout=end - time.monotonic()))
            kind = message.WhichOneof("type")
            if kind == "script_finished":
                if message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    return
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                self._element(message.delta.new_element)

    def _element(self, element: Any) -> None:
        kind = element.WhichOneof("type")
        if kind == "button":
            self.buttons[element.button.id] = element.button.label
        elif kind == "exception":
            shown = element.exception
            self.exceptions.append(f"{shown.type}: {shown.message[:200]}")

    def click(self, key: str) -> bool:
        """Press the button with this key; False if it is not on the page."""
        found = next((i for i in self.buttons if i.endswith(f"-{key}")), None)
        if found is None:
            return False
        self.clicks += 1
        self.rerun(found)
        return True

    def close(self) -> None:
        """Leave."""
        self.connection.close()
