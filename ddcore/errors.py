"""Errors a person can act on. Everything the product raises on purpose derives from `DDError`."""

from __future__ import annotations

import errno

MAX_SHOWN = 300  # letters of a value in a message
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


class DDError(Exception):
    """Base of all expected errors: the message is one sentence for the user."""


class SpecError(DDError, ValueError):
    """A field of a spec has a value that is not allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        super().__init__(f"{field} = {short(repr(value))} is not allowed: expected {allowed}.")

    def __reduce__(self) -> tuple:
        return (type(self), (self.field, self.value, self.allowed))


class DataError(DDError):
    """A dataset is missing, damaged or not of a kind we can use."""


class Damaged(DDError):
    """A stored file does not hold what its manifest says."""


class NotReady(DDError):
    """A result was asked for that has not been computed yet."""


class Cancelled(DDError):
    """The task was asked to stop; its checkpoint is on disk."""


class Diverged(DDError):
    """The loss stayed non-finite after the runner's recovery attempts."""

    def __init__(self, step: int, loss: float) -> None:
        self.step, self.loss = step, loss
        super().__init__(
            f"The run diverged at step {step} (loss {loss}) even after halving the learning rate "
            "twice: choose a smaller learning rate."
        )

    def __reduce__(self) -> tuple:
        return (type(self), (self.step, self.loss))


def short(text: str) -> str:
    """A text for a sentence: what came from a link or a file may be of any length."""
    return (
        text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN // 2]} ... ({len(text):,} letters)"
    )


def refused_by_system(error: OSError) -> str:
    """One sentence for what the operating system refused: a full disk, a store that is read-only."""
    place = short(str(error.filename)) if error.filename else ""
    reason = error.strerror or str(error)
    if error.errno in NO_SPACE:
        what = f"{place} cannot be written" if place else "nothing can be written"
        return f"The disk is full, {what}: free some space, or set DD_CACHE to another place."
    if error.errno in NOT_ALLOWED:
        what = place or "A file"
        return f"{what} cannot be used ({reason}): change its permissions, or set DD_CACHE to another place."
    return f"{place} cannot be used ({reason})." if place else f"The system refused: {reason}."
