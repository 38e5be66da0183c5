"""What a set did that was made to let networks mistake one class for another."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ddcore.base.spread import summary
from ddcore.training.labels import relabelled
from ddcore.training.trained import agreement


def attack_figures(
    predicted: Tensor, labels: Tensor, relabel: tuple[int, int], classes: int
) -> dict[str, Any]:
    """What an attack did, from predictions (N, B) and true labels (B,).

    accuracy: share of all images classified by their true labels; modified: by labels in which the
    attacked class counts as the target; flipped: share of the attacked class's images called the target;
    others: accuracy on all other classes, of which per_class has the networks' mean (K,). The first four
    are summaries over networks.
    """
    attacked, target = relabel
    labels = labels.to(predicted.device)
    hit, chosen = predicted == labels, labels == attacked
    shares = {
        "accuracy": agreement(predicted, labels),
        "modified": agreement(predicted, relabelled(labels, relabel)),
        "flipped": (predicted[:, chosen] == target).float().mean(1).tolist(),
        "others": hit[:, ~chosen].float().mean(1).tolist(),
    }
    per_class = [hit[:, labels == c].float().mean().item() for c in range(classes)]
    return {
        "attacked": attacked,
        "target": target,
        **{name: summary(values) for name, values in shares.items()},
        "per_class": per_class,
        "images": int(chosen.sum()),
    }
