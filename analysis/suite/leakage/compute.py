"""The task `leakage`: from sets to a result and arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from analysis.contract import Arrays
from analysis.shared.attacks import curve
from analysis.shared.sources import MEAN, RANDOM, TITLES, SourceFacts
from analysis.suite.leakage.maths import (
    by_chance,
    confidence,
    each_in_turn,
    false_labels,
    halves,
    recovered,
    scores,
    success,
)
from analysis.suite.leakage.result import AttackFacts, LeakageFound, LeakFacts, MemorisedFacts
from analysis.suite.leakage.spec import (
    IMAGES,
    OWN,
    RATES,
    RESAMPLES,
    TAUGHT,
    TEACHERS,
    LeakageTask,
    net_of,
)
from analysis.task import Opened, opened, save
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import Dataset
from ddcore.data.splits import held_out
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network
from ddcore.training.chunks import limit_threads
from ddcore.training.labels import one_hot
from ddcore.training.teacher import Teacher
from ddcore.training.train import train

if TYPE_CHECKING:
    from ddcore.sets.distilled import DistilledSet
    from ddcore.tasks.worker import Context
    from ddcore.training.trained import TrainedNets

CURVE = np.geomspace(1e-4, 1, 81)  # rates of false positives at which a curve is kept
AT_ONCE = 4  # teachers in training


@dataclass(frozen=True)
class _Pool:
    """Images that are asked about, members of the data first, then as many held-out ones of each class.

    images (n, ...) preprocessed, labels (n,), `rows` of the members in the training part; `inside` (r, n):
    the half that taught shadow r. Of these, `planted` (r, p) are the places that it learned with the labels
    `false`; they count neither as members nor as others.
    """

    images: torch.Tensor
    labels: np.ndarray
    rows: np.ndarray
    inside: np.ndarray
    planted: np.ndarray
    false: np.ndarray

    @property
    def member(self) -> np.ndarray:
        """(r, n) bool: truly labelled images that taught a shadow."""
        found = self.inside.copy()
        np.put_along_axis(found, self.planted, False, axis=1)
        return found

    def learned(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places and labels of each half."""
        for mask, places, wrong in zip(self.inside, self.planted, self.false):
            labels = self.labels.copy()
            labels[places] = wrong
            yield np.flatnonzero(mask), labels[mask]


def run(context: Context[LeakageTask]) -> None:
    """Task `leakage`: attacks on images and on labels, and what comes through of false labels."""
    given = opened(context)
    work = _Work(context, given)
    work.teachers()
    sizes = dict.fromkeys(run.ipc for run in given.chosen.runs)
    means = {ipc: work.means(ipc) for ipc in sizes}
    for run_ in given.chosen.runs:
        made, facts = given.sets[run_.key], SourceFacts(run_.key, run_.method, run_.label, run_.ipc)
        work.images(facts, made, means[run_.ipc])
        work.taught(facts, made.images)
    work.yardsticks(means)
    context.progress(work.steps, work.steps)
    save(context, given, work.found(), work.arrays)


