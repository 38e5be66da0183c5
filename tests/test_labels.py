"""Labels as a choice of evaluation: the loss by formula, a teacher by its networks, ways by each other."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.cli.program import main
from ddcore.data import resolve
from ddcore.distil.settings import make_spec
from ddcore.measure.labelled import labelled
from ddcore.measure.regimes import LabelRegime, regime, teacher_pool, with_loss
from ddcore.measure.spec import LABELLED, AccuracyTask, EvaluateTask, default_evaluation
from ddcore.nets import NetSpec
from ddcore.nets.module import to_module
from ddcore.nets.network import Network
from ddcore.pools.networks import load
from ddcore.training.losses import Divergence, cross_entropy, loss_of, loss_value
from ddcore.training.protocols import PROTOCOLS, Protocol
from ddcore.training.teacher import Teacher
from ddcore.training.train import train
from ddcore.training.trained import TrainedNets

DATA = resolve("digits")
NET = NetSpec(width=4, depth=2)
SHAPE = (1, 8, 8)


def draws(*size: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers of this size."""
    return torch.randn(*size, generator=rng.generator(seed, "draws"))


def teacher(temperature: float = 1.0, nets: int = 3) -> Teacher:
    """Untrained networks with batch norm, whose statistics are not those of any batch."""
    network = Network(NET.replace(norm="batch"), SHAPE, 10, nets)
    params = network.init([rng.generator(i, "teacher") for i in range(nets)], "cpu")
    stats = {k: w + 0.3 for k, w in network.init_stats("cpu").items()}
    return Teacher(TrainedNets(network, params, stats), temperature)


# --- the loss ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_divergence_is_its_formula(temperature):
    logits, targets = draws(2, 5, 4), draws(2, 5, 4, seed=1).softmax(2)
    z, t = logits.double().numpy() / temperature, targets.double().numpy()
    q = np.exp(z) / np.exp(z).sum(2, keepdims=True)
    expected = temperature**2 * (t * (np.log(t) - np.log(q))).sum() / 5
    assert Divergence(temperature)(logits, targets).item() == pytest.approx(expected, rel=1e-5)


def test_at_temperature_one_it_is_cross_entropy_less_what_the_labels_do_not_know():
    logits, targets = draws(2, 5, 4), draws(5, 4, seed=1).softmax(1)  # shared by both networks
    entropy = -2 * (targets * targets.log()).sum(1).mean()
    gap = cross_entropy(logits, targets) - loss_value(loss_of("kl", 1.0), logits, targets)
    assert gap.item() == pytest.approx(entropy.item(), rel=1e-5)
    classes = torch.tensor([0, 3, 1, 1, 2])  # which know everything
    torch.testing.assert_close(Divergence(1.0)(logits, classes), cross_entropy(logits, classes))


def test_the_temperature_keeps_the_size_of_gradients():
    """For outputs that are small beside T, the gradient is the same whatever T is."""
    gradients = []
    for temperature in (50.0, 500.0):
        logits = draws(1, 6, 4).requires_grad_()
        targets = (draws(1, 6, 4, seed=1) / temperature).softmax(2)
        Divergence(temperature)(logits, targets).backward()
        gradients.append(logits.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0.05, atol=2e-3)


# --- the teacher ------------------------------------------------------------------------------------


def test_a_teachers_labels_are_the_mean_of_what_its_networks_say():
    asked, images = teacher(temperature=3.0), draws(2, 7, *SHAPE)
    found = asked.labels(images)
    assert found.shape == (2, 7, 10)
    said = []
    for i in range(3):
        alone = to_module(*_one(asked.nets, i)).eval()
        with torch.no_grad():
            said.append((alone(images.flatten(0, 1)) / 3).softmax(1))
    torch.testing.assert_close(found.flatten(0, 1), torch.stack(said).mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1], asked.labels(images[1]))


def _one(nets: TrainedNets, i: int) -> tuple:
    part = nets.part(slice(i, i + 1))
    return part.network, part.params, part.stats


def test_to_be_asked_leaves_a_teacher_as_it_is():
    asked = teacher()
    before = {k: w.clone() for k, w in {**asked.nets.params, **asked.nets.stats}.items()}
    assert not asked.labels(draws(4, *SHAPE).requires_grad_()).requires_grad
    for name, weight in {**asked.nets.params, **asked.nets.stats}.items():
        assert torch.equal(weight, before[name])


