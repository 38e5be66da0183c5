"""Presets of the method of 2018: small set-ups for a CPU, and the published ones."""

from __future__ import annotations

from typing import Any

from ddcore.data.registry import OWN, get
from ddcore.distil.methods.dd2018.params import IMAGENET_FORM
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.training.protocols import PROTOCOLS

SOURCES = {"digits": "digits", "mnist": "usps", "usps": "mnist", "svhn": "mnist"}


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Digits-sized: the CPU-scale set-up; larger: LeNet or AlexCifarNet as published."""
    setting = typed.get("setting", "unknown")
    if setting == "pretrained":
        return _pretrained(shape)
    source = typed.get("source", SOURCES.get(data, "svhn"))
    return (_small if shape[1] < 20 else _published)(data, shape, ipc, setting, source)


def _small(
    data: str, shape: Shape, ipc: int, setting: str, source: str
) -> dict[str, dict[str, Any]]:
    fixed = setting == "fixed"
    small = {
        "net": NetSpec(width=16, depth=2),
        "protocol": PROTOCOLS["native-2018"],
        "init": "noise" if fixed else "mean",
        "val_nets": 1 if fixed else 10,
    }
    # With ten images per class each step has images of its own, as in the paper.
    steps = 10 if ipc % 10 == 0 else 1
    common = {
        "setting": setting,
        "steps": steps,
        "beta1": 0.5,
        "real_batch": 256,
        "lr_rates": 0.015 if fixed else 0.02,
    }
    if fixed:
        # Xavier weights as in the paper: they matter more than the default's small output layer,
        # which ties the images to this one network.
        small |= {"net": NetSpec(width=32, depth=2, init="xavier"), "validations": 20}
        quick = {**common, "passes": 4 if steps == 1 else 1, "lr0": 1.0, "lr": 0.1}
        quick["decay_every"] = 225
    else:
        quick = {**common, "passes": 10 if steps == 1 else 2, "lr0": 0.1, "lr": 0.05}
        quick |= {"nets": 4 if steps == 1 else 2, "clip": 2.0, "decay_every": 100}
    if setting == "adapt":
        # Networks of the very same data are stopped early, so that there is something to add.
        quick |= {"source": source, "bank": 20, "bank_epochs": 1 if source == data else 3}
    if setting == "attack":
        # One step on ten images moves a wide perceptron further than a narrow ConvNet.
        small |= {"net": NetSpec(arch="mlp", width=256, depth=2), "init": "noise"}
        quick |= {"steps": 1, "passes": 1, "bank": 20, "bank_epochs": 10, "lr0": 0.02}
        quick["decay_every"] = 200
    iterations = {"fixed": 900, "attack": 600}.get(setting, 200)
    return {
        "quick": {**small, "params": {**quick, "iterations": iterations}},
        "teaching": {**small, "params": {**quick, "iterations": 3000, "decay_every": 750}},
        "paper": {**small, "params": {**quick, "iterations": 10_000, "decay_every": 2500}},
    }


def _published(
    data: str, shape: Shape, ipc: int, setting: str, source: str
) -> dict[str, dict[str, Any]]:
    grey, fixed, banked = shape[0] == 1, setting == "fixed", setting in ("adapt", "attack")
    published = {
        "net": NetSpec(arch="lenet" if grey else "alexcifarnet", init="xavier"),
        "protocol": PROTOCOLS["native-2018"],
        "init": "noise",
        "val_nets": 1 if fixed else 20,
        "validations": 20,
    }
    common = {
        "setting": setting,
        "steps": 1 if ipc == 1 else min(ipc, 10) if ipc % 10 == 0 else ipc,
        "passes": 3,
        "lr0": 0.02 if grey else 0.001,
    }
    if setting == "adapt":
        common |= {"source": source, "nets": 4}
    if setting == "attack":
        common |= {"steps": 1, "passes": 1, "nets": 4, "lr": 0.02}
    quick = {**common, "real_batch": 256, "iterations": 1500, "decay_every": 500}
    first = dict(published)
    if banked:
        trained_on = source if setting == "adapt" else data
        quick |= {"iterations": 400, "decay_every": 150, "bank": 20, "lr": 0.02, "lr_rates": 0.02}
        quick["bank_epochs"] = _short(trained_on)
        first |= {"val_nets": 5, "validations": 5}
    if setting == "adapt":  # real images are a better start than noise where time is short
        first["init"], quick["nets"] = "real", 2
    if setting == "attack":
        # One step moves a perceptron furthest, and images fit a small bank instead of its kind.
        first["net"] = NetSpec(arch="mlp", width=256, depth=2, init="xavier")
        quick |= {"iterations": 600, "decay_every": 200, "bank": 100}
    # The published schedule in a quarter of its iterations.
    teaching = {**common, "iterations": 6000, "decay_every": 600}
    paper = {**common, "iterations": 24_000 if grey else 19_600, "decay_every": 2400}
    last = dict(published)
    if banked:
        teaching["bank"] = 100
        paper["bank"] = 2000 if setting == "attack" else 200
        last["protocol"] = PROTOCOLS["native-2018"].replace(nets=200)
    return {
        "quick": {**first, "params": quick},
        "teaching": {**published, "params": teaching},
        "paper": {**last, "params": paper},
    }


def _short(data: str) -> int:
    """Epochs that train a network fairly well on a registered set within seconds; 0 for others."""
    return 0 if data in OWN else max(1, 40_000 // get(data).train_size)


def _pretrained(shape: Shape) -> dict[str, dict[str, Any]]:
    """As published at 224 pixels; elsewhere a narrow AlexNet, whose random weights learn next to nothing.

    Three plain steps barely move eight random layers: that is there to try the mechanism only.
    """
    whole = (shape[0], shape[1]) == IMAGENET_FORM
    common = {"setting": "pretrained", "weights": "imagenet" if whole else "random", "lr0": 0.001}
    shared = {
        "net": NetSpec(arch="alexnet224", width=64 if whole else 8, init="xavier"),
        "protocol": PROTOCOLS["native-2018"].replace(nets=5),
        "init": "noise",
        "val_nets": 1,
    }
    if not whole:
        shared["init"] = "mean"
        common |= {"lr0": 0.1, "lr": 0.05, "lr_rates": 0.05, "real_batch": 256}
        return {
            "quick": {**shared, "params": {**common, "iterations": 200, "decay_every": 100}},
            "teaching": {**shared, "params": {**common, "iterations": 1000, "decay_every": 300}},
            "paper": {**shared, "params": {**common, "iterations": 5000, "decay_every": 1000}},
        }
    # 200 epochs of some 6,000 pictures (PASCAL-VOC, CUB-200) in batches of 128.
    common["real_batch"] = 128
    return {
        "quick": {**shared, "params": {**common, "iterations": 200, "decay_every": 60}},
        "teaching": {**shared, "params": {**common, "iterations": 2000, "decay_every": 300}},
        "paper": {**shared, "params": {**common, "iterations": 9000, "decay_every": 1350}},
    }
