"""Readers that take too much, crash or chatter: run in processes of their own by tests, so no torch here."""

import os

from ddcore.base.errors import SpecError


def fill(request, folder, progress):
    """Take memory until there is none."""
    return len([bytearray(10 << 20) for _ in range(100)])


def spin(request, folder, progress):
    """Never end."""
    while True:
        pass


def crash(request, folder, progress):
    """End as a broken library does."""
    os.abort()


def write(request, folder, progress):
    """Fill the disk."""
    with open(folder / "x", "wb") as file:
        for _ in range(100):
            file.write(bytes(1 << 20))


def refuse(request, folder, progress):
    """An error that has fields."""
    progress(1, 2)
    raise SpecError("scale", request["value"], "another")


def chatter(request, folder, progress):
    """Print as libraries do, and tell a great deal."""
    print("not an answer")
    return "x" * request["length"]


def stumble(request, folder, progress):
    """Fail over something unforeseen."""
    return {}["shape"]


def allocate(request, folder, progress):
    """Say as torch does that there is no memory."""
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
