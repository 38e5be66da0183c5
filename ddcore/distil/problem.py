"""What a method is given (`Problem`) and what the runner drives (`Distiller`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol

import numpy as np
import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.base.specs import TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData
from ddcore.distil.decoder import Decoder
from ddcore.distil.synthetic import Synthetic
from ddcore.kernels.spec import KernelSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network
from ddcore.nets.plan import Shape
from ddcore.nets.precision import FLOAT32
from ddcore.pools.bank_spec import Start
from ddcore.tasks.store import Task
from ddcore.training.labels import one_hot, step_major_labels

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # with defaults, which `typing` knows from Python 3.13 on
else:
    from typing import TypeVar


class Asked(Protocol):
    """What a problem and the engines read of a run's spec, a `DistillSpec`: that one knows the methods."""

    @property
    def data(self) -> DataSpec: ...
    @property
    def net(self) -> NetSpec: ...
    @property
    def seed(self) -> int: ...
    @property
    def parametrization(self) -> str: ...
    @property
    def init(self) -> str: ...
    @property
    def labels(self) -> str: ...
    @property
    def label_lr(self) -> float: ...
    @property
    def params(self) -> Any: ...
    @property
    def steps(self) -> int: ...
    @property
    def start(self) -> Start: ...

    def images_per_class(self, shape: Shape, classes: int) -> int: ...
    def decoder(self, problem: Problem[Any]) -> Decoder: ...


# The spec of a problem. A bare `Problem` is one of any method and parametrization.
if TYPE_CHECKING:
    S = TypeVar("S", bound=Asked, default=Asked, covariant=True)
else:
    S = TypeVar("S", covariant=True)


def _no_tasks(spec: TaskSpec) -> Task:
    raise RuntimeError(f"{spec.title()} is needed, but this problem cannot run tasks.")


@dataclass(frozen=True)
class Problem(Generic[S]):
    """A run's fixed surroundings: the spec, the data on the device, the device, other tasks' results."""

    spec: S
    data: DeviceData
    device: str
    need: Callable[[TaskSpec], Task] = field(default=_no_tasks)

    @property
    def on_cpu(self) -> bool:
        """Whether caches bound what is best computed together, rather than memory."""
        return torch.device(self.device).type == "cpu"

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.data.num_classes

    @property
    def per_class(self) -> int:
        """Images of each class that a network sees."""
        return self.spec.images_per_class(self.data.shape, self.classes)

    def network(self, num_nets: int, *, precision: str = FLOAT32) -> Network:
        """The spec's architecture for these images."""
        net, shape, classes = self.spec.net, self.data.shape, self.classes
        return Network(net, shape, classes, num_nets, precision=precision)

    def generator(self, *labels: object) -> torch.Generator:
        """A random stream of this run. Naming the iteration in it makes resuming exact."""
        return rng.generator(self.spec.seed, *labels)

    def labels(self) -> Tensor:
        """(M,) classes of the decoded images, step-major."""
        return step_major_labels(self.classes, self.per_class, self.spec.steps)

    def first(self) -> Tensor:
        """The images (M, C, H, W), preprocessed, from which the set starts: of data and seed alone."""
        return _shown(self.spec.decoder(self))

    def synthetic(self, *, free: bool = False) -> Synthetic:
        """The set at its start; learned labels are `free` where they are targets of regression."""
        decoder = self.spec.decoder(self)
        device = torch.device(self.device)
        if self.spec.labels == "hard":
            return Synthetic(decoder, device, None, learn=False)
        if self.spec.labels == "learned":
            start = one_hot(decoder.labels, self.classes)
            return Synthetic(decoder, device, start, learn=True, free=free)
        start = self._teacher_labels(_shown(decoder))
        return Synthetic(decoder, device, start, learn=False)

    def _teacher_labels(self, images: Tensor) -> Tensor:
        """What networks trained on the real data say about the first images."""
        from ddcore.pools.bank import teacher_labels

        spec = self.spec
        asked = (spec.data, spec.net, images, self.need, self.device)
        return teacher_labels(*asked, spec.params.teaches)


def _shown(decoder: Decoder) -> Tensor:
    with torch.no_grad():
        return decoder.take(decoder.decode(), decoder.final())


@dataclass(frozen=True)
class Current:
    """The set as it stands: what a `DistilledSet` needs beyond the spec.

    images (M, C, H, W), labels (M,) or (M, K); lrs (steps * passes,) or None; `init_weights` of a fixed
    known network; `stored` the parametrization's own arrays (empty for plain pixels); `exact` what a
    kernel machine takes, in float64 (see `DistilledSet`), and `kernel` that machine where it is not
    simply the method's.
    """

    images: np.ndarray
    labels: np.ndarray
    lrs: np.ndarray | None = None
    momentum: float = 0.0
    init_weights: dict[str, np.ndarray] = field(default_factory=dict)
    stored: dict[str, np.ndarray] = field(default_factory=dict)
    exact: dict[str, np.ndarray] = field(default_factory=dict)
    kernel: KernelSpec | None = None


class Distiller:
    """A method at work: subclasses set `optimiser` and define `step`.

    All randomness of iteration t comes from streams that name t. What an iteration leaves behind for the
    next one, other than learnable tensors, is in `buffers`. What it found out for `findings` and no tensor
    tells, as plain values for JSON, is in `notes`; both are kept in checkpoints.
    """

    optimiser: torch.optim.Optimizer
    free_labels = False  # learned labels are targets of regression

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.synthetic = self.started()
        self.notes: dict[str, Any] = {}

    def started(self) -> Synthetic:
        """The set at its start."""
        return self.problem.synthetic(free=self.free_labels)

    def tensors(self) -> dict[str, Tensor]:
        """Learnable tensors by name."""
        return self.synthetic.tensors()

    def buffers(self) -> dict[str, Tensor]:
        """Other tensors that the next iteration depends on, changed in place only."""
        return {}

    def step(self, iteration: int) -> dict[str, float]:
        """Put gradients on the tensors; returns metrics, `loss` among them. The runner steps."""
        raise NotImplementedError

    def lr_factor(self, iteration: int) -> float:
        """The schedule: factor on every base step size."""
        return 1.0

    def project(self) -> None:
        """After the optimiser's step."""
        self.synthetic.project()

    def findings(self) -> dict[str, Any]:
        """What the method measured about the kept set, ready for JSON; tensors are those of that set."""
        return {}

    def current(self) -> Current:
        """The set now."""
        images, labels = self.synthetic.final()
        stored = {}
        if self.problem.spec.parametrization != "pixels":
            stored = {k: to_numpy(v) for k, v in self.synthetic.decoder.tensors().items()}
        return Current(to_numpy(images), to_numpy(labels), stored=stored)


def to_numpy(tensor: Tensor) -> np.ndarray:
    """A detached copy on the CPU."""
    return tensor.detach().cpu().numpy().copy()
