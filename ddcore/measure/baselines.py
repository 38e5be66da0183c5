"""Sets of the same size made without distilling: what a distilled set has to beat.

random (with class labels, or with a teacher's), class mean, k-means centroids, herding (Welling 2009: keep
the running feature mean nearest the class mean), k-center (farthest first, Sener & Savarese 2018),
optimised random (Wang et al. 2018: the best of many draws, judged on training data), and coresets by a
teacher's scores (`coresets`).
"""

from __future__ import annotations

import statistics

import numpy as np
import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import DataError
from ddcore.data import Dataset, ensure
from ddcore.data.tensors import DeviceData, Part
from ddcore.measure import coresets
from ddcore.measure.spec import CORESETS, LABELLED, BaselineTask
from ddcore.tasks.store import Task
from ddcore.tasks.worker import Context
from ddcore.training.protocols import PROTOCOLS
from ddcore.training.train import train

CANDIDATES = 50  # draws judged for "optimised random"
JUDGES = 2  # networks per candidate
JUDGE_IMAGES = 1024


def run(context: Context[BaselineTask]) -> None:
    """Task `baseline`: stores chosen training indices, or images where they are new; soft labels if any."""
    spec = context.spec
    dataset = ensure(context, spec.data)
    smallest = int(np.bincount(dataset.train_labels).min())
    if smallest < spec.ipc:
        raise DataError(
            f"ipc = {spec.ipc} is more than the {smallest} training images of the smallest class."
        )
    data = DeviceData(dataset, context.device)
    chosen = _MAKERS[spec.name](spec, data, context)
    name = "indices" if chosen.dtype == np.int64 else "images"
    labels = {"labels": _taught(spec, data, chosen, context)} if spec.name == LABELLED else {}
    context.save_arrays({name: chosen, **labels})
    context.save_result({"name": spec.name, "draws": list(range(len(chosen)))})


def sets(task: Task, dataset: Dataset, device: str | torch.device) -> tuple[Tensor, Tensor]:
    """The stored draws as (draws, K*ipc, C, H, W) preprocessed images, class-sorted, and labels.

    Labels are classes (K*ipc,), or soft (draws, K*ipc, K) where a teacher made them.
    """
    stored = task.arrays()
    spec = task.spec_as(BaselineTask)
    labels = torch.arange(dataset.num_classes).repeat_interleave(spec.ipc).to(device)
    if "labels" in stored:
        labels = torch.from_numpy(stored["labels"]).to(device)
    if "images" in stored:
        return torch.from_numpy(stored["images"]).to(device), labels
    indices = stored["indices"]
    images = dataset.preprocess(dataset.train_images[indices.ravel()])
    images = images.reshape(*indices.shape, *images.shape[1:])
    return torch.from_numpy(images).to(device), labels


def random_rows(data: DeviceData, ipc: int, count: int, seed: int) -> np.ndarray:
    """Training rows (count, K * ipc) of so many random draws, class by class."""
    draws = []
    for draw in range(count):
        generator = rng.generator(seed, "random", draw)
        rows = [m.cpu()[torch.randperm(len(m), generator=generator)] for m in data.class_indices]
        draws.append(torch.cat([r[:ipc] for r in rows]))
    return torch.stack(draws).numpy()


def _random(spec: BaselineTask, data: DeviceData, context: Context) -> np.ndarray:
    return random_rows(data, spec.ipc, spec.draws, spec.seed)


def _taught(
    spec: BaselineTask, data: DeviceData, indices: np.ndarray, context: Context
) -> np.ndarray:
    """Soft labels (draws, K*ipc, K) of chosen images, by the code that labels a run's own."""
    from ddcore.pools.bank import (
        teacher_labels,  # bank imports evaluation, which imports this module
    )

    images = data.batch(torch.from_numpy(indices.ravel()))
    asked = (spec.data, spec.judge, images, context.need, context.device)
    labels = teacher_labels(*asked, spec.teacher)
    return labels.numpy().reshape(*indices.shape, -1)


def class_means(data: DeviceData, ipc: int, seed: int) -> np.ndarray:
    """Means (K * ipc, C, H, W) of random parts of each class, preprocessed."""
    generator = rng.generator(seed, "class_mean")
    images = []
    for members in data.class_indices:
        order = torch.randperm(len(members), generator=generator).to(members.device)
        images += [data.batch(p).mean(0) for p in members[order].tensor_split(ipc)]
    return torch.stack(images).cpu().numpy()


