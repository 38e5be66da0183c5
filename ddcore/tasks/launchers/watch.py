"""What the schedulers say of their jobs, asked in the background and at most every few seconds.

Pages and commands look at many tasks every second: they are told what was said last, with its age. That a
scheduler does not answer makes it older, and nothing else.
"""

from __future__ import annotations

import functools
import threading
import time
from dataclasses import dataclass, field

from ddcore.base.errors import DDError
from ddcore.tasks.launchers import named
from ddcore.tasks.launchers.contract import GONE, JobState, Launcher

ASK_EVERY_S = 5.0
FIRST_S = 2.0  # how long the first who ask wait for the answer
KEPT = 1000  # jobs that are gone, whose end is remembered


@dataclass(frozen=True)
class Listing:
    """What was said of all jobs, when it was asked for (by this machine's clock), why there is none newer."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    at: float = 0.0
    silence: str = ""


class SchedulerWatch:
    """Of one scheduler."""

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher
        self._lock = threading.Lock()
        self._listing = Listing()
        self._ends: dict[str, tuple[float, JobState | None]] = {}
        self._asking: threading.Thread | None = None
        self._asked = 0.0

    def listing(self) -> Listing:
        """What was said last; a newer answer is asked for where it is time."""
        with self._lock:
            first = self._asked == 0.0
            due = time.monotonic() - self._asked >= ASK_EVERY_S or first
            if due and not (self._asking and self._asking.is_alive()):
                self._asked = time.monotonic()
                self._asking = threading.Thread(target=self._ask, daemon=True)
                self._asking.start()
            asking = self._asking
        if asking and self._listing.at == 0.0 and not self._listing.silence:
            asking.join(FIRST_S)
        return self._listing

    def hurry(self) -> None:
        """Something was changed: the next who looks asks anew."""
        with self._lock:
            self._asked = min(self._asked, time.monotonic() - ASK_EVERY_S)

    def _ask(self) -> None:
        at = time.time()
        try:
            self._listing = Listing(self.launcher.jobs(), at)
        except DDError as error:
            self._listing = Listing(self._listing.jobs, self._listing.at, str(error))

    def ended(self, job: str) -> JobState | None:
        """What became of a job that is not listed, or is another person's: None if nobody says so.

        One that is gone is asked for once, another as often as all are.
        """
        asked, known = self._ends.get(job, (0.0, None))
        final = known is not None and known.state == GONE
        if final or (asked and time.monotonic() - asked < ASK_EVERY_S):
            return known
        try:
            known = self.launcher.ended(job)
        except DDError:
            known = None
        self._ends[job] = time.monotonic(), known
        while len(self._ends) > KEPT:
            self._ends.pop(next(iter(self._ends)))
        return known


@functools.cache
def of(name: str) -> SchedulerWatch:
    """The watch of a scheduler, one in this process."""
    return SchedulerWatch(named(name))
