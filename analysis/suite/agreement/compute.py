"""The task `agreement`: from sets and pools to a result and arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays
from analysis.shared import significance
from analysis.suite.agreement.result import AgreementFound, AgreementLead, Alike, Matched
from analysis.suite.agreement.spec import (
    EARLY,
    MEASURES,
    PAIR,
    POOLS,
    SHOWN,
    SUBSET,
    T300,
    AgreementTask,
    pools,
)
from analysis.task import Opened, opened, save

if TYPE_CHECKING:
    from ddcore.data.tensors import DeviceData
    from ddcore.nets.architectures import NetSpec
    from ddcore.sets.distilled import DistilledSet
    from ddcore.tasks.worker import Context


@dataclass(frozen=True)
class Answers:
    """Predicted classes (..., N) for the N test images, and what follows from them alone.

    Leading axes: (networks,), or (networks, tests) where each was tested several times.
    """

    called: np.ndarray
    hits: np.ndarray  # (...) images predicted as labelled
    shares: np.ndarray  # (..., C) of each class among the predictions

    @classmethod
    def of(cls, called: np.ndarray, labels: np.ndarray, classes: int) -> Answers:
        """Count hits and classes."""
        shares = np.stack([(called == c).mean(-1) for c in range(classes)], axis=-1)
        return cls(called, (called == labels).sum(-1), shares)

    def __getitem__(self, which: Any) -> Answers:
        return Answers(self.called[which], self.hits[which], self.shares[which])

    @property
    def accuracy(self) -> np.ndarray:
        """(...) shares."""
        return self.hits / self.called.shape[-1]


def compare(one: Answers, others: Answers, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Measures (...) of one network's answers (N,) against those of others (..., N).

    agreement: share of all images with the same answer. kappa: (agreement - chance) / (1 - chance) where
    chance is the agreement of independent answers with the same class shares (Cohen 1960); NaN where
    chance is 1. shared: share with the same answer of the `both_wrong` images that both get wrong; NaN
    where there are none.
    """
    agreement = (others.called == one.called).mean(-1)
    chance = others.shares @ one.shares
    wrong = one.called != labels
    theirs = others.called[..., wrong]
    both = (theirs != labels[wrong]).sum(-1)
    same = (theirs == one.called[wrong]).sum(-1)  # the same wrong answer
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = np.where(chance < 1, (agreement - chance) / (1 - chance), np.nan)
        shared = np.where(both > 0, same / both, np.nan)
    return {"agreement": agreement, "kappa": kappa, "shared": shared, "both_wrong": both}


