"""Plain pixels: every number is a pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddcore.distil.contract import Knobs, Parametrization
from ddcore.nets.plan import Shape

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.decoder import Decoder
    from ddcore.distil.problem import Problem


def per_class(spec: DistillSpec, shape: Shape, classes: int) -> int:
    """As many images as the budget says."""
    return spec.ipc


def build(problem: Problem) -> Decoder:
    """Pixels in preprocessed space."""
    from torch import Tensor

    from ddcore.distil.decoder import Decoder, initial_images

    class Pixels(Decoder):
        def __init__(self) -> None:
            self.labels = problem.labels()
            generator = problem.generator("images")
            start = initial_images(problem.spec.init, self.labels, problem.data, generator)
            self.images = start.requires_grad_()

        def tensors(self) -> dict[str, Tensor]:
            return {"images": self.images}

        def decode(self) -> Tensor:
            return self.images

    return Pixels()


PARAMETRIZATION = Parametrization(
    name="pixels",
    title="Pixels",
    idea="Every stored number is a pixel.",
    source="as in Wang et al. 2018",
    knobs=Knobs,
    per_class=per_class,
    build=build,
)