def test_asked_on_every_batch_without_augmentation_it_gives_its_fixed_labels():
    asked, images = teacher(2.0), draws(20, *SHAPE)
    recipe = PROTOCOLS["quick"].replace(epochs=4, batch=8, loss="kl", temperature=2.0)
    classes = torch.arange(10).repeat_interleave(2)
    fixed = train(NET, images, asked.labels(images), 10, recipe, [0, 1])
    online = train(NET, images, classes, 10, recipe, [0, 1], teach=asked.teach)
    hard = train(NET, images, classes, 10, recipe, [0, 1])
    for name, weight in fixed.params.items():
        torch.testing.assert_close(online.params[name], weight, rtol=1e-4, atol=1e-5)
    assert any(not torch.allclose(hard.params[k], w, atol=1e-3) for k, w in fixed.params.items())


@pytest.mark.parametrize("batch", [0, 8])
def test_a_teacher_sees_what_the_networks_see(batch):
    """One step of plain gradient descent on the batch that the teacher was shown, by autograd."""
    seen: list[torch.Tensor] = []
    asked, images = teacher(), draws(8, *SHAPE)

    def teach(x, y):
        seen.append(x)
        return asked.teach(x, y)

    strategy = "color_crop_cutout_scale_rotate"
    recipe = Protocol(
        lr=0.1, momentum=0, weight_decay=0, epochs=1, batch=batch, augment=strategy, cutmix=1.0
    )
    nets = train(NET, images, torch.arange(8), 10, recipe, [5, 6], teach=teach)
    (x,) = seen
    assert x.shape == (2, 8, *SHAPE) and not torch.equal(x[0], x[1])
    assert (x - images).flatten(2).norm(dim=2).min() > 0  # no image is as it was stored
    network = Network(NET, SHAPE, 10, 2)
    start = network.init([rng.generator(s, "init") for s in (5, 6)], "cpu")
    by = {k: w.requires_grad_() for k, w in start.items()}
    loss = cross_entropy(network.logits(by, x), asked.labels(x))
    for (name, weight), g in zip(by.items(), torch.autograd.grad(loss, list(by.values()))):
        torch.testing.assert_close(nets.params[name], weight - 0.1 * g, rtol=1e-4, atol=1e-5)


def test_networks_taught_at_once_are_those_taught_alone():
    asked, images = teacher(), draws(20, *SHAPE)
    classes = torch.arange(10).repeat_interleave(2)
    recipe = PROTOCOLS["idc-digits"].replace(epochs=3, batch=8, cutmix=0.5, loss="mse")
    together = train(NET, images, classes, 10, recipe, [0, 1, 2], chunk=2, teach=asked.teach)
    for i in range(3):
        alone = train(NET, images, classes, 10, recipe, [i], teach=asked.teach)
        for name, weight in alone.params.items():
            torch.testing.assert_close(together.params[name][i], weight[0], rtol=1e-3, atol=1e-4)


# --- the choice -------------------------------------------------------------------------------------


def test_without_a_choice_keys_are_as_they_were():
    run = make_spec("dm", DATA, SHAPE)
    wanted = default_evaluation(run.key, run)
    assert "labels" not in wanted.to_dict() and "temperature" not in wanted.protocol.to_dict()
    labels = regime("soft", DATA, NET)
    chosen = wanted.replace(labels=labels, protocol=with_loss(wanted.protocol, "soft"))
    assert chosen.key != wanted.key
    assert EvaluateTask.from_dict(json.loads(json.dumps(chosen.to_dict()))) == chosen


@pytest.mark.parametrize("kind", ["hard", "soft", "online"])
def test_own_labels_give_way_to_those_chosen(compute, store, kind):
    """Of labels (M, K) the class is kept, or a teacher's are made for the images as they are."""
    choice = regime(kind, DATA, NET, epochs=1)
    if choice.teacher:
        compute(choice.teacher)
    images, own = draws(2, 4, *SHAPE), draws(2, 4, 10, seed=1).softmax(2)
    recipe = with_loss(PROTOCOLS["quick"], kind)
    found = labelled(choice, recipe, images, own, store.task, "cpu")
    if kind == "soft":
        asked = Teacher(load(store.task(choice.teacher)), 4.0)
        torch.testing.assert_close(found.labels, asked.labels(images))
    else:
        assert torch.equal(found.labels, own.argmax(2))
    taught = found.teach(images, found.labels)
    assert taught.is_floating_point() == (kind != "hard")


