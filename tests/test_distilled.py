"""`DistilledSet`: order, parts, exact storage, what does not fit together."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ddcore.base.errors import DataError, SpecError
from ddcore.data.preprocess import Preprocess
from ddcore.nets import NetSpec
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.files import write_arrays, write_json
from ddcore.tasks.store import Store, Task
from ddcore.tasks.testing import SleepyTask
from ddcore.training.protocols import PROTOCOLS

CLASSES = ("zero", "one", "two")


def make(ipc=2, steps=1, shape=(1, 4, 4), soft=False, lrs=None, init=False, zca=False, **changes):
    """A small set; image values and everything else differ between any two places."""
    g = np.random.default_rng(0)
    k, d = len(CLASSES), int(np.prod(shape))
    labels = np.tile(np.repeat(np.arange(k), ipc // steps), steps)
    given = {"mean": np.full(shape[0], 0.1, np.float32), "std": np.full(shape[0], 0.3, np.float32)}
    if zca:
        matrix = (np.eye(d) + 0.1 * g.normal(size=(d, d))).astype(np.float32)
        inverse = np.linalg.inv(matrix).astype(np.float32)
        mean = g.uniform(size=d).astype(np.float32)
        given |= {"zca_mean": mean, "zca_matrix": matrix, "zca_inverse": inverse}
    if soft:
        labels = (np.eye(k)[labels] + 0.1 * g.uniform(size=(k * ipc, k))).astype(np.float32)
    values = {
        "images": g.normal(size=(k * ipc, *shape)).astype(np.float32),
        "labels": labels,
        "class_names": CLASSES,
        "preprocess": Preprocess(**given),
        "net": NetSpec(arch="convnet", width=4, depth=1),
        "protocol": PROTOCOLS["quick"].replace(epochs=3),
        "method": "dm",
        "run_key": "0123456789abcdef",
        "data": {"name": "digits", "path": "", "val_fraction": 0.1},
        "steps": steps,
        "lrs": lrs,
        "init_weights": {"0.weight": g.normal(size=(1, 4, 1, 3, 3))} if init else {},
        "params": {"lr": 0.1 + 0.2, "augment": ""},
        "metrics": {"validation": {"mean": 1 / 3, "n": 2}, "step": 7},
    }
    return DistilledSet(**values | changes)


def assert_same(a, b, data=True):
    """Bit-exact equality of two sets, types and shapes included."""
    (arrays, meta), (other_arrays, other_meta) = a.to_arrays(), b.to_arrays()
    assert arrays.keys() == other_arrays.keys()
    for name, array in arrays.items():
        other = other_arrays[name]
        assert array.dtype == other.dtype and array.shape == other.shape, name
        assert array.tobytes() == other.tobytes(), name
    if not data:
        meta, other_meta = ({**m, "data": None} for m in (meta, other_meta))
    assert meta == other_meta
    assert a.net == b.net and a.protocol == b.protocol


VARIANTS = {
    "plain": {},
    "soft": {"soft": True},
    "ordered": {"ipc": 4, "steps": 2, "lrs": np.array([0.1, 0.2, 0.3, 0.4], np.float32)},
    "fixed init": {"init": True, "lrs": np.float32([0.02, 0.01])},
    "zca": {"zca": True, "shape": (3, 2, 2)},
    "colour": {"shape": (3, 4, 6)},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_arrays_round_trip(name):
    made = make(**VARIANTS[name])
    arrays, meta = made.to_arrays()
    assert_same(made, DistilledSet.from_arrays(arrays, json.loads(json.dumps(meta))))


def test_facts():
    made = make(ipc=2)
    assert (made.ipc, made.num_classes, made.shape, made.soft) == (2, 3, (1, 4, 4), False)
    assert make(soft=True).hard_labels.tolist() == made.hard_labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert make(ipc=4, steps=2).step_of.tolist() == [0] * 6 + [1] * 6


@pytest.mark.parametrize("zca", [False, True])
def test_pixels_are_the_inverse_and_never_clamped(zca):
    made = make(zca=zca)
    pixels = made.pixels()
    np.testing.assert_allclose(made.preprocess.forward(pixels), made.images, atol=1e-4)
    if not zca:
        np.testing.assert_allclose(pixels, made.images * 0.3 + 0.1, atol=1e-6)
        outside = (pixels < 0) | (pixels > 1)
        assert 0.2 < made.clipped_share() <= outside.mean()


def test_real_black_and_white_are_not_clipped():
    plain = make()
    real = np.random.default_rng(1).integers(0, 2, plain.images.shape).astype(np.uint8) * 255
    made = dataclasses.replace(plain, images=plain.preprocess.forward(real))
    assert made.clipped_share() == 0


def test_order_by_class_keeps_steps():
    made = make(ipc=4, steps=2)
    rows = made.by_class()
    assert rows.tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    assert made.order().tolist() == rows.ravel().tolist()
    assert (made.hard_labels[rows] == np.arange(3)[:, None]).all()


def test_unbalanced_classes():
    made = make(labels=np.array([2, 0, 0, 0, 1, 2]))
    assert made.order().tolist() == [1, 2, 3, 4, 0, 5]
    with pytest.raises(DataError, match="1 to 3 images"):
        made.by_class()


def test_subset():
    made = make(ipc=3)
    part = made.subset(2)
    assert part.hard_labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(part.images, made.images[[0, 1, 3, 4, 6, 7]])
    assert part.run_key == "" and part.metrics == {"subset_of": made.run_key, "ipc": 2}
    with pytest.raises(SpecError, match="from 1 to 3"):
        made.subset(4)


def test_subset_of_steps_keeps_their_step_sizes():
    made = make(ipc=6, steps=3, lrs=np.arange(6, dtype=np.float32))  # two passes
    part = made.subset(4)
    assert part.steps == 2 and part.lrs.tolist() == [0, 1, 3, 4]
    assert np.array_equal(part.images, made.images[:12])
    with pytest.raises(SpecError, match="multiple of the 2"):
        made.subset(3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((6, 4, 4))}, r"\(M, C, H, W\)"),
        ({"images": np.zeros((0, 1, 4, 4)), "labels": np.zeros(0, int)}, r"\(M, C, H, W\)"),
        ({"labels": np.zeros(5, int)}, r"labels of shape \(6,\) or \(6, 3\)"),
        ({"labels": np.array([0, 0, 1, 1, 2, 3])}, "labels from 0 to 2"),
        ({"labels": np.linspace(0, 1, 6)}, "labels from 0 to 2"),
        ({"steps": 4, "labels": np.zeros(6, int)}, "divide the 6 images"),
        ({"steps": 2, "lrs": np.ones(3), "ipc": 2}, "whole passes through 2 steps"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "x"}, "not a distilled set"),
        ({"version": 2}, "version 2"),
        ({"net": {"arch": "vit"}}, "arch = 'vit'"),
        ({"net": 3}, "damaged"),
        ({"protocol": {"epochs": 0}}, "epochs = 0"),
        ({"class_names": None}, "damaged"),
        ({"steps": "many"}, "damaged"),
    ],
)
def test_damaged_meta(change, message):
    arrays, meta = make().to_arrays()
    with pytest.raises(DataError, match=message):
        DistilledSet.from_arrays(arrays, meta | change)


@pytest.mark.parametrize("name", ["images", "labels", "preprocess.mean"])
def test_missing_arrays(name):
    arrays, meta = make().to_arrays()
    del arrays[name]
    with pytest.raises(DataError, match=name.split(".")[-1]):
        DistilledSet.from_arrays(arrays, meta)


class Writer:
    """What `write` uses of a worker's context."""

    def __init__(self, folder):
        self.folder = folder

    def save_arrays(self, arrays, name="arrays"):
        write_arrays(self.folder / f"{name}.safetensors", arrays)


def test_write_and_read_a_task(tmp_path):
    folder = Store(tmp_path, gallery=None).create(SleepyTask()).folder
    made = make(soft=True, init=True, lrs=np.ones(3))
    write_json(folder / "result.json", {"set": made.write(Writer(folder)), "other": 1})
    Task(folder).finish()
    assert_same(made, DistilledSet.from_task(Task(folder)))


def test_a_task_without_a_set(tmp_path):
    folder = Store(tmp_path, gallery=None).create(SleepyTask()).folder
    write_json(folder / "result.json", {"mean": 1})
    Task(folder).finish()
    with pytest.raises(DataError, match="has not made a distilled set"):
        DistilledSet.from_task(Task(folder))


def test_three_lines_to_a_trained_network():
    made = make(shape=(1, 8, 8))
    trained = made.train(nets=2)
    classes = trained.predict(made.images)
    assert tuple(classes.shape) == (2, 6)
    assert made.train(NetSpec(arch="mlp", width=8, depth=1)).module is not None


def test_importing_needs_no_torch():
    code = "import sys, ddcore.sets.exports, ddcore.sets.render; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
