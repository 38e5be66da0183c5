"""Pools: many networks at once equal one at a time; nested subsets; what is stored is what happened."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddcore.base import rng
from ddcore.base.errors import Cancelled, SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData
from ddcore.nets import NetSpec
from ddcore.pools import real as pools
from ddcore.pools.networks import load as load_pool
from ddcore.pools.real_spec import Counts, EarlyPool, RealPool, SubsetPool
from ddcore.tasks.worker import Context
from ddcore.training.protocols import Protocol
from ddcore.training.train import train
from tests.pages.fakes import decoded

NET = NetSpec(width=4, depth=2)
DATA = DataSpec()
COMMON = {"data": DATA, "net": NET}


@pytest.fixture
def data(store):
    decoded(store)
    return DeviceData(load(store, DATA))


def weights_of(data, seeds, **changes):
    recipe = {"iterations": 7, "batch": 32, "lr": 0.05, **changes}
    return pools.train_real(NET, data.train, 10, seeds, **recipe).params


@pytest.mark.parametrize("batch", [32, 500, 0])
def test_at_once_equals_one_by_one(data, batch):
    seeds = [5, 2, 9]
    together = weights_of(data, seeds, batch=batch)
    for i, seed in enumerate(seeds):
        alone = weights_of(data, [seed], batch=batch)
        for name, weight in alone.items():
            torch.testing.assert_close(together[name][i], weight[0], rtol=1e-5, atol=1e-5)


def test_subsets_at_once_equal_one_by_one(data):
    rows = torch.from_numpy(pools._subsets(data.train.labels.numpy(), 10, [1, 2, 3], 4))
    together = weights_of(data, [5, 2, 9], subsets=rows, batch=16)
    for i, seed in enumerate([5, 2, 9]):
        alone = weights_of(data, [seed], subsets=rows[i : i + 1], batch=16)
        for name, weight in alone.items():
            torch.testing.assert_close(together[name][i], weight[0], rtol=1e-5, atol=1e-5)


def test_is_the_training_that_evaluations_use(data):
    """The same streams and updates as `ddcore.training.train` without decay and schedule."""
    recipe = Protocol(lr=0.05, weight_decay=0, epochs=2, batch=64)
    everything = data.batch(torch.arange(len(data.train)))
    theirs = train(NET, everything, data.train.labels, 10, recipe, [3]).params
    steps = 2 * -(-len(data.train) // 64)
    ours = weights_of(data, [3], iterations=steps, batch=64)
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=1e-4, atol=1e-5)


def test_stopping_early_is_being_stopped_early(data):
    """Section m.4: what is seen at iteration t is what a run of t iterations ends with."""
    seen = {}

    def look(t, nets):
        if t in (0, 3, 7):
            seen[t] = {k: w.detach().clone() for k, w in nets.params.items()}

    weights_of(data, [1, 2], on_iteration=look)
    for t in (3, 7):
        for name, weight in weights_of(data, [1, 2], iterations=t).items():
            torch.testing.assert_close(seen[t][name], weight, rtol=0, atol=0)
    start = rng.generator(1, "init")
    fresh = pools.Network(NET, (1, 8, 8), 10).init([start])
    torch.testing.assert_close(seen[0]["0.weight"][:1], fresh["0.weight"])


def test_subsets_are_nested_balanced_and_disjoint_from_nothing(data):
    labels = data.train.labels.numpy()
    orders = pools.per_class_orders(labels, 10, 4)
    smaller: set[int] = set()
    for k in (1, 2, 5, 9):
        rows = pools.first_per_class(orders, k)
        assert np.bincount(labels[rows], minlength=10).tolist() == [k] * 10
        assert smaller < set(rows.tolist())
        smaller = set(rows.tolist())
    other = pools.first_per_class(pools.per_class_orders(labels, 10, 5), 9)
    assert set(other.tolist()) != smaller


def test_real_pool(store, compute):
    task = compute(RealPool(**COMMON, nets=5, epochs=2, lr=0.05))
    arrays, result = task.arrays(), task.result()
    nets = load_pool(task)
    data = DeviceData(load(store, DATA))
    np.testing.assert_array_equal(nets.predict(data.test).numpy(), arrays["predicted"])
    np.testing.assert_allclose(nets.accuracy(data.test), arrays["test"])
    np.testing.assert_allclose(nets.accuracy(data.train), arrays["train"])
    assert arrays["predicted"].dtype == np.uint8
    assert result["test"]["n"] == 5
    assert result["epochs"] == 2
    few = compute(RealPool(**COMMON, nets=2, epochs=2, lr=0.05))  # the same first networks
    np.testing.assert_allclose(
        few.arrays("weights")["0.weight"], nets.params["0.weight"][:2], atol=1e-5
    )


def test_real_pool_on_a_part(store, compute):
    task = compute(RealPool(**COMMON, nets=2, epochs=100, lr=0.05, per_class=2))
    assert task.result()["train"]["mean"] == 1.0
    assert task.result()["test"]["mean"] < 0.95


def test_early_pool(store, compute):
    task = compute(EarlyPool(**COMMON, nets=4, iterations=6, every=2, lr=0.05))
    arrays = task.arrays()
    data = DeviceData(load(store, DATA))
    assert arrays["steps"].tolist() == [2, 4, 6]
    assert arrays["predicted"].shape == (4, 3, len(data.test))
    assert arrays["predicted"].dtype == np.uint8
    seed = rng.derive(0, "early_nets", 3)
    stopped = pools.train_real(NET, data.train, 10, [seed], iterations=4, batch=64, lr=0.05)
    np.testing.assert_array_equal(stopped.predict(data.test)[0].numpy(), arrays["predicted"][3, 1])
    assert stopped.accuracy(data.test)[0] == pytest.approx(arrays["accuracy"][3, 1])


def test_subset_pool(store, compute):
    task = compute(SubsetPool(**COMMON, sizes=(1, 3), draws=3, epochs=5, lr=0.05))
    arrays = task.arrays()
    assert arrays["size"].tolist() == [1, 1, 1, 3, 3, 3]
    assert arrays["draw"].tolist() == [0, 1, 2, 0, 1, 2]
    data = DeviceData(load(store, DATA))
    hits = arrays["predicted"] == data.test.labels.numpy()
    np.testing.assert_allclose(arrays["accuracy"], hits.mean(1), rtol=1e-6)
    stream = rng.derive(0, "subset_nets", "images", 2)
    rows = pools._subsets(data.train.labels.numpy(), 10, [stream], 3)
    alone = pools.train_real(
        NET,
        data.train,
        10,
        [rng.derive(0, "subset_nets", 3, 2)],
        iterations=5,
        batch=256,
        lr=0.05,
        subsets=torch.from_numpy(rows),
    )
    np.testing.assert_array_equal(alone.predict(data.test)[0].numpy(), arrays["predicted"][5])


NORMED = {"data": DATA, "net": NET.replace(norm="batch")}  # with statistics of their own


@pytest.mark.parametrize(
    ("wanted", "at_once"),
    [  # two networks, then one, at once
        (SubsetPool(**COMMON, sizes=(1, 3), draws=4, epochs=3, lr=0.05), 20),
        (RealPool(**NORMED, nets=5, epochs=1, lr=0.05), 64),
        (RealPool(**COMMON, nets=5, epochs=2, per_class=2), 20),
        (EarlyPool(**COMMON, nets=5, iterations=4, every=2), 64),
    ],
    ids=lambda value: getattr(value, "KIND", ""),
)
def test_a_stopped_pool_goes_on_where_it_was(store, compute, monkeypatch, wanted, at_once):
    monkeypatch.setattr("ddcore.training.chunks.CPU_IMAGES_AT_ONCE", at_once)
    whole = everything(compute(wanted))
    store.delete(store.task(wanted))
    monkeypatch.setattr("ddcore.tasks.worker.CHECKPOINT_EVERY_S", 0.0)
    calls, real = [], pools._Training.train

    def twice(self, *args, **kwargs):
        if len(calls) == 3:
            raise Cancelled("enough")
        calls.append(1)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(pools._Training, "train", twice)
    task = store.create(wanted)
    with pytest.raises(Cancelled):
        compute(wanted)
    assert not task.is_done()
    monkeypatch.setattr(pools._Training, "train", real)
    again = everything(compute(wanted))
    assert set(again) == set(whole)
    for name, values in whole.items():
        np.testing.assert_array_equal(values, again[name])


def everything(task):
    """All arrays of a pool, weights where it keeps them."""
    kept = {"weights": task.arrays("weights")} if task.kind == "real_nets" else {}
    return task.arrays() | {f"weights.{k}": a for k, a in kept.get("weights", {}).items()}


def test_a_checkpoint_of_another_form_is_begun_anew(store, compute):
    """Those of older versions say otherwise how many networks there are."""
    wanted = RealPool(**COMMON, nets=2, epochs=1, per_class=1)
    whole = everything(compute(wanted))
    store.delete(store.task(wanted))
    context = Context(store, store.create(wanted), wanted, "cpu")
    context.save_checkpoint(1, {"0.weight": np.zeros((1, 3))}, {"accuracies": [0.5]})
    again = everything(compute(wanted))
    assert all(np.array_equal(values, again[name]) for name, values in whole.items())


def test_pools_that_keep_no_weights_say_so(compute):
    done = compute(EarlyPool(**COMMON, nets=1, iterations=1))
    with pytest.raises(SpecError, match="a pool whose networks are stored"):
        load_pool(done)


def test_too_large_subsets_are_refused(compute):
    with pytest.raises(SpecError, match="smallest class"):
        compute(SubsetPool(**COMMON, sizes=(1, 5000)))
    with pytest.raises(SpecError, match="smallest class"):
        compute(RealPool(**COMMON, per_class=5000))
    with pytest.raises(SpecError, match="sizes"):
        SubsetPool(**COMMON, sizes=(2, 2))


def test_costs_grow_with_what_is_asked():
    number, shape = Counts(1000, 500), (1, 8, 8)
    for small, large in (
        (RealPool(**COMMON, nets=1, epochs=2), RealPool(**COMMON, nets=3, epochs=2)),
        (EarlyPool(**COMMON, iterations=10), EarlyPool(**COMMON, iterations=20)),
        (SubsetPool(**COMMON, draws=1), SubsetPool(**COMMON, draws=2)),
    ):
        one, two = small.cost(shape, 10, number), large.cost(shape, 10, number)
        assert 0 < one.macs < two.macs
        assert one.disk < two.disk


def test_paper_scale_predictions_fit():
    """Section l: 30 networks x 196 iterations x 10,000 test images as single bytes."""
    wanted = EarlyPool(data=DATA, net=NetSpec(width=128), nets=30, iterations=196, batch=256)
    need = wanted.cost((3, 32, 32), 10, Counts(50_000, 10_000))
    assert 58e6 < need.disk < 100e6