def test_hard_labels_of_a_set_that_has_them_change_nothing(compute):
    """A control: the same networks on the same images and labels."""
    run = _dm()
    compute(run)
    recipe = PROTOCOLS["quick"].replace(epochs=5)
    plain = AccuracyTask(subject=run.key, data=DATA, net=NET, protocol=recipe, nets=2)
    figures = [
        compute(t).result() for t in (plain, plain.replace(labels=regime("hard", DATA, NET)))
    ]
    assert figures[0]["losses"] == figures[1]["losses"]


@pytest.mark.parametrize(
    "refused, words",
    [
        ({"protocol": PROTOCOLS["native-2018"]}, "labels = 'soft' is not allowed"),
        ({"protocol": PROTOCOLS["kernel"]}, "labels = 'soft' is not allowed"),
        ({"baselines": ("random", "class_mean", LABELLED)}, "where labels are chosen"),
    ],
)
def test_what_does_not_go_with_chosen_labels(refused, words):
    run = _dm()
    with pytest.raises(SpecError, match=words):
        default_evaluation(run.key, run, labels=regime("soft", DATA, NET), **refused)


def test_mistakes_of_a_choice_are_one_sentence():
    with pytest.raises(SpecError, match="one of hard, soft, online"):
        regime("softer", DATA, NET)
    with pytest.raises(SpecError, match="expected networks that are asked"):
        LabelRegime(kind="online")
    with pytest.raises(SpecError, match="expected none with hard labels"):
        LabelRegime(kind="hard", teacher=teacher_pool(DATA, NET))
    with pytest.raises(SpecError, match="temperature = 4"):
        with_loss(PROTOCOLS["quick"], "hard", "", 4.0)


def test_the_protocols_name_says_what_is_changed():
    quick = PROTOCOLS["quick"]
    assert with_loss(quick, "hard") == quick
    assert with_loss(quick, "soft").name == "quick, kl at 4"
    assert with_loss(quick, "soft", "ce") == quick  # cross-entropy takes labels of any kind
    assert with_loss(quick, "online", "mse", 2.0).name == "quick, mse at 2"


def _dm():
    small = {"iterations": "1", "val_nets": "1", "validations": "1", "net.width": "4"}
    return make_spec("dm", DATA, SHAPE, settings=list(small.items()))


def last_json(capsys) -> dict:
    """What the last command printed."""
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


@pytest.mark.slow
def test_the_command_says_labels_in_the_words_it_takes(store, compute, capsys, monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "quick", PROTOCOLS["quick"].replace(epochs=20))
    run = _dm()
    compute(run)
    found = {}
    for kind in ("hard", "soft", "online"):
        more = [] if kind == "hard" else ["--teacher-epochs", "2"]
        arguments = ["evaluate", run.key, "--protocol", "quick", "--nets", "2", "--labels", kind]
        assert main([*arguments, *more, "--json"]) == 0
        found[kind] = last_json(capsys)
        assert found[kind]["labels"] == kind
    assert found["hard"]["loss"] == "ce" and "teacher" not in found["hard"]
    for kind in ("soft", "online"):
        assert (found[kind]["loss"], found[kind]["temperature"]) == ("kl", 4.0)
        assert found[kind]["teacher"]["epochs"] == 2
        assert 0.1 < found[kind]["teacher"]["test"]["mean"] <= 1
    # Nothing is drawn in this protocol, so that to ask on every batch is to ask once.
    assert found["soft"]["test_accuracy"] == found["online"]["test_accuracy"]
    assert found["soft"]["baselines"]["random"] != found["hard"]["baselines"]["random"]
    assert main(["evaluate", run.key, "--teacher", "mlp"]) != 0
    assert "no teacher without --labels soft or online" in capsys.readouterr().err
