"""How fast tasks of a kind compute: past runs, carried to other networks and machines by a measurement.

A small network keeps a machine less busy than a large one, so the speed of a past run says little about
one with another network. Each machine is therefore measured once (`Calibration`): multiply-adds per second
of plain training with networks from tiny to large. What a kind of task reaches of that speed carries
over, even from runs that were shipped. No torch here.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import platform
import statistics
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar

from ddcore.base import environment
from ddcore.base.errors import Cancelled
from ddcore.base.fields import REQUIRED, text
from ddcore.base.specs import TaskSpec
from ddcore.data.registry import OWN
from ddcore.data.spec import DataSpec, form
from ddcore.nets.architectures import NetSpec
from ddcore.nets.architectures import image_macs as macs_of
from ddcore.nets.plan import Shape
from ddcore.tasks.queue import devices
from ddcore.tasks.store import Store, Task

CPU_GUESS, GPU_GUESS = 5e9, 1e12  # multiply-adds a second, only until something has run
NEIGHBOURS = 3
FARTHER = (
    2.0  # on the scale of `_distance`: seven times as unlike as the nearest tells nothing beside it
)
SHARE = (0.2, 2.0)  # of plain training's speed that a kind may reach: beyond it a past run misleads
TRAINED = ("accuracy", "bank", "distill", "trajectories")  # kinds of tasks that are training
LEAST_SHARE = 0.25  # of a past run's seconds that are work in any case
MATRIX = 0.0  # in place of a network's size: linear algebra


@dataclass(frozen=True, kw_only=True)
class Calibration(TaskSpec):
    """The speed of plain training on one machine and device."""

    KIND: ClassVar[str] = "speed"
    RUNNER: ClassVar[str] = "ddcore.training.calibrate:run"

    place: str = text(REQUIRED, "A hash that stands for the machine.")
    device: str = text(REQUIRED, "The kind of its first device, such as cpu.")

    def title(self) -> str:
        """Line for lists."""
        return f"speed of this machine ({self.device})"


@dataclass(frozen=True)
class Past:
    """A finished task: its size, its network's size (multiply-adds per image), its speed.

    `undisturbed` says that others on the machine cannot have made it look slower.
    """

    size: float
    image_macs: float
    rate: float
    shipped: bool
    undisturbed: bool


_SUPPOSED: ContextVar[str] = ContextVar("_SUPPOSED", default="")


@contextlib.contextmanager
def supposing(device: str) -> Iterator[None]:
    """Estimates are for a device of that kind, whatever this machine has."""
    token = _SUPPOSED.set(device)
    try:
        yield
    finally:
        _SUPPOSED.reset(token)


def kind_here() -> str:
    """The kind of the device that estimates are for: what is supposed, else the first one."""
    return _SUPPOSED.get() or devices()[0].split(":")[0]


def here() -> Calibration:
    """The measurement of this machine and its first device."""
    cores = environment.threads()
    # Rented machines share a name and differ in what they are.
    text = f"{platform.node()}\n{environment.processor()}\n{cores}"
    place = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Calibration(place=place, device=kind_here())


def measure_once(store: Store, device: str) -> None:
    """Measure this machine unless it has been: what estimates need, some seconds after a first result."""
    from ddcore.tasks.worker import run_task

    if not environment.measures() or store.task(here()).is_done():
        return
    try:
        run_task(store, store.create(here()), here(), device)
    except Cancelled:
        raise
    except Exception:  # the result it follows is there all the same
        traceback.print_exc()


def speed(
    store: Store,
    kind: str,
    work: float,
    image_macs: float,
    method: str = "",
    *,
    besides: Callable[[Task], float] = lambda task: 0.0,
    start: float = 0.0,
) -> tuple[float, str]:
    """Multiply-adds per second for a task of this kind and size, and what that rests on.

    `image_macs` is what one image takes in the task's network (`MATRIX`: linear algebra instead). Whatever
    `work` counts has to count for past runs too: `besides` are multiply-adds of a past run that its result
    leaves out. Of the seconds that each took, `start` are no work.
    """
    device = kind_here()
    own = _curve(store.task(here()))
    past = list(_past(store, kind, method, device, besides, start))
    if not past and not method:  # nothing of the kind yet: plain training
        past = list(_past(store, "accuracy", "", device))
    past = [p for p in past if own is None or p.undisturbed]
    nearest = _nearest(past, work, image_macs)
    runs = "1 past run" if len(nearest) == 1 else f"{len(nearest)} past runs"
    if own is None:
        if not nearest:
            guess = CPU_GUESS if device == "cpu" else GPU_GUESS
            return guess, "a first guess: nothing of the kind has run here yet"
        return statistics.median(p.rate for p in nearest), f"from {runs} on {device}"
    theirs = _shipped_curve(store, device) or own
    shares = [_share(p, theirs if p.shipped else own, kind) for p in nearest]
    # The largest: what others on the machine take makes a run look slower, never quicker.
    share = min(max(*shares, SHARE[0]), SHARE[1]) if shares else 1.0
    basis = (
        f"from {runs} and the measured speed of this machine"
        if shares
        else "from the measured speed of this machine"
    )
    return share * at(own, image_macs), basis


def _share(past: Past, curve: dict[str, Any], kind: str) -> float:
    """What a run reached of plain training's speed.

    Shipped runs were made on several machines, of which one was measured. What trains is near 1 on any, so
    there they count half, on a logarithmic scale.
    """
    reached = past.rate / at(curve, past.image_macs)
    return math.sqrt(reached) if past.shipped and kind in TRAINED else reached


def at(curve: dict[str, Any], image_macs: float) -> float:
    """Multiply-adds per second of a measured machine, between its points on logarithmic scales."""
    if image_macs == MATRIX:
        return curve["matrix"]
    points = sorted(curve["points"])
    low = max((p for p in points if p[0] <= image_macs), default=points[0])
    high = min((p for p in points if p[0] >= image_macs), default=points[-1])
    if low[0] == high[0]:
        return low[1]
    share = math.log(image_macs / low[0]) / math.log(high[0] / low[0])
    return math.exp((1 - share) * math.log(low[1]) + share * math.log(high[1]))


def seconds_of(result: dict[str, Any]) -> float:
    """What a task took but for compiling; where a processor was shared with others, what it took of it."""
    wall = result.get("seconds") or 0.0
    compiling = result.get("execution", {})
    wall -= compiling.get("compile_seconds", 0.0)
    if result.get("device") != "cpu" or "cpu_seconds" not in result:
        return wall
    return min(wall, result["cpu_seconds"] - compiling.get("compile_cpu_seconds", 0.0))


def _past(
    store: Store,
    kind: str,
    method: str,
    device: str,
    besides: Callable[[Task], float] = lambda task: 0.0,
    start: float = 0.0,
) -> Iterator[Past]:
    for task in store.tasks(kind):
        if not task.opens():
            continue
        result = task.result()
        done, seconds = result.get("work"), seconds_of(result)
        if not done or not seconds or result.get("device", "").split(":")[0] != device:
            continue
        spec = task.document()["spec"]
        if method and spec["method"] != method:
            continue
        image = _image_macs(spec, result)
        # An accuracy's work is training alone, which small sets need less of than the test.
        done += besides(task) + result.get("n", 0) * result.get("test_images", 0) * image
        size = done / result.get("iterations", 1)
        own_time = device != "cpu" or "cpu_seconds" in result
        seconds = max(seconds - start, seconds * LEAST_SHARE)
        yield Past(size, image, done / seconds, task.shipped, own_time)


def _nearest(past: list[Past], work: float, image_macs: float) -> list[Past]:
    """The few that are most alike, without those that are much less so than the first."""
    ranked = sorted((_distance(p, work, image_macs), i) for i, p in enumerate(past))[:NEIGHBOURS]
    return [past[i] for apart, i in ranked if apart <= ranked[0][0] + FARTHER]


def _distance(past: Past, work: float, image_macs: float) -> float:
    """How unlike two tasks are: in their networks' sizes, then in their own."""
    apart = abs(math.log(past.size / max(work, 1.0)))
    if past.image_macs and image_macs:
        apart += 2 * abs(math.log(past.image_macs / image_macs))
    return apart


