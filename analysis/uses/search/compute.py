"""Tasks `candidates` and `search`: networks trained one architecture after the other, with checkpoints."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.uses.search.spec import (
    EARLY,
    PARAMETERS,
    CandidatesTask,
    SearchTask,
    require_data,
)
from ddcore.base import rng
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData
from ddcore.distil.contract import DistillSpec, methods
from ddcore.measure import baselines
from ddcore.measure.spec import WHOLE, run_of
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import cost
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.use import Use
from ddcore.tasks.store import Task
from ddcore.tasks.worker import Context
from ddcore.training.protocols import Protocol
from ddcore.training.train import train
from ddcore.training.trained import Trained, agreement, mean_losses

MEASURED = ("val", "val_loss", "test", "cpu_seconds")


def run_candidates(context: Context[CandidatesTask]) -> None:
    """Runner of `CandidatesTask`. Stored: accuracies and losses (A, n), CPU seconds (A,)."""
    spec = context.spec
    data = DeviceData(ensure(context, spec.data), context.device)
    nets = spec.space.nets(data.shape, data.num_classes)
    school = _School(context, data)
    found: dict[str, np.ndarray] = {m: np.zeros((len(nets), spec.nets)) for m in MEASURED[:-1]}
    found["cpu_seconds"] = np.zeros(len(nets))
    first = 0
    if kept := context.load_checkpoint():
        found, first = {k: v.copy() for k, v in kept[0].items()}, kept[1]["step"]
    for place in range(first, len(nets)):
        context.progress(place, len(nets), nets[place].label())
        began = time.process_time()
        trained = school.train(nets[place])
        found["cpu_seconds"][place] = time.process_time() - began
        found["val"][place], found["val_loss"][place] = _figures(trained, data.val)
        found["test"][place], _ = _figures(trained, data.test)
        if context.checkpoint_due():
            context.save_checkpoint(place + 1, found, {})
    context.progress(len(nets), len(nets))
    context.save_arrays(found)
    context.save_result(
        {
            "protocol": school.recipe.to_dict(),
            "images": school.images,
            "device": context.device,
            "cpu_seconds": context.cpu_seconds,
        }
    )


def _figures(trained: Trained, part: Any) -> tuple[list[float], list[float]]:
    """Accuracy and mean cross-entropy of each network."""
    logits = torch.cat(trained.logits_in_batches(part), dim=1)
    return agreement(logits.argmax(2), part.labels), mean_losses(logits, part.labels)


class _School:
    """What networks are trained on, and how."""

    def __init__(self, context: Context[CandidatesTask], data: DeviceData) -> None:
        self.context, self.spec, self.data = context, context.spec, data
        spec = self.spec
        self.recipe: Protocol = spec.recipe(len(data.train))
        self.made: DistilledSet | None = None
        # Of its own for full training, so that a proxy shares no initial weights with it.
        kind = WHOLE if spec.subject == WHOLE else "proxy"
        self.seeds = [rng.derive(spec.seed, "search", kind, i) for i in range(spec.nets)]
        if spec.subject in (WHOLE, EARLY):
            self.x: Tensor = data.batch(torch.arange(len(data.train)))
            self.y: Tensor = data.train.labels
        else:
            task = context.need_key(spec.subject)
            if task.kind == "baseline":
                images, self.y = baselines.sets(task, data.dataset, data.device)
                self.x = images[torch.arange(spec.nets) % len(images)]
                self.x = self.x[0] if len(images) == 1 else self.x
            else:
                self.made = DistilledSet.from_task(task)
                use = Use(self.made, self.recipe, self.made.net)
                self.x, self.y = use.arrays(data.device)
        self.images = int(self.x.shape[-4])

    def train(self, net: NetSpec) -> Trained:
        """Networks of one architecture."""
        if self.made:
            return Use(self.made, self.recipe, net).train(
                self.x, self.y, self.seeds, on_step=self._check
            )
        classes = self.data.num_classes
        return train(net, self.x, self.y, classes, self.recipe, self.seeds, on_step=self._check)

    def _check(self, step: int, total: int) -> None:
        self.context.check_cancel()


# --- the table --------------------------------------------------------------------------------------


def run_search(context: Context[SearchTask]) -> None:
    """Runner of `SearchTask`: asks for every part, keeps what they found side by side."""
    spec = context.spec
    data = ensure(context, spec.data)
    shape, classes = data.shape, data.num_classes
    nets = spec.space.nets(shape, classes)
    wanted: list[tuple[str, CandidatesTask, dict[str, Any]]] = [
        ("full", spec.full(), {"title": "All training images"})
    ]
    wanted += [_of_set(context, key) for key in spec.run_keys]
    for name in spec.baselines:
        made = context.need(spec.baseline(name))
        wanted.append((name, spec.candidates(made.key), {"ipc": spec.ipc}))
    if spec.early:
        wanted.append((EARLY, spec.stopped(classes), {"ipc": spec.ipc}))
    arrays: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    for place, (name, candidates, facts) in enumerate(wanted):
        context.progress(place, len(wanted), facts.get("title", name))
        task = context.need(candidates)
        found = task.arrays()
        arrays |= {f"{part}.{place}": found[part].astype(np.float32) for part in MEASURED}
        result = task.result()
        own = {"key": task.key, "images": result["images"], "protocol": result["protocol"]["name"]}
        own["cpu_seconds"] = float(found["cpu_seconds"].sum())
        own["nets"] = candidates.nets
        rows.append({"name": name, **own, **facts})
    counted = [cost(net.plan(shape, classes), shape) for net in nets]
    arrays["parameters"] = np.array([each.parameters for each in counted], np.float64)
    arrays["macs"] = np.array([each.macs for each in counted], np.float64)
    context.save_arrays(arrays)
    context.save_result(
        {
            "data_label": data.label,
            "nets": [net.to_dict() for net in nets],
            "rows": rows,
            "also": [PARAMETERS],
            "chance": 1 / classes,
            "val_images": len(data.val_labels),
            "test_images": len(data.test_labels),
            "device": context.device,
            "cpu_seconds": context.cpu_seconds,
        }
    )


def _of_set(context: Context[SearchTask], key: str) -> tuple[str, CandidatesTask, dict[str, Any]]:
    """A distilled set as a proxy: trained on as it is meant to, if networks can be."""
    task: Task = context.need_key(key)
    run, own = run_of(task), context.spec
    require_data(own, key, run.data)
    protocol = own.protocol if run.protocol.closed_form else run.protocol
    name = run.method if isinstance(run, DistillSpec) else "import"
    title = methods()[name].title if name in methods() else "Opened set"
    facts = {"title": title, "run": key, "ipc": run.ipc}
    facts["distil_cpu_seconds"] = task.result().get("cpu_seconds")
    return name, own.candidates(key, protocol=protocol), facts
