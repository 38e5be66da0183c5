"""Slurm by its own commands. A job is named by its task's key, and of one name one at a time runs.

So the scheduler is the lock across nodes: a second job of a key waits for the first, and then leaves at once.
Tasks that ask for the same are one job array (`slurm_arrays`), whose elements locks and leases keep apart.
Options in `DD_SLURM` come last and win over what is asked for here.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ddcore.base import environment, paths
from ddcore.base.errors import DDError, short
from ddcore.tasks.launchers import local, slurm_arrays
from ddcore.tasks.launchers.contract import (
    GONE,
    PENDING,
    RUNNING,
    JobState,
    Request,
    Resources,
    SchedulerSilent,
    one_by_one,
)

ANSWER_LIMIT_S = 10.0
WARNING_S = (
    120  # between the signal to write a checkpoint and the end of the time that was asked for
)
KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")  # of the variables that Slurm sets or reads
SQUEUE = ["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T|%r|%S|%N"]
WAITS = {  # Slurm's reasons, in words
    "Resources": "It waits for free resources.",
    "Priority": "It waits its turn: jobs before it have a higher priority.",
    "Dependency": "It waits for a task before it.",
    "Singleton": "It waits for another job of the same task.",
    "BeginTime": "It was moved and starts again in a moment.",
    "None": "It has just been handed in.",
    "Cleaning": "Its last life is being cleared away.",
    "PartitionDown": "Its partition is down.",
    "PartitionTimeLimit": "It asks for more time than its partition allows: see DD_SLURM.",
    "ReqNodeNotAvail": "The nodes it needs are down, drained or reserved.",
    "JobHeldUser": "It is held: scontrol release lets it go on.",
    "JobHeldAdmin": "An administrator holds it.",
    "QOSMaxJobsPerUserLimit": "As many of your jobs run as may run at once.",
    "AssocGrpCpuLimit": "Your account uses as many cores as it may.",
    "AssocMaxJobsLimit": "As many jobs of your account run as may run at once.",
    "JobArrayTaskLimit": "As many of its array run as may run at once.",
    "DependencyNeverSatisfied": "A task before it did not finish.",
}
ENDS = {  # how jobs end that did not by themselves
    "TIMEOUT": "Slurm ended it at its time limit before it wrote a checkpoint that could be moved",
    "OUT_OF_MEMORY": "It used more memory than it had asked for: ask for more, --mem in DD_SLURM",
    "NODE_FAIL": "Its node failed",
    "PREEMPTED": "Another job took its place",
    "BOOT_FAIL": "Its node could not be started",
    "DEADLINE": "Its deadline has passed",
    "FAILED": "Its process ended with an error",
    "STOPPED": "It was stopped",
}
QUEUED = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")
ALIVE = ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "SIGNALING", "STAGE_OUT", "RESIZING")


@dataclass(frozen=True)
class Site:
    """The largest job of a partition: seconds, bytes and cores of a node, and whether nodes have GPUs."""

    seconds: float = math.inf
    memory: float = math.inf
    cpus: int = 1024
    gpus: bool = False


class Slurm:
    """The launcher."""

    name, title = "slurm", "Slurm"

    def submit(self, request: Request) -> str:
        """`sbatch`; an id."""
        fitted = replace(request, need=fitting(request.need))
        script = f"{slurm_arrays.DEAF}; exec {shlex.join(local.command([request.task]))}"
        return self._sbatch([*options(fitted), *environment.slurm_options(), "--wrap", script])

    def submit_array(
        self, requests: Sequence[Request], at_once: int
    ) -> Iterator[tuple[Request, str]]:
        """One `sbatch` for all that ask and wait for the same; one for each where a site allows no arrays."""
        fitted = {replace(each, need=fitting(each.need)): each for each in requests}
        for array in slurm_arrays.arrays(fitted):
            handed = [fitted[each] for each in array.elements.values()]
            if len(handed) == 1:
                yield from one_by_one(self, handed)
                continue
            words = [*array_options(array, at_once), *environment.slurm_options()]
            try:
                job = self._sbatch(words, array.script())
            except Refused as error:
                if "array" not in str(error):
                    raise
                yield from one_by_one(self, handed)
                continue
            for number, request in zip(array.elements, handed):
                yield request, slurm_arrays.element(job, number)

    def _sbatch(self, words: Sequence[str], script: str = "") -> str:
        variables = local.variables() | {"DD_LAUNCHED": self.name}
        # What a shell of another job has said of itself is not true of this one.
        clean = {
            name: value
            for name, value in variables.items()
            if not name.startswith("SLURM_") or name in KEPT
        }
        return call(["sbatch", *words], clean, text=script).strip().partition(";")[0]

    def jobs(self) -> dict[str, JobState]:
        """`squeue`, of jobs that have just ended too, and of each element of an array."""
        return listed(call([*SQUEUE, "--me"]))

    def ended(self, job: str) -> JobState:
        """`squeue` of any person's, then `sacct` where the site keeps accounts; else it is gone."""
        with contextlib.suppress(Refused):
            if found := listed(call([*SQUEUE, f"--jobs={job}"])).get(job):
                return found
        with contextlib.suppress(DDError):
            words = ["sacct", "--noheader", "--parsable2", "--allocations", "--format=State"]
            if state := call([*words, f"--jobs={job}"]).split():
                return _gone(state[0])
        return JobState(GONE, failure="Slurm no longer knows its job")

    def cancel(self, jobs: Sequence[str], at_once: bool) -> None:
        """`scancel`; the batch process alone is told where a checkpoint is wanted."""
        with contextlib.suppress(Refused):  # one has ended by itself
            call(["scancel", *([] if at_once else ["--signal=TERM", "--batch"]), *jobs])


