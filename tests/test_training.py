"""Training N networks at once: equal to one by one, to torch's own loop, and to the protocol."""

import numpy as np
import pytest
import torch

from ddcore.base import rng
from ddcore.data.preprocess import Preprocess
from ddcore.data.tensors import Part
from ddcore.nets import NetSpec
from ddcore.nets.module import to_module
from ddcore.nets.network import Network
from ddcore.sets.distilled import DistilledSet
from ddcore.training import batches as minibatches
from ddcore.training import estimate, strategies
from ddcore.training import train as training
from ddcore.training.losses import cross_entropy, squared_error
from ddcore.training.ordered import train_ordered
from ddcore.training.protocols import PROTOCOLS, PURPOSE, Protocol, protocol
from ddcore.training.train import train

NET = NetSpec(width=4, depth=2)
SHORT = Protocol(lr=0.05, epochs=6, batch=8, milestones=(0.5,))


def toy(count=20, seed=0):
    g = rng.generator(seed)
    return torch.randn(count, 1, 8, 8, generator=g), torch.arange(count) % 10


@pytest.mark.parametrize(
    "recipe",
    [
        SHORT,
        SHORT.replace(batch=0),
        SHORT.replace(optimiser="adam", lr=0.01, momentum=0),
        SHORT.replace(augment="color_crop_cutout_flip_scale_rotate"),
        SHORT.replace(loss="mse"),
        SHORT.replace(cutmix=0.7),
        SHORT.replace(cutmix=1.0, batch=0),
        SHORT.replace(ema=0.9),
        SHORT.replace(augment="batch:flip+color+crop_scale_rotate"),
    ],
    ids=["sgd", "full-batch", "adam", "augment", "mse", "cutmix", "cutmix-full", "ema", "stages"],
)
def test_at_once_equals_one_by_one(recipe):
    images, labels = toy()
    seeds = [3, 1, 4, 1, 5]
    together = train(NET, images, labels, 10, recipe, seeds, chunk=5)
    for i, seed in enumerate(seeds):
        alone = train(NET, images, labels, 10, recipe, [seed])
        # As functions: a bias before a norm has no effect, and Adam turns its rounding into steps.
        torch.testing.assert_close(
            to_module(together.network, together.params, index=i)(images),
            alone.module(images),
            rtol=1e-4,
            atol=1e-5,
        )


def test_chunking_changes_nothing():
    images, labels = toy()
    by_chunk = [train(NET, images, labels, 10, SHORT, range(5), chunk=c) for c in (1, 2, 5)]
    for other in by_chunk[1:]:
        for name, weight in by_chunk[0].params.items():
            torch.testing.assert_close(other.params[name], weight, rtol=1e-4, atol=1e-5)


