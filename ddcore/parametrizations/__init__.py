"""How stored numbers become images. Adding one is adding a file here that defines `PARAMETRIZATION`.

What happens at run time is in `decoder` and in modules that begin with "_": they need torch, so they are
imported by a parametrization's `build` only.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil

from ddcore.errors import SpecError
from ddcore.parametrizations.base import Knobs, Parametrization

__all__ = ["Knobs", "Parametrization", "parametrization", "parametrizations"]

RUN_TIME = ("decoder", "_")  # modules whose name begins so need torch: they are not looked at


@functools.cache
def parametrizations() -> dict[str, Parametrization]:
    """All parametrizations by name, plain pixels first."""
    found = {}
    for name in (info.name for info in pkgutil.iter_modules(__path__)):
        if name.startswith(RUN_TIME):
            continue
        module = importlib.import_module(f"{__name__}.{name}")
        if hasattr(module, "PARAMETRIZATION"):
            found[module.PARAMETRIZATION.name] = module.PARAMETRIZATION
    return dict(sorted(found.items(), key=lambda item: (item[0] != "pixels", item[0])))


def parametrization(name: str) -> Parametrization:
    """The parametrization of that name; an unknown name lists the known ones."""
    if name not in parametrizations():
        raise SpecError("parametrization", name, "one of " + ", ".join(parametrizations()))
    return parametrizations()[name]
