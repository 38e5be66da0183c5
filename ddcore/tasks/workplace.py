"""Where a worker computes, and who may ask it to leave."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ddcore.base.errors import Cancelled


class Moved(Cancelled):
    """A scheduler wants the place for somebody else: a checkpoint is written and the task queued again."""


class Workplace:
    """Where a worker computes: what its status says of it, who may ask it to leave. Here nobody does."""

    facts: Mapping[str, Any] = MappingProxyType({})

    def check(self) -> None:
        """Raise `Moved` when the worker has to leave."""

    def progressed(self) -> None:
        """Something was kept that a next life need not compute again."""


HERE = Workplace()
