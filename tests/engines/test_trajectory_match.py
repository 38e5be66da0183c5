"""Trajectory matching: its gradient against full autograd in float64, and the limits of its loss."""

import itertools
from types import SimpleNamespace

import pytest
import torch

from ddcore.base import rng
from ddcore.data import resolve
from ddcore.distil.engines import trajectory_match
from ddcore.distil.engines.rules import GradientDescent
from ddcore.distil.engines.trajectory_match import TrajectoryMatching, squared_distance
from ddcore.distil.engines.unroll import full_autograd
from ddcore.distil.methods.mtt import stretches
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.nets.network import Network

SHAPE = (1, 8, 8)
STEPS = 30


class Experts:
    """Two trajectories of three epochs, made of noise."""

    def __init__(self, net, dtype=torch.float32):
        network = Network(net, SHAPE, 10)
        self.epochs = [
            [network.init(rng.generator(i, "epoch", t), dtype=dtype) for t in range(4)]
            for i in range(2)
        ]
        for expert in self.epochs:  # one way, not four unrelated places
            for before, after in itertools.pairwise(expert):
                for name, w in after.items():
                    w.copy_(before[name] + 0.05 * w)

    def __len__(self):
        return 2

    def stretch(self, expert, first, last):
        return tuple({k: w[0] for k, w in self.epochs[expert][t].items()} for t in (first, last))


def data():
    """What a problem asks of its data: one image per class to start from."""
    images = torch.randn(10, *SHAPE, generator=rng.generator(7))
    return SimpleNamespace(
        shape=SHAPE,
        num_classes=10,
        device=torch.device("cpu"),
        class_indices=torch.arange(10).split(1),
        batch=lambda index: images[index],
    )


def matching(dtype=torch.float32, **settings):
    """An engine on made-up experts."""
    small = {"net.width": "4", "init": "real", "epochs": "3", "max_start": "2"}
    small |= {"expert_epochs": "1", "inner_steps": str(STEPS), "nets": "2", "lr0": "0.1"}
    settings = {**small, **{k: str(v) for k, v in settings.items()}}
    ipc = int(settings.pop("ipc", 1))
    spec = make_spec("mtt", resolve("digits"), SHAPE, ipc=ipc, settings=list(settings.items()))
    engine = TrajectoryMatching(
        Problem(spec, data(), "cpu"), Experts(spec.net, dtype), stretches(spec.params)
    )
    if dtype == torch.float64:
        for tensor in engine.tensors().values():
            tensor.data = tensor.data.double()
        engine.log_lr.data.fill_(torch.tensor(0.1, dtype=dtype).log())
    return engine


def gradients(engine, iteration=0):
    """Gradients of all learnable tensors by name, and the loss."""
    loss = engine.step(iteration)["loss"]
    return {name: t.grad.clone() for name, t in engine.tensors().items()}, loss


def unrolled(engine, iteration=0):
    """The same from one big graph."""
    p = engine.params
    start, target = engine._stretches(iteration)
    theta, goal = tuple(start.values()), tuple(target.values())
    length = squared_distance(theta, goal)
    leaves = engine.synthetic.leaves()
    rates = engine.log_lr.exp().expand(p.inner_steps)
    truth = full_autograd(
        engine._inner_loss(iteration, list(start)),
        lambda weights: (squared_distance(weights, goal) / length).mean(),
        GradientDescent(),
        theta,
        leaves,
        (rates,),
        range(p.inner_steps),
    )
    engine.synthetic.pull(leaves, truth.leaves)
    (engine.log_lr.grad,) = torch.autograd.grad(rates, engine.log_lr, truth.hyper[0])
    return {name: t.grad.clone() for name, t in engine.tensors().items()}, truth.loss.item()


def relative(got, truth):
    return ((got - truth).norm() / truth.norm()).item()


@pytest.mark.parametrize(
    "settings",
    [{}, {"ipc": 2, "batch_syn": 7}, {"augment": "crop_scale_rotate"}, {"labels": "learned"}],
    ids=["whole set", "minibatches", "augmented", "learned labels"],
)
def test_equals_full_autograd(settings):
    """T = 30 in float64: pixels, step size and labels."""
    engine = matching(torch.float64, **settings)
    (ours, loss), (truth, true_loss) = gradients(engine), unrolled(engine)
    assert loss == pytest.approx(true_loss, rel=1e-12)
    assert set(ours) == {"images", "log_lr"} | ({"labels"} if "labels" in settings else set())
    for name in ours:
        assert relative(ours[name], truth[name]) < 1e-9


