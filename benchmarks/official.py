"""Ours against the official code: seconds per iteration (medians) and peak memory at equal settings.

The published scripts are run as they are, from checkouts outside this project; both sides take random
images of CIFAR-10's shape, since speed does not depend on what they show. Each side runs in a process
of its own, the first iteration is not counted, and every process counts the images that pass through
its networks: the benchmark fails where these differ. Ours keeps the memory of large tensors, as its
workers do.

    git clone https://github.com/VICO-UoE/DatasetCondensation /tmp/DatasetCondensation
    git clone https://github.com/GeorgeCazenavette/mtt-distillation /tmp/mtt-distillation
    python benchmarks/official.py --repository /tmp/DatasetCondensation --repository /tmp/mtt-distillation
    python benchmarks/official.py --device cuda:0 --repository ...   (at the published sizes)
    python benchmarks/official.py dm dc --repository /tmp/DatasetCondensation
    python benchmarks/official.py --compiled --precision bfloat16 dm experts --repository ...
    python benchmarks/official.py --device second --repository ...   (no seconds: operations and waits)

The last needs no graphics card: on a second device in ordinary memory it counts the operations that either
side would start on one, and how often either would wait for it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._official_marks import BATCH, CLASSES, COUNTING, SHAPE, STRATEGY, Setting
from ddcore.base.texts import size
from ddcore.data.spec import DataSpec
from ddcore.distil.contract import DistillSpec, method
from ddcore.distil.settings import make_spec
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.precision import PRECISIONS
from ddcore.tasks.launchers.local import KEEP_PAGES
from ddcore.training.estimate import protocol_work
from ddcore.training.protocols import PROTOCOLS

PROTOCOL = {"evaluate-dc": PROTOCOLS["dc"], "evaluate-dsa": PROTOCOLS["dsa"]}

CONDENSATION, MTT = "VICO-UoE/DatasetCondensation", "GeorgeCazenavette/mtt-distillation"
FILES = {
    CONDENSATION: ("main_DM.py", "main.py", "utils.py", "networks.py"),
    MTT: ("distill.py", "buffer.py", "utils.py", "networks.py", "reparam_module.py"),
}
CASES = {
    "dm": CONDENSATION,
    "dc": CONDENSATION,
    "dsa": CONDENSATION,
    "mtt": MTT,
    "experts": MTT,
    "evaluate-dc": CONDENSATION,
    "evaluate-dsa": CONDENSATION,
}
HALF = ("dm", "experts", "evaluate-dc", "evaluate-dsa")  # what can compute in bfloat16
TWICE = ("mtt",)  # ours computes every inner step a second time instead of keeping its graph

# Of the published size on a GPU. On a CPU real batch and inner epochs are both an eighth of it.
SIZES = {
    "cuda": {
        "width": 128,
        "real_batch": 256,
        "train": 50_000,
        "test": 10_000,
        "matches": 10,
        "inner_epochs": 50,
        "inner_steps": 30,
        "expert_epochs": 2,
        "max_start": 20,
        "epochs": 50,
        "nets": 20,
        "iterations": 10,
    },
    "cpu": {
        "width": 32,
        "real_batch": 32,
        "train": 4000,
        "test": 800,
        "matches": 4,
        "inner_epochs": 6,
        "inner_steps": 10,
        "expert_epochs": 2,
        "max_start": 5,
        "epochs": 10,
        "nets": 4,
        "iterations": 5,
    },
    # How many operations there are does not depend on their size.
    COUNTING: {
        "width": 4,
        "real_batch": 4,
        "train": 512,
        "test": 64,
        "matches": 3,
        "inner_epochs": 50,
        "inner_steps": 5,
        "expert_epochs": 2,
        "max_start": 20,
        "epochs": 3,
        "nets": 20,
        "iterations": 1,
    },
}
# An iteration is an epoch, or a whole network: so many fewer, unless asked for.
SLOW = {"experts": 5, "dc": 5, "dsa": 5, "evaluate-dc": 5, "evaluate-dsa": 5}


def both_do(s: Setting) -> str:
    """What an iteration is, on both sides."""
    real, made = f"{s.real_batch} real", f"{s.ipc} synthetic images"
    train = f"{s.inner_epochs} epochs on {s.images} images"
    tests = f"a test on {s.test} images"
    return {
        "dm": f"mean features of {real} and {made} of each class, DSA, in a fresh network",
        "dc": f"gradients of {real} and {made} of each class; in {s.matches - 1} of {s.matches} "
        f"iterations {train} come first",
        "dsa": "as dc, with DSA before gradients and in training",
        "mtt": f"{s.inner_steps} steps on {s.images} images with DSA, differentiated exactly",
        "experts": f"an epoch of one expert on {s.train} images in batches of {BATCH} with DSA, {tests}",
        "evaluate-dc": f"one of {s.nets} networks trained for {s.epochs} epochs on {s.images} "
        f"images, {tests}",
        "evaluate-dsa": "as evaluate-dc, with DSA",
    }[s.name]


def measured(s: Setting) -> int:
    """How many of them the official side's seconds are a mean of."""
    if s.name in PROTOCOL:
        return s.nets
    return s.iterations * (s.matches if s.name in ("dc", "dsa") else 1)


