"""Agreement: measures against their definitions, matching by brute force, pools against single networks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t
from sklearn.metrics import cohen_kappa_score

from analysis.printed import archive, panel
from analysis.runs import Chosen, Run, choose
from analysis.settings import estimate, make_spec
from analysis.suite.agreement import ANALYSIS
from analysis.suite.agreement.compute import (
    Answers,
    answers_of,
    compare,
    disagreeing,
    lead,
    majority,
    match,
    summaries,
)
from analysis.suite.agreement.figures import figures, sentence, table
from analysis.suite.agreement.spec import (
    EARLY,
    PAIR,
    SHOWN,
    SUBSET,
    AgreementTask,
    cost,
    pools,
    presets,
)
from analysis.suite.agreement.spec import stored as agreement_stored
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData
from ddcore.nets import NetSpec
from ddcore.pools.real import train_real
from ddcore.pools.real_spec import Counts
from ddcore.sets.distilled import DistilledSet
from tests.analysis.conftest import computed, two_sets

CLASSES, IMAGES = 5, 200


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(CLASSES, size=IMAGES)


def answers(labels: np.ndarray, accuracies: list[float], seed: int = 1) -> Answers:
    """Networks that err at random, more often towards low classes."""
    draw = np.random.default_rng(seed)
    called = np.tile(labels, (len(accuracies), 1))
    for row, accuracy in zip(called, accuracies):
        wrong = draw.random(IMAGES) > accuracy
        row[wrong] = draw.integers(CLASSES, size=wrong.sum()) // 2
    return Answers.of(called, labels, CLASSES)


def pools_of(store, spec):
    """Arrays of both pools of a task."""
    chosen = choose(store, spec.run_keys)
    subset, early = (store.task(pool).arrays() for pool in pools(spec, chosen).values())
    return {EARLY: early, SUBSET: subset}


def test_measures_are_their_definitions(labels):
    found = answers(labels, [0.9, 0.4, 0.6, 0.75])
    one, others = found[0], found[1:]
    measured = compare(one, others, labels)
    for j, called in enumerate(others.called):
        pairs = list(zip(one.called, called, labels))
        assert measured["agreement"][j] == np.mean([a == b for a, b, _ in pairs])
        assert measured["kappa"][j] == pytest.approx(cohen_kappa_score(one.called, called))
        both = [a == b for a, b, y in pairs if a != y and b != y]
        assert measured["both_wrong"][j] == len(both)
        assert measured["shared"][j] == pytest.approx(np.mean(both))


def test_agreement_with_itself_is_full(labels):
    """Section m.5."""
    found = answers(labels, [0.7, 0.5])
    measured = compare(found[0], found, labels)
    for name in ("agreement", "kappa", "shared"):
        assert measured[name][0] == pytest.approx(1)
        assert measured[name][1] < 1


def test_agreement_has_a_floor(labels):
    """Section m.5: at least 1 - (1 - a1) - (1 - a2)."""
    found = answers(labels, list(np.linspace(0.3, 0.99, 12)))
    for i in range(12):
        floor = 1 - (1 - found.accuracy[i]) - (1 - found.accuracy)
        assert (compare(found[i], found, labels)["agreement"] >= floor - 1e-12).all()


def test_the_order_of_images_changes_nothing(labels):
    """Section m.5."""
    found = answers(labels, [0.7, 0.5, 0.9])
    order = np.random.default_rng(3).permutation(IMAGES)
    moved = Answers.of(found.called[:, order], labels[order], CLASSES)
    before, after = compare(found[0], found, labels), compare(moved[0], moved, labels[order])
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values)


def test_what_cannot_be_measured_is_not_a_number(labels):
    right = Answers.of(np.stack([labels, labels * 0]), labels, CLASSES)
    measured = compare(right[0], right, labels)
    assert measured["both_wrong"].tolist() == [0, 0]
    assert np.isnan(measured["shared"]).all()
    same = compare(right[1], right[1:], labels)  # both always say class 0: chance is all there is
    assert np.isnan(same["kappa"][0])
    assert same["agreement"][0] == 1


@pytest.mark.parametrize("gap", [0.0, 0.01, 0.05, 1.0])
def test_matching_by_brute_force(gap):
    draw = np.random.default_rng(0)
    hits = draw.integers(0, 100, (20, 15))
    for target in (0, 37, 50, 120):
        expected = []
        for run, row in enumerate(hits.tolist()):
            best = min(range(15), key=lambda t, row=row: (abs(row[t] - target), t))
            if abs(row[best] - target) <= gap * 100:
                expected.append((run, best))
        runs, tests = match(hits, target, gap, 100)
        assert list(zip(runs.tolist(), tests.tolist())) == expected
    unsigned = match(np.array([[3, 9]], np.uint8), 5, 1, 100)  # no wrapping below zero
    assert unsigned[1].tolist() == [0]


def test_every_network_of_the_set_counts_the_same():
    def pair(net, other, value):
        return [net, other, 1, 0.5, 0.5, value, value, np.nan, 0]

    early = np.array([pair(0, 0, 1.0), pair(0, 1, 0.0), pair(0, 2, 0.5), pair(1, 0, 0.9)])
    subset = np.array([pair(0, 7, 0.4), pair(1, 7, 0.6), pair(2, 8, 0.0)])
    found = summaries({EARLY: early, SUBSET: subset})
    assert found[EARLY].agreement == pytest.approx((0.5 + 0.9) / 2)
    assert found[SUBSET].agreement == pytest.approx(0.5)  # network 2 has no early-stopped match
    assert found[SUBSET].networks == 2
    assert found[SUBSET].pairs == 3
    assert found[EARLY].shared is None


def test_lead_and_its_error():
    draw = np.random.default_rng(0)
    effects = [draw.normal(0, s, n) for s, n in ((0.02, 3), (0.03, 12), (0.05, 9))]

    def pairs(level, others):
        net, other = (a.ravel() for a in np.indices((3, len(others))))
        rows = np.full((len(net), len(PAIR)), np.nan)
        rows[:, 0], rows[:, 1] = net, other
        rows[:, PAIR.index("agreement")] = level + others[other]
        return rows

    early, subset = pairs(0.8, effects[1]), pairs(0.7, effects[2])
    early[:, PAIR.index("agreement")] += effects[0][early[:, 0].astype(int)]
    found = lead({EARLY: early, SUBSET: subset})
    assert found.mean == pytest.approx(
        0.1 + effects[0].mean() + effects[1].mean() - effects[2].mean()
    )
    expected = sum(np.var(e, ddof=1) / len(e) for e in effects)
    assert found.error == pytest.approx(np.sqrt(expected))
    parts = [np.var(e, ddof=1) / len(e) for e in effects]
    df = expected**2 / sum(v**2 / (len(e) - 1) for v, e in zip(parts, effects))
    assert found.df == pytest.approx(df)
    assert found.p == pytest.approx(t.sf(found.mean / found.error, df))
    assert lead({EARLY: early, SUBSET: subset[:0]}) is None
    alone = lead({EARLY: early[:1], SUBSET: subset[:1]})
    assert alone.error is alone.df is alone.p is None
    one_net = {EARLY: early[early[:, 0] == 0], SUBSET: subset[subset[:, 0] == 0]}
    assert lead(one_net).p is None  # however many networks it is compared with


@pytest.mark.parametrize(("shape", "ipc"), [((1, 8, 8), 1), ((1, 8, 8), 10), ((3, 32, 32), 10)])
def test_every_preset_has_networks_to_test_with(shape, ipc):
    for name, values in presets("digits", shape, ipc).items():
        assert values["nets"] >= 3, name


def test_majority():
    called = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])
    classes, shares = majority(called, 3)
    assert classes.tolist() == [0, 2, 0]  # the lowest of equals
    np.testing.assert_allclose(shares, [2 / 3, 2 / 3, 1 / 3])


def test_pools_equal_networks_trained_alone(finished, analysed):
    """Batched pools and sets' networks against one network at a time, to 1e-5."""
    task = finished("agreement")
    spec, data = task.spec(), DeviceData(load(analysed, DataSpec()))
    early = pools_of(analysed, spec)[EARLY]
    recipe = {"iterations": spec.iterations, "batch": 64, "lr": 0.01}
    net = NetSpec(width=4, depth=2)
    seeds = [rng.derive(0, "early_nets", i) for i in range(spec.early)]
    together = train_real(net, data.train, 10, seeds, **recipe)
    for i, seed in enumerate(seeds):
        alone = train_real(net, data.train, 10, [seed], **recipe)
        for name, weight in alone.params.items():
            np.testing.assert_allclose(together.params[name][i], weight[0], atol=1e-5)
        stored = early["predicted"][i, -1]
        np.testing.assert_array_equal(alone.predict(data.test)[0], stored)
    key = spec.run_keys[0]
    made = DistilledSet.from_task(analysed.find(key))
    seeds = [rng.derive(spec.seed, "agreement", key, i) for i in range(spec.nets)]
    both = answers_of(net, made, data, seeds)
    alone = answers_of(net, made, data, seeds[1:])
    assert (alone[0] == both[1]).mean() > 0.98  # after 300 steps rounding decides some close calls
    accuracy = (both == data.test.labels.numpy()).mean(1)
    np.testing.assert_allclose(task.result()["sets"][key]["accuracy"], accuracy)


