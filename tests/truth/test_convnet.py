"""Networks trained by plain torch on exported sets, against stored evaluations and step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddcore.measure.spec import EvaluateTask
from ddcore.nets.architectures import NetSpec
from ddcore.training import train
from ddcore.training.protocols import PROTOCOLS
from tests.truth import convnet, files, streams

METHODS = (
    "dc",
    "dm",
    "mtt",
    "bptt",
    "rat-bptt",
    "idc",
)  # hard labels, learned ones, decoded images
RECIPES = {"quick": convnet.QUICK, "t300": convnet.T300}
NETS = 10


def runs():
    """Shipped digits runs under protocol quick, one image per class."""
    wanted = {"data__name": "digits", "ipc": 1, "protocol__name": "quick", "net__arch": "convnet"}
    return [f for m in METHODS for f in files.shipped("distill", method=m, **wanted)]


def few_of(folders, fast):
    """Parameters of which the first `fast` belong to every run of the tests."""
    return [
        pytest.param(f, id=name(f), marks=[pytest.mark.slow] if i >= fast else [])
        for i, f in enumerate(folders)
    ]


def name(folder):
    asked = files.spec(folder)
    return f"{asked['method']}-{asked['ipc']}"


def stored(folder):
    """The row of a run's own set in its stored evaluation under protocol quick."""
    (found, *_) = files.shipped("evaluate", run_key=folder.name, protocol__name="quick")
    (row,) = [r for r in files.result(found)["rows"] if r["subject"] == "distilled"]
    return files.spec(found), row


def tensors(arrays):
    """Images, and labels as classes or distributions."""
    return torch.from_numpy(arrays["images"].copy()), torch.from_numpy(arrays["labels"].copy())


def test_the_protocols_are_what_the_truth_trains_by():
    for key, mine in RECIPES.items():
        p = PROTOCOLS[key]
        assert (p.epochs, p.lr, p.momentum, p.weight_decay) == (
            mine.epochs,
            mine.lr,
            mine.momentum,
            mine.weight_decay,
        )
        assert (p.optimiser, p.batch, p.augment, p.loss) == ("sgd", 0, "", "ce")
        assert p.milestones == (() if mine.drop is None else (mine.drop / mine.epochs,))


@pytest.mark.parametrize("folder", few_of(runs(), 1))
def test_fresh_networks_are_as_good_as_the_stored_evaluation_says(folder, export, real):
    """Weights from torch's own initialisation: means differ by at most four standard errors.

    The error is that of the difference of two means of ten networks, with their own spreads; one test
    image (0.2 %) comes on top.
    """
    _, row = stored(folder)
    width, depth = (files.spec(folder)["net"][k] for k in ("width", "depth"))
    images, labels = tensors(export(folder)[0])
    tests = torch.from_numpy(real.test.images).float()
    found = []
    for seed in range(NETS):
        torch.manual_seed(seed)
        net = convnet.train(convnet.ConvNet(width, depth), images, labels, convnet.QUICK)
        found.append((convnet.answers(net, tests) == real.test.labels).mean())
    variance = np.var(found, ddof=1) / NETS + np.var(row["accuracies"], ddof=1) / row["n"]
    assert abs(np.mean(found) - row["mean"]) <= 4 * np.sqrt(variance) + 1 / len(tests)


@pytest.mark.parametrize("folder", few_of(runs(), 1))
def test_every_stored_accuracy_from_the_stated_streams(folder, export, real):
    """The same initial weights: each network's accuracy within two test images of 500."""
    asked, row = stored(folder)
    width, depth = (files.spec(folder)["net"][k] for k in ("width", "depth"))
    images, labels = tensors(export(folder)[0])
    tests = torch.from_numpy(real.test.images).float()
    for i, accuracy in enumerate(row["accuracies"][:3]):
        stream = streams.of_torch(streams.derived(asked["seed"], "evaluation", i), "init")
        net = convnet.drawn(convnet.ConvNet(width, depth), stream)
        convnet.train(net, images, labels, convnet.QUICK)
        right = (convnet.answers(net, tests) == real.test.labels).mean()
        assert right == pytest.approx(accuracy, abs=2 / len(tests) + 1e-6)


@pytest.mark.parametrize("protocol", ["quick", "t300"])
def test_steps_are_those_of_plain_torch(protocol, export):
    """From the same initial weights, all weights after 1, 10, 20 and 120 steps.

    Early on we are as far from plain torch in double precision as plain torch in single precision is. Later
    rounding, which differs between processors, decides on which side of its kink a ReLU lies: 120 steps are
    told from those with the step size falling one step later or earlier, which end 4e-4 of the way off.
    """
    folder = runs()[0]
    images, labels = tensors(export(folder)[0])
    spec = PROTOCOLS[protocol].replace(epochs=RECIPES[protocol].epochs)
    kept = {}

    def keep(epoch, nets):
        if epoch in (0, 1, 10, 20, 120):
            kept[epoch] = {k: w[1].detach().clone() for k, w in nets.params.items()}

    net, seeds = NetSpec(width=16, depth=2), [3, 4]
    train.train(net, images, labels, 10, spec, seeds, on_epoch=keep, chunk=2)
    start = convnet.flat(convnet.exported(convnet.ConvNet(16, 2), kept[0], prefix=""))
    for steps in (1, 10, 20, 120):
        single, double = (
            convnet.exported(convnet.ConvNet(16, 2), kept[0], prefix="").to(dtype)
            for dtype in (torch.float32, torch.float64)
        )
        convnet.train(single, images, labels, RECIPES[protocol], steps)
        convnet.train(double, images.double(), labels, RECIPES[protocol], steps)
        theirs = convnet.flat(convnet.exported(convnet.ConvNet(16, 2), kept[steps], prefix=""))
        exact = convnet.flat(double)
        went, rounding = (exact - start).norm(), (convnet.flat(single) - exact).norm()
        assert (theirs - exact).norm() <= (2 * rounding if steps <= 20 else 3e-4 * went)


