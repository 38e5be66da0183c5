"""The run of every method on images: the outer `loop`, with validation, snapshots and what is kept."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np

from ddcore.base import rng
from ddcore.base.spread import summary
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData
from ddcore.distil.contract import DistillSpec, method
from ddcore.distil.loop import Loop
from ddcore.distil.problem import Current, Distiller, Problem, to_numpy
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.use import Use
from ddcore.tasks import pausing
from ddcore.tasks.worker import Context
from ddcore.training.chunks import limit_threads

SNAPSHOTS = 30
SNAPSHOT_BYTES = 60 << 20  # of a run's snapshots, before compression


def run(context: Context[DistillSpec]) -> None:
    """Task `distill`."""
    spec = context.spec
    dataset = ensure(context, spec.data)
    problem = Problem(spec, DeviceData(dataset, context.device), context.device, context.need)
    # What the method needs can take long: until then pages show the start.
    if not context.task.has_checkpoint():
        save_pixels(context, 0, dataset.pixels(to_numpy(problem.first())))
    limit_threads(problem.network(1), context.device)
    run = _Run(context, problem, method(spec.method).build(problem), dataset)
    run.restore()
    run.loop()
    run.finish()


def save_pixels(context: Context[Any], step: int, pixels: np.ndarray) -> None:
    """Write the images of a step for the step slider (16-bit: for the eye, not the data)."""
    context.save_snapshot(step, {"pixels": pixels.astype(np.float16)})


def snapshot_steps(iterations: int, image_bytes: int = 0) -> set[int]:
    """Steps at which images are kept: the first ones densely, then evenly; fewer of large sets."""
    early = {0, 1, 2, 5, 10, 20}
    count = SNAPSHOTS if not image_bytes else min(SNAPSHOTS, SNAPSHOT_BYTES // image_bytes)
    if count < SNAPSHOTS:
        early, count = {0}, max(count, 2)
    even = {round(i * iterations / count) for i in range(count + 1)}
    return {s for s in early | even if s <= iterations}


class _Run(Loop):
    def __init__(
        self, context: Context, problem: Problem[DistillSpec], distiller: Distiller, dataset: Any
    ) -> None:
        self.problem, self.dataset, self.spec = problem, dataset, problem.spec
        total = self.spec.params.iterations
        image_bytes = 2 * problem.per_class * problem.classes * math.prod(problem.data.shape)
        super().__init__(
            context,
            distiller,
            total,
            validations=self.spec.validations,
            snapshot_at=snapshot_steps(total, image_bytes),
        )
        self.distiller: Distiller = distiller

    def paused(self) -> None:
        """What is kept where the run waits: nothing is lost, and the images can be looked at."""
        super().paused()
        pixels = self.dataset.pixels(self.distiller.current().images)
        pausing.show(self.context.task, self.step, pixels.astype(np.float32))

    # --- looking at the set ---------------------------------------------------------------------

    def snapshot(self) -> None:
        """Keep the images as pixels."""
        pixels = self.dataset.pixels(self.distiller.current().images)
        save_pixels(self.context, self.step, pixels)

    def validate(self) -> float:
        """Mean validation accuracy of a few fresh networks; the best set so far is kept."""
        spec, data = self.spec, self.problem.data
        use = Use(self.distilled(self.distiller.current(), {}), spec.protocol, spec.net)
        seeds = [rng.derive(spec.seed, "validation", i) for i in range(spec.val_nets)]
        # A set with an initialisation of its own has one network here under any protocol: stored runs
        # were chosen so.
        seeds = seeds[:1] if use.made.init_weights else use.few(seeds)
        judges = use.bank("validation", len(seeds), data.device, self.context.need)
        nets = use.train(*use.arrays(data.device), seeds, judges)
        accuracies = use.scores(nets, data.val)
        score = statistics.fmean(accuracies)
        self.keep(score, summary(accuracies))
        return score

    def distilled(self, current: Current, metrics: dict[str, Any]) -> DistilledSet:
        """The artefact for a state of the set."""
        spec = self.spec
        return DistilledSet(
            images=current.images,
            labels=current.labels,
            class_names=self.dataset.class_names,
            preprocess=self.dataset.preprocessing,
            net=spec.net,
            protocol=spec.protocol,
            method=spec.method,
            run_key=spec.key,
            data=spec.data.to_dict(),
            steps=spec.steps,
            lrs=current.lrs,
            momentum=current.momentum,
            init_weights=current.init_weights,
            start={} if spec.start.fresh else spec.start.to_dict(),
            relabel=spec.params.relabel,
            parametrization=spec.parametrization,
            stored=current.stored,
            kernel=current.kernel or spec.params.kernel(spec),
            exact=current.exact,
            params=spec.params.to_dict(),
            metrics=metrics,
        )

    def finish(self) -> None:
        """Write the best set on validation data, and what the run cost."""
        self.load_arrays(self.best_arrays)
        spec, data = self.spec, self.problem.data
        metrics = {"validation": self.best.get("of"), "step": self.best["step"]}
        made = self.distilled(self.distiller.current(), metrics)
        meta = made.write(self.context)
        work = method(spec.method).cost(spec, data.shape, self.problem.classes).macs
        self.context.save_result(
            {
                "set": meta,
                "validation": self.best.get("of"),
                "best_step": self.best["step"],
                "iterations": self.total,
                "halvings": self.halvings,
                "seconds": self.context.seconds,
                "cpu_seconds": self.context.cpu_seconds,
                "work": work,
                "device": self.context.device,
                "shape": list(data.shape),
                "data_label": self.dataset.label,
                "findings": self.distiller.findings(),
            }
        )
