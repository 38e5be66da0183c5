"""Counts what a process does to the files of a store, and kills it before the n-th of these or after a name.

An audit hook: it sees every open, rename, removal and new folder, and changes none of the code it watches.
"""

from __future__ import annotations

import os
import signal
import sys

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")
count = 0


def install(root: str, kill_at: int = 0, note_done: str = "", kill_after: str = "") -> None:
    """Watch the files under `root`. `kill_at` 0: only count. `note_done`: a file that gets one line for each
    manifest written, which is once per computation that ended well. `kill_after`: die before the operation
    that follows on a file's getting its name in that folder."""
    named = False

    def hook(event: str, arguments: tuple) -> None:
        nonlocal named
        global count
        if event not in EVENTS or not str(arguments[0]).startswith(root):
            return
        count += 1
        if count == kill_at or named:
            os.kill(os.getpid(), signal.SIGKILL)
        named = event == "os.rename" and os.path.dirname(arguments[1]) == kill_after
        if note_done and event == "os.rename" and str(arguments[1]).endswith("/done.json"):
            descriptor = os.open(note_done, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(descriptor, f"{arguments[1]}\n".encode())
            os.close(descriptor)

    sys.addaudithook(hook)
