"""Exact distillation of kernel ridge regression as a method: see `engines.krr_exact`.

The model of all real data comes from a Gram matrix that is summed up batch by batch, so its memory does not
depend on how many images there are.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ddcore.distil.engines import krr_exact
from ddcore.distil.problem import Current, Distiller, Problem, to_numpy
from ddcore.kernels import machine, ridge
from ddcore.kernels.spec import KernelSpec


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """The kernel machine, the ridge `lam` of the model that is copied (0: best on validation data), and how
    the set is to be trained on: ridge `lambda_s`, and which `root` of the two.
    """

    kernel: KernelSpec
    lam: float
    lambda_s: float
    root: str


class ExactRidge(Distiller):
    """One step: train on everything, construct, verify."""

    def __init__(self, problem: Problem, params: Ridge) -> None:
        super().__init__(problem)
        spec, device = problem.spec, torch.device(problem.device)
        self.params, self.kernel = params, params.kernel
        size = problem.data.train.images[0].numel()
        self.phi = machine.feature_map(self.kernel, size).to(device)
        images, classes = self.synthetic.final()
        self.order = _cycled(classes)  # the theorem's labels go round the classes
        self.images = images.detach().flatten(1).double().clone()
        self.first, self.start = self.images.clone(), "noise" if spec.init == "noise" else "real"
        self.labels = ridge.targets(classes, problem.classes)
        self.weights = self.images.new_zeros(problem.classes, self.phi.features)
        # The factor of the map's range by which features, labels and ridge are shrunk; and lambda.
        self.scale, self.lam = self.images.new_ones(()), self.images.new_zeros(())
        self.optimiser = torch.optim.SGD(list(self.tensors().values()), lr=1.0)

    def tensors(self) -> dict[str, Tensor]:
        """Images and labels, which the closed form sets."""
        return {"images": self.images, "labels": self.labels}

    def buffers(self) -> dict[str, Tensor]:
        """The model of all real data, and the factor of the map's range."""
        return {"weights": self.weights, "scale": self.scale, "lam": self.lam}

    def step(self, iteration: int) -> dict[str, float]:
        """Everything there is to do."""
        p, data = self.params, self.problem.data
        began = time.perf_counter()
        grid = (p.lam,) if p.lam else machine.grid_of(self.kernel)
        choice = machine.fit_everything(self.phi, data, grid)
        self.weights.copy_(choice.weights)
        self.lam.fill_(choice.lam)
        middle = time.perf_counter()
        made = krr_exact.construct(
            self.weights,
            self.phi,
            len(self.images),
            start=self.start,
            real=self.first[self.order] if self.start == "real" else None,
            lambda_s=p.lambda_s,
            root=p.root,
            generator=self.problem.generator("noise"),
        )
        self.notes = {
            "model_seconds": middle - began,
            "construct_seconds": time.perf_counter() - middle,
            "diagnostics": dataclasses.asdict(made.diagnostics),
        }
        self.images[self.order] = made.images  # kept by class, as every set is
        self.labels[self.order] = made.labels
        self.scale.fill_(made.diagnostics.scale)
        trained = krr_exact.train(made, self.phi)
        error = (trained - self.weights).norm() / self.weights.norm()
        return {"loss": error.item()}

    def project(self) -> None:
        """The closed form leaves nothing to project."""

    def _made(self) -> krr_exact.ExactSet:
        return krr_exact.ExactSet(
            self.images,
            self.labels,
            self.scale.item() ** 2 * self.params.lambda_s,
            self.params.root,
            self.start,
        )

    def findings(self) -> dict[str, Any]:
        """How far the model trained on the set is from the one it was made from."""
        data, made = self.problem.data, self._made()
        test = torch.cat([x for x, _ in data.test.batches(2048)]).flatten(1)
        generator = self.problem.generator("verify")
        check = krr_exact.verify(made, self.weights, self.phi, generator, test)
        trained = krr_exact.train(made, self.phi)
        both = machine.linear_outputs(self.phi, torch.stack([self.weights, trained]))
        nets = machine.Machines(both, data.device, len(self.images), made.lambda_s)
        whole, small = nets.accuracy(data.test)
        found = {
            "weight_error": check.weights,
            "agreement": check.agreement,
            "exact": check.exact,
            "test_difference": check.test_output,
            "random_difference": check.random_output,
            "float32_error": check.float32,
            "uint8_error": check.uint8,
            "points": len(self.images),
            "features": self.phi.features,
            "lam": self.lam.item(),
            "lambda_s": made.lambda_s,
            "whole_accuracy": whole,
            "distilled_accuracy": small,
            "train_images": len(data.train),
        }
        kept = ("guaranteed", "reason", "rank_weights", "rank", "condition", "bound", "residual")
        said = self.notes["diagnostics"]
        found |= {k: self.notes[k] for k in ("model_seconds", "construct_seconds")}
        found |= {k: said[k] for k in (*kept, "soft_labels", "moved")}
        return found

    def current(self) -> Current:
        """Float32 for the eye and for networks; to the last digit for the kernel machine."""
        shape = self.problem.data.shape
        images, labels = self.images.unflatten(1, shape), self.labels
        exact = {"images": to_numpy(images), "labels": to_numpy(labels)}
        exact |= {f"phi.{k}": v for k, v in self.phi.arrays().items()}
        exact["model"] = to_numpy(self.weights)  # of all real data: what is to be recovered
        hard = torch.equal(labels, ridge.targets(labels.argmax(1), labels.shape[1]))
        shown = labels.argmax(1) if hard else labels.float()
        kernel = self.kernel.replace(ridge=self._made().lambda_s)
        return Current(to_numpy(images.float()), to_numpy(shown), exact=exact, kernel=kernel)


def _cycled(classes: Tensor) -> Tensor:
    """Indices (M,) that go round the classes (M,), of which each has as many images."""
    rank = torch.zeros_like(classes)
    for c in classes.unique():
        own = classes == c
        rank[own] = torch.arange(int(own.sum()), device=classes.device)
    return (rank * len(classes) + classes).argsort()
