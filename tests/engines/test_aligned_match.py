"""DATM against trajectory matching, its window and labels against what is written out here."""

import copy
import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import resolve
from ddcore.distil.engines.aligned_match import AlignedMatching, Alignment, judged
from ddcore.distil.engines.trajectory_match import TrajectoryMatching
from ddcore.distil.methods.mtt import stretches
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.nets.network import Network
from tests.engines.test_trajectory_match import SHAPE, Experts, gradients

PLAIN = Alignment(
    min_start=0, first_start=0, widening=0, epochs=3, correct=False, label_momentum=0.9
)


def data():
    """What a problem asks of its data: thirty images."""
    images = torch.randn(30, *SHAPE, generator=rng.generator(7))
    return SimpleNamespace(
        shape=SHAPE,
        num_classes=10,
        device=torch.device("cpu"),
        class_indices=torch.arange(30).split(3),
        batch=lambda index: images[index],
    )


def matching(alignment=PLAIN, most=math.inf, **settings):
    """DATM's engine on made-up experts, or plain matching without an alignment."""
    small = {"net.width": "4", "init": "real", "epochs": "3", "max_start": "2", "lr0": "0.1"}
    small |= {"expert_epochs": "1", "inner_steps": "3", "nets": "2", "labels": "hard"}
    small |= {"first_start": "0", "optimiser": "sgd"} | settings
    spec = make_spec("datm", resolve("digits"), SHAPE, settings=list(small.items()))
    experts = Experts(spec.net)
    followed = dataclasses.replace(stretches(spec.params), most=most)
    problem = Problem(spec, data(), "cpu")
    if alignment is None:
        return TrajectoryMatching(problem, experts, followed)
    return AlignedMatching(problem, experts, followed, alignment)


@pytest.mark.parametrize("labels", ["hard", "learned"])
def test_with_a_fixed_window_and_hard_labels_it_is_trajectory_matching_to_the_bit(labels):
    """Learned ones differ: an expert's opinion is where they start."""
    plain, aligned = matching(None, labels=labels), matching(labels=labels)
    same = []
    for iteration in range(5):
        (one, loss), (two, other) = (gradients(e, iteration) for e in (plain, aligned))
        same += [loss == other, *(torch.equal(one[name], two[name]) for name in one)]
        for engine in (plain, aligned):
            engine.optimiser.step()
            engine.project()
    assert all(same) if labels == "hard" else not any(same)


def test_the_window_grows_evenly_and_experts_come_from_it():
    alignment = dataclasses.replace(PLAIN, min_start=1, first_start=2, widening=100)
    engine = matching(alignment, max_start="2", expert_epochs="1")
    engine.params = dataclasses.replace(engine.params, max_start=12)
    assert [engine.window(i) for i in (0, 9, 10, 55, 99, 100, 5000)] == [
        (1, 2),
        (1, 2),
        (1, 3),
        (1, 7),
        (1, 11),
        (1, 12),
        (1, 12),
    ]
    engine.params = dataclasses.replace(engine.params, max_start=2)
    for iteration in range(20):  # one epoch is left
        start, _ = engine._stretches(iteration)
        ends = [expert[1]["0.weight"][0] for expert in engine.experts.epochs]
        assert all(any(torch.equal(w, end) for end in ends) for w in start["0.weight"])


def test_a_badly_matched_network_teaches_nothing():
    """Between the losses of both networks, the gradient is that of the better one alone."""
    engine = matching(alignment=PLAIN)
    start, target = engine._stretches(0)
    alone = []
    for i in range(2):
        one = matching(nets="1")
        pair = tuple({k: w[i : i + 1] for k, w in end.items()} for end in (start, target))
        one._stretches = lambda iteration, pair=pair: pair
        alone.append(gradients(one))
    losses = [loss for _, loss in alone]
    better = losses.index(min(losses))
    between = matching(most=sum(losses) / 2)
    told = between.step(0)
    assert told["skipped"] == 0.5 and told["loss"] == pytest.approx(sum(losses) / 2)
    for name, tensor in between.tensors().items():
        torch.testing.assert_close(2 * tensor.grad, alone[better][0][name], rtol=1e-4, atol=1e-7)


