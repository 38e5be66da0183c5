"""Continual learning on CIFAR-100 in 5 and 10 steps, as Zhao & Bilen 2021 set it up."""

from __future__ import annotations

import functools
from typing import Any

from analysis.uses.continual.spec import ContinualTask, estimate
from ddcore.data.spec import DataSpec, form
from ddcore.distil.contract import DistillSpec
from ddcore.distil.settings import make_spec
from ddcore.nets.architectures import NetSpec
from ddcore.recipes.base import Recipe, Step
from ddcore.training.protocols import PROTOCOLS

IPC = 20
BASELINES = ("random", "herding", "kmeans")


def memories(runs: list[DistillSpec], rehearsal: bool) -> list[Step]:
    """Every memory, floor and ceiling; as a rehearsal the same on digits with hardly any training."""
    name, preset = ("digits", "quick") if rehearsal else ("cifar100", "paper")
    kind = "bundled" if rehearsal else "torchvision"
    data = DataSpec(name=name, source=kind, preprocess="scale")
    shape, _ = form(data)
    protocol = PROTOCOLS["dsa-official"].replace(nets=3)
    net, ipc = NetSpec(width=128, depth=3), IPC
    made = make_spec("dm", data, shape, ipc=IPC, preset=preset)
    common: dict[str, Any] = {"data": data, "net": net}
    if rehearsal:
        protocol, ipc = PROTOCOLS["quick"].replace(epochs=2), 1
        common |= {"net": NetSpec(width=4, depth=1), "orders": (0,), "nets": 1}
        params = made.params.replace(iterations=2)
        made = made.replace(ipc=ipc, params=params, validations=1, val_nets=1)
    kept: list[dict[str, Any]] = [{"source": source} for source in BASELINES]
    kept.append({"source": "distilled", "distill": made})
    specs = []
    for steps in (2, 5) if rehearsal else (5, 10):
        own = {**common, "steps": steps}
        specs += [ContinualTask(**own, **each, ipc=ipc, protocol=protocol) for each in kept]
        specs += [ContinualTask(**own, strategy=end) for end in ("finetune", "joint")]
    return [Step(spec, "", functools.partial(estimate, spec)) for spec in specs]


RECIPE = Recipe(
    name="cifar100-continual",
    order=4,
    title="Continual learning on CIFAR-100",
    about="Distribution matching, random images, herding and k-means as memories of 20 images per class, "
    "in 5 and 10 steps over five orders of the classes, with floor and ceiling. Fresh networks on the memory "
    "after every step, as in the code of Zhao & Bilen 2021; pixels are scaled from -1 to 1, since other "
    "statistics would be those of classes to come.",
    machine="gpu",
    rows=(),
    repeats=True,
    follow=memories,
)
