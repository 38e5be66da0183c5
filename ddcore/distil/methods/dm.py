"""Distribution matching (DM): Zhao & Bilen, "Dataset Condensation with Distribution Matching" (2021).

Match the mean features of synthetic and real images of each class, in fresh random networks that are
never trained. No second derivatives, so it is the cheapest method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.data.registry import mirrored
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Params, Work
from ddcore.distil.presets import dsa_strategy, hour
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, small
from ddcore.nets.precision import precision
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem


@dataclass(frozen=True, kw_only=True)
class DMParams(Params):
    """Fresh networks and real images are drawn in every iteration."""

    iterations: int = 20_000
    nets: int = shared.nets()
    real_batch: int = shared.real_batch(256)
    lr: float = shared.lr(1.0, low=1e-6, high=1e5, help="Step size")
    momentum: float = shared.momentum()
    augment: str = shared.augment()
    precision: str = precision("With which numbers features and their derivatives are computed.")


def build(problem: Problem[DistillSpec[DMParams]]) -> Distiller:
    """Feature matching on pixels."""
    return matching(problem)


def matching(problem: Problem[DistillSpec[DMParams]], **more: Any) -> Distiller:
    """Feature matching in fresh networks, with `more` fields of `match.Features`."""
    from ddcore.distil.engines import match

    p = problem.spec.params
    features = match.Features(
        nets=p.nets,
        real_batch=p.real_batch,
        augment=p.augment,
        lr=p.lr,
        momentum=p.momentum,
        precision=p.precision,
        **more,
    )
    return match.FeatureMatching(problem, features)


def cost(spec: DistillSpec[DMParams], shape: Shape, classes: int) -> Work:
    """Real images forward, synthetic images forward and backward, per network and iteration."""
    p = spec.params
    images = p.nets * classes * (p.real_batch + 3 * spec.images_per_class(shape, classes))
    return Work(p.iterations * images * image_macs(spec.net, shape, classes), images)


def presets(
    data: str, shape: Shape, ipc: int, variant: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Small images: a narrow network for the CPU. Others: narrow for quick, as published for paper."""
    strategy = dsa_strategy(data)
    paper_protocol = PROTOCOLS["dsa" if mirrored(data) else "dsa-digits"]
    if small(shape):
        common = {"net": NetSpec(width=16, depth=2), "protocol": PROTOCOLS["quick"]}
        quick = {"nets": 4, "real_batch": 64, "lr": max(1.0, ipc), "augment": ""}
        return {
            "quick": {**common, "params": {**quick, "iterations": 300}},
            "teaching": {**common, "params": {**quick, "iterations": 1000}},
            "paper": {**common, "params": {"augment": strategy, "iterations": 20_000}},
        }
    narrow = {
        "net": NetSpec(width=32, depth=3),
        "protocol": PROTOCOLS["quick"].replace(nets=5),
        "validations": 4,
    }
    short = {"augment": strategy, "lr": max(1.0, ipc)}
    teaching = {**narrow, "params": {**short, "iterations": 1000, "real_batch": 64}}
    return {
        "quick": {**narrow, "params": {**short, "iterations": 200, "real_batch": 32}},
        "teaching": teaching,
        **hour(shape, teaching, iterations=5000, real_batch=128),
        "paper": {
            "net": NetSpec(width=128, depth=3),
            "protocol": paper_protocol,
            "validations": 10,
            "params": {"augment": strategy, "lr": 10.0 if ipc >= 100 else 1.0},
        },
    }


def class_wise(spec: DistillSpec[DMParams]) -> bool:
    """Each class has its own means, unless batch norm or shared parts of images tie classes together."""
    return spec.net.norm != "batch" and spec.parametrization == "pixels"


METHOD = Method(
    name="dm",
    title="Distribution matching",
    family="match",
    idea="Make synthetic images whose average features equal those of real images, class by class, "
    "in many random networks.",
    explanation="Random networks turn images into features; real and synthetic images of a class "
    "should have the same average feature in all of them. Each iteration draws a new network, which is "
    "never trained, and moves the synthetic images so that the averages come closer. No second "
    "derivatives are needed, so this is the cheapest method and the one that scales furthest.",
    paper="Zhao & Bilen 2021, Dataset Condensation with Distribution Matching",
    formula=r"\min_S \; \mathbb{E}_{\theta,\omega} \sum_c \left\| "
    r"\overline{f_\theta(A_\omega(T_c))} - \overline{f_\theta(A_\omega(S_c))} \right\|^2",
    params=DMParams,
    build=build,
    cost=cost,
    presets=presets,
    shipped=(({}, (1, 10)),),
    smallest={"nets": "2", "real_batch": "8"},
    not_labels=shared.CLASSES_ONLY,
    class_wise=class_wise,
    caveat="With one image per class the optimum lies near the class mean: compare with it.",
)
