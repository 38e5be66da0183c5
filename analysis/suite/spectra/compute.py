"""The task `spectra`: from sets and real images to a result and arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import Arrays
from analysis.shared.grid import Cell, measured
from analysis.shared.networks import features_of
from analysis.shared.set_ups import usual
from analysis.shared.sources import REAL
from analysis.shared.stand_ins import TrainedOn, trained_on
from analysis.suite.spectra import maths
from analysis.suite.spectra.dimension import LEAST, MANY, TWO, likelihood, participation
from analysis.suite.spectra.result import Dimensions, SpectraFound
from analysis.suite.spectra.spec import REAL_MOST, SpectraTask, pools, require_bands
from analysis.task import Opened, opened, save
from ddcore.base import rng
from ddcore.data.tensors import DeviceData
from ddcore.nets.plan import cost as net_cost
from ddcore.pools.networks import load
from ddcore.training.trained import TrainedNets, agreement

if TYPE_CHECKING:
    from ddcore.data.preprocess import Preprocess
    from ddcore.tasks.worker import Context


def run(context: Context[SpectraTask]) -> None:
    """Task `spectra`: power, knock-outs and dimensions."""
    spec = context.spec
    given = opened(context)
    require_bands(spec, given.chosen.shape)
    data = DeviceData(given.dataset, context.device)
    sources = trained_on(given, data, usual(spec.iterations), spec.nets, spec.seed)
    dimensions = _dimensions(context, given, sources)
    sides = given.chosen.shape[1:]
    bands, rings = maths.places(sides, spec.bands), maths.rings(sides)
    arrays: Arrays = {f"pixels.{key}": made.pixels() for key, made in given.sets.items()}
    power = []
    for source in sources:
        pixels = _flat(_preprocess(given, source).inverse(source.images))
        power.append(maths.power(pixels, bands + 1).mean(0).tolist())
        arrays[f"power.{source.facts.key}"] = maths.power(pixels, rings).astype(np.float32)
        classes = _classes(source)
        arrays[f"labels.{source.facts.key}"] = np.tile(classes, len(pixels) // len(classes))
    variants = [bands == -2, *(bands == b for b in range(spec.bands))]
    cells = [_cell(given, spec, source, removed) for source in sources for removed in variants]
    seeds = [rng.derive(spec.seed, "spectra", i) for i in range(spec.nets)]
    found = measured(context, cells, seeds, given.dataset, _tests(data, variants))
    accuracy = found.reshape(len(sources), len(variants), len(variants), spec.nets)
    result = SpectraFound(
        sources=tuple(s.facts.plain() for s in sources),
        edges=maths.edges(sides, spec.bands).tolist(),
        power=power,
        accuracy=accuracy.tolist(),
        dimensions=dimensions,
        least=LEAST,
        neighbours=MANY,
        network=pools(spec, given.chosen)[REAL].net.label(),
        iterations=spec.iterations,
        nets=spec.nets,
        test=given.pools[REAL].arrays()["test"].tolist(),
        soft=tuple(key for key, made in given.sets.items() if made.soft),
    )
    save(context, given, result, arrays)


def _preprocess(given: Opened, source: TrainedOn) -> Preprocess:
    own = given.sets.get(source.facts.key)
    return own.preprocess if own else given.dataset.preprocessing


def _flat(images: np.ndarray) -> np.ndarray:
    """All draws (draws * M, C, H, W) one after the other."""
    return images.reshape(-1, *images.shape[-3:])


def _classes(source: TrainedOn) -> np.ndarray:
    return source.labels if source.labels.ndim == 1 else source.labels.argmax(1)


# --- knock-outs -------------------------------------------------------------------------------------


def _cell(given: Opened, spec: SpectraTask, source: TrainedOn, removed: np.ndarray) -> Cell:
    """Training on a source without the frequencies that are marked."""
    net, shape = pools(spec, given.chosen)[REAL].net, given.chosen.shape
    macs = net_cost(net.plan(shape, given.chosen.classes), shape).macs
    preprocess = _preprocess(given, source)

    def data() -> tuple[np.ndarray, np.ndarray]:
        return changed(source.images, preprocess, removed), source.labels

    return Cell(net, usual(spec.iterations), data, 1.0 * macs * source.images.shape[-4])


def changed(images: np.ndarray, preprocess: Preprocess, removed: np.ndarray) -> np.ndarray:
    """Preprocessed images (..., C, H, W) whose pixels lack the frequencies that `removed` (H, W) marks."""
    if not removed.any():
        return images
    pixels = maths.without(preprocess.inverse(_flat(images)), removed)
    return preprocess.forward(pixels).reshape(images.shape)


def _tests(data: DeviceData, variants: list[np.ndarray]) -> Callable[[TrainedNets], np.ndarray]:
    return partial(accuracies_without, data=data, variants=variants)


def accuracies_without(
    nets: TrainedNets, data: DeviceData, variants: list[np.ndarray]
) -> np.ndarray:
    """Accuracy (variants, nets) on the test images without what each variant marks."""
    found = []
    for removed in variants:
        if not removed.any():
            found.append(nets.accuracy(data.test))
            continue
        pixels = data.dataset.test_images / np.float32(255)
        images = data.preprocessing.forward(maths.without(pixels, removed))
        found.append(agreement(nets.predict(images), data.test.labels))
    return np.array(found)


# --- dimensions -------------------------------------------------------------------------------------


def _dimensions(
    context: Context[SpectraTask], given: Opened, sources: list[TrainedOn]
) -> tuple[Dimensions, ...]:
    """Of every source, and of all real training images or `REAL_MOST` of them, as pixels and as features."""
    spec, dataset = context.spec, given.dataset
    nets = load(given.pools[REAL], context.device)
    order = rng.numpy_generator(spec.seed, "real").permutation(len(dataset.train_images))
    rows = np.sort(order[:REAL_MOST])
    real = dataset.preprocess(dataset.train_images[rows])
    found = []
    each = {source.facts.key: source.images for source in sources} | {REAL: real}
    for key, images in each.items():
        inverse = given.sets[key].preprocess if key in given.sets else dataset.preprocessing
        draws = images if images.ndim == 5 else images[None]
        points = [inverse.inverse(d).reshape(len(d), -1) for d in draws]
        found.append(_measured(key, "pixels", points))
        seen = [features_of(nets, i, draws[i % len(draws)]) for i in range(spec.nets)]
        found.append(_measured(key, "features", seen))
    return tuple(found)


def _measured(key: str, space: str, clouds: list[np.ndarray]) -> Dimensions:
    def told(neighbours: int) -> list[float] | None:
        values = [likelihood(points, neighbours) for points in clouds]
        known = [value for value in values if value is not None]
        return known if len(known) == len(values) else None

    ratio = [participation(points) for points in clouds]
    return Dimensions(key, space, len(clouds[0]), ratio, told(TWO), told(MANY))
