"""Parameters that several methods have, declared once.

A method gives its default, and its bounds and words where they differ.
"""

from __future__ import annotations

from typing import Any

from ddcore.base.errors import SpecError
from ddcore.base.fields import choice, number, text
from ddcore.nets import published
from ddcore.nets.architectures import NetSpec
from ddcore.pools.trajectory_spec import TrajectoryTask
from ddcore.training import strategies

EXPERT_SEED = 0  # not the run's: all runs with the same data, network and experts share them
CLASSES_ONLY = {  # labels that matching of features class by class cannot take
    "soft": "class means need one class per image",
    "learned": "labels do not enter the distance between class means",
}
DSA = "color_crop_cutout_flip_scale_rotate"


def nets(
    default: int = 1, help: str = "Networks drawn in every iteration, trained at once."
) -> Any:
    """How many networks an iteration sees."""
    return number(default, 1, 1000, help, unit="networks")


def real_batch(default: int) -> Any:
    """Real images that an iteration looks at, class by class."""
    return number(
        default, 1, 100_000, "Real images of each class in every iteration.", unit="images"
    )


def real_images(default: int) -> Any:
    """Real images that an iteration looks at."""
    return number(default, 1, 1_000_000, "Real images in every iteration.", unit="images")


def kernel_images(default: int, help: str = "Real images in every iteration.") -> Any:
    """As many as one system of equations takes."""
    return number(default, 10, 50_000, help, unit="images")


def ridge(default: float) -> Any:
    """Of a kernel machine."""
    return number(default, 1e-12, 1e3, "Ridge, relative to the mean of the kernel's diagonal.")


def lr(default: float, low: float = 1e-7, high: float = 100, help: str = "Adam's step size") -> Any:
    """Step size of what is stored."""
    return number(default, low, high, f"{help} for the images.")


def optimiser(default: str = "sgd") -> Any:
    """What moves the images."""
    return choice(default, ("sgd", "adam"), "The optimiser of the images.")


def momentum(default: float = 0.5) -> Any:
    """Of what moves the images."""
    return number(default, 0, 0.999, "Momentum of sgd for the images.")


def clip(default: float) -> Any:
    """Bound of a gradient."""
    return number(default, 0, 1e6, "Bound of the norm of the images' gradient; 0: none.")


def decay(default: float = 0.5) -> Any:
    """Of step sizes."""
    return number(
        default, 0.01, 1, "What multiplies the step sizes every `decay_every` iterations."
    )


def decay_every(default: int = 0) -> Any:
    """When step sizes fall."""
    return number(
        default, 0, 10_000_000, "Iterations between two falls of the step sizes; 0: none."
    )


def augment(default: str = DSA, help: str = "Drawn for real and synthetic images alike.") -> Any:
    """A strategy of augmentation."""
    return strategies.augment(default, help)


# --- crops of real images, chosen by a teacher -------------------------------------------------------

CANDIDATES = 300  # of each class, as published (RDED)


def candidates() -> Any:
    """Real images among which crops are chosen."""
    text = "Random images of each class that are looked at."
    return number(CANDIDATES, 1, 1_000_000, text, unit="images")


def crops() -> Any:
    """Of each of them."""
    return number(5, 1, 100, "Random crops of each, of which the easiest counts.")


def area() -> Any:
    """Of a crop."""
    return number(0.08, 0.001, 1, "Smallest part of an image that a crop shows.")


def teacher(later: bool = False) -> Any:
    """Who judges."""
    return text(
        "",
        "A teacher from a file: one of torchvision's networks, such as resnet18-f37072fd; empty: five "
        "networks that are trained here.",
        grammar=lambda field, word: published.parse(field, word) if word else None,
        later=later,
    )


def require_crops(spec: Any, needed: int) -> None:
    """Enough crops of a class, of images that may be moved; else `SpecError`."""
    if spec.params.candidates < needed:
        allowed = f"at least {needed}, one for each tile of a class"
        raise SpecError("candidates", spec.params.candidates, allowed)
    require_movable(spec)


def require_movable(spec: Any) -> None:
    """`SpecError` on images that may not be moved."""
    if spec.data.preprocess == "zca":
        allowed = "normalise: whitening treats every place in the image differently"
        raise SpecError("preprocess", "zca", allowed)


# --- training on the set, where it is differentiated ------------------------------------------------


def steps() -> Any:
    """Parts of a set."""
    text = "Parts the set is split into, used one after the other; `ipc` must be a multiple."
    return number(1, 1, 1000, text)


def passes(default: int) -> Any:
    """How often these parts are used."""
    return number(default, 1, 1000, "How many times over the parts are used.")


def first_lr(default: float = 0.02) -> Any:
    """Of step sizes that are learned for every step."""
    text = "First step size; one is learned for every step of every pass."
    return number(default, 1e-6, 100, text)


def inner_steps(default: int) -> Any:
    """Length of training on the set."""
    return number(default, 1, 10_000, "Steps of training on the set.")


def inner_lr(default: float, high: float = 100) -> Any:
    """Step size of training on the set."""
    return number(default, 1e-6, high, "Step size of training on the set.")


def inner_momentum(default: float = 0.9) -> Any:
    """Of training on the set."""
    return number(default, 0, 0.999, "Momentum of training on the set.")


def inner_batch(default: int) -> Any:
    """Images of a step."""
    text = "Random images of each class in every step of training on the set; 0: all of them."
    return number(default, 0, 10_000, text, unit="images")


def lr_rates(default: float) -> Any:
    """Of a step size that is learned."""
    return number(default, 0, 100, "Step size of the learned step size of training on the set.")


# --- experts: trainings on real data that a run knows -----------------------------------------------


def experts(spec: Any, augment: str) -> TrajectoryTask:
    """The trainings of a run whose parameters have `experts`, `epochs`, `expert_lr`, ..."""
    p = spec.params
    return TrajectoryTask(
        data=spec.data,
        net=spec.net,
        nets=p.experts,
        epochs=p.epochs,
        lr=p.expert_lr,
        momentum=p.expert_momentum,
        batch=p.expert_batch,
        augment=augment,
        seed=EXPERT_SEED,
    )


def require_weights_only(net: NetSpec) -> None:
    """Running statistics are no weights: a trajectory of weights does not say them. `SpecError` on them."""
    if net.norm == "batch":
        raise SpecError("net.norm", "batch", "a norm without running statistics")
