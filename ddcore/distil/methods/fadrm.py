"""FADRM: Cui et al., "FADRM: Fast and Accurate Data Residual Matching" (NeurIPS 2025).

Inversion of a teacher that starts from real patches and mixes them back in on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.fields import number
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Work
from ddcore.distil.methods import sre2l
from ddcore.distil.methods.sre2l import SRe2LParams
from ddcore.distil.selection_spec import Selection, selection_work
from ddcore.nets.plan import Shape
from ddcore.pools.teaching import teaching

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem


@dataclass(frozen=True, kw_only=True)
class FADRMParams(SRe2LParams):
    """As sre2l, from crops of real images that the teacher finds neither easy nor hard; how else the images
    would start is of no account."""

    iterations: int = 2000
    stages: int = number(4, 1, 1000, "Equal parts of the run; patches return between two of them.")
    blend: float = number(0.5, 0, 1, "Share of the real patch where it returns; 0: it does not.")
    candidates: int = shared.candidates()
    crops: int = shared.crops()
    area: float = shared.area()

    @property
    def selection(self) -> Selection:
        """What is looked at."""
        return Selection(candidates=self.candidates, crops=self.crops, area=self.area)

    def check_with(self, spec: DistillSpec) -> None:
        """As sre2l, and enough patches."""
        super().check_with(spec)
        shared.require_crops(spec, spec.ipc)


def build(problem: Problem[DistillSpec[FADRMParams]]) -> Distiller:
    """Inversion with residuals; trains the teacher first if nobody has."""
    from ddcore.distil.engines.inversion import ResidualInversion, Residuals

    p = problem.spec.params
    residuals = Residuals(patches=p.selection, blend=p.blend, stages=p.stages)
    return ResidualInversion(problem, sre2l.inverted(problem), residuals)


def cost(spec: DistillSpec[FADRMParams], shape: Shape, classes: int) -> Work:
    """As sre2l, and a forward pass of every crop through the teacher."""
    p, inversion = spec.params, sre2l.cost(spec, shape, classes)
    judges = teaching(spec.data, spec.net, p.teacher)
    selection = selection_work(judges, p.selection, shape, classes, classes)
    return Work(inversion.macs + selection, inversion.images)


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Those of sre2l, with the length that is published for CIFAR-100 and candidates for all images."""
    found = sre2l.presets(data, shape, ipc, typed)
    seen = {"candidates": max(shared.CANDIDATES, ipc)}
    for name, preset in found.items():
        length = {"iterations": 2000} if name == "paper" else {}
        preset |= {"init": "real", "params": preset["params"] | seen | length}
    return found


METHOD = Method(
    name="fadrm",
    title="Inverted teacher with residuals (FADRM)",
    family="invert",
    idea="Invert a trained network from real patches, and mix these back in now and then.",
    explanation="Images of an inverted network drift away from real ones. Here they start as crops of real "
    "images that a teacher finds neither easy nor hard. They become such as the network is sure of, with "
    "the statistics it knows. Between stages of the run each is averaged with its crop, so that it stays "
    "near to something real.",
    paper="Cui et al. 2025, FADRM: Fast and Accurate Data Residual Matching for Dataset Distillation",
    formula=r"S \leftarrow (1-b)\, S + b\, P \;\text{ between stages of }\; "
    r"\min_S \; \overline{\ell_\theta(S_c, c)} + \lambda \sum_l w_l \Big( "
    r"\big\| \mu_l(S) - \mu_l^* \big\| + \big\| \sigma_l^2(S) - \sigma_l^{2*} \big\| \Big)",
    params=FADRMParams,
    build=build,
    cost=cost,
    presets=presets,
    shipped=(({}, (1, 10)),),
    smallest={"candidates": "20", "crops": "2"},
    labels_last=True,
    not_labels=sre2l.METHOD.not_labels,
    one_parametrization=("pixels", "patches are pixels, and are mixed into such"),
    caveat="As published for small images all stages have one size; on larger ones sizes vary, which is left "
    "out. One optimiser and one cosine go through all stages. Compare with random images that have the "
    "teacher's labels.",
)