def _class_mean(spec: BaselineTask, data: DeviceData, context: Context) -> np.ndarray:
    return class_means(data, spec.ipc, spec.seed)[None]


def _kmeans(spec: BaselineTask, data: DeviceData, context: Context) -> np.ndarray:
    from sklearn.cluster import KMeans

    centroids = []
    for c, members in enumerate(data.class_indices):
        context.progress(c, data.num_classes)
        pixels = data.batch(members).flatten(1).cpu().numpy()
        seed = rng.derive(spec.seed, "kmeans", c) % 2**31
        centroids.append(KMeans(spec.ipc, n_init=3, random_state=seed).fit(pixels).cluster_centers_)
    images = np.concatenate(centroids).reshape(1, -1, *data.shape)
    return images.astype(np.float32)


def _herding(spec: BaselineTask, data: DeviceData, context: Context) -> np.ndarray:
    chosen = []
    for members, features in _class_features(spec, data, context):
        mean, total = features.mean(0), torch.zeros(features.shape[1])
        taken: list[int] = []
        for k in range(spec.ipc):
            distance = (mean - (total + features) / (k + 1)).norm(dim=1)
            distance[taken] = torch.inf
            taken.append(int(distance.argmin()))
            total = total + features[taken[-1]]
        chosen.append(members[taken])
    return torch.cat(chosen)[None].numpy()


def _kcenter(spec: BaselineTask, data: DeviceData, context: Context) -> np.ndarray:
    chosen = []
    for members, features in _class_features(spec, data, context):
        taken = [int((features - features.mean(0)).norm(dim=1).argmin())]
        nearest = (features - features[taken[0]]).norm(dim=1)
        while len(taken) < spec.ipc:
            taken.append(int(nearest.argmax()))
            nearest = torch.minimum(nearest, (features - features[taken[-1]]).norm(dim=1))
        chosen.append(members[taken])
    return torch.cat(chosen)[None].numpy()


def _coreset(spec: BaselineTask, data: DeviceData, context: Context[BaselineTask]) -> np.ndarray:
    return coresets.indices(spec, data, context)[None].numpy()


def _class_features(
    spec: BaselineTask, data: DeviceData, context: Context
) -> list[tuple[Tensor, Tensor]]:
    """(training indices, features) of each class, in a network trained on all real data."""
    from ddcore.training.whole import train_on_everything  # evaluation imports this module

    trained = train_on_everything(
        data,
        spec.judge,
        [rng.derive(spec.seed, "feature network")],
        lambda step, total: context.progress(step, total),
    )
    return [(m.cpu(), trained.features(data.batch(m))[0]) for m in data.class_indices]


def _optimised_random(spec: BaselineTask, data: DeviceData, context: Context) -> np.ndarray:
    candidates = _random(spec.replace(draws=CANDIDATES), data, context)
    generator = rng.generator(spec.seed, "judge")
    judged = torch.randperm(len(data.train), generator=generator)[:JUDGE_IMAGES]
    real = data.dataset
    part = Part(
        real.train_images[judged], real.train_labels[judged], data.preprocessing, data.device
    )
    labels = torch.arange(data.num_classes).repeat_interleave(spec.ipc).to(data.device)
    scores = []
    for i, indices in enumerate(candidates):
        context.progress(i, CANDIDATES)
        images = data.batch(torch.from_numpy(indices).to(data.device))
        seeds = [rng.derive(spec.seed, "judge", i, j) for j in range(JUDGES)]
        nets = train(spec.judge, images, labels, data.num_classes, PROTOCOLS["quick"], seeds)
        scores.append(statistics.fmean(nets.accuracy(part)))
    best = np.argsort(scores)[::-1][: spec.draws]
    return candidates[best.copy()]


_MAKERS = {
    "random": _random,
    LABELLED: _random,
    "class_mean": _class_mean,
    "optimised_random": _optimised_random,
    "kmeans": _kmeans,
    "herding": _herding,
    "kcenter": _kcenter,
    **dict.fromkeys(CORESETS, _coreset),
}
