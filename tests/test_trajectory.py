"""Expert trajectories: what is stored, how exactly, and that a stop loses no finished expert."""

import time

import numpy as np
import pytest
import torch

from ddcore.base import rng
from ddcore.base.errors import Cancelled, DDError, SpecError
from ddcore.data import resolve
from ddcore.data.tensors import DeviceData
from ddcore.distil.methods import mtt
from ddcore.distil.settings import make_spec
from ddcore.nets import NetSpec
from ddcore.nets.module import to_module
from ddcore.nets.network import Network
from ddcore.pools import trajectory
from ddcore.pools.trajectory import Trajectories, train_experts
from ddcore.pools.trajectory_spec import TrajectoryTask
from ddcore.tasks import worker
from ddcore.training.trained import TrainedNets

EPOCHS = 4


def bank(**changes):
    fields = {"nets": 2, "epochs": EPOCHS, "lr": 0.1, "batch": 128}
    net = NetSpec(width=4, depth=2)
    return TrajectoryTask(data=resolve("digits"), net=net, **(fields | changes))


@pytest.fixture
def digits(store, compute):
    """The digits as a task sees them."""
    from ddcore.data import dataset_task, ensure

    compute(dataset_task(resolve("digits")))
    spec = bank()
    context = worker.Context(store, store.create(spec), spec, "cpu")
    return DeviceData(ensure(context, spec.data), "cpu")


def distance(one, other):
    return torch.cat([(one[k] - other[k]).flatten() for k in one]).norm().item()


def test_same_spec_same_trajectories(compute, store):
    spec = bank(augment="crop_scale_rotate")
    first = {e: compute(spec).arrays(f"expert-{e:04d}") for e in range(2)}
    store.delete(store.task(spec))
    second = {e: compute(spec).arrays(f"expert-{e:04d}") for e in range(2)}
    for e in range(2):
        assert all(np.array_equal(first[e][k], second[e][k]) for k in first[e])
    assert not np.array_equal(first[0]["start.0.weight"], first[1]["start.0.weight"])


def test_every_epoch_is_kept_with_its_accuracy(compute, digits):
    task = compute(bank())
    result, experts = task.result(), Trajectories(task)
    assert len(experts) == 2
    for part in ("validation", "test"):
        found = np.array(result["accuracies"][part])
        assert found.shape == (2, EPOCHS + 1)
        assert (found[:, 0] < 0.3).all() and (found[:, -1] > 0.35).all()
        assert result[part]["mean"] == pytest.approx(found[:, -1].mean())
    network = Network(bank().net, (1, 8, 8), 10)
    for epoch in (0, 2, EPOCHS):  # the weights are the ones whose accuracy is stored
        weights, end = experts.stretch(1, epoch, epoch)
        assert distance(weights, end) == 0
        module = to_module(network, {k: w[None] for k, w in weights.items()})
        images, labels = next(digits.test.batches(10_000))
        right = (module(images).argmax(1) == labels).float().mean().item()
        assert right == pytest.approx(result["accuracies"]["test"][1][epoch], abs=0.01)


def test_experts_at_once_equal_experts_one_by_one(digits):
    """To rounding, which training magnifies: a small step size keeps it small."""
    spec = bank(nets=3, lr=0.02, augment="crop_scale_rotate")
    together = train_experts(spec, digits, range(3)).arrays()
    for i in range(3):
        (alone,) = train_experts(spec, digits, [i]).arrays()
        for name in (n for n in alone if n.startswith("start.")):
            assert np.array_equal(alone[name], together[i][name])
        moved = [n for n in alone if n.startswith("moves.")]
        errors, lengths = (
            sum(np.square(x.astype("f4").sum(0)).sum() for x in found)
            for found in (
                [together[i][n].astype("f4") - alone[n] for n in moved],
                [alone[n] for n in moved],
            )
        )
        assert errors**0.5 < 1e-3 * lengths**0.5


def test_storage_keeps_what_matching_looks_at(compute, digits, monkeypatch):
    """Against float32 snapshots of the same training: directions, and the loss of another network."""
    spec = bank(epochs=12, lr=0.02, nets=1)
    exact = []
    observe = trajectory.Recorder.observe

    def spy(self, epoch, nets):
        exact.append({k: w.detach()[0].clone() for k, w in nets.params.items()})
        observe(self, epoch, nets)

    monkeypatch.setattr(trajectory.Recorder, "observe", spy)
    experts = Trajectories(compute(spec))
    for t in range(11):
        start, target = experts.stretch(0, t, t + 2 if t < 11 else t + 1)
        move = {k: target[k] - start[k] for k in start}
        true = {k: exact[t + 2][k] - exact[t][k] for k in start}
        length = distance(exact[t + 2], exact[t])
        assert distance(move, true) / length < 1e-3
        student = {k: w + 0.3 * true[k] for k, w in exact[t].items()}
        losses = [
            (distance(student, goal) / distance(begin, goal)) ** 2
            for begin, goal in ((start, target), (exact[t], exact[t + 2]))
        ]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    # Rounding the weights themselves would not do.
    rounded = [{k: w.half().float() for k, w in snapshot.items()} for snapshot in exact]
    worst = {k: rounded[12][k] - rounded[10][k] for k in exact[0]}
    true = {k: exact[12][k] - exact[10][k] for k in exact[0]}
    assert distance(worst, true) / distance(exact[12], exact[10]) > 1e-3


