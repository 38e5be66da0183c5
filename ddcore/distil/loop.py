"""The outer loop of whatever is made step by step: checkpoints, recovery from divergence. No data here.

Resuming equals never having stopped: the state is the tensors and the optimiser's, also those to go back
to after divergence and the best so far, and the randomness of iteration t is drawn from streams that name t.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, Protocol

import numpy as np
import torch

from ddcore.base.errors import Cancelled, Diverged
from ddcore.tasks.worker import Context

METRIC_EVENTS = 300  # about so many points on the loss curve
GOOD_STATE_EVERY = 50
HALVINGS = 2
BEST, GOOD = "best.", "good."  # before the names of arrays in a checkpoint


class Driven(Protocol):
    """What the loop drives, as `problem.Distiller` does it."""

    optimiser: torch.optim.Optimizer
    notes: dict[str, Any]

    def tensors(self) -> dict[str, torch.Tensor]:
        """Learnable tensors by name."""

    def buffers(self) -> dict[str, torch.Tensor]:
        """Other tensors that the next iteration depends on."""

    def step(self, iteration: int) -> dict[str, float]:
        """Put gradients on the tensors; returns metrics, `loss` among them."""

    def lr_factor(self, iteration: int) -> float:
        """Factor on every base step size."""

    def project(self) -> None:
        """After the optimiser's step."""


class Loop:
    """`total` iterations of a distiller, looked at and judged at some of them by those who extend it."""

    def __init__(
        self,
        context: Context,
        distiller: Driven,
        total: int,
        *,
        validations: int,
        snapshot_at: Collection[int],
    ) -> None:
        self.context, self.distiller, self.total = context, distiller, total
        self.base_lrs = [g["lr"] for g in distiller.optimiser.param_groups]
        self.step, self.halvings = 0, 0
        self.best: dict[str, Any] = {"validation": -1.0, "step": 0}
        self.best_arrays: dict[str, np.ndarray] = {}
        self.good, self.good_arrays = 0, self.arrays()  # to go back to, and the step of it
        self.validate_at = {round(total * (i + 1) / validations) for i in range(validations)}
        self.validate_at |= {total}
        self.snapshot_at = snapshot_at
        self.event_every = max(1, total // METRIC_EVENTS)

    def snapshot(self) -> None:
        """Keep what the set looks like now."""
        raise NotImplementedError

    def validate(self) -> float:
        """How good the set is now; `keep` remembers it."""
        raise NotImplementedError

    def keep(self, score: float, figure: dict[str, Any]) -> None:
        """The set as it is now, if none was better so far."""
        if math.isfinite(score) and score >= self.best["validation"]:
            self.best = {"validation": score, "step": self.step, "of": figure}
            self.best_arrays = {k: v.copy() for k, v in self.arrays().items()}

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
            if self.step < self.total:
                self.context.hold(self.step, self.total, self.paused)
        except Cancelled:
            self.checkpoint()
            raise
        if self.context.checkpoint_due():
            self.checkpoint()

    def paused(self) -> None:
        """What is kept where a person has the run wait."""
        self.checkpoint()

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


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
