"""Runner of `DatasetTask`: files in, one safetensors file of uint8 images out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ddcore.base import paths
from ddcore.base.errors import DataError
from ddcore.base.isolated import Progress
from ddcore.data.images import PictureForm, convert
from ddcore.data.lookup import fingerprint
from ddcore.data.registry import OWN, get
from ddcore.data.sources import _apart
from ddcore.data.sources._raw import RawData
from ddcore.data.spec import DatasetTask

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context

BLOCK = 4096


def run(context: Context[DatasetTask]) -> None:
    """Decode, check and save; nothing is written before everything has been checked."""
    task = context.spec
    _require_unchanged(task)
    raw = read(task, context.progress)
    _require_unchanged(task)  # a folder that was being copied to while it was read
    published = published_scale(task, raw.train_images.shape[1:])
    mean, std = published or channel_scale(raw.train_images)
    classes = len(raw.class_names)
    context.save_arrays(
        {
            "train_images": raw.train_images,
            "train_labels": raw.train_labels,
            "test_images": raw.test_images,
            "test_labels": raw.test_labels,
        }
    )
    context.save_result(
        {
            "label": label(task, raw),
            "class_names": list(raw.class_names),
            "shape": list(raw.train_images.shape[1:]),
            "mean": list(mean),
            "std": list(std),
            "scale": "published" if published else "computed",
            "counts": {
                "train": np.bincount(raw.train_labels, minlength=classes).tolist(),
                "test": np.bincount(raw.test_labels, minlength=classes).tolist(),
            },
            "jpeg": raw.jpeg,
        }
    )


def read(task: DatasetTask, progress: Progress) -> RawData:
    """The decoded pictures in the size and colours the task asks for."""
    form = PictureForm(grey=task.grey, resolution=task.resolution)
    if task.name in OWN:
        return _apart.read(task.name, Path(task.path), form, progress=progress).checked(task.path)
    raw = get(task.name).load(paths.data_root(), task.source, progress)
    return RawData(
        convert(raw.train_images, form, progress),
        raw.train_labels,
        convert(raw.test_images, form, progress),
        raw.test_labels,
        raw.class_names,
        raw.jpeg,
    )


def label(task: DatasetTask, raw: RawData) -> str:
    """The name shown beside figures; it says what differs from the set everybody knows."""
    if task.name in OWN:
        text, notes = Path(task.path).name or task.path, []
    else:
        source = get(task.name)
        text, notes = source.title, ["JPEG"] if raw.jpeg else []
        if len(raw.train_labels) != source.train_size:
            notes.append(f"{len(raw.train_labels):,} training images")
    if task.resolution:
        notes.append(f"{task.resolution} px")
    if task.grey:
        notes.append("grey")
    return f"{text} ({', '.join(notes)})" if notes else text


def published_scale(
    task: DatasetTask, shape: tuple[int, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """The constants everybody uses, valid only for a registered set's untouched pixels."""
    if task.name in OWN or task.grey or task.resolution:
        return None
    source = get(task.name)
    if source.mean is None or source.std is None or tuple(shape) != source.shape:
        return None
    return source.mean, source.std


def channel_scale(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Exact mean and standard deviation per channel of uint8 images, on the [0, 1] scale."""
    levels = np.arange(256) / 255
    means, stds = [], []
    for channel in range(images.shape[1]):
        counts = np.zeros(256, dtype=np.int64)
        for start in range(0, len(images), BLOCK):
            block = images[start : start + BLOCK, channel].ravel()
            counts += np.bincount(block, minlength=256)
        share = counts / counts.sum()
        mean = float(share @ levels)
        means.append(mean)
        stds.append(float(np.sqrt(share @ (levels - mean) ** 2)) or 1.0)  # 1 for a constant channel
    return tuple(means), tuple(stds)


def _require_unchanged(task: DatasetTask) -> None:
    if not task.fingerprint:
        return
    own = task.name in OWN
    folder = Path(task.path) if own else paths.data_root() / task.name
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist (any more).")
    if fingerprint(folder, task.source, portable=not own) != task.fingerprint:
        raise DataError(
            f"The files in {folder} have changed since they were chosen: choose it again."
        )
