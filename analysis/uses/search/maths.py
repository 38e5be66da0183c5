"""Statistics of a search: rank correlation with its interval, what it cannot exceed, regret.

Networks are ranked on validation images and reported on test images. Intervals of Spearman's rho are those
of Bonett & Wright 2000 (Fisher's transform with variance (1 + rho^2 / 2) / (n - 3)).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from analysis.uses.search.result import Ranking, Searched, net_text

TOP_SHARE = 0.2
LEAST = 5  # networks below which no correlation is given
TRIED = 5  # networks of a proxy that are trained fully before one is chosen
CONFIDENCE_Z = 1.959963984540054  # of a two-sided 95 % interval
SLICES = {
    "all": "all networks",
    "trainable": "those that full training can train at all",
    "top": "the proxy's own best fifth",
}


@dataclass(frozen=True)
class Agreement:
    """Spearman's rho between two rankings of n networks, its 95 % interval, Kendall's tau-b."""

    rho: float
    low: float
    high: float
    tau: float
    n: int


def agreement(one: np.ndarray, other: np.ndarray) -> Agreement | None:
    """Of two scores (n,); None of fewer than `LEAST` networks, or where one score is the same for all."""
    from scipy.stats import kendalltau, spearmanr

    n = len(one)
    if n < LEAST or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    rho = float(spearmanr(one, other).statistic)
    low, high = interval(rho, n)
    return Agreement(rho, low, high, float(kendalltau(one, other).statistic), n)


def interval(rho: float, n: int) -> tuple[float, float]:
    """95 % interval of Spearman's rho of n pairs (Bonett & Wright 2000, eq. 3)."""
    if abs(rho) >= 1:
        return rho, rho
    half = CONFIDENCE_Z * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)


def trainable(found: Searched) -> np.ndarray:
    """(A,) whether full training takes a network at least half the way from chance to the best one."""
    truth = found.truth
    return truth >= (found.chance + truth.max()) / 2


def slices(found: Searched, ranking: Ranking) -> dict[str, np.ndarray]:
    """Numbers of the networks of every slice of `SLICES`."""
    count = max(LEAST, math.ceil(TOP_SHARE * len(found.nets)))
    return {
        "all": np.arange(len(found.nets)),
        "trainable": np.flatnonzero(trainable(found)),
        "top": np.sort(ranking.order[:count]),
    }


def agreements(found: Searched, ranking: Ranking) -> dict[str, Agreement | None]:
    """How a proxy agrees with full training in every slice."""
    return {
        name: agreement(ranking.score[rows], found.truth[rows])
        for name, rows in slices(found, ranking).items()
    }


# --- what cannot be exceeded --------------------------------------------------------------------------


def reliability(test: np.ndarray) -> float | None:
    """Of the mean of k trainings (A, k): their mean rho in pairs, by Spearman-Brown; None if k < 2."""
    from scipy.stats import spearmanr

    k = test.shape[1]
    if k < 2 or len(test) < LEAST:
        return None
    pairs = [(i, j) for i in range(k) for j in range(i)]
    between = float(np.mean([spearmanr(test[:, i], test[:, j]).statistic for i, j in pairs]))
    return k * between / (1 + (k - 1) * between)


def ceiling(found: Searched, rows: np.ndarray) -> float | None:
    """The rho with full training that a ranking without any error would be expected to reach."""
    own = reliability(found.full.test[rows])
    return None if own is None or own < 0 else math.sqrt(own)


# --- regret -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetChoice:
    """A network that is chosen, its test accuracy after full training, and what it lacks to the best one."""

    net: int
    accuracy: float
    regret: float


def first(found: Searched, ranking: Ranking) -> NetChoice:
    """The network that a proxy puts first."""
    return _choice(found, int(ranking.order[0]))


def best_of(found: Searched, ranking: Ranking, tried: int = TRIED) -> NetChoice:
    """Of a proxy's best networks, trained fully, the one that is best on validation images."""
    places = _places(found.full.order)
    few = ranking.order[:tried]
    return _choice(found, int(few[places[few].argmin()]))


