"""Fair scores: by their definition, and put together from the evaluations of a run that belong together."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ddcore.base.errors import SpecError
from ddcore.cli.program import main
from ddcore.data.spec import DataSpec
from ddcore.distil.settings import make_spec
from ddcore.measure import fair, ranking
from ddcore.measure.regimes import LabelRegime, regime, with_loss
from ddcore.measure.spec import LABELLED, WHOLE, default_evaluation
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.worker import Context
from ddcore.training.protocols import PROTOCOLS
from tests.pages.fakes import SHAPE, done

HARD = LabelRegime(kind="hard")
SOFT = np.eye(10, dtype=np.float32) * 0.5 + 0.05


def evaluation(store, run, figures: dict[str, float], n: int = 5, **changes):
    """A finished evaluation of a run with these means."""
    wanted = default_evaluation(run.key, run, **changes)
    task = store.create(wanted)
    rows = [
        {"subject": s, "arch": run.net.label(), "mean": m, "std": 0.01, "n": n}
        for s, m in figures.items()
    ]
    context = Context(store, task, wanted, "cpu")
    context.save_result({"rows": rows, "protocol": wanted.protocol.to_dict()})
    task.finish()
    return task


def own(distilled: float, random: float, **more: float) -> dict[str, float]:
    """Means by subject."""
    return {"distilled": distilled, "random": random, "class_mean": 0.7, **more}


def scored(store, task, run_task) -> fair.FairScores:
    """What is said in the run's own network."""
    arch = run_task.spec().net.label()
    return fair.scores(store, task, DistilledSet.from_task(run_task), arch)


# --- definitions ------------------------------------------------------------------------------------


def test_the_published_map():
    """α = ½ · 0.10 − ½ · 0.35 = −0.125."""
    assert ranking.label_robust_score(0.35, 0.10) == pytest.approx(0.219, abs=5e-4)
    by_hand = (math.exp(-0.125) - math.exp(-1)) / (math.exp(1) - math.exp(-1))
    assert ranking.label_robust_score(0.35, 0.10) == pytest.approx(by_hand, rel=1e-12)


def test_the_ends_of_the_scale_and_what_the_text_says_of_it():
    assert ranking.label_robust_score(-1.0, 1.0) == pytest.approx(1)
    assert ranking.label_robust_score(1.0, -1.0) == pytest.approx(0)
    text = ranking.DEFINITIONS["label robust score"]
    assert f"has {ranking.label_robust_score(0, 0):.2f}," in text
    assert f"never are {ranking.label_robust_score(0, 1):.2f}." in text
    zero = ranking.augmentation_robust_score(0, 0)
    assert f"{zero:.2f} means" in ranking.DEFINITIONS["augmentation robust score"]


def test_a_weight_leaves_one_part():
    assert ranking.label_robust_score(0.9, 0.2, weight=1) == ranking.label_robust_score(0, 0.2, 1)
    assert ranking.label_robust_score(0.3, 0.9, weight=0) == ranking.label_robust_score(0.3, 0, 0)
    first = ranking.augmentation_robust_score(0.3, 0.1, weight=0.25)
    assert first == pytest.approx(ranking.augmentation_robust_score(0.15, 0.15))


@pytest.mark.parametrize("figures", [(35.0, 0.1), (0.35, 10.0), (math.nan, 0.1)])
def test_per_cent_is_refused(figures):
    """Per cent would give nearly the same score for all sets."""
    with pytest.raises(SpecError, match="a difference of shares, from -1 to 1"):
        ranking.label_robust_score(*figures)


# --- which evaluations ------------------------------------------------------------------------------


def test_a_hard_labelled_set_needs_all_training_images_only(store):
    run = done(store)
    spec = run.spec()
    task = evaluation(store, spec, own(0.80, 0.70))
    found = scored(store, task, run)
    assert (found.label_robust, found.gap) == (None, None)
    assert fair.NO_WHOLE in found.missing and fair.NO_HARD not in found.missing
    baselines = ("random", "class_mean", WHOLE)
    evaluation(store, spec, own(0.1, 0.1, whole=0.95), nets=3, baselines=baselines)
    found = scored(store, task, run)
    assert found.gap.mean == pytest.approx(0.15)
    assert found.better.over_random.mean == pytest.approx(0.10)
    assert found.label_robust == pytest.approx(ranking.label_robust_score(0.15, 0.10))


def test_the_gap_of_labels_that_know_more_is_measured_with_hard_ones(store):
    run = done(store)
    spec = run.spec()
    quick = PROTOCOLS["quick"]
    taught = {"labels": regime("soft", spec.data, spec.net), "protocol": with_loss(quick, "soft")}
    task = evaluation(store, spec, own(0.85, 0.80, whole=0.95), **taught)
    assert fair.NO_HARD in scored(store, task, run).missing
    evaluation(store, spec, own(0.2, 0.1), labels=HARD, protocol=PROTOCOLS["t300"])  # another way
    assert fair.NO_HARD in scored(store, task, run).missing
    evaluation(store, spec, own(0.75, 0.6), labels=HARD, protocol=quick)
    found = scored(store, task, run)
    assert found.gap.mean == pytest.approx(0.20)  # of hard labels
    assert found.better.over_random.mean == pytest.approx(0.05)  # of the same teacher's
    assert found.better.note == ""