def test_pairs_are_what_the_pools_say(finished, analysed):
    task = finished("agreement")
    spec, arrays, result = task.spec(), task.arrays(), task.result()
    stored = pools_of(analysed, spec)
    assert result["stored_bytes"] == sum(a["predicted"].size for a in stored.values())
    for key in spec.run_keys:
        for pair in arrays[f"pairs.{EARLY}.{key}"]:
            row = dict(zip(PAIR, pair))
            steps, accuracy = stored[EARLY]["steps"], stored[EARLY]["accuracy"][int(row["other"])]
            place = np.flatnonzero(steps == row["at"])[0]
            assert row["other_accuracy"] == pytest.approx(accuracy[place], rel=1e-5)
            apart = np.abs(accuracy - row["accuracy"])
            assert apart[place] == pytest.approx(apart.min(), abs=1e-6)
            assert apart[place] <= spec.gap + 1e-6
        for pair in arrays[f"pairs.{SUBSET}.{key}"]:
            row = dict(zip(PAIR, pair))
            known = stored[SUBSET]["accuracy"][int(row["other"])]
            assert row["other_accuracy"] == pytest.approx(known, rel=1e-5)
            assert row["at"] == stored[SUBSET]["size"][int(row["other"])]


def test_pictures_are_where_the_pools_disagree():
    draw = np.random.default_rng(0)
    own = draw.integers(3, size=(3, 40))
    votes = {EARLY: draw.integers(3, size=(5, 40)), SUBSET: draw.integers(3, size=(4, 40))}
    found = disagreeing(own, votes, 3)
    (a, _), (b, _), (c, _) = (majority(v, 3) for v in (own, votes[EARLY], votes[SUBSET]))
    for side, same, other in ((EARLY, b, c), (SUBSET, c, b)):
        expected = [i for i in range(40) if a[i] == same[i] != other[i]]
        count, rows, (answer, theirs) = found[side]
        assert count == len(expected) > 0
        assert set(rows.tolist()) <= set(expected)
        assert len(rows) == min(count, SHOWN)
        assert answer.tolist() == a[rows].tolist()
        assert theirs.tolist() == other[rows].tolist()
    assert disagreeing(own, {**votes, EARLY: own[:0]}, 3) == {}


