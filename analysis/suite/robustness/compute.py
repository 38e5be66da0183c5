"""The task `robustness`: from sets to a result and arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from analysis.shared.along import SeenAlong, followed, looked_at
from analysis.shared.set_ups import usual
from analysis.shared.stand_ins import trained_on
from analysis.suite.robustness.attacks import attacked, outputs
from analysis.suite.robustness.result import RobustnessFound
from analysis.suite.robustness.spec import RobustnessTask, net_of
from analysis.task import opened, save
from ddcore.base import rng
from ddcore.data.tensors import DeviceData

if TYPE_CHECKING:
    from torch import Tensor

    from ddcore.data import Dataset
    from ddcore.data.preprocess import Preprocess
    from ddcore.tasks.worker import Context
    from ddcore.training.trained import TrainedNets

BATCH = 250  # images that are attacked at once, in all networks
SHOWN = 10  # classes of which a change is kept


def run(context: Context[RobustnessTask]) -> None:
    """Task `robustness`: accuracy of networks under attacks, along training and by bound."""
    spec = context.spec
    given = opened(context)
    chosen, protocol, net = given.chosen, usual(spec.iterations), net_of(spec, given.chosen)
    data = DeviceData(given.dataset, context.device)
    sources = trained_on(given, data, protocol, spec.nets, spec.seed, more=spec.more)
    seeds = [rng.derive(spec.seed, "robustness", i) for i in range(spec.nets)]
    looks = looked_at(spec.iterations, spec.looks)
    pixels, labels, first = _tested(given.dataset, spec, context.device)
    look = _look(spec, given.dataset.preprocessing, pixels, labels, first)
    seen = followed(context, sources, net, chosen.classes, protocol, seeds, looks, look)
    result = RobustnessFound(
        sources=tuple(s.facts for s in sources),
        looks=looks,
        accuracy=seen["accuracy"].tolist(),
        robust=seen["robust"].tolist(),
        bounds=spec.bounds,
        followed=spec.followed,
        fgsm=seen["fgsm"][:, 0].swapaxes(1, 2).tolist(),
        pgd=seen["pgd"][:, 0].swapaxes(1, 2).tolist(),
        network=net.label(),
        iterations=spec.iterations,
        steps=spec.steps,
        images=len(labels),
        nets=spec.nets,
    )
    moved = {f"change.{s.facts.key}": seen["change"][i, 0, 0] for i, s in enumerate(sources)}
    save(context, given, result, moved)


def _tested(
    dataset: Dataset, spec: RobustnessTask, device: str
) -> tuple[Tensor, Tensor, list[int]]:
    """Pixels 0..1 and labels of a draw of test images; the first place of each class among them."""
    order = torch.randperm(len(dataset.test_labels), generator=rng.generator(spec.seed, "attacked"))
    rows = order[: spec.images].numpy()
    pixels = torch.from_numpy(dataset.test_images[rows].astype(np.float32) / 255)
    labels = dataset.test_labels[rows]
    first = [int(np.argmax(labels == c)) for c in range(dataset.num_classes) if c in labels]
    return pixels.to(device), torch.from_numpy(labels).to(device), first[:SHOWN]


def _look(
    spec: RobustnessTask,
    preprocessing: Preprocess,
    pixels: Tensor,
    labels: Tensor,
    first: list[int],
) -> Callable[[TrainedNets, bool], SeenAlong]:
    def share(nets: TrainedNets, bound: float, steps: int) -> np.ndarray:
        of, count = outputs(nets, preprocessing), nets.network.num_nets
        right = [
            attacked(of, x, y, count, bound, steps)[0]
            for x, y in zip(pixels.split(BATCH), labels.split(BATCH))
        ]
        return torch.cat(right, dim=1).double().mean(1).cpu().numpy()

    def look(nets: TrainedNets, ended: bool) -> SeenAlong:
        predicted = torch.cat(
            [
                outputs(nets, preprocessing)(x.expand(nets.network.num_nets, *x.shape)).argmax(-1)
                for x in pixels.split(BATCH)
            ],
            dim=1,
        )
        found = {
            "accuracy": (predicted == labels).double().mean(1).cpu().numpy(),
            "robust": share(nets, spec.followed, spec.steps),
        }
        if ended:
            one, count = outputs(nets, preprocessing), nets.network.num_nets
            _, moved = attacked(one, pixels[first], labels[first], count, spec.followed, spec.steps)
            change = (moved - pixels[first]).cpu().numpy().astype(np.float16)
            found |= {
                "fgsm": np.stack([share(nets, bound, 1) for bound in spec.bounds], axis=1),
                "pgd": np.stack([share(nets, bound, spec.steps) for bound in spec.bounds], axis=1),
                "change": change,
            }
        return found

    return look
