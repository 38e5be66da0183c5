"""The server: which names it answers to, and what differs when it is shared. Loopback only."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import os
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import streamlit as st

import serve
from ddcore.base import paths

START_LIMIT_S = 90.0
WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
}
OURS = ("127.0.0.1", "localhost", "[::1]", "LOCALHOST")
FOREIGN = ("foreign.example", "127.0.0.1.foreign.example", "user@localhost", "10.0.0.5", "")


def ask(port: int, host: str, path: str = "/", **headers: str) -> int:
    """The status of an answer to a request as any program may write it."""
    lines = {"Host": host, **({"Connection": "close"} if not headers else {}), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        return int(connection.recv(200).split()[1])


def websocket(port: int, host: str) -> int:
    """The status of a handshake whose Origin matches its Host, as that of a rebound name does."""
    return ask(port, host, "/_stcore/stream", Origin=f"http://{host}", **WEBSOCKET)


@pytest.fixture
def start(tmp_path):
    """Start a command with a port as its last argument; returns the port."""
    running = []

    def run(*command: str) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        places = {"DD_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
        with open(tmp_path / "log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, *command, str(port)],
                cwd=paths.PROJECT,
                env=os.environ | places,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        running.append(process)
        end = time.time() + START_LIMIT_S
        while time.time() < end and process.poll() is None:
            try:
                if ask(port, "localhost", "/_stcore/health") == 200:
                    return port
            except OSError:
                time.sleep(0.3)
        pytest.fail((tmp_path / "log").read_text()[-2000:])

    yield run
    for process in running:
        process.terminate()
        process.wait(20)


def test_only_its_own_names(start):
    port = start("serve.py", "--port")
    for host in OURS:
        host = f"{host}:{port}"
        assert (ask(port, host), websocket(port, host)) == (200, 101), host
    for host in FOREIGN:
        host = f"{host}:{port}" if host else ""
        assert (ask(port, host), websocket(port, host)) == (403, 403), host
        assert ask(port, host, "/_stcore/health") == 403


def test_scripts_are_compressed_for_its_own_names_only(start):
    port = start("serve.py", "--port")
    script = next(file for file in (Path(st.__path__[0]) / "static/static/js").glob("index.*.js"))
    path, packs = f"/static/js/{script.name}", {"Accept-Encoding": "gzip"}
    for _ in range(2):  # the second is answered from a copy
        with request(port, f"localhost:{port}", path, packs) as answer:
            assert answer.status == 200 and answer.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(answer.read()) == script.read_bytes()
        with request(port, "foreign.example", path, packs) as answer:
            assert answer.status == 403
    with request(port, f"localhost:{port}", path, {}) as answer:
        assert answer.read() == script.read_bytes()


@contextlib.contextmanager
def request(port: int, host: str, path: str, headers: dict[str, str]):
    """An answer, whatever its status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": host, **headers})
    yield connection.getresponse()
    connection.close()


def test_pages_started_by_streamlit_alone_open_no_foreign_websocket(start):
    port = start("-m", "streamlit", "run", "app.py", "--server.headless=true", "--server.port")
    assert websocket(port, f"localhost:{port}") == 101
    assert websocket(port, f"foreign.example:{port}") == 403


def test_shared_it_answers_to_the_names_it_was_given(start):
    port = start("serve.py", "--share", "lab.example,10.0.0.5", "--address", "127.0.0.1", "--port")
    for host in ("lab.example", "10.0.0.5", f"localhost:{port}"):
        assert (ask(port, host), websocket(port, host)) == (200, 101)
    assert (ask(port, "foreign.example"), websocket(port, "foreign.example")) == (403, 403)


@pytest.mark.parametrize("chosen, visitors", [(None, "1"), ("0", "0")])
def test_shared_visitors_look_unless_told_otherwise(monkeypatch, chosen, visitors):
    monkeypatch.delenv("DD_MANAGERS", raising=False)
    if chosen is None:
        monkeypatch.setenv("DD_VISITORS", "")
        monkeypatch.delenv("DD_VISITORS")
    else:
        monkeypatch.setenv("DD_VISITORS", chosen)
    options = serve.sharing(["lab.example"], "0.0.0.0")
    assert os.environ["DD_VISITORS"] == visitors
    assert options["client.showErrorDetails"] == "none"
    assert options["server.allowedHosts"] == ["lab.example", "127.0.0.1", "localhost", "::1"]
    assert ("server.maxUploadSize" in options) == (visitors == "1")


@pytest.mark.parametrize("arguments", [["--share", " , "], ["--address", "0.0.0.0"]])
def test_sharing_names_its_hosts(arguments, capsys):
    with pytest.raises(SystemExit):
        serve.main(arguments)
    assert "--share" in capsys.readouterr().err


def test_the_configuration_names_this_machine_only():
    with open(paths.PROJECT / ".streamlit/config.toml", "rb") as file:
        server = tomllib.load(file)["server"]
    assert set(server["allowedHosts"]) == set(serve.LOCAL)
    assert server["address"] in serve.LOCAL
