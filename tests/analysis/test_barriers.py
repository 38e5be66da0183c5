"""Barriers: against a plain torch loop, convex losses, and networks whose permutation is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.runs import Chosen, Run, choose
from analysis.suite.barriers import ANALYSIS
from analysis.suite.barriers.alignment import hidden, match, permuted
from analysis.suite.barriers.compute import along, between, matched
from analysis.suite.barriers.figures import headline, reference, sentence, shown
from analysis.suite.barriers.maths import barrier, instability, shares
from analysis.suite.barriers.result import BarriersFound
from analysis.suite.barriers.spec import (
    AS_IS,
    KINDS,
    MATCHED,
    ORDER,
    SET_REAL,
    START,
    BarriersTask,
    cost,
    net_of,
    pools,
)
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import load
from ddcore.data.preprocess import Preprocess
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData, Part
from ddcore.nets.architectures import NetSpec
from ddcore.nets.module import to_module
from ddcore.nets.network import Network
from ddcore.pools.networks import load as load_nets
from ddcore.pools.networks import seed_of
from ddcore.pools.real import train_real
from ddcore.pools.real_spec import Counts
from ddcore.sets.distilled import DistilledSet
from ddcore.training.train import train
from ddcore.training.trained import TrainedNets
from tests.analysis.made import made_up

few = settings(max_examples=30, deadline=None, derandomize=True)
NETS = {
    "mlp": NetSpec(arch="mlp", width=16, depth=3),
    "instance": NetSpec(width=8, depth=2),
    "layer": NetSpec(width=8, depth=3, norm="layer", pooling="max"),
    "none": NetSpec(width=8, depth=2, norm="none"),
    "lenet": NetSpec(arch="lenet"),
}


def drawn(net: NetSpec, seed: int, nets: int = 1, side: int = 12) -> TrainedNets:
    network = Network(net, (1, side, side), 10, nets)
    params = network.init([rng.generator(seed, i) for i in range(nets)])
    noise = rng.generator(seed, "noise")  # norms begin with ones, which all units share
    params = {k: w + 0.05 * torch.randn(w.shape, generator=noise) for k, w in params.items()}
    return TrainedNets(network, params, {})


def arrays_of(nets: TrainedNets, i: int = 0) -> dict[str, np.ndarray]:
    return {k: w[i].numpy() for k, w in nets.params.items()}


# --- how far a path rises ---------------------------------------------------------------------------


@few
@given(st.integers(0, 2**32 - 1), st.integers(3, 30))
def test_nothing_convex_has_a_barrier(seed, points):
    """A quadratic loss with a positive semidefinite Hessian, along the line between two points."""
    draws = np.random.default_rng(seed)
    root, one, other = draws.normal(size=(4, 4)), draws.normal(size=4), draws.normal(size=4)
    line = one + shares(points)[:, None] * (other - one)
    values = ((line @ root.T) ** 2).sum(1)
    assert abs(barrier(values)) <= 1e-12 * values.max()
    assert barrier(-values) >= 0


def test_barrier_and_instability_by_hand():
    values = np.array([[1.0, 0.0], [4.0, 1.0], [3.0, 2.0]])
    np.testing.assert_allclose(barrier(values), [2, 0])
    np.testing.assert_allclose(instability(values), [2, 1])


@pytest.mark.parametrize("name", ["mlp", "instance"])
def test_a_plain_loop_finds_the_same_losses(name):
    one, other = drawn(NETS[name], 0, nets=2), drawn(NETS[name], 1, nets=2)
    images = torch.randn(30, 1, 12, 12, generator=rng.generator(0))
    labels = torch.arange(30) % 10
    plain = Preprocess(np.zeros(1, np.float32), np.ones(1, np.float32))
    part = Part(images.numpy(), labels.numpy(), plain, "cpu")
    losses, errors = along(one, other, part, 5)
    assert losses.shape == errors.shape == (5, 2)
    for i in range(2):
        ends = [to_module(n.network, n.params, index=i) for n in (one, other)]
        for place, share in enumerate((0, 0.25, 0.5, 0.75, 1)):
            module = to_module(one.network, one.params, index=i)
            with torch.no_grad():
                for w, a, b in zip(module.parameters(), *(e.parameters() for e in ends)):
                    w.copy_((1 - share) * a + share * b)
                outputs = module(images)
            loss = F.cross_entropy(outputs, labels).item()
            assert losses[place, i] == pytest.approx(loss, rel=1e-5)
            wrong = (outputs.argmax(1) != labels).double().mean().item()
            assert errors[place, i] == pytest.approx(wrong, abs=1e-6)
    np.testing.assert_array_equal(losses[0], one.losses(part))
    np.testing.assert_array_equal(losses[-1], other.losses(part))
    assert between(one, other, 0) is one and between(one, other, 1) is other


# --- matching ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(NETS))
def test_a_shuffled_copy_computes_the_same_and_is_put_back(name):
    nets = drawn(NETS[name], 0)
    layers = hidden(nets.network.plan)
    own, draws = arrays_of(nets), np.random.default_rng(0)
    orders = [draws.permutation(len(own[layer.rows[0]])) for layer in layers]
    shuffled = permuted(own, layers, orders)
    assert any((shuffled[k] != own[k]).any() for k in own)
    copy = TrainedNets(
        nets.network, {k: torch.from_numpy(w[None]) for k, w in shuffled.items()}, {}
    )
    images = torch.randn(20, 1, 12, 12, generator=rng.generator(1))
    torch.testing.assert_close(
        copy.logits_in_batches(images)[0],
        nets.logits_in_batches(images)[0],
        rtol=1e-4,
        atol=1e-5,
    )
    found = match(own, shuffled, layers, np.random.default_rng(1))
    for order, back in zip(orders, found):
        np.testing.assert_array_equal(order[back], np.arange(len(order)))
    again = matched(nets, copy, layers, np.random.default_rng(2))
    for k, w in again.params.items():
        torch.testing.assert_close(w, nets.params[k], rtol=0, atol=0)


def test_matching_brings_networks_nearer_and_leaves_what_they_compute():
    one, other = drawn(NETS["instance"], 0, nets=3), drawn(NETS["instance"], 1, nets=3)
    layers = hidden(one.network.plan)
    found = matched(one, other, layers, np.random.default_rng(0))

    def apart(nets: TrainedNets) -> torch.Tensor:
        return sum(((w - one.params[k]).flatten(1) ** 2).sum(1) for k, w in nets.params.items())

    assert (apart(found) < apart(other)).all()
    images = torch.randn(20, 1, 12, 12, generator=rng.generator(1))
    before, after = (n.logits_in_batches(images)[0] for n in (other, found))
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_tied_units_are_not_matched():
    assert hidden(NetSpec(width=8, norm="group").plan((1, 8, 8), 10)) is None
    assert hidden(NetSpec(arch="resnet18", width=8).plan((1, 8, 8), 10)) is None
    assert hidden(NetSpec(arch="alexcifarnet").plan((3, 32, 32), 10)) is None
    assert len(hidden(NETS["lenet"].plan((1, 12, 12), 10))) == 4


# --- what is computed -------------------------------------------------------------------------------


def test_pairs_are_what_training_alone_gives(finished, analysed):
    task = finished("barriers")
    spec, result, arrays = task.spec_as(BarriersTask), ANALYSIS.result(task), task.arrays()
    data = DeviceData(load(analysed, DataSpec()), "cpu")
    pool = pools(spec, choose(analysed, spec.run_keys))["real"]
    real = load_nets(analysed.task(pool))
    starts = [seed_of(pool, i) for i in range(2 * spec.nets)]
    key = spec.run_keys[0]
    made = DistilledSet.from_task(analysed.find(key))
    images, labels = torch.from_numpy(made.images), torch.from_numpy(made.hard_labels)
    recipe = spec.recipe(len(images))
    assert recipe.batch == 5 and recipe.epochs == 2, "four batches of twenty images, eight steps"

    def trained(which: slice, training: int) -> TrainedNets:
        network = Network(pool.net, data.shape, 10, spec.nets)
        first = network.init([rng.generator(s, "init") for s in starts[which]])
        seeds = [rng.derive(spec.seed, "barriers", training, i) for i in range(spec.nets)]
        start = TrainedNets(network, first, {})
        return train(pool.net, images, labels, 10, recipe, seeds, start=start)

    begun, fresh = slice(0, spec.nets), slice(spec.nets, None)
    one = trained(begun, 0)
    others = {ORDER: trained(begun, 1), START: trained(fresh, 2), SET_REAL: real.part(begun)}
    for kind, other in others.items():
        losses, _ = along(one, other, data.test, spec.points)
        np.testing.assert_allclose(losses, arrays[f"loss.{key}.{kind}.{AS_IS}"], rtol=1e-5)
        np.testing.assert_allclose(
            result.found.of(key, kind, AS_IS, "loss"), barrier(losses), rtol=1e-3, atol=1e-5
        )
    ends = arrays[f"error.{key}.{SET_REAL}.{AS_IS}"][-1]
    np.testing.assert_allclose(ends, 1 - analysed.task(pool).arrays()["test"][begun], atol=1e-6)
    assert (
        arrays[f"loss.{key}.{ORDER}.{AS_IS}"][0] != arrays[f"loss.{key}.{ORDER}.{AS_IS}"][-1]
    ).all()
    matched_ends = arrays[f"loss.real.{START}.{MATCHED}"][[0, -1]]
    np.testing.assert_allclose(
        matched_ends, arrays[f"loss.real.{START}.{AS_IS}"][[0, -1]], rtol=1e-4
    )


def test_networks_on_real_images_may_start_elsewhere(analysed):
    data = DeviceData(load(analysed, DataSpec()), "cpu")
    net, seen = NetSpec(width=4, depth=2), {}

    def trained(name: str, seeds: list[int], starts: list[int] | None) -> TrainedNets:
        def look(t: int, nets: TrainedNets) -> None:
            if t == 0:
                seen[name] = {k: w.detach().clone() for k, w in nets.params.items()}

        return train_real(
            net,
            data.train,
            10,
            seeds,
            iterations=2,
            batch=16,
            lr=0.01,
            starts=starts,
            on_iteration=look,
        )

    own, same, moved = (
        trained(name, seeds, starts)
        for name, seeds, starts in (
            ("own", [1, 2], None),
            ("same", [1, 2], [1, 2]),
            ("moved", [3, 4], [1, 2]),
        )
    )
    for k, w in own.params.items():
        torch.testing.assert_close(w, same.params[k], rtol=0, atol=0)
        torch.testing.assert_close(seen["moved"][k], seen["own"][k], rtol=0, atol=0)
    assert any((w != moved.params[k]).any() for k, w in own.params.items())


# --- words ------------------------------------------------------------------------------------------


def made_result(barriers: dict[tuple[str, str], np.ndarray]):
    """A result of these barriers of loss (nets,) by source and kind."""
    keys = list(dict.fromkeys(key for key, _ in barriers))
    sources = [
        {"key": k, "method": "dm" if k.isupper() else "", "label": k, "ipc": 10} for k in keys
    ]
    paths = [
        {"key": k, "kind": kind, "way": AS_IS, "loss": v.tolist()}
        for (k, kind), v in barriers.items()
    ]
    nets = len(next(iter(barriers.values())))
    stored = {"sources": sources, "paths": paths, "matched": False, "points": 3, "nets": nets}
    return made_up(BarriersFound, stored)


@few
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_what_is_called_higher_or_lower_is_tested(seed, nets):
    draws = np.random.default_rng(seed)
    names = [*((s, k) for s in ("DM", "MTT") for k in KINDS), ("real", ORDER), ("real", START)]
    values = {n: draws.uniform(0, 1) + draws.normal(0, 0.1, nets) for n in names}
    result = made_result(values)
    text, found = sentence(result), shown(result)
    assert len(headline(result).split()) <= 20
    if nets == 1:
        assert not found and "(higher)" not in text
        return
    apart = [values[n] - values["real", reference(n[1])] for n in names[:-2]]
    p = np.array(
        [
            [stats.ttest_1samp(a, 0, alternative=side).pvalue for a in apart]
            for side in ("greater", "less")
        ]
    )
    expected = stats.false_discovery_control(p.ravel()).reshape(p.shape) <= 0.05
    assert {n for n, w in found.items() if w == "higher"} == {
        n for n, e in zip(names, expected[0]) if e
    }
    assert text.count("(lower)") == expected[1].sum()


# --- the spec ---------------------------------------------------------------------------------------


def chosen_run() -> Chosen:
    run = Run("0" * 16, "dm", "Distribution matching", 10, 100)
    return Chosen((run,), DataSpec(), tuple("0123456789"), (1, 8, 8))


def test_batch_norm_is_refused():
    for text in ("resnet18-8",):
        with pytest.raises(SpecError, match="batch norm"):
            net_of(BarriersTask(run_keys=("0" * 16,), network=text), chosen_run())
    assert net_of(BarriersTask(run_keys=("0" * 16,)), chosen_run()).norm == "instance"


def test_a_set_is_cut_into_batches():
    spec = BarriersTask(run_keys=("0" * 16,), iterations=300, parts=4)
    for images, batch, epochs in ((100, 25, 75), (10, 3, 75), (30, 8, 75), (2, 1, 150)):
        recipe = spec.recipe(images)
        assert (recipe.batch, recipe.epochs) == (batch, epochs)
    with pytest.raises(SpecError, match="augment"):
        spec.replace(augment="nonsense")


def test_the_cost_counts_what_is_trained():
    spec, counts = BarriersTask(run_keys=("0" * 16,)), Counts(1000, 500)
    macs = cost(spec, chosen_run(), counts).macs
    assert cost(spec.replace(nets=10), chosen_run(), counts).macs == pytest.approx(2 * macs)
    assert cost(spec.replace(points=101), chosen_run(), counts).macs > 2 * macs