def test_where_no_network_teaches_nothing_moves_not_even_by_momentum():
    engine = matching(most=0.0)
    engine.params = dataclasses.replace(engine.params, most=math.inf)
    engine.step(0)
    engine.optimiser.step()  # momentum
    before = {name: t.detach().clone() for name, t in engine.tensors().items()}
    engine.params = dataclasses.replace(engine.params, most=0.0)
    assert engine.step(1)["skipped"] == 1.0
    engine.optimiser.step()
    assert all(torch.equal(t, before[name]) for name, t in engine.tensors().items())


def test_labels_begin_as_the_mean_logits_of_experts_that_are_right():
    engine = matching(labels="learned")
    images, targets = engine.synthetic.final()
    one = Network(engine.problem.spec.net, SHAPE, 10)
    for image, target, c in zip(images, targets, range(10)):
        said = [one.logits(e[3], image[None])[0, 0] for e in engine.experts.epochs]
        right = [logits for logits in said if int(logits.argmax()) == c] or said
        mean = sum(right) / len(right)
        torch.testing.assert_close(target, mean.exp() / mean.exp().sum(), rtol=1e-4, atol=1e-6)


def test_experts_that_are_wrong_have_no_say():
    logits = torch.tensor([[[2.0, 1.0], [0.0, 3.0]], [[0.0, 4.0], [1.0, 5.0]]])
    found = judged(logits, torch.tensor([0, 0]))
    # Of the first image only the first expert is right, of the second none.
    assert found.tolist() == [[2.0, 1.0], [0.5, 4.0]]


def test_it_begins_with_images_that_an_expert_gets_right():
    engine = matching(dataclasses.replace(PLAIN, correct=True))
    generator = engine.problem.generator("teacher")
    expert = engine.experts.epochs[int(torch.randint(2, (), generator=generator))][3]
    one, known = Network(engine.problem.spec.net, SHAPE, 10), engine.problem.data
    for c, image in enumerate(engine.synthetic.final()[0]):
        members = known.class_indices[c]
        right = [int(one.logits(expert, known.batch(i[None]))[0, 0].argmax()) == c for i in members]
        chosen = [torch.equal(image, known.batch(i)) for i in members]
        assert sum(chosen) == 1
        assert right[chosen.index(True)] or not any(right)
    assert [len(m) for m in known.class_indices] == [3] * 10  # the problem's data are as they were


def test_derivatives_by_logits_are_finite_differences():
    engine = matching(labels="learned")
    found, _ = gradients(engine)
    logits = engine.tensors()["labels"]
    slope = found["labels"]
    assert slope.abs().max() > 0 and slope.sum(1).abs().max() < 1e-5  # softmax does not see a shift
    direction = torch.randn(logits.shape, generator=rng.generator(2))
    ends = []
    for step in (0.05, -0.05):
        other = copy.deepcopy(logits.detach())
        with torch.no_grad():
            logits.add_(step * direction)
        ends.append(engine.step(0)["loss"])
        with torch.no_grad():
            logits.copy_(other)
    assert (ends[0] - ends[1]) / 0.1 == pytest.approx(float((slope * direction).sum()), rel=0.03)


def test_labels_have_a_momentum_of_their_own():
    groups = matching(labels="learned").optimiser.param_groups
    assert [group["momentum"] for group in groups] == [0.5, 0.9, 0.5]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"first_start": "11"}, r"first_start = 11 .*at most 10, max_start"),
        ({"min_start": "4", "first_start": "4"}, r"min_start = 4 .*at most 3, below first_start"),
        ({"labels": "learned", "init": "noise"}, r"init = 'noise' .*real or mean"),
        ({"net.norm": "batch"}, r"net.norm = 'batch'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(settings, said):
    asked = {"max_start": "10"} | settings
    with pytest.raises(SpecError, match=said):
        make_spec("datm", resolve("digits"), SHAPE, settings=list(asked.items()))