def test_tesla_is_an_approximation():
    exact, loss = gradients(matching(torch.float64))
    tesla, same_loss = gradients(matching(torch.float64, gradient="tesla"))
    assert loss == same_loss
    cosine = torch.cosine_similarity(exact["images"].flatten(), tesla["images"].flatten(), 0)
    assert 0.5 < cosine < 0.999
    one = [
        gradients(matching(torch.float64, inner_steps=1, gradient=g))[0] for g in ("exact", "tesla")
    ]
    assert relative(one[1]["images"], one[0]["images"]) < 1e-12  # exact for one step


def test_standing_still_costs_one():
    """With no step the network stays where the expert starts: the quotient is 1 for any expert."""
    engine = matching()
    with torch.no_grad():
        engine.log_lr.fill_(-float("inf"))
    assert engine._stretches(0)[0]["0.weight"].shape[0] == 2
    assert all(engine.step(i)["loss"] == pytest.approx(1, abs=1e-6) for i in range(5))


def test_arriving_costs_nothing(monkeypatch):
    """When the expert itself takes the same steps on the same images, nothing is left to learn."""
    engine = matching(nets=1, inner_steps=3)
    loss = engine._inner_loss(0, list(engine._stretches(0)[0]))
    start, _ = engine._stretches(0)
    theta = tuple(start.values())
    leaves = tuple(x.detach() for x in engine.synthetic.leaves())
    for t in range(3):
        at = tuple(w.detach().requires_grad_() for w in theta)
        found = torch.autograd.grad(loss(t, at, leaves), at)
        theta = tuple(w - 0.1 * g for w, g in zip(at, found))
    goal = {k: w.detach() for k, w in zip(start, theta)}
    monkeypatch.setattr(engine, "_stretches", lambda iteration: (start, goal))
    got, value = gradients(engine)
    assert value < 1e-9
    assert got["images"].abs().max() < 1e-5


def test_networks_are_independent():
    """Two experts at once give the mean of the gradients of each alone."""
    engine = matching(torch.float64, inner_steps=5)
    start, target = engine._stretches(0)
    both, _ = gradients(engine)
    alone = []
    for i in range(2):
        one = matching(torch.float64, inner_steps=5, nets=1)
        pair = tuple({k: w[i : i + 1] for k, w in end.items()} for end in (start, target))
        one._stretches = lambda iteration, pair=pair: pair
        alone.append(gradients(one)[0])
    for name in both:
        assert relative((alone[0][name] + alone[1][name]) / 2, both[name]) < 1e-9


def test_minibatches_are_permutations_in_pieces():
    engine = matching(ipc=2, batch_syn=8, inner_steps=7)
    pieces = engine._minibatches(3)
    assert [len(piece) for piece in pieces] == [8, 8, 4, 8, 8, 4, 8]
    for part in (pieces[:3], pieces[3:6]):
        assert sorted(torch.cat(part).tolist()) == list(range(20))
    assert not torch.equal(torch.cat(pieces[:3]), torch.cat(pieces[3:6]))
    again = engine._minibatches(3)
    assert all(torch.equal(a, b) for a, b in zip(pieces, again))
    assert not torch.equal(torch.cat(engine._minibatches(4)), torch.cat(pieces))


def test_stretches_are_of_the_experts_epochs():
    """Starts range over 0 .. max_start - 1, and the target is M epochs on."""
    engine = matching(nets=1)
    seen = set()
    for iteration in range(40):
        start, target = engine._stretches(iteration)
        for i, expert in enumerate(engine.experts.epochs):
            for t in range(3):
                if torch.equal(start["0.weight"], expert[t]["0.weight"]):
                    assert torch.equal(target["0.weight"], expert[t + 1]["0.weight"])
                    seen.add((i, t))
    assert seen == {(i, t) for i in range(2) for t in range(2)}


def test_the_step_size_is_part_of_the_set():
    current = matching(lr0=0.3).current()
    assert current.lrs.shape == (1,) and current.lrs[0] == pytest.approx(0.3)
    assert trajectory_match.GradientDescent().momentum == current.momentum == 0
