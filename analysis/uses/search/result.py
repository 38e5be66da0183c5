"""What a finished search found: every network's figures under every proxy, and under full training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.uses.search.spec import PARAMETERS, SearchTask
from ddcore.base.errors import Outdated
from ddcore.measure.spec import WHOLE
from ddcore.nets.architectures import NetSpec
from ddcore.tasks.store import Task

TITLES = {
    "random": "Random images",
    "class_mean": "Class means",
    "kmeans": "k-means",
    "early": "Early stopping",
    PARAMETERS: "Number of parameters",
    WHOLE: "All training images",
}


def net_text(net: NetSpec) -> str:
    """All five knobs in a few words: "w16 d2, norm none, relu, avg pooling"."""
    activation = str(net.activation).replace("_", " ")
    return f"w{net.width} d{net.depth}, norm {net.norm}, {activation}, {net.pooling} pooling"


@dataclass(frozen=True)
class Ranking:
    """A networks as something ranks them.

    `score` (A,): accuracy on validation images, or whatever ranks. `loss` (A,): mean cross-entropy there,
    which decides between equal scores. `test` (A, n) is each network's accuracy on test images, none of a
    proxy that trains nothing. `images` it trains on, `cpu_seconds` of training all networks, and
    `distil_seconds` of making the set (None where nothing was distilled).
    """

    name: str
    title: str
    key: str
    run: str
    ipc: int
    images: int
    protocol: str
    cpu_seconds: float
    distil_seconds: float | None
    score: np.ndarray
    loss: np.ndarray
    test: np.ndarray

    @property
    def order(self) -> np.ndarray:
        """Networks from the best on, (A,) by their numbers."""
        return np.lexsort((self.loss, -self.score))

    def label(self) -> str:
        """ "DM, 10 per class"."""
        return f"{self.title}, {self.ipc} per class" if self.ipc and self.run else self.title


@dataclass(frozen=True)
class Searched:
    """A space of networks, what full training makes of them, and what ranks them cheaply."""

    key: str
    spec: SearchTask
    data_label: str
    nets: list[NetSpec]
    full: Ranking
    proxies: list[Ranking]
    parameters: np.ndarray
    chance: float
    val_images: int
    test_images: int

    @property
    def truth(self) -> np.ndarray:
        """(A,) test accuracy after full training, mean over networks."""
        return self.full.test.mean(1)


def read(task: Task) -> Searched:
    """The result of a finished task; `Outdated` where another version computed it."""
    if old := task.outdated():
        raise Outdated(old)
    stored, arrays = task.result(), task.arrays()
    found = [_ranking(place, row, arrays) for place, row in enumerate(stored["rows"])]
    sized = Ranking(
        name=PARAMETERS,
        title=TITLES[PARAMETERS],
        key="",
        run="",
        ipc=0,
        images=0,
        protocol="",
        cpu_seconds=0.0,
        distil_seconds=None,
        score=arrays["parameters"],
        loss=arrays["macs"],
        test=np.empty((len(arrays["macs"]), 0)),
    )
    return Searched(
        key=task.key,
        spec=task.spec_as(SearchTask),
        data_label=stored["data_label"],
        nets=[NetSpec.from_dict(net) for net in stored["nets"]],
        full=found[0],
        proxies=[*found[1:], sized],
        parameters=arrays["parameters"],
        chance=stored["chance"],
        val_images=stored["val_images"],
        test_images=stored["test_images"],
    )


def _ranking(place: int, row: dict, arrays: dict[str, np.ndarray]) -> Ranking:
    val, loss, test = (arrays[f"{part}.{place}"] for part in ("val", "val_loss", "test"))
    return Ranking(
        name=row["name"],
        title=row.get("title") or TITLES[row["name"]],
        key=row["key"],
        run=row.get("run", ""),
        ipc=row.get("ipc", 0),
        images=row["images"],
        protocol=row["protocol"],
        cpu_seconds=row["cpu_seconds"],
        distil_seconds=row.get("distil_cpu_seconds"),
        score=val.astype(np.float64).mean(1),
        loss=loss.astype(np.float64).mean(1),
        test=test.astype(np.float64),
    )
