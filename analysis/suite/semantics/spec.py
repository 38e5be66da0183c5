"""What `semantics` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from analysis.contract import AnalysisTask, Cost
from analysis.runs import Chosen
from analysis.shared import attributes as _attributes
from analysis.shared.effects import CENTRED, RAW
from analysis.shared.loo_spec import PRECISIONS, check_network
from ddcore.base.errors import DataError, SpecError
from ddcore.pools.real_spec import Counts

VIEWS = {RAW: "By influence", CENTRED: "By influence beyond class mates"}
EXAMPLES = 4  # pairs of image and attribute that are shown
BESIDE = 9  # test images beside each


@dataclass(frozen=True, kw_only=True)
class SemanticsTask(AnalysisTask):
    """Attributes of the `top` test images of its own class that each image helps most.

    At most a quarter of the class is taken. `fdr` is the share of false discoveries allowed
    (Benjamini-Hochberg over all images and attributes of a set). `controls` is how often the same is done
    with random test images of the class. `labels_csv` is the path of a table of your own: a first line with
    index and names of attributes, then for each test image its number from 0 and 0, 1 or numbers. A mark of
    its content is added.

    The retrained networks are those of the influence page: `network`, `inits` initialisations, `iterations`
    steps at step size `lr`, in single or double `precision`.
    """

    KIND: ClassVar[str] = "semantics"
    RUNNER: ClassVar[str] = "analysis.suite.semantics.compute:run"

    network: str = "convnet-16"
    inits: int = 3
    iterations: int = 300
    lr: float = 0.01
    precision: str = "single"
    top: int = 50
    fdr: float = 0.05
    controls: int = 100
    labels_csv: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.labels_csv, str):
            try:
                object.__setattr__(self, "labels_csv", _attributes.with_hash(self.labels_csv))
            except DataError as error:
                raise SpecError("labels_csv", self.labels_csv, str(error).rstrip(".")) from None
        super().__post_init__()

    def validate(self) -> None:
        """Check ranges and the network's name."""
        super().validate()
        check_network(self, self.network)
        self.require_range("inits", 1, 100)
        self.require_range("iterations", 1, 100_000)
        self.require_range("lr", 1e-8, 1e3)
        self.require_choice("precision", PRECISIONS)
        self.require_range("top", 2, 100_000)
        self.require_range("fdr", 1e-6, 0.5)
        self.require_range("controls", 1, 10_000)


def cost(spec: SemanticsTask, chosen: Chosen, counts: Counts) -> Cost:
    """Ranks, and a hypergeometric tail for each image, attribute and control."""
    attributes = 8 + (20 if spec.labels_csv else 0)
    pairs = float(sum(run.images for run in chosen.runs))
    tails = 2 * pairs * attributes * (spec.controls + 1)
    largest = max(run.images for run in chosen.runs) * counts.test
    return Cost(
        3e4 * tails + 40 * pairs * counts.test,
        memory=16.0 * spec.inits * largest,
        disk=8 * pairs * (attributes + spec.top) + 1e5,
    )
