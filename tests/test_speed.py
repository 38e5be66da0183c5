"""Estimates of speed: measured on this machine, carried to networks of other sizes."""

from __future__ import annotations

import dataclasses

import pytest

from ddcore.base import environment
from ddcore.data import resolve
from ddcore.measure.spec import AccuracyTask
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import cost
from ddcore.tasks.files import write_json
from ddcore.training import speed
from ddcore.training.protocols import PROTOCOLS

CURVE = {"points": [[1e5, 1e9], [1e7, 4e9]], "matrix": 2e10, "device": "cpu"}
NARROW = NetSpec(width=16, depth=2)


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch):
    monkeypatch.setenv("DD_DEVICE", "cpu")


def keep(store, spec, result):
    """A finished task with this result."""
    task = store.create(spec)
    write_json(task.folder / "result.json", result)
    task.finish()
    return task


def past(store, rate, seed=0, net=NARROW, **more):
    """An accuracy that was measured at so many multiply-adds per second, in 10 s."""
    spec = AccuracyTask(
        subject="whole", data=resolve("digits"), net=net, protocol=PROTOCOLS["quick"], seed=seed
    )
    result = {"work": rate * 10, "seconds": 10.0, "cpu_seconds": 10.0, "device": "cpu"}
    return keep(store, spec, result | more)


def test_between_the_measured_points_and_beyond():
    assert speed.at(CURVE, 1e5) == 1e9 and speed.at(CURVE, 1e7) == 4e9
    assert speed.at(CURVE, 1e6) == pytest.approx(2e9)  # halfway on logarithmic scales
    assert speed.at(CURVE, 1e3) == 1e9 and speed.at(CURVE, 1e9) == 4e9
    assert speed.at(CURVE, speed.MATRIX) == 2e10


def test_a_first_guess_then_past_runs_then_the_machine(store):
    size = cost(NARROW.plan((1, 8, 8), 10), (1, 8, 8)).macs
    rate, basis = speed.speed(store, "accuracy", 1e10, size)
    assert rate == speed.CPU_GUESS and "first guess" in basis
    past(store, 5e8)
    rate, basis = speed.speed(store, "accuracy", 1e10, 1e7)
    assert rate == pytest.approx(5e8) and basis == "from 1 past run on cpu"
    keep(store, speed.here(), CURVE)
    # The same share of what plain training reaches here, with any network.
    share = 5e8 / speed.at(CURVE, size)
    rate, basis = speed.speed(store, "accuracy", 1e10, size)
    assert rate == pytest.approx(5e8) and "measured speed of this machine" in basis
    assert speed.speed(store, "accuracy", 1e10, 1e7)[0] == pytest.approx(share * 4e9)


def test_a_past_run_that_is_much_less_alike_than_another_tells_nothing(store):
    keep(store, speed.here(), CURVE)
    for seed in range(2):
        past(store, 1e9, seed=seed)
    past(store, 3e8, seed=2, net=NARROW.replace(width=128))
    one = cost(NARROW.plan((1, 8, 8), 10), (1, 8, 8)).macs
    assert speed.speed(store, "accuracy", 1e10, one)[0] == pytest.approx(1e9)
    assert "2 past runs" in speed.speed(store, "accuracy", 1e10, one)[1]


def test_tests_of_past_runs_count_and_what_is_said_beside_them(store):
    """10 networks are tested on 500 images each; compiling and starting are no work."""
    one = cost(NARROW.plan((1, 8, 8), 10), (1, 8, 8)).macs
    past(store, 1e6, n=10, test_images=500, execution={"compile_seconds": 2.0})
    assert speed.speed(store, "accuracy", 1.0, one)[0] == pytest.approx((1e7 + 5000 * one) / 8)
    rate, _ = speed.speed(store, "accuracy", 1.0, one, besides=lambda task: 1e9, start=3.0)
    assert rate == pytest.approx((1e7 + 5000 * one + 1e9) / 5)
    assert speed.speed(store, "accuracy", 1.0, one, start=1e3)[0] == pytest.approx(
        (1e7 + 5000 * one) / (8 * speed.LEAST_SHARE)
    )


