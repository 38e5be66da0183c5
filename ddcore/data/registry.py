"""The known datasets: every module of `ddcore.data.sources`, found by looking."""

from __future__ import annotations

from ddcore.base.registry import Registry
from ddcore.data.sources._source import Source

OWN = ("folder", "parquet")  # names a spec uses for the user's own files

DATASETS: Registry[Source] = Registry(
    "name",
    "ddcore.data.sources",
    "SOURCE",
    # digits first: it needs no files, so it is what everything starts with.
    order=lambda source: (source.name != "digits", source.name),
)
datasets, get = DATASETS.all, DATASETS.get


def mirrored(name: str) -> bool:
    """Whether a mirror image still shows the same class, as the source declares; own files are taken to."""
    return name in OWN or get(name).flips
