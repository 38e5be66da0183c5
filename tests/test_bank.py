"""Banks: whose networks are whose, the same again, stopped and resumed, and what a set starts from."""

import itertools

import pytest
import torch

from ddcore.base.errors import SpecError
from ddcore.data import resolve
from ddcore.distil.engines import meta
from ddcore.nets import NetSpec
from ddcore.nets.network import Network
from ddcore.pools import bank
from ddcore.pools import networks as networks_of_pools
from ddcore.pools.bank_spec import PARTS, BankTask, Start
from ddcore.pools.networks import load
from ddcore.tasks import worker

DATA = resolve("digits")
NET = NetSpec(width=4, depth=2)
SHAPE = (1, 8, 8)


def task(**changes):
    return BankTask(**{"data": DATA, "net": NET, "nets": 2, "epochs": 1, **changes})


def networks(done):
    """The weights of each network as one vector."""
    params = load(done).params
    return [torch.cat([w[i].flatten() for w in params.values()]) for i in range(done.spec().nets)]


def test_parts_share_no_network(compute):
    found = [net for part in PARTS for net in networks(compute(task(part=part)))]
    assert len(found) == 2 * len(PARTS)
    for one, other in itertools.combinations(found, 2):
        assert (one - other).abs().max() > 0.01


def test_the_same_bank_twice_is_the_same_and_a_larger_one_begins_with_it(compute, store):
    first = networks(compute(task()))
    store.delete(store.task(task()))
    assert all(torch.equal(a, b) for a, b in zip(first, networks(compute(task()))))
    larger = networks(compute(task(nets=3)))
    for a, b in zip(first, larger):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
    other = networks(compute(task(seed=1)))
    assert not torch.allclose(first[0], other[0], atol=0.01)


def test_trained_networks_know_their_data(compute):
    done = compute(task(epochs=5))
    assert done.result()["validation"]["mean"] > 0.6
    assert len(done.result()["accuracies"]) == 2


def test_stopped_and_resumed_is_the_same(compute, store, monkeypatch):
    monkeypatch.setattr(networks_of_pools, "nets_at_once", lambda *_: 1)
    monkeypatch.setattr(worker, "CHECKPOINT_EVERY_S", 0.0)
    whole = networks(compute(task(nets=3)))
    store.delete(store.task(task(nets=3)))

    class Killed(BaseException):
        pass

    trained, real = [], bank.train

    def dying(*args, **kwargs):
        trained.append(1)
        if len(trained) == 3:
            raise Killed
        return real(*args, **kwargs)

    monkeypatch.setattr(bank, "train", dying)
    with pytest.raises(Killed):
        compute(task(nets=3))
    resumed = compute(task(nets=3))
    assert len(trained) == 4  # two, the one that was stopped, and that one again
    assert all(torch.equal(a, b) for a, b in zip(whole, networks(resumed)))
    assert len(resumed.result()["accuracies"]) == 3


def test_grey_images_are_repeated_for_colour(compute):
    done = compute(task(colour=True, epochs=3))
    nets = load(done)
    assert nets.network.shape == (3, 8, 8) and done.result()["validation"]["mean"] > 0.3
    grey = torch.randn(5, 1, 8, 8)
    folded = {k: w.sum(2, keepdim=True) if k == "0.weight" else w for k, w in nets.params.items()}
    one = Network(NET, SHAPE, 10, 2).logits(folded, grey)
    torch.testing.assert_close(nets.network.logits(nets.params, grey.expand(5, 3, 8, 8)), one)


class Streams:
    """Just enough of a problem to draw."""

    def generator(self, *labels):
        from ddcore.base import rng

        return rng.generator(0, *labels)


def test_every_iteration_draws_other_networks_and_none_twice():
    weights = {"w": torch.arange(10.0)[:, None]}
    draw = meta.sampled(Streams(), weights, 4)
    drawn = [draw(t)["w"].flatten().tolist() for t in range(20)]
    assert all(len(set(d)) == 4 for d in drawn) and len({tuple(d) for d in drawn}) > 15
    assert {n for d in drawn for n in d} == set(range(10))
    assert draw(3)["w"].flatten().tolist() == drawn[3]


def test_start_weights_are_those_of_the_part(compute):
    held_out = load(compute(task(part="held_out"))).params
    start = Start(bank=task(nets=5))
    got = bank.start_weights(start, Network(NET, SHAPE, 10, 2), "held_out", compute, "cpu")
    assert all(torch.equal(got[k], held_out[k]) for k in held_out)
    assert (
        bank.start_weights(Start(), Network(NET, SHAPE, 10, 2), "training", compute, "cpu") is None
    )


def test_a_bank_on_other_images_is_one_sentence(compute):
    start = Start(bank=task())
    with pytest.raises(SpecError, match="images of 1 × 28 × 28 numbers in 10 classes"):
        bank.start_weights(start, Network(NET, (1, 28, 28), 10, 2), "training", compute, "cpu")
    with pytest.raises(SpecError, match="in 3 classes"):
        bank.start_weights(start, Network(NET, SHAPE, 3, 2), "training", compute, "cpu")


def test_arrays_come_back_in_one_order(compute, store):
    done = compute(task())
    names = [list(done.arrays("weights")) for _ in range(5)]
    assert all(n == sorted(n) for n in names)
