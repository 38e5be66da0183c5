"""The closed form beside gradient descent: seconds until a set carries the model of all data.

KIP as the rival of Chen et al. 2024: images follow the gradient of the regression loss, with the same
features, the same model of all data, the same number of images and the same start. Its agreement with
that model is looked at outside its clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ddcore.base import rng
from ddcore.base.fields import REQUIRED, choice, number, part, seed
from ddcore.base.specs import TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.kernels.spec import MAPS, KernelSpec

if TYPE_CHECKING:
    import torch

    from ddcore.data.tensors import DeviceData
    from ddcore.tasks.worker import Context


@dataclass(frozen=True, kw_only=True)
class RaceTask(TaskSpec):
    """The closed form beside KIP."""

    KIND: ClassVar[str] = "race"
    RUNNER: ClassVar[str] = "analysis.single.race:run"

    data: DataSpec = part(REQUIRED, "The dataset.")
    map: str = choice("linear", MAPS, "What turns images into features.")
    ipc: int = number(1, 1, 100, "Images per class.")
    iterations: int = number(2000, 1, 1_000_000, "Steps of KIP.")
    real_batch: int = number(5000, 10, 50_000, "Real images in each of them.", unit="images")
    lr: float = number(0.01, 1e-7, 100, "Step size of KIP.")
    looks: int = number(20, 1, 1000, "How often its agreement is looked at.")
    seed: int = seed()

    def title(self) -> str:
        """Line for lists."""
        return f"closed form and KIP on {self.data.name}, {self.ipc} per class"


def run(context: Context[RaceTask]) -> None:
    """Task `race`."""
    from ddcore.data import ensure
    from ddcore.data.tensors import DeviceData

    spec = context.spec
    data = DeviceData(ensure(context, spec.data), context.device)
    found = race(spec, data, context.progress)
    context.save_result({**found, "ceilings": ceilings(data), "device": context.device})


def race(
    spec: RaceTask, data: DeviceData, progress: Any = lambda step, total: None
) -> dict[str, Any]:
    """Both in one go, on the same device and threads.

    Returns seconds of the shared model of all data, of the construction, its agreement with that model
    (share of test images called alike) and weight error; and for KIP seconds, agreement and accuracy at
    each look. `ratio` is KIP's seconds at its best agreement by those of the construction.
    """
    from ddcore.distil.engines import krr_exact
    from ddcore.kernels import machine, ridge

    kernel = KernelSpec(kind=spec.map, seed=spec.seed, ridge=0.0)
    phi = machine.feature_map(kernel, data.train.images[0].numel()).to(data.device)
    began = time.perf_counter()
    choice = machine.fit_everything(phi, data, machine.grid_of(kernel))
    model_seconds = time.perf_counter() - began
    count, points = data.num_classes, spec.ipc * data.num_classes
    order = krr_exact.cycle_classes(
        data.train.labels, count, points, rng.generator(spec.seed, "real points")
    )
    start = data.batch(order).flatten(1).double()
    began = time.perf_counter()
    made = krr_exact.construct(
        choice.weights,
        phi,
        points + (phi.unit is not None),
        generator=rng.generator(spec.seed, "noise"),
    )
    construct_seconds = time.perf_counter() - began
    test = _images(data.test)
    wanted = ridge.predict(phi(test), choice.weights).argmax(1)
    weights = krr_exact.train(made, phi)

    def figures(w: torch.Tensor) -> tuple[float, float]:
        called = ridge.predict(phi(test), w).argmax(1)
        agreement = (called == wanted).double().mean().item()
        return agreement, (called == data.test.labels).double().mean().item()

    exact_agreement, exact_accuracy = figures(weights)
    looks = _kip(
        spec, data, phi, start, data.train.labels[order.to(data.device)], figures, progress
    )
    best = max(looks, key=lambda look: look["agreement"])
    error = (weights - choice.weights).norm() / choice.weights.norm()
    return {
        "model_seconds": model_seconds,
        "construct_seconds": construct_seconds,
        "weight_error": error.item(),
        "agreement": exact_agreement,
        "accuracy": exact_accuracy,
        "kip": looks,
        "kip_agreement": best["agreement"],
        "kip_seconds": best["seconds"],
        "ratio": best["seconds"] / construct_seconds,
        "points": points,
        "train_images": len(data.train),
    }


def _images(part: Any) -> torch.Tensor:
    import torch

    return torch.cat([x for x, _ in part.batches(2048)]).flatten(1)


def _kip(
    spec: RaceTask,
    data: DeviceData,
    phi: Any,
    start: torch.Tensor,
    classes: torch.Tensor,
    figures: Any,
    progress: Any,
) -> list[dict[str, float]]:
    """KIP on the same features with one-hot labels; ridge 1e-6 of the mean diagonal."""
    import torch

    from ddcore.kernels import ntk, ridge

    images, count = start.clone().requires_grad_(), data.num_classes
    labels = ridge.targets(classes, count)
    optimiser = torch.optim.Adam([images], lr=spec.lr)
    found, seconds = [], 0.0
    every = max(1, spec.iterations // spec.looks)

    def look(step: int) -> None:
        with torch.no_grad():
            psi = phi(images)
            lam = ntk.ridge_of(psi @ psi.T).item()
            agreement, accuracy = figures(ridge.dual(psi, labels, lam))
        row = {"step": step, "seconds": seconds, "agreement": agreement, "accuracy": accuracy}
        found.append(row)

    look(0)
    for step in range(1, spec.iterations + 1):
        began = time.perf_counter()
        real, wanted = _real(spec, data, step)
        psi = phi(images)
        k_ss = psi @ psi.T
        k_ts = phi(real.flatten(1)) @ psi.T
        loss = ntk.kip_loss(k_ss, k_ts, labels, ridge.targets(wanted, count))
        (images.grad,) = torch.autograd.grad(loss, images)
        optimiser.step()
        seconds += time.perf_counter() - began
        if step % every == 0:
            look(step)
            progress(step, spec.iterations)
    return found


def _real(spec: RaceTask, data: DeviceData, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    if spec.real_batch >= len(data.train):
        return data.batch(torch.arange(len(data.train))), data.train.labels
    return data.minibatch(spec.real_batch, rng.generator(spec.seed, "real", step))


def ceilings(data: DeviceData) -> list[dict[str, Any]]:
    """Test accuracy of each kernel's machine of all training data: no set can be asked for more."""
    from ddcore.kernels import machine

    kernels = [KernelSpec(kind=kind, ridge=0.0) for kind in (*MAPS, "ntk", "nngp")]
    found = []
    for kernel in kernels:
        trained = machine.train_on_everything(kernel, data, [0])
        (accuracy,) = trained.accuracy(data.test)
        row = {"kernel": kernel.label(), "ridge": trained.ridge, "accuracy": accuracy}
        found.append({**row, "images": trained.images})
    return found
