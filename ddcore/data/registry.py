"""The known datasets: every module of `ddcore.data.sources`, found by looking."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from ddcore.data import sources
from ddcore.data.sources._base import Source
from ddcore.errors import SpecError

OWN = ("folder", "parquet")  # names a spec uses for the user's own files


@functools.cache
def _found() -> dict[str, Source]:
    found = {}
    for module in pkgutil.iter_modules(sources.__path__):
        if not module.name.startswith("_"):
            source = importlib.import_module(f"{sources.__name__}.{module.name}").SOURCE
            found[source.name] = source
    # digits first: it needs no files, so it is what everything starts with.
    return {name: found[name] for name in sorted(found, key=lambda n: (n != "digits", n))}


def datasets() -> dict[str, Source]:
    """Every registered dataset by name; digits first, then by alphabet."""
    return dict(_found())


def mirrored(name: str) -> bool:
    """Whether a mirror image still shows the same class, as the source declares; own files are taken to."""
    return name in OWN or get(name).flips


def get(name: str) -> Source:
    """The dataset called `name`; `SpecError` lists the known ones."""
    if name not in _found():
        raise SpecError("name", name, "one of " + ", ".join(_found()))
    return _found()[name]
