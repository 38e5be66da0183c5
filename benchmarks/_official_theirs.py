"""The official side of `official.py`: runs a published script as it is, in a process of its own.

Nothing in it is changed but what has no part in an iteration: CIFAR-10 is random images, width and inner
loops are set where the script looks them up, evaluations are switched off, and libraries that
are not used at this setting (wandb, kornia) are empty. A hook on torch's optimisers sees the steps.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torchvision
from torch.optim.optimizer import register_optimizer_step_post_hook

from benchmarks import second_device
from benchmarks._official_marks import (
    BATCH,
    CLASSES,
    COUNTING,
    MOVE,
    SHAPE,
    STRATEGY,
    Marks,
    Setting,
    measured,
)

Run = Callable[[], None]


class RandomImages(torch.utils.data.Dataset):
    """In place of torchvision's CIFAR10: random images, already normalised."""

    classes = tuple(f"class {c}" for c in range(CLASSES))
    sizes = (0, 0)  # training and test images

    def __init__(self, root: str, train: bool = True, **unused: Any) -> None:
        self.images = torch.randn(self.sizes[0 if train else 1], *SHAPE)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.images[index], index % CLASSES

    def __len__(self) -> int:
        return len(self.images)


def prepare(setting: Setting) -> types.ModuleType:
    """Surroundings in which the script runs; returns the repository's `utils`."""
    RandomImages.sizes = (setting.train, setting.test)
    torchvision.datasets.CIFAR10 = RandomImages
    for name in ("wandb", "kornia"):
        sys.modules[name] = types.ModuleType(name)
    _silence(sys.modules["wandb"])
    try:
        importlib.import_module("scipy.ndimage.interpolation")
    except ImportError:  # the name it had when the scripts were written
        sys.modules["scipy.ndimage.interpolation"] = importlib.import_module("scipy.ndimage")
    if setting.device == "cpu":
        torch.Tensor.cuda = lambda self, *unused: self  # pictures for wandb
    elif setting.device == COUNTING:
        _count()
    sys.path[:2] = [setting.repository, sys.path[0]]  # no module of this folder is in the way
    utils = importlib.import_module("utils")
    defaults = utils.get_default_convnet_setting()
    utils.get_default_convnet_setting = lambda: (setting.width, *defaults[1:])
    if hasattr(utils, "get_loops"):
        utils.get_loops = lambda ipc: (setting.matches, setting.inner_epochs)
    return utils


