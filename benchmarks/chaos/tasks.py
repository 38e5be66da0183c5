"""What is computed while it is attacked: every method and every analysis at its smallest, on the digits.

Nothing here knows a method or an analysis by name; both registries declare what their smallest run is.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis import analyses
from ddcore.base.specs import TaskSpec
from ddcore.data import dataset_task, resolve
from ddcore.distil.contract import DistillSpec, methods
from ddcore.distil.settings import make_spec

SHAPE = (1, 8, 8)
SMALL = {"net.width": "4", "iterations": "30", "validations": "3", "val_nets": "2"}
EPOCHS = 10  # of training on a set


def settings(name: str) -> dict[str, str]:
    """What makes a run of a method small."""
    return {**SMALL, **methods()[name].smallest}


def run(name: str, *, ipc: int = 1, seed: int = 0) -> DistillSpec:
    """A run of about a second; networks that judge it learn for a moment only."""
    chosen = list(settings(name).items())
    spec = make_spec(name, resolve("digits"), SHAPE, ipc=ipc, seed=seed, settings=chosen)
    epochs = min(spec.protocol.epochs, EPOCHS)
    return spec.replace(protocol=spec.protocol.replace(epochs=epochs, nets=2))


def runs() -> list[TaskSpec]:
    """One small run of every method."""
    return [run(name) for name in methods()]


def prepared() -> list[TaskSpec]:
    """What is there before an attack: the dataset, and two sets that analyses look at."""
    return [dataset_task(resolve("digits")), *(run("dm", ipc=2, seed=s) for s in (1, 2))]


def questions(subjects: Sequence[TaskSpec]) -> list[TaskSpec]:
    """Every analysis that has an answer for these sets of digits, at its smallest."""
    keys, about = tuple(s.key for s in subjects), resolve("digits")
    able = (of for of in analyses().values() if not of.lacking(about))
    return [of.spec(run_keys=keys, **of.smallest) for of in able]
