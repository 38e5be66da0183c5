"""What `evaluate` is asked about labels, and what it says of them."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ddcore.base.errors import SpecError
from ddcore.base.fields import declared
from ddcore.measure import fair, ranking
from ddcore.measure.regimes import HARD, REGIMES, LabelRegime, regime, with_loss
from ddcore.measure.spec import EvaluateTask, run_of
from ddcore.nets.published import WORD
from ddcore.nets.words import judge
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.store import Store, Task
from ddcore.training.protocols import Protocol

OWN = "own"  # in place of a kind: every set has the labels it comes with


def add_labels(sub: argparse.ArgumentParser) -> None:
    """The options."""
    said = declared(Protocol)
    kinds = "; ".join(f"{name}: {about}" for name, about in REGIMES.items())
    sub.add_argument("--labels", help=f"labels of all sets alike ({kinds})")
    sub.add_argument("--loss", help=said["loss"].sentences() + " A teacher's labels: kl.")
    sub.add_argument(
        "--temperature", type=float, help=said["temperature"].sentences() + " With kl: 4."
    )
    sub.add_argument(
        "--fair",
        action="store_true",
        help="measure all that the scores need: all training images, hard labels, no augmentation",
    )
    sub.add_argument("--teacher", metavar="NET", help="which network teaches; the run's own")
    sub.add_argument(
        "--teacher-epochs",
        type=int,
        help="how often the teacher sees all real images; without it as often as they need",
    )


def refuse(options: argparse.Namespace) -> None:
    """`SpecError` for any of the options: a graph's nodes have the labels that they have."""
    asked = (
        "stages",
        "labels",
        "loss",
        "temperature",
        "teacher",
        "teacher_epochs",
        "fair",
        "as_published",
    )
    for name in asked:
        if getattr(options, name) not in (None, False):
            raise SpecError(name, getattr(options, name), "nothing of the kind for graphs")


def labelling(options: argparse.Namespace, run: Task, protocol: Protocol) -> dict[str, Any]:
    """The fields `labels` and `protocol` of an evaluation, as asked; none where nothing is."""
    spec, kind = run_of(run), options.labels
    taught = kind is not None and kind != HARD
    for name in ("teacher", "teacher_epochs"):
        if getattr(options, name) is not None and not taught:
            raise SpecError(
                name, getattr(options, name), "no teacher without --labels soft or online"
            )
    found: dict[str, Any] = {}
    if kind is not None or options.loss or options.temperature is not None:
        found["protocol"] = with_loss(protocol, kind or "", options.loss or "", options.temperature)
    if kind is not None:
        net, word = spec.net, ""
        if options.teacher and WORD.fullmatch(options.teacher):
            word = options.teacher
        elif options.teacher:
            result = run.result()
            form = tuple(result["shape"]), len(result["set"]["class_names"])
            net = judge("teacher", options.teacher, net, *form)
        found["labels"] = regime(kind, spec.data, net, options.teacher_epochs or 0, published=word)
    return found


def label_facts(task: Task, store: Store) -> dict[str, Any]:
    """The labels of an evaluation, for people and programs."""
    spec = task.spec_as(EvaluateTask)
    facts: dict[str, Any] = {
        "labels": spec.labels.kind if spec.labels else OWN,
        "loss": spec.protocol.loss,
        "temperature": spec.protocol.temperature,
    }
    if spec.labels and spec.labels.teacher:
        facts["teacher"] = _teacher_facts(spec.labels, store)
    return facts


def _teacher_facts(labels: LabelRegime, store: Store) -> dict[str, Any]:
    assert labels.teacher is not None
    pool = store.task(labels.teacher)
    found = {"key": pool.key, "net": labels.teacher.net.label(), "nets": labels.teacher.nets}
    if not pool.is_done():  # deleted since
        return found
    result = pool.result()
    return {**found, "epochs": result["epochs"], "test": result["test"]}


def fair_facts(task: Task, run: Task, store: Store, arch: str) -> dict[str, Any]:
    """HLR, IOR, LRS and ARS of an evaluation with their parts as shares; None where not measured."""
    found = fair.scores(store, task, DistilledSet.from_task(run), arch)
    better = found.better
    return {
        "hlr": _share(found.gap),
        "ior": _share(better.over_random if better else None),
        "lrs": found.label_robust,
        "ior_with_augmentation": _share(found.with_augmentation),
        "ior_without_augmentation": _share(found.without_augmentation),
        "ars": found.augmentation_robust,
        "weight": ranking.WEIGHT,
        "missing": list(found.missing),
    }


def _share(found: ranking.Difference | None) -> dict[str, Any] | None:
    return asdict(found) if found else None


PARTS = {
    "hlr": "HLR",
    "ior": "IOR",
    "ior_with_augmentation": "IOR with augmentation",
    "ior_without_augmentation": "without",
}
SCORES = {
    "lrs": ("label robust score", ("hlr", "ior")),
    "ars": ("augmentation robust score", ("ior_with_augmentation", "ior_without_augmentation")),
}


def print_fair(facts: dict[str, Any]) -> None:
    """Each score with its parts, how to doubt them, and what is missing."""
    known = {name: score for name, score in SCORES.items() if facts[name] is not None}
    for name, (title, parts) in known.items():
        said = (f"{PARTS[part]} {ranking.Difference(**facts[part]).points()}" for part in parts)
        print(f"{title}: {facts[name]:.3f} ({', '.join(said)})")
    if known:
        print(f"  {ranking.DOUBT}")
    if facts["missing"]:
        print(f"scores that need more (--fair): {'; '.join(facts['missing'])}")
