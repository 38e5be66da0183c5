"""Architecture search: statistics against independent truths, tasks that go on where they stopped."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest

from analysis.uses.search import compute as computing
from analysis.uses.search import figures, maths
from analysis.uses.search.result import Ranking, Searched, net_text, read
from analysis.uses.search.spec import SPACES, CandidatesTask, SearchSpace, SearchTask
from ddcore.base.errors import Cancelled, SpecError
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.distil.contract import methods
from ddcore.distil.settings import make_spec
from ddcore.measure.spec import WHOLE, AccuracyTask
from ddcore.nets.architectures import NetSpec
from ddcore.tasks import worker
from ddcore.training.protocols import PROTOCOLS

FEW = SearchSpace(
    widths=(4, 8), depths=(1,), norms=("none",), activations=("relu", "sigmoid"), poolings=("avg",)
)
SHORT = PROTOCOLS["quick"].replace(epochs=3)


def made(scores, truth, val=None, chance=0.1):
    """A search with one proxy; `truth` (A, k) are test accuracies after full training."""
    truth = np.asarray(truth, float)
    count = len(truth)

    def ranking(name, score, test):
        return Ranking(
            name=name,
            title=name,
            key="",
            run="",
            ipc=1,
            images=1,
            protocol="quick",
            cpu_seconds=1.0,
            distil_seconds=None,
            score=np.asarray(score, float),
            loss=np.arange(count, dtype=float),
            test=test,
        )

    full = ranking("full", truth.mean(1) if val is None else val, truth)
    nets = [NetSpec(width=i % 2000 + 1, depth=1) for i in range(count)]
    return Searched(
        key="",
        spec=SearchTask(),
        data_label="",
        nets=nets,
        full=full,
        proxies=[ranking("proxy", scores, np.stack([scores, scores], 1))],
        parameters=np.arange(count, dtype=float),
        chance=chance,
        val_images=100,
        test_images=100,
    )


# --- rank correlation ---------------------------------------------------------------------------------


def test_rho_equals_the_formula_of_differences_of_ranks():
    """Without ties: 1 - 6 sum d^2 / (n (n^2 - 1)); tau: pairs that agree minus those that do not."""
    draws = np.random.default_rng(0)
    for n in (5, 14, 72):
        a, b = draws.permutation(n) + 0.0, draws.permutation(n) + 0.0
        found = maths.agreement(a, b)
        assert found.rho == pytest.approx(1 - 6 * ((a - b) ** 2).sum() / (n * (n**2 - 1)))
        pairs = list(itertools.combinations(range(n), 2))
        agreed = sum(np.sign((a[i] - a[j]) * (b[i] - b[j])) for i, j in pairs)
        assert found.tau == pytest.approx(agreed / len(pairs))


def test_ties_share_the_middle_rank():
    a, b = np.array([1, 1, 2, 3, 3, 3.0]), np.array([1, 2, 2, 5, 4, 9.0])
    ranks = [np.array([1.5, 1.5, 3, 5, 5, 5]), np.array([1, 2.5, 2.5, 5, 4, 6])]
    assert maths.agreement(a, b).rho == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert maths.agreement(a[:4], b[:4]) is None and maths.agreement(a * 0, b) is None


@pytest.mark.parametrize(("rho", "n"), [(0.0, 36), (0.5, 36), (0.76, 72), (0.9, 14)])
def test_the_interval_covers_the_truth_as_often_as_it_says(rho, n):
    """Of normal pairs with a known rho (2 sin(pi rho / 6) is their Pearson correlation)."""
    from scipy.stats import rankdata

    draws, times = np.random.default_rng(1), 4000
    pearson = 2 * np.sin(np.pi * rho / 6)
    x = draws.normal(size=(times, n))
    y = pearson * x + np.sqrt(1 - pearson**2) * draws.normal(size=(times, n))
    ranks = [rankdata(v, axis=1) - (n + 1) / 2 for v in (x, y)]
    seen = (ranks[0] * ranks[1]).sum(1) / (ranks[0] ** 2).sum(1)
    bounds = np.array([maths.interval(float(r), n) for r in seen])
    covered = ((bounds[:, 0] <= rho) & (rho <= bounds[:, 1])).mean()
    assert covered == pytest.approx(0.95, abs=0.015)


def test_slices_are_those_that_are_named():
    truth = np.array([[0.1, 0.1], *([0.9, 0.9] for _ in range(8)), [0.5, 0.45]])
    found = made(np.arange(10.0), truth)
    parts = maths.slices(found, found.proxies[0])
    assert parts["all"].tolist() == list(range(10))
    assert parts["trainable"].tolist() == list(range(1, 9))  # above (0.1 + 0.9) / 2
    assert parts["top"].tolist() == [5, 6, 7, 8, 9]
    assert maths.agreements(found, found.proxies[0])["trainable"] is None  # all the same


# --- what cannot be exceeded --------------------------------------------------------------------------


def test_the_ceiling_is_what_an_errorless_ranking_reaches():
    """Figures with a known part of noise: the ranking by what they are without it against their mean."""
    from scipy.stats import spearmanr

    draws, count = np.random.default_rng(2), 20_000
    true = draws.normal(size=count)
    for noise in (0.3, 1.0):
        test = true[:, None] + noise * draws.normal(size=(count, 2))
        found = made(true, test)
        reached = spearmanr(true, test.mean(1)).statistic
        assert maths.ceiling(found, np.arange(count)) == pytest.approx(reached, abs=0.02)
    assert maths.reliability(test[:, :1]) is None


def test_where_no_correlation_can_be_given_it_says_so():
    """Of four networks none is: neither sentence has a gap."""
    found = made(np.arange(4.0), np.linspace(0.5, 0.8, 4)[:, None].repeat(2, 1))
    text = f"{maths.headline(found)} {figures.ceiling_text(found)}"
    assert "No proxy's ranking of 4 networks can be compared" in text and "no ρ is given" in text
    assert "ρ = ." not in text


# --- regret -------------------------------------------------------------------------------------------


def test_regret_of_a_random_choice_equals_brute_force():
    draws = np.random.default_rng(3)
    for count in (5, 8, 11):
        truth, val = draws.random((count, 2)), draws.integers(0, 4, count) / 4  # with ties
        found = made(draws.random(count), truth, val)
        places = {int(net): place for place, net in enumerate(found.full.order)}
        mean = truth.mean(1)
        for tried in (1, 3, 5):
            drawn = itertools.combinations(range(count), tried)
            chosen = [mean[min(few, key=places.__getitem__)] for few in drawn]
            expected = mean.max() - np.mean(chosen)
            assert maths.random_choice(found, tried) == pytest.approx(expected)


def test_choices_are_made_on_validation_and_told_on_test():
    truth = np.array([[0.5], [0.9], [0.8], [0.7], [0.6], [0.4], [0.95]])
    val = np.array([0.1, 0.2, 0.3, 0.9, 0.5, 0.6, 0.7])
    found = made([6, 5, 4, 3, 2, 1, 0], truth, val)
    one = maths.first(found, found.proxies[0])
    assert (one.net, one.accuracy, one.regret) == (0, 0.5, pytest.approx(0.45))
    few = maths.best_of(found, found.proxies[0])
    assert (few.net, few.accuracy) == (3, 0.7), "best on validation of networks 0 to 4"
    tied = made([1, 1, 1, 1, 1, 1, 1], truth, val)
    assert maths.first(tied, tied.proxies[0]).net == 0, "the lower loss decides"


# --- the tasks ----------------------------------------------------------------------------------------


def test_spaces_are_as_many_as_they_say():
    assert len(SPACES["small"].nets((1, 8, 8), 10)) == 72
    assert len(SPACES["dc"].nets((3, 32, 32), 10)) == 720
    assert len(SPACES["dc"].nets((1, 8, 8), 10)) == 600  # four poolings leave nothing of 8 pixels
    assert len({net_text(n) for n in SPACES["dc"].nets((3, 32, 32), 10)}) == 720
    with pytest.raises(SpecError, match="4 to"):
        SearchSpace(widths=(8,), depths=(1,)).replace(norms=("none",), poolings=("max",)).nets(
            (1, 8, 8), 10
        )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"run_keys": ("x",)}, "run_keys = ('x',) is not allowed: expected the keys of up to"),
        ({"baselines": ("herding",)}, "expected no set that one network chooses"),
        ({"full_nets": 1}, "full_nets = 1 is not allowed: expected a number from 2 to 100"),
        ({"space": {"widths": (8, 8)}}, "widths = (8, 8) is not allowed: expected one or more"),
        ({"space": {"norms": ("x",)}}, "norms = ('x',) is not allowed: expected any of none"),
    ],
)
def test_what_is_not_allowed_is_one_sentence(fields, words):
    with pytest.raises(SpecError) as refused:
        SearchTask(**fields)
    assert words in str(refused.value)


@pytest.fixture(scope="module")
def searched(pooled, compute_pooled):
    """A search by one distilled set, baselines and early stopping; and its set."""
    run = make_spec(
        "dm", DataSpec(), (1, 8, 8), ipc=2, settings=list(methods()["dm"].smallest.items())
    )
    run = run.replace(params=run.params.replace(iterations=2), validations=1, val_nets=1)
    run = run.replace(protocol=SHORT)
    compute_pooled(dataset_task(DataSpec()))
    compute_pooled(run)
    spec = SearchTask(run_keys=(run.key,), ipc=2, space=FEW, protocol=SHORT, nets=2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "analysis.uses.search.spec.whole_protocol",
            lambda size: PROTOCOLS["quick"].replace(epochs=4, batch=256),
        )
        task = compute_pooled(spec)
    return task, spec, run


def test_every_proxy_ranks_every_network(searched):
    task, _, run = searched
    found = read(task)
    names = [r.name for r in found.proxies]
    assert names == ["dm", "random", "class_mean", "kmeans", "early", "parameters"]
    assert len(found.nets) == 4 and found.full.test.shape == (4, 2)
    assert found.proxies[0].run == run.key and found.proxies[0].distil_seconds > 0
    assert all(r.cpu_seconds > 0 for r in found.proxies[:-1])
    plain = json.dumps(maths.table(found), allow_nan=False)
    assert run.key in plain


def test_figures_are_those_of_plain_training(searched, pooled):
    """A network's accuracy is that of training it alone: of the whole set with the seeds of a search."""
    from ddcore.base import rng
    from ddcore.data.dataset import load
    from ddcore.data.tensors import DeviceData
    from ddcore.sets.distilled import DistilledSet
    from ddcore.training.train import train

    task, _, run = searched
    found = read(task)
    data = DeviceData(load(pooled, DataSpec()))
    made_set = DistilledSet.from_task(pooled.find(run.key))
    seeds = [rng.derive(0, "search", "proxy", i) for i in range(2)]
    import torch

    x, y = torch.from_numpy(made_set.images), torch.from_numpy(made_set.labels)
    nets = train(found.nets[3], x, y, 10, SHORT, seeds)
    assert found.proxies[0].test[3] == pytest.approx(nets.accuracy(data.test))
    assert found.proxies[0].score[3] == pytest.approx(np.mean(nets.accuracy(data.val)))
    assert found.proxies[0].loss[3] == pytest.approx(np.mean(nets.losses(data.val)), rel=1e-5)


