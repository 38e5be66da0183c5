"""The published methods. Adding one is adding a file here that defines `METHOD`."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from ddcore.errors import SpecError
from ddcore.methods.base import Method, Params

__all__ = ["Method", "Params", "method", "methods"]


@functools.cache
def methods() -> dict[str, Method]:
    """All methods by name."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "METHOD"):
            found[module.METHOD.name] = module.METHOD
    return dict(sorted(found.items()))


def method(name: str) -> Method:
    """The method of that name; an unknown name lists the known ones."""
    if name not in methods():
        raise SpecError("method", name, "one of " + ", ".join(methods()))
    return methods()[name]
