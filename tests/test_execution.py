"""Steps: which way they are executed, that every way gives the same, and what happens where one fails."""

import subprocess
import sys

import pytest
import torch

from analysis.shared import hessian, products
from ddcore.base import execution, rng, vectorised
from ddcore.data import resolve
from ddcore.distil.contract import method
from ddcore.distil.engines.rules import GradientDescent
from ddcore.distil.engines.unroll import SetLoss, meta_gradient, set_steps
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network
from ddcore.nets.precision import BFLOAT16
from ddcore.training import steps
from ddcore.training.labels import one_hot
from ddcore.training.losses import loss_of
from ddcore.training.protocols import PROTOCOLS
from ddcore.training.train import train
from ddcore.training.trained import TrainedNets
from tests.engines.test_match import SHAPE, FakeData

NARROW = NetSpec(width=4, depth=2)
CPU = torch.device("cpu")


def twice(factor, x):
    return (factor * x,)


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """Nothing compiled or refused before, and a place of its own."""
    monkeypatch.setattr(execution, "_built", {})
    monkeypatch.setattr(execution, "_refused", [])
    monkeypatch.setattr(execution, "compiler", lambda: "g++")
    monkeypatch.setattr(execution, "folder", lambda: tmp_path)


@pytest.fixture
def as_graphs(monkeypatch):
    """Everything is traced to a graph, which is run as it is: all that this project does of compiling."""
    made, trace = [], execution.traced

    def traced(function, tensors):
        made.append(function.func.__name__)
        return trace(function, tensors)

    monkeypatch.setattr(execution, "traced", traced)
    monkeypatch.setattr(execution, "compiled", lambda graph, tensors, graphs: graph)
    monkeypatch.setenv("DD_COMPILE", "1")
    return made


def nearly(one, other):
    """Equal to rounding, beside the largest entry of all."""
    scale = max(float(t.abs().max()) for t in other)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * scale)


# --- which way --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked, seconds, before, way",
    [
        ("auto", 1.0, False, execution.EAGER),
        ("auto", execution.COLD_S - 1, False, execution.EAGER),
        ("auto", execution.COLD_S + 1, False, execution.COMPILED),
        ("auto", execution.WARM_S - 1, True, execution.EAGER),
        ("auto", execution.WARM_S + 1, True, execution.COMPILED),
        ("0", 1e9, True, execution.EAGER),
        ("1", 0.0, False, execution.COMPILED),
    ],
)
def test_long_runs_are_compiled(monkeypatch, as_graphs, asked, seconds, before, way):
    monkeypatch.setenv("DD_COMPILE", asked)
    x, ways = torch.arange(3.0), execution.Ways()
    step = execution.step(twice, 2, total=seconds * execution.MACS_PER_S)
    if before:
        sizes = (((3,), torch.float32, "cpu"),)
        execution._remember(execution._known(twice, (2,), sizes))
    with execution.noted(ways):
        assert step.compiles(x) == (way != execution.EAGER)
        assert step(x)[0].tolist() == [0, 2, 4]
    assert set(ways.chosen.values()) <= {way}
    took = {"compile_seconds": ways.seconds, "compile_cpu_seconds": ways.cpu_seconds}
    compiled = {"steps": {way: 1}} | {k: round(v, 3) for k, v in took.items()}
    assert ways.facts() == ({} if way == execution.EAGER else {"execution": compiled})
    assert (ways.seconds > 0) == (way != execution.EAGER)


def test_without_a_compiler_long_runs_are_eager(monkeypatch, as_graphs):
    monkeypatch.setenv("DD_COMPILE", "auto")
    monkeypatch.setattr(execution, "compiler", lambda: None)
    step = execution.step(twice, 2, total=1e6 * execution.MACS_PER_S)
    assert not step.compiles(torch.ones(1)) and as_graphs == []


def test_a_resumed_task_goes_on_as_it_began(monkeypatch, as_graphs):
    monkeypatch.setenv("DD_COMPILE", "auto")
    total, ways = (execution.WARM_S + 1) * execution.MACS_PER_S, execution.Ways()
    with execution.noted(ways):
        assert not execution.step(twice, 2, total=total).compiles(torch.ones(1))
        sizes = (((1,), torch.float32, "cpu"),)
        execution._remember(execution._known(twice, (2,), sizes))  # by another task meanwhile
    resumed = execution.Ways(dict(ways.chosen))
    with execution.noted(resumed):
        assert not execution.step(twice, 2, total=total).compiles(torch.ones(1))
    with execution.noted(execution.Ways()):
        assert execution.step(twice, 2, total=total).compiles(torch.ones(1))


