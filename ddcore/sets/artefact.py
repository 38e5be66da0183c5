"""The artefact: everything needed to use a set of synthetic images, and nothing that needs torch to read."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ddcore.base import rng
from ddcore.base.errors import DataError, SpecError
from ddcore.data.preprocess import Preprocess
from ddcore.kernels.spec import KernelSpec
from ddcore.nets.architectures import NetSpec
from ddcore.training.protocols import Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from ddcore.nets.network import Network, Weights
    from ddcore.tasks.store import Task
    from ddcore.tasks.worker import Context

FORMAT = "distilled-set"
VERSION = 1
HALF_STEP = 0.5 / 255  # of an 8-bit display
_INIT = "init."
_STORED = "stored."
_EXACT = "exact."
_PREPROCESS = "preprocess."


@dataclass(frozen=True, eq=False)
class Artefact:
    """Synthetic images with labels, and how they were made and are meant to be used.

    `DistilledSet` adds their use. Images are step-major: image i belongs to step i // (M / steps). Wrong
    shapes raise `DataError`.
    """

    images: np.ndarray  # (M, C, H, W) float32, preprocessed (what networks see), exact
    labels: np.ndarray  # (M,) int64, or (M, K) float32 soft
    class_names: tuple[str, ...]
    preprocess: Preprocess
    net: NetSpec  # the network it was made with
    protocol: Protocol  # how it is meant to be trained on
    method: str
    run_key: str  # of the task that made it, "" if it was not made by one
    data: dict[str, Any]  # DataSpec as a dict
    steps: int = 1
    lrs: np.ndarray | None = None  # (steps * passes,) learned step sizes in the order of use
    momentum: float = 0.0  # of the gradient descent with `lrs`
    init_weights: dict[str, np.ndarray] = field(default_factory=dict)  # of a fixed known network
    start: dict[str, Any] = field(default_factory=dict)  # `Start` as a dict; {}: fresh weights
    relabel: tuple[int, int] | None = None  # (a, b): made to let networks call class a class b
    parametrization: str = "pixels"
    stored: dict[str, np.ndarray] = field(default_factory=dict)  # what the images are decoded from
    params: dict[str, Any] = field(default_factory=dict)  # the method's
    metrics: dict[str, Any] = field(default_factory=dict)
    kernel: KernelSpec | None = None  # of a set made for a kernel machine
    # Of such a set float64 "images" and "labels" (M, K), to the last digit, and its map as "phi.*".
    exact: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        images, labels = np.asarray(self.images, np.float32), np.asarray(self.labels)
        hard = labels.dtype.kind in "iub"
        set_field = object.__setattr__
        set_field(self, "images", images)
        set_field(self, "labels", labels.astype(np.int64 if hard else np.float32, copy=False))
        set_field(self, "class_names", tuple(map(str, self.class_names)))
        if self.lrs is not None:
            set_field(self, "lrs", np.asarray(self.lrs, np.float32))
        self._validate()

    def _validate(self) -> None:
        m, k = len(self.images), len(self.class_names)
        shape = self.labels.shape
        _check(self.images.ndim == 4 and self.images.size > 0, "images of shape (M, C, H, W)")
        _check(shape == (m,) or shape == (m, k), f"labels of shape ({m},) or ({m}, {k})")
        if self.labels.ndim == 1:
            inside = self.labels.min() >= 0 and self.labels.max() < k
            _check(self.labels.dtype == np.int64 and bool(inside), f"labels from 0 to {k - 1}")
        _check(self.steps >= 1 and m % self.steps == 0, f"steps that divide the {m} images evenly")
        if self.lrs is not None:
            whole = self.lrs.ndim == 1 and len(self.lrs) and len(self.lrs) % self.steps == 0
            _check(bool(whole), f"step sizes for whole passes through {self.steps} steps")
        if self.relabel is not None:
            two = len(self.relabel) == 2 and all(c in range(k) for c in self.relabel)
            _check(two, f"two classes from 0 to {k - 1} in an attack")

    # --- what is in it --------------------------------------------------------------------------

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def ipc(self) -> int:
        """Images per class (rounded down where classes differ)."""
        return len(self.images) // self.num_classes

    @property
    def floats(self) -> int:
        """Numbers that were learned for the images: the honest size of the set."""
        return sum(a.size for a in self.stored.values()) or self.images.size

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @property
    def soft(self) -> bool:
        """Whether labels are distributions over classes."""
        return self.labels.ndim == 2

    @property
    def hard_labels(self) -> np.ndarray:
        """(M,) int64; of soft labels the largest."""
        return self.labels.argmax(1) if self.soft else self.labels

    @property
    def step_of(self) -> np.ndarray:
        """(M,) int64: the step each image belongs to."""
        return np.arange(len(self.images)) // (len(self.images) // self.steps)

    @property
    def learner(self) -> KernelSpec:
        """The kernel machine that a closed-form protocol trains on it."""
        return self.kernel or KernelSpec()

    def for_training(self, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels as a protocol needs them.

        Kernel machines take a set made for them to the last digit. Cross-entropy needs labels that are
        distributions: others, which only regression knows, count as their largest entry.
        """
        if protocol.closed_form and self.exact:
            return self.exact["images"], self.exact["labels"]
        proper = not self.soft or self.labels.min() >= 0
        return self.images, self.labels if proper or protocol.loss == "mse" else self.hard_labels

    def with_labels(self, labels: np.ndarray) -> Self:
        """The set with other labels, (M,) or (M, K)."""
        exact = dict(self.exact)
        if exact:
            rows = labels if labels.ndim == 2 else np.eye(self.num_classes)[labels]
            exact["labels"] = rows.astype(np.float64)
        return dataclasses.replace(self, labels=labels, exact=exact)

    def pixels(self) -> np.ndarray:
        """(M, C, H, W) float32 on the scale where real images are 0..1; never clamped."""
        return self.preprocess.inverse(self.images)

    def clipped_share(self) -> float:
        """Share of pixel values that a display cannot show: outside [0, 1] by more than rounding."""
        x = self.pixels()
        return float(np.mean((x < -HALF_STEP) | (x > 1 + HALF_STEP)))

    # --- order and parts ------------------------------------------------------------------------

    def order(self) -> np.ndarray:
        """(M,) indices sorted by class; the images of a class stay in step order."""
        return np.argsort(self.hard_labels, kind="stable")

    def by_class(self) -> np.ndarray:
        """(K, ipc) indices, a row for each class; `DataError` if classes differ in size."""
        counts = np.bincount(self.hard_labels, minlength=self.num_classes)
        if counts.min() != counts.max():
            raise DataError(
                f"The classes of this set have {counts.min()} to {counts.max()} images: "
                "expected the same number each."
            )
        return self.order().reshape(self.num_classes, -1)

    def subset(self, ipc: int) -> Self:
        """The first `ipc` images of each class; with several steps, the first steps as a whole.

        The part has no metrics and no run of its own, only a note of where it comes from.
        """
        rows = self.by_class()
        per_step = rows.shape[1] // self.steps
        if not 1 <= ipc <= rows.shape[1]:
            raise SpecError("ipc", ipc, f"a whole number from 1 to {rows.shape[1]}")
        if self.steps > 1 and ipc % per_step:
            raise SpecError("ipc", ipc, f"a multiple of the {per_step} images per class and step")
        keep = np.sort(rows[:, :ipc].ravel())
        steps = ipc // per_step if self.steps > 1 else 1
        lrs = self.lrs
        if lrs is not None:
            lrs = lrs.reshape(-1, self.steps)[:, :steps].ravel()
        return dataclasses.replace(
            self,
            images=self.images[keep],
            labels=self.labels[keep],
            steps=steps,
            lrs=lrs,
            parametrization="pixels",
            stored={},
            exact={k: a[keep] if k in ("images", "labels") else a for k, a in self.exact.items()},
            run_key="",
            metrics={"subset_of": self.run_key, "ipc": ipc},
        )

    # --- storing --------------------------------------------------------------------------------

    def to_arrays(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays by name and the rest, ready for JSON; `from_arrays` restores both exactly."""
        arrays = {"images": self.images, "labels": self.labels}
        if self.lrs is not None:
            arrays["lrs"] = self.lrs
        arrays |= {_INIT + name: w for name, w in self.init_weights.items()}
        arrays |= {_STORED + name: a for name, a in self.stored.items()}
        arrays |= {_EXACT + name: a for name, a in self.exact.items()}
        arrays |= self.preprocess.arrays(_PREPROCESS)
        meta = {
            "format": FORMAT,
            "version": VERSION,
            "method": self.method,
            "run_key": self.run_key,
            "class_names": list(self.class_names),
            "data": self.data,
            "net": self.net.to_dict(),
            "protocol": self.protocol.to_dict(),
            "steps": self.steps,
            "momentum": self.momentum,
            "start": self.start,
            "relabel": list(self.relabel) if self.relabel else None,
            "parametrization": self.parametrization,
            "params": self.params,
            "metrics": self.metrics,
            "kernel": self.kernel.to_dict() if self.kernel else None,
        }
        return arrays, meta

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Self:
        """Inverse of `to_arrays`; `DataError` if something is missing or does not fit together."""
        if not isinstance(meta, dict) or meta.get("format") != FORMAT:
            raise DataError("This is not a distilled set written by this program.")
        if meta.get("version") != VERSION:
            raise DataError(
                f"This distilled set has format version {meta.get('version')}: expected {VERSION}."
            )
        try:
            return cls(
                images=arrays["images"],
                labels=arrays["labels"],
                class_names=tuple(meta["class_names"]),
                preprocess=Preprocess.from_arrays(arrays, _PREPROCESS),
                net=NetSpec.from_dict(meta["net"]),
                protocol=Protocol.from_dict(meta["protocol"]),
                method=str(meta["method"]),
                run_key=str(meta["run_key"]),
                data=dict(meta["data"]),
                steps=int(meta["steps"]),
                lrs=arrays.get("lrs"),
                momentum=float(meta["momentum"]),
                init_weights=_with_prefix(arrays, _INIT),
                start=dict(meta.get("start", {})),  # sets made before there were others
                relabel=tuple(meta["relabel"]) if meta.get("relabel") else None,
                parametrization=str(meta["parametrization"]),
                stored=_with_prefix(arrays, _STORED),
                params=dict(meta["params"]),
                metrics=dict(meta["metrics"]),
                kernel=KernelSpec.from_dict(meta["kernel"]) if meta.get("kernel") else None,
                exact=_with_prefix(arrays, _EXACT),
            )
        except KeyError as error:
            raise DataError(f"This distilled set has no {error.args[0]!r}.") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise DataError(f"This distilled set is damaged: {error}") from error

    def write(self, context: Context) -> dict[str, Any]:
        """Save the arrays as a task's "set"; returns what belongs in its result under "set"."""
        arrays, meta = self.to_arrays()
        context.save_arrays(arrays, name="set")
        return meta

    @classmethod
    def from_task(cls, task: Task) -> Self:
        """The set of a finished task."""
        meta = task.result().get("set")
        if meta is None:
            raise DataError(f"{task.kind} {task.key} has not made a distilled set.")
        return cls.from_arrays(task.arrays("set"), meta)

    # --- using ----------------------------------------------------------------------------------

    @property
    def step_sizes(self) -> np.ndarray:
        """(steps * passes,) the learned step sizes; `DataError` where there are none."""
        if self.lrs is None:
            raise DataError(
                "This distilled set has no learned step sizes: choose another protocol."
            )
        return self.lrs

    def with_learned_lr(self, protocol: Protocol) -> Protocol:
        """A protocol at the set's own step size, if it asks for that and the set has learned one."""
        if not protocol.learned_lr or self.lrs is None:
            return protocol
        return protocol.replace(lr=float(np.mean(self.lrs)))

    def starting_weights(
        self, network: Network, seeds: Sequence[int], device: str | torch.device
    ) -> Weights:
        """The known weights the set was made for, or fresh ones, one network per seed.

        Those of a set made for a bank's networks are not in it: `DataError`.
        """
        from ddcore.nets.pretrained import alexnet_weights
        from ddcore.training.trained import as_tensor

        if self.init_weights and network.net == self.net:
            fixed = {k: as_tensor(w).to(device) for k, w in self.init_weights.items()}
            return {k: w.expand(len(seeds), *w.shape[1:]).clone() for k, w in fixed.items()}
        if self.start.get("bank"):
            source = self.start["bank"]["data"]["name"]
            raise DataError(
                f"This set is made for networks trained on {source}: pass their weights."
            )
        if self.start.get("weights") and network.net == self.net:
            return alexnet_weights(self.start["weights"], network, self.start["seed"], device)
        return network.init([rng.generator(s, "init") for s in seeds], device)


def _with_prefix(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}


def _check(ok: bool, expected: str) -> None:
    if not ok:
        raise DataError(f"This distilled set does not fit together: expected {expected}.")
