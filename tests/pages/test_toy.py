"""The toy's mathematics as the browser runs it, beside PyTorch."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
import torch
from torch.nn import functional as F

from ddcore.base import paths
from pages.components import toy
from tests.pages.fakes import text

MATHS = paths.PROJECT / "pages" / "components" / "toy_maths.js"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
GRADIENT = """
const starts = [0, 1].map(i => startWeights(stream(70 + i), 3))
const real = sample('arms', 30, stream(5))
const few = sample('arms', 6, stream(6))
const x = new Matrix(6, 2, few.x.data.map((v, i) => 0.4 * v + 0.05 * i))
const found = metaGradient(starts, x, few.y, real, STEPS_ASKED, 0.8)
console.log(JSON.stringify({
  starts: starts.map(ws => ws.map(w => w.lists())), x: x.lists(), labels: few.labels,
  realX: real.x.lists(), realLabels: real.labels, loss: found.loss, grad: found.grad.lists(),
}))
"""


def run(script: str) -> dict:
    """What a script says, after the module, as one JSON document."""
    done = subprocess.run(
        [NODE, "--input-type=module"],
        input=MATHS.read_text() + script,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_node
@pytest.mark.parametrize("steps", [1, 7, 30])
def test_the_gradient_through_training_is_that_of_autograd(steps):
    found = run(GRADIENT.replace("STEPS_ASKED", str(steps)))

    def tensor(values):
        return torch.tensor(values, dtype=torch.float64)

    x = tensor(found["x"]).requires_grad_()
    y, real_y = torch.tensor(found["labels"]), torch.tensor(found["realLabels"])
    real_x, total = tensor(found["realX"]), 0.0
    for start in found["starts"]:
        weights = [tensor(w).requires_grad_() for w in start]
        for _ in range(steps):
            loss = F.cross_entropy(forward(weights, x), y)
            grads = torch.autograd.grad(loss, weights, create_graph=True)
            weights = [w - 0.8 * g for w, g in zip(weights, grads)]
        total = total + F.cross_entropy(forward(weights, real_x), real_y) / len(found["starts"])
    assert found["loss"] == pytest.approx(float(total), rel=1e-12)
    grad = tensor(found["grad"])
    (wanted,) = torch.autograd.grad(total, x)
    assert float(wanted.abs().max()) > 1e-3
    torch.testing.assert_close(grad, wanted, rtol=1e-9, atol=1e-12)


def forward(weights, x):
    w, b, v, c = weights
    return torch.tanh(x @ w + b) @ v + c


@needs_node
def test_distilled_points_teach_more_than_random_real_ones():
    found = run("""
const made = new Distiller('chequers', 2)
const begin = made.judged().accuracies
const { few, all } = made.baselines()
for (let i = 0; i < 60; i++) made.step()
console.log(JSON.stringify({ begin, few, all, end: made.judged().accuracies, losses: made.losses }))
""")
    mean = {name: sum(values) / len(values) for name, values in found.items()}
    assert mean["end"] > mean["few"] + 0.1 > mean["begin"]
    assert mean["all"] > 0.9
    assert sum(found["losses"][-5:]) < 0.5 * sum(found["losses"][:5])


@needs_node
def test_the_same_seed_makes_the_same_points():
    script = """
const made = new Distiller('moons', 2, SEED)
for (let i = 0; i < 3; i++) made.step()
console.log(JSON.stringify({ x: made.x.lists() }))
"""
    one, same, other = (run(script.replace("SEED", seed)) for seed in ("0", "0", "1"))
    assert one == same != other


@needs_node
def test_the_browser_and_the_page_know_the_same_sets():
    found = run("""console.log(JSON.stringify({ sets: Object.keys(SETS), real: REAL, judges: JUDGES,
      steps: STEPS, hidden: HIDDEN, starts: STARTS, rate: RATE }))""")
    assert found["sets"] == list(toy.SETS)
    assert f"all {found['real']} real points" in toy.HTML
    assert f"n = {found['judges']} networks" in toy.HTML
    said = " ".join((paths.PROJECT / "pages" / "9_Toy.py").read_text().replace('" "', "").split())
    assert (found["steps"], found["hidden"], found["starts"], found["rate"]) == (30, 16, 3, 1)
    for words in ("by 30 steps of", "16 hidden units", "takes three networks", "(step size 1)"):
        assert words in said


def test_the_page_says_what_is_optimised(visit):
    app = visit("9_Toy.py", toy="circles", points="5")
    assert "exact gradient of the loss" in text(app)
    (sent,) = [e.proto for e in app.get("bidi_component") if e.proto.component_name == "toy"]
    assert json.loads(sent.json) == {"set": "circles", "k": 5}
