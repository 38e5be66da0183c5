"""Ray by the HTTP interface of its jobs; nothing of Ray is imported.

A used name is refused, so names are a lock while the head lives: `dd-KEY-N`, N being the first that is free.
Ray neither moves jobs nor runs them again, and knows no dependencies: a job whose parts are missing computes
them. A job that asks for what no node has waits for ever: so a GPU is asked for only where `DD_DEVICE` names
one, cores and memory up to those of the largest node.
"""

from __future__ import annotations

import json
import shlex
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

from ddcore.base import environment
from ddcore.base.errors import DDError, short
from ddcore.tasks.launchers import local
from ddcore.tasks.launchers.contract import (
    GONE,
    PENDING,
    RUNNING,
    JobState,
    Request,
    SchedulerSilent,
    one_by_one,
)

ANSWER_LIMIT_S = 10.0
SUBMIT_LIMIT_S = 60.0  # the first job of a head that has just started took 12 to 40 s
LATER, AGAIN_S = "try again later", 1.0  # a head says so that has no agent for jobs yet
MOST_TRIES = 1000
PREFIX = "dd-"
# Whom a worker of the head's own environment would ask, and for which places; the rest is the node's.
PASSED = ("PYTHONPATH", "PYTHONUNBUFFERED", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


class Ray:
    """The launcher."""

    name, title = "ray", "Ray"

    def submit(self, request: Request) -> str:
        """A job under the first free name of its key."""
        task, need = request.task, request.need
        largest = self._largest()
        cpus = int(min(need.cpus, largest.get("CPU", need.cpus)))
        memory = int(min(need.memory, largest.get("memory", need.memory)))
        known = self.jobs()
        for number in range(1, MOST_TRIES):
            name = f"{PREFIX}{task.key}-{number}"
            if name in known:
                continue
            document = {
                "entrypoint": "exec " + shlex.join(local.command([task])),
                "submission_id": name,
                "entrypoint_num_cpus": cpus,
                "entrypoint_num_gpus": need.gpus if environment.device() != "auto" else 0,
                "entrypoint_memory": memory,
                "runtime_env": {"env_vars": self._variables(name, cpus)},
                "metadata": {"folder": str(task.folder)},
            }
            self._hand_in(name, document)
            return name
        raise DDError(f"{task.kind} {task.key} has been handed to Ray {MOST_TRIES} times.")

    def _largest(self) -> dict[str, float]:
        """Most cores and bytes of memory that a node has; {} where the head does not say."""
        try:
            status = self._ask("/api/cluster_status")["data"]["clusterStatus"]
            nodes = [node for node, _ in status["loadMetricsReport"]["nodeTypes"]]
            return {name: max(float(n.get(name, 0)) for n in nodes) for name in ("CPU", "memory")}
        except (DDError, KeyError, TypeError, ValueError, AttributeError):
            return {}

    def _hand_in(self, name: str, document: dict[str, Any]) -> None:
        """Ask for it, again while the head is starting; one that is slow to answer may have taken it."""
        end = time.monotonic() + SUBMIT_LIMIT_S
        while True:
            try:
                self._ask("/api/jobs/", document, SUBMIT_LIMIT_S)
                return
            except SchedulerSilent:
                if name not in self.jobs():
                    raise
                return
            except DDError as error:
                if LATER not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(AGAIN_S)

    def submit_array(
        self, requests: Sequence[Request], at_once: int
    ) -> Iterator[tuple[Request, str]]:
        """A job for each: Ray runs as many as it has room for."""
        return one_by_one(self, requests)

    def _variables(self, name: str, cpus: int) -> dict[str, str]:
        known = local.variables()
        chosen = {n: v for n, v in known.items() if n in PASSED or n.startswith("DD_")}
        return chosen | {"DD_LAUNCHED": self.name, "DD_RAY_JOB": name, "DD_RAY_CPUS": str(cpus)}

    def jobs(self) -> dict[str, JobState]:
        """Every job that was handed in from here."""
        found = self._ask("/api/jobs/")
        named = {str(job.get("submission_id")): job for job in found if isinstance(job, dict)}
        return {name: _state(job) for name, job in named.items() if name.startswith(PREFIX)}

    def ended(self, job: str) -> JobState:
        """A head that was started anew knows nothing of jobs before."""
        return JobState(GONE, failure="Ray no longer knows its job")

    def cancel(self, jobs: Sequence[str], at_once: bool) -> None:
        """Ray tells processes to stop, and kills them soon after (the head's `RAY_JOB_STOP_WAIT_TIME_S`)."""
        for job in jobs:
            self._ask(f"/api/jobs/{job}/stop", {}, SUBMIT_LIMIT_S)

    def _ask(
        self, path: str, document: dict[str, Any] | None = None, limit_s: float | None = None
    ) -> Any:
        """What the head answers, as JSON; `SchedulerSilent` without one, `DDError` for a refusal."""
        address = environment.ray_address()
        data = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(address + path, data, headers)
        try:
            with urllib.request.urlopen(asked, timeout=limit_s or ANSWER_LIMIT_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace").strip().splitlines()
            raise DDError(f"Ray refused: {short(said[-1] if said else str(error))}") from None
        except (OSError, ValueError) as error:
            raise SchedulerSilent(f"Ray does not answer at {address} ({error}).") from None


def _state(job: dict[str, Any]) -> JobState:
    state, said = job.get("status"), short(" ".join(str(job.get("message") or "").split()))
    if state == "PENDING":
        return JobState(PENDING, "It waits for free resources.")
    if state == "RUNNING":
        return JobState(RUNNING, node=_node(job))
    if state == "STOPPED":
        return JobState(GONE, cancelled=True)
    return JobState(GONE, failure="" if state == "SUCCEEDED" else f"Ray says: {said or state}")


def _node(job: dict[str, Any]) -> str:
    """The address of the node that a job's process is on; "" where the head does not say."""
    found = urllib.parse.urlsplit(str(job.get("driver_agent_http_address") or "")).hostname
    return found or str((job.get("driver_info") or {}).get("node_ip_address", ""))
