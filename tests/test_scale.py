"""Large data in parts: teachers from files, selections by class, class folders in and out."""

from __future__ import annotations

import csv
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image, ImageDraw

from ddcore.base import isolated
from ddcore.base.errors import DataError, SpecError
from ddcore.base.specs import task_from_document
from ddcore.cli import main
from ddcore.data import dataset_task, load, resolve
from ddcore.data.dataset import some
from ddcore.data.spec import IMAGENET, DataSpec
from ddcore.distil.contract import DistillSpec, method
from ddcore.distil.estimate import need_of_selection
from ddcore.distil.selection_spec import Selection, SelectionPart
from ddcore.distil.settings import make_spec
from ddcore.measure import label_bytes
from ddcore.measure.regimes import regime
from ddcore.measure.spec import default_evaluation
from ddcore.nets import published
from ddcore.nets.network import Network
from ddcore.pools import published as files
from ddcore.pools.real_spec import RealPool
from ddcore.sets import exports, image_folders
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.importers import sheets
from ddcore.tasks import worker
from ddcore.tasks.store import Store
from tests.test_distilled import make

SIDE, CLASSES = 64, 10


# --- made by the tests ------------------------------------------------------------------------------


def shape(number: int, g: np.random.Generator) -> Image.Image:
    """A figure of a class, somewhere, in some colour, on noise."""
    noise = g.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    draw = ImageDraw.Draw(picture)
    x, y = g.integers(6, 18, 2).tolist()
    box, colour = (x, y, x + 38, y + 38), tuple(g.integers(120, 255, 3).tolist())
    kind, filled = number % 5, number >= 5
    fill = {"fill": colour} if filled else {"outline": colour, "width": 5}
    if kind == 0:
        draw.ellipse(box, **fill)
    elif kind == 1:
        draw.rectangle(box, **fill)
    elif kind == 2:
        draw.regular_polygon((x + 19, y + 19, 19), 3, **({"fill": colour} if filled else fill))
    elif kind == 3:
        for k in range(3):
            draw.line((x, y + 17 * k, x + 38, y + 17 * k), fill=colour, width=9 if filled else 3)
    else:
        for k in range(3):
            draw.line((x + 17 * k, y, x + 17 * k, y + 38), fill=colour, width=9 if filled else 3)
    return picture


def make_folder(root: Path, train: int, val: int) -> Path:
    g = np.random.default_rng(0)
    for part, count in (("train", train), ("val", val)):
        for c in range(CLASSES):
            folder = root / part / f"n{c:08d}"
            folder.mkdir(parents=True)
            for i in range(count):
                shape(c, g).save(folder / f"{i:03d}.png")
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("shapes") / "shapes", 8, 2)


@pytest.fixture(scope="module")
def module():
    """A ResNet-18 of torchvision with statistics that are not 0 and 1."""
    torch.manual_seed(0)
    made = torchvision.models.resnet18(num_classes=CLASSES).train()
    with torch.no_grad():
        made(torch.randn(8, 3, SIDE, SIDE))
    return made.eval()


