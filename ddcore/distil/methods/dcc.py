"""Contrastive signals (DCC, and DSAC with augmentation): Lee, Chun, Jung, Yun & Yoon (2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.fields import choice, number
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

VARIANTS = {"dcc": "they are not", "dsac": "they are, as `augment` says"}


@dataclass(frozen=True, kw_only=True)
class DCCParams(DCParams):
    """As dc, but mean gradients over all classes are compared, after a start class by class."""

    variant: str = choice("dcc", VARIANTS, "Whether images are transformed.")
    augment: str = shared.augment("", "Used as dsa does, in variant dsac only.")
    outer_warmup: int = number(
        250, 0, 10_000_000, "Draws of networks in which classes are compared one by one at first."
    )
    inner_warmup: int = number(
        10, 0, 10_000, "In each of these draws, so many comparisons are class by class."
    )

    def validate(self) -> None:
        """One of the variants transforms nothing."""
        if self.variant == "dcc":
            self.require("augment", not self.augment, "none with variant = dcc (dsac has it)")


def build(problem: Problem[DistillSpec[DCCParams]]) -> Distiller:
    """Gradient matching, class by class first and then of the mean over classes."""
    p = problem.spec.params
    return matching(problem, p.augment, collective=(p.outer_warmup, p.inner_warmup))


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """As dc or dsa; in short runs the start class by class is a quarter of the run, as published."""
    augmented = typed.get("variant", "dcc") == "dsac"
    extra: dict[str, Any] = {"variant": "dsac" if augmented else "dcc"}
    extra["augment"] = dsa_strategy(data) if augmented else ""
    if augmented:
        protocol = PROTOCOLS["dsa" if mirrored(data) else "dsa-digits"]
    else:
        protocol = PROTOCOLS["dc-mnist" if data == "mnist" else "dc"]
    found = matching_presets(shape, ipc, protocol, "real", extra)
    for p in (fields["params"] for preset, fields in found.items() if preset != "paper"):
        p["outer_warmup"] = p["iterations"] // p["matches"] // 4
    return found


METHOD = Method(
    name="dcc",
    title="Gradient matching of all classes",
    family="match",
    idea="Match the gradient of all classes together, so that what tells them apart counts.",
    explanation="Gradient matching compares class by class and so spends much on what all classes have in "
    "common. Here the gradients are first averaged over the classes and then compared: common parts "
    "appear once, and differences between classes get their weight. Because this is unstable at first, "
    "the run begins class by class.",
    paper="Lee, Chun, Jung, Yun & Yoon 2022, Dataset Condensation with Contrastive Signals",
    formula=r"\min_S \; \mathbb{E}_{\theta_0} \sum_t D\Big(\tfrac1C \sum_c "
    r"\nabla_\theta \ell(S_c, \theta_t), \tfrac1C \sum_c \nabla_\theta \ell(T_c, \theta_t)\Big)",
    params=DCCParams,
    build=build,
    cost=cost,
    presets=presets,
    variants={"variant": tuple(VARIANTS)},
    shipped=(({}, (1, 10)),),
    smallest={**SMALLEST, "outer_warmup": "2", "inner_warmup": "2"},
    not_labels=HARD_ONLY,
    caveat="Made for classes that look alike; on easily told digits it need not beat gradient matching.",
)
