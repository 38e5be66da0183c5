"""What a job asks for: twice what the task's estimate says, within what is known to be sensible."""

from __future__ import annotations

import contextlib
import importlib
import os

from ddcore.base import environment
from ddcore.base.errors import DDError
from ddcore.base.specs import TaskSpec
from ddcore.tasks.launchers.contract import Resources
from ddcore.tasks.store import Store

TIMES = 2.0  # an estimate may be that much too small
START_S = 300.0  # until a node has read Python and the data from a file server
LEAST_BYTES = 4 << 30
UNKNOWN_S, UNKNOWN_BYTES = 2 * 3600.0, 8 << 30  # where nothing estimates a kind of task
CPUS = 4


def of(spec: TaskSpec, store: Store) -> Resources:
    """From the task's own estimate (`TaskSpec.ESTIMATE`); the site's limits are the scheduler's matter."""
    seconds, memory = estimated(spec, store)
    return Resources(
        gpus=0 if environment.device() == "cpu" else 1,
        cpus=environment.threads() if os.environ.get("DD_THREADS") else CPUS,
        memory=int(max(TIMES * memory, LEAST_BYTES)),
        seconds=TIMES * seconds + START_S,
    )


def estimated(spec: TaskSpec, store: Store) -> tuple[float, float]:
    """Seconds and bytes; what cannot be estimated yet, such as for data that nobody has read, is large."""
    module, _, function = spec.ESTIMATE.partition(":")
    if module:
        with contextlib.suppress(DDError):
            guess = getattr(importlib.import_module(module), function)(spec, store)
            return guess.seconds, guess.memory
    return UNKNOWN_S, UNKNOWN_BYTES
