"""Canvases on a torus: images larger than the network's input that tile without seams.

Cazenavette et al. 2022, "Wearable ImageNet: Synthesizing Tileable Textures via Dataset Distillation".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddcore.base.errors import SpecError
from ddcore.base.fields import number
from ddcore.distil.contract import Knobs, Parametrization
from ddcore.nets.plan import Shape

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec, Params
    from ddcore.distil.decoder import Decoder
    from ddcore.distil.problem import Problem


@dataclass(frozen=True, kw_only=True)
class CanvasKnobs(Knobs):
    """A canvas is larger than an image, and every use cuts windows out of it.

    The paper's "one canvas of 2 x 2 per class" is ipc = 4, canvas = 2 here.
    """

    canvas: int = number(
        1,
        1,
        16,
        "How many images a canvas is wide and high. It costs canvas x canvas images of the budget, of which "
        "`ipc` must be a multiple.",
        unit="images",
    )
    crops: int = number(
        0,
        0,
        256,
        "Windows that every use cuts out of a canvas; 0: canvas x canvas, as many images as it costs.",
    )


def canvases(spec: DistillSpec[Params, CanvasKnobs]) -> int:
    """Canvases of each class."""
    return spec.ipc // spec.knobs.canvas**2


def crops(spec: DistillSpec[Params, CanvasKnobs]) -> int:
    """Windows that one use cuts out of a canvas."""
    return spec.knobs.crops or spec.knobs.canvas**2


def per_class(spec: DistillSpec[Params, CanvasKnobs], shape: Shape, classes: int) -> int:
    """Windows of all the class's canvases: what one use of the set shows, and what the artefact holds."""
    return canvases(spec) * crops(spec)


def check(spec: DistillSpec[Params, CanvasKnobs]) -> None:
    """Whole canvases, no whitening, labels that are true of every window."""
    cost = spec.knobs.canvas**2
    if spec.ipc % cost:
        allowed = f"a multiple of {cost}: a canvas of side {spec.knobs.canvas} costs {cost} images"
        raise SpecError("ipc", spec.ipc, allowed)
    if spec.data.preprocess == "zca":
        allowed = "normalise with a canvas: whitening treats every place in the image differently"
        raise SpecError("preprocess", "zca", allowed)
    if spec.labels == "soft":
        allowed = (
            "hard or learned with a canvas: what is said of one window is not true of the next"
        )
        raise SpecError("labels", "soft", allowed)


def build(problem: Problem[DistillSpec[Params, CanvasKnobs]]) -> Decoder:
    """Canvases in preprocessed space."""
    from ddcore.distil.parametrizations._canvas import Canvases, initial_canvases
    from ddcore.training.labels import step_major_labels

    spec = problem.spec
    labels = step_major_labels(problem.classes, canvases(spec))
    start = initial_canvases(
        spec.init, labels, spec.knobs.canvas, problem.data, problem.generator("images")
    )
    return Canvases(
        start, labels, problem.data.shape[1:], crops(spec), problem.generator("windows")
    )


PARAMETRIZATION = Parametrization(
    name="canvas",
    title="Tileable canvas",
    idea="Each stored picture has no edges, and every use cuts out windows at random places.",
    source="Cazenavette et al. 2022, Wearable ImageNet",
    knobs=CanvasKnobs,
    per_class=per_class,
    build=build,
    check=check,
)
