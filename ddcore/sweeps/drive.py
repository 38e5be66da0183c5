"""Who computes the cells: one worker for each, some at once, until all have ended one way or another."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ddcore.base.errors import DDError, NotReady
from ddcore.sweeps import cells as of_cells
from ddcore.sweeps.cells import CellState, SweepCell
from ddcore.tasks import jobs, launchers, queue
from ddcore.tasks.records import ACTIVE
from ddcore.tasks.store import Store

POLL_S = 0.1
FAR_POLL_S, FAR_AT_ONCE = 2.0, 100  # where a scheduler computes, which keeps a queue of its own
EACH_S = 0.025  # a look at a cell takes 0.2 ms of a core, which is less than 1 % then
HANDED_IN = 500  # cells; sites limit how many jobs a person may have, often to a thousand


@dataclass
class Sitting:
    """What became of the cells of a sweep in one sitting."""

    done: list[SweepCell] = field(default_factory=list)
    failed: dict[SweepCell, str] = field(default_factory=dict)


def usual_at_once() -> int:
    """As many as can compute, and one that is ready to follow; more where a scheduler keeps the queue."""
    if launchers.chosen():
        return FAR_AT_ONCE
    return len(queue.slot_names("compute")) + 1


def work_through(
    store: Store,
    cells: Sequence[SweepCell],
    at_once: int,
    say: Callable[[str], None] = lambda text: None,
    on_end: Callable[[SweepCell], None] = lambda cell: None,
) -> Sitting:
    """Compute what is missing, `at_once` workers at a time; a cell that fails stops no other.

    A scheduler is handed many cells at a time, and keeps `at_once` of those that ask for the same at work.

    What others have begun is waited for. Interrupted, it asks the running ones to stop, which leaves their
    checkpoints, and `KeyboardInterrupt` goes on; killed, they end by themselves and are found next time.
    """
    sitting = Sitting()
    waiting = [cell for cell in cells if cell.run]
    running: list[SweepCell] = []
    try:
        while waiting or running:
            if launchers.chosen():
                if len(running) <= HANDED_IN // 2:
                    room = HANDED_IN - len(running)
                    _hand_in(store, waiting[:room], at_once, running, sitting, on_end)
                    del waiting[:room]
            else:
                while waiting and len(running) < at_once:
                    _begin(store, waiting.pop(0), running, sitting, on_end)
            for cell in list(running):
                now = of_cells.state(store, cell)
                if now.state not in ACTIVE:
                    running.remove(cell)
                    _end(cell, now, sitting, say, on_end)
            if running:
                least = FAR_POLL_S if launchers.chosen() else POLL_S
                time.sleep(max(least, EACH_S * len(running)))
    except KeyboardInterrupt:
        stop(store, running)
        raise
    return sitting


def stop(store: Store, running: Sequence[SweepCell]) -> None:
    """Ask every task of these to stop, and wait until they have."""
    tasks = [store.task(spec) for cell in running for spec in cell.chain()]
    jobs.cancel(*tasks)
    for task in tasks:
        jobs.wait(task)


def _hand_in(
    store: Store,
    cells: Sequence[SweepCell],
    at_once: int,
    running: list[SweepCell],
    sitting: Sitting,
    on_end: Callable[[SweepCell], None],
) -> None:
    """Many cells to a scheduler in as few jobs as it can: it keeps `at_once` of each of them at work."""
    missing = [cell for cell in cells if of_cells.state(store, cell).state != "done"]
    refused: DDError | None = None
    try:
        jobs.submit(store, [spec for cell in missing for spec in cell.chain()], at_once)
    except NotReady:  # one is just stopping: it must keep no other
        pass
    except DDError as error:
        refused = error
    for cell in cells:
        if of_cells.state(store, cell).state in ACTIVE:
            running.append(cell)
        elif refused and cell in missing:
            sitting.failed[cell] = str(refused)
            on_end(cell)
        else:
            _begin(store, cell, running, sitting, on_end)


def _begin(
    store: Store,
    cell: SweepCell,
    running: list[SweepCell],
    sitting: Sitting,
    on_end: Callable[[SweepCell], None],
) -> None:
    if of_cells.state(store, cell).state == "done":
        sitting.done.append(cell)
        on_end(cell)
        return
    try:
        jobs.submit(store, cell.chain())
    except DDError as error:  # deleted or stopping just now, or refused by a scheduler
        sitting.failed[cell] = str(error)
        on_end(cell)
        return
    running.append(cell)


def _end(
    cell: SweepCell,
    now: CellState,
    sitting: Sitting,
    say: Callable[[str], None],
    on_end: Callable[[SweepCell], None],
) -> None:
    if now.state == "done":
        sitting.done.append(cell)
    else:
        sitting.failed[cell] = now.message or now.state
        told = ", ".join(value for _, value in cell.place)
        say(f"{told}: {now.state}: {sitting.failed[cell]}")
    on_end(cell)
