"""Plug-ins, found by looking: a file that defines the right name is one, and no list has to be edited."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from ddcore.base.errors import SpecError


class Named(Protocol):
    """What every plug-in has."""

    @property
    def name(self) -> str:
        """By which it is asked for."""


Plugin = TypeVar("Plugin", bound=Named)


class Registry(Generic[Plugin]):
    """What the modules of some packages define as `attribute`, by its `name`.

    `what` says in messages what is looked for. Modules whose names begin with "_" are not imported: they
    belong to plug-ins, and may need torch. Others without the attribute are none. `order` sorts them.
    """

    def __init__(
        self,
        what: str,
        packages: str | tuple[str, ...],
        attribute: str,
        order: Callable[[Plugin], Any] = lambda plugin: plugin.name,
    ) -> None:
        self.what, self.attribute, self.order = what, attribute, order
        self.packages = (packages,) if isinstance(packages, str) else packages

    @functools.cached_property
    def _found(self) -> dict[str, Plugin]:
        found = []
        for name in self.packages:
            package = importlib.import_module(name)
            for info in pkgutil.iter_modules(package.__path__):
                if not info.name.startswith("_"):
                    module = importlib.import_module(f"{name}.{info.name}")
                    found += [p] if (p := getattr(module, self.attribute, None)) else []
        return {plugin.name: plugin for plugin in sorted(found, key=self.order)}

    def all(self) -> dict[str, Plugin]:
        """All by name, in their order."""
        return dict(self._found)

    def get(self, name: str) -> Plugin:
        """The one of that name; `SpecError` lists the known ones."""
        if name not in self._found:
            raise SpecError(self.what, name, "one of " + ", ".join(self._found))
        return self._found[name]


def late(path: str) -> Callable[..., Any]:
    """The function "module:function", imported when it is called: a declaration stays free of torch."""
    module, _, function = path.partition(":")

    def call(*arguments: Any) -> Any:
        return getattr(importlib.import_module(module), function)(*arguments)

    return call