def net_of(setting: Setting) -> NetSpec:
    """ConvNet-3, in all scripts the default."""
    return NetSpec(width=setting.width, depth=3)


def spec_of(setting: Setting, name: str) -> DistillSpec:
    """Our run of a method as its official script runs it."""
    loops = {"matches": setting.matches, "inner_epochs": setting.inner_epochs, "inner_batch": BATCH}
    own = {
        "dm": {
            "nets": 1,
            "real_batch": setting.real_batch,
            "augment": STRATEGY,
            "precision": setting.precision,
        },
        "dc": {**loops, "real_batch": setting.real_batch},
        "dsa": {**loops, "real_batch": setting.real_batch, "augment": STRATEGY},
        "mtt": {
            "gradient": "exact",
            "experts": 1,
            "epochs": setting.max_start + setting.expert_epochs,
            "expert_epochs": setting.expert_epochs,
            "max_start": setting.max_start,
            "inner_steps": setting.inner_steps,
            "batch_syn": 0,
            "lr": 1.0,
            "augment": STRATEGY,
        },
    }[name]
    settings = {"init": "real", "net.width": setting.width, **own}
    return make_spec(
        name,
        DataSpec(name="cifar10", source="torchvision"),
        SHAPE,
        ipc=setting.ipc,
        preset="paper",
        settings=[(k, str(v)) for k, v in settings.items()],
    )


def work(setting: Setting) -> float:
    """Multiply-adds of an iteration."""
    net, one = net_of(setting), image_macs(net_of(setting), SHAPE, CLASSES)
    if setting.name == "experts":
        return (3 * setting.train + setting.test) * one
    if setting.name in PROTOCOL:
        recipe = PROTOCOL[setting.name].replace(epochs=setting.epochs)
        return protocol_work(recipe, net, SHAPE, CLASSES, setting.images) + setting.test * one
    spec = spec_of(setting, setting.name)
    macs = method(setting.name).cost(spec, SHAPE, CLASSES).macs / spec.params.iterations
    # A full graph needs no second forward and backward pass: 9 of the 12 that ours takes.
    return macs * 9 / 12 if setting.name in TWICE else macs


