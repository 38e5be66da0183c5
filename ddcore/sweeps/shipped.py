"""The sweep of the shipped digits runs, which the page Sweeps opens on before there is another."""

from __future__ import annotations

from pathlib import Path

from ddcore.base import paths
from ddcore.data import resolve
from ddcore.distil.contract import methods
from ddcore.distil.settings import make_spec
from ddcore.recipes import gallery
from ddcore.sweeps import axes, file
from ddcore.sweeps.axes import Axes
from ddcore.tasks.store import Store

NAME = "digits"


def overview() -> Axes:
    """The methods whose own settings are shipped at every size."""
    shipped, digits = {run.key for run in gallery.runs()}, resolve("digits")
    everywhere = [
        name
        for name in methods()
        if all(
            make_spec(name, digits, gallery.SHAPE, ipc=ipc).key in shipped for ipc in gallery.SIZES
        )
    ]
    return axes.make(method=everywhere, dataset=["digits"], ipc=map(str, gallery.SIZES))


def keep(target: Path = paths.GALLERY) -> None:
    """Write it down in the gallery, unless it is there as it should be."""
    store, wanted = Store(target, gallery=None), overview()
    if NAME not in file.names(store) or file.read(store, NAME).axes != wanted:
        file.keep(store, NAME, wanted, replace=True)
