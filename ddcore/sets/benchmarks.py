"""Sets as the files that benchmarks of other people read: images normalised their way, sorted by class.

| format | what | read by |
|---|---|---|
| dd-ranking | `images.pt`, `lr.pt`, `config.yaml`, of soft labels `labels.pt` | DD-Ranking (Li et al. 2025) |
| eccv-2024 | `cifar100.pt` | the Dataset Distillation Challenge of ECCV 2024 |

DD-Ranking takes the softmax of what it is given as labels, so they are logarithms; classes are by place.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ddcore.base.errors import SpecError
from ddcore.sets.checks import check
from ddcore.sets.distilled import DistilledSet

if TYPE_CHECKING:
    from torch import Tensor

# As the loaders of both normalise: DD-Ranking takes the figures of CIFAR-10 for CIFAR-100 too.
_CIFAR10 = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
_CIFAR100 = ((0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762))
_DD_RANKING = {"cifar10": "CIFAR10", "cifar100": "CIFAR100"}
_CHALLENGE_IPC = 10


def files(made: DistilledSet, format: str) -> dict[str, bytes]:
    """The files of a benchmark by name; `SpecError` says why a set cannot take part."""
    check(made)
    return {"dd-ranking": _dd_ranking, "eccv-2024": _challenge}[format](made)


def refusal(made: DistilledSet, format: str) -> str:
    """Why a set cannot take part in a benchmark; "" if it can. Nothing is written for it."""
    try:
        if format == "eccv-2024":
            _challenger(made)
        else:
            _known(made, format, _DD_RANKING)
            _log_probabilities(made) if made.soft else None
    except SpecError as refused:
        return str(refused)
    return ""


def _dd_ranking(made: DistilledSet) -> dict[str, bytes]:
    from ddcore.sets.use import Use  # which knows of networks

    name = _known(made, "dd-ranking", _DD_RANKING)
    found = {
        "images.pt": _tensor(_normalised(made, *_CIFAR10)),
        "lr.pt": _tensor(np.float32(Use(made, made.protocol, made.net).recipe.lr)),
        "config.yaml": _config(made, name).encode(),
    }
    if made.soft:
        found["labels.pt"] = _tensor(_log_probabilities(made))
    return found


def _challenge(made: DistilledSet) -> dict[str, bytes]:
    _challenger(made)
    return {"cifar100.pt": _tensor(_normalised(made, *_CIFAR100))}


def _challenger(made: DistilledSet) -> None:
    _known(made, "eccv-2024", {"cifar100": ""})
    if made.ipc != _CHALLENGE_IPC:
        raise SpecError("format", "eccv-2024", f"sets of {_CHALLENGE_IPC} images per class")


def _known(made: DistilledSet, format: str, names: Mapping[str, str]) -> str:
    """The benchmark's name of a set's data, whose classes have to be of one size."""
    data = str(made.data.get("name", ""))
    whole = not made.data.get("classes") and made.shape == (3, 32, 32)
    if data not in names or not whole:
        raise SpecError("format", format, "sets of all classes of " + " or ".join(names))
    counts = np.bincount(made.hard_labels, minlength=made.num_classes)
    if len(set(counts.tolist())) > 1:
        raise SpecError("format", format, "sets with as many images of every class")
    return names[data]


def _by_class(made: DistilledSet) -> np.ndarray:
    return made.hard_labels.argsort(kind="stable")


def _normalised(made: DistilledSet, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Images (M, C, H, W) float32 on the benchmark's scale, by class; pixels are not clamped."""
    by_channel = (np.array(v, np.float32)[:, None, None] for v in (mean, std))
    middle, spread = by_channel
    return ((made.pixels() - middle) / spread)[_by_class(made)].astype(np.float32)


def _log_probabilities(made: DistilledSet) -> np.ndarray:
    """Soft labels (M, K) as logarithms, by class; `SpecError` where they are no distributions."""
    labels = made.labels.astype(np.float64)
    if labels.min() < 0 or labels.sum(1).min() <= 0:
        raise SpecError("format", "dd-ranking", "sets whose labels are distributions")
    shares = labels / labels.sum(1, keepdims=True)
    least = np.finfo(np.float32).tiny
    return np.log(np.maximum(shares, least))[_by_class(made)].astype(np.float32)


def _config(made: DistilledSet, name: str) -> str:
    """All that DD-Ranking 0.2 asks of a file of settings; training is what its own examples say.

    It knows no accuracy on all data of CIFAR, so that is measured (`eval_full_data`).
    """
    size = made.shape[1]
    lines = [
        f"dataset: {name}",
        "real_data_path: ./dataset/",
        f"ipc: {made.ipc}",
        f"im_size: [{size}, {size}]",
        "model_name: ConvNet-3",
        "num_eval: 5",
        *_EXAMPLE,
    ]
    if made.soft:
        lines += _SOFT
    return "\n".join(lines) + "\n"


_EXAMPLE = (
    "use_zca: false",
    "custom_train_trans: null",
    "custom_val_trans: null",
    "use_torchvision: false",
    "data_aug_func: dsa",
    "aug_params:",
    *(
        f"  {name}: {value}"
        for name, value in {
            "flip": 0.5,
            "rotate": 15.0,
            "saturation": 2.0,
            "brightness": 1.0,
            "contrast": 0.5,
            "scale": 1.2,
            "crop": 0.125,
            "cutout": 0.5,
        }.items()
    ),
    "optimizer: sgd",
    "lr_scheduler: step",
    "step_size: 500",
    "weight_decay: 0.0005",
    "momentum: 0.9",
    "num_epochs: 1000",
    "syn_batch_size: 256",
    "real_batch_size: 256",
    "num_workers: 4",
    "device: cuda",
    "dist: false",
    "eval_full_data: true",
    "random_data_format: tensor",
    "random_data_path: ./random_data",
    "save_path: ./scores.csv",
)
_SOFT = (
    "soft_label_mode: S",
    "soft_label_criterion: kl",
    "loss_fn_kwargs:",
    "  temperature: 1.0",
    "  scale_loss: false",
    "use_aug_for_hard: false",
    "stu_use_torchvision: false",
    "tea_use_torchvision: false",
    "teacher_dir: ./teacher_models",
    "teacher_model_names: [ConvNet-3]",
)


def _tensor(values: Any) -> bytes:
    import torch

    out = io.BytesIO()
    tensor: Tensor = torch.from_numpy(np.array(values))
    torch.save(tensor, out)
    return out.getvalue()
