"""Choices of a training recipe, each against code that says it plainly: AdamW, cosine, mixup, pieces."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.measure.regimes import with_loss
from ddcore.nets import NetSpec
from ddcore.nets.module import to_module
from ddcore.nets.network import Network
from ddcore.training.batches import Batches
from ddcore.training.estimate import protocol_work
from ddcore.training.labels import smoothed
from ddcore.training.losses import loss_value
from ddcore.training.protocols import PROTOCOLS, Protocol, in_stages
from ddcore.training.stages import first_parts
from ddcore.training.teacher import RefiningTeacher
from ddcore.training.train import train, wave
from ddcore.training.trained import TrainedNets

NET = NetSpec(width=4, depth=2)
SHORT = Protocol(lr=0.05, epochs=6, batch=8)
SHAPE = (1, 8, 8)


def toy(count: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Images without meaning, and classes."""
    return torch.randn(count, *SHAPE, generator=rng.generator(0)), torch.arange(count) % 10


def draws(*size: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers of this size."""
    return torch.randn(*size, generator=rng.generator(seed, "draws"))


@pytest.mark.parametrize("tail", [1.0, 2.0])
def test_adamw_on_a_cosine_is_torchs_own_loop(tail):
    """AdamW with weight decay that matters, and the scheduler of the published codes."""
    images, labels = toy()
    recipe = SHORT.replace(
        optimiser="adamw", lr=0.01, weight_decay=0.5, cosine=tail, batch=0, epochs=7
    )
    network = Network(NET, SHAPE, 10)
    module = to_module(network, network.init([rng.generator(0, "init")])).train()
    optimiser = torch.optim.AdamW(module.parameters(), 0.01, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: 0.5 * (1 + math.cos(math.pi * step / 7 / tail))
    )
    for _ in range(7):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(module(images), labels).backward()
        optimiser.step()
        schedule.step()
    ours = train(NET, images, labels, 10, recipe, [0])
    torch.testing.assert_close(ours.module(images), module.eval()(images), rtol=1e-3, atol=1e-4)
    adam = train(NET, images, labels, 10, recipe.replace(optimiser="adam"), [0])
    assert not torch.allclose(adam.module(images), ours.module(images), atol=0.01)


def test_a_cosine_ends_where_its_tail_says():
    recipe = SHORT.replace(epochs=1000, cosine=1.0)
    assert wave(recipe, 0) == 1 and wave(recipe, 1000) == pytest.approx(0)
    assert wave(recipe.replace(cosine=2.0), 1000) == pytest.approx(0.5)
    assert {wave(recipe.replace(cosine=0.0), e) for e in (0, 500, 999)} == {1.0}


def test_mixup_averages_images_and_labels_by_the_same_share():
    """Images that are one-hot themselves: what is left of each says which it was mixed with, and how much."""
    count, classes = 12, 12
    images = torch.eye(count).reshape(count, 1, 3, 4)
    recipe = SHORT.replace(batch=0, mixup=1.0)
    batches = Batches(images, torch.arange(count), classes, recipe, [0, 1])
    shares = []
    for _ in range(30):
        ((x, y),) = batches.epoch()
        torch.testing.assert_close(x.flatten(2), y)
        torch.testing.assert_close(y.sum(2), torch.ones(2, count))
        for net in y:
            (other,) = {round(v, 5) for v in (1 - net.diagonal()).tolist() if v > 0} or {0.0}
            shares.append(other)
    assert len(set(shares)) == 60 and 0.3 < np.mean(shares) < 0.7
    never = Batches(images, torch.arange(count), classes, SHORT.replace(batch=0), [0, 1])
    ((x, y),) = never.epoch()
    assert torch.equal(x, images) and not y.is_floating_point()
    half = Batches(images, torch.arange(count), classes, recipe.replace(mixup=0.5), [0])
    whole = sum(torch.equal(x[0], images) for _ in range(200) for x, _ in half.epoch())
    assert 70 < whole < 130


def test_pieces_change_places_and_stay_what_they_are():
    images = torch.arange(6 * 64.0).reshape(6, 1, 8, 8)
    recipe = SHORT.replace(batch=0, patches=2)
    ((x, _),) = Batches(images, torch.arange(6), 10, recipe, [0, 1]).epoch()
    places = set()
    for moved in x:
        for image, own in zip(moved, images):
            rows = {}
            for i in range(2):
                for j in range(2):
                    piece = slice(4 * i, 4 * i + 4), slice(4 * j, 4 * j + 4)
                    rows[own[0][piece].flatten()[0].item()] = own[0][piece]
            order = []
            for i in range(2):
                for j in range(2):
                    piece = image[0, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4]
                    first = piece.flatten()[0].item()
                    assert torch.equal(piece, rows[first])
                    order.append(first - own.flatten()[0].item())
            assert len(set(order)) == 4
            places.add(tuple(order))
    assert len(places) > 4, "each image has an order of its own"
    with pytest.raises(SpecError, match=r"patches = 3 .* divides the sides 8 and 8"):
        Batches(images, torch.arange(6), 10, recipe.replace(patches=3), [0])


@pytest.mark.parametrize(
    "changes", [{"mixup": 0.7}, {"patches": 2}, {"classes_between": (0.4, 0.7), "smoothing": 0.3}]
)
def test_at_once_equals_one_by_one(changes):
    images, labels = toy()
    recipe = SHORT.replace(**changes)
    together = train(NET, images, labels, 10, recipe, [3, 1, 4], chunk=3)
    for i, seed in enumerate((3, 1, 4)):
        alone = train(NET, images, labels, 10, recipe, [seed])
        module = to_module(together.network, together.params, index=i)
        torch.testing.assert_close(module(images), alone.module(images), rtol=1e-4, atol=1e-5)


def test_the_cosine_loss_is_its_formula():
    logits, targets = draws(2, 5, 4).double(), draws(5, 4, seed=1).double()
    z, t = logits.numpy(), targets.numpy()
    cos = (z * t).sum(2) / np.linalg.norm(z, axis=2) / np.linalg.norm(t, axis=1)
    assert loss_value("cosine", logits, targets).item() == pytest.approx((1 - cos).mean(1).sum())
    assert loss_value("cosine", logits, 7 * targets).item() == pytest.approx(
        (1 - cos).mean(1).sum()
    )
    classes = torch.tensor([0, 3, 1, 1, 2])
    own = 1 - z[:, np.arange(5), classes] / np.linalg.norm(z, axis=2)
    assert loss_value("cosine", logits, classes).item() == pytest.approx(own.mean(1).sum())


def test_a_refined_label_is_its_formula():
    network = Network(NET, SHAPE, 10, 2)
    params = network.init([rng.generator(i, "teacher") for i in range(2)], "cpu")
    nets = TrainedNets(network, params, network.init_stats("cpu"))
    images, classes = draws(6, *SHAPE), torch.tensor([0, 1, 2, 3, 9, 9])
    with torch.no_grad():
        z = torch.stack([to_module(network, params, index=i).eval()(images) for i in range(2)])
    z = z.mean(0).double().numpy()
    s = np.where(np.eye(10)[classes] == 1, 0.9, 0.1 / 9)
    expected = z / np.linalg.norm(z, axis=1, keepdims=True)
    expected += 0.1 * s / np.linalg.norm(s, axis=1, keepdims=True)
    found = RefiningTeacher(nets).teach(images, classes)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)
    twice = RefiningTeacher(nets).teach(images.expand(3, *images.shape), classes)
    torch.testing.assert_close(twice[2], found)
    shares = torch.nn.functional.one_hot(classes, 10).float()
    torch.testing.assert_close(RefiningTeacher(nets).teach(images, shares), found)


def test_a_phase_of_classes_asks_no_teacher():
    """Nine epochs, of which the middle three learn smoothed classes by cross-entropy."""
    images, labels = toy()
    asked: list[torch.Tensor] = []

    def teach(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        asked.append(y)
        return torch.full((len(y), 10), 0.1)

    recipe = SHORT.replace(
        epochs=9, batch=0, loss="kl", classes_between=(1 / 3, 2 / 3), smoothing=0.2, momentum=0
    )
    looks: list[torch.Tensor] = []
    ours = train(
        NET,
        images,
        labels,
        10,
        recipe,
        [0],
        teach=teach,
        on_epoch=lambda epoch, nets: looks.append(nets.params["0.weight"].detach().clone()),
    )
    assert len(asked) == 6
    network = Network(NET, SHAPE, 10)
    module = to_module(network, network.init([rng.generator(0, "init")])).train()
    optimiser = torch.optim.SGD(module.parameters(), 0.05, weight_decay=5e-4)
    soft, hard = torch.full((20, 10), 0.1), smoothed(labels, 10, 0.2)
    assert hard[0, 0] == pytest.approx(0.82) and hard[0, 1] == pytest.approx(0.02)
    for epoch in range(9):
        optimiser.zero_grad()
        target = hard if 3 <= epoch < 6 else soft
        torch.nn.functional.cross_entropy(module(images), target).backward()
        optimiser.step()
    torch.testing.assert_close(ours.module(images), module.eval()(images), rtol=1e-3, atol=1e-4)
    with pytest.raises(SpecError, match="classes_between"):
        recipe.replace(classes_between=(0.7, 0.2))


def test_named_recipes_keep_their_losses_under_a_teacher():
    gift, hald = PROTOCOLS["gift"], PROTOCOLS["hald"]
    assert with_loss(gift, "soft") == gift and with_loss(hald, "online") == hald
    assert with_loss(PROTOCOLS["quick"], "soft").temperature == 4
    assert with_loss(gift, "soft", "kl").temperature == 4
    assert with_loss(hald, "online", temperature=3.0).temperature == 3


def test_what_nobody_asked_for_is_in_no_key():
    plain = PROTOCOLS["quick"].to_dict()
    assert not {"cosine", "mixup", "patches", "smoothing", "classes_between"} & set(plain)


# --- one part more at a time ---------------------------------------------------------------------------

STAGED = SHORT.replace(stages=2)


def test_stages_are_trainings_one_after_the_other():
    """By hand: on the first half of every class, then from there on all, with an optimiser that is new."""
    images, labels = toy(40)
    first = torch.tensor([i for i in range(40) if i < 20])  # two of the four images of every class
    half = train(NET, images[first], labels[first], 10, SHORT, [3, 5])
    again = [rng.derive(s, "stage", 1) for s in (3, 5)]
    whole = train(NET, images, labels, 10, SHORT, again, start=half)
    ours = train(NET, images, labels, 10, STAGED, [3, 5])
    for name, weights in whole.params.items():
        assert torch.equal(ours.params[name], weights)
    plain = train(NET, images, labels, 10, SHORT, [3, 5])
    assert any(not torch.equal(ours.params[n], w) for n, w in plain.params.items())


def test_stages_report_steps_and_epochs_of_all():
    images, labels = toy(40)
    epochs, steps = [], []
    train(
        NET,
        images,
        labels,
        10,
        STAGED,
        [0],
        on_epoch=lambda epoch, nets: epochs.append(epoch),
        on_step=lambda step, total: steps.append((step, total)),
    )
    assert epochs == list(range(STAGED.all_epochs + 1))
    total = 6 * (3 + 5)  # 20, then 40 images in batches of 8
    assert steps == [(k + 1, total) for k in range(total)]


def test_networks_of_stages_do_not_know_each_other():
    """Two at a time and one of three alone: the same as together, to rounding; each on a set of its own."""
    images = torch.randn(3, 40, *SHAPE, generator=rng.generator(1))
    labels = torch.eye(10)[torch.arange(40) % 10].expand(3, 40, 10) * 0.9 + 0.01
    seeds = [0, 1, 2]
    together = train(NET, images, labels, 10, STAGED, seeds)
    pairs = train(NET, images, labels, 10, STAGED, seeds, chunk=2)
    last = train(NET, images, labels, 10, STAGED, seeds, only=range(2, 3))
    for name, weights in together.params.items():
        torch.testing.assert_close(pairs.params[name], weights, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(last.params[name], weights[2:], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("soft", [False, True])
def test_first_parts_of_classes_wherever_they_stand(soft):
    """Stored class by class, or part by part: the first images of every class."""
    by_class, by_part = torch.arange(3).repeat_interleave(4), torch.arange(3).repeat(4)
    for labels, wanted in ((by_class, [0, 1, 4, 5, 8, 9]), (by_part, [0, 1, 2, 3, 4, 5])):
        given = torch.eye(3)[labels] if soft else labels
        assert first_parts(given, 3, 2, 1).tolist() == wanted
        assert first_parts(given, 3, 2, 2).tolist() == list(range(12))


def test_parts_that_do_not_divide_a_class_are_refused():
    with pytest.raises(
        SpecError, match="stages = 3 is not allowed: expected a divisor of the 4 images"
    ):
        train(NET, *toy(40), 10, STAGED.replace(stages=3), [0])


def test_stages_are_part_of_the_name_and_of_the_work():
    staged = in_stages(PROTOCOLS["quick"], 3)
    assert staged.name == "quick in 3 stages"
    plain = protocol_work(PROTOCOLS["quick"], NET, SHAPE, 10, 60)
    assert protocol_work(staged, NET, SHAPE, 10, 60) == pytest.approx(2 * plain)  # (1 + 2 + 3) / 3
    for name in ("native-2018", "kernel"):
        with pytest.raises(SpecError, match=r"stages = 3 .* none with protocol"):
            in_stages(PROTOCOLS[name], 3)