def _image_macs(spec: dict[str, Any], result: dict[str, Any]) -> float:
    """Of a finished task: stored, or that of its network; `MATRIX` for kernel machines."""
    if "image_macs" in result:
        return result["image_macs"]
    if (spec.get("protocol") or {}).get("optimiser") == "ridge":
        return MATRIX
    shape, classes = result.get("shape"), len((result.get("set") or result).get("class_names", ()))
    data = spec.get("data") or result.get("data") or {}
    if shape is None and data.get("name") not in (None, *OWN):
        shape, classes = form(DataSpec.from_dict(data))
    if shape is None:
        return MATRIX
    net = NetSpec.from_dict(spec["net"]) if isinstance(spec.get("net"), dict) else usual(shape)
    return macs_of(net, tuple(shape), classes or 10)


def usual(shape: Shape) -> NetSpec:
    """The network of analyses: a ConvNet, narrow on small images."""
    return NetSpec(width=16, depth=2) if shape[1] < 28 else NetSpec(width=128, depth=3)


def _curve(task: Task) -> dict[str, Any] | None:
    return task.result() if task.opens() else None


def _shipped_curve(store: Store, device: str) -> dict[str, Any] | None:
    """Measured on the machine that made the shipped runs."""
    for task in store.tasks(Calibration.KIND):
        if task.shipped and task.opens() and task.result()["device"] == device:
            return task.result()
    return None