def random_choice(found: Searched, tried: int = TRIED) -> float:
    """Expected regret of `tried` networks drawn without repetition, trained fully, the best one chosen.

    Exact: the network in place i (from 0) on validation images is chosen if it is drawn and none before it
    is: C(A - 1 - i, tried - 1) / C(A, tried).
    """
    truth = found.truth[found.full.order]
    count, tried = len(truth), min(tried, len(truth))
    ways = [math.comb(count - 1 - i, tried - 1) for i in range(count)]
    chances = np.array([w / math.comb(count, tried) for w in ways])
    return float(truth.max() - chances @ truth)


def _places(order: np.ndarray) -> np.ndarray:
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def _choice(found: Searched, net: int) -> NetChoice:
    truth = found.truth
    return NetChoice(net, float(truth[net]), float(truth.max() - truth[net]))


# --- the table ----------------------------------------------------------------------------------------


def facts(found: Searched, ranking: Ranking) -> dict[str, Any]:
    """One line of the table, plain values."""
    one, few = first(found, ranking), best_of(found, ranking)
    own = reliability(ranking.test)
    return {
        "proxy": ranking.label(),
        "name": ranking.name,
        "run": ranking.run,
        "images": ranking.images,
        "protocol": ranking.protocol,
        "rho": {k: asdict(v) if v else None for k, v in agreements(found, ranking).items()},
        "reliability": own,
        "first": {**asdict(one), "net": net_text(found.nets[one.net])},
        "best_of_five": {**asdict(few), "net": net_text(found.nets[few.net])},
        "cpu_seconds": ranking.cpu_seconds,
        "distil_cpu_seconds": ranking.distil_seconds,
    }


def ranked(found: Searched) -> list[Ranking]:
    """Proxies from the one that agrees most over all networks on; those without a figure last."""

    def rho(ranking: Ranking) -> float:
        own = agreement(ranking.score, found.truth)
        return own.rho if own else -2.0

    return sorted(found.proxies, key=rho, reverse=True)


def table(found: Searched) -> dict[str, Any]:
    """The whole answer, plain values."""
    everything = np.arange(len(found.nets))
    able = np.flatnonzero(trainable(found))
    best = int(found.truth.argmax())
    return {
        "key": found.key,
        "data": found.data_label,
        "networks": len(found.nets),
        "trainable": len(able),
        "best": {"net": net_text(found.nets[best]), "accuracy": float(found.truth[best])},
        "ceiling": {"all": ceiling(found, everything), "trainable": ceiling(found, able)},
        "random_choice": {"first": random_choice(found, 1), "best_of_five": random_choice(found)},
        "full": facts(found, found.full),
        "rows": [facts(found, ranking) for ranking in ranked(found)],
    }


def answer(found: Searched) -> str:
    """Which proxy ranks best, in a sentence."""
    rows = ranked(found)
    best = agreement(rows[0].score, found.truth)
    sets = [r for r in rows if r.run]
    if best is None:
        return f"No proxy's ranking of {len(found.nets)} networks can be compared with that of full training."
    text = f"**{rows[0].label()}** ranks {len(found.nets)} networks most like full training does"
    text += f" (ρ = {best.rho:.2f}, 95 % interval {best.low:.2f} to {best.high:.2f})"
    if sets and rows[0] is not sets[0] and (own := agreement(sets[0].score, found.truth)):
        text += f"; among distilled sets {sets[0].label()} comes nearest (ρ = {own.rho:.2f})"
    return f"{text}."


def price(found: Searched) -> str:
    """What the first choice of that proxy loses, beside a random one, in a sentence."""
    rows, random = ranked(found), f"{100 * random_choice(found, 1):.1f}"
    if agreement(rows[0].score, found.truth) is None:
        return f"A random choice is {random} points below the best network on average."
    lost = 100 * first(found, rows[0]).regret
    return (
        f"The first choice of {rows[0].label()} is {lost:.1f} points below the best network, a random one "
        f"{random} on average."
    )


def headline(found: Searched) -> str:
    """The answer in two sentences."""
    return f"{answer(found)} {price(found)}"
