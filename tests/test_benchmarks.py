"""Files for benchmarks open as documented; DD-Ranking's scores are computed anew; the best on test."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import ddx
from ddcore.base.errors import DataError, SpecError
from ddcore.data import resolve
from ddcore.measure import ranking
from ddcore.measure.accuracy import BestOnTest
from ddcore.measure.ranking_file import read
from ddcore.measure.spec import AccuracyTask
from ddcore.nets import NetSpec
from ddcore.sets import benchmarks, exports
from ddcore.sets.distilled import DistilledSet
from ddcore.training.protocols import PROTOCOLS
from ddcore.training.train import train
from tests.test_distilled import make

MEAN = np.array([0.4914, 0.4822, 0.4465])[:, None, None]
STD = np.array([0.2023, 0.1994, 0.2010])[:, None, None]


def cifar(name: str = "cifar10", ipc: int = 2, soft: bool = False, **changes) -> DistilledSet:
    """A set in the order of turns: 0, 1, ..., 0, 1, ..."""
    classes = 100 if name == "cifar100" else 10
    g = np.random.default_rng(0)
    labels = np.tile(np.arange(classes), ipc)
    if soft:
        noise = 0.1 * g.uniform(size=(len(labels), classes))
        labels = (np.eye(classes)[labels] + noise).astype(np.float32)
    values = {
        "images": g.normal(size=(classes * ipc, 3, 32, 32)).astype(np.float32),
        "shape": (3, 32, 32),
        "labels": labels,
        "class_names": tuple(map(str, range(classes))),
        "data": {"name": name, "path": "", "val_fraction": 0.1},
    }
    return make(**(values | changes))


def opened(folder, name: str) -> torch.Tensor:
    """As DD-Ranking's own examples read a file, without running anything in it."""
    return torch.load(folder / name, map_location="cpu", weights_only=True)


@pytest.mark.parametrize("soft", [False, True])
def test_dd_ranking_reads_what_is_written(soft, tmp_path):
    """Its code takes batches of images by class, and the softmax of labels."""
    made = cifar(soft=soft)
    out = exports.export(made, "dd-ranking", tmp_path / "set")
    images, lr = opened(out, "images.pt"), opened(out, "lr.pt")
    assert images.shape == (20, 3, 32, 32) and images.dtype == torch.float32
    assert lr.ndim == 0 and float(lr) == pytest.approx(made.protocol.lr)
    classes = made.hard_labels[made.hard_labels.argsort(kind="stable")]
    assert classes.tolist() == [c for c in range(10) for _ in range(2)]
    # Back on the scale of pixels, the images are those of the set, by class.
    pixels = images.double().numpy() * STD + MEAN
    own = made.pixels()[made.hard_labels.argsort(kind="stable")]
    np.testing.assert_allclose(pixels, own, atol=1e-5)
    config = (out / "config.yaml").read_text()
    assert "dataset: CIFAR10" in config and "ipc: 2" in config
    assert (out / "labels.pt").exists() == soft
    if soft:
        labels = opened(out, "labels.pt")
        shares = made.labels / made.labels.sum(1, keepdims=True)
        wanted = shares[made.hard_labels.argsort(kind="stable")]
        np.testing.assert_allclose(labels.softmax(1).numpy(), wanted, rtol=1e-4)
        assert (labels <= 0).all() and torch.equal(labels.argmax(1), torch.from_numpy(classes))
    content, name, mime = exports.export_bytes(made, "dd-ranking")
    assert (content, name, mime) == exports.export_bytes(made, "dd-ranking")


# What its two evaluators ask of a file of settings, where all but `dist` has to be there (version 0.2.0).
ASKED = """aug_params custom_train_trans custom_val_trans data_aug_func dataset device dist eval_full_data
im_size ipc lr_scheduler model_name momentum num_epochs num_eval num_workers optimizer random_data_format
random_data_path real_batch_size real_data_path save_path step_size syn_batch_size use_zca weight_decay"""
ASKED_HARD = "use_torchvision"
ASKED_SOFT = """loss_fn_kwargs soft_label_criterion soft_label_mode stu_use_torchvision tea_use_torchvision
teacher_dir teacher_model_names use_aug_for_hard"""


@pytest.mark.parametrize("soft", [False, True])
def test_the_settings_hold_all_that_dd_ranking_asks_for(soft, tmp_path):
    out = exports.export(cifar(soft=soft), "dd-ranking", tmp_path / "set")
    lines = (out / "config.yaml").read_text().splitlines()
    there = {line.partition(":")[0] for line in lines if not line.startswith(" ")}
    assert {*ASKED.split(), *(ASKED_SOFT if soft else ASKED_HARD).split()} <= there
    assert len(there) == len([line for line in lines if not line.startswith(" ")])


@pytest.mark.parametrize("made", [make(), cifar(), cifar("cifar100", ipc=10), cifar("cifar100")])
@pytest.mark.parametrize("format", ["dd-ranking", "eccv-2024"])
def test_what_is_refused_is_known_before(made, format):
    if reason := benchmarks.refusal(made, format):
        with pytest.raises(SpecError) as refused:
            exports.export_bytes(made, format)
        assert str(refused.value) == reason
    else:
        assert exports.export_bytes(made, format)