def test_a_stop_loses_no_finished_expert(compute, store, monkeypatch):
    spec = bank(nets=3)
    whole = {e: compute(spec).arrays(f"expert-{e:04d}") for e in range(3)}
    result = store.task(spec).result()
    store.delete(store.task(spec))
    progress, trained = worker.Context.progress, []
    train = trajectory.train_experts

    def stopping(self, step, total, message="", **metrics):
        if self.spec == spec and step > 0.8 * total:  # in the third expert
            raise Cancelled("stop")
        progress(self, step, total, message, **metrics)

    def counting(spec, data, experts, on_step):
        trained.extend(experts)
        return train(spec, data, experts, on_step)

    monkeypatch.setattr(worker.Context, "progress", stopping)
    with pytest.raises(Cancelled):
        compute(spec)
    monkeypatch.setattr(worker.Context, "progress", progress)
    monkeypatch.setattr(trajectory, "train_experts", counting)
    again = compute(spec)
    assert trained == [2]
    assert again.result()["accuracies"] == result["accuracies"]
    for e in range(3):
        found = again.arrays(f"expert-{e:04d}")
        assert all(np.array_equal(found[k], whole[e][k]) for k in found)


def test_lost_and_still_experts_are_said(compute, digits):
    with pytest.raises(DDError, match="diverged in epoch"):
        compute(bank(nets=1, lr=100, momentum=0.99, epochs=8))
    network = Network(bank().net, (1, 8, 8), 10)
    nets = TrainedNets(network, network.init(rng.generator(0)), {})
    recorder = trajectory.Recorder(digits)
    recorder.observe(0, nets)
    with pytest.raises(DDError, match="stood still in epoch 1"):
        recorder.observe(1, nets)


def test_reading_opens_only_the_expert_asked_for(compute, store):
    task = compute(bank())
    (task.folder / "expert-0001.safetensors").write_bytes(b"x" * 10)
    task = store.task(bank())
    assert not task.is_done()  # and so it is computed again rather than half read
    whole = compute(bank())
    experts = Trajectories(whole)
    experts.stretch(0, 0, 1)
    assert list(experts._files) == [0]


def test_runs_share_experts_and_refuse_what_does_not_fit():
    runs = [
        make_spec("mtt", resolve("digits"), (1, 8, 8), ipc=i, seed=s) for i, s in ((1, 0), (9, 5))
    ]
    assert mtt.experts(runs[0]).key == mtt.experts(runs[1]).key
    other = make_spec("mtt", resolve("digits"), (1, 8, 8), settings=[("expert_lr", "0.03")])
    assert mtt.experts(other).key != mtt.experts(runs[0]).key
    for field, value, words in (
        ("max_start", "11", "max_start = 11"),
        ("expert_epochs", "12", "expert_epochs = 12"),
        ("net.norm", "batch", "a norm without running statistics"),
        ("gradient", "rough", "gradient = 'rough'"),
    ):
        with pytest.raises(SpecError, match=words):
            make_spec("mtt", resolve("digits"), (1, 8, 8), settings=[(field, value)])


def test_what_a_needed_task_takes_is_not_counted_as_the_runs_own(compute, monkeypatch):
    """A run that trains its experts itself is no slower for it in its result; people wait for both."""
    slow, wait = trajectory._train, 1.5

    def slowed(context, job):
        time.sleep(wait)
        end = time.process_time() + wait
        while time.process_time() < end:
            pass
        slow(context, job)

    monkeypatch.setattr(trajectory, "_train", slowed)
    settings = {"iterations": "2", "experts": "1", "epochs": "3", "max_start": "1"}
    settings |= {"validations": "1", "val_nets": "1", "net.width": "4"}
    run = make_spec("mtt", resolve("digits"), (1, 8, 8), settings=list(settings.items()))
    run = run.replace(protocol=run.protocol.replace(epochs=5))
    task = compute(run)
    result, total = task.result(), task.status()["seconds"]
    assert total > result["seconds"] + 2 * wait
    assert 0 < result["cpu_seconds"] < total - wait