def test_early_stopping_costs_what_the_set_costs():
    early = CandidatesTask(subject="early", data=DataSpec(), images=100)
    recipe = early.recipe(1168)
    assert recipe.epochs * 1168 == pytest.approx(PROTOCOLS["quick"].epochs * 100, rel=0.05)
    assert recipe.batch == 64 and recipe.milestones == ()
    whole = CandidatesTask(subject=WHOLE, data=DataSpec()).recipe(1168)
    assert whole.epochs == 50 and whole.milestones
    for fields in ({"subject": "early"}, {"subject": WHOLE, "images": 3}):
        with pytest.raises(SpecError, match="images"):
            CandidatesTask(data=DataSpec(), **fields)


def test_a_stopped_search_goes_on(searched, pooled, monkeypatch):
    task, spec, run = searched
    wanted = spec.candidates(run.key, protocol=SHORT)
    before = pooled.task(wanted).arrays()
    pooled.delete(pooled.task(wanted))
    seen = []
    truth = computing._School.train

    def stopping(school, net):
        seen.append(net)
        if len(seen) == 3:
            raise Cancelled("stopped")
        return truth(school, net)

    monkeypatch.setattr(computing._School, "train", stopping)
    monkeypatch.setattr(worker, "CHECKPOINT_EVERY_S", 0.0)
    task = pooled.create(wanted)
    with pytest.raises(Cancelled):
        worker.run_task(pooled, task, wanted, "cpu")
    worker.run_task(pooled, task, wanted, "cpu")
    after = task.arrays()
    assert len(seen) == 5
    for name in ("val", "val_loss", "test"):
        assert np.array_equal(before[name], after[name])


def test_kernel_sets_are_trained_on_by_networks():
    """A set made for a kernel machine has no protocol for networks: the search's own is taken."""
    kip = make_spec("kip", DataSpec(), (1, 8, 8), ipc=1)
    assert kip.protocol.closed_form
    assert dataclasses.replace(SearchTask()).protocol == PROTOCOLS["quick"]
    assert AccuracyTask  # what single figures are


def test_the_headline_names_the_best_and_its_regret():
    truth = np.linspace(0.5, 0.9, 9)[:, None].repeat(2, 1)
    text = maths.headline(made(np.arange(9.0), truth))
    assert "ρ = 1.00" in text and "0.0 points below the best network, a random one 20.0" in text
