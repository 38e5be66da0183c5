"""Errors a person can act on. Everything the product raises on purpose derives from `DDError`."""

from __future__ import annotations

import errno

MAX_SHOWN = 300  # letters of a value in a message


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
    """A stored file does not hold what its manifest says, or is not what it has to be."""


class Outdated(Damaged):
    """A stored result is whole, but another version made it: it does not say what this one asks of it."""


class StoreUnusable(DDError, OSError):
    """A file could not be written: the disk is full, read-only, or the store's path is no folder."""

    def __init__(self, path: object, error: OSError) -> None:
        self.path, self.error = path, error
        super().__init__(_refusal(f"{path} cannot be written", error))
        self.errno = error.errno

    def __reduce__(self) -> tuple:
        return (type(self), (self.path, self.error))


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
    if isinstance(error, DDError):
        return str(error)
    return _refusal(f"{short(str(error.filename or 'A file'))} cannot be used", error)


def _refusal(what: str, error: OSError) -> str:
    return f"{what} ({error.strerror or error}): {_remedy(error)}."


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room on the disk, or choose a place on another one (DD_CACHE moves the store)"
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        return (
            "a file is where a folder should be, or a folder where a file; see what DD_CACHE names"
        )
    return "choose a place that you may write to (DD_CACHE moves the store)"
