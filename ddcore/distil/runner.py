"""The outer loop of every method: steps, validation, snapshots, checkpoints, recovery from divergence.

Resuming equals never having stopped: the state is the tensors and the optimiser's, also those to go back
to after divergence and the best so far, and the randomness of iteration t is drawn from streams that name t.
"""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import torch

from ddcore.base import rng
from ddcore.base.errors import Cancelled, Diverged
from ddcore.base.spread import summary
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData
from ddcore.distil.contract import DistillSpec, method
from ddcore.distil.problem import Current, Distiller, Problem
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.use import Use
from ddcore.tasks.worker import Context
from ddcore.training.chunks import limit_threads

SNAPSHOTS = 30
SNAPSHOT_BYTES = 60 << 20  # of a run's snapshots, before compression
METRIC_EVENTS = 300  # about so many points on the loss curve
GOOD_STATE_EVERY = 50
HALVINGS = 2
BEST, GOOD = "best.", "good."  # before the names of arrays in a checkpoint


def run(context: Context[DistillSpec]) -> None:
    """Task `distill`."""
    spec = context.spec
    dataset = ensure(context, spec.data)
    problem = Problem(spec, DeviceData(dataset, context.device), context.device, context.need)
    limit_threads(problem.network(1), context.device)
    run = _Run(context, problem, method(spec.method).build(problem), dataset)
    run.restore()
    run.loop()
    run.finish()


