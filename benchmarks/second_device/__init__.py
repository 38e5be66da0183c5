"""A second device for machines without a graphics card: see device.cpp.

What runs on it has all its tensors where a graphics card would need them, and its operations and waits
are counted. It says nothing about seconds.
"""

from __future__ import annotations

import shutil
import types
from pathlib import Path

import torch

DEVICE = "second:0"
# Calls for which the program waits until a graphics card has done all that was asked of it.
ITEM = "aten::_local_scalar_dense"  # a copy, not an operation
WAITS = (
    "to_device",  # a plain copy; one that is `non_blocking` is counted as to_device_ahead
    "to_host",
    ITEM,
    "aten::_unique2",
    "aten::bincount",
    "aten::equal",
    "aten::masked_select",
    "aten::nonzero",
)


def can_be_built() -> bool:
    """Whether there is what it takes."""
    return bool(shutil.which("ninja") and (shutil.which("c++") or shutil.which("g++")))


def load() -> None:
    """Build it (some 20 seconds, once per machine) and tell torch of it."""
    from torch.utils import cpp_extension

    if hasattr(torch, "second"):
        return
    source = Path(__file__).with_name("device.cpp")
    cpp_extension.load("second_device", [str(source)], extra_cflags=["-O0"], is_python_module=False)
    torch._register_device_module(
        "second",
        types.SimpleNamespace(
            is_available=lambda: True,
            is_initialized=lambda: True,
            _is_in_bad_fork=lambda: False,
            current_device=lambda: 0,
            device_count=lambda: 1,
            manual_seed_all=lambda seed: None,
            synchronize=lambda *_: None,
        ),
    )


def counts() -> dict[str, int]:
    """Operations since the last call by name, copies in both directions, and their bytes."""
    lines = torch.ops.second_device.counts().splitlines()
    return {name: int(times) for name, times in (line.split() for line in lines)}


def operations(counted: dict[str, int]) -> int:
    """How many operations were started."""
    return sum(n for name, n in counted.items() if name.startswith("aten::") and name != ITEM)


def waits(counted: dict[str, int]) -> int:
    """How often a graphics card would have been awaited."""
    return sum(counted.get(name, 0) for name in WAITS)
