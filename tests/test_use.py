"""How a set is meant to be used: one rule for every protocol, start and network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ddcore.base.errors import DataError
from ddcore.data.spec import DataSpec
from ddcore.nets.architectures import NetSpec
from ddcore.pools.bank_spec import BankTask, Start
from ddcore.sets.use import Use, from_fresh_weights
from ddcore.training.protocols import PROTOCOLS
from tests.test_changes import LRS, made

ORDERED, ORDINARY = PROTOCOLS["native-2018"], PROTOCOLS["quick"]
OWN, OTHER = made().net, NetSpec(width=4, depth=2)
SEEDS = [1, 2, 3]
STARTS = {
    "fresh": {},
    "own weights": {"init_weights": {"w": np.zeros(1)}},
    "known": {"start": Start(weights="random").to_dict()},
    "bank": {"start": Start(bank=BankTask(data=DataSpec(), net=OWN), validation=2).to_dict()},
}


@pytest.mark.parametrize("start", STARTS)
def test_other_protocols_start_afresh(start):
    use = Use(made(**STARTS[start]), ORDINARY, OWN)
    assert not (use.fixed or use.pretrained or use.one)
    assert use.start.fresh and use.few(SEEDS) == SEEDS


@pytest.mark.parametrize(
    ("start", "net", "expected"),
    [
        ("fresh", OWN, (False, False, 3)),
        ("own weights", OWN, (True, False, 1)),
        ("own weights", OTHER, (False, False, 3)),
        ("known", OWN, (False, True, 1)),
        ("known", OTHER, (False, False, 3)),
        ("bank", OWN, (False, True, 3)),
        ("bank", OTHER, (False, True, 3)),
    ],
)
def test_the_ordered_protocol_starts_where_the_set_is_made_for(start, net, expected):
    use = Use(made(**STARTS[start]), ORDERED, net)
    assert (use.fixed, use.pretrained, len(use.few(SEEDS))) == expected
    fresh = dataclasses.replace(use, made=from_fresh_weights(use.made))
    assert not (fresh.fixed or fresh.pretrained) and fresh.few(SEEDS) == SEEDS


def test_the_sets_own_step_size_is_taken_where_the_protocol_asks_for_it():
    own = Use(made(), PROTOCOLS["mtt"], OWN)
    assert own.recipe.lr == pytest.approx(LRS.mean())
    assert Use(made(), ORDINARY, OWN).recipe is ORDINARY
    with pytest.raises(DataError, match="no learned step sizes"):
        _ = made(lrs=None).step_sizes
