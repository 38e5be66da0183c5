"""Who computes a folder, across machines: a lease that must be renewed.

A file lock decides between processes of one machine only (`locks`): over NFS and Lustre it may be granted
twice. A lease is a file that is linked into place, which one of several machines manages. One that was not
renewed for long is taken over; its holder, should it still live, finds that out before it writes a result. So
the worst that can happen is work done twice.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ddcore.base.errors import Cancelled, StoreUnusable
from ddcore.tasks import clocks

NAME = ".lease"
LIMIT_S = 180.0  # longer than file systems of clusters keep attributes (60 s on NFS, by default)
RENEW_S = 10.0
READS, READ_AGAIN_S = 3, 0.05
LARGEST = 4096  # bytes of a lease


class Overtaken(Cancelled):
    """Another machine has taken a task over: nothing may be written in its folder any more."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease: machine, process, job of a scheduler ("" for none), and a word for this holding."""

    machine: str
    pid: int
    job: str
    token: str


class Lease:
    """A lease of a folder in the store at `root`; the folder's lock of this machine must be held."""

    def __init__(self, folder: Path, root: Path, job: str = "") -> None:
        self.path, self.root = folder / NAME, root
        self.own = Holder(machine(), os.getpid(), job, secrets.token_hex(8))
        self.contested = False  # taken from another machine, which may still be writing
        self.lost = self.taken = False
        self._renewed = time.monotonic()

    def take(self) -> bool:
        """Take it; False while another machine holds it."""
        held = holder(self.path)
        if held and not self._may_go(held):
            return False
        if held or os.path.lexists(self.path):
            self.contested = not (held and self._was_here(held))
            self._set_aside(held)
        self.taken = self._put()
        return self.taken

    def renew(self) -> None:
        """Say that it is still held, when it is time; `lost` if it is not any more."""
        if time.monotonic() - self._renewed < RENEW_S:
            return
        self._renewed = time.monotonic()
        self.lost = self.lost or not self.is_mine()
        if not self.lost:
            with contextlib.suppress(OSError):
                os.utime(self.path)

    def is_mine(self) -> bool:
        """Whether it is still this one; what cannot be read is looked at again."""
        for _ in range(READS):
            if held := holder(self.path):
                return held == self.own
            time.sleep(READ_AGAIN_S)
        return False

    def keep(self) -> None:
        """`Overtaken` if it was taken, and is not this one any more."""
        if self.lost or (self.taken and not self.is_mine()):
            self.lost = True
            raise Overtaken("Another machine has taken this task over.")

    def release(self) -> None:
        """Give it back."""
        self.taken = False
        if holder(self.path) == self.own:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)

    def _may_go(self, held: Holder) -> bool:
        return self._was_here(held) or clocks.age(self.path, self.root) > LIMIT_S

    def _was_here(self, held: Holder) -> bool:
        """Whether its holder is gone for sure: here it held the lock, and a job has one life at a time."""
        return held.machine == self.own.machine or (held.job != "" and held.job == self.own.job)

    def _set_aside(self, held: Holder | None) -> None:
        """Remove a lease that is over; one that somebody else has put there meanwhile goes back."""
        aside = self.path.with_name(f"{NAME}.{self.own.token}.old")
        with contextlib.suppress(OSError):
            os.rename(self.path, aside)
            if holder(aside) != held:
                os.link(aside, self.path)
        with contextlib.suppress(OSError):
            aside.unlink()

    def _put(self) -> bool:
        made = self.path.with_name(f"{NAME}.{self.own.token}")
        try:
            made.write_text(json.dumps(asdict(self.own)))
            try:
                os.link(made, self.path)
            except FileExistsError:
                return False
            except OSError:  # no links here; or the answer was lost
                if os.stat(made).st_nlink != 2:
                    return self._put_without_links()
            return True
        except OSError as error:
            raise StoreUnusable(self.path, error) from error
        finally:
            with contextlib.suppress(OSError):
                made.unlink()

    def _put_without_links(self) -> bool:
        try:
            with open(self.path, "x") as f:
                f.write(json.dumps(asdict(self.own)))
        except FileExistsError:
            return False
        return True


def holder(path: Path) -> Holder | None:
    """Who holds a lease; None without one, or for a file that is none."""
    try:
        with open(path) as f:
            found = Holder(**json.loads(f.read(LARGEST)))
    except (OSError, ValueError, TypeError):
        return None
    texts = (found.machine, found.job, found.token)
    return found if all(isinstance(text, str) for text in texts) else None


@functools.cache
def machine() -> str:
    """This machine: names alone are often the same in containers, one boot of a kernel is not."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}"
    return socket.gethostname()