def test_initial_weights_are_the_stated_draws():
    net = NetSpec(width=16, depth=2)
    kept = []
    one = PROTOCOLS["t300"].replace(epochs=1)
    images, labels = torch.randn(10, 1, 8, 8), torch.arange(10)
    train.train(
        net,
        images,
        labels,
        10,
        one,
        [11],
        on_epoch=lambda e, n: kept.append({k: w.detach().clone() for k, w in n.params.items()}),
    )
    theirs = convnet.exported(convnet.ConvNet(16, 2), kept[0], prefix="")
    mine = convnet.drawn(convnet.ConvNet(16, 2), streams.of_torch(11, "init"))
    assert torch.equal(convnet.flat(mine), convnet.flat(theirs))


def test_evaluation_under_t300(here, export, real):
    """An evaluation made now under protocol t300, network by network."""
    folder = runs()[0]
    run = files.spec(folder)
    net = NetSpec(width=run["net"]["width"], depth=run["net"]["depth"])
    asked = EvaluateTask(run_key=folder.name, protocol=PROTOCOLS["t300"], nets=3, archs=(net,))
    (row,) = [r for r in here.need(asked).result()["rows"] if r["subject"] == "distilled"]
    images, labels = tensors(export(folder)[0])
    tests = torch.from_numpy(real.test.images).float()
    for i, accuracy in enumerate(row["accuracies"]):
        stream = streams.of_torch(streams.derived(0, "evaluation", i), "init")
        mine = convnet.drawn(convnet.ConvNet(net.width, net.depth), stream)
        convnet.train(mine, images, labels, convnet.T300)
        right = (convnet.answers(mine, tests) == real.test.labels).mean()
        assert right == pytest.approx(accuracy, abs=2 / len(tests) + 1e-6)


FIXED = files.shipped("distill", method="dd2018", params__setting="fixed", data__name="digits")


@pytest.mark.parametrize("folder", FIXED, ids=name)
def test_fixed_initialisation_from_exported_weights_and_step_sizes(folder, export, real):
    """Wang et al. 2018: accuracy to the image, mean test loss to rounding."""
    arrays, facts = export(folder)
    assert facts["protocol"]["ordered"] and facts["momentum"] == 0
    net = convnet.ConvNet(facts["net"]["width"], facts["net"]["depth"])
    convnet.exported(net, arrays)
    images, labels = tensors(arrays)
    tests = torch.from_numpy(real.test.images).float()
    wanted = torch.from_numpy(real.test.labels)
    before = (convnet.answers(net, tests) == real.test.labels).mean()
    convnet.descend(net, images, labels, arrays["lrs"].tolist(), facts["steps"])
    after = (convnet.answers(net, tests) == real.test.labels).mean()
    (found, *_) = files.shipped("evaluate", run_key=folder.name, protocol__name="native-2018")
    (row,) = [r for r in files.result(found)["rows"] if r["subject"] == "distilled"]
    assert before < 0.3
    assert after == pytest.approx(row["mean"], abs=1e-6)
    assert convnet.losses(net, tests, wanted).mean() == pytest.approx(row["losses"][0], rel=1e-4)


def test_there_are_sets_with_a_fixed_initialisation():
    assert {name(f) for f in FIXED} >= {"dd2018-1", "dd2018-10"}


@pytest.mark.parametrize("folder", FIXED, ids=name)
def test_other_initialisations_of_a_fixed_set(folder, export, real):
    """The row beside it, from fresh Xavier weights of the stated streams."""
    arrays, facts = export(folder)
    images, labels = tensors(arrays)
    tests = torch.from_numpy(real.test.images).float()
    (found, *_) = files.shipped("evaluate", run_key=folder.name, protocol__name="native-2018")
    (row,) = [r for r in files.result(found)["rows"] if r["subject"] == "other_inits"]
    for i, accuracy in enumerate(row["accuracies"]):
        stream = streams.of_torch(streams.derived(0, "evaluation", i), "init")
        net = convnet.ConvNet(facts["net"]["width"], facts["net"]["depth"])
        convnet.drawn(net, stream, scheme="xavier")
        convnet.descend(net, images, labels, arrays["lrs"].tolist(), facts["steps"])
        right = (convnet.answers(net, tests) == real.test.labels).mean()
        assert right == pytest.approx(accuracy, abs=1 / len(tests) + 1e-6)