class _Work:
    """What is found, channel by channel."""

    def __init__(self, context: Context[LeakageTask], given: Opened) -> None:
        self.context, self.spec, self.given = context, context.spec, given
        self.classes = given.chosen.classes
        self.net: NetSpec = net_of(self.spec, given.chosen)
        self.pool = _pool(self.spec, given.dataset, context.device)
        self.largest = max(run.ipc for run in given.chosen.runs)
        self.sources: list[SourceFacts] = []
        self.leaks: list[LeakFacts] = []
        self.memorised: list[MemorisedFacts] = []
        self.arrays: Arrays = {}
        self.steps, self.done = 4 + 2 * len(given.sets), 0
        limit_threads(Network(self.net, given.chosen.shape, self.classes), context.device)

    def _next(self, message: str) -> None:
        self.context.progress(self.done, self.steps, message=message)
        self.done += 1

    def _seeds(self, *labels: object) -> list[int]:
        return [rng.derive(self.spec.seed, "leakage", *labels, i) for i in range(self.spec.shadows)]

    # --- what is trained --------------------------------------------------------------------------

    def teachers(self) -> None:
        """Networks trained on the halves, a few at a time, and what they say of all images."""
        self._next("teachers")
        learned, seeds = list(self.pool.learned()), self._seeds("teacher")
        self.nets: list[TrainedNets] = []
        recipe = self.spec.teaching(len(self.pool.rows))
        for first in range(0, len(learned), AT_ONCE):
            part = learned[first : first + AT_ONCE]
            x = torch.stack([self.pool.images[rows] for rows, _ in part])
            y = torch.stack([one_hot(torch.from_numpy(c), self.classes) for _, c in part])
            device = self.context.device
            chosen = seeds[first : first + AT_ONCE]
            made = train(self.net, x.to(device), y.to(device), self.classes, recipe, chosen)
            self.nets += [made.part(slice(i, i + 1)) for i in range(len(part))]
        self.logits = np.concatenate([self._asked(nets) for nets in self.nets])

    def means(self, ipc: int) -> np.ndarray:
        """Logits (r, n, K) of networks trained on class means of each half: what shadows of images are."""
        self._next("class means")
        made = []
        for shadow, (rows, labels) in enumerate(self.pool.learned()):
            generator = rng.numpy_generator(self.spec.seed, "leakage means", ipc, shadow)
            made.append(_class_means(self.pool.images[rows], labels, self.classes, ipc, generator))
        classes = torch.arange(self.classes).repeat_interleave(ipc)
        return self._learned(torch.stack(made), classes, self._seeds("means", ipc), soft=False)

    def _learned(
        self, images: torch.Tensor, labels: torch.Tensor, seeds: list[int], soft: bool
    ) -> np.ndarray:
        """Logits of networks trained on few images with these labels, (networks, n, K)."""
        device, recipe = self.context.device, self.spec.recipe(soft)
        images, labels = images.to(device), labels.to(device)
        return self._asked(train(self.net, images, labels, self.classes, recipe, seeds))

    def _asked(self, nets: TrainedNets) -> np.ndarray:
        return torch.cat(nets.logits_in_batches(self.pool.images), dim=1).numpy()

    # --- what is attacked -------------------------------------------------------------------------

    def images(self, facts: SourceFacts, made: DistilledSet, shadows: np.ndarray) -> None:
        """A set with classes as labels, and with its own where it has them: the set alone is attacked."""
        self._next("networks on the set")
        self.sources.append(facts)
        member = np.arange(len(self.pool.labels)) < len(self.pool.rows)
        own = confidence(shadows, self.pool.labels)
        seeds = self._seeds("set")[: self.spec.nets]
        wanted = {IMAGES: made.hard_labels}
        if made.soft:
            wanted[OWN] = made.for_training(self.spec.recipe(soft=False))[1]
        for kind, labels in wanted.items():
            images, y = torch.from_numpy(made.images), torch.from_numpy(np.asarray(labels))
            asked = confidence(self._learned(images, y, seeds, soft=False), self.pool.labels)
            found = scores(asked, own, self.pool.member, ~self.pool.inside)
            rows = {name: values[None] for name, values in found.items()}
            self._told(facts.key, kind, rows, member[None], ~member[None])

    def taught(self, facts: SourceFacts, images: np.ndarray) -> None:
        """The same images with the labels of every teacher: each is attacked by the others."""
        self._next("a teacher's labels")
        x = torch.from_numpy(np.ascontiguousarray(images)).to(self.context.device)
        labels = [Teacher(nets, self.spec.temperature).labels(x) for nets in self.nets]
        logits = self._learned(x, torch.stack(labels), self._seeds("taught"), soft=True)
        self._in_turn(facts.key, TAUGHT, logits)
        self._memorised(facts.key, logits)

    def yardsticks(self, means: dict[int, np.ndarray]) -> None:
        """Class means, random images and the teachers, whose members are known."""
        ipc = self.largest
        for name in (MEAN, RANDOM, TEACHERS):
            label = (
                f"{TITLES[name]}, {ipc} per class" if name in TITLES else "The teachers themselves"
            )
            facts = SourceFacts(name, "", label, ipc)
            self.sources.append(facts)
            if name == MEAN:
                self._in_turn(name, IMAGES, means[ipc])
            elif name == RANDOM:
                self.taught(facts, _others(self.spec, self.given.dataset, self.pool.rows, ipc))
            else:
                self._in_turn(name, TAUGHT, self.logits)
                self._memorised(name, self.logits)

    def _in_turn(self, key: str, kind: str, logits: np.ndarray) -> None:
        member, other = self.pool.member, ~self.pool.inside
        found = each_in_turn(confidence(logits, self.pool.labels), member, other)
        self._told(key, kind, found, member, other)

    def _told(
        self,
        key: str,
        kind: str,
        found: dict[str, np.ndarray],
        member: np.ndarray,
        other: np.ndarray,
    ) -> None:
        attacks = {}
        for name, values in found.items():
            generator = rng.numpy_generator(self.spec.seed, "leakage", key, kind, name)
            done = success(values, member, other, RATES, RESAMPLES, generator)
            shares = [None if share is None else list(share) for share in done.caught]
            attacks[name] = AttackFacts(list(done.auc), shares)
            kept = curve(values[member], values[other], CURVE)
            self.arrays[f"curve.{key}.{kind}.{name}"] = kept.astype(np.float32)
        targets, members, others = len(member), int(member.sum()), int(other.sum())
        self.leaks.append(LeakFacts(key, kind, targets, members, others, attacks))

    def _memorised(self, key: str, logits: np.ndarray) -> None:
        """False labels of each shadow in turn, beside what all shadows of other pairs say."""
        said = torch.from_numpy(logits).double().log_softmax(-1).numpy()
        hits = []
        for j, places in enumerate(self.pool.planted):
            rest = np.arange(len(said)) // 2 != j // 2
            clean = said[rest][:, places].mean(0)
            true = self.pool.labels[places]
            hits.append(recovered(said[j, places], clean, true, self.pool.false[j]))
        every = np.stack(hits)
        count, trials = int(every.sum()), every.size
        shares = every.mean(1).tolist()
        p = by_chance(count, trials, self.classes)
        self.memorised.append(MemorisedFacts(key, shares, count, trials, p))

    def found(self) -> LeakageFound:
        """The result."""
        spec, pool = self.spec, self.pool
        answers = self.logits.argmax(-1)
        said = np.take_along_axis(answers, pool.planted, axis=1)
        right = answers == pool.labels
        return LeakageFound(
            sources=tuple(self.sources),
            leaks=tuple(self.leaks),
            memorised=tuple(self.memorised),
            rates=RATES,
            shadows=spec.shadows,
            half=len(pool.rows),
            planted=pool.planted.shape[1],
            fitted=float(np.mean(said == pool.false)),
            teacher=float(np.mean(right[~pool.inside])),
            nets=spec.nets,
            network=self.net.label(),
            iterations=spec.iterations,
            temperature=spec.temperature,
        )


