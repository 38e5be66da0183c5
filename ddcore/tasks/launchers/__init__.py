"""Who starts workers: this machine, or the scheduler of a cluster that `DD_LAUNCHER` names."""

from __future__ import annotations

import functools

from ddcore.base import environment
from ddcore.tasks.launchers.contract import Launcher


def chosen() -> Launcher | None:
    """The scheduler that new tasks go to; None where this machine computes them itself."""
    name = environment.launcher()
    return None if name == environment.LOCAL else named(name)


@functools.cache
def named(name: str) -> Launcher:
    """A scheduler by its name, one of `environment.LAUNCHERS` but for the local one."""
    if name == "slurm":
        from ddcore.tasks.launchers.slurm import Slurm

        return Slurm()
    if name == "ray":
        from ddcore.tasks.launchers.ray import Ray

        return Ray()
    raise ValueError(name)