def test_says_so_where_nothing_matches(store):
    wanted = AgreementTask(
        run_keys=tuple(two_sets(store)),
        network="convnet-4",
        nets=1,
        early=2,
        iterations=1,
        sizes=(1,),
        draws=1,
        epochs=1,
        gap=0.001,
    )
    task = computed(store, wanted)
    result, arrays = ANALYSIS.result(task), task.arrays()
    assert any(not (v.early.pairs and v.subset.pairs) for v in result.found.sets.values())
    assert "no " in sentence(result)
    assert "network within 0.1 points" in figures(result, arrays, {"measure": "kappa"})[0].caption
    for each in archive.panels(ANALYSIS, result, arrays):
        assert panel.content(each, "svg")
    assert table(result, arrays)


def test_published_predictions_fit_in_memory(store):
    """Section l: 30 runs x 196 iterations and 520 networks on 10,000 images, in less than 100 MB."""
    run = Run("0" * 16, "dm", "Distribution matching", 10, 100)
    names = tuple("0123456789")
    data = DataSpec(name="cifar10", source="torchvision")
    chosen = Chosen((run,), data, names, (3, 32, 32))
    wanted = make_spec(ANALYSIS, chosen, "published")
    assert len(wanted.sizes) * wanted.draws == 520
    assert (min(wanted.sizes), max(wanted.sizes)) == (25, 249)
    stored = agreement_stored(wanted, 10_000)
    assert stored == (30 * 196 + 520) * 10_000 < 100e6
    guess = estimate(ANALYSIS, wanted, chosen, store)
    assert stored < guess.disk < 100e6
    need = cost(wanted, chosen, Counts(50_000, 10_000))
    assert need.memory > stored


def test_refuses_by_field():
    key = ("0" * 16,)
    for field, value in (
        ("network", "nothing-4"),
        ("sizes", (2, 2)),
        ("sizes", (0,)),
        ("gap", 0.0),
        ("every", 200),
        ("nets", 0),
    ):
        with pytest.raises(SpecError) as error:
            AgreementTask(run_keys=key, **{field: value})
        assert error.value.field == field


def test_large_subsets_are_refused_before_anything_is_trained(store):
    wanted = AgreementTask(
        run_keys=tuple(two_sets(store)), sizes=(5000,), network="convnet-4", early=1
    )
    with pytest.raises(SpecError, match="smallest class"):
        computed(store, wanted.replace(iterations=1))
    assert not list(store.tasks("early_nets"))