@pytest.mark.parametrize("count", [1, 3])
def test_what_cannot_be_compiled_goes_on_eager_with_one_line(monkeypatch, capsys, count):
    def built(function, tensors, *, graphs):
        raise RuntimeError("no compiler\nand a long story")

    monkeypatch.setattr(execution, "built", built)
    monkeypatch.setenv("DD_COMPILE", "1")
    ways = execution.Ways()
    with execution.noted(ways):
        for factor in range(count):
            assert execution.step(twice, factor)(torch.ones(1))[0].item() == factor
    assert capsys.readouterr().err == "Not compiled (twice): RuntimeError: no compiler\n"
    assert ways.facts() == {}


HELD = torch.ones(1)


def holds(x):
    return (x + HELD,)


def test_a_graph_holds_no_tensor_but_its_arguments():
    with pytest.raises(ValueError, match="tensors that are no arguments"):
        execution.traced(holds, (torch.zeros(1),))
    held = torch.ones(1)
    with pytest.raises(AssertionError, match="has to be fixed or a tensor"):
        execution.step(lambda x: (x + held,))


def test_sizes_without_end_are_not_compiled(as_graphs):
    step = execution.step(twice, 2)
    for n in range(1, 2 + execution.MOST):
        assert step(torch.ones(n))[0].sum() == 2 * n
    assert len(as_graphs) == execution.MOST


