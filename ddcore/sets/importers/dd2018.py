"""Dataset Distillation (Wang et al. 2018): `torch.save([(images, labels, lr), ...], "results.pth")`.

One triple per step of gradient descent, steps x passes of them: the same images come back in every pass,
the learned step size is a new one each time. Networks have to follow that order. Images are
normalised; the constants of CIFAR-10, SVHN and USPS are others than in later code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddcore.base.errors import DataError
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.sets.importers.base import Importer, ReadSet, Stored, convnet
from ddcore.sets.importers.facts import images_of, labels_of

MAX_TRIPLES = 2000


def fits(files: Sequence[Stored]) -> bool:
    """One list of triples: images, labels, a step size."""
    content = files[0].content
    return len(files) == 1 and isinstance(content, list) and all(map(_is_triple, content or [0]))


def _is_triple(part: Any) -> bool:
    return (
        isinstance(part, list)
        and len(part) == 3
        and isinstance(part[0], np.ndarray)
        and isinstance(part[1], np.ndarray)
    )


def read(files: Sequence[Stored], experiment: int) -> ReadSet:
    """The images of all steps in order, and a step size per step and pass."""
    triples, name = files[0].content, files[0].name
    if len(triples) > MAX_TRIPLES:
        raise DataError(f"{name} holds {len(triples)} steps: at most {MAX_TRIPLES} can be opened.")
    lrs = np.array([_step_size(t[2], k) for k, t in enumerate(triples)], np.float32)
    steps = _period([t[0] for t in triples])
    used = triples[:steps]
    if len({t[0].shape for t in used}) > 1:
        raise DataError(f"The steps in {name} have different numbers of images: expected the same.")
    images = np.concatenate([images_of(t[0], name) for t in used])
    labels = np.concatenate([labels_of(t[1], name) for t in used])
    notes = (
        "It works on the kind of network it was made for: if that was one known initialisation, which "
        "this file does not hold, other networks learn little from it.",
    )
    return ReadSet(images, labels, steps=steps, lrs=lrs, notes=notes)


def _step_size(value: Any, k: int) -> float:
    sizes = np.asarray(np.nan if value is None else value, np.float32).ravel()
    if len(sizes) != 1 or not (np.isfinite(sizes[0]) and sizes[0] > 0):
        raise DataError(f"Step {k + 1} has no step size above 0: expected a learned one for each.")
    return float(sizes[0])


def _period(images: list[np.ndarray]) -> int:
    """After how many steps the images come back."""
    for steps in range(1, len(images)):
        if len(images) % steps == 0 and all(
            images[k] is images[k % steps] or np.array_equal(images[k], images[k % steps])
            for k in range(steps, len(images))
        ):
            return steps
    return len(images)


def protocol(data: str, names: Sequence[str], shape: Shape) -> str:
    """Plain gradient descent through the steps."""
    return "native-2018"


def net(shape: Shape) -> NetSpec:
    """The paper's network for images of this size."""
    if shape[1] >= 28:
        return NetSpec(arch="lenet" if shape[0] == 1 else "alexcifarnet", init="xavier")
    return convnet(shape).replace(init="xavier")


IMPORTER = Importer(
    name="dd2018",
    title="Dataset Distillation (2018)",
    files="one file called results.pth.",
    about="Written by the official code of Wang et al. 2018: images, labels and a learned step size for "
    "every step, to be used in exactly that order. Images are normalised.",
    fits=fits,
    read=read,
    protocol=protocol,
    method=lambda names: "dd2018",
    net=net,
    scale="normalised",
    constants={
        "cifar10": ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)),
        "svhn": ((0.43791, 0.44398, 0.47293), (0.19803, 0.201016, 0.197036)),
        "usps": ((0.159727,), (0.257267,)),
    },
)
