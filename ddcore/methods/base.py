"""What a method is: parameters, presets, texts and the wiring of engine parts. No torch here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ddcore.bank_spec import Start
from ddcore.data.registry import mirrored
from ddcore.kernels.spec import KernelSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape, cost
from ddcore.protocols import PROTOCOLS
from ddcore.specs import Spec, TaskSpec

if TYPE_CHECKING:
    from ddcore.engines.problem import Distiller, Problem
    from ddcore.methods.spec import DistillSpec


@dataclass(frozen=True, kw_only=True)
class Params(Spec):
    """Parameters every method has; each method adds its own."""

    iterations: int = 1000

    def validate(self) -> None:
        """Check ranges."""
        self.require_range("iterations", 1, 10_000_000)

    @property
    def idle(self) -> frozenset[str]:
        """Fields that change nothing beside the others; a form need not ask for them."""
        return frozenset()

    def completed(self, spec: DistillSpec) -> Params:
        """These parameters with what follows from the rest of the run filled in."""
        return self

    def start(self, spec: DistillSpec) -> Start:
        """The weights from which networks are trained that the set is made for."""
        return Start()

    def kernel(self, spec: DistillSpec) -> KernelSpec | None:
        """The kernel machine that the set is made for; None for networks."""
        return None

    @property
    def relabel(self) -> tuple[int, int] | None:
        """(a, b) if networks are to call images of class a b; such a set is judged by these labels."""
        return None


@dataclass(frozen=True)
class Cost:
    """What a whole run needs, validation not included.

    macs: multiply-adds; images: how many images' activations are held at once (times networks);
    weights: copies of one network's weights that are stored.
    """

    macs: float
    images: float
    weights: float = 0.0


FAMILIES = {
    "match": "Match real data step by step",
    "unroll": "Differentiate through training",
    "trajectory": "Match whole trainings",
    "store": "Store images differently",
    "kernel": "Solve for it with kernels",
}


@dataclass(frozen=True)
class Method:
    """A published method.

    `idea` is one sentence, `explanation` the three that a page shows. `family` is a key of `FAMILIES`.
    `build` wires the engine parts for a problem (imports torch inside). `cost` counts what a run takes.
    `presets(data_name, shape, ipc, typed)` gives for quick, teaching and paper, and for hour where there
    is one, the fields that differ from the defaults, as a nested dict of `DistillSpec`; `typed` are the
    user's settings as text, of which a preset may follow some (its variant). `not_labels` and
    `not_parametrizations` give, under their names, the reasons why some cannot be combined with it.
    `smallest` are settings that make a run of seconds, on which every contract is tested. `shipped` are
    the digits runs of the gallery: settings, and with how many images per class. `measured` says in Markdown
    what a run found, where its distiller has `findings`.
    """

    name: str
    title: str
    family: str
    idea: str
    explanation: str
    paper: str
    formula: str
    params: type[Params]
    build: Callable[[Problem], Distiller]
    cost: Callable[[DistillSpec, Shape, int], Cost]
    presets: Callable[[str, Shape, int, dict[str, str]], dict[str, dict[str, Any]]]
    variants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    smallest: dict[str, str] = field(default_factory=dict)
    shipped: tuple[tuple[dict[str, str], tuple[int, ...]], ...] = (({}, (1,)),)
    caveat: str = ""
    measured: Callable[[dict[str, Any]], str] | None = None
    prepares: Callable[[DistillSpec], list[TaskSpec]] = lambda spec: []
    not_labels: dict[str, str] = field(default_factory=dict)
    not_parametrizations: dict[str, str] = field(default_factory=dict)


def image_macs(net: NetSpec, shape: Shape, classes: int) -> float:
    """Multiply-adds of one image's forward pass."""
    return cost(net.plan(shape, classes), shape).macs


def small(shape: Shape) -> bool:
    """Images small enough for the set-up of the CPU (narrow networks, few iterations)."""
    return shape[1] <= 16


def hour(shape: Shape, teaching: dict[str, Any], **params: Any) -> dict[str, dict[str, Any]]:
    """The preset "hour" by its name: what two cores carry in about an hour for ten images per class.

    It is `teaching` with some `params`, judged after 300 epochs and chosen among eight checkpoints. Empty
    for small images, on which "teaching" leaves little to gain, and for larger ones than 32 pixels, on
    which that takes an hour by itself.
    """
    if small(shape) or max(shape[1:]) > 32:
        return {}
    own = {
        "protocol": PROTOCOLS["t300"],
        "validations": 8,
        "params": {**teaching["params"], **params},
    }
    return {"hour": {**teaching, **own}}


def dsa_strategy(data: str) -> str:
    """Augmentation of Zhao & Bilen 2021 for this data."""
    flip = "flip_" if mirrored(data) else ""
    return f"color_crop_cutout_{flip}scale_rotate"


GENERATOR_ONLY = {
    "generator": "its images belong to the steps of a fixed training order, which only gtn follows"
}