@pytest.fixture
def unfenced(monkeypatch):
    """Weights are read by this process: starting one takes seconds, and `fenced` tests start one."""
    fenced = isolated.call

    def call(function, request, folder, limits, **rest):
        if function != "ddcore.pools.published:_open":
            return fenced(function, request, folder, limits, **rest)
        return files._open(request, folder, None)

    monkeypatch.setattr(isolated, "call", call)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where nothing but what a test puts there is found."""
    monkeypatch.setenv("DD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


@pytest.fixture
def weights(module, place, unfenced):
    """The module, and the word of its file."""
    torch.save(module.state_dict(), place / "teacher.pth")
    return module, files.adopt("resnet18", place / "teacher.pth")


def computed(store: Store, spec):
    task = store.create(spec)
    if not task.is_done():
        worker.run_task(store, task, spec, "cpu")
    return task


def rded(data: DataSpec, word: str, **settings: str) -> DistillSpec:
    chosen = {"teacher": word, "candidates": "6", "crops": "2", "labels": "soft", "val_nets": "1"}
    chosen |= {"protocol": "quick", "protocol.epochs": "2", "net.width": "4", "ipc": "1"} | settings
    return make_spec("rded", data, (3, SIDE, SIDE), settings=list(chosen.items()))


# --- teachers from files ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", published.NETWORKS)
@pytest.mark.parametrize("side", [64, 224])
def test_networks_say_what_torchvisions_say(name, side):
    torch.manual_seed(1)
    module = getattr(torchvision.models, name)(num_classes=7)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(), layer.running_var.uniform_(0.5, 2)
    if name == "alexnet" and side != 224:
        pytest.skip(
            "torchvision averages what is left to 6 x 6, which is only the same at 224 pixels"
        )
    images = torch.randn(2, 3, side, side)
    state = {k: v.numpy() for k, v in module.state_dict().items()}
    network = Network(published.NETWORKS[name], (3, side, side), 7)
    nets = files.fitted(state, network, "x.pth")
    with torch.no_grad():
        theirs = module.eval()(images)
        ours = torch.cat(nets.logits_in_batches(images), dim=1)[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_a_file_is_taken_under_the_name_that_torchvision_would_give_it(weights, tmp_path, capsys):
    _, word = weights
    digest = hashlib.sha256((tmp_path / "teacher.pth").read_bytes()).hexdigest()
    assert word == f"resnet18-{digest[:8]}"
    assert main(["teacher", str(tmp_path / "teacher.pth"), "--arch", "resnet18"]) == 0
    assert capsys.readouterr().out.strip() == word
    assert files.find(word).parent.name == "weights"
    theirs = tmp_path / "torch" / "hub" / "checkpoints"  # where torchvision puts what it fetches
    theirs.mkdir(parents=True)
    files.find(word).rename(theirs / f"{word}.pth")
    assert files.find(word).parent == theirs
    files.load(word, (3, SIDE, SIDE), CLASSES)


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/evil-weights",)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"hello", "no file of weights"),
        (b"", "no file of weights"),
        (b"PK\x03\x04 and no more", "no file of weights"),
        ([1, 2], "no state_dict"),
        ({"x": "text"}, "no state_dict"),
        ({"x": Evil()}, "no file of weights"),
        (torch.nn.Linear(2, 2), "no file of weights"),
        ({"fc.bias": torch.full((10,), torch.nan)}, "not finite"),
        ({"fc.weight": torch.zeros(10, 512)}, "holds 1 tensors where this network has 62"),
    ],
    ids=["text", "empty", "cut", "list", "texts", "evil", "module", "nan", "few"],
)
def test_what_is_no_file_of_weights_is_refused_in_a_sentence(place, unfenced, value, words):
    path = place / "teacher.pth"
    if isinstance(value, bytes):
        path.write_bytes(value)
    else:
        torch.save(value, path)
    with pytest.raises(DataError, match=words) as refused:
        files.adopt("resnet18", path)
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")
    assert not Path("/tmp/evil-weights").exists() and not (place / "data").exists()


def test_other_networks_and_other_classes_are_refused(weights, place):
    _, word = weights
    other = torchvision.models.resnet34(num_classes=CLASSES)
    torch.save(other.state_dict(), place / "other.pth")
    with pytest.raises(DataError, match="tensors where this network has 62"):
        files.adopt("resnet18", place / "other.pth")
    with pytest.raises(DataError, match="another network, other images or other classes"):
        files.load(word, (3, SIDE, SIDE), CLASSES + 1)
    with pytest.raises(DataError, match="is not a file"):
        files.adopt("resnet18", place)
    with pytest.raises(SpecError, match=r"arch = 'vit_b_16'.*one of resnet18, resnet34, alexnet"):
        files.adopt("vit_b_16", place / "teacher.pth")


@pytest.mark.slow
def test_the_fence_reads_the_same_and_refuses_the_same(module, place):
    """In the process of its own: a whole file, and one that would run a command."""
    torch.save(module.state_dict(), place / "teacher.pth")
    word = files.adopt("resnet18", place / "teacher.pth")
    nets = files.load(word, (3, SIDE, SIDE), CLASSES)
    assert torch.equal(nets.params["0.weight"][0], module.conv1.weight)
    torch.save({"x": Evil()}, place / "evil.pth")
    with pytest.raises(DataError, match="no file of weights"):
        files.adopt("resnet18", place / "evil.pth")
    assert not Path("/tmp/evil-weights").exists()


def test_a_file_that_was_changed_or_is_not_there_is_said(weights):
    _, word = weights
    path = files.find(word)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataError, match="not the file that its name says"):
        files.load(word, (3, SIDE, SIDE), CLASSES)
    path.unlink()
    with pytest.raises(DataError, match=r"teacher FILE puts a file there\."):
        files.load(word, (3, SIDE, SIDE), CLASSES)


@pytest.mark.parametrize(
    "word", ["resnet18", "resnet18-xyz", "resnet50-f37072fd", "resnet18-f37072f"]
)
def test_words_that_name_no_network(word):
    with pytest.raises(SpecError, match="resnet18-f37072fd"):
        published.parse("teacher", word)


def test_a_teacher_from_a_file_asks_for_images_as_it_knows_them():
    data = DataSpec(preprocess="imagenet")
    word = "resnet18-f37072fd"
    regime("online", data, published.NETWORKS["resnet18"], published=word)
    with pytest.raises(SpecError, match=r"preprocess = 'normalise'.*imagenet"):
        regime("online", DataSpec(), published.NETWORKS["resnet18"], published=word)
    with pytest.raises(SpecError, match=r"preprocess = 'normalise'.*imagenet"):
        rded(DataSpec(name="cifar10", source="torchvision"), word)
    fields = {"data": data, "net": published.NETWORKS["resnet18"], "published": word}
    for change in (
        {"nets": 2},
        {"nets": 1, "per_class": 3},
        {"nets": 1, "net": published.NETWORKS["alexnet"]},
    ):
        with pytest.raises(SpecError):
            RealPool(**fields | change)


def test_keys_of_what_was_there_before_stay():
    """The fields that came later are left out."""
    assert "published" not in RealPool(data=DataSpec(), net=published.NETWORKS["alexnet"]).to_dict()
    assert "teacher" not in make_spec("rded", DataSpec(), (1, 8, 8)).params.to_dict()


# --- a selection in parts -------------------------------------------------------------------------------


@pytest.fixture
def data(folder):
    return resolve(str(folder), preprocess="imagenet")


def test_imagenets_constants(store, data):
    computed(store, dataset_task(data))
    dataset = load(store, data)
    np.testing.assert_allclose([dataset.mean, dataset.std], IMAGENET, rtol=1e-6)
    assert dataset.shape == (3, SIDE, SIDE) and len(dataset.test_labels) == 2 * CLASSES
    theirs = torchvision.transforms.Normalize(*IMAGENET)
    image = dataset.train_images[:1]
    wanted = theirs(torch.from_numpy(image / np.float32(255)))
    np.testing.assert_allclose(dataset.preprocess(image), wanted.numpy(), atol=1e-6)


@pytest.mark.parametrize("way", ["normalise", "scale", "imagenet"])
@pytest.mark.parametrize("classes", [(), (1, 4, 5, 9)])
def test_some_classes_are_rows_of_the_whole(store, folder, way, classes):
    spec = resolve(str(folder), preprocess=way, classes=classes)
    computed(store, dataset_task(spec))
    whole, part = load(store, spec), some(store, spec, [1, 3])
    rows = np.isin(whole.train_labels, [1, 3])
    assert np.array_equal(part.train_images, whole.train_images[rows])
    assert np.array_equal(
        part.preprocess(part.train_images), whole.preprocess(whole.train_images[rows])
    )
    assert np.array_equal(part.test_images, whole.test_images[np.isin(whole.test_labels, [1, 3])])
    assert part.class_names == (whole.class_names[1], whole.class_names[3])


@pytest.mark.parametrize(
    ("parts", "labels"), [(3, "soft"), pytest.param(10, "hard", marks=pytest.mark.slow)]
)
def test_parts_make_the_same_set_bit_by_bit(tmp_path, weights, data, parts, labels, monkeypatch):
    spec = rded(data, weights[1], mosaic="2", labels=labels)
    whole = DistilledSet.from_task(computed(Store(tmp_path / "one", gallery=None), spec))
    monkeypatch.setenv("DD_SELECTION_PARTS", str(parts))
    store = Store(tmp_path / "parts", gallery=None)
    asked = list(spec.prerequisites())
    assert len(asked) == parts and {s.KIND for s in asked} == {"selection"}
    assert sorted(c for s in asked for c in s.classes(CLASSES)) == list(range(CLASSES))
    computed(store, asked[-1])  # in any order, the rest by the run itself
    made = DistilledSet.from_task(computed(store, spec))
    assert spec.key == made.run_key == whole.run_key  # how it was computed is in no key
    assert np.array_equal(made.images, whole.images) and np.array_equal(made.labels, whole.labels)
    assert all(store.task(s).is_done() for s in asked)
    assert np.ptp(made.images) > 0 and len(np.unique(made.images, axis=0)) == CLASSES


def test_parts_with_networks_that_are_trained_here(tmp_path, monkeypatch):
    narrow = {"net.arch": "mlp", "net.width": "4", **method("rded").smallest}
    spec = make_spec("rded", DataSpec(), (1, 8, 8), settings=list(narrow.items()))
    whole = DistilledSet.from_task(computed(Store(tmp_path / "one", gallery=None), spec))
    monkeypatch.setenv("DD_SELECTION_PARTS", "4")
    made = DistilledSet.from_task(computed(Store(tmp_path / "parts", gallery=None), spec))
    assert np.array_equal(made.images, whole.images) and np.array_equal(made.labels, whole.labels)


def test_a_part_is_a_job_before_the_run(monkeypatch, store):
    from ddcore.tasks import elsewhere

    monkeypatch.setenv("DD_SELECTION_PARTS", "3")
    spec = make_spec("rded", DataSpec(), (1, 8, 8))
    found = elsewhere.with_prerequisites(store, [spec])
    assert [s.KIND for s in found] == ["selection"] * 3 + ["distill"]
    assert task_from_document(found[0].document()) == found[0]
    monkeypatch.setenv("DD_SELECTION_PARTS", "11")
    with pytest.raises(SpecError, match=r"DD_SELECTION_PARTS = 11.*at most the 10 classes"):
        computed(store, next(iter(spec.prerequisites())))


def test_a_part_is_estimated_by_its_classes(store):
    asked = Selection(candidates=300, crops=5, area=0.08, factor=2)
    common = {
        "data": DataSpec(name="cifar10", source="torchvision"),
        "net": published.NETWORKS["resnet18"],
    }
    one, ten = (
        need_of_selection(SelectionPart(ipc=1, asked=asked, place=0, parts=n, **common), store)
        for n in (1, 10)
    )
    assert one.seconds > 5 * ten.seconds and one.memory > ten.memory


# --- class folders out and in ---------------------------------------------------------------------------


@pytest.mark.parametrize("soft", [False, True])
def test_a_set_as_class_folders(soft, tmp_path):
    names = ("cat", "dog", "emu")
    g = np.random.default_rng(0)
    levels = g.integers(0, 256, (6, 3, 8, 8)) / np.float32(255)  # what 8 bits hold exactly
    made = make(soft=soft, shape=(3, 8, 8), class_names=names, ipc=2)
    made = make(
        soft=soft,
        shape=(3, 8, 8),
        class_names=names,
        ipc=2,
        images=made.preprocess.forward(levels.astype(np.float32)),
    )
    out = exports.export(made, "imagefolder", tmp_path / "out")
    theirs = torchvision.datasets.ImageFolder(str(out / "train"))
    assert theirs.classes == list(names)
    order = made.order()
    assert [label for _, label in theirs.samples] == made.hard_labels[order].tolist()
    for (image, _), own in zip(theirs, made.pixels()[order]):
        np.testing.assert_array_equal(np.asarray(image).transpose(2, 0, 1), np.rint(255 * own))
    with open(out / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [str(out / r["file"]) for r in rows] == [path for path, _ in theirs.samples]
    assert [r["class"] for r in rows] == [names[int(r["label"])] for r in rows]
    assert (out / "soft_labels.npy").exists() == soft
    if soft:
        assert np.array_equal(np.load(out / "soft_labels.npy"), made.labels[order])
    pictures = sheets.read("train", out / "train", (3, 8, 8))
    assert np.array_equal(pictures.images, np.rint(255 * made.pixels()[order]).astype(np.uint8))
    assert sheets.classes_of(pictures.folders, names) == [0, 1, 2]


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("a", "b"), "a"),
        (("b", "a"), "0"),
        (("../x", "y"), "0"),
        (("A", "a"), "0"),
        (tuple(map(str, range(11))), "00"),
        (("", "b"), "0"),
    ],
)
def test_folders_are_in_the_order_of_classes(names, first):
    found = image_folders.folders(names)
    assert found == sorted(found) and found[0] == first and len(set(found)) == len(names)


def test_a_registered_dataset_of_folders(monkeypatch, tmp_path, folder, store):
    import dataclasses

    from ddcore.data import registry

    known = registry.datasets()
    small = dataclasses.replace(
        known["imagenet1k"],
        name="tenfolders",
        classes=tuple(map(str, range(CLASSES))),
        shape=(3, 32, 32),
        train_size=80,
        test_size=20,
    )
    monkeypatch.setattr(registry.DATASETS, "_found", {**known, "tenfolders": small})
    monkeypatch.setenv("DD_DATA", str(tmp_path))
    with pytest.raises(
        DataError, match=r"tenfolders.* is not in .*train and .*val, which no command downloads"
    ):
        small.load(tmp_path)
    (tmp_path / "tenfolders").symlink_to(folder)
    spec = resolve("tenfolders")
    assert spec.source == "folder"
    computed(store, dataset_task(spec))
    dataset = load(store, spec)
    assert dataset.shape == (3, 32, 32) and dataset.class_names[3] == "n00000003"
    few = dataclasses.replace(small, classes=("a", "b"))
    with pytest.raises(DataError, match="holds 10 classes: expected the 2"):
        few.load(tmp_path)


# --- bytes of labels ------------------------------------------------------------------------------------


def test_bytes_of_labels():
    """Published for ImageNet-1k at ten per class: 5.67 GB, in units of 1024 (LPLD, table 1)."""
    found = label_bytes.kept_per_epoch(10_000, 1000, 300)
    assert found == 6_000_000_000 and found / 2**30 == pytest.approx(5.67, rel=0.02)
    assert label_bytes.kept_once(10_000, 1000) == 20_000_000
    assert "6 GB" in label_bytes.sentence("online", 10_000, 1000, 300)
    assert "20 kB" in label_bytes.sentence("hard", 10_000, 1000, 300)


def test_recipes_are_planned_without_data(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DD_DATA", str(tmp_path))
    monkeypatch.setenv("DD_CACHE", str(tmp_path / "store"))
    monkeypatch.setenv("DD_DEVICE", "cpu")
    for name in ("rded-in1k-10", "fadrm-in1k-10"):
        assert main(["reproduce", name, "--dry-run"]) == 0
        said = capsys.readouterr().out
        assert "GPU hours" in said and "no graphics card" in said and "they take 6 GB" in said
        assert "GB of memory" in said


# --- the whole ------------------------------------------------------------------------------------------


def trained(folder: Path, path: Path) -> None:
    """torchvision's ResNet-18 taught by torchvision's own reader of class folders."""
    torch.manual_seed(0)
    t = torchvision.transforms
    seen = t.Compose([t.ToTensor(), t.Normalize(*IMAGENET)])
    data = torchvision.datasets.ImageFolder(str(folder / "train"), seen)
    batches = torch.utils.data.DataLoader(data, 40, shuffle=True)
    module = torchvision.models.resnet18(num_classes=CLASSES)
    optimiser = torch.optim.Adam(module.parameters(), 1e-3)
    for _ in range(8):
        for images, labels in batches:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(module(images), labels).backward()
            optimiser.step()
    torch.save(module.state_dict(), path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_from_class_folders_to_class_folders(tmp_path, monkeypatch):
    """Ten classes of 64 pixels: teacher from a file, parts, mosaics, labels on every batch, out and in."""
    monkeypatch.setenv("DD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DD_SELECTION_PARTS", "5")
    folder = make_folder(tmp_path / "shapes", 24, 10)
    trained(folder, tmp_path / "resnet18.pth")
    word = files.adopt("resnet18", tmp_path / "resnet18.pth")
    store, data = (
        Store(tmp_path / "store", gallery=None),
        resolve(str(folder), preprocess="imagenet"),
    )
    settings = {"mosaic": "2", "candidates": "20", "labels": "hard", "ipc": "2", "net.width": "16"}
    spec = rded(data, word, **settings)
    run = computed(store, spec)
    made = DistilledSet.from_task(run)
    assert made.images.shape == (20, 3, SIDE, SIDE)

    # The teacher knows the test images, and the mosaics are what it knows best.
    teacher = regime("online", data, spec.net, published=word)
    pool = computed(store, teacher.teacher)
    assert pool.result()["test"]["mean"] > 0.6
    task = default_evaluation(
        run.key, spec, labels=teacher, baselines=("random", "class_mean"), nets=2
    )
    protocol = task.protocol.replace(epochs=60, loss="kl", temperature=4.0, lr=0.05)
    rows = {
        r["subject"]: r for r in computed(store, task.replace(protocol=protocol)).result()["rows"]
    }
    # Chance is 0.1: a training this short learns little, on some processors less than on others.
    assert rows["distilled"]["mean"] > 0.12 and "random" in rows

    out = exports.export(made, "imagefolder", tmp_path / "out")
    again = resolve(str(out), preprocess="imagenet", val_fraction=0.5)
    with pytest.raises(DataError, match="without a test part"):
        computed(store, dataset_task(again))
    (out / "val").symlink_to(folder / "val")
    again = resolve(str(out), preprocess="imagenet", val_fraction=0.5)
    computed(store, dataset_task(again))
    dataset = load(store, again)
    images = np.concatenate([dataset.train_images, dataset.val_images])
    shown = np.rint(255 * made.pixels().clip(0, 1)).astype(np.uint8)
    key = lambda stack: sorted(each.tobytes() for each in stack)  # noqa: E731
    assert key(images) == key(shown)
