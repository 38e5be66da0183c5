"""Dataset condensation by gradient matching (DC): Zhao, Mopuri & Bilen (2021).

What dsa and dcc share with it is here too: parameters, wiring, cost and loops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.errors import SpecError
from ddcore.base.fields import choice, number
from ddcore.distil import fields as shared
from ddcore.distil.contract import Method, Params, Work
from ddcore.distil.presets import hour
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape, small
from ddcore.training.protocols import PROTOCOLS, Protocol

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem

DISTANCES = {
    "dc": "1 - cosine for every output channel",
    "mse": "squared differences",
    "l1": "absolute differences",
    "cos": "1 - cosine of everything as one vector",
}
HARD_ONLY = {
    "soft": "gradients are compared class by class, so an image needs one class",
    "learned": "gradients are compared class by class, so an image needs one class",
}


@dataclass(frozen=True, kw_only=True)
class DCParams(Params):
    """An iteration is one comparison of gradients; in between the networks are trained on the set."""

    iterations: int = 1000
    matches: int = number(1, 1, 10_000, "Comparisons after which fresh networks are drawn.")
    inner_epochs: int = number(1, 0, 10_000, "Epochs of training between two comparisons.")
    inner_lr: float = shared.inner_lr(0.01)
    inner_batch: int = number(256, 1, 100_000, "Images per step of that training.", unit="images")
    nets: int = shared.nets(help="Networks at once.")
    real_batch: int = shared.real_batch(256)
    distance: str = choice("dc", DISTANCES, "How gradients are compared.")
    optimiser: str = shared.optimiser()
    lr: float = shared.lr(0.1, high=1e5, help="Step size")
    momentum: float = shared.momentum()

    def check_with(self, spec: DistillSpec) -> None:
        """One image per class has no batch statistics."""
        no_batch_norm(spec)


def no_batch_norm(spec: DistillSpec) -> None:
    """Refuse batch norm: in a class of few synthetic images it has no statistics to speak of."""
    if spec.net.norm == "batch":
        raise SpecError("net.norm", "batch", "a norm without running statistics")


def build(problem: Problem[DistillSpec[DCParams]]) -> Distiller:
    """Gradient matching on networks that are trained on the set."""
    return matching(problem)


def matching(
    problem: Problem[DistillSpec[DCParams]],
    augment: str = "",
    collective: tuple[int, int] | None = None,
) -> Distiller:
    """DC, with DSA's augmentation or DCC's schedule if asked for."""
    from ddcore.distil.engines import gradient_match as gm

    p = problem.spec.params
    strategies = (augment,) if augment else ()
    recipe = Protocol(
        lr=p.inner_lr, momentum=0.0, weight_decay=0.0, epochs=p.inner_epochs, batch=p.inner_batch
    )
    return gm.GradientMatching(
        problem,
        gm.Matching(
            distance=p.distance,
            real_batch=p.real_batch,
            augment=strategies,
            collective=collective,
        ),
        gm.NetTraining(recipe=recipe, augment=strategies),
        gm.SetUpdates(matches=p.matches, lr=p.lr, optimiser=p.optimiser, momentum=p.momentum),
        p.nets,
    )


def cost(spec: DistillSpec[DCParams], shape: Shape, classes: int) -> Work:
    """Real gradients (3 passes), synthetic ones and their derivative (9), and training in between."""
    p = spec.params
    images = classes * spec.images_per_class(shape, classes)
    trained = p.inner_epochs * images * (p.matches - 1) / p.matches
    per_step = p.nets * (3 * classes * p.real_batch + 9 * images + 3 * trained)
    return Work(
        p.iterations * per_step * image_macs(spec.net, shape, classes),
        p.nets * 3 * images,
        p.nets * 4 * classes,
    )


_LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}


def published_loops(ipc: int) -> dict[str, int]:
    """Comparisons per network and epochs in between, for 1000 networks; others follow the same rule."""
    matches, epochs = _LOOPS.get(ipc, (ipc, max(1, round(500 / ipc))))
    return {"iterations": 1000 * matches, "matches": matches, "inner_epochs": epochs}


def matching_presets(
    shape: Shape, ipc: int, paper: Protocol, init: str, extra: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Small images: class means, few steps with Adam. Others: narrow, then as published.

    `extra` are parameters of every preset, `init` how the published images start.
    """
    loops = {"matches": 10, "inner_epochs": 2}
    if small(shape):
        common = {"net": NetSpec(width=16, depth=2), "protocol": PROTOCOLS["quick"]}
        quick = {**loops, "inner_lr": 0.05, "real_batch": 64, "optimiser": "adam", "lr": 0.02}
        quick |= extra
        return {
            "quick": {**common, "init": "mean", "params": {**quick, "iterations": 600}},
            "teaching": {**common, "init": "mean", "params": {**quick, "iterations": 3000}},
            "paper": {**common, "init": init, "params": {**published_loops(ipc), **extra}},
        }
    narrow = {
        "net": NetSpec(width=32, depth=3),
        "protocol": PROTOCOLS["quick"].replace(nets=5),
        "validations": 4,
        "init": "real",
    }
    short = {**loops, "real_batch": 32, "optimiser": "adam", "lr": 0.03, **extra}
    teaching = {**narrow, "params": {**short, "iterations": 1000, "real_batch": 64}}
    return {
        "quick": {**narrow, "params": {**short, "iterations": 100}},
        "teaching": teaching,
        **hour(shape, teaching, iterations=2500),
        "paper": {
            "net": NetSpec(width=128, depth=3),
            "protocol": paper,
            "init": init,
            "validations": 10,
            "params": {**published_loops(ipc), **extra},
        },
    }


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """As published it starts from noise and is judged without augmentation, but on MNIST."""
    protocol = PROTOCOLS["dc-mnist" if data == "mnist" else "dc"]
    return matching_presets(shape, ipc, protocol, "noise", {})


SMALLEST = {"real_batch": "8", "matches": "4", "inner_epochs": "2"}

METHOD = Method(
    name="dc",
    title="Gradient matching",
    family="match",
    idea="Make synthetic images that push a network's weights in the same direction as real images do.",
    explanation="For each class, the derivative of the loss with respect to the weights is computed on "
    "real and on synthetic images, and the synthetic ones are changed until both point the same way. "
    "This is repeated at many points of training, with the network trained on the synthetic images in "
    "between. A network trained on them should then take a similar path as on real data.",
    paper="Zhao, Mopuri & Bilen 2021, Dataset Condensation with Gradient Matching",
    formula=r"\min_S \; \mathbb{E}_{\theta_0} \sum_t \sum_c "
    r"D\left(\nabla_\theta \ell(S_c, \theta_t), \nabla_\theta \ell(T_c, \theta_t)\right)",
    params=DCParams,
    build=build,
    cost=cost,
    presets=presets,
    shipped=(({}, (1, 10)),),
    smallest=SMALLEST,
    not_labels=HARD_ONLY,
    caveat="The cosine does not see how long a gradient is. With one image per class on small aligned "
    "images the class mean is a strong rival: compare with it.",
)
