"""The scores of DD-Ranking for an evaluation, with their parts, from what is stored about its run. No torch.

The parts need figures of several evaluations of one run: all training images, the set with hard labels, and
the same protocol without its augmentation. `needed` says which; what is not measured leaves a score open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ddcore.base.errors import DDError
from ddcore.measure import ranking
from ddcore.measure.ranking import Difference, Improvement
from ddcore.measure.regimes import HARD, LabelRegime, with_loss
from ddcore.measure.spec import LABELLED, WHOLE, EvaluateTask
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import trash
from ddcore.tasks.store import Store, Task
from ddcore.training.protocols import Protocol

Figures = dict[str, Any]
CHANGES = ("cutmix", "mixup", "patches")  # of images, beside the augmentation
NO_WHOLE = "all training images were not measured"
NO_HARD = "the set with hard labels was not measured"
NO_TWIN = "it was not measured both with augmentation and without"


@dataclass(frozen=True)
class FairScores:
    """Parts as differences of shares, scores between 0 and 1; None where something is not measured.

    `missing` says what.
    """

    gap: Difference | None
    better: Improvement | None
    with_augmentation: Difference | None
    without_augmentation: Difference | None
    missing: tuple[str, ...]

    @property
    def label_robust(self) -> float | None:
        """LRS."""
        if self.gap is None or self.better is None:
            return None
        return ranking.label_robust_score(self.gap.mean, self.better.over_random.mean)

    @property
    def augmentation_robust(self) -> float | None:
        """ARS."""
        if self.with_augmentation is None or self.without_augmentation is None:
            return None
        both = self.with_augmentation.mean, self.without_augmentation.mean
        return ranking.augmentation_robust_score(*both)


def augmented(protocol: Protocol) -> bool:
    """Whether images are changed while networks learn."""
    return bool(protocol.augment or any(getattr(protocol, name) for name in CHANGES))


def without_augmentation(protocol: Protocol) -> Protocol:
    """The protocol on images as they are."""
    if not augmented(protocol):
        return protocol
    name = f"{protocol.name}, no augmentation"
    return protocol.replace(name=name, augment="", **dict.fromkeys(CHANGES, 0))


def needed(task: EvaluateTask, made: DistilledSet) -> list[EvaluateTask]:
    """The evaluation, with all training images, and those beside it that the scores need."""
    found = [task.replace(baselines=tuple(dict.fromkeys([*task.baselines, WHOLE])))]
    plain = tuple(b for b in task.baselines if b in ("random", "class_mean", LABELLED))
    if not _has_hard(task, made) and not (task.protocol.ordered or task.protocol.closed_form):
        hard = LabelRegime(kind=HARD)
        own = tuple(b for b in plain if b != LABELLED)
        protocol = _hard_protocol(task.protocol)
        found.append(task.replace(labels=hard, protocol=protocol, baselines=own))
    if augmented(task.protocol):
        twin = without_augmentation(task.protocol)
        found.append(task.replace(protocol=twin, baselines=plain))
    return found


def scores(store: Store, task: Task, made: DistilledSet, arch: str) -> FairScores:
    """All that can be said about a finished evaluation in one architecture.

    Of several stored figures that serve, the one of most networks is taken.
    """
    spec, rows = task.spec_as(EvaluateTask), _rows(task, arch)
    beside = list(_beside(store, spec.run_key, arch))
    whole = rows.get(WHOLE) or _most(other[WHOLE] for _, other in beside if WHOLE in other)
    hard = rows.get("distilled") if _has_hard(spec, made) else _most(_hard(spec, beside))
    better = _improvement(spec, made, rows)
    twin = _most_of(_twins(spec, beside))
    other = _improvement(spec, made, twin) if twin else None
    pair = [found.over_random if found else None for found in (better, other)]
    first, second = pair if augmented(spec.protocol) else pair[::-1]
    lacking = {NO_WHOLE: whole, NO_HARD: hard, NO_TWIN: first and second}
    return FairScores(
        gap=ranking.hard_label_gap(whole, hard),
        better=better,
        with_augmentation=first,
        without_augmentation=second,
        missing=tuple(text for text, value in lacking.items() if value is None),
    )


def _improvement(
    spec: EvaluateTask, made: DistilledSet, rows: dict[str, Figures]
) -> Improvement | None:
    own = spec.labels is None and ranking.with_own_labels(made, spec.protocol)
    return ranking.improvement_over_random(rows, own)


def _has_hard(spec: EvaluateTask, made: DistilledSet) -> bool:
    """Whether an evaluation's own figure is that of the set with hard labels."""
    if spec.labels:
        return spec.labels.kind == HARD
    return not ranking.with_own_labels(made, spec.protocol)


def _hard_protocol(protocol: Protocol) -> Protocol:
    """A protocol for hard labels: divergence from a class is cross-entropy."""
    return with_loss(protocol, HARD, "ce") if protocol.loss == "kl" else protocol


def _hard(
    spec: EvaluateTask, beside: list[tuple[EvaluateTask, dict[str, Figures]]]
) -> Iterator[Figures]:
    wanted = _nameless(_hard_protocol(spec.protocol))
    for other, rows in beside:
        labelled = other.labels is not None and other.labels.kind == HARD
        if labelled and _nameless(other.protocol) == wanted and "distilled" in rows:
            yield rows["distilled"]


def _twins(
    spec: EvaluateTask, beside: list[tuple[EvaluateTask, dict[str, Figures]]]
) -> Iterator[dict[str, Figures]]:
    """Rows of evaluations that differ in augmentation alone: one of the two has none."""
    mine = augmented(spec.protocol)
    plain = _nameless(without_augmentation(spec.protocol))
    for other, rows in beside:
        same = _nameless(without_augmentation(other.protocol)) == plain
        if same and augmented(other.protocol) != mine and other.labels == spec.labels:
            yield rows


def _nameless(protocol: Protocol) -> Protocol:
    return protocol.replace(name="", nets=1)


def _beside(
    store: Store, run_key: str, arch: str
) -> Iterator[tuple[EvaluateTask, dict[str, Figures]]]:
    """Finished evaluations of a run, and their rows in one architecture; what cannot be read is left out."""
    for task in store.tasks("evaluate"):
        if trash.subject(task) == run_key and task.is_done():
            try:
                yield task.spec_as(EvaluateTask), _rows(task, arch)
            except DDError:
                continue


def _rows(task: Task, arch: str) -> dict[str, Figures]:
    return {row["subject"]: row for row in task.result()["rows"] if row["arch"] == arch}


def _most(rows: Iterable[Figures]) -> Figures | None:
    return max(rows, key=lambda row: row["n"], default=None)


def _most_of(tables: Iterable[dict[str, Figures]]) -> dict[str, Figures] | None:
    whole = [rows for rows in tables if "distilled" in rows]
    return max(whole, key=lambda rows: rows["distilled"]["n"], default=None)