def test_the_challenge_reads_one_bare_tensor(tmp_path):
    made = cifar("cifar100", ipc=10)
    out = exports.export(made, "eccv-2024", tmp_path / "set")
    images = opened(out, "cifar100.pt")
    assert images.shape == (1000, 3, 32, 32) and images.dtype == torch.float32
    mean, std = np.array([0.5071, 0.4866, 0.4409]), np.array([0.2673, 0.2564, 0.2762])
    own = made.pixels()[made.hard_labels.argsort(kind="stable")]
    pixels = images.numpy() * std[:, None, None] + mean[:, None, None]
    np.testing.assert_allclose(pixels, own, atol=1e-5)


@pytest.mark.parametrize(
    ("format", "made", "words"),
    [
        ("dd-ranking", make(), "all classes of cifar10 or cifar100"),
        ("eccv-2024", cifar(), "all classes of cifar100"),
        ("eccv-2024", cifar("cifar100", ipc=1), "10 images per class"),
        ("dd-ranking", cifar(labels=np.zeros(20, np.int64)), "as many images of every class"),
        (
            "dd-ranking",
            cifar(labels=(np.eye(10)[np.tile(np.arange(10), 2)] - 0.1).astype(np.float32)),
            "labels are distributions",
        ),
    ],
    ids=["digits", "other data", "other size", "uneven", "regression"],
)
def test_what_does_not_fit_is_refused(format, made, words, tmp_path):
    with pytest.raises(SpecError, match=words):
        exports.export(made, format, tmp_path / "set")
    assert not list(tmp_path.iterdir())


# --- scores of DD-Ranking -----------------------------------------------------------------------


def test_its_parts_are_read_and_its_score_is_not():
    """HLR 35 and IOR 10 per cent are LRS .219; the file says something else."""
    text = "hard_label_recovery,improvement_over_random,lrs\n35.0,10.0,-0.1565\n31.0,12.0,-0.1565\n"
    found = read(text)
    assert found.name == "lrs" and found.n == 2
    assert [p.mean for p in found.parts] == pytest.approx([0.33, 0.11])
    each = [ranking.label_robust_score(0.35, 0.10), ranking.label_robust_score(0.31, 0.12)]
    assert each[0] == pytest.approx(0.219, abs=5e-4)
    assert found.score.mean == pytest.approx(np.mean(each))
    assert found.score.std == pytest.approx(np.std(each, ddof=1))
    one = read("with_aug_scores,without_aug_scores,ars_list\n10,20,0.5\n")
    assert one.score.mean == pytest.approx(ranking.augmentation_robust_score(0.1, 0.2))
    assert one.score.std is None and one.name == "ars"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no columns"),
        ("a,b\n1,2\n", "no columns"),
        ("hard_label_recovery,improvement_over_random\n1,x\n", "row 1 is no difference"),
        ("hard_label_recovery,improvement_over_random\n1,2\n500,2\n", "row 2 is no difference"),
        ("hard_label_recovery,improvement_over_random\n1\n", "row 1 is no difference"),
    ],
)
def test_other_files_are_refused(text, words):
    with pytest.raises(DataError, match=words):
        read(text)


def test_scores_are_told(tmp_path, capsys):
    file = tmp_path / "scores.csv"
    file.write_text("hard_label_recovery,improvement_over_random,lrs\n35.0,10.0,-0.1565\n")
    assert ddx.main(["scores", str(file), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["score"]["mean"] == pytest.approx(0.219, abs=5e-4)
    assert answer["score"]["std"] is None
    assert ddx.main(["scores", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "label robust score: 0.219 (n = 1; HLR +35.0 points, IOR +10.0 points)" in shown
    assert ddx.main(["scores", str(tmp_path / "none.csv")]) == 2


# --- as published ---------------------------------------------------------------------------------


def test_the_best_is_that_of_each_network_at_its_looks():
    """Against a training that is looked at after every epoch by hand."""
    g = torch.Generator().manual_seed(0)
    images, labels = torch.randn(20, 1, 8, 8, generator=g), torch.arange(20) % 10
    test = type("Test", (), {})()
    seen: list[list[float]] = []
    recipe = PROTOCOLS["quick"].replace(epochs=7, batch=8)

    class Looked(BestOnTest):
        def look(self, epoch, nets):
            said = (nets.predict(images) == labels).float().mean(1).tolist()
            seen.append(said)
            monkeyed = type("Nets", (), {"network": nets.network, "accuracy": lambda s, t: said})()
            super().look(epoch, monkeyed)

    looks = Looked(3, 7, test)
    net = NetSpec(width=4, depth=2)
    train(net, images, labels, 10, recipe, [0, 1, 2], on_epoch=looks.look, chunk=2)
    first, second = seen[:8], seen[8:]
    expected = [max(g[e][i] for e in (3, 6, 7)) for g in (first, second) for i in range(len(g[0]))]
    assert looks.best() == expected and len(expected) == 3
    assert BestOnTest(0, 7, test).best() is None


def test_nobody_looks_unless_asked():
    fields = {
        "subject": "0" * 16,
        "data": resolve("digits"),
        "net": NetSpec(),
        "protocol": PROTOCOLS["quick"],
    }
    plain = AccuracyTask(**fields)
    assert "best_every" not in plain.to_dict() and plain.key != plain.replace(best_every=10).key
    with pytest.raises(SpecError, match=r"best_every = 10 .* 0 with protocol kernel"):
        AccuracyTask(**(fields | {"protocol": PROTOCOLS["kernel"], "best_every": 10}))
