"""One task's work as several tasks, so that devices that are free share it; the first is computed here.

Who asks needs the parts one after the other: what another worker computes is waited for, what none has begun
is computed here, so that nothing ever waits for a device. Parts end where groups of networks do that are
computed together anyway (`training.chunks`), which leaves every number as it is, to the bit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ddcore.base import environment
from ddcore.base.errors import Cancelled, DDError
from ddcore.base.specs import TaskSpec
from ddcore.tasks import jobs, launchers, locks, queue
from ddcore.tasks.launchers.local import BEGUN
from ddcore.tasks.store import Store, Task
from ddcore.tasks.worker import Context
from ddcore.tasks.workplace import Moved


def wanted(context: Context) -> int:
    """Into how many parts: `DD_SPLIT`, or one for this device and for each GPU beside it that is free."""
    if asked := environment.split():
        return asked
    if environment.launched():  # the GPUs beside this one are not its own
        return 1
    return 1 + queue.free_gpus(context.store.root)


def ranges(items: range, together: int, parts: int) -> list[range]:
    """At most so many parts of about the same size, whose borders are those of groups of `together`."""
    groups = -(-len(items) // together)
    parts = max(1, min(parts, groups))
    ends = [min(len(items), (groups * i // parts) * together) for i in range(parts + 1)]
    return [items[first:last] for first, last in pairwise(ends)]


def shared(context: Context, specs: Sequence[TaskSpec], devices: int) -> list[Task]:
    """The finished tasks of `specs`, computed here and by a worker for each further device.

    Stopped by a person, those are stopped too; moved, they go on.
    """
    offered = _offer(context, specs[1:], devices - 1)
    try:
        return [context.need(spec) for spec in specs]
    except Moved:
        raise
    except Cancelled:
        jobs.cancel(*offered)
        raise


def _offer(context: Context, specs: Sequence[TaskSpec], workers: int) -> list[Task]:
    """Others begin at the end, so that they and who computes from the beginning meet."""
    lots = [specs[::-1][i::workers] for i in range(workers)]
    if launchers.chosen():
        lots = [specs]
    try:
        return [t for lot in lots if lot for t in jobs.submit(context.store, lot, len(lot))]
    except DDError as error:  # a node that may hand nothing in, say
        context.note(0, f"Computed in one place: {error}")
        return []


def cost(tasks: Sequence[Task]) -> dict[str, Any]:
    """What computing the parts took, as one task would say it: seconds, and how steps were executed."""
    results = [task.result() for task in tasks]
    found: dict[str, Any] = {
        name: sum(result[name] for result in results) for name in ("seconds", "cpu_seconds")
    }
    ways = [result["execution"] for result in results if "execution" in result]
    return found | ({"execution": ways[0]} if ways else {})


def discard(context: Context, tasks: Sequence[Task]) -> None:
    """Remove parts that have been put together, and those of before that somebody held then.

    A worker that is only just starting, or leaving, still has the folder.
    """
    store = context.store
    kinds = {task.kind for task in tasks}
    old = [task for kind in kinds for task in store.folders(kind) if _is_left(store, task)]
    for task in {*tasks, *old}:
        with contextlib.suppress(DDError), jobs.held(task) as free:
            if free and not task.shipped and not locks.is_held(task.folder / BEGUN):
                store.delete(task)


def _is_left(store: Store, task: Task) -> bool:
    """Whether a part is of no use any more: what it belongs to is there."""
    try:
        whole = getattr(task.spec(), "whole", None)
    except DDError:
        return False
    return isinstance(whole, TaskSpec) and task.is_done() and store.task(whole).is_done()
