"""What a scheduler of a cluster must be able to do; nothing here knows which it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ddcore.base.errors import DDError
from ddcore.tasks.task import Task

PENDING, RUNNING, GONE = "pending", "running", "gone"


class SchedulerSilent(DDError):
    """The scheduler did not answer, or not in time: nothing is known of its jobs, which go on."""


@dataclass(frozen=True)
class Resources:
    """What a job asks for: GPUs, CPU cores, bytes of memory, seconds until it may be moved."""

    gpus: int
    cpus: int
    memory: int
    seconds: float


@dataclass(frozen=True)
class Request:
    """A task to be computed elsewhere; `after` are ids of jobs that must have ended well before."""

    task: Task
    need: Resources
    after: Sequence[str] = ()


@dataclass(frozen=True)
class JobState:
    """What a scheduler says of a job, in words for people.

    `state` is pending, running or gone; of one that is gone, `failure` names what ended it ("" if it ended by
    itself) and `cancelled` says that a person did. `start`: when it is expected to begin (since 1970).
    """

    state: str
    reason: str = ""
    start: float | None = None
    node: str = ""
    failure: str = ""
    cancelled: bool = False


class Launcher(Protocol):
    """A scheduler. Every function raises `SchedulerSilent` if it does not answer."""

    name: str
    title: str

    def submit(self, request: Request) -> str:
        """Ask for a job; its id. `DDError` says why it was refused."""

    def submit_array(
        self, requests: Sequence[Request], at_once: int
    ) -> Iterator[tuple[Request, str]]:
        """Ask for jobs that do not wait for each other, of which `at_once` may run at a time.

        Each request with its id, as it is handed in; where a scheduler knows no arrays, `one_by_one`.
        """

    def jobs(self) -> dict[str, JobState]:
        """All jobs of this person that it still knows, by id: one call, however many they are."""

    def ended(self, job: str) -> JobState:
        """What became of a job that is no longer among `jobs`."""

    def cancel(self, jobs: Sequence[str], at_once: bool) -> None:
        """End jobs; unless `at_once`, those that run are told to and may write a checkpoint first."""


def one_by_one(launcher: Launcher, requests: Sequence[Request]) -> Iterator[tuple[Request, str]]:
    """`submit_array` for a scheduler that knows none: how many run at a time is its own matter."""
    for request in requests:
        yield request, launcher.submit(request)
