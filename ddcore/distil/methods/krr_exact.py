"""Kernel ridge regression distilled in closed form: Chen, Huang & Weng, NeurIPS 2024.

No optimisation: images and labels are written down such that ridge regression on them gives the very
weights that ridge regression on the training part gives, where theory allows it. As in the authors' code
that part lacks the validation images, which choose lambda; nothing is fitted again on both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ddcore.base.errors import SpecError
from ddcore.base.fields import choice, flag, number
from ddcore.distil.contract import Method, Params, Work
from ddcore.kernels.spec import MAPS, KernelSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape, small
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem

ROOTS = ("+", "-")
# Fields that only some maps use.
_ONLY = {
    "fcnn": ("layers", "features", "orthogonal"),
    "rff": ("features", "variance"),
    "affine": ("layers", "features", "bias"),
}


@dataclass(frozen=True, kw_only=True)
class KRRExactParams(Params):
    """The ridge regression on features of a map that is copied. The map is drawn from the run's seed.

    The model learns from all training images but those held out for validation.
    """

    iterations: int = number(1, 1, 1, "One.", expected="1: there is a closed form")
    map: str = choice("linear", MAPS, "What turns images into features.")
    layers: int = number(1, 1, 8, "Layers of the map.")
    features: int = number(
        0, 0, 8192, "Of each layer; 0: as many as the image has numbers, affine half as many again."
    )
    orthogonal: bool = flag(False, "Orthogonal weights: better conditioned.")
    variance: float = number(1e-3, 1e-9, 1e3, "Of the Fourier weights.")
    bias: float = number(1.0, 0, 1e3, "Standard deviation of the offsets.")
    lam: float = number(
        0.0, 0, 1e9, "The ridge of the model that is copied; 0: the best on validation images."
    )
    lambda_s: float = number(
        0.0, 0, 1e9, "The ridge with which the set is to be trained on, up to a bound that it has."
    )
    root: str = choice("+", ROOTS, "Which of two solutions, for a ridge above 0.")

    def __post_init__(self) -> None:
        for f in fields(self):  # one key for one computation
            if f.name in self._unused:
                object.__setattr__(self, f.name, f.default)
        super().__post_init__()

    @property
    def _unused(self) -> set[str]:
        used = _ONLY.get(self.map, ())
        return {n for names in _ONLY.values() for n in names if n not in used}

    @property
    def idle(self) -> frozenset[str]:
        """What only other maps use, and the number of iterations, which is 1."""
        return frozenset({*self._unused, "iterations"})

    def validate(self) -> None:
        """Check what the theorem asks for."""
        if self.root == "-":
            self.require("lambda_s", self.lambda_s > 0, "more than 0 with root = -")
        if self.map == "affine":
            allowed = "0 for these features, which lie beside the origin"
            self.require("lambda_s", self.lambda_s == 0 or self.bias == 0, allowed)

    def check_with(self, spec: DistillSpec) -> None:
        """The set is made for a kernel machine, and judged as one."""
        if not spec.protocol.closed_form:
            raise SpecError(
                "protocol",
                spec.protocol.name,
                "kernel: the run is judged by its theorem; other protocols on the Evaluate page",
            )

    def kernel(self, spec: DistillSpec) -> KernelSpec:
        """Ridge regression on the features of the map."""
        return KernelSpec(
            kind=self.map,
            depth=self.layers,
            width=self.features,
            orthogonal=self.orthogonal,
            variance=self.variance,
            bias=self.bias,
            seed=spec.seed,
            ridge=self.lambda_s,
        )


def build(problem: Problem[DistillSpec[KRRExactParams]]) -> Distiller:
    """The construction as a method of one step."""
    from ddcore.distil.engines import krr

    p = problem.spec.params
    ridge = krr.Ridge(kernel=p.kernel(problem.spec), lam=p.lam, lambda_s=p.lambda_s, root=p.root)
    return krr.ExactRidge(problem, ridge)


def cost(spec: DistillSpec[KRRExactParams], shape: Shape, classes: int) -> Work:
    """The eigenvalues of one matrix of all features; the Gram matrix is the larger part on large data."""
    size = math.prod(shape)
    p = spec.params.features or (3 * size // 2 if spec.params.map == "affine" else size)
    images = 50_000  # of which the number hardly matters beside the start of a process
    return Work(10.0 * p**3 + images * p * p, 0.0, 0.0)


def presets(
    data: str, shape: Shape, ipc: int, variant: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """The same everywhere: it takes seconds. Teaching starts from real images, paper as published."""
    net = NetSpec(width=16, depth=2) if small(shape) else NetSpec(width=32, depth=3)
    common = {
        "net": net,
        "protocol": PROTOCOLS["kernel"],
        "init": "noise",
        "validations": 1,
        "val_nets": 1,
    }
    own = {"map": variant.get("map", "linear")}
    return {
        "quick": {**common, "params": own},
        "teaching": {**common, "init": "real", "params": own},
        "paper": {**common, "params": own},
    }


def verdict(found: dict[str, Any]) -> str:
    """Whether it is exact, never without the error; found: a run's findings."""
    return (
        f"{'exact' if found['exact'] else 'not exact'}: the weights learned from the {found['points']} "
        f"images alone differ by {found['weight_error']:.1e} (relative) from those learned from "
        f"{found['train_images']:,} training images"
    )


