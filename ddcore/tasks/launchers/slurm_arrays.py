"""Job arrays of Slurm: tasks that ask for the same and wait for the same are one submission.

An element has no name of its own, so no `singleton` keeps a second job of its key waiting: the worker's lock
and lease do (`worker.run_task`), at the price of an allocation that waits. An element that waits for an
element of another array has that one's number, so that Slurm pairs them (`aftercorr`).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ddcore.tasks.launchers import local
from ddcore.tasks.launchers.contract import Request, Resources

LARGEST = 1000  # Slurm's own limit of numbers, MaxArraySize, is 1001 unless a site says otherwise
NAME = "dd-array"
_BETWEEN = "_"  # an element of job 7 is 7_0
# A warning before the worker listens must not end it: what is ignored stays so across `exec`.
DEAF = "trap '' USR1"


@dataclass(frozen=True)
class JobArray:
    """Requests by their number; all ask for `need` and wait for `after`, each for its own of `paired`."""

    need: Resources
    after: tuple[str, ...]
    paired: str
    elements: dict[int, Request]

    @property
    def dependency(self) -> str:
        """What `sbatch` is told of jobs before; "" for none."""
        pairs = [f"aftercorr:{self.paired}"] if self.paired else []
        return ",".join(pairs + [f"afterok:{job}" for job in self.after])

    def numbers(self, at_once: int) -> str:
        """Their numbers as `--array` has them, of which so many run at a time."""
        return f"{_ranges(sorted(self.elements))}%{at_once}"

    def script(self) -> str:
        """What each element runs: the worker of its folder, whose log is its own."""
        *words, _ = local.command([next(iter(self.elements.values())).task])
        folders = [
            f"{number}) folder={shlex.quote(str(request.task.folder.absolute()))} ;;"
            for number, request in self.elements.items()
        ]
        return "\n".join(
            [
                "#!/bin/sh",
                'case "$SLURM_ARRAY_TASK_ID" in',
                *folders,
                "esac",
                'exec >>"$folder/log.txt" 2>&1',
                DEAF,
                f'exec {shlex.join(words)} "$folder"',
                "",
            ]
        )


def element(job: str, number: int) -> str:
    """The id of an element."""
    return f"{job}{_BETWEEN}{number}"


def arrays(requests: Iterable[Request], largest: int = LARGEST) -> list[JobArray]:
    """The fewest that hold all requests; one that waits for several elements is alone."""
    found: list[JobArray] = []
    open_ones: dict[tuple[object, ...], list[JobArray]] = {}
    for request in requests:
        pairs = [job for job in request.after if _BETWEEN in job]
        paired, _, number = pairs[0].partition(_BETWEEN) if len(pairs) == 1 else ("", "", "")
        after = tuple(job for job in request.after if not paired or job not in pairs)
        alike = open_ones.setdefault((request.need, after, paired), [])
        into = next((a for a in alike if _fits(a, number, largest)), None)
        if into is None:
            into = JobArray(request.need, after, paired, {})
            found.append(into)
            alike.append(into)
        into.elements[int(number) if number else len(into.elements)] = request
    return found


def _fits(array: JobArray, number: str, largest: int) -> bool:
    return int(number) not in array.elements if number else len(array.elements) < largest


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers, runs of them as first-last."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)
