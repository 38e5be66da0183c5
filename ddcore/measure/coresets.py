"""Real images that a teacher's scores choose, class by class: easiest, medium, hardest, EL2N, forgetting.

Scores are means over networks, larger for images that are harder to learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base import rng
from ddcore.data.tensors import DeviceData
from ddcore.measure.regimes import TEACHER_NETS, teacher_pool
from ddcore.measure.spec import BaselineTask
from ddcore.pools.networks import load
from ddcore.tasks.worker import Context
from ddcore.training.protocols import whole_protocol
from ddcore.training.train import train
from ddcore.training.trained import TrainedNets

EARLY = (
    10  # EL2N looks at networks after this part of their training (Paul et al.: 20 of 200 epochs)
)


def indices(spec: BaselineTask, data: DeviceData, context: Context[BaselineTask]) -> Tensor:
    """(K * ipc,) training rows, class by class."""
    scores = _SCORES.get(spec.name, _errors)(spec, data, context)
    generator = rng.generator(spec.seed, "ties")
    members = [m.cpu() for m in data.class_indices]
    return torch.cat([chosen(scores, m, spec.ipc, spec.name, generator) for m in members])


def chosen(
    scores: Tensor, members: Tensor, count: int, name: str, generator: torch.Generator
) -> Tensor:
    """Of rows `members`, those that coreset `name` keeps by `scores` (M,); ties in random order.

    easiest keeps the smallest, medium those in the middle of their order, all others the largest.
    """
    mixed = members[torch.randperm(len(members), generator=generator)]
    ordered = mixed[scores[mixed].argsort(stable=True)]
    first = {"easiest": 0, "medium": (len(members) - count) // 2}
    start = first.get(name, len(members) - count)
    return ordered[start : start + count]


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over networks of each image's cross-entropy: logits (N, B, K), labels (B,), result (B,) float64.

    As log(1 + sum of exp(z_j - z_c) over other classes j), which tells sure images apart: their probabilities
    are rounded to one.
    """
    own = F.one_hot(labels, logits.shape[2]).bool()
    precise = logits.double()
    others = precise.masked_fill(own, -torch.inf).logsumexp(2)
    margins = others - (precise * own).sum(2)
    return F.softplus(margins, threshold=50).mean(0)


def error_norms(logits: Tensor, labels: Tensor) -> Tensor:
    """EL2N (Paul, Ganguli & Dziugaite 2021): mean over networks of ||softmax(z) - one-hot||₂, as (B,)."""
    said = logits.double().softmax(2)
    return (said - F.one_hot(labels, logits.shape[2])).norm(dim=2).mean(0)


def forgetting(correct: Tensor) -> Tensor:
    """How often images were right at one look and wrong at the next (Toneva et al. 2019).

    `correct` are bool (T, N, B) of T looks at N networks; the result (B,) is the mean over networks. An image
    that a network is never right about counts as if forgotten at every look.
    """
    lost = (correct[:-1] & ~correct[1:]).sum(0).float()
    never = ~correct.any(0)
    return torch.where(never, float(len(correct)), lost).mean(0)


def _errors(spec: BaselineTask, data: DeviceData, context: Context[BaselineTask]) -> Tensor:
    """Cross-entropy of the networks that teach."""
    return cross_entropies(*_outputs(spec, data, context, 0))


def _early_errors(spec: BaselineTask, data: DeviceData, context: Context[BaselineTask]) -> Tensor:
    """EL2N of networks early in training."""
    epochs = max(1, whole_protocol(len(data.train)).epochs // EARLY)
    return error_norms(*_outputs(spec, data, context, epochs))


def _outputs(
    spec: BaselineTask, data: DeviceData, context: Context[BaselineTask], epochs: int
) -> tuple[Tensor, Tensor]:
    """Outputs (N, M, K) of a teacher on all training images, and their labels, on the CPU."""
    pool = context.need(teacher_pool(spec.data, spec.judge, epochs, spec.seed))
    nets = load(pool, context.device)
    return torch.cat(nets.logits_in_batches(data.train), dim=1), data.train.labels.cpu()


def _forgotten(spec: BaselineTask, data: DeviceData, context: Context[BaselineTask]) -> Tensor:
    """Forgetting between epochs, of as many networks as teach, in their whole training."""
    looks: list[list[Tensor]] = []  # of each group of networks that are trained together
    labels = data.train.labels.cpu()

    def look(epoch: int, nets: TrainedNets) -> None:
        if epoch == 0:
            looks.append([])
        else:
            looks[-1].append(nets.predict(data.train) == labels)

    train(
        spec.judge,
        data.batch(torch.arange(len(data.train))),
        data.train.labels,
        data.num_classes,
        whole_protocol(len(data.train)),
        _seeds(spec),
        on_step=context.progress,
        on_epoch=look,
    )
    return forgetting(torch.cat([torch.stack(group) for group in looks], dim=1))


def _seeds(spec: BaselineTask) -> Sequence[int]:
    return [rng.derive(spec.seed, "forgetting", i) for i in range(TEACHER_NETS)]


_SCORES = {"el2n": _early_errors, "forgetting": _forgotten}