def measured(found: dict[str, Any]) -> str:
    """The verdict and what belongs to it, in Markdown."""
    same = f"{100 * found['agreement']:.1f} %"
    first, _, rest = verdict(found).partition(":")
    return (
        f"**{first.capitalize()}**:{rest} (those held out for validation are not among them), and both "
        f"models call {same} of test images and of noise alike. Test accuracy "
        f"{100 * found['whole_accuracy']:.1f} % "
        f"from these, {100 * found['distilled_accuracy']:.1f} % from the set. Stored as 32-bit floats the "
        f"error is {found['float32_error']:.1g}, as 8-bit integers {found['uint8_error']:.1g}. "
        f"λ = {found['lam']:.3g}, λ_S = {found['lambda_s']:.3g}. The page Exact explains it."
    )


METHOD = Method(
    name="krr-exact",
    title="Closed-form distillation (ridge regression)",
    family="kernel",
    idea="Write down images from which ridge regression learns the weights it learns from the training set.",
    explanation="Ridge regression on fixed features has a closed form, and so has its inverse: given the "
    "weights learned from the training images, one can solve for features, and then for images, from which "
    "the same weights are learned again. One image per class is enough for most maps; how far the weights "
    "are from the copied ones is always measured. With more images, the free numbers are noise, or keep the "
    "set near real ones.",
    paper="Chen, Huang & Weng 2024, Provable and Efficient Dataset Distillation for Kernel Ridge Regression",
    formula=r"X_S = \phi^{-1}(D^{+}), \quad D = Y_S^{+} W + (I - Y_S^{+} Y_S) Z, \quad "
    r"W = Y \Phi^{\top} (\Phi \Phi^{\top} + \lambda I)^{-1}",
    params=KRRExactParams,
    measured=measured,
    build=build,
    cost=cost,
    presets=presets,
    variants={"map": tuple(MAPS)},
    shipped=(({}, (1, 10)), ({"map": "fcnn"}, (1,))),
    smallest={"iterations": "1", "init": "real"},
    caveat="Made for one model with fixed features, which is weaker than a network; networks trained on "
    "these images learn little. The model that is copied learns from the training images without those held "
    "out for validation (a tenth), which choose λ. Started from real images, the set shows them nearly "
    "unchanged. Affine features with offsets need two images per class.",
    not_labels={
        "soft": "the labels follow from the construction",
        "learned": "the labels follow from the construction",
    },
    one_parametrization=("pixels", "pixels are solved for one by one"),
)
