"""What both sides of `official.py` share: the setting, and how an iteration is timed and counted."""

from __future__ import annotations

import contextlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CLASSES, SHAPE = 10, (3, 32, 32)
STRATEGY = "color_crop_cutout_flip_scale_rotate"
BATCH = 256  # of the networks' training, in all official scripts
COUNTING = "second"  # the device on which operations are counted, in place of seconds
MOVE = 0.01  # standard deviation of a weight's move in an expert's epoch


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One comparison: what is run, at which sizes, how often. `repository` is empty for our side."""

    name: str
    device: str  # cpu, cuda or COUNTING
    width: int
    ipc: int
    real_batch: int
    train: int
    test: int
    matches: int
    inner_epochs: int
    inner_steps: int
    expert_epochs: int
    max_start: int
    epochs: int
    nets: int
    iterations: int
    repository: str = ""
    compiled: bool = False  # our side
    precision: str = "float32"  # of our side's training

    @classmethod
    def read(cls) -> Setting:
        """From the command line of a side's process."""
        return cls(**json.loads(sys.argv[1]))

    def text(self) -> str:
        """For `read`."""
        return json.dumps(asdict(self))

    @property
    def images(self) -> int:
        """Synthetic images."""
        return CLASSES * self.ipc

    @property
    def batches(self) -> int:
        """Minibatches in an epoch of all real images."""
        return -(-self.train // BATCH)


class Enough(BaseException):
    """Enough was measured: leaves a script from inside, past its `except Exception`."""


class Marks:
    """Times of ends of iterations; the first one is warm-up, `Enough` is raised at the last.

    An iteration is `every` calls and counts as `parts` units (matching steps, experts). Seconds are CPU
    time on the CPU, that of finished child processes included: other programs change it little.
    Images are counted at the networks' first convolution, once for each network that sees them; where steps
    are compiled they are not.
    """

    def __init__(
        self, setting: Setting, wanted: int, *, every: int = 1, parts: int | None = None
    ) -> None:
        import torch

        self.device, self.wanted = setting.device, wanted
        self.every, self.parts = every, every if parts is None else parts
        self.calls, self.images = 0, 0
        self.times: list[float] = []
        self.waits = 0
        self.counts: list[int] = []
        torch.optim.SGD([torch.zeros(1)], 0.1)  # the first optimiser imports 140 MB of torch
        self.before = _resident()
        conv2d = torch.nn.functional.conv2d

        def counted(x: Any, weight: Any, *rest: Any, **named: Any) -> Any:
            if weight.shape[1] == SHAPE[0]:
                self.images += len(x) * weight.shape[0] // setting.width
            return conv2d(x, weight, *rest, **named)

        torch.nn.functional.conv2d = counted

    def __call__(self) -> None:
        """An iteration's step is over."""
        self.calls += 1
        if self.calls % self.every == 0:
            self.times.append(self._clock())
            self.counts.append(self.images)
            if len(self.times) > self.wanted:
                raise Enough

    def _clock(self) -> float:
        """Seconds, or operations so far."""
        if self.device != COUNTING:
            return _clock(self.device)
        from benchmarks import second_device

        counted = second_device.counts()
        if not self.times:
            return 0.0
        self.waits += second_device.waits(counted)
        return self.times[-1] + second_device.operations(counted)

    def write(self, **more: float) -> None:
        """Leave `result.json` in the current folder: seconds (the median), images and bytes of a unit."""
        import torch

        if len(self.times) <= self.wanted:
            sys.exit(f"it ended after {len(self.times)} of {self.wanted + 1} iterations")
        units = self.wanted * self.parts
        peak = {
            "cuda": torch.cuda.max_memory_allocated,
            "cpu": lambda: _resident() - self.before,
            COUNTING: lambda: self.waits / units,
        }[self.device]()
        found = {
            "seconds": statistics.median(map(float.__sub__, self.times[1:], self.times))
            / self.parts,
            "images": (self.counts[-1] - self.counts[0]) / units,
            "peak": peak,
            **more,
        }
        Path("result.json").write_text(json.dumps(found))


def measured(marks: Marks, work: Callable[[], None]) -> None:
    """Work until there is enough, and write what was found."""
    with contextlib.suppress(Enough):
        work()
    marks.write()


def _clock(device: str) -> float:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
        return time.perf_counter()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _resident() -> int:
    """Largest resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
