"""The settings of Wang et al. 2018 that start from trained networks: adapt, attack, pretrained."""

import json
import shutil
from urllib.error import URLError

import numpy as np
import pytest
import torch

from ddcore.base.errors import DataError, SpecError
from ddcore.base.specs import task_from_document
from ddcore.data import DataSpec, ensure, resolve
from ddcore.data.tensors import DeviceData
from ddcore.distil.contract import method
from ddcore.distil.methods.dd2018.params import source_like
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.measure import estimate
from ddcore.measure.attack import attack_figures
from ddcore.measure.spec import default_evaluation
from ddcore.nets import NetSpec, pretrained
from ddcore.nets.architectures import image_macs
from ddcore.nets.module import to_module
from ddcore.nets.network import Network
from ddcore.pools import bank
from ddcore.pools.estimate import known_form
from ddcore.pools.networks import load
from ddcore.sets import exports
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.use import Use
from ddcore.training.labels import relabelled
from ddcore.training.protocols import Protocol
from ddcore.training.trained import TrainedNets
from tests.test_runner import SHAPE, tiny

NETS = 3


class Here:
    """Just enough of a context to read what has been computed."""

    def __init__(self, store):
        self.store = store

    def need(self, spec):
        return self.store.task(spec)


def rows_of(compute, spec, **changes):
    """Rows of the run's own evaluation by subject."""
    compute(spec)
    task = compute(default_evaluation(spec.key, spec, nets=NETS, **changes))
    return {r["subject"]: r for r in task.result()["rows"]}


# --- specs ----------------------------------------------------------------------------------------


def test_settings_that_a_setting_does_not_use_leave_no_trace():
    plain = tiny("dd2018", setting="unknown")
    assert plain.key == tiny("dd2018", setting="unknown", attacked="3", target="4").key
    assert plain.key == tiny("dd2018", setting="unknown", weights="random", source="mnist").key
    attack = tiny("dd2018", setting="attack")
    assert attack.key != tiny("dd2018", setting="attack", attacked="3").key
    assert {"source", "weights"} <= attack.params.idle and "attacked" not in attack.params.idle


def test_what_each_setting_starts_from():
    assert (
        tiny("dd2018", setting="unknown").start.fresh
        and tiny("dd2018", setting="fixed").start.fresh
    )
    attack = tiny("dd2018", setting="attack")
    assert attack.start.bank.data == attack.data and attack.start.validation == attack.val_nets
    adapt = make_spec("dd2018", resolve("digits"), SHAPE, settings=[("setting", "adapt")])
    assert adapt.start.bank.data.name == "digits" and adapt.start.bank.nets == adapt.params.bank
    random = tiny("dd2018", setting="pretrained", seed=3).start
    assert (random.weights, random.seed, random.known) == ("random", 3, True)


