"""What `agreement` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from ddcore.base.fields import number
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, EarlyPool, Need, Pool, SubsetPool, subset_sizes
from ddcore.training.protocols import PROTOCOLS

T300 = PROTOCOLS["t300"]
EARLY, SUBSET = "early", "subset"
POOLS = {EARLY: "early-stopped", SUBSET: "subset-trained"}
COLOURS = {SUBSET: "#FFC20A", EARLY: "#0C7BDC"}  # of the paper's figure
MEASURES = {
    "agreement": "same answer, of all test images",
    "kappa": "Cohen's kappa",
    "shared": "same answer, of shared errors",
}
# Of a matched pair: number of the distilled-trained network and of the other one, at which iteration (or
# trained on how many images per class), accuracies of both, the three measures, images both get wrong.
PAIR = ("net", "other", "at", "accuracy", "other_accuracy", *MEASURES, "both_wrong")
UNEQUAL = 0.005  # mean accuracies of the two matched pools that differ by as much are pointed out
SHOWN = 10  # images of a kind that are shown


@dataclass(frozen=True, kw_only=True)
class AgreementTask(AnalysisTask):
    """Networks trained on each set, beside early-stopped and subset-trained ones of equal accuracy."""

    KIND: ClassVar[str] = "agreement"
    VERSION: ClassVar[int] = 2
    RUNNER: ClassVar[str] = "analysis.suite.agreement.compute:run"

    network: str = shared.network()
    nets: int = shared.nets(help="How many are trained on each set.")
    early: int = number(12, 1, 1000, "How many are stopped early.", unit="networks")
    iterations: int = shared.iterations(
        120, "Steps of those on all training images, in which they may be stopped."
    )
    every: int = shared.every(1, "How often they are tested.")
    early_batch: int = number(
        64, 0, 1_000_000, "Images per step of those; 0: all at once.", unit="images"
    )
    sizes: tuple[int, ...] = subset_sizes()
    draws: int = number(8, 1, 1000, "Networks for each size of subset.", unit="networks")
    epochs: int = number(300, 1, 100_000, "How often those see all images of their subset.")
    subset_batch: int = number(
        256, 0, 1_000_000, "Images per step of those; 0: all at once.", unit="images"
    )
    gap: float = number(
        0.03,
        0.001,
        1,
        "A network is matched if its accuracy differs by at most this share of the test images.",
    )

    def validate(self) -> None:
        """Check what the pools will be asked for."""
        super().validate()
        self.require_range("every", 1, self.iterations)
        self.require("sizes", 0 < len(set(self.sizes)) == len(self.sizes))


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Pools that reach the accuracy of sets of this size; published: the paper's 30 and 520 networks."""
    if shape[1] < 28:  # a larger set teaches more: longer runs and larger subsets match it
        few = ipc <= 4
        sizes: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8, 12) if few else (5, 8, 12, 20, 32)
        common: dict[str, Any] = {"iterations": 120 if few else 240, "draws": 8 if few else 7}
        common |= {"sizes": sizes, "every": 1 if few else 2, "epochs": 300 if few else 200}
        quick, teaching = {**common, "nets": 3}, {**common, "nets": 5}
    else:
        common = {"iterations": 120, "epochs": 100}
        sizes = (1, 2, 5, 10, 20) if ipc <= 4 else (5, 10, 20, 50)
        quick = {**common, "nets": 3, "early": 4, "every": 8, "sizes": sizes, "draws": 3}
        teaching = {"nets": 5, "early": 8, "every": 4, "draws": 6, "epochs": 100}
        teaching |= {"network": "convnet-32", "iterations": 196, "early_batch": 256}
        teaching["sizes"] = sizes if ipc <= 4 else (10, 20, 50, 100, 200)
    published = {
        "network": "convnet-128",
        "nets": 3,
        "early": 30,
        "iterations": 196,
        "early_batch": 256,
        # 0.5 % to 5 % of CIFAR-10's 5000 images per class, evenly spread: 65 sizes, 520 networks
        "sizes": tuple(round(25 + 224 * i / 64) for i in range(65)),
        "draws": 8,
        "epochs": 100,
    }
    return {"quick": quick, "teaching": teaching, "published": published}


def pools(spec: AgreementTask, chosen: Chosen) -> dict[str, Pool]:
    """Networks trained on subsets, then early-stopped ones: too large subsets are refused at once."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    subset = SubsetPool(
        data=chosen.data,
        net=net,
        seed=spec.seed,
        sizes=spec.sizes,
        draws=spec.draws,
        epochs=spec.epochs,
        batch=spec.subset_batch,
    )
    early = EarlyPool(
        data=chosen.data,
        net=net,
        seed=spec.seed,
        nets=spec.early,
        iterations=spec.iterations,
        every=spec.every,
        batch=spec.early_batch,
    )
    return {SUBSET: subset, EARLY: early}


def stored(spec: AgreementTask, images: int) -> int:
    """Bytes of all predictions of both pools for so many test images: one each."""
    tests = spec.early * (spec.iterations // spec.every) + len(spec.sizes) * spec.draws
    return tests * images


def cost(spec: AgreementTask, chosen: Chosen, counts: Counts) -> Need:
    """Training on each set, a test of each network, and comparing predictions."""
    net = pools(spec, chosen)[SUBSET].net
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    images, largest = sum(r.images for r in chosen.runs), max(r.images for r in chosen.runs)
    passes = spec.nets * (3 * T300.epochs * images + counts.test * len(chosen.runs))
    held = stored(spec, counts.test)
    compared = 4.0 * len(chosen.runs) * spec.nets * held
    return Need(passes * one.macs + compared, 12.0 * one.activations * largest + held)
