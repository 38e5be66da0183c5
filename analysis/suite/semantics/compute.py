"""The task `semantics`: from sets and pools to a result and arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import Arrays
from analysis.shared import attributes, significance
from analysis.shared.effects import CENTRED, RAW, centred
from analysis.shared.loo_spec import loo_pools
from analysis.suite.semantics.result import Discoveries, Example, Meaning, SemanticsFound
from analysis.suite.semantics.spec import BESIDE, EXAMPLES, SemanticsTask
from analysis.task import opened, save
from ddcore.base import rng

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context


@dataclass(frozen=True)
class AttributeTest:
    """Of each image (row) and attribute: how many of the chosen have it, lift, and two-sided p-value.

    Lift is the share among the chosen minus the share in the class. `chosen` counts those whose attribute is
    known.
    """

    having: np.ndarray
    chosen: np.ndarray
    lift: np.ndarray
    p: np.ndarray


def run(context: Context[SemanticsTask]) -> None:
    """Task `semantics`: attributes, tests and controls of every set."""
    spec = context.spec
    given = opened(context)
    data, labels = given.dataset, given.dataset.test_labels
    pixels = data.test_images.astype(np.float32) / 255
    columns = attributes.computed(pixels, labels)
    if spec.labels_csv:
        columns |= attributes.read_table(spec.labels_csv, len(labels), labels)
    names = list(columns)
    values = np.stack([columns[name] for name in names], 1)  # (N, attributes)
    arrays: Arrays = {}
    facts: dict[str, Meaning] = {}
    shown: dict[str, tuple[str, np.ndarray]] = {}
    for step, (key, made) in enumerate(given.sets.items()):
        context.progress(step, len(given.sets))
        own = made.hard_labels
        mean = given.pools[key].arrays()["influence"].astype(np.float32).mean(0)
        views: dict[str, Discoveries] = {}
        for view, influence in ((RAW, mean), (CENTRED, centred(mean, own))):
            chosen = top_of_class(influence, own, labels, spec.top)
            tested = attribute_tests(values, labels, own, chosen)
            found = significance.discoveries(tested.p, spec.fdr)
            arrays |= {
                f"lift.{view}.{key}": tested.lift.astype(np.float32),
                f"p.{view}.{key}": tested.p.astype(np.float32),
                f"found.{view}.{key}": found,
            }
            control = controls(context, values, labels, own, key)
            examples, rows = _examples(tested, found, chosen, influence)
            share, pairs = float(found.any(1).mean()), int(found.sum())
            views[view] = Discoveries(share, pairs, control, examples)
            if examples:
                shown[f"beside.{view}.{key}"] = ("test", rows)
        facts[key] = Meaning(labels=own.tolist(), raw=views[RAW], centred=views[CENTRED])
        arrays[f"pixels.{key}"] = made.pixels()
    context.progress(len(given.sets), len(given.sets))
    meanings = SemanticsFound(
        sets=facts,
        attributes=tuple(names),
        own_table=len(names) - len(attributes.computed(pixels[:1], labels[:1])),
        tests=len(labels),
        top=sizes(labels, spec.top),
        fdr=spec.fdr,
        controls=spec.controls,
        inits=spec.inits,
        network=next(iter(loo_pools(spec, given.chosen).values())).net.label(),
        pools=tuple(task.key for task in given.pools.values()),
    )
    save(context, given, meanings, arrays, shown)


def sizes(labels: np.ndarray, top: int) -> list[int]:
    """How many test images of each class are looked at: `top`, at most a quarter of the class."""
    return [max(2, min(top, int(n) // 4)) for n in np.bincount(labels)]


def top_of_class(
    influence: np.ndarray, own: np.ndarray, labels: np.ndarray, top: int
) -> list[np.ndarray]:
    """For each image the test images of its own class with the largest influence (M, N), best first."""
    few = sizes(labels, top)
    found = []
    for j, c in enumerate(own):
        members = np.flatnonzero(labels == c)
        order = np.argsort(-influence[j, members], kind="stable")
        found.append(members[order[: few[c]]])
    return found


def attribute_tests(
    values: np.ndarray, labels: np.ndarray, own: np.ndarray, chosen: list[np.ndarray]
) -> AttributeTest:
    """Hypergeometric test of each attribute (N, A) among the test images chosen for each image.

    Under the hypothesis the chosen are a random part of the class: of those whose attribute is known, drawn
    without replacement. p is twice the smaller tail, at most 1. Attributes that are the same in the whole
    class give p = 1.
    """
    from scipy.stats import hypergeom

    known = np.isfinite(values)
    true = np.nan_to_num(values).astype(np.int64)
    classes = int(labels.max()) + 1
    inside = np.eye(classes, dtype=np.int64)[labels]  # (N, K)
    size, having = (inside.T @ known)[own], (inside.T @ true)[own]  # (M, A)
    drawn = np.stack([known[rows].sum(0) for rows in chosen])
    hits = np.stack([true[rows].sum(0) for rows in chosen])
    upper = hypergeom.sf(hits - 1, size, having, drawn)
    lower = hypergeom.cdf(hits, size, having, drawn)
    usable = (drawn > 0) & (having > 0) & (having < size)
    p = np.where(usable, np.minimum(1.0, 2 * np.minimum(upper, lower)), 1.0)
    lift = hits / np.maximum(drawn, 1) - having / np.maximum(size, 1)
    return AttributeTest(hits, drawn, np.where(drawn > 0, lift, 0.0), p)


def controls(
    context: Context[SemanticsTask],
    values: np.ndarray,
    labels: np.ndarray,
    own: np.ndarray,
    key: str,
) -> float:
    """Share of images with a discovery when the test images are drawn at random from their class; mean."""
    spec = context.spec
    few, generator = sizes(labels, spec.top), rng.numpy_generator(spec.seed, "control", key)
    members = [np.flatnonzero(labels == c) for c in range(len(few))]
    shares = []
    for _ in range(spec.controls):
        context.check_cancel()
        chosen = [generator.permutation(members[c])[: few[c]] for c in own]
        tested = attribute_tests(values, labels, own, chosen)
        shares.append(float(significance.discoveries(tested.p, spec.fdr).any(1).mean()))
    return float(np.mean(shares))


def _examples(
    tested: AttributeTest, found: np.ndarray, chosen: list[np.ndarray], influence: np.ndarray
) -> tuple[tuple[Example, ...], np.ndarray]:
    """The clearest discoveries of different images, and the test images beside them (a flat list)."""
    pairs = np.argwhere(found)
    pairs = pairs[np.argsort(tested.p[tuple(pairs.T)], kind="stable")]
    examples: list[Example] = []
    rows: list[np.ndarray] = []
    used: set[int] = set()
    for j, a in pairs.tolist():
        if j in used or len(examples) == EXAMPLES:
            continue
        used.add(j)
        beside = chosen[j][:BESIDE]
        examples.append(
            Example(
                image=j,
                attribute=a,
                lift=float(tested.lift[j, a]),
                p=float(tested.p[j, a]),
                values=influence[j, beside].tolist(),
            )
        )
        rows.append(beside)
    return tuple(examples), np.concatenate(rows) if rows else np.zeros(0, np.int64)
