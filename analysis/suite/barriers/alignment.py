"""Networks up to the order of their hidden units: weight matching (Ainsworth et al. 2023).

Units of a hidden layer can change places without changing what a network computes. Those of one network are
put where they resemble those of another most, layer after layer, until no layer gains any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ddcore.nets.plan import Act, Conv, Linear, Norm, Plan, Pooling

UnitWeights = dict[str, np.ndarray]  # weights of one network
GAIN = 1e-9  # of the likeness, below which a change is rounding


@dataclass(frozen=True)
class HiddenUnits:
    """Units that may change places: weights with a row for each, and the one whose columns they feed."""

    rows: tuple[str, ...]
    columns: str


def hidden(plan: Plan) -> tuple[HiddenUnits, ...] | None:
    """The hidden layers of a chain of convolutions or linear layers; None where units are tied otherwise.

    Residual branches tie layers to each other, groups and local normalisation units to their neighbours.
    """
    found: list[tuple[list[str], list[str]]] = []
    for index, layer in enumerate(plan):
        if isinstance(layer, (Conv, Linear)):
            if found:
                found[-1][1].append(f"{index}.weight")
            biased = isinstance(layer, Linear) or layer.bias
            found.append(([f"{index}.weight", *([f"{index}.bias"] if biased else [])], []))
        elif isinstance(layer, Norm) and layer.kind != "none":
            if not found or layer.kind == "group":
                return None
            found[-1][0].extend((f"{index}.weight", f"{index}.bias"))
        elif not isinstance(layer, (Act, Pooling, Norm)):
            return None
    return tuple(HiddenUnits(tuple(rows), columns[0]) for rows, columns in found[:-1])


def permuted(
    weights: Mapping[str, np.ndarray], layers: Sequence[HiddenUnits], orders: Sequence[np.ndarray]
) -> UnitWeights:
    """The network with unit `orders[l][i]` of hidden layer l in place i: it computes the same."""
    found = dict(weights)
    for layer, order in zip(layers, orders, strict=True):
        for name in layer.rows:
            found[name] = found[name][order]
        old = found[layer.columns]
        columns = old.reshape(len(old), len(order), -1)[:, order]
        found[layer.columns] = columns.reshape(old.shape)
    return found


def match(
    to: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    layers: Sequence[HiddenUnits],
    generator: np.random.Generator,
) -> list[np.ndarray]:
    """Orders of the hidden units of `weights` under which it is most like the network `to` (`permuted`).

    Layers come in random order; each takes the best order given those of its neighbours, so likeness, the
    inner product of all weights, only rises. It ends at a local best, as the problem is hard in general.
    """
    from scipy.optimize import linear_sum_assignment

    orders = [np.arange(len(weights[layer.rows[0]])) for layer in layers]
    changed = True
    while changed:
        changed = False
        for place in generator.permutation(len(layers)):
            own = np.arange(len(orders[place]))
            others = [own if i == place else order for i, order in enumerate(orders)]
            alike = _likeness(to, permuted(weights, layers, others), layers[place])
            best = linear_sum_assignment(alike, maximize=True)[1]
            gain = alike[own, best].sum() - alike[own, orders[place]].sum()
            if gain > GAIN * np.abs(alike).max():
                orders[place], changed = best, True
    return orders


def _likeness(
    one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], layer: HiddenUnits
) -> np.ndarray:
    """Inner products (units, units) of what belongs to each unit of one network and of the other."""
    units = len(one[layer.rows[0]])

    def of(weights: Mapping[str, np.ndarray]) -> np.ndarray:
        columns = weights[layer.columns]
        apart = columns.reshape(len(columns), units, -1).swapaxes(0, 1)
        parts = [*(weights[name] for name in layer.rows), apart]
        return np.concatenate([p.reshape(units, -1).astype(np.float64) for p in parts], axis=1)

    return of(one) @ of(other).T