class _Elsewhere(torch.overrides.TorchFunctionMode):
    """Where a script says cuda, it is the second device."""

    def __torch_function__(
        self, function: Any, kinds: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        def moved(value: Any) -> Any:
            known = isinstance(value, str | torch.device) and str(value).startswith("cuda")
            return second_device.DEVICE if known else value

        kwargs = {k: moved(v) for k, v in (kwargs or {}).items()}
        return function(*map(moved, args), **kwargs)


def _count() -> None:
    """The script believes in a graphics card, which is the device that counts."""
    second_device.load()
    torch.cuda.is_available = lambda: True
    torch.cuda.device_count = lambda: 1
    torch.cuda.is_current_stream_capturing = lambda: False
    torch.Tensor.cuda = lambda self, *unused, **named: self.to(second_device.DEVICE)
    _Elsewhere().__enter__()


def _silence(wandb: types.ModuleType) -> None:
    """Everything that the script calls does nothing; the configuration is what it was given."""
    wandb.config = types.SimpleNamespace(_items={})
    wandb.run = types.SimpleNamespace(name="benchmark")
    wandb.init = lambda config, **unused: wandb.config._items.update(vars(config))
    wandb.log = wandb.finish = wandb.Image = wandb.Histogram = lambda *unused, **named: None


def script(setting: Setting, file: str, **options: object) -> Run:
    """Run a script of the repository with these options."""

    def run() -> None:
        arguments = [str(part) for k, v in options.items() for part in (f"--{k}", v)]
        sys.argv = [file, *arguments]
        runpy.run_path(str(Path(setting.repository) / file), run_name="__main__")

    return run


def on_image_step(setting: Setting, marks: Marks) -> None:
    """Mark every optimiser step on the synthetic images, which must stay finite."""
    shape = (setting.images, *SHAPE)

    def look(optimiser: torch.optim.Optimizer, *unused: object) -> None:
        tensors = [p for group in optimiser.param_groups for p in group["params"]]
        if len(tensors) == 1 and tensors[0].shape == shape:
            # Where operations are counted, this one would be.
            if setting.device != COUNTING and not tensors[0].isfinite().all():
                sys.exit("the images are not finite")
            marks()

    register_optimizer_step_post_hook(look)


def on_network_step(marks: Marks) -> None:
    """Mark every optimiser step on a network's weights."""

    def look(optimiser: torch.optim.Optimizer, *unused: object) -> None:
        if sum(len(group["params"]) for group in optimiser.param_groups) > 1:
            marks()

    register_optimizer_step_post_hook(look)


# --- the comparisons ----------------------------------------------------------------------------------


def condensation(setting: Setting) -> tuple[Marks, Run]:
    """main_DM.py, or main.py for DC and DSA, where an iteration is a network and its matching steps."""
    prepare(setting)
    every = 1 if setting.name == "dm" else setting.matches
    marks = Marks(setting, setting.iterations, every=every)
    on_image_step(setting, marks)
    options = {
        "ipc": setting.ipc,
        "batch_real": setting.real_batch,
        "num_eval": 0,
        "num_exp": 1,
        "init": "real",
        "dsa_strategy": "None" if setting.name == "dc" else STRATEGY,
    }
    if setting.name == "dm":
        return marks, script(setting, "main_DM.py", **options)
    return marks, script(setting, "main.py", method=setting.name.upper(), **options)


def trajectories(setting: Setting) -> tuple[Marks, Run]:
    """distill.py on one expert of random moves."""
    utils = prepare(setting)
    marks = Marks(setting, setting.iterations)
    on_image_step(setting, marks)
    network = utils.get_network("ConvNet", SHAPE[0], CLASSES, SHAPE[1:])
    path = [[w.detach().cpu() for w in network.parameters()]]
    for _ in range(setting.max_start + setting.expert_epochs):
        path.append([w + MOVE * torch.randn_like(w) for w in path[-1]])
    folder = Path("buffers", "CIFAR10_NO_ZCA", "ConvNet")
    folder.mkdir(parents=True)
    torch.save([path], folder / "replay_buffer_0.pt")
    options = {
        "ipc": setting.ipc,
        "syn_steps": setting.inner_steps,
        "expert_epochs": setting.expert_epochs,
        "max_start_epoch": setting.max_start,
        "num_eval": 0,
        "lr_img": 1.0,
    }
    return marks, script(setting, "distill.py", **options)


def experts(setting: Setting) -> tuple[Marks, Run]:
    """buffer.py: one expert, an iteration is an epoch with its test."""
    prepare(setting)
    marks = Marks(setting, setting.iterations, every=setting.batches, parts=1)
    on_network_step(marks)
    options = {"num_experts": 1, "train_epochs": setting.iterations + 1, "batch_train": BATCH}
    return marks, script(setting, "buffer.py", **options)


def evaluation(setting: Setting) -> tuple[Marks, Run]:
    """`evaluate_synset` of one network after the other."""
    utils = prepare(setting)
    marks = Marks(setting, setting.nets)
    augmented = setting.name == "evaluate-dsa"
    images, labels = torch.randn(setting.images, *SHAPE), torch.arange(setting.images) % CLASSES
    arguments = types.SimpleNamespace(
        device="cuda" if setting.device == COUNTING else setting.device,
        lr_net=0.01,
        epoch_eval_train=setting.epochs - 1,  # it trains one epoch more than it is told
        batch_train=BATCH,
        dsa=augmented,
        dsa_strategy=STRATEGY if augmented else "None",
        dsa_param=utils.ParamDiffAug(),
        dc_aug_param=None,
    )
    tests = utils.get_dataset("CIFAR10", "data")[-1]

    def run() -> None:
        while True:
            network = utils.get_network("ConvNet", SHAPE[0], CLASSES, SHAPE[1:])
            utils.evaluate_synset(0, network, images, labels, tests, arguments)
            marks()

    return marks, run


CASES: dict[str, Callable[[Setting], tuple[Marks, Run]]] = {
    "dm": condensation,
    "dc": condensation,
    "dsa": condensation,
    "mtt": trajectories,
    "experts": experts,
    "evaluate-dc": evaluation,
    "evaluate-dsa": evaluation,
}


if __name__ == "__main__":
    given = Setting.read()
    os.makedirs("data", exist_ok=True)
    measured(*CASES[given.name](given))