def test_short_runs_do_not_even_import_a_compiler():
    code = (
        "import sys, torch\n"
        "from ddcore.nets.architectures import NetSpec\n"
        "from ddcore.training.protocols import PROTOCOLS\n"
        "from ddcore.training.train import train\n"
        "p = PROTOCOLS['quick'].replace(epochs=2)\n"
        "net = NetSpec(width=4, depth=2)\n"
        "before = set(sys.modules)\n"
        "train(net, torch.rand(4, 1, 8, 8), torch.arange(4) % 2, 2, p, [0]).module\n"
        "print([m for m in set(sys.modules) - before if 'compile_fx' in m or 'proxy_tensor' in m])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


# --- every way gives the same -----------------------------------------------------------------------


def tensors(network, images=6, own=True):
    """Weights, statistics, images and labels of a network."""
    generator = rng.generator(0)
    weights, stats = network.init(generator), network.init_stats()
    lead = (network.num_nets, images) if own else (images,)
    x = torch.randn(*lead, *network.shape, generator=generator)
    return (*weights.values(), *stats.values()), x, torch.arange(images).expand(lead) % 10


@pytest.mark.parametrize("norm", ["instance", "batch", "layer", "group", "none"])
@pytest.mark.parametrize("loss", ["ce", "mse"])
@pytest.mark.parametrize("own", [True, False])
def test_training_steps(as_graphs, norm, loss, own):
    network = Network(NARROW.replace(norm=norm), SHAPE, 10, 2)
    held, x, y = tensors(network, own=own)
    copies = tuple(t.clone() for t in held)
    expected = steps.gradients(network, loss, *held, x, y)
    found = execution.step(steps.gradients, network, loss)(*copies, x, y)
    nearly(found, expected)
    nearly(copies, held)  # running statistics have moved alike
    assert as_graphs == ["gradients"]


@pytest.mark.parametrize("function", [steps.tested, steps.trained_features])
def test_testing_steps(as_graphs, function):
    network = Network(NARROW.replace(norm="batch"), SHAPE, 10, 2)
    held, x, _ = tensors(network)
    with torch.no_grad():
        nearly(execution.step(function, network)(*held, x), function(network, *held, x))


def test_weights_of_a_file_may_come_in_another_order():
    network = Network(NARROW.replace(norm="batch"), SHAPE, 10, 2)
    held, x, _ = tensors(network)
    weights, stats = network.split(held)
    trained = [
        TrainedNets(
            network, dict(sorted(w.items(), reverse=back)), dict(sorted(s.items(), reverse=back))
        )
        for back in (False, True)
        for w, s in [(weights, network.statistics(stats))]
    ]
    for seen in ("features", "predict"):
        assert torch.equal(*(getattr(nets, seen)(x[0]) for nets in trained))


def test_training_under_a_protocol(as_graphs, monkeypatch):
    recipe = PROTOCOLS["idc"].replace(epochs=3, batch=8, cutmix=1.0)
    images, labels = torch.randn(20, *SHAPE, generator=rng.generator(0)), torch.arange(20) % 10
    compiled = train(NARROW, images, labels, 10, recipe, [0, 1])
    assert as_graphs == ["gradients"] * 2  # of whole batches and of the last one
    monkeypatch.setenv("DD_COMPILE", "0")
    eager = train(NARROW, images, labels, 10, recipe, [0, 1])
    nearly(compiled.params.values(), eager.params.values())


def test_how_many_images_a_compiled_step_sees_at_a_time(monkeypatch):
    floats = 4 * SHAPE[1] * SHAPE[2]  # that the largest layer makes of an image
    monkeypatch.setattr(steps, "PART_FLOATS", 3 * floats)
    assert steps.part_sizes(Network(NARROW, SHAPE, 10), 3, CPU) == [3]
    assert steps.part_sizes(Network(NARROW, SHAPE, 10), 8, CPU) == [2, 2, 2, 2]
    assert steps.part_sizes(Network(NARROW, SHAPE, 10), 7, CPU) == [3, 2, 2]
    assert steps.part_sizes(Network(NARROW, SHAPE, 10, 2), 2, CPU) == [1, 1]
    assert steps.part_sizes(Network(NARROW.replace(norm="batch"), SHAPE, 10), 8, CPU) == [8]
    assert steps.part_sizes(Network(NARROW, SHAPE, 10), 8, torch.device("cuda")) == [8]


@pytest.mark.parametrize("loss", ["ce", "mse", "cosine", "kl"])
@pytest.mark.parametrize("shared", [True, False])
def test_a_batch_in_parts(as_graphs, monkeypatch, loss, shared):
    network = Network(NARROW, SHAPE, 10, 2)
    held, x, y = tensors(network, own=False)
    targets = y if loss == "ce" else one_hot(y, 10).add(0.1).div(2)
    if not shared:
        x, targets = torch.stack([x, x.flip(3)]), torch.stack([targets, targets.flip(0)])
    step = execution.step(steps.gradients, network, loss_of(loss, 2.0))
    monkeypatch.setattr(steps, "PART_FLOATS", 1024)
    found = steps.batch_gradients(step, network, held, x, targets)
    assert len(as_graphs) in (1, 2) and len(steps.part_sizes(network, len(y), CPU)) > 2
    monkeypatch.setenv("DD_COMPILE", "0")
    nearly(found, steps.gradients(network, loss_of(loss, 2.0), *held, x, targets))


@pytest.mark.parametrize(
    "side, options, anew",
    [
        (8, (2, 2), True),
        (6, (2,), True),
        (7, (2, 2), False),
        (8, (3, 2), False),
        (8, (2, 1), False),
        (8, (2, 2, 1), False),
    ],
)
def test_pooling_in_other_words(side, options, anew):
    x = torch.randn(2, 3, side, side, dtype=torch.double, requires_grad=True)
    usual = torch.nn.functional.avg_pool2d(x, *options)
    weights = torch.randn_like(usual)
    kernel, stride, padding = ([*options, *(2, 0)[len(options) - 1 :]][i] for i in range(3))
    asked = ([kernel] * 2, [stride] * 2, [padding] * 2, False, True, None)
    found = vectorised.pooled(x, *asked)
    adjoint = vectorised.spread(weights, x, *asked)
    if not anew:
        assert found is NotImplemented and adjoint is NotImplemented
        return
    torch.testing.assert_close(found, usual)
    torch.testing.assert_close(adjoint, torch.autograd.grad(usual, x, weights)[0])


METHODS = {
    "dm": {"augment": "flip_crop", "nets": "2"},
    "dm in 16 bits": {"augment": "flip_crop", "nets": "2", "precision": BFLOAT16},
    "dc": {"nets": "2", "matches": "3"},
    "dm with batch norm": {"nets": "2", "net.norm": "batch", "augment": ""},
    "dsa": {"matches": "2"},
    "dcc": {"matches": "2"},
    "idc": {"matches": "2"},
    "bptt": {"inner_steps": "3"},
    "dd2018": {"labels": "learned"},
}


@pytest.mark.parametrize("name", METHODS)
def test_methods(as_graphs, monkeypatch, name):
    settings = {"net.width": "4", "net.depth": "2", "init": "real", "real_batch": "4"}
    settings |= METHODS[name]
    chosen = method(name.split()[0])
    data, pairs = resolve("digits"), list(settings.items())
    spec = make_spec(chosen.name, data, SHAPE, ipc=2, settings=pairs)

    def gradients():
        distiller = chosen.build(Problem(spec, Minibatches(), "cpu"))
        for t in range(3):
            distiller.step(t)
        return [t.grad for t in distiller.tensors().values()]

    compiled = gradients()
    assert as_graphs
    monkeypatch.setenv("DD_COMPILE", "0")
    nearly(compiled, gradients())


@pytest.mark.parametrize("floats", [steps.PART_FLOATS, 1], ids=["whole", "images one by one"])
@pytest.mark.parametrize(
    "momentum, learned, soft, exact",
    [
        (0.0, False, False, True),
        (0.9, True, True, True),
        (0.5, False, True, True),
        (0.0, False, True, False),
    ],
)
def test_gradients_through_training(as_graphs, monkeypatch, momentum, learned, soft, exact, floats):
    """As trajectory matching and meta-learning take them; not exact: TESLA's approximation."""
    monkeypatch.setattr(steps, "PART_FLOATS", floats)
    rule = GradientDescent(momentum, 0.01 if exact else 0.0)
    network = Network(NARROW, SHAPE, 10, 2)
    held, x, y = tensors(network, own=False)
    names = sorted(network.names, reverse=True)  # as a file may have them
    held = tuple(network.split(held)[0][name] for name in names)
    leaves = (x, 0.5 * one_hot(y, 10)) if soft else (x,)
    hyper = (torch.full((3,), 0.1), *([torch.tensor(momentum)] if learned else []))

    def batch(t, leaves):
        return 2 * leaves[0][t : t + 3], leaves[1][t : t + 3] if soft else y[t : t + 3]

    def found():
        inner = SetLoss(network, names, batch, *set_steps(network, 1, through_weights=exact))
        meta = meta_gradient(
            inner,
            lambda theta: sum(w.square().sum() for w in theta),
            rule,
            rule.start(held),
            leaves,
            hyper,
            range(3),
            through_weights=exact,
        )
        return (*meta.leaves, *meta.hyper, *meta.state0)

    compiled = found()
    assert as_graphs == ["gradients", "pulled_back"]
    monkeypatch.setenv("DD_COMPILE", "0")
    nearly(compiled, found())


class Minibatches(FakeData):
    """With random training images, and those in their order."""

    @property
    def train(self):
        return hessian.Images(self.images, self.labels)

    def minibatch(self, count, generator):
        index = torch.randint(60, (count,), generator=generator)
        return self.images[index], self.labels[index]


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_products_with_hessians(as_graphs, monkeypatch, norm):
    net = NARROW.replace(norm=norm, activation="swish")
    network = Network(net, SHAPE, 10, 2, fused_norm=False)
    held, x, y = tensors(network, own=False)
    weights, rest = network.split(held)
    stats = network.statistics(rest)
    weights = dict(sorted(weights.items(), reverse=True))  # as a file may have them
    size = sum(w[0].numel() for w in weights.values())
    vectors = torch.randn(3, 2, size, generator=rng.generator(1))
    source = hessian.Images(x, y)
    compiled = hessian.hvp(network, weights, vectors, source, stats, chunk=4)
    assert as_graphs == ["product", "product"]  # of four images and of the last two
    monkeypatch.setenv("DD_COMPILE", "0")
    eager = hessian.hvp(network, weights, vectors, source, stats, chunk=4)
    nearly([compiled], [eager])


# --- by a real compiler -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", ["training", "bfloat16", "features", "matching", "hessian"])
def test_compiled_equals_eager_and_itself(monkeypatch, tmp_path_factory, kind):
    from ddcore.distil.engines import gradient_match

    monkeypatch.setenv("DD_COMPILE", "1")
    shared = tmp_path_factory.getbasetemp() / "compiled"  # one compiled header for all
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(shared))
    half, second = kind == "bfloat16", kind in ("matching", "hessian")
    precision = {"precision": BFLOAT16} if half else {}
    network = Network(NARROW, SHAPE, 10, 2, fused_norm=not second, **precision)
    held, x, y = tensors(network)
    function, fixed, given = {
        "training": (steps.gradients, ("ce",), (*held, x, y)),
        "bfloat16": (steps.gradients, ("ce",), (*held, x, y)),
        "features": (steps.fresh_features, (), (*held, x)),
        "hessian": (products.product, (), (*held, *held, x, y)),
        "matching": (
            gradient_match.distances,
            ("dc", network.names),
            (*held, *(torch.ones_like(t)[:, None] for t in held), y[:1], x[:1]),
        ),
    }[kind]
    with torch.set_grad_enabled(kind != "features"):
        expected = function(network, *fixed, *given)
        step = execution.step(function, network, *fixed)
        assert step.compiles(*given)
        found, again = step(*given), step(*given)
    assert all(torch.equal(a, b) for a, b in zip(found, again))
    if half:  # convolutions are rounded at other places
        error = sum((a - b).square().sum() for a, b in zip(found, expected))
        assert error < 1e-3 * sum(b.square().sum() for b in expected)
    else:
        nearly(found, expected)
