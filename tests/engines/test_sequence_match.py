"""SeqMatch against trajectory matching, and a later part against training that is written out here."""

import pytest
import torch

from ddcore.base.errors import SpecError
from ddcore.data import resolve
from ddcore.distil.contract import method
from ddcore.distil.engines.sequence_match import SequentialMatching
from ddcore.distil.engines.trajectory_match import TrajectoryMatching
from ddcore.distil.methods.mtt import stretches
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.nets.network import Network
from ddcore.sets.distilled import DistilledSet
from ddcore.training.losses import cross_entropy
from tests.engines.test_aligned_match import data
from tests.engines.test_trajectory_match import SHAPE, Experts, gradients
from tests.test_runner import tiny


def matching(engine=SequentialMatching, parts=2, ipc=2, **settings):
    """An engine on made-up experts of three epochs, ten iterations long."""
    small = {"net.width": "4", "init": "real", "epochs": "3", "max_start": "1", "lr0": "0.1"}
    small |= {"expert_epochs": "1", "inner_steps": "3", "nets": "2", "iterations": "10"}
    small |= {"parts": str(parts), "optimiser": "adam"} | settings
    spec = make_spec("seqmatch", resolve("digits"), SHAPE, ipc=ipc, settings=list(small.items()))
    return engine(Problem(spec, data(), "cpu"), Experts(spec.net), stretches(spec.params))


def moved(engine, iteration):
    """One whole iteration."""
    found = gradients(engine, iteration)
    engine.optimiser.step()
    return found


@pytest.mark.parametrize("settings", [{}, {"batch_syn": "7"}, {"augment": "crop_scale"}])
def test_with_one_part_it_is_trajectory_matching_to_the_bit(settings):
    plain, one = (
        matching(e, parts=1, **settings) for e in (TrajectoryMatching, SequentialMatching)
    )
    for iteration in range(4):
        (here, loss), (there, other) = (moved(e, iteration) for e in (plain, one))
        assert loss == other
        assert all(torch.equal(here[name].flatten(), there[name].flatten()) for name in here)


def test_a_later_part_begins_where_the_one_before_ends_and_leads_on():
    engine = matching()
    start, target = engine._stretches(7)  # the second part
    plain = matching(TrajectoryMatching)
    first, _ = plain._stretches(7)
    images, labels = engine.synthetic.final()
    network, rate = Network(engine.problem.spec.net, SHAPE, 10, 2), 0.1
    for _ in range(3):
        weights = {k: w.requires_grad_() for k, w in first.items()}
        loss = cross_entropy(network.logits(weights, images[:10]), labels[:10])
        slopes = torch.autograd.grad(loss, list(weights.values()))
        first = {k: (w - rate * g).detach() for (k, w), g in zip(weights.items(), slopes)}
    for name, w in start.items():
        torch.testing.assert_close(w, first[name], rtol=1e-4, atol=1e-6)
    ends = [expert[2]["0.weight"][0] for expert in engine.experts.epochs]  # 0 + 2 x 1 epochs
    assert all(any(torch.equal(w, end) for end in ends) for w in target["0.weight"])


def test_only_one_part_moves_at_a_time():
    engine = matching()
    images = engine.tensors()["images"]
    for iteration in range(10):
        before = images.detach().clone(), engine.log_lr.detach().clone()
        moved(engine, iteration)
        changed = (images != before[0]).flatten(1).any(1)
        part = iteration // 5
        assert changed[10 * part : 10 * part + 10].all()
        assert int(changed.sum()) == 10
        assert (engine.log_lr != before[1]).tolist() == [part == 0, part == 1]


def test_minibatches_are_of_the_part():
    engine = matching(batch_syn="4")
    pieces = engine._minibatches(3, 1)
    assert [len(p) for p in pieces] == [4, 4, 2]
    assert sorted(torch.cat(list(pieces)).tolist()) == list(range(10, 20))


def test_the_set_knows_its_parts_and_their_step_sizes():
    engine = matching()
    engine.log_lr.data[1] += 1.0
    lrs = engine.current().lrs
    assert lrs.tolist() == pytest.approx([0.1, 0.1 * 2.718281828], rel=1e-5)


def test_the_work_is_that_of_all_steps():
    asked = [("parts", "2"), ("iterations", "10"), ("batch_syn", "0"), ("epochs", "14")]
    spec = make_spec("seqmatch", resolve("digits"), SHAPE, ipc=2, settings=asked)
    one = make_spec("mtt", resolve("digits"), SHAPE, ipc=1, settings=[("iterations", "10")])
    whole = method("mtt").cost(one, SHAPE, 10).macs  # ten iterations on ten images
    # In five of ten iterations a plain training on the first part comes before: 3 of 12 passes.
    assert method("seqmatch").cost(spec, SHAPE, 10).macs == pytest.approx(
        whole * (1 + 0.5 * 3 / 12)
    )


def test_stopped_in_the_second_part_and_resumed_is_bit_identical(compute, store, monkeypatch):
    from ddcore.tasks import worker

    spec = tiny("seqmatch", ipc=2, parts="2", epochs="4", max_start="1")
    whole = DistilledSet.from_task(compute(spec))
    assert whole.steps == 2 and len(whole.lrs) == 2
    store.delete(store.task(spec))
    progress = worker.Context.progress

    class Killed(BaseException):
        pass

    monkeypatch.setattr(worker, "CHECKPOINT_EVERY_S", 0.0)
    for stop in (6, 9):  # between both parts, and in the second

        def dying(self, step, total, message="", stop=stop, **metrics):
            progress(self, step, total, message, **metrics)
            if self.spec.KIND == "distill" and step == stop:
                raise Killed

        monkeypatch.setattr(worker.Context, "progress", dying)
        with pytest.raises(Killed):
            compute(spec)
    monkeypatch.setattr(worker.Context, "progress", progress)
    resumed = DistilledSet.from_task(compute(spec))
    assert (resumed.images == whole.images).all() and (resumed.lrs == whole.lrs).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"parts": "3", "max_start": "5"}, r"parts = 3 .*a divisor of ipc = 4"),
        ({"parts": "4", "epochs": "12", "max_start": "5"}, r"max_start = 5 .*at most 4: 4 parts"),
        ({"parts": "2", "parametrization": "tiles"}, r"parametrization = 'tiles'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(settings, said):
    with pytest.raises(SpecError, match=said):
        make_spec("seqmatch", resolve("digits"), SHAPE, ipc=4, settings=list(settings.items()))
