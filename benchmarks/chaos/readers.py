"""Everything that pages and commands read of a task folder, as values that can be compared.

Each reader gives a text that stands for its value, `Refused` (one sentence, no number) or `Traceback`.
"""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ddcore.base.errors import DDError
from ddcore.sets.distilled import KINDS, DistilledSet
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task

TIME = "seconds"  # fields whose names end so are all that may differ between equal runs
# Files that tell of a computation, and are no part of its result.
ABOUT = ("status.json", "done.json", "log.txt", "events.jsonl", "cancel", "operations")


class Refused(str):
    """A reader said in one sentence that it cannot give a value."""


class Traceback(str):
    """A reader failed in a way nobody planned."""


def timeless(value: Any) -> Any:
    """JSON without the fields that hold seconds."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if not k.endswith(TIME)}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def digest(value: Any) -> str:
    """A text that is the same for the same bits."""
    if isinstance(value, dict) and any(isinstance(v, np.ndarray) for v in value.values()):
        parts = [f"{k} {v.dtype} {v.shape} {_sha(v.tobytes())}" for k, v in sorted(value.items())]
        return _sha("\n".join(parts).encode())
    return _sha(json.dumps(timeless(value), sort_keys=True).encode())


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def contents(folder: Path) -> dict[str, str]:
    """Digests of the result files of a folder, read without the program's own readers."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if not path.is_file() or hidden or name in ABOUT or name.startswith("checkpoint/"):
            continue
        if path.suffix == ".json":
            found[name] = digest(json.loads(path.read_bytes()))
        else:
            found[name] = _sha(path.read_bytes())
    return found


def results(root: Path) -> dict[str, dict[str, str]]:
    """Of every finished folder "kind/key" its `contents`."""
    return {
        f"{done.parent.parent.name}/{done.parent.name}": contents(done.parent)
        for done in sorted(root.glob("*/*/done.json"))
    }


def read(reader: Callable[[], Any]) -> str:
    """A reader's value as a text, or why there is none."""
    try:
        return digest(reader())
    except DDError as error:
        return Refused(error)
    except Exception:
        return Traceback(traceback.format_exc(limit=-3))


def values(task: Task) -> dict[str, str]:
    """What every reader gives for a folder. Tells: state, title, events, log; numbers: the others."""
    found = {
        "state": read(lambda: jobs.state(task)["state"]),
        "spec": read(lambda: task.spec().to_dict()),
        "document": read(task.document),
        "events": read(task.events),
        "log": read(task.log),
        "size": read(lambda: task.bytes_on_disk() > 0),
        "snapshots": read(task.snapshot_steps),
        "result": read(task.result),
    }
    for path in sorted(task.folder.glob("*.safetensors")):
        found[f"arrays {path.stem}"] = read(lambda name=path.stem: task.arrays(name))
    try:
        steps = task.snapshot_steps()
    except Exception:
        steps = []  # noted above
    for step in steps:
        found[f"snapshot {step}"] = read(lambda step=step: task.snapshot(step))
    if task.kind in KINDS:
        found["set"] = read(lambda: DistilledSet.from_task(task).to_arrays()[0])
    return found


def listing(store: Store) -> dict[str, str]:
    """What the list of all tasks gives: a state for every key."""
    return {f"{t.kind}/{t.key}": jobs.state(t)["state"] for t in store.tasks()}