def test_each_network_may_have_a_set_of_its_own():
    sets = torch.stack([toy(seed=s)[0] for s in range(3)])
    labels = toy()[1]
    together = train(NET, sets, labels, 10, SHORT, [7, 8, 9], chunk=2)
    for i in range(3):
        alone = train(NET, sets[i], labels, 10, SHORT, [7 + i])
        torch.testing.assert_close(
            together.params["0.weight"][i], alone.params["0.weight"][0], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("arch", ["convnet", "resnet18"])
def test_equals_a_plain_torch_loop(arch):
    """Against nn.Module, torch.optim and a hand-written schedule, batch norm included."""
    net = NET if arch == "convnet" else NetSpec(arch="resnet18", width=2)
    images, labels = toy()
    network = Network(net, (1, 8, 8), 10)
    start = network.init([rng.generator(0, "init")])
    module = to_module(network, start, network.init_stats()).train()
    recipe = SHORT.replace(batch=0, epochs=5)
    optimiser = torch.optim.SGD(
        module.parameters(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    for epoch in range(5):
        if epoch == 5 // 2 + 1:
            optimiser.param_groups[0]["lr"] *= 0.1
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(module(images), labels).backward()
        optimiser.step()
    ours = train(net, images, labels, 10, recipe, [0])
    module.eval()
    torch.testing.assert_close(ours.module(images), module(images), rtol=1e-3, atol=1e-4)


def test_training_does_not_touch_the_global_generator():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    train(NET, *toy(), 10, SHORT.replace(augment="crop_scale_rotate"), [0, 1])
    assert torch.equal(before, torch.get_rng_state())


def test_ordered_training_by_hand():
    images, labels = toy(20)
    network = Network(NET, (1, 8, 8), 10)
    start = network.init([rng.generator(0)])
    lrs = torch.tensor([0.1, 0.2, 0.3])
    got = train_ordered(network, start, images, labels, lrs, steps=2)
    module = to_module(network, start).train()
    for k, lr in enumerate((0.1, 0.2, 0.3)):
        part = slice(10 * (k % 2), 10 * (k % 2) + 10)
        loss = torch.nn.functional.cross_entropy(module(images[part]), labels[part])
        gradients = torch.autograd.grad(loss, list(module.parameters()))
        with torch.no_grad():
            for w, g in zip(module.parameters(), gradients):
                w -= lr * g
    torch.testing.assert_close(network.logits(got, images)[0], module(images), rtol=1e-4, atol=1e-5)


def test_losses_sum_over_networks():
    logits = torch.randn(3, 5, 4, generator=rng.generator(0))
    labels = torch.tensor([0, 1, 2, 3, 0])
    one_hot = torch.nn.functional.one_hot(labels, 4).float()
    expected = sum(torch.nn.functional.cross_entropy(row, labels) for row in logits)
    assert torch.isclose(cross_entropy(logits, labels), expected)
    assert torch.isclose(cross_entropy(logits, one_hot), expected)
    assert torch.isclose(
        squared_error(logits, labels), (logits - one_hot + 0.25).square().mean() * 3
    )


def test_cutmix_mixes_labels_by_the_pasted_area():
    from ddcore.training.batches import Batches

    images = torch.arange(12.0).view(12, 1, 1, 1).expand(12, 1, 8, 8)
    labels = torch.arange(12)
    batches = Batches(images, labels, 12, SHORT.replace(batch=0, cutmix=1.0), [0, 1])
    for _ in range(20):
        ((x, y),) = batches.epoch()
        for net in range(2):
            for i in range(12):
                shares = [(x[net, i] == c).float().mean().item() for c in range(12)]
                torch.testing.assert_close(y[net, i], torch.tensor(shares))


def test_averaged_weights_by_hand():
    images, labels = toy()
    weights = [
        train(NET, images, labels, 10, SHORT.replace(batch=0, epochs=e, milestones=()), [0])
        for e in (1, 2)
    ]
    start = Network(NET, (1, 8, 8), 10).init([rng.generator(0, "init")])
    got = train(
        NET, images, labels, 10, SHORT.replace(batch=0, epochs=2, milestones=(), ema=0.9), [0]
    )
    for name, w in start.items():
        once = 0.9 * w + 0.1 * weights[0].params[name]
        torch.testing.assert_close(got.params[name], 0.9 * once + 0.1 * weights[1].params[name])


def test_learned_step_size_is_used():
    from types import SimpleNamespace

    used, learned = DistilledSet.with_learned_lr, SimpleNamespace(lrs=np.array([0.3, 0.5]))
    assert used(learned, protocol("mtt")).lr == pytest.approx(0.4)
    assert used(learned, protocol("dsa")).lr == 0.01
    assert used(SimpleNamespace(lrs=None), protocol("mtt")).lr == 0.01


def test_accuracy_and_loss_count_right():
    network = Network(NET, (1, 8, 8), 10, 2)
    images = (torch.rand(30, 1, 8, 8, generator=rng.generator(0)) * 255).byte().numpy()
    labels = np.arange(30) % 10
    part = Part(images, labels, Preprocess(np.zeros(1, "f4"), np.ones(1, "f4")), "cpu")
    trained = train(NET, *toy(), 10, SHORT, [0, 1])
    module = to_module(network, trained.params, trained.stats, 1)
    truth = module(torch.from_numpy(images) / 255)
    assert trained.accuracy(part)[1] == pytest.approx(
        float((truth.argmax(1).numpy() == labels).mean())
    )
    loss = torch.nn.functional.cross_entropy(truth, torch.from_numpy(labels)).item()
    assert trained.losses(part)[1] == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocols_are_named_after_themselves(name):
    assert protocol(name).name == name


@pytest.mark.parametrize(
    ("name", "epochs", "drops"),
    [
        # for epoch in range(1001): train; after epoch 501 of these divide the step size.
        ("dsa-official", 1001, {502: 0.1}),
        ("mtt-official", 1001, {502: 0.1}),
        # 1000 epochs; MultiStepLR steps after each, with milestones 666 and 833.
        ("idc-official", 1000, {666: 0.2, 833: 0.2}),
    ],
)
def test_official_protocols_divide_the_step_size_when_the_official_codes_do(
    name, epochs, drops, monkeypatch
):
    kept, lrs = [], []
    made = training.make_optimiser
    monkeypatch.setattr(training, "make_optimiser", lambda *a: kept.append(made(*a)) or kept[-1])
    images, labels = toy(1)
    recipe = protocol(name).replace(augment="", cutmix=0.0)
    net = NetSpec(arch="mlp", width=2, depth=1)

    def look(epoch, nets):
        if epoch:
            lrs.append(kept[0].param_groups[0]["lr"])

    train(net, images, labels, 10, recipe, [0], on_epoch=look)
    expected, lr = [], recipe.lr
    for epoch in range(epochs):
        lr *= drops.get(epoch, 1.0)
        expected.append(lr)
    assert lrs == pytest.approx(expected)


def test_official_protocols_draw_one_operation_per_minibatch(monkeypatch):
    """DSA's code one of all; IDC's always a flip (of half the images) and colour, then one more."""
    seen = []
    monkeypatch.setattr(
        minibatches.augment, "apply", lambda x, draw: seen.append(draw.op.view(2, -1)) or x
    )
    images, labels = toy(64)

    def stages(name):
        seen.clear()
        recipe = protocol(name).replace(batch=16)
        for _ in minibatches.Batches(images, labels, 10, recipe, [0, 1]).epoch():
            pass
        return [[sorted(set(ops.tolist())) for ops in draw] for draw in seen]

    code = {name: i for i, name in enumerate(strategies.OPERATIONS)}
    batches = stages("dsa-official")
    assert len(batches) == 4 and all(len(ops) == 1 for draw in batches for ops in draw)
    assert len({ops[0] for draw in batches for ops in draw}) > 1
    assert any(len(ops) > 1 for draw in stages("dsa") for ops in draw)
    found = stages("idc-official")
    assert found[0::3] == [[[code["flip"]]] * 2] * 4
    assert found[1::3] == [[[code["color"]]] * 2] * 4
    last = {code[name] for name in ("crop", "scale", "rotate")}
    assert all(len(ops) == 1 and ops[0] in last for draw in found[2::3] for ops in draw)


def test_deviations_from_official_code_are_said():
    for name in ("dsa", "mtt"):
        assert "one operation per image" in PURPOSE[name] and f"{name}-official" in PURPOSE[name]
    assert "idc-official" in PURPOSE["idc"]
    for name in ("dc", "dc-mnist"):
        assert "one epoch more" in PURPOSE[name]
    assert set(PURPOSE) == set(PROTOCOLS)


def test_a_set_trains_a_network_in_three_lines():
    images, labels = toy()
    made = DistilledSet(
        images=images.numpy(),
        labels=labels.numpy(),
        class_names=tuple("0123456789"),
        preprocess=Preprocess(np.zeros(1, "f4"), np.ones(1, "f4")),
        net=NET,
        protocol=SHORT.replace(epochs=60),
        method="dm",
        run_key="",
        data={},
    )
    trained = made.train(nets=2)
    predicted = trained.predict(images)
    assert predicted.shape == (2, 20)
    assert (predicted == labels).float().mean() > 0.9
    assert trained.module(images).shape == (20, 10)
    assert made.train(NetSpec(arch="mlp", width=8)).predict(images).shape == (1, 20)


@pytest.mark.parametrize("width, count", [(32, 2000), (64, 1000), (128, 500), (1024, 62)])
def test_wide_networks_are_tested_on_fewer_images_at_a_time(width, count):
    net = NetSpec(width=width, depth=3)
    assert estimate.tested_at_once(net.plan((3, 32, 32), 10), (3, 32, 32)) == count


def test_images_tested_a_few_at_a_time(monkeypatch):
    images, labels = toy()
    trained = train(NET, images, labels, 10, SHORT.replace(epochs=2), [0, 1])
    at_once, features = trained.logits_in_batches(images), trained.features(images)
    monkeypatch.setattr(estimate, "TESTED", 7)
    parts = trained.logits_in_batches(images)
    assert len(at_once) == 1 and [p.shape[1] for p in parts] == [7, 7, 6]
    torch.testing.assert_close(torch.cat(parts, 1), at_once[0])
    torch.testing.assert_close(trained.features(images), features)
