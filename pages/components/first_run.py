"""A run to watch on the Start page: small, of pictures that are always here, from noise to digits."""

from __future__ import annotations

import itertools

from ddcore import jobs
from ddcore.data.lookup import resolve
from ddcore.data.registry import get
from ddcore.methods.spec import DistillSpec, make_spec
from ddcore.store import Store

DATA = "digits"  # bundled: nothing has to be fetched
SETTINGS = (("init", "noise"),)  # so that there is something to see


def spec(store: Store) -> DistillSpec:
    """The one that goes on, else the next that has not been made: a finished one cannot be watched."""
    return next(s for s in map(_seeded, itertools.count()) if not _over(store, s))


def _seeded(seed: int) -> DistillSpec:
    return make_spec("dm", resolve(DATA), get(DATA).shape, seed=seed, settings=SETTINGS)


def _over(store: Store, run: DistillSpec) -> bool:
    return jobs.state(store.task(run))["state"] not in ("missing", *jobs.ACTIVE)
