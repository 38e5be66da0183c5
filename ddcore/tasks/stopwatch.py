"""What a task has taken: seconds and processor seconds, without times at which it was stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Runs from the start on; what is stopped for is counted apart."""

    def __init__(self) -> None:
        self._began, self._began_cpu = time.monotonic(), time.process_time()
        self._before = self._before_cpu = 0.0
        self.waited = 0.0  # seconds for tasks that were needed: people wait for them, too

    @property
    def seconds(self) -> float:
        """Those before a resume included."""
        return self._before + time.monotonic() - self._began

    @property
    def cpu_seconds(self) -> float:
        """Of all threads of this process."""
        return self._before_cpu + time.process_time() - self._began_cpu

    def go_on(self, seconds: float, cpu_seconds: float) -> None:
        """Count what was taken before a resume, too."""
        self._before, self._before_cpu = seconds, cpu_seconds

    @contextlib.contextmanager
    def stopped(self, waited: bool = False) -> Iterator[None]:
        """What happens meanwhile is not this task's; `waited` for, if it is another's that it needs."""
        at, at_cpu = time.monotonic(), time.process_time()
        try:
            yield
        finally:
            took = time.monotonic() - at
            self._began += took
            self._began_cpu += time.process_time() - at_cpu
            self.waited += took if waited else 0.0
