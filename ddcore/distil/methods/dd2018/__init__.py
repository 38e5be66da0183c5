"""Dataset distillation: Wang, Zhu, Torralba & Efros (2018).

Learn images, and the step sizes they are used with, such that a network trained on them by a few steps
of gradient descent does well on real data: the gradient of that real loss is taken through training.
The paper's settings differ in where that training starts and in what is asked of the trained network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddcore.distil.contract import Method, Work
from ddcore.distil.methods.dd2018.params import SETTINGS, DD2018Params, check_classes
from ddcore.distil.methods.dd2018.presets import presets
from ddcore.nets.architectures import image_macs
from ddcore.nets.plan import Shape

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.engines.meta import Starts
    from ddcore.distil.problem import Distiller, Problem


def build(problem: Problem[DistillSpec[DD2018Params]]) -> Distiller:
    """Meta-learning through gradient descent in a fixed order, with learned step sizes."""
    from ddcore.distil.engines import meta

    p = problem.spec.params
    if p.relabel:
        check_classes(p, problem.classes)
    known = p.setting == "fixed"
    return meta.MetaLearning(
        problem,
        meta.Inner(steps=p.steps * p.passes, lr=p.lr0, learned="step"),
        meta.Outer(
            real_batch=p.real_batch,
            lr=p.lr,
            lr_rates=p.lr_rates,
            betas=(p.beta1, 0.999),
            clip=p.clip,
            decay=p.decay,
            decay_every=p.decay_every,
            relabel=p.relabel,
        ),
        _starts(problem),
        p.nets,
        known=known,
    )


def _starts(problem: Problem[DistillSpec[DD2018Params]]) -> Starts:
    """The weights of every iteration."""
    from ddcore.distil.engines import meta
    from ddcore.pools import bank

    p, start = problem.spec.params, problem.spec.start
    network = problem.network(start.bank.nets if start.bank else 1)
    weights = bank.start_weights(start, network, "training", problem.need, problem.device)
    if weights is None:
        return meta.fixed(problem) if p.setting == "fixed" else meta.fresh(problem, p.nets)
    return meta.sampled(problem, weights, p.nets)


def cost(spec: DistillSpec[DD2018Params], shape: Shape, classes: int) -> Work:
    """Per inner step a gradient (3 passes) and its recomputation with a double backward (9)."""
    p = spec.params
    images = p.passes * classes * spec.images_per_class(shape, classes)
    macs = p.iterations * p.nets * (12 * images + 3 * p.real_batch)
    held = p.nets * max(3 * images / (p.passes * p.steps), p.real_batch)
    return Work(
        macs * image_macs(spec.net, shape, classes), held, p.nets * (p.steps * p.passes + 2)
    )


METHOD = Method(
    name="dd2018",
    title="Dataset distillation (2018)",
    family="unroll",
    idea="Learn images and step sizes by differentiating the real loss through training itself.",
    explanation="A network takes a few steps of gradient descent on the synthetic images; how well it "
    "then does on real data is differentiated with respect to the images and to the step sizes. With "
    "one fixed initialisation a handful of noise-like images suffices, for that network alone; with a "
    "fresh one in each iteration they must work for all. Starting from trained networks instead, the "
    "images adapt these to other data, or make them take one class for another.",
    paper="Wang, Zhu, Torralba & Efros 2018, Dataset Distillation",
    formula=r"\min_{X,\eta} \; \mathbb{E}_{\theta_0} \, \ell(T, \theta_K), \quad "
    r"\theta_{k+1} = \theta_k - \eta_k \nabla \ell(X_{k \bmod S}, \theta_k)",
    params=DD2018Params,
    build=build,
    cost=cost,
    presets=presets,
    shipped=(({"setting": "unknown"}, (1, 10)), ({"setting": "fixed"}, (1, 10))),
    smallest={"passes": "3", "real_batch": "32", "bank": "4", "bank_epochs": "1"},
    variants={"setting": tuple(SETTINGS)},
    caveat="The images need their own order and step sizes; with a fixed initialisation they are "
    "worthless for any other, which the Evaluate page shows.",
    not_parametrizations={
        "canvas": "every step has images of its own, and a canvas gives another crop in each use",
    },
)