class Refused(DDError):
    """A command of Slurm's said no."""


def options(request: Request) -> list[str]:
    """What `sbatch` is told of a task."""
    task = request.task
    before = "".join(f",afterok:{job}" for job in request.after)
    found = {
        "job-name": f"dd-{task.key}",
        "dependency": "singleton" + before,
        "comment": str(task.folder),
        "output": str(task.folder.absolute() / "log.txt").replace("%", "%%"),
    }
    return [*_common(request.need), *_words(found)]


def array_options(array: slurm_arrays.JobArray, at_once: int) -> list[str]:
    """What `sbatch` is told of many. Each element opens its own log."""
    found = {
        "job-name": slurm_arrays.NAME,
        "array": array.numbers(at_once),
        "output": os.devnull,
    }
    waits = {"dependency": array.dependency} if array.dependency else {}
    return [*_common(array.need), *_words(found | waits)]


def _common(need: Resources) -> list[str]:
    found = {
        "kill-on-invalid-dep": "yes",
        "open-mode": "append",
        "chdir": str(paths.PROJECT),
        "cpus-per-task": need.cpus,
        "mem": f"{need.memory // 2**20}M",
        "time": round(need.seconds / 60),
        "signal": f"B:USR1@{WARNING_S}",
    }
    gpus = [f"--gres=gpu:{need.gpus}"] if need.gpus else []
    return ["--parsable", "--requeue", *_words(found), *gpus]


def _words(values: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items()]


def call(
    words: Sequence[str],
    variables: dict[str, str] | None = None,
    limit_s: float | None = None,
    text: str = "",
) -> str:
    """What a command of Slurm's prints, given a text to read.

    `Refused` with what it says, `SchedulerSilent` without an answer.
    """
    limit_s = limit_s or ANSWER_LIMIT_S
    try:
        done = subprocess.run(
            words,
            env=variables,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
        )
    except FileNotFoundError:
        raise SchedulerSilent(
            f"{words[0]} is not on this machine: start the dashboard where Slurm's commands are, or leave "
            "DD_LAUNCHER out."
        ) from None
    except subprocess.TimeoutExpired:
        raise SchedulerSilent(f"Slurm has not answered within {limit_s:.0f} s.") from None
    if done.returncode == 0:
        return done.stdout
    said = short(" ".join(done.stderr.split()) or f"exit code {done.returncode}")
    silent = "Unable to contact" in said or "Connection refused" in said or "timed out" in said
    raise (SchedulerSilent if silent else Refused)(f"{words[0]} refused: {said}")


