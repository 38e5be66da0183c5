"""The task `calibration`: from sets to a result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from analysis.shared.along import SeenAlong, followed, looked_at
from analysis.shared.set_ups import usual
from analysis.shared.stand_ins import trained_on
from analysis.suite.calibration.maths import (
    METRICS,
    SCORES,
    auroc,
    binned,
    fitted_temperature,
    log_softmax,
    measured,
    scores,
)
from analysis.suite.calibration.result import CalibrationFound
from analysis.suite.calibration.spec import UNKNOWN, CalibrationTask, net_of
from analysis.task import opened, save
from ddcore.base import rng
from ddcore.data.tensors import DeviceData

if TYPE_CHECKING:
    from ddcore.data import Dataset
    from ddcore.tasks.worker import Context
    from ddcore.training.trained import TrainedNets

DIGITS = 6  # that are kept
ByPart = dict[str, np.ndarray]  # preprocessed (B, C, H, W)


def run(context: Context[CalibrationTask]) -> None:
    """Task `calibration`: calibration along training, before and after a temperature; unknown images."""
    spec = context.spec
    given = opened(context)
    chosen, net, data = given.chosen, net_of(spec, given.chosen), given.dataset
    protocol, real = usual(spec.iterations), DeviceData(data, context.device)
    sources = trained_on(given, real, protocol, spec.nets, spec.seed, more=spec.more)
    seeds = [rng.derive(spec.seed, "calibration", i) for i in range(spec.nets)]
    looks = looked_at(spec.iterations, spec.looks)
    val, test = (
        _rows(spec, part, len(labels))
        for part, labels in (("val", data.val_labels), ("test", data.test_labels))
    )
    images = {"val": data.preprocess(data.val_images[val]), **shown(data, spec, test)}
    look = _look(images, data.val_labels[val], data.test_labels[test])
    seen = followed(context, sources, net, chosen.classes, protocol, seeds, looks, look)
    result = CalibrationFound(
        sources=tuple(s.facts for s in sources),
        looks=looks,
        accuracy=seen["accuracy"].tolist(),
        plain={name: seen[f"plain.{name}"].tolist() for name in METRICS},
        scaled={name: seen[f"scaled.{name}"].tolist() for name in METRICS},
        area={
            kind: {score: seen[f"area.{kind}.{score}"].tolist() for score in SCORES}
            for kind in UNKNOWN
        },
        temperature=seen["temperature"][:, -1].tolist(),
        confidence=seen["confidence"][:, 0].mean(1).tolist(),
        right=seen["right"][:, 0].mean(1).tolist(),
        network=net.label(),
        iterations=spec.iterations,
        images=len(test),
        validation=len(val),
        nets=spec.nets,
    )
    save(context, given, result, {"accuracy": seen["accuracy"]})


def _rows(spec: CalibrationTask, part: str, count: int) -> np.ndarray:
    drawn = torch.randperm(count, generator=rng.generator(spec.seed, "calibration", part))
    return drawn[: spec.images].numpy()


def shown(data: Dataset, spec: CalibrationTask, rows: np.ndarray) -> ByPart:
    """Test images, and as many of each unknown kind: made of their pixels, then preprocessed."""
    known = data.test_images[rows]
    draws = np.random.default_rng(rng.derive(spec.seed, "unknown"))
    channels, area = known.shape[1], known[0, 0].size
    order = draws.permuted(np.tile(np.arange(area), (len(rows), 1)), axis=1)[:, None]
    flat = known.reshape(len(rows), channels, area)
    pixels = {
        "test": known,
        "inverted": 255 - known,
        "shuffled": np.take_along_axis(flat, order, -1).reshape(known.shape),
        "noise": draws.integers(0, 256, known.shape, dtype=np.uint8),
    }
    return {name: data.preprocess(each) for name, each in pixels.items()}


def _look(
    images: ByPart, val_labels: np.ndarray, labels: np.ndarray
) -> Callable[[TrainedNets, bool], SeenAlong]:
    def look(nets: TrainedNets, ended: bool) -> SeenAlong:
        said = {
            name: torch.cat(nets.logits_in_batches(each), dim=1).numpy()
            for name, each in images.items()
        }
        every = [
            _of_network({k: v[i] for k, v in said.items()}, val_labels, labels, ended)
            for i in range(nets.network.num_nets)
        ]
        return {name: np.stack([one[name] for one in every]) for name in every[0]}

    return look


def _of_network(
    said: ByPart, val_labels: np.ndarray, labels: np.ndarray, ended: bool
) -> dict[str, np.ndarray]:
    """All figures of one network's outputs (B, K) by part."""
    own = said["test"]
    warm = fitted_temperature(said["val"], val_labels)
    found = {"accuracy": (own.argmax(-1) == labels).mean(), "temperature": warm}
    for name, temperature in (("plain", 1.0), ("scaled", warm)):
        measures = measured(own, labels, temperature)
        found |= {f"{name}.{metric}": value for metric, value in measures.items()}
    known = scores(own)
    for kind in UNKNOWN:
        strange = scores(said[kind])
        found |= {f"area.{kind}.{s}": auroc(known[s], strange[s]) for s in SCORES}
    if ended:
        right = (own.argmax(-1) == labels).astype(np.float64)
        bins = [binned(np.exp(log_softmax(own, t)).max(-1), right) for t in (1.0, warm)]
        found |= {
            "confidence": np.stack([b.confidence for b in bins]),
            "right": np.stack([b.accuracy for b in bins]),
        }
    return {name: np.asarray(value, np.float64).round(DIGITS) for name, value in found.items()}
