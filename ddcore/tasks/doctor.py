"""Whether this machine, its store and the nodes of a cluster fit together, and what to do if they do not."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddcore.base import environment
from ddcore.base.errors import DDError, refused_by_system
from ddcore.base.texts import duration, size
from ddcore.tasks import clocks, launchers, locks, queue
from ddcore.tasks.files import write_json
from ddcore.tasks.launchers import local, slurm

LEAST_FREE = 5 << 30
MOST_SKEW_S = 5.0
NODE_LIMIT_S = 120.0  # how long a free node is waited for
SHARED = ("nfs", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb", "fuse", "9p", "afs")
COMPILERS = ("g++", "clang++")


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it is as it has to be, what was found, and what to do if it is not."""

    what: str
    good: bool
    said: str
    cure: str = ""


def here(root: Path) -> list[Finding]:
    """This machine and the store at `root`."""
    return [_store(root), _locks(root), _clock(root), _gpu(), _compiler()]


def _store(root: Path) -> Finding:
    probe = root / f".doctor.{socket.gethostname()}.{os.getpid()}"
    try:
        write_json(probe, {})
        probe.unlink()
        free = shutil.disk_usage(root).free
    except OSError as error:
        return Finding("store", False, refused_by_system(error), "Name another folder in DD_CACHE.")
    said = f"{root} can be written; {size(free)} are free."
    cure = "" if free >= LEAST_FREE else "Make room: ddx prune, or another folder in DD_CACHE."
    return Finding("store", not cure, said, cure)


def _locks(root: Path) -> Finding:
    kind = file_system(root)
    shared = kind.startswith(SHARED)
    path = root / "slots" / f"doctor.{os.getpid()}.lock"
    try:
        with locks.holding(path) as got:
            works = got and locks.is_held(path)
    except (DDError, OSError):
        works = False
    with contextlib.suppress(OSError):
        path.unlink()
    if not works:
        cure = "Mount it with locks (Lustre: -o flock), or keep the store elsewhere (DD_CACHE)."
        return Finding("locks", False, f"File locks do not work on {kind}.", cure)
    said = f"File locks work on {kind}."
    if shared:
        said += " Between machines leases decide, since such locks may be granted twice."
    return Finding("locks", True, said)


def file_system(path: Path) -> str:
    """The kind of file system that a path is on, as `mount` names it; "?" where that is not known."""
    there = next((p for p in (path, *path.parents) if p.exists()), path).resolve()
    best, kind = -1, "?"
    with contextlib.suppress(OSError):
        for line in Path("/proc/mounts").read_text().splitlines():
            _, place, found = line.split()[:3]
            place = place.replace("\\040", " ")
            if there.is_relative_to(place) and len(place) >= best:
                best, kind = len(place), found
    return kind


def _clock(root: Path) -> Finding:
    lead = clocks.measure(root)
    if abs(lead) < MOST_SKEW_S:
        return Finding("clock", True, f"This machine and the store's server agree to {_s(lead)}.")
    said = f"The store's server is {_s(lead)} {'ahead' if lead > 0 else 'behind'}."
    return Finding("clock", False, said, "Times that are shown will be off: let NTP set the clock.")


def _s(seconds: float) -> str:
    return f"{abs(seconds):.1f} s" if abs(seconds) < 60 else duration(abs(seconds))


def _gpu() -> Finding:
    found = [name for name in queue.devices() if name != "cpu"]
    if found:
        return Finding("GPU", True, f"{', '.join(found)} compute here.")
    driver = shutil.which("nvidia-smi") is not None
    cure = "A driver is there: see DD_DEVICE and CUDA_VISIBLE_DEVICES." if driver else ""
    return Finding("GPU", not driver, "None is used here: the CPU computes.", cure)


def _compiler() -> Finding:
    found = next((name for name in COMPILERS if shutil.which(name)), None)
    if found or environment.compiling() == "0":
        return Finding("compiler", True, f"{found or 'None'} compiles steps of long runs.")
    cure = "Install g++, or set DD_COMPILE=0: long runs go on without, more slowly."
    return Finding("compiler", False, "There is none.", cure)


