"""Networks trained on one set after the other: the cells of a grid, with progress and recovery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from analysis.contract import AnalysisTask
from ddcore.data import Dataset
from ddcore.data.tensors import DeviceData
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network
from ddcore.tasks.worker import Context
from ddcore.training import chunks, train
from ddcore.training.protocols import Protocol
from ddcore.training.teacher import Teach, as_given
from ddcore.training.trained import TrainedNets

UNITS = 1000  # of progress


@dataclass(frozen=True)
class Cell:
    """What several networks are trained on, and how; `data` gives the images when it is their turn.

    Images are preprocessed, (M, C, H, W) or (nets, M, C, H, W) with a set of its own for each network;
    labels (M,), (M, K) or (nets, M, K). `work` is proportional to the time it takes. `teach` makes the labels
    of every batch.
    """

    net: NetSpec
    protocol: Protocol
    data: Callable[[], tuple[np.ndarray, np.ndarray]]
    work: float
    teach: Teach = as_given


def ready(images: np.ndarray, labels: np.ndarray) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """The data of a cell whose images are there already."""
    return lambda: (images, labels)


def accuracies(
    context: Context[AnalysisTask], cells: Sequence[Cell], seeds: Sequence[int], dataset: Dataset
) -> np.ndarray:
    """Test accuracy (cells, nets) of one network per seed in every cell.

    Network i starts from the same weights in all cells that have the same architecture.
    """
    test = DeviceData(dataset, context.device).test
    return measured(
        context, cells, seeds, dataset, lambda trained: np.array(trained.accuracy(test))
    )


def measured(
    context: Context[AnalysisTask],
    cells: Sequence[Cell],
    seeds: Sequence[int],
    dataset: Dataset,
    measure: Callable[[TrainedNets], np.ndarray],
) -> np.ndarray:
    """What `measure` says of the networks of every cell, (cells, *shape of what it says).

    Network i starts from the same weights in all cells that have the same architecture.
    """
    found: list[np.ndarray] = []
    total, before = sum(cell.work for cell in cells), 0.0
    if resumed := context.load_checkpoint():
        arrays, meta = resumed
        found = list(arrays["accuracy"][: meta["cells"]])
        before = sum(cell.work for cell in cells[: meta["cells"]])
    for place in range(len(found), len(cells)):
        cell = cells[place]

        def on_step(step: int, steps: int, before: float = before, own: float = cell.work) -> None:
            context.progress(int(UNITS * (before + own * step / steps) / total), UNITS)

        chunks.limit_threads(Network(cell.net, dataset.shape, dataset.num_classes), context.device)
        images, labels = (torch.from_numpy(a).to(context.device) for a in cell.data())
        trained = train.train(
            cell.net,
            images,
            labels,
            dataset.num_classes,
            cell.protocol,
            seeds,
            on_step=on_step,
            teach=cell.teach,
        )
        found.append(measure(trained))
        before += cell.work
        if context.checkpoint_due():
            context.save_checkpoint(place, {"accuracy": np.stack(found)}, {"cells": place + 1})
    context.progress(UNITS, UNITS)
    return np.stack(found)
