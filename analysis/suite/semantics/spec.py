"""What `semantics` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import attributes as _attributes
from analysis.shared import fields as shared
from analysis.shared.effects import CENTRED, RAW
from analysis.shared.loo_spec import loo_network
from ddcore.base.errors import DataError, SpecError
from ddcore.base.fields import number, text
from ddcore.pools.real_spec import Counts, Need

VIEWS = {RAW: "By influence", CENTRED: "By influence beyond class mates"}
EXAMPLES = 4  # pairs of image and attribute that are shown
BESIDE = 9  # test images beside each


@dataclass(frozen=True, kw_only=True)
class SemanticsTask(AnalysisTask):
    """Attributes of the test images of its own class that each image helps most.

    The retrained networks are those of the influence page.
    """

    KIND: ClassVar[str] = "semantics"
    RUNNER: ClassVar[str] = "analysis.suite.semantics.compute:run"

    network: str = loo_network()
    inits: int = shared.inits()
    iterations: int = shared.iterations()
    lr: float = shared.lr()
    precision: str = shared.precision()
    top: int = number(
        50, 2, 100_000, "How many test images; a quarter of the class at most.", unit="images"
    )
    fdr: float = number(
        0.05,
        1e-6,
        0.5,
        "Share of false discoveries allowed (Benjamini-Hochberg over all images and attributes of a set).",
    )
    controls: int = number(
        100, 1, 10_000, "How often the same is done with random test images of the class."
    )
    labels_csv: str = text(
        "",
        "The path of a table of your own: a first line with index and names of attributes, then for each "
        "test image its number from 0 and 0, 1 or numbers. A mark of its content is added.",
    )

    def __post_init__(self) -> None:
        if isinstance(self.labels_csv, str):
            try:
                object.__setattr__(self, "labels_csv", _attributes.with_hash(self.labels_csv))
            except DataError as error:
                raise SpecError("labels_csv", self.labels_csv, str(error).rstrip(".")) from None
        super().__post_init__()


def cost(spec: SemanticsTask, chosen: Chosen, counts: Counts) -> Need:
    """Ranks, and a hypergeometric tail for each image, attribute and control."""
    attributes = 8 + (20 if spec.labels_csv else 0)
    pairs = float(sum(run.images for run in chosen.runs))
    tails = 2 * pairs * attributes * (spec.controls + 1)
    largest = max(run.images for run in chosen.runs) * counts.test
    return Need(
        3e4 * tails + 40 * pairs * counts.test,
        memory=16.0 * spec.inits * largest,
        disk=8 * pairs * (attributes + spec.top) + 1e5,
    )
