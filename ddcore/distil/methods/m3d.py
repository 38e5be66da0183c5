"""M3D: Zhang et al., "M3D: Dataset Condensation by Minimizing Maximum Mean Discrepancy" (2024).

Distribution matching of more than means: with a Gaussian kernel every moment of the features counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.fields import choice, number
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Work
from ddcore.distil.methods import dm
from ddcore.distil.methods.dm import DMParams
from ddcore.nets import plan
from ddcore.nets.plan import Shape, small

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem

EMBEDDINGS = {  # the last is what pages begin with
    "linear": "means alone count, as in dm",
    "gaussian": "all moments count",
}


@dataclass(frozen=True, kw_only=True)
class M3DParams(DMParams):
    """As dm, but features are compared by the maximum mean discrepancy of a kernel."""

    embedding: str = choice(
        "gaussian", EMBEDDINGS, "The kernel, which says what moments of the features are compared."
    )
    bandwidth: float = number(
        1.0,
        0.01,
        1000,
        "Width of the Gaussian kernel, relative to the distances between a class's real features.",
    )

    @property
    def idle(self) -> frozenset[str]:
        """A linear kernel has no width."""
        return frozenset() if self.embedding == "gaussian" else frozenset({"bandwidth"})


def build(problem: Problem[DistillSpec[M3DParams]]) -> Distiller:
    """Feature matching with a kernel."""
    from ddcore.distil.engines.discrepancies import KernelMean

    p = problem.spec.params
    return dm.matching(problem, discrepancy=KernelMean(p.embedding, p.bandwidth))


def cost(spec: DistillSpec[M3DParams], shape: Shape, classes: int) -> Work:
    """As dm, and the products of all pairs of features; among synthetic ones thrice for the derivative."""
    p, mine = spec.params, spec.images_per_class(shape, classes)
    pairs = p.real_batch**2 + 3 * p.real_batch * mine + 3 * mine**2
    products = p.nets * classes * pairs * plan.cost(spec.net.plan(shape, classes), shape).features
    matching = dm.cost(spec, shape, classes)
    return Work(matching.macs + p.iterations * products, matching.images)


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Those of dm; larger images in tiles as published."""
    found = dm.presets(data, shape, ipc, typed)
    if small(shape):
        return found
    return {name: {**preset, "parametrization": "tiles"} for name, preset in found.items()}


METHOD = Method(
    name="m3d",
    title="Matching with a kernel (M3D)",
    family="match",
    idea="Match whole distributions of features by a kernel, not their means alone.",
    explanation="As in distribution matching, random networks turn images into features. The mean of a "
    "class says nothing of how its features spread. A Gaussian kernel compares every pair of images, and its "
    "discrepancy is zero only where spread and all other moments agree too. Wide kernels see means alone, so "
    "distribution matching is the limit.",
    paper="Zhang et al. 2024, M3D: Dataset Condensation by Minimizing Maximum Mean Discrepancy",
    formula=r"\min_S \; \mathbb{E}_{\theta,\omega} \sum_c \sigma_c^2 \left\| "
    r"\overline{\phi(f_\theta(A_\omega(T_c)))} - \overline{\phi(f_\theta(A_\omega(S_c)))} \right\|^2, \quad "
    r"\langle \phi(x), \phi(y) \rangle = e^{-\|x - y\|^2 / 2 \sigma_c^2}",
    params=M3DParams,
    build=build,
    cost=cost,
    presets=presets,
    variants={"embedding": tuple(EMBEDDINGS)},
    shipped=(({"embedding": "gaussian"}, (1, 10)),),
    smallest={"nets": "2", "real_batch": "8"},
    not_labels=shared.CLASSES_ONLY,
    class_wise=dm.class_wise,
    caveat="With one image per class there is no spread to match. No code was published: width and step "
    "sizes are ours.",
)