def _pool(spec: LeakageTask, data: Dataset, device: str) -> _Pool:
    """As many training as test images of every class, at most half of the training images."""
    classes = len(data.class_names)
    counts = [np.bincount(y, minlength=classes) for y in (data.train_labels, data.test_labels)]
    most = np.minimum(counts[0] // 2, counts[1])
    quota = np.floor(most * min(1.0, spec.images / most.sum())).astype(np.int64)
    if quota.min() < 1:
        raise SpecError("images", spec.images, "enough images for one of every class")
    parts = []
    for labels, name in ((data.train_labels, "members"), (data.test_labels, "others")):
        generator = rng.numpy_generator(spec.seed, "leakage", name)
        parts.append(np.flatnonzero(held_out(labels, quota, generator)))
    rows, others = parts
    images = np.concatenate([data.train_images[rows], data.test_images[others]])
    labels = np.concatenate([data.train_labels[rows], data.test_labels[others]])
    generator = rng.numpy_generator(spec.seed, "leakage", "halves")
    inside = halves(labels, spec.shadows // 2, generator)
    wrong = min(spec.planted, len(rows) // 4)
    planted = np.stack(
        [np.sort(generator.permutation(np.flatnonzero(mask))[:wrong]) for mask in inside]
    )
    false = np.stack([false_labels(labels[places], classes, generator) for places in planted])
    x = torch.from_numpy(data.preprocess(images)).to(device)
    return _Pool(x, labels, rows, inside, planted, false)


def _class_means(
    images: torch.Tensor,
    labels: np.ndarray,
    classes: int,
    ipc: int,
    generator: np.random.Generator,
) -> torch.Tensor:
    """Means (K * ipc, ...) of random parts of each class; where a class has fewer, images come again."""
    found = []
    for c in range(classes):
        rows = generator.permutation(np.flatnonzero(labels == c))
        rows = np.resize(rows, max(ipc, len(rows)))
        found += [images[part].mean(0) for part in np.array_split(rows, ipc)]
    return torch.stack(found)


def _others(spec: LeakageTask, data: Dataset, rows: np.ndarray, ipc: int) -> np.ndarray:
    """Preprocessed training images (K * ipc, ...) that nobody is asked about and that taught no teacher."""
    free = np.setdiff1d(np.arange(len(data.train_labels)), rows)
    generator = rng.numpy_generator(spec.seed, "leakage", "random")
    found = []
    for c in range(len(data.class_names)):
        own = generator.permutation(free[data.train_labels[free] == c])
        if len(own) < ipc:
            raise SpecError("run_keys", ipc, f"sets with at most {len(own)} images per class")
        found.append(own[:ipc])
    return data.preprocess(data.train_images[np.concatenate(found)])
