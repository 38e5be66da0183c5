"""Memory and processor time of a process and all its descendants, as Linux counts them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Usage:
    """The most that any process used: peak memory in MB by role, processor seconds."""

    parent_mb: float = 0.0
    child_mb: float = 0.0
    cpu_s: float = 0.0
    starts: dict[int, float] = field(default_factory=dict)  # processor seconds when first seen

    def look(self, parent: int) -> None:
        """Take the present peaks of a process and its descendants into account."""
        for pid in [parent, *descendants(parent)]:
            before, peak, cpu = command(pid), peak_mb(pid), cpu_seconds(pid)
            if pid == parent:
                self.parent_mb = max(self.parent_mb, peak)
            elif before == command(pid):  # else the peak may be of the program it was
                # Until it starts a program of its own, a child's memory is its parent's.
                own = peak if before != command(parent) else peak - peak_mb(parent)
                self.child_mb = max(self.child_mb, own)
            known = self.starts.setdefault(pid, cpu if pid == parent else 0.0)
            self.cpu_s = max(self.cpu_s, cpu - known)


def reset_peak(pid: int) -> None:
    """Let the peak of a process's memory count from now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mb(pid: int) -> float:
    """VmHWM in MB; 0 for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def command(pid: int) -> bytes:
    """The command line of a process; empty for one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def cpu_seconds(pid: int) -> float:
    """Processor seconds of all threads so far; 0 for a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def descendants(pid: int) -> list[int]:
    """Children, their children and so on."""
    try:
        text = "".join(p.read_text() for p in Path(f"/proc/{pid}/task").glob("*/children"))
    except OSError:
        return []
    children = [int(word) for word in text.split()]
    return [d for child in children for d in (child, *descendants(child))]
