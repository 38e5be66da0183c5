"""The Evaluate page for sets made for trained networks: before and after, and attacks."""

from __future__ import annotations

from ddcore.data.spec import DataSpec
from ddcore.distil.settings import make_spec
from ddcore.training.protocols import PROTOCOLS
from tests.pages.fakes import SHAPE, done, text
from tests.pages.test_evaluate import PAGE, measured, row, three


def run_of(setting: str):
    """A run of the 2018 method on the digits."""
    return make_spec("dd2018", DataSpec(), SHAPE, settings=[("setting", setting)])


def attack(flipped: float, others: float, accuracy: float) -> dict:
    """The figures of an attack of class 3 on class 5, as an evaluation stores them."""
    shares = {"flipped": flipped, "others": others, "accuracy": accuracy, "modified": others}
    figures = {name: {"mean": share, "std": 0.01, "n": 2} for name, share in shares.items()}
    per_class = [others] * 10
    per_class[3] = 1 - flipped
    return {"attacked": 3, "target": 5, "images": 50, "per_class": per_class, **figures}


def test_adapted_networks_before_and_after(visit, store):
    run = run_of("adapt")
    task, arch = done(store, run), run.net.label()
    rows = [*three(arch, 0.9, 0.8, 0.85), row("before", 0.7, arch), row("other_inits", 0.4, arch)]
    measured(store, run, rows)
    app = visit(PAGE, run=task.key)
    assert "made for networks trained on Digits" in app.info[0].value
    assert "70.0 ± 2.0 % (n = 2)" in app.info[0].value and "+20.0 ± 2.8 points" in app.info[0].value
    assert "fresh random weights reach 40.0" in app.info[0].value
    assert "| Before: not trained on any set | 70.0 ± 2.0 % (n = 2) | +20.0 ± 2.8 points |" in text(
        app
    )


def test_another_protocol_does_not_start_there(visit, store):
    run = run_of("adapt")
    task, quick = done(store, run), PROTOCOLS["quick"]
    rows = three(run.net.label(), 0.9, 0.8, 0.85)
    measured(store, run, rows, protocol=quick, nets=quick.nets)
    app = visit(PAGE, run=task.key, protocol="quick")
    assert "for which the set was not made" in app.info[0].value


def test_an_attack_is_judged_by_what_it_flips(visit, store):
    run = run_of("attack")
    task, arch = done(store, run), run.net.label()
    subjects = {
        "distilled": attack(0.92, 0.95, 0.86),
        "before": attack(0.0, 0.98, 0.982),
        "random": attack(0.13, 0.9, 0.9),
        "class_mean": attack(0.2, 0.91, 0.91),
    }
    rows = [row(n, a["accuracy"]["mean"], arch, attack=a) for n, a in subjects.items()]
    measured(store, run, rows)
    app = visit(PAGE, run=task.key)
    shown = text(app)
    assert "**92.0 ± 1.0 % (n = 2)** of the test images of 3 are taken for 5" in shown
    assert "before it were 0.0 ± 1.0 % (n = 2)" in shown
    assert "| Random real images | 13.0 ± 1.0 % (n = 2) | 90.0 ± 1.0 % (n = 2) |" in shown
    assert "| 3 | 8.0 % | 100.0 % | 87.0 % | 80.0 % |" in shown
    assert not app.warning and "Distilled is better by" not in shown
