"""Contrastive signals (DCC, and DSAC with augmentation): Lee, Chun, Jung, Yun & Yoon (2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.data.registry import mirrored
from ddcore.distil.contract import Method
from ddcore.distil.methods.dc import HARD_ONLY, SMALLEST, DCParams, cost, matching, matching_presets
from ddcore.distil.presets import GENERATOR_ONLY, dsa_strategy
from ddcore.nets.plan import Shape
from ddcore.training import strategies
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.problem import Distiller, Problem

VARIANTS = ("dcc", "dsac")


@dataclass(frozen=True, kw_only=True)
class DCCParams(DCParams):
    """As dc, but mean gradients over all classes are compared, after a start class by class.

    Classes are compared one by one in the first `outer_warmup` draws of networks, and there only in
    the first `inner_warmup` comparisons of each. `variant` dsac uses `augment` as dsa does; dcc none.
    """

    variant: str = "dcc"
    augment: str = ""
    outer_warmup: int = 250
    inner_warmup: int = 10

    def validate(self) -> None:
        """Check ranges."""
        super().validate()
        self.require_choice("variant", VARIANTS)
        strategies.parse(self.augment)
        if self.variant == "dcc":
            self.require("augment", not self.augment, "none with variant = dcc (dsac has it)")
        self.require_range("outer_warmup", 0, 10_000_000)
        self.require_range("inner_warmup", 0, 10_000)


def build(problem: Problem[DCCParams]) -> Distiller:
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
    variants={"variant": VARIANTS},
    smallest={**SMALLEST, "outer_warmup": "2", "inner_warmup": "2"},
    not_labels=HARD_ONLY,
    not_parametrizations=GENERATOR_ONLY,
    caveat="Made for classes that look alike; on easily told digits it need not beat gradient matching.",
)
