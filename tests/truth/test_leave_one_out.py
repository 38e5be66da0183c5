"""Leave-one-out: a network trained by plain torch without one image, against the stored influence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.truth import convnet, files, streams

(SHIPPED,) = files.shipped("influence")
ASKED = files.spec(SHIPPED)
RUNS = [f for f in files.shipped("distill") if f.name in ASKED["run_keys"]]
LEFT_OUT = (0, 99)
ROUNDING = 2**-22  # relative, of initial weights: some starts carry it to 1e-2 of the test losses


def name(folder):
    return files.spec(folder)["method"]


def start(r):
    """The network that initialisation r begins with, by the stated stream."""
    width = int(ASKED["network"].removeprefix("convnet-"))
    seed = streams.derived(ASKED["seed"], "leave_one_out", r)
    return convnet.drawn(convnet.ConvNet(width, 2), streams.of_torch(seed, "init"))


def trained(r, images, labels, moved=0.0):
    """Full-batch descent with momentum 0.9, as the analysis asks for; `moved` scales where it starts."""
    net = start(r)
    with torch.no_grad():
        for weight in net.parameters():
            weight *= 1 + moved
    recipe = convnet.Recipe(epochs=ASKED["iterations"], lr=ASKED["lr"])
    return convnet.train(net, images, labels, recipe)


@pytest.fixture(scope="module")
def tests(real):
    """Test images and labels as torch sees them."""
    return torch.from_numpy(real.test.images).float(), torch.from_numpy(real.test.labels)


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param(f, id=name(f), marks=[pytest.mark.slow] if i else [])
        for i, f in enumerate(RUNS)
    ],
)
def test_influence_of_single_images(folder, export, tests):
    """Mean over the initialisations for every test image, within half precision and what rounding does.

    Descent from some initialisations amplifies rounding. How far is measured here: the same training from
    weights that differ in their last digits.
    """
    made = export(folder)[0]
    images = torch.from_numpy(made["images"].copy())
    labels = torch.from_numpy(made["labels"].copy())
    stored, everyone = files.arrays(SHIPPED), torch.ones(len(labels), dtype=torch.bool)

    def loss(r, keep, moved):
        return convnet.losses(trained(r, images[keep], labels[keep], moved), *tests)

    def influence(r, j, moved=0.0):
        keep = torch.arange(len(images)) != j
        return loss(r, keep, moved) - loss(r, everyone, moved)

    inits = range(ASKED["inits"])
    found = [trained(r, images, labels) for r in inits]
    accuracy = [(convnet.answers(net, tests[0]) == tests[1].numpy()).mean() for net in found]
    facts = files.result(SHIPPED)["sets"][folder.name]
    assert accuracy == pytest.approx(facts["accuracy"], abs=1 / len(tests[1]) + 1e-6)
    for j in LEFT_OUT:
        each = np.array([influence(r, j) for r in inits])
        felt = np.abs(each - [influence(r, j, ROUNDING) for r in inits])
        shipped = stored[f"influence.{folder.name}"][j].astype(float)
        # Two roundings to 11 bits; 4 times as far as rounding moved the worst test image.
        apart = np.abs(shipped - each.mean(0)) - 4e-3 * np.abs(shipped)
        assert apart.max() <= 2e-5 + 4 * felt.mean(0).max()
        values = np.abs(stored[f"value.{folder.name}"][:, j] - each.mean(1))
        assert (values <= 2e-5 + 4e-3 * np.abs(each.mean(1)) + 4 * felt.max(1)).all()
        assert np.corrcoef(shipped, each.mean(0))[0, 1] > 0.98


def influence_function(net, images, labels, tests, damping):
    """g_j' (H + damping I)^-1 g_i / M in float64 for the last layer, from its explicit Hessian.

    Koh & Liang 2017; weights and offsets of a softmax classifier on fixed features.
    """
    net = net.double()
    with torch.no_grad():
        x, y = (net.features(z.double()).numpy() for z in (images, tests[0]))
    weight = net.classifier.weight.detach().numpy()
    bias = net.classifier.bias.detach().numpy()

    def parts(features, classes):
        scores = features @ weight.T + bias
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        one = np.hstack([features, np.ones((len(features), 1))])
        residual = p - np.eye(len(bias))[classes]
        return p, one, np.einsum("mk,mf->mkf", residual, one).reshape(len(one), -1)

    p, one, own = parts(x, labels.numpy())
    _, _, theirs = parts(y, tests[1].numpy())
    inner = np.einsum("mk,kl->mkl", p, np.eye(p.shape[1])) - np.einsum("mk,ml->mkl", p, p)
    matrix = np.einsum("mkl,mf,mg->kflg", inner, one, one, optimize=True) / len(one)
    size = own.shape[1]
    solved = np.linalg.solve(matrix.reshape(size, size) + damping * np.eye(size), own.T).T
    return own @ theirs.T, solved @ theirs.T / len(one)


def test_cheap_estimates_of_the_last_layer(export, tests):
    """Both estimates at the stored sample of points, from the explicit Hessian."""
    assert ASKED["estimate"] == "last"
    folder = RUNS[0]
    made = export(folder)[0]
    images = torch.from_numpy(made["images"].copy())
    labels = torch.from_numpy(made["labels"].copy())
    nets = [trained(r, images, labels) for r in range(ASKED["inits"])]
    each = [influence_function(n, images, labels, tests, ASKED["damping"]) for n in nets]
    dot, inverse = (np.mean(values, 0).ravel() for values in zip(*each))
    _, stored_dot, stored_inverse = files.arrays(SHIPPED)[f"points.{folder.name}"]
    order = streams.of_numpy(ASKED["seed"], "points", folder.name).permutation(dot.size)
    pick = order[: len(stored_dot)]
    for mine, theirs in ((dot[pick], stored_dot), (inverse[pick], stored_inverse)):
        assert np.linalg.norm(mine - theirs) < 1e-3 * np.linalg.norm(mine)
