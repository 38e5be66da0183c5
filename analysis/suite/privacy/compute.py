"""The task `privacy`: from sets and pools to a result and arrays."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import Arrays
from analysis.shared.attacks import auc
from analysis.single.nearest import COPY, held_out_sample, nearest, psnr
from analysis.single.nearest import flat as flat_pixels
from analysis.suite.privacy.result import Distances, Giving, Membership, PrivacyFound
from analysis.suite.privacy.spec import ALL, RESAMPLES, SAME, SHOWN, PrivacyTask, Rows, pools
from analysis.task import Opened, opened, same_size, save
from ddcore.base import rng
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.data import Dataset
    from ddcore.data.tensors import DeviceData
    from ddcore.nets.architectures import NetSpec
    from ddcore.sets.distilled import DistilledSet
    from ddcore.tasks.worker import Context
    from ddcore.training.trained import TrainedNets


def run(context: Context[PrivacyTask]) -> None:
    """Task `privacy`: distances to training images, and the membership test of every kind of network."""
    spec = context.spec
    given = opened(context)
    data = given.dataset
    arrays: Arrays = {}
    rows: Rows = {}
    near: dict[str, Distances] = {}
    held = held_out_sample(len(data.val_images), spec.images)
    reference = nearest(flat_pixels(data.val_images[held]), data.train_images, 1)[1][:, 0]
    arrays["held_out"] = np.sort(reference)
    for step, (key, made) in enumerate(given.sets.items(), 1):
        context.progress(step, len(given.sets) + 3, message="nearest training images")
        near[key] = _near(made, data, reference, key, arrays, rows)
    tests = _tests(context, given)
    facts = {}
    for key in dict.fromkeys([*near, *tests]):
        own = asdict(near[key]) if key in near else {}
        facts[key] = Giving(membership=membership(*tests[key], spec.seed), **own)
    total = len(given.sets) + 3
    context.progress(total, total)
    found = PrivacyFound(
        sets=facts,
        held_out_median=float(np.median(reference)),
        members=min(spec.images, len(data.train_images)),
        pools=(given.pools[spec.network].key,),
    )
    save(context, given, found, arrays, rows)


def _near(
    made: DistilledSet, data: Dataset, reference: np.ndarray, key: str, arrays: Arrays, rows: Rows
) -> Distances:
    """Distances to the nearest training image; the nearest pairs go to `arrays` and `rows`."""
    pixels = made.pixels()
    flat = flat_pixels(pixels)
    indices, apart = nearest(flat, data.train_images, 1)
    apart, size = apart[:, 0], flat.shape[1]
    closest = np.argsort(apart, kind="stable")[:SHOWN]
    arrays[f"distance.{key}"] = apart
    arrays[f"pixels.{key}"] = pixels[closest]
    rows[f"nearest.{key}"] = ("train", indices[closest, 0])
    arrays[f"closest.{key}"] = apart[closest]
    ratio = psnr(apart, size)
    return Distances(
        median_distance=float(np.median(apart)),
        nearer_than_held_out=float(np.mean(apart < np.median(reference))),
        copies=int(np.sum(apart < COPY * size**0.5)),
        largest_psnr=float(np.max(ratio[np.isfinite(ratio)], initial=0.0)),
    )


def _tests(
    context: Context[PrivacyTask], given: Opened
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Losses of networks on training images and on test images (nets, ·): of those trained on all real data
    (`ALL`), on each set by its run's key, and on as many real images (`SAME`)."""
    from ddcore.data.tensors import DeviceData
    from ddcore.pools.networks import load
    from ddcore.training.chunks import limit_threads

    spec = context.spec
    data = DeviceData(given.dataset, context.device)
    members = _sample(len(given.dataset.train_images), spec.images, spec.seed, "members")
    others = _sample(len(given.dataset.test_images), spec.images, spec.seed, "others")
    net = pools(spec, given.chosen)[spec.network].net
    whole = load(given.pools[spec.network], context.device)
    limit_threads(whole.network, context.device)
    seeds = [rng.derive(spec.seed, "privacy", i) for i in range(spec.nets)]
    tests = {ALL: _losses(whole, data, members, others)}
    total = len(given.sets) + 3
    for key, made in given.sets.items():
        context.progress(total - 1, total, message="membership test")
        trained = _trained(net, *made.for_training(PROTOCOLS["t300"]), seeds, data)
        tests[key] = _losses(trained, data, members, others)
    tests[SAME] = _same_size(given, spec, net, seeds, data, others)
    return tests


def _sample(count: int, wanted: int, seed: int, name: str) -> np.ndarray:
    order = rng.numpy_generator(seed, "privacy", name).permutation(count)
    return np.sort(order[:wanted])


def _trained(
    net: NetSpec, images: np.ndarray, labels: np.ndarray, seeds: list[int], data: DeviceData
) -> TrainedNets:
    """Networks trained on one set (M, ...), or on a set each (N, M, ...), under protocol t300."""
    import torch

    from ddcore.training.train import train

    x, y = (torch.from_numpy(np.ascontiguousarray(a)).to(data.device) for a in (images, labels))
    return train(net, x, y, data.num_classes, PROTOCOLS["t300"], seeds)


def _losses(
    trained: TrainedNets, data: DeviceData, members: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy of every network on training images (N, members) and on test images (N, others)."""
    return (
        _loss(
            trained, data.dataset.train_images[members], data.dataset.train_labels[members], data
        ),
        _loss(trained, data.dataset.test_images[others], data.dataset.test_labels[others], data),
    )


def _loss(
    trained: TrainedNets, images: np.ndarray, labels: np.ndarray, data: DeviceData
) -> np.ndarray:
    import torch
    import torch.nn.functional as F

    logits = torch.cat(trained.logits_in_batches(data.dataset.preprocess(images)), dim=1)
    wanted = torch.from_numpy(labels).long().expand(len(logits), -1)
    return F.cross_entropy(logits.mT, wanted, reduction="none").double().numpy()


def _same_size(
    given: Opened,
    spec: PrivacyTask,
    net: NetSpec,
    seeds: list[int],
    data: DeviceData,
    others: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The yardstick: networks trained on few real images each, tested on just those against test images."""
    rows = np.stack([same_size(given, s) for s in seeds])
    real = data.dataset
    images = real.preprocess(real.train_images[rows.ravel()])
    labels = real.train_labels[rows[0]]  # sorted by class, so the same for all
    trained = _trained(net, images.reshape(*rows.shape, *images.shape[1:]), labels, seeds, data)
    outside = _loss(trained, real.test_images[others], real.test_labels[others], data)
    own = [
        _loss(trained, real.train_images[r], real.train_labels[r], data)[i]
        for i, r in enumerate(rows)
    ]
    return np.stack(own), outside


def membership(members: np.ndarray, others: np.ndarray, seed: int) -> Membership:
    """AUC of the loss test of every network (N, ·), their mean, and a 95 % interval for one network's.

    The interval is a bootstrap that draws one network and images, since both are samples. Of one network it
    speaks of the images alone.
    """
    each = [auc(-a, -b) for a, b in zip(members, others)]
    generator = rng.numpy_generator(seed, "membership")
    found = []
    for _ in range(RESAMPLES):
        net = generator.integers(len(members))
        inside = generator.integers(members.shape[1], size=members.shape[1])
        outside = generator.integers(others.shape[1], size=others.shape[1])
        found.append(auc(-members[net, inside], -others[net, outside]))
    low, high = np.quantile(found, [0.025, 0.975])
    return Membership(each, float(np.mean(each)), float(low), float(high))
