"""DANCE: Zhang et al., "DANCE: Dual-View Distribution Alignment for Dataset Condensation" (2024).

Distribution matching with two changes: networks between the start and the end of a training on real data
instead of fresh ones, and images that trained networks can tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.fields import number
from ddcore.data.registry import mirrored
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Params, Work
from ddcore.distil.presets import dsa_strategy, hour
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, small
from ddcore.pools.trajectory_spec import TrajectoryTask
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem


@dataclass(frozen=True, kw_only=True)
class DANCEParams(Params):
    """Experts are trained on real data, once for all runs that ask for the same ones. Networks between an
    expert's start and its end, and real images, are drawn in every iteration."""

    iterations: int = 10_000
    experts: int = number(20, 1, 10_000, "Networks trained on real data.", unit="networks")
    epochs: int = number(60, 1, 10_000, "Epochs of each expert.", unit="epochs")
    expert_lr: float = number(0.01, 1e-6, 100, "Step size of experts.")
    expert_momentum: float = number(0.9, 0, 0.999, "Momentum of experts.")
    expert_batch: int = number(256, 1, 100_000, "Images per step of experts.", unit="images")
    expert_augment: str = shared.augment("", help="Drawn per image, for experts.")
    calibration: float = number(
        1.0, 0, 1000, "Weight of the cross-entropy of trained experts on the set; 0: none."
    )
    nets: int = shared.nets()
    real_batch: int = shared.real_batch(256)
    lr: float = shared.lr(0.25, low=1e-6, high=1e5, help="Step size")
    momentum: float = shared.momentum()
    augment: str = shared.augment()

    def check_with(self, spec: DistillSpec) -> None:
        """Between two trainings' running statistics there is no line."""
        shared.require_weights_only(spec.net)


def experts(spec: DistillSpec[DANCEParams]) -> TrajectoryTask:
    """The trainings whose start and end a run knows."""
    return shared.experts(spec, spec.params.expert_augment)


def build(problem: Problem[DistillSpec[DANCEParams]]) -> Distiller:
    """Feature matching between; trains the experts first if nobody has."""
    return matching(problem)


def matching(problem: Problem[DistillSpec[DANCEParams]], **more: Any) -> Distiller:
    """Feature matching between start and end, with `more` fields of `match.Features`."""
    from ddcore.distil.engines.between_match import Between, BetweenMatching
    from ddcore.distil.engines.match import Features
    from ddcore.pools.trajectory import Trajectories

    p = problem.spec.params
    trained = Trajectories(problem.need(experts(problem.spec)))
    features = Features(
        nets=p.nets,
        real_batch=p.real_batch,
        augment=p.augment,
        lr=p.lr,
        momentum=p.momentum,
        **more,
    )
    between = Between(experts=trained, epochs=p.epochs, calibration=p.calibration)
    return BetweenMatching(problem, features, between)


def cost(spec: DistillSpec[DANCEParams], shape: Shape, classes: int) -> Work:
    """Real images forward, synthetic images forward and backward twice, per network and iteration."""
    p = spec.params
    images = p.nets * classes * (p.real_batch + 6 * spec.images_per_class(shape, classes))
    return Work(
        p.iterations * images * image_macs(spec.net, shape, classes), images, 2.0 * p.experts
    )


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Small images: plain pixels and the experts of mtt. Others: few of them, narrow, then as published."""
    strategy = dsa_strategy(data)
    if small(shape):
        return _for_digits(ipc)
    # Within 0..1, as published: a step of 0.01 on a pixel is one of 0.01 / 0.2^2 on a normalised one.
    tiles = {"parametrization": "tiles", "knobs": {"clamp": True}}
    narrow = {
        **tiles,
        "net": NetSpec(width=32, depth=3),
        "protocol": PROTOCOLS["quick"].replace(nets=5),
        "validations": 4,
    }
    short = {"augment": strategy, "lr": 0.25 * ipc, "experts": 5, "epochs": 4, "expert_batch": 128}
    teaching = {**narrow, "params": {**short, "iterations": 1000, "real_batch": 64}}
    return {
        "quick": {**narrow, "params": {**short, "iterations": 200, "real_batch": 32}},
        "teaching": teaching,
        **hour(shape, teaching, iterations=4000, real_batch=128, experts=10, epochs=10),
        "paper": {
            **tiles,
            "net": NetSpec(width=128, depth=3),
            "protocol": PROTOCOLS["dsa" if mirrored(data) else "dsa-digits"],
            "validations": 10,
            "params": {"augment": strategy, "lr": 0.25 * ipc},
        },
    }


def _for_digits(ipc: int) -> dict[str, dict[str, Any]]:
    """Less cross-entropy than published: ten images per class reach 91.5 % with all of it, 94.0 % so, 95.0 %
    without (one seed each)."""
    common = {"net": NetSpec(width=16, depth=2), "protocol": PROTOCOLS["quick"]}
    known = {"experts": 10, "epochs": 12, "expert_lr": 0.05, "expert_batch": 64}
    quick = {**known, "expert_momentum": 0.0, "nets": 4, "real_batch": 64, "augment": ""}
    quick |= {"lr": 1.0 * ipc, "calibration": 0.1}
    return {
        "quick": {**common, "params": {**quick, "iterations": 300}},
        "teaching": {**common, "params": {**quick, "iterations": 1000}},
        "paper": {**common, "params": {**quick, "iterations": 10_000}},
    }


METHOD = Method(
    name="dance",
    title="Matching between start and end (DANCE)",
    family="match",
    idea="Match average features in networks between the start and the end of training, and keep classes "
    "apart for trained networks.",
    explanation="As in distribution matching, synthetic and real images of a class should have the same "
    "average features. The networks lie on the line between the random start and the end of a training on "
    "real data, so they know more of the classes than random ones. A second term asks that trained networks "
    "recognise each image's class. No second derivatives are needed.",
    paper="Zhang et al. 2024, DANCE: Dual-View Distribution Alignment for Dataset Condensation",
    formula=r"\min_S \; \mathbb{E}_{u,\omega} \sum_c \Big( \big\| "
    r"\overline{f_{\theta_u}(A_\omega(T_c))} - \overline{f_{\theta_u}(A_\omega(S_c))} \big\|^2 + "
    r"\lambda \, \overline{\ell_{\theta_1}(A_\omega(S_c), c)} \Big), \quad "
    r"\theta_u = (1-u)\,\theta_0 + u\,\theta_1",
    params=DANCEParams,
    build=build,
    cost=cost,
    presets=presets,
    prepares=lambda spec: [experts(spec)],
    shipped=(({}, (1, 10)),),
    smallest={"nets": "2", "real_batch": "8", "experts": "2", "epochs": "2"},
    not_labels=shared.CLASSES_ONLY,
    caveat="Its experts are trained first and kept for other runs; estimates of time leave them out. All "
    "classes take a step together, where the published code goes class by class.",
)