def snapshot_steps(iterations: int, image_bytes: int = 0) -> set[int]:
    """Steps at which images are kept: the first ones densely, then evenly; fewer of large sets."""
    early = {0, 1, 2, 5, 10, 20}
    count = SNAPSHOTS if not image_bytes else min(SNAPSHOTS, SNAPSHOT_BYTES // image_bytes)
    if count < SNAPSHOTS:
        early, count = {0}, max(count, 2)
    even = {round(i * iterations / count) for i in range(count + 1)}
    return {s for s in early | even if s <= iterations}


class _Run:
    def __init__(
        self, context: Context, problem: Problem, distiller: Distiller, dataset: Any
    ) -> None:
        self.context, self.problem, self.distiller, self.dataset = (
            context,
            problem,
            distiller,
            dataset,
        )
        self.spec = problem.spec
        self.total = self.spec.params.iterations
        self.base_lrs = [g["lr"] for g in distiller.optimiser.param_groups]
        self.step, self.halvings = 0, 0
        self.best: dict[str, Any] = {"validation": -1.0, "step": 0}
        self.best_arrays: dict[str, np.ndarray] = {}
        self.good, self.good_arrays = 0, self.arrays()  # to go back to, and the step of it
        n = self.spec.validations
        self.validate_at = {round(self.total * (i + 1) / n) for i in range(n)} | {self.total}
        per_class = problem.per_class
        image_bytes = 2 * per_class * problem.classes * math.prod(problem.data.shape)
        self.snapshot_at = snapshot_steps(self.total, image_bytes)
        self.event_every = max(1, self.total // METRIC_EVENTS)

    # --- the loop -------------------------------------------------------------------------------

    def loop(self) -> None:
        if self.step == 0:
            self.snapshot()
        while self.step < self.total:
            metrics = self.advance()
            if not all(math.isfinite(v) for v in metrics.values()) or not self.finite():
                self.recover(metrics["loss"])
                continue
            self.step += 1
            if self.step % GOOD_STATE_EVERY == 0:
                self.good, self.good_arrays = self.step, self.arrays()
            if self.step in self.snapshot_at:
                self.snapshot()
            if self.step in self.validate_at:
                metrics["validation"] = self.validate()
            self.report(metrics)

    def advance(self) -> dict[str, float]:
        """One iteration; the optimiser steps only on finite gradients."""
        scale = self.distiller.lr_factor(self.step) * 0.5**self.halvings
        for group, lr in zip(self.distiller.optimiser.param_groups, self.base_lrs):
            group["lr"] = lr * scale
        metrics = self.distiller.step(self.step)
        if math.isfinite(metrics["loss"]):
            self.distiller.optimiser.step()
            self.distiller.project()
        return metrics

    def finite(self) -> bool:
        """Whether the learnable tensors are still finite."""
        parts = [t.isfinite().all() for t in self.distiller.tensors().values()]
        return bool(torch.stack(parts).all())

    def recover(self, loss: float) -> None:
        """Back to the last good state with half the step size, twice; then give up."""
        if self.halvings >= HALVINGS:
            raise Diverged(self.step, loss)
        self.halvings += 1
        self.step = self.good
        self.load_arrays(self.good_arrays)
        # What was seen after it belongs to the steps that are taken back, as do checkpoints.
        self.context.forget_after(self.step)
        self.context.note(self.step, f"halved the step size (loss {loss})")
        self.checkpoint()

    def report(self, metrics: dict[str, float]) -> None:
        event = self.step % self.event_every == 0 or "validation" in metrics
        try:
            self.context.progress(self.step, self.total, "", **(metrics if event else {}))
        except Cancelled:
            self.checkpoint()
            raise
        if self.context.checkpoint_due():
            self.checkpoint()

    # --- looking at the set ---------------------------------------------------------------------

    def snapshot(self) -> None:
        """Keep the images as pixels for the step slider (16-bit: for the eye, not the data)."""
        pixels = self.dataset.pixels(self.distiller.current().images)
        self.context.save_snapshot(self.step, {"pixels": pixels.astype(np.float16)})

    def validate(self) -> float:
        """Mean validation accuracy of a few fresh networks; the best set so far is kept."""
        spec, data = self.spec, self.problem.data
        use = Use(self.distilled(self.distiller.current(), {}), spec.protocol, spec.net)
        seeds = [rng.derive(spec.seed, "validation", i) for i in range(spec.val_nets)]
        # A set with an initialisation of its own has one network here under any protocol: stored runs
        # were chosen so.
        seeds = seeds[:1] if use.made.init_weights else use.few(seeds)
        judges = use.bank("validation", len(seeds), data, self.context.need)
        nets = use.train(*use.arrays(data.device), data, seeds, judges)
        accuracies = use.scores(nets, data.val)
        score = statistics.fmean(accuracies)
        if math.isfinite(score) and score >= self.best["validation"]:
            self.best = {"validation": score, "step": self.step, "of": summary(accuracies)}
            self.best_arrays = {k: v.copy() for k, v in self.arrays().items()}
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

    # --- state ----------------------------------------------------------------------------------

    def arrays(self) -> dict[str, np.ndarray]:
        """Tensors, buffers and optimiser state by name."""
        found = {f"tensor.{k}": v for k, v in self.distiller.tensors().items()}
        found |= {f"buffer.{k}": v for k, v in self.distiller.buffers().items()}
        for index, state in self.distiller.optimiser.state_dict()["state"].items():
            for name, value in state.items():
                found[f"optimiser.{index}.{name}"] = torch.as_tensor(value)
        return {k: v.detach().cpu().numpy().copy() for k, v in found.items()}

    def load_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Inverse of `arrays`."""
        kept = {f"tensor.{k}": v for k, v in self.distiller.tensors().items()}
        kept |= {f"buffer.{k}": v for k, v in self.distiller.buffers().items()}
        for name, tensor in kept.items():
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(arrays[name]))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in arrays.items():
            if name.startswith("optimiser."):
                _, index, field = name.split(".", 2)
                state.setdefault(int(index), {})[field] = torch.from_numpy(value.copy())
        optimiser = self.distiller.optimiser
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})

    def checkpoint(self) -> None:
        """Everything needed to go on from here."""
        parts = {"": self.arrays(), BEST: self.best_arrays}
        if self.good != self.step:
            parts[GOOD] = self.good_arrays
        arrays = {prefix + k: v for prefix, part in parts.items() for k, v in part.items()}
        meta = {"best": self.best, "halvings": self.halvings, "good": self.good}
        self.context.save_checkpoint(self.step, arrays, meta | {"notes": self.distiller.notes})

    def restore(self) -> None:
        """Go on from the last checkpoint, if there is one."""
        found = self.context.load_checkpoint()
        if not found:
            return
        arrays, meta = found
        self.step, self.best, self.halvings = meta["step"], meta["best"], meta["halvings"]
        self.distiller.notes = meta["notes"]
        own = {k: v for k, v in arrays.items() if not k.startswith((BEST, GOOD))}
        self.best_arrays = _under(BEST, arrays)
        self.good, self.good_arrays = meta["good"], _under(GOOD, arrays) or own
        self.load_arrays(own)

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


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