def test_a_past_run_misleads_within_bounds_only(store):
    keep(store, speed.here(), CURVE)
    past(store, 1e3)
    assert speed.speed(store, "accuracy", 1e10, 1e7)[0] == pytest.approx(speed.SHARE[0] * 4e9)
    past(store, 1e15, seed=1)
    past(store, 1e15, seed=2)
    assert speed.speed(store, "accuracy", 1e10, 1e7)[0] == pytest.approx(speed.SHARE[1] * 4e9)


def test_what_others_slowed_down_is_not_trusted_beside_a_measurement(store):
    keep(store, speed.here(), CURVE)
    task = past(store, 1e3)
    result = task.result()
    del result["cpu_seconds"]
    write_json(task.folder / "result.json", result)
    task.finish()
    rate, basis = speed.speed(store, "accuracy", 1e10, 1e7)
    assert rate == pytest.approx(4e9) and basis == "from the measured speed of this machine"
    assert speed.seconds_of({"seconds": 9.0, "cpu_seconds": 4.0, "device": "cpu"}) == 4.0
    assert speed.seconds_of({"seconds": 9.0, "cpu_seconds": 4.0, "device": "cuda:0"}) == 9.0
    compiled = {"execution": {"compile_seconds": 2.0, "compile_cpu_seconds": 1.5}, "device": "cpu"}
    assert speed.seconds_of({"seconds": 9.0, "cpu_seconds": 4.0} | compiled) == 2.5


def test_the_machine_is_measured(store, compute):
    result = compute(speed.here()).result()
    sizes = [size for size, _ in result["points"]]
    assert sizes == sorted(sizes) and len(sizes) == 3
    assert all(1e7 < rate < 1e15 for _, rate in result["points"]) and result["matrix"] > 1e7


def test_a_worker_measures_once_and_a_failure_harms_nothing(store, monkeypatch):
    from ddcore.training import calibrate

    def broken(*_):
        raise RuntimeError("no such device")

    speed.measure_once(store, "cpu")  # the tests' environment says not to
    assert not store.task(speed.here()).is_done()
    monkeypatch.setenv("DD_MEASURE", "1")
    with monkeypatch.context() as fails:
        fails.setattr(calibrate, "repeated", broken)
        speed.measure_once(store, "cpu")
    task = store.task(speed.here())
    assert task.status()["state"] == "failed"
    speed.measure_once(store, "cpu")
    assert task.is_done()
    before = task.status()
    speed.measure_once(store, "cpu")
    assert task.status() == before


def test_shipped_trainings_count_half_and_the_quickest_of_the_nearest_counts(store):
    """Half on a logarithmic scale: shipped runs were made on several machines, one of which was measured."""
    run = speed.Past(size=1.0, image_macs=1e7, rate=1e9, shipped=True, undisturbed=True)
    assert speed._share(run, CURVE, "accuracy") == pytest.approx(0.5)
    assert speed._share(run, CURVE, "curvature") == pytest.approx(0.25)
    own = dataclasses.replace(run, shipped=False)
    assert speed._share(own, CURVE, "accuracy") == pytest.approx(0.25)
    keep(store, speed.here(), CURVE)
    for seed, rate in enumerate((1e9, 1.5e9, 5e8)):
        past(store, rate, seed=seed)
    size = cost(NARROW.plan((1, 8, 8), 10), (1, 8, 8)).macs
    assert speed.speed(store, "accuracy", 1e10, size)[0] == pytest.approx(1.5e9)


def test_another_processor_under_the_same_name_is_another_machine(monkeypatch):
    one = speed.here()
    monkeypatch.setattr(environment, "processor", lambda: "another")
    assert speed.here().key != one.key