def measure(side: str, setting: Setting, environment: dict[str, str]) -> dict[str, float]:
    """What a side's process found; exits with one sentence if it failed."""
    file = Path(__file__).with_name(f"_official_{side}.py")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(file), setting.text()],
            cwd=folder,
            env=environment
            | {"DD_COMPILE": str(int(setting.compiled))}
            | (KEEP_PAGES if side == "ours" else {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        result = Path(folder, "result.json")
        if done.returncode or not result.exists():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            sys.exit(f"{setting.name}, {side}: {last}")
        return json.loads(result.read_text())


def repositories(folders: list[str]) -> dict[str, str]:
    """Which of the official repositories each folder is; exits if one is neither."""
    found = {}
    for folder in folders:
        fits = [n for n, files in FILES.items() if all(Path(folder, f).is_file() for f in files)]
        if not fits:
            sys.exit(f"{folder} is neither a checkout of {CONDENSATION} nor of {MTT}.")
        found[fits[0]] = str(Path(folder).resolve())
    return found


def surroundings(device: str, threads: int) -> dict[str, str]:
    """Environment of both sides: one device, visible as the first, and so many threads."""
    visible = ""
    if device != "cpu":
        known = [n for n in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if n]
        index = int(device.partition(":")[2] or 0)
        visible = known[index] if known else str(index)
    return dict(
        os.environ,
        CUDA_VISIBLE_DEVICES=visible,
        OMP_NUM_THREADS=str(threads),
        GOMP_SPINCOUNT="1000",
    )


def count(settings: list[Setting], environment: dict[str, str]) -> None:
    """A line per comparison: operations and waits of an iteration."""
    columns = ("ours", "official", "ratio", "our waits", "official", "ratio")
    print(f"{'operations of':14s}" + "".join(f"{c:>11s}" for c in columns), flush=True)
    for setting in settings:
        ours = measure("ours", replace(setting, repository=""), environment)
        theirs = measure("theirs", setting, environment)
        print(f"{setting.name:14s}", end="")
        for what in ("seconds", "peak"):
            mine, other = ours[what], theirs[what]
            print(f"{mine:11.1f}{other:11.1f}{other / max(mine, 0.1):10.1f}x", end="")
        print(flush=True)
    explain(settings)
    print("\nwaits: calls that return only when a graphics card has done all that was asked of it")


def report(settings: list[Setting], environment: dict[str, str]) -> None:
    """The table, a line per comparison; then what was compared."""
    rate = measure("ours", replace(settings[0], name="matmul"), environment)["rate"]
    columns = (
        "floor s",
        "ours s",
        "official s",
        "ratio",
        "ours peak",
        "official",
        "images",
        "compiling",
    )
    print(f"{'':14s}" + "".join(f"{c:>11s}" for c in columns), flush=True)
    for setting in settings:
        ours = measure("ours", replace(setting, repository=""), environment)
        theirs = measure("theirs", setting, environment)
        times = 2 if setting.name in TWICE else 1
        if not setting.compiled and ours["images"] != times * theirs["images"]:
            sys.exit(f"{setting.name}: {ours['images']} images here, {theirs['images']} there")
        ratio = theirs["seconds"] / ours["seconds"]
        seconds = (work(setting) / rate, ours["seconds"], theirs["seconds"])
        peaks = (size(side["peak"]) for side in (ours, theirs))
        print(
            f"{setting.name:14s}"
            + "".join(f"{s:11.4f}" for s in seconds)
            + f"{ratio:10.2f}x"
            + "".join(f"{p:>11s}" for p in peaks)
            + f"{theirs['images']:11.0f}{ours['compiling']:11.0f}",
            flush=True,
        )
    explain(settings)
    print(
        f"\nfloor: multiply-adds at the {rate / 1e9:.0f} G/s of a large matrix product here; ratio:"
        " official : ours;\nimages: forward passes of the official side, of which ours takes as many,"
        " twice as many for mtt;"
        "\ncompiling: seconds of ours before it counts."
        "\nDSA is drawn once per class beside real images; elsewhere the"
        " official code draws one operation per\nbatch, ours one per image. Seconds are CPU time on"
        " a CPU, and peaks there are above what was resident\nonce all libraries were imported."
    )


def explain(settings: list[Setting]) -> None:
    """What an iteration is."""
    print("\nAn iteration:")
    for setting in settings:
        print(f"  {setting.name:14s}{both_do(setting)} (n = {measured(setting)})")


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0].replace("\n", " "),
        epilog="Sizes that are not given are the published ones on a GPU, reduced ones on a CPU.",
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument(
        "--repository", action="append", default=[], help=f"checkout of {CONDENSATION}, of {MTT}"
    )
    parser.add_argument("--device", default="cpu", help=f"cpu, cuda:0, ..., {COUNTING}")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each side")
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument(
        "--compiled", action="store_true", help="our side's steps, before it counts"
    )
    parser.add_argument(
        "--precision", default="float32", choices=PRECISIONS, help="of our networks"
    )
    for name in SIZES["cpu"]:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    return parser.parse_args()


def main() -> None:
    """All comparisons for which there is a repository."""
    given = options()
    if not given.repository:
        sys.exit(f"--repository is needed: a checkout of {CONDENSATION} or of {MTT}.")
    checkouts = repositories(given.repository)
    chosen = given.cases or [name for name, owner in CASES.items() if owner in checkouts]
    for name in chosen:
        if name not in CASES:
            sys.exit(f"{name} is none of {', '.join(CASES)}.")
        if CASES[name] not in checkouts:
            sys.exit(f"{name} needs --repository with a checkout of {CASES[name]}.")
    kind = given.device.partition(":")[0]
    if kind not in SIZES:
        sys.exit(f"--device is cpu, cuda:0 or {COUNTING}, not {given.device}.")
    if given.precision != "float32" and not set(chosen) <= set(HALF):
        sys.exit(
            f"--precision {given.precision} is for {', '.join(HALF[:-1])} and {HALF[-1]} only."
        )
    sizes = {k: getattr(given, k) or v for k, v in SIZES[kind].items()}
    settings = [
        Setting(
            **{
                **sizes,
                "iterations": given.iterations or max(1, sizes["iterations"] // SLOW.get(name, 1)),
                "name": name,
                "device": kind,
                "ipc": given.ipc,
                "repository": checkouts[CASES[name]],
                "compiled": given.compiled,
                "precision": given.precision,
            }
        )
        for name in chosen
    ]
    print(
        f"ConvNet-3 w{sizes['width']}, {CLASSES} classes of 3x32x32, {given.ipc} per class,",
        end=" ",
    )
    way = "compiled" if given.compiled else "eager"
    print(f"on {given.device}; ours {way}, in {given.precision}\n", flush=True)
    environment = surroundings(given.device, given.threads)
    (count if kind == COUNTING else report)(settings, environment)
    os.environ.update(environment)  # before torch is imported here

    from benchmarks.machine import describe

    print(f"\n{describe()}")


if __name__ == "__main__":
    main()