def match(hits: np.ndarray, target: int, gap: float, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Networks, and which test of each, that come nearest to a number of hits.

    Of every network (R, T) the test with the nearest number counts, the earliest of equals, if it differs
    by at most `gap` of all images. Returns two index arrays of one length.
    """
    apart = np.abs(hits.astype(np.int64) - int(target))
    best = apart.argmin(-1)
    near = np.flatnonzero(apart[np.arange(len(hits)), best] <= gap * images + 1e-9)
    return near, best[near]


def run(context: Context[AgreementTask]) -> None:
    """Task `agreement`: train on every set, match both pools in accuracy, compare answers."""
    spec = context.spec
    given = opened(context)
    trained = _trained(context, given)
    subset, early = (given.pools[name].arrays() for name in (SUBSET, EARLY))
    labels, classes = given.dataset.test_labels, given.chosen.classes
    others = {
        EARLY: Answers.of(early["predicted"], labels, classes),  # (runs, iterations)
        SUBSET: Answers.of(subset["predicted"][:, None], labels, classes),  # (networks, 1)
    }
    at = {  # where each test was made: iteration, images per class
        EARLY: np.broadcast_to(early["steps"], others[EARLY].hits.shape),
        SUBSET: subset["size"][:, None],
    }
    arrays: Arrays = {}
    for pool in POOLS:
        arrays[f"at.{pool}"] = np.unique(at[pool])
        arrays[f"accuracy.{pool}"] = _by_place(others[pool].accuracy[None], at[pool])
    facts: dict[str, Alike] = {}
    real: dict[str, tuple[str, np.ndarray]] = {}
    for key, called in trained.items():
        own = Answers.of(called, labels, classes)
        pairs, votes = {}, {}
        for pool in POOLS:
            pairs[pool], along, votes[pool] = _against(
                own, others[pool], at[pool], labels, spec.gap
            )
            arrays[f"pairs.{pool}.{key}"] = pairs[pool]
            arrays |= {f"along.{pool}.{name}.{key}": v for name, v in along.items()}
        matched, sides = summaries(pairs), disagreeing(called, votes, classes)
        facts[key] = Alike(
            accuracy=own.accuracy.tolist(),
            early=matched[EARLY],
            subset=matched[SUBSET],
            lead=lead(pairs),
            sides={side: count for side, (count, _, _) in sides.items()},
        )
        for side, (_, rows, answers) in sides.items():
            arrays[f"answers.{side}.{key}"] = np.stack([labels[rows], *answers])
            real[f"images.{side}.{key}"] = ("test", rows)
    found = AgreementFound(
        sets=facts,
        gap=spec.gap,
        test_images=len(labels),
        stored_bytes=int(early["predicted"].nbytes + subset["predicted"].nbytes),
        pools=tuple(task.key for task in given.pools.values()),
        networks={pool: len(others[pool].hits) for pool in POOLS},
        network=pools(spec, given.chosen)[SUBSET].net.label(),
    )
    save(context, given, found, arrays, real)


def _against(
    own: Answers, others: Answers, at: np.ndarray, labels: np.ndarray, gap: float
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """A set's networks against a pool: matched pairs (P, columns of `PAIR`), each measure at every
    place, averaged over all pairs of networks, and the answers (P, N) of the matched ones."""
    rows, votes, along = [], [], []
    for i, hits in enumerate(own.hits):
        measured = compare(own[i], others, labels)
        along.append(measured)
        which = match(others.hits, hits, gap, len(labels))
        count = len(which[0])
        row = [np.full(count, i), which[0], at[which], np.full(count, own.accuracy[i])]
        row += [others.accuracy[which], *(measured[name][which] for name in PAIR[5:])]
        rows.append(np.stack(row, axis=1).astype(np.float64))
        votes.append(others.called[which])
    means = {name: _by_place(np.stack([m[name] for m in along]), at) for name in MEASURES}
    return np.concatenate(rows), means, np.concatenate(votes)


def _by_place(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Mean at each different place of (n, R, T) values, leaving out NaN; NaN where nothing is left."""
    return np.array([_mean(values[:, at == place]) for place in np.unique(at)])


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else np.nan


def _trained(context: Context[AgreementTask], given: Opened) -> dict[str, np.ndarray]:
    """Answers (nets, N) for the test images of networks trained on each set (protocol T300)."""
    from ddcore.base import rng
    from ddcore.data.tensors import DeviceData

    spec = context.spec
    data = DeviceData(given.dataset, context.device)
    net = pools(spec, given.chosen)[SUBSET].net
    resumed = context.load_checkpoint()
    found = dict(resumed[0]) if resumed else {}
    for step, (key, made) in enumerate(given.sets.items()):
        context.progress(100 * step, 100 * len(given.sets))
        if key in found:
            continue
        seeds = [rng.derive(spec.seed, "agreement", key, i) for i in range(spec.nets)]

        def report(at: int, total: int, before: int = step) -> None:
            context.progress(round(100 * (before + at / total)), 100 * len(given.sets))

        found[key] = answers_of(net, made, data, seeds, report)
        if context.checkpoint_due():
            context.save_checkpoint(step + 1, found, {})
    return {key: found[key] for key in given.sets}


def answers_of(
    net: NetSpec,
    made: DistilledSet,
    data: DeviceData,
    seeds: list[int],
    on_step: Callable[[int, int], None] = lambda step, total: None,
) -> np.ndarray:
    """Predicted classes (networks, N) of the test images after training on a set for 300 steps."""
    import torch

    from ddcore.nets.network import Network
    from ddcore.training.chunks import limit_threads
    from ddcore.training.train import train

    images, labels = (torch.from_numpy(a).to(data.device) for a in made.for_training(T300))
    limit_threads(Network(net, data.shape, data.num_classes), data.device)
    nets = train(net, images, labels, data.num_classes, T300, seeds, on_step=on_step)
    return nets.predict(data.test).numpy().astype(np.min_scalar_type(data.num_classes - 1))


def summaries(pairs: dict[str, np.ndarray]) -> dict[str, Matched]:
    """What is said about each pool's matched pairs; None for what there is not.

    Every network trained on the set counts the same, however many others match it: means over the
    others first. Where some are matched by both pools, the rest are left out of the means, so that both
    pools are judged by the same networks.
    """
    both = set.intersection(*(set(p[:, 0]) for p in pairs.values()))
    return {pool: _summary(p, both or set(p[:, 0])) for pool, p in pairs.items()}


def _summary(pairs: np.ndarray, nets: set[float]) -> Matched:
    def mean(name: str) -> float | None:
        column = pairs[:, PAIR.index(name)]
        found = _mean(np.array([_mean(column[pairs[:, 0] == i]) for i in sorted(nets)]))
        return found if np.isfinite(found) else None

    return Matched(
        pairs=len(pairs),
        networks=len(np.unique(pairs[:, PAIR.index("other")])),
        accuracy=mean("accuracy"),
        other_accuracy=mean("other_accuracy"),
        agreement=mean("agreement"),
        kappa=mean("kappa"),
        shared=mean("shared"),
    )


def lead(pairs: dict[str, np.ndarray]) -> AgreementLead | None:
    """How much more a set's networks agree with early-stopped ones; cautious error, degrees of freedom, p.

    The error adds the variances of three means: over the networks trained on the set, the early-stopped
    and the subset-trained ones, since pairs that share a network are not independent. It and what follows
    is None if one of the three has a single network. None altogether without pairs of both pools.
    """
    value, other = PAIR.index("agreement"), PAIR.index("other")
    means, samples = {}, []
    for pool, rows in pairs.items():
        means[pool] = {i: rows[rows[:, 0] == i, value].mean() for i in np.unique(rows[:, 0])}
        samples.append([rows[rows[:, other] == j, value].mean() for j in np.unique(rows[:, other])])
    leads = [means[EARLY][i] - means[SUBSET][i] for i in means[EARLY] if i in means[SUBSET]]
    if not leads:
        return None
    test = significance.combined(float(np.mean(leads)), [leads, *samples], significance.GREATER)
    return AgreementLead(float(test.mean), _known(test.error), _known(test.df), _known(test.p))


def _known(value: np.ndarray) -> float | None:
    return float(value) if np.isfinite(value) else None


def majority(called: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent class (N,) of answers (M, N), the lowest of equals, and its share of them."""
    counts = np.stack([(called == c).sum(0) for c in range(classes)])
    return counts.argmax(0), counts.max(0) / len(called)


def disagreeing(
    called: np.ndarray, votes: dict[str, np.ndarray], classes: int
) -> dict[str, tuple[int, np.ndarray, np.ndarray]]:
    """Images on which the networks (M, N) side with the majority of one pool and not the other's.

    For each pool: how many; rows of the clearest, by the smallest of the three majorities; their classes
    (2, n), the networks' own and the other pool's. Empty if a pool has nobody.
    """
    if not all(map(len, votes.values())):
        return {}
    own, sure = majority(called, classes)
    answers = {pool: majority(v, classes) for pool, v in votes.items()}
    clear = np.min([sure, *(share for _, share in answers.values())], axis=0)
    found = {}
    for side, against in ((EARLY, SUBSET), (SUBSET, EARLY)):
        same, other = answers[side][0], answers[against][0]
        rows = np.flatnonzero((own == same) & (own != other))
        shown = rows[np.argsort(-clear[rows], kind="stable")][:SHOWN]
        found[side] = (len(rows), shown, np.stack([own[shown], other[shown]]))
    return found
