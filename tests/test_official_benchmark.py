"""benchmarks/official.py on a stand-in repository: which steps count, what is replaced, how it refuses."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import _official_ours, official
from benchmarks._official_marks import Enough, Marks, Setting, measured

SMALL = {**official.SIZES["cpu"], "width": 4, "real_batch": 2, "train": 20, "test": 10}
SETTING = Setting(**{**SMALL, "matches": 3, "iterations": 2}, name="dc", device="cpu", ipc=2)

UTILS = """
from torchvision import datasets
from scipy.ndimage.interpolation import rotate

def get_default_convnet_setting():
    return 128, 3, "relu", "instancenorm", "avgpooling"

def get_loops(ipc):
    return 100, 100

def get_dataset(name, path):
    return datasets.CIFAR10(path, train=True, download=True, transform=None)
"""

# A network sees all images once before each of the matching steps, and is trained twice in between.
MAIN = """
import sys, torch
from utils import get_dataset, get_default_convnet_setting, get_loops

data = get_dataset("CIFAR10", "data")
assert len(data) == 20 and data[3][0].shape == (3, 32, 32) and data[3][1] == 3
width, loops = get_default_convnet_setting()[0], get_loops(2)
net = torch.nn.Conv2d(3, width, 3)
images = torch.randn(20, 3, 32, 32, requires_grad=True)
for_images = torch.optim.SGD([images], 0.1)
for_net = torch.optim.SGD(net.parameters(), 0.01)
for network in range(1000):
    for match in range(loops[0]):
        for_images.zero_grad()
        net(images).square().mean().backward()
        for_images.step()
        for _ in range(2):
            for_net.step()
raise RuntimeError("not stopped")
"""


def repository(folder: Path) -> str:
    """A folder that looks like the official one."""
    for name in official.FILES[official.CONDENSATION]:
        (folder / name).write_text("")
    (folder / "utils.py").write_text(UTILS)
    (folder / "main.py").write_text(MAIN)
    return str(folder)


@pytest.fixture
def convolutions(monkeypatch):
    """Counting is undone after the test."""
    monkeypatch.setattr(torch.nn.functional, "conv2d", torch.nn.functional.conv2d)


@pytest.mark.slow
def test_only_steps_on_the_images_count_and_the_script_is_stopped(tmp_path):
    setting = replace(SETTING, repository=repository(tmp_path))
    found = official.measure("theirs", setting, official.surroundings("cpu", 1))
    assert found["images"] == 20  # a matching step of one network, whichever its width
    assert 0 < found["seconds"] < 1


@pytest.mark.parametrize("name", official.CASES)
def test_our_side_of_every_comparison_runs(convolutions, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    few = {"epochs": 2, "inner_epochs": 1, "inner_steps": 2, "nets": 2, "iterations": 1}
    setting = replace(SETTING, name=name, **few)
    marks, work = _official_ours.CASES[name](setting)
    with contextlib.suppress(Enough):
        work()
    marks.write(compiling=0.0)
    found = json.loads(Path("result.json").read_text())
    assert found["images"] > 0 and found["seconds"] > 0


def test_what_ends_early_is_an_error(convolutions):
    marks = Marks(SETTING, wanted=2)
    with pytest.raises(SystemExit, match="it ended after 2 of 3 iterations"):
        measured(marks, lambda: [marks() for _ in range(2)])


@pytest.mark.parametrize("name", ["dm", "dc"])
def test_ours_passes_as_many_images_as_the_papers_say(name, tmp_path, monkeypatch, convolutions):
    """Real and synthetic images of every class once; dc trains on the set in 2 of 3 iterations."""
    from benchmarks import _official_ours

    monkeypatch.chdir(tmp_path)
    measured(*_official_ours.CASES[name](replace(SETTING, name=name, inner_epochs=3)))
    found = json.loads(Path("result.json").read_text())
    once = 10 * (2 + 2)
    assert found["images"] == pytest.approx(once + {"dm": 0, "dc": 3 * 20 * 2 / 3}[name])


def test_another_folder_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(SystemExit) as refused:
        official.repositories([str(tmp_path)])
    wanted = f"neither a checkout of {official.CONDENSATION} nor of {official.MTT}."
    assert str(refused.value) == f"{tmp_path} is {wanted}"
    assert official.repositories([repository(tmp_path)]) == {official.CONDENSATION: str(tmp_path)}


def test_half_precision_is_for_what_has_one_derivative(monkeypatch, tmp_path):
    folder = repository(tmp_path)
    arguments = ["official.py", "dc", "--precision", "bfloat16", "--repository", folder]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(
        SystemExit, match="--precision bfloat16 is for dm, experts, evaluate-dc and"
    ):
        official.main()


def test_our_side_trains_as_asked(tmp_path, monkeypatch, convolutions):
    from benchmarks import _official_ours

    seen = []
    train = _official_ours.train
    monkeypatch.setattr(_official_ours, "train", lambda *a: seen.append(a[4]) or train(*a))
    monkeypatch.chdir(tmp_path)
    half = replace(SETTING, name="evaluate-dc", epochs=2, nets=1, precision="bfloat16")
    measured(*_official_ours.CASES["evaluate-dc"](half))
    assert {recipe.precision for recipe in seen} == {"bfloat16"}
