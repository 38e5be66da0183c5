"""Differentiable siamese augmentation (DSA): Zhao & Bilen (2021), gradient matching with augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.data.registry import mirrored
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method
from ddcore.distil.methods.dc import HARD_ONLY, SMALLEST, DCParams, cost, matching, matching_presets
from ddcore.distil.presets import dsa_strategy
from ddcore.nets.plan import Shape
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem


@dataclass(frozen=True, kw_only=True)
class DSAParams(DCParams):
    """As dc, with images transformed before gradients are compared and in the training in between.

    For a comparison one operation is drawn per class, the same for its real and synthetic images; in
    training one per image (in the authors' code one per minibatch).
    """

    augment: str = shared.augment()


def build(problem: Problem[DistillSpec[DSAParams]]) -> Distiller:
    """Gradient matching on augmented images."""
    return matching(problem, problem.spec.params.augment)


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """No mirror images of digits; as published it starts from real images."""
    protocol = PROTOCOLS["dsa" if mirrored(data) else "dsa-digits"]
    return matching_presets(shape, ipc, protocol, "real", {"augment": dsa_strategy(data)})


METHOD = Method(
    name="dsa",
    title="Gradient matching with augmentation",
    family="match",
    idea="Match gradients of augmented images, with the same augmentation on real and synthetic ones.",
    explanation="As gradient matching, but before each comparison the real and the synthetic images of a "
    "class are shifted, rotated or recoloured in the same random way. What one learns from a "
    "shifted real image thus has to be there in the shifted synthetic image too. The resulting "
    "images can be used with augmentation, which lets ordinary training get more out of them.",
    paper="Zhao & Bilen 2021, Dataset Condensation with Differentiable Siamese Augmentation",
    formula=r"\min_S \; \mathbb{E}_{\theta_0,\omega} \sum_t \sum_c D\left("
    r"\nabla_\theta \ell(A_\omega(S_c), \theta_t), \nabla_\theta \ell(A_\omega(T_c), \theta_t)\right)",
    params=DSAParams,
    build=build,
    cost=cost,
    presets=presets,
    shipped=(({}, (1, 10)),),
    smallest=SMALLEST,
    not_labels=HARD_ONLY,
    caveat="Its images are meant for training with augmentation: a protocol without it sells them short. "
    "Training draws one operation per image, the authors' code one per minibatch: the protocol dsa-official "
    "does the latter.",
)