# --- nodes ----------------------------------------------------------------------------------------


def scheduler(root: Path) -> list[Finding]:
    """The scheduler that `DD_LAUNCHER` names, and one of its nodes; nothing where there is none."""
    found = launchers.chosen()
    if not found:
        return []
    try:
        jobs = found.jobs()
    except DDError as error:
        return [
            Finding(found.title, False, str(error), "Ask who runs it, or leave DD_LAUNCHER out.")
        ]
    said = f"It answers and knows {len(jobs)} {'job' if len(jobs) == 1 else 'jobs'} of yours."
    return [Finding(found.title, True, said), *(_node(root) if found.name == "slurm" else [])]


def _node(root: Path) -> list[Finding]:
    """What a node sees: asked by one short job, which is waited for."""
    with probing(root) as (probe, lock):
        words = ["srun", "--nodes=1", "--ntasks=1", "--time=5", "--mem=1000", "--quiet"]
        words += [
            *environment.slurm_options(),
            sys.executable,
            "-m",
            "ddcore",
            "doctor",
            "--seen",
            str(probe),
        ]
        try:
            text = slurm.call(words, local.variables(), NODE_LIMIT_S)
            seen = json.loads(text.strip().splitlines()[-1])
        except (DDError, ValueError, IndexError) as error:
            return [_unseen(str(error), root)]
        return _judged(seen, lock)


def _unseen(said: str, root: Path) -> Finding:
    cure = (
        f"A node must run {sys.executable} and see {root}: put both on a file system that nodes share, and "
        "what your site asks for (partition, account) into DD_SLURM."
    )
    return Finding("node", False, said, cure)


@contextlib.contextmanager
def probing(root: Path) -> Iterator[tuple[Path, Path]]:
    """A file that a node is to find, and a lock beside it that is held here meanwhile."""
    name = f".doctor.{socket.gethostname()}.{secrets.token_hex(4)}"
    probe, lock = root / "slots" / name, root / "slots" / f"{name}.lock"
    write_json(probe, {"by": socket.gethostname()})
    with locks.holding(lock):
        yield probe, lock
    for path in (probe, lock):
        with contextlib.suppress(OSError):
            path.unlink()


def seen(probe: Path) -> dict[str, Any]:
    """What is seen of the probe from where this runs; for the process on the node."""
    root = probe.parent.parent
    return {
        "node": socket.gethostname(),
        "visible": probe.exists(),
        "lead": clocks.measure(root),
        "time": time.time(),
        "held": locks.is_held(probe.with_name(f"{probe.name}.lock")),
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        "compiler": next((name for name in COMPILERS if shutil.which(name)), ""),
    }


def _judged(seen: dict[str, Any], lock: Path) -> list[Finding]:
    node = f"node {seen['node']}"
    if not seen["visible"]:
        cure = "Put the store on a file system that nodes share, and name it in DD_CACHE."
        return [Finding(node, False, f"It does not see {lock.parent.parent}.", cure)]
    found = [Finding(node, True, "It sees the store and can write there.")]
    skew = seen["lead"]
    cure = (
        ""
        if abs(skew) < MOST_SKEW_S
        else "Nothing breaks: times are the file server's. Tell who runs it."
    )
    found.append(
        Finding(f"{node}: clock", not cure, f"It is {_s(skew)} off the file server's.", cure)
    )
    held = "are seen there" if seen["held"] else "are not seen there: leases decide who computes"
    found.append(Finding(f"{node}: locks", True, f"Locks of this machine {held}."))
    gpus = f"CUDA_VISIBLE_DEVICES={seen['gpus']}." if seen["gpus"] else "None was given."
    found.append(Finding(f"{node}: GPU", True, gpus))
    cure = "" if seen["compiler"] else "Load a compiler's module, or set DD_COMPILE=0."
    found.append(Finding(f"{node}: compiler", not cure, seen["compiler"] or "There is none.", cure))
    return found
