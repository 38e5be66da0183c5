"""DANCE's loss against one that is written out here, network by network and class by class."""

import pytest
import torch

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import resolve
from ddcore.distil.engines.between_match import Between, BetweenMatching
from ddcore.distil.engines.match import FeatureMatching, Features
from ddcore.distil.methods.dance import experts
from ddcore.distil.methods.mtt import experts as mtt_experts
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.training import augment
from tests.engines.test_match import FakeData

SHAPE = (1, 8, 8)
FEATURES = Features(nets=3, real_batch=4, augment="", lr=1.0, momentum=0.5)


class Lines:
    """Experts of known starts and ends."""

    def __init__(self, network):
        one, two = network.with_nets(5), rng.generator(8)
        self.weights = [one.init(rng.generator(7)), one.init(two)]

    def __len__(self):
        return 5

    def stretch(self, expert, first, last):
        assert (first, last) == (0, 6)
        return tuple({k: w[expert] for k, w in part.items()} for part in self.weights)


def made(calibration=0.7, features=FEATURES, dtype=torch.float64):
    """The distiller in float64, and its experts."""
    settings = {"net.width": "4", "net.depth": "2", "init": "real", "parametrization": "pixels"}
    spec = make_spec("dance", resolve("digits"), SHAPE, ipc=2, settings=list(settings.items()))
    data = FakeData()
    data.images = data.images.to(dtype)
    problem = Problem(spec, data, "cpu")
    lines = Lines(problem.network(5))
    lines.weights = [{k: w.to(dtype) for k, w in part.items()} for part in lines.weights]
    between = Between(experts=lines, epochs=6, calibration=calibration)
    return BetweenMatching(problem, features, between), lines


def written_out(distiller, lines, images, iteration, strategy=""):
    """Sum over classes of squared distances and mean cross-entropies, averaged over networks."""
    p, problem = distiller.params, distiller.problem
    one = distiller.network.with_nets(1)
    generator = problem.generator("net", iteration)
    chosen = torch.randint(5, (p.nets,), generator=generator)
    share = torch.rand(p.nets, generator=generator)
    real, _ = problem.data.sample_per_class(p.real_batch, problem.generator("real", iteration))
    draw = strategy and augment.sample(strategy, 10, problem.generator("augment", iteration))
    total = 0
    for n in range(p.nets):
        first, last = lines.stretch(int(chosen[n]), 0, 6)
        theta = {k: ((1 - share[n]) * first[k] + share[n] * last[k])[None] for k in first}
        end = {k: w[None] for k, w in last.items()}
        for c in range(10):
            of_real, mine = real[4 * c : 4 * c + 4], images[2 * c : 2 * c + 2]
            if draw:
                of_real, mine = (
                    augment.apply(x, draw.take(torch.full((len(x),), c))) for x in (of_real, mine)
                )
            means = [one.features(theta, x)[0].mean(0) for x in (of_real, mine)]
            total = total + ((means[0] - means[1]) ** 2).sum()
            for image in mine:
                said = one.logits(end, image[None])[0, 0]
                total = total + 0.7 * (said.exp().sum().log() - said[c]) / len(mine)
    return total / p.nets


@pytest.mark.parametrize("strategy", ["", "crop_scale"])
def test_loss_and_derivative_are_those_written_out(strategy):
    features = Features(nets=3, real_batch=4, augment=strategy, lr=1.0, momentum=0.5)
    distiller, lines = made(features=features)
    found = distiller.step(4)["loss"]
    (images,) = distiller.tensors().values()
    again = images.detach().clone().requires_grad_()
    loss = written_out(distiller, lines, again, 4, strategy)
    (slope,) = torch.autograd.grad(loss, again)
    assert images.dtype == torch.float64
    assert found == pytest.approx(loss.item(), rel=1e-6)
    torch.testing.assert_close(images.grad, slope, rtol=1e-5, atol=1e-7)


def test_without_calibration_it_is_feature_matching_in_other_networks():
    """What dm does with these networks' weights, to the last bit."""
    distiller, _ = made(calibration=0.0)
    plain = FeatureMatching(distiller.problem, FEATURES)
    plain.params = distiller.params
    plain.network = distiller.network
    plain.seen, plain.matched = distiller.seen, distiller.matched
    plain.drawn = distiller.drawn
    assert plain.step(2) == distiller.step(2)
    one, two = (next(iter(d.tensors().values())).grad for d in (plain, distiller))
    assert torch.equal(one, two)


def test_on_digits_the_experts_are_those_of_trajectory_matching():
    dance, mtt = (make_spec(name, resolve("digits"), SHAPE) for name in ("dance", "mtt"))
    assert experts(dance).key == mtt_experts(mtt).key


def test_networks_with_running_statistics_are_refused():
    with pytest.raises(SpecError, match=r"net.norm = 'batch'"):
        make_spec("dance", resolve("digits"), SHAPE, settings=[("net.norm", "batch")])


def test_a_class_counts_the_same_however_many_images_it_has(monkeypatch):
    distiller, _ = made()
    seen = {}

    def told(*tensors):
        seen["shares"] = tensors[-1]
        return torch.zeros(()), torch.zeros_like(tensors[-3])

    monkeypatch.setattr(distiller, "told", told)
    monkeypatch.setattr(
        "ddcore.distil.engines.match.FeatureMatching.distance",
        lambda *given: (torch.zeros(()), torch.zeros(3, *SHAPE)),
    )
    distiller.trained = {"w": torch.zeros(1)}
    distiller.distance({}, torch.zeros(1), torch.tensor([0, 1, 1]), torch.zeros(3, *SHAPE))
    assert seen["shares"].tolist() == pytest.approx([0.7, 0.35, 0.35])