def test_soft_labels_of_its_own_are_judged_by_those_of_the_same_teacher(store):
    spec = make_spec("bptt", DataSpec(), SHAPE, settings=[("labels", "soft"), ("init", "real")])
    run = done(store, spec, labels=SOFT)
    task = evaluation(store, spec, own(0.80, 0.60, random_labelled=0.75, whole=0.95))
    assert LABELLED in task.spec().baselines
    evaluation(store, spec, own(0.70, 0.60), labels=HARD)
    found = scored(store, task, run)
    assert found.label_robust == pytest.approx(ranking.label_robust_score(0.25, 0.05))


@pytest.mark.parametrize("seen", ["augmented", "plain"])
def test_the_twin_differs_in_augmentation_alone(store, seen):
    run = done(store)
    spec = run.spec()
    dsa = PROTOCOLS["dsa-digits"]
    plain = fair.without_augmentation(dsa)
    assert (plain.augment, plain.cutmix, plain.epochs) == ("", 0.0, dsa.epochs)
    assert fair.without_augmentation(PROTOCOLS["quick"]) == PROTOCOLS["quick"]
    tasks = {"augmented": evaluation(store, spec, own(0.80, 0.70), protocol=dsa)}
    evaluation(store, spec, own(0.9, 0.1), protocol=plain.replace(lr=0.5))  # differs in more
    evaluation(store, spec, own(0.9, 0.1), protocol=plain, labels=HARD)
    assert fair.NO_TWIN in scored(store, tasks["augmented"], run).missing
    tasks["plain"] = evaluation(store, spec, own(0.60, 0.62), protocol=plain)
    found = scored(store, tasks[seen], run)
    assert found.with_augmentation.mean == pytest.approx(0.10)
    assert found.without_augmentation.mean == pytest.approx(-0.02)
    expected = ranking.augmentation_robust_score(0.10, -0.02)
    assert found.augmentation_robust == pytest.approx(expected)


def test_of_several_figures_the_best_known_not_the_best_one(store):
    """More networks count, not a higher accuracy."""
    run = done(store)
    spec = run.spec()
    baselines = ("random", "class_mean", WHOLE)
    task = evaluation(store, spec, own(0.80, 0.70))
    for nets, whole in ((2, 0.99), (3, 0.90), (1, 0.95)):
        evaluation(store, spec, own(0, 0, whole=whole), nets, nets=nets, baselines=baselines)
    assert scored(store, task, run).gap.mean == pytest.approx(0.10)


def test_what_is_needed_is_enough(store):
    """Once all that is asked for is measured, nothing is missing."""
    run = done(store)
    spec = run.spec()
    made = DistilledSet.from_task(run)
    labels = regime("online", spec.data, spec.net)
    protocol = with_loss(PROTOCOLS["dsa-digits"], "online")
    asked = fair.needed(default_evaluation(spec.key, spec, protocol=protocol, labels=labels), made)
    assert len(asked) == len({t.key for t in asked}) == 3
    for i, task in enumerate(asked):
        figures = own(0.8 - i / 100, 0.7, **({"whole": 0.95} if WHOLE in task.baselines else {}))
        fields = {k: getattr(task, k) for k in ("protocol", "labels", "baselines", "nets")}
        assert evaluation(store, spec, figures, **fields).key == task.key
    found = scored(store, store.task(asked[0]), run)
    assert found.missing == () and found.label_robust and found.augmentation_robust
    quick = fair.needed(default_evaluation(spec.key, spec, protocol=PROTOCOLS["quick"]), made)
    assert len(quick) == 1  # hard labels, no augmentation


@pytest.mark.slow
def test_the_command_measures_all_parts_and_prints_them(store, compute, capsys, monkeypatch):
    """Parts in the answer give the score in the answer, by the formula."""
    monkeypatch.setitem(PROTOCOLS, "dsa-digits", PROTOCOLS["dsa-digits"].replace(epochs=20))
    small = {"iterations": "1", "val_nets": "1", "validations": "1", "net.width": "4"}
    run = make_spec("dm", DataSpec(), SHAPE, settings=list(small.items()))
    compute(run)
    arguments = ["evaluate", run.key, "--protocol", "dsa-digits", "--nets", "2"]
    assert main([*arguments, "--fair", "--dry-run"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main([*arguments, "--fair", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    found = answer["fair"]
    assert found["missing"] == []
    gap = answer["baselines"]["whole"]["mean"] - answer["test_accuracy"]["mean"]
    assert found["hlr"]["mean"] == pytest.approx(gap)
    parts = found["hlr"]["mean"], found["ior"]["mean"]
    assert found["lrs"] == pytest.approx(ranking.label_robust_score(*parts))
    both = found["ior_with_augmentation"]["mean"], found["ior_without_augmentation"]["mean"]
    assert found["ars"] == pytest.approx(ranking.augmentation_robust_score(*both))
    assert found["ior"] == found["ior_with_augmentation"]
    assert main([*arguments, "--baseline", "whole"]) == 0
    shown = capsys.readouterr().out
    assert f"label robust score: {found['lrs']:.3f} (HLR " in shown and ranking.DOUBT in shown