def listed(text: str) -> dict[str, JobState]:
    """What `squeue` has printed, by job."""
    found = {}
    for line in text.splitlines():
        parts = line.split("|")
        if len(parts) == 5:
            found[parts[0]] = _state(*parts[1:])
    return found


def _state(state: str, reason: str, start: str, node: str) -> JobState:
    if state in QUEUED:
        word = "Singleton" if "singleton" in reason.lower() else reason.split(",")[0].strip("()")
        told = WAITS.get(word) or f"Slurm says why it waits: {word}."
        return JobState(PENDING, told, _time(start))
    if state in ALIVE:
        return JobState(
            RUNNING, "Slurm has suspended it." if state == "SUSPENDED" else "", node=node
        )
    return _gone(state)


def _gone(state: str) -> JobState:
    if state.startswith("CANCELLED"):
        return JobState(GONE, cancelled=True)
    return JobState(GONE, failure="" if state == "COMPLETED" else ENDS.get(state, state))


def _time(text: str) -> float | None:
    try:
        return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return None


# --- what the site allows -------------------------------------------------------------------------


def fitting(need: Resources) -> Resources:
    """What is asked for in whole minutes and megabytes, no more than the largest job of the partition.

    A task that takes longer is moved on.
    """
    site = limits(_partition())
    return Resources(
        gpus=min(need.gpus, int(site.gpus)),
        cpus=min(need.cpus, site.cpus),
        memory=math.ceil(min(need.memory, site.memory) / 2**20) * 2**20,
        seconds=math.ceil(min(need.seconds, site.seconds) / 60) * 60,
    )


def _partition() -> str:
    words = environment.slurm_options()
    for word, following in zip(words, [*words[1:], ""]):
        if word in ("-p", "--partition"):
            return following
        if word.startswith("--partition="):
            return word.partition("=")[2]
    return os.environ.get("SBATCH_PARTITION", "")


@functools.lru_cache(maxsize=16)
def limits(partition: str) -> Site:
    """Of a partition ("": the default one), as `sinfo` tells them."""
    return site_of(call(["sinfo", "--noheader", "--format=%P|%l|%m|%c|%G"]), partition)


def site_of(text: str, partition: str) -> Site:
    """The limits in what `sinfo` has printed; nodes of several kinds make several lines."""
    found = []
    for line in text.splitlines():
        name, *rest = line.split("|")
        if len(rest) == 4 and (name.rstrip("*") == partition if partition else "*" in name):
            found.append(rest)
    if not found:
        return Site()
    return Site(
        seconds=max(seconds_of(time) for time, *_ in found),
        memory=max(float(memory.rstrip("+")) for _, memory, *_ in found) * 2**20,
        cpus=max(int(cpus.rstrip("+")) for _, _, cpus, _ in found),
        gpus=any("gpu" in gres for *_, gres in found),
    )


def seconds_of(text: str) -> float:
    """Slurm's time, as days-hours:minutes:seconds."""
    days, _, clock = text.rpartition("-")
    try:
        parts = [int(part) for part in clock.split(":")]
    except ValueError:  # infinite
        return math.inf
    if days:  # after a day, hours come first
        parts += [0] * (3 - len(parts))
    parts = [0] * (3 - len(parts)) + parts
    return int(days or 0) * 86400 + parts[0] * 3600 + parts[1] * 60 + parts[2]