@pytest.mark.parametrize("name", ["mnist", "svhn"])
def test_the_source_takes_the_targets_form(name, monkeypatch, tmp_path):
    from ddcore.data.registry import get

    monkeypatch.setattr(type(get("usps")), "available", lambda self, root: "torchvision")
    monkeypatch.setenv("DD_DATA", str(tmp_path))
    target = DataSpec(name=name, source="torchvision", split_seed=5)
    source = source_like(target, "usps")
    assert (source.resolution, source.split_seed) == ({"mnist": 28, "svhn": 32}[name], 5)
    settings = [("setting", "adapt"), ("source", "usps")]
    run = make_spec("dd2018", target, get(name).shape, settings=settings)
    assert run.params.source_data == source
    assert run.start.bank.colour == (name == "svhn")  # usps is grey
    smaller = run.replace(data=target.replace(resolution=20))
    assert smaller.params.source_data.resolution == 20
    # What is stored names its files and never looks for them again.
    monkeypatch.setattr(type(get("usps")), "available", lambda self, root: None)
    again = task_from_document(json.loads(json.dumps(run.document())))
    assert again == run and again.key == run.key
    with pytest.raises(SpecError, match="python -m ddcore download usps fetches them"):
        make_spec("dd2018", target, get(name).shape, settings=settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"setting": "adapt", "source": "cifar100"},
            "source = 'cifar100' is not allowed: expected one",
        ),
        ({"setting": "adapt", "source": "nowhere"}, "expected one of digits, cifar10"),
        ({"setting": "adapt", "nets": "9"}, "at most the bank's 4"),
        ({"setting": "attack", "attacked": "1"}, "another class than the attacked one"),
        ({"setting": "attack", "attacked": "10"}, "a class from 0 to 9"),
        ({"setting": "attack", "labels": "learned"}, "an attack is in the images alone"),
        ({"setting": "adapt", "protocol": "quick"}, "native-2018: others start from fresh weights"),
        ({"setting": "pretrained", "weights": "imagenet"}, "224 and colour"),
        ({"setting": "pretrained", "net.arch": "mlp"}, "alexnet224 with setting"),
        ({"setting": "pretrained", "nets": "2"}, "there is one network"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(settings, words):
    with pytest.raises(SpecError) as caught:
        tiny("dd2018", **{**settings})
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_pictures_of_ones_own_need_a_resolution_to_adapt_to():
    own = DataSpec(name="folder", source="folder", path="/pictures", fingerprint="0" * 64)
    with pytest.raises(SpecError, match=r"data\.resolution = None"):
        make_spec("dd2018", own, (3, 32, 32), settings=[("setting", "adapt"), ("source", "digits")])


def test_imagenet_weights_need_its_form():
    data = DataSpec(name="cifar10", source="torchvision", resolution=224)
    run = make_spec("dd2018", data, (3, 224, 224), settings=[("setting", "pretrained")])
    assert (run.params.weights, run.net.width, run.params.passes) == ("imagenet", 64, 3)
    with pytest.raises(SpecError, match="64, as ImageNet's"):
        run.replace(net=NetSpec(arch="alexnet224", width=8))


# --- adapt ----------------------------------------------------------------------------------------


def test_adapting_is_judged_on_held_out_networks_before_and_after(compute, store):
    spec = tiny("dd2018", setting="adapt", iterations=20, nets=4)
    rows = rows_of(compute, spec)
    assert set(rows) == {"distilled", "before", "other_inits", "random", "class_mean"}
    assert all(r["n"] == NETS == len(r["accuracies"]) for r in rows.values())
    assert rows["random"]["step_size"] is not None
    # By hand: the held-out networks as they are, and after the set's steps.
    data = DeviceData(ensure(Here(store), spec.data))
    held_out = load(store.task(spec.start.bank.replace(part="held_out", nets=NETS)))
    assert rows["before"]["accuracies"] == pytest.approx(held_out.accuracy(data.test))
    made = DistilledSet.from_task(store.task(spec))
    after = made.train(weights=held_out.params).accuracy(data.test)
    assert rows["distilled"]["accuracies"] == pytest.approx(after, abs=1e-6)
    with pytest.raises(DataError, match="made for networks trained on digits"):
        made.train()
    fresh = compute(default_evaluation(spec.key, spec, nets=2, protocol=Protocol(epochs=2)))
    assert {r["subject"] for r in fresh.result()["rows"]} == {"distilled", "random", "class_mean"}


def test_an_estimate_counts_the_networks_that_choose_step_sizes(compute, store, monkeypatch):
    """Baselines try eight step sizes; the images their networks are tested on are most of the work."""
    seen = []
    test = TrainedNets.logits_in_batches

    def counted(nets, part):
        seen.append(nets.network.num_nets * len(part))
        return test(nets, part)

    spec = tiny("dd2018", setting="unknown")
    compute(spec)
    task = default_evaluation(spec.key, spec, nets=NETS)
    monkeypatch.setattr(estimate, "speed", lambda *_: (1.0, ""))  # a second for each multiply-add
    shape, classes = known_form(spec.data, store)
    said = estimate.evaluation(task, spec, store, shape, classes).seconds
    with monkeypatch.context() as patched:
        patched.setattr(TrainedNets, "logits_in_batches", counted)
        compute(task)
    made = sum(seen) * image_macs(spec.net, shape, classes)
    assert made < said < 1.3 * made  # training is not counted in what is made


def test_held_out_networks_neither_make_the_set_nor_choose_step_sizes(compute, monkeypatch):
    spec = tiny("dd2018", setting="attack")
    needed = []
    real = bank.start_weights

    def watched(start, network, part, need, device):
        needed.append((part, network.num_nets))
        return real(start, network, part, need, device)

    monkeypatch.setattr(bank, "start_weights", watched)
    compute(spec)
    assert {part for part, _ in needed} == {"training", "validation"}
    needed.clear()
    rows_of(compute, spec)
    # Each baseline chooses on the validation part, and every row is measured on the held-out part.
    assert needed.count(("validation", spec.val_nets)) == 2
    assert needed.count(("held_out", NETS)) == 4


# --- attack ---------------------------------------------------------------------------------------


def test_attack_figures_against_a_count_by_hand():
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
    predicted = torch.tensor([[1, 1, 1, 0, 1, 1, 2, 0], [0, 0, 0, 0, 1, 2, 2, 2]])
    found = attack_figures(predicted, labels, (0, 1), 3)
    assert found["flipped"] == {"mean": 0.375, "std": pytest.approx(0.75 / 2**0.5), "n": 2}
    assert found["accuracy"]["mean"] == pytest.approx((4 / 8 + 7 / 8) / 2)
    assert found["modified"]["mean"] == pytest.approx((6 / 8 + 3 / 8) / 2)
    assert found["others"]["mean"] == pytest.approx(3 / 4)
    assert found["per_class"] == pytest.approx([5 / 8, 3 / 4, 3 / 4])
    assert (found["attacked"], found["target"], found["images"]) == (0, 1, 4)


def test_real_labels_are_changed_and_the_sets_own_are_not(compute, store):
    spec = tiny("dd2018", setting="attack", attacked="2", target="5")
    made = DistilledSet.from_task(compute(spec))
    assert made.labels.tolist() == list(range(10)) and made.relabel == (2, 5)
    data = DeviceData(ensure(Here(store), spec.data))
    distiller = method("dd2018").build(Problem(spec, data, "cpu", compute))
    weights = distiller.starts(0)
    distiller.names = list(weights)
    loss = sum(part(tuple(weights.values())) for part in distiller._outer_losses(0))
    images, labels = distiller._real(0)
    assert (labels == 2).any()
    changed = torch.tensor([5 if c == 2 else c for c in labels.tolist()])
    logits = distiller.network.logits(weights, images)
    expected = sum(torch.nn.functional.cross_entropy(lg, changed) for lg in logits)
    torch.testing.assert_close(loss, expected)
    assert relabelled(labels, (2, 5)).tolist() == changed.tolist()
    assert relabelled(labels, None) is labels


def test_an_attack_is_told_in_full(compute, store, monkeypatch):
    trained_on = []
    real = Use.train

    def watched(self, images, labels, *rest, **more):
        trained_on.append(labels.tolist())
        return real(self, images, labels, *rest, **more)

    spec = tiny("dd2018", setting="attack", attacked="2", target="5")
    compute(spec)
    monkeypatch.setattr(Use, "train", watched)
    rows = rows_of(compute, spec)
    assert set(rows) == {"distilled", "before", "random", "class_mean"}
    ordinary, changed = list(range(10)), [0, 1, 5, 3, 4, 5, 6, 7, 8, 9]
    assert trained_on.count(ordinary) == 1 and trained_on.count(changed) == len(trained_on) - 1
    data = DeviceData(ensure(Here(store), spec.data))
    held_out = load(store.task(spec.start.bank.replace(part="held_out", nets=NETS)))
    twos = data.test.labels == 2
    before = rows["before"]["attack"]
    wrong = (held_out.predict(data.test)[:, twos] == 5).float().mean().item()
    assert before["flipped"]["mean"] == pytest.approx(wrong)
    assert before["flipped"]["n"] == NETS and before["images"] == int(twos.sum())
    assert before["accuracy"]["mean"] == pytest.approx(rows["before"]["mean"])


def test_the_best_attack_is_chosen_by_the_changed_labels(compute, store):
    spec = tiny("dd2018", setting="attack", iterations=3)
    task = compute(spec)
    data = DeviceData(ensure(Here(store), spec.data))
    judges = load(store.task(spec.start.bank.replace(part="validation", nets=2)))
    after = DistilledSet.from_task(task).train(weights=judges.params).predict(data.val)
    wanted = relabelled(data.val.labels, (0, 1))
    score = (after == wanted).float().mean().item()
    assert task.result()["validation"]["mean"] == pytest.approx(score)


# --- pretrained -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published():
    """torchvision's AlexNet with random weights."""
    from torchvision.models import alexnet

    torch.manual_seed(0)
    return alexnet(weights=None).eval()


@pytest.fixture(scope="module")
def network():
    return Network(NetSpec(arch="alexnet224"), (3, 224, 224), 1000)


def test_the_plan_is_torchvisions_alexnet(published, network):
    names = list(network.init(torch.Generator()))
    params = dict(zip(names, (w[None] for w in published.state_dict().values()), strict=True))
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = published(images)
        torch.testing.assert_close(network.logits(params, images)[0], expected)
        torch.testing.assert_close(to_module(network, params)(images), expected)


def test_imagenet_weights_are_put_in_place(published, monkeypatch):
    monkeypatch.setattr("torchvision.models.alexnet", lambda weights, progress: published)
    ten = Network(NetSpec(arch="alexnet224"), (3, 224, 224), 10)
    params = pretrained.alexnet_weights("imagenet", ten)
    *body, weight, bias = params.values()
    for ours, theirs in zip(body, list(published.state_dict().values())[:-2], strict=True):
        assert torch.equal(ours[0], theirs)
    assert weight.shape == (1, 10, 4096) and not weight.any() and (bias == 1).all()


def test_weights_that_cannot_be_fetched_are_one_sentence(monkeypatch):
    def offline(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(DataError) as caught:
        pretrained.imagenet_state()
    assert "could not be fetched" in str(caught.value) and "no route to host" in str(caught.value)
    assert "checkpoints" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("side", [8, 28, 32, 63, 64, 100])
def test_alexnet_fits_every_size(side):
    net = Network(NetSpec(arch="alexnet224", width=2), (1, side, side), 3)
    logits = net.logits(net.init(torch.Generator().manual_seed(0)), torch.randn(2, 1, side, side))
    assert logits.shape == (1, 2, 3) and logits.isfinite().all()


def test_a_pretrained_network_is_known_and_starts_undecided(compute, store):
    spec = tiny("dd2018", setting="pretrained", iterations=30)
    rows = rows_of(compute, spec)
    losses = [e["loss"] for e in store.task(spec).events() if "loss" in e]
    assert losses[0] == pytest.approx(np.log(10), abs=0.01) and min(losses) < losses[0] - 1e-4
    assert set(rows) == {"distilled", "before", "other_inits", "random", "class_mean"}
    assert (rows["before"]["n"], rows["distilled"]["n"], rows["random"]["n"]) == (1, 1, NETS)
    data = DeviceData(ensure(Here(store), spec.data))
    # All outputs are equal at first, so that the first class is named.
    assert rows["before"]["mean"] == pytest.approx((data.test.labels == 0).float().mean().item())
    made = DistilledSet.from_task(store.task(spec))
    assert made.init_weights == {}
    assert made.train().accuracy(data.test) == pytest.approx(rows["distilled"]["accuracies"])


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["npz", "safetensors", "hf"])
def test_a_set_for_trained_networks_says_so_elsewhere(compute, tmp_path, format):
    made = DistilledSet.from_task(compute(tiny("dd2018", setting="attack", iterations=2)))
    out = tmp_path / "set"
    exports.export(made, format, out)
    back = exports.load(out)
    assert back.start == made.start and back.relabel == (0, 1)
    assert back.start["bank"]["data"]["name"] == "digits"
    if format == "hf":
        card = (out / "README.md").read_text()
        assert "made for networks trained on digits" in card and "takes 0 for 1" in card
        shutil.rmtree(out)


def test_the_users_folders_stay_out_of_exports(compute, tmp_path):
    import dataclasses

    made = DistilledSet.from_task(compute(tiny("dd2018", setting="attack", iterations=2)))
    data = made.start["bank"]["data"] | {"path": "/home/someone/pictures"}
    own = dataclasses.replace(
        made, start={**made.start, "bank": {**made.start["bank"], "data": data}}
    )
    exports.export(own, "safetensors", tmp_path / "set")
    assert b"someone" not in (tmp_path / "set").read_bytes()
    assert exports.load(tmp_path / "set").start["bank"]["data"]["path"] == "pictures"
    assert np.array_equal(exports.load(tmp_path / "set").images, made.images)
