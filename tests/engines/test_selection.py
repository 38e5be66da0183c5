"""Selected crops: boxes, scores, mosaics and labels against loops written out here."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ddcore.base import rng
from ddcore.base.errors import DataError, SpecError
from ddcore.data import resolve
from ddcore.distil.contract import method
from ddcore.distil.engines import selection
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.nets.network import Network
from ddcore.training.trained import TrainedNets
from tests.engines.test_match import FakeData

SHAPE = (1, 8, 8)


def test_boxes_lie_within_the_image_and_show_at_least_the_smallest_part():
    images = torch.zeros(4000, 1, 10, 6)
    where = selection.boxes(images, 0.25, rng.generator(0))
    assert (where.tops >= 0).all() and (where.tops + where.heights <= 10).all()
    assert (where.lefts >= 0).all() and (where.lefts + where.widths <= 6).all()
    assert (where.heights.min(), where.widths.min()) == (5, 3)
    assert (where.heights.max(), where.widths.max()) == (10, 6)
    shares = (where.heights * where.widths).double() / 60
    assert abs(shares.mean() - 0.625) < 0.02  # uniform from 0.25 to 1
    of_nine = where.tops[where.heights == 9]
    assert abs(of_nine.double().mean() - 0.5) < 0.05  # both places alike


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_crops_are_those_boxes_one_by_one(factor):
    images = torch.randn(9, 2, 8, 7, dtype=torch.float64, generator=rng.generator(1))
    where = selection.boxes(images, 0.1, rng.generator(2))
    found = selection.crop(images, where, factor)
    for i in range(9):
        top, left = int(where.tops[i]), int(where.lefts[i])
        part = images[i : i + 1, :, top : top + where.heights[i], left : left + where.widths[i]]
        truth = F.interpolate(
            part, (8 // factor, 7 // factor), mode="bilinear", antialias=True, align_corners=False
        )
        torch.testing.assert_close(found[i], truth[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("factor", "side"), [(1, 8), (2, 8), (2, 7), (3, 8)])
def test_mosaics_are_pasted_tile_by_tile(factor, side):
    """In the order of the published code: tile (i, j) of image k is crop (i f + j) n + k."""
    count, small = 3, side // factor
    crops = torch.randn(factor**2 * count, 2, small, small, generator=rng.generator(3))
    made = selection.mosaics(crops, factor, (2, side, side))
    sizes = [small + (i < side % factor) for i in range(factor)]
    starts = [sum(sizes[:i]) for i in range(factor + 1)]
    for k in range(count):
        for i in range(factor):
            for j in range(factor):
                tile = made[k, :, starts[i] : starts[i + 1], starts[j] : starts[j + 1]]
                one = crops[(i * factor + j) * count + k]
                assert tile.shape[1:] == (sizes[i], sizes[j])
                for y in range(sizes[i]):
                    for x in range(sizes[j]):
                        near = one[:, y * small // sizes[i], x * small // sizes[j]]
                        assert torch.equal(tile[:, y, x], near)


def made(monkeypatch, **settings):
    """The distiller on made-up images with a teacher of two random networks, and those."""
    texts = {"net.width": "4", "net.depth": "2", "crops": "3", "candidates": "5", "init": "real"}
    spec = make_spec(
        "rded", resolve("digits"), SHAPE, ipc=2, settings=list((texts | settings).items())
    )
    network = Network(spec.net, SHAPE, 10, 2)
    nets = TrainedNets(network, network.init(rng.generator(4)), {})
    monkeypatch.setattr(selection, "load", lambda *given: nets)
    monkeypatch.setattr("ddcore.pools.bank.load", lambda *given: nets)
    return method("rded").build(Problem(spec, FakeData(), "cpu", lambda task: None)), nets


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_the_easiest_crops_of_the_easiest_images_are_kept(monkeypatch, labels):
    distiller, nets = made(monkeypatch, labels=labels, mosaic="1", area="0.3")
    said = distiller.step(0)
    problem, shown, losses = distiller.problem, [], []
    for c, members in enumerate(problem.data.class_indices):
        generator = problem.generator("crops", c)
        drawn = members[torch.randperm(6, generator=generator)[:5]]
        images = problem.data.batch(drawn)
        rounds = []
        for _ in range(3):
            where = selection.boxes(images, 0.3, generator)
            rounds.append(selection.crop(images, where, 1))
        best = []
        for i in range(5):
            scores = []
            for crops in rounds:
                logits = torch.cat(nets.logits_in_batches(crops[i : i + 1]), 1).double()
                scores.append(np.mean([-float(z.log_softmax(-1)[0, c]) for z in logits]))
            best.append((min(scores), rounds[int(np.argmin(scores))][i]))
        best.sort(key=lambda pair: pair[0])
        shown += [image for _, image in best[:2]]
        losses += [score for score, _ in best[:2]]
    images, targets = distiller.synthetic.final()
    assert torch.equal(images, torch.stack(shown))
    assert math.isclose(said["loss"], np.mean(losses), rel_tol=1e-5)
    if labels == "hard":
        assert targets.tolist() == [c for c in range(10) for _ in range(2)]
    else:
        truth = torch.cat(nets.logits_in_batches(images), 1).double().softmax(2).mean(0)
        torch.testing.assert_close(targets.double(), truth, rtol=1e-5, atol=1e-6)


def test_a_teacher_sees_a_tile_in_the_middle_of_nothing():
    crops = torch.randn(2, 3, 3, 4, generator=rng.generator(5))
    padded = selection.centred(crops, (3, 8, 8))
    assert torch.equal(padded[:, :, 2:5, 2:6], crops)
    assert (padded != 0).sum() == (crops != 0).sum()


def test_what_cannot_be_is_refused(monkeypatch):
    with pytest.raises(SpecError, match=r"candidates = 7 .*at least 8"):
        made(monkeypatch, mosaic="2", candidates="7")
    with pytest.raises(SpecError, match=r"preprocess = 'zca'"):
        made(monkeypatch, **{"data.preprocess": "zca"})
    distiller, _ = made(monkeypatch, mosaic="2", candidates="9")
    with pytest.raises(DataError, match="needs 8 crops"):
        distiller.step(0)
