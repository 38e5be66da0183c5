"""What a method, a parametrization and a run are: declarations and specs. No torch here.

`METHODS` and `PARAMETRIZATIONS` are found by looking into their packages, whose modules import this one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from ddcore.base.fields import REQUIRED, choice, number, part, seed
from ddcore.base.registry import Registry
from ddcore.base.specs import Spec, TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.kernels.spec import KernelSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.pools.bank_spec import Start
from ddcore.training.protocols import PROTOCOLS, PURPOSE, Protocol

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # with defaults, which `typing` knows from Python 3.13 on

    from ddcore.distil.decoder import Decoder
    from ddcore.distil.problem import Distiller, Problem
else:
    from typing import TypeVar

INITS = {
    "real": "real training images",
    "noise": "Gaussian noise",
    "mean": "means of random parts of each class",
}
LABELS = {
    "hard": "the class",
    "soft": "what networks trained on real data say, once, about the first images (some methods: the last)",
    "learned": "from the class on",
}
LABEL_LR = 0.01


@dataclass(frozen=True, kw_only=True)
class Params(Spec):
    """Parameters every method has; each method adds its own."""

    iterations: int = number(1000, 1, 10_000_000, "How often the set is changed.")

    @property
    def idle(self) -> frozenset[str]:
        """Fields that change nothing beside the others; a form need not ask for them."""
        return frozenset()

    def completed(self, spec: DistillSpec) -> Params:
        """These parameters with what follows from the rest of the run filled in."""
        return self

    def start(self, spec: DistillSpec) -> Start:
        """The weights from which networks are trained that the set is made for."""
        return Start()

    @property
    def teaches(self) -> str:
        """The file of the network whose labels are taken; "" for networks trained here."""
        return ""

    @property
    def asks(self) -> bool:
        """Whether the networks that give soft labels are needed to make the images, too."""
        return False

    def kernel(self, spec: DistillSpec) -> KernelSpec | None:
        """The kernel machine that the set is made for; None for networks."""
        return None

    def check_with(self, spec: DistillSpec) -> None:
        """Raise `SpecError` where they do not go with the rest of the run."""

    @property
    def steps(self) -> int:
        """Into how many parts the set is split that are used one after the other."""
        return 1

    @property
    def relabel(self) -> tuple[int, int] | None:
        """(a, b) if networks are to call images of class a b; such a set is judged by these labels."""
        return None


@dataclass(frozen=True, kw_only=True)
class Knobs(Spec):
    """Settings of a parametrization; each adds its own. Their names differ from all methods' parameters."""


# A run's own kinds of both. A bare `DistillSpec` is one of any method and parametrization.
if TYPE_CHECKING:
    P = TypeVar("P", bound=Params, default=Params, covariant=True)
    K = TypeVar("K", bound=Knobs, default=Knobs, covariant=True)
else:
    P = TypeVar("P", bound=Params, covariant=True)
    K = TypeVar("K", bound=Knobs, covariant=True)
OwnParams = TypeVar("OwnParams", bound=Params)  # of a declaration: what its functions are given
OwnKnobs = TypeVar("OwnKnobs", bound=Knobs)


@dataclass(frozen=True)
class Work:
    """What a whole run needs, validation not included.

    macs: multiply-adds; images: how many images' activations are held at once (times networks);
    weights: copies of one network's weights that are stored.
    """

    macs: float
    images: float
    weights: float = 0.0


FAMILIES = {
    "match": "Match real data step by step",
    "unroll": "Differentiate through training",
    "trajectory": "Match whole trainings",
    "store": "Store images differently",
    "invert": "Invert a trained network",
    "select": "Choose real images",
    "kernel": "Solve for it with kernels",
}


@dataclass(frozen=True)
class Method(Generic[OwnParams]):
    """A published method.

    `idea` is one sentence, `explanation` the three that a page shows. `family` is a key of `FAMILIES`.
    `build` wires the engine parts for a problem (imports torch inside). `cost` counts what a run takes.
    `presets(data_name, shape, ipc, typed)` gives for quick, teaching and paper, and for hour where there
    is one, the fields that differ from the defaults, as a nested dict of `DistillSpec`; `typed` are the
    user's settings as text, of which a preset may follow some (its variant). `not_labels` and
    `not_parametrizations` give, under their names, the reasons why some cannot be combined with it;
    `one_parametrization` names the only one that can, and why no other does. `class_wise(spec)` says that the
    images of a class are made without those of any other: made class by class, the set is of the same kind.
    `smallest` are settings that make a run of seconds, on which every contract is tested. `shipped` are
    the digits runs of the gallery: settings, and with how many images per class. `measured` says in Markdown
    what a run found, where its distiller has `findings`. With `labels_last` soft labels are what the teacher
    says of the finished images, not of the first ones.
    """

    name: str
    title: str
    family: str
    idea: str
    explanation: str
    paper: str
    formula: str
    params: type[OwnParams]
    build: Callable[[Problem[DistillSpec[OwnParams]]], Distiller]
    cost: Callable[[DistillSpec[OwnParams], Shape, int], Work]
    presets: Callable[[str, Shape, int, dict[str, str]], dict[str, dict[str, Any]]]
    variants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    smallest: dict[str, str] = field(default_factory=dict)
    shipped: tuple[tuple[dict[str, str], tuple[int, ...]], ...] = (({}, (1,)),)
    caveat: str = ""
    measured: Callable[[dict[str, Any]], str] | None = None
    prepares: Callable[[DistillSpec[OwnParams]], Sequence[TaskSpec]] = lambda spec: ()
    not_labels: dict[str, str] = field(default_factory=dict)
    not_parametrizations: dict[str, str] = field(default_factory=dict)
    one_parametrization: tuple[str, str] | None = None
    class_wise: Callable[[DistillSpec[OwnParams]], bool] = lambda spec: False
    labels_last: bool = False


@dataclass(frozen=True)
class Parametrization(Generic[OwnKnobs]):
    """A way to store images within the budget of `ipc` images' worth of numbers per class.

    `per_class(spec, shape, classes)` is how many images of each class a network sees;
    `build(problem)` makes the `Decoder` (imports torch inside). `check(spec)` raises `SpecError`
    where a spec does not go with it. `only_for` names the methods that can follow it, if it is not for
    all, and `why_only` says why.
    """

    name: str
    title: str
    idea: str
    source: str
    knobs: type[OwnKnobs]
    per_class: Callable[[DistillSpec[Params, OwnKnobs], Shape, int], int]
    build: Callable[[Problem[DistillSpec[Params, OwnKnobs]]], Decoder]
    check: Callable[[DistillSpec[Params, OwnKnobs]], None] = lambda spec: None
    only_for: tuple[str, ...] = ()
    why_only: str = ""


METHODS: Registry[Method[Any]] = Registry("method", "ddcore.distil.methods", "METHOD")
PARAMETRIZATIONS: Registry[Parametrization[Any]] = Registry(
    "parametrization",
    "ddcore.distil.parametrizations",
    "PARAMETRIZATION",
    order=lambda p: (p.name != "pixels", p.name),  # plain pixels first
)
methods, method = METHODS.all, METHODS.get
parametrizations, parametrization = PARAMETRIZATIONS.all, PARAMETRIZATIONS.get


def unfit(method_name: str) -> dict[str, dict[str, str]]:
    """Of each field that is combined freely, the values that do not go with a method, and why."""
    chosen = method(method_name)
    others = {}
    if chosen.one_parametrization:
        one, reason = chosen.one_parametrization
        others = {name: reason for name in parametrizations() if name != one}
    taken = {
        p.name: p.why_only
        for p in parametrizations().values()
        if p.only_for and method_name not in p.only_for
    }
    reasons = {**others, **taken, **chosen.not_parametrizations}
    return {"labels": chosen.not_labels, "parametrization": reasons}


@dataclass(frozen=True, kw_only=True)
class DistillSpec(TaskSpec, Generic[P, K]):
    """One distillation: which images, how many, by which method, judged by which protocol.

    Test data never steer anything.
    """

    KIND: ClassVar[str] = "distill"
    VERSION: ClassVar[int] = 2
    RUNNER: ClassVar[str] = "ddcore.distil.runner:run"
    ESTIMATE: ClassVar[str] = "ddcore.distil.estimate:need_of_run"

    method: str = choice(REQUIRED, METHODS.all, "What makes the set.")
    data: DataSpec = part(DataSpec, "The dataset it is made from.")
    ipc: int = number(
        1,
        1,
        1000,
        "The budget in images per class: as many numbers as that many images have.",
    )
    seed: int = seed(help="Another seed gives another, equal set.")
    net: NetSpec = part(NetSpec, "The network it is made for.")
    parametrization: str = choice("pixels", PARAMETRIZATIONS.all, "How the images are stored.")
    knobs: K = part(Knobs, "Settings of the parametrization.")
    init: str = choice("real", INITS, "How the images start.")
    labels: str = choice("hard", LABELS, "Where the labels come from.")
    label_lr: float = number(0.0, 0, 100, f"Step size of learned labels; 0: {LABEL_LR} is taken.")
    protocol: Protocol = part(
        lambda: PROTOCOLS["quick"],
        "How networks are trained on the set before it is judged.",
        names=lambda: {name: PURPOSE[name] for name in PROTOCOLS},
    )
    validations: int = number(
        8, 0, 1000, "How often the set is judged on validation data; the best one is kept."
    )
    val_nets: int = number(
        3, 1, 200, "How many fresh networks judge it each time.", unit="networks"
    )
    params: P = part(Params, "Parameters of the method.")

    def __post_init__(self) -> None:
        self._narrow("params", method(self.method).params, Params)
        self._narrow("knobs", parametrization(self.parametrization).knobs, Knobs)
        if isinstance(self.data, dict):
            object.__setattr__(self, "data", DataSpec.from_dict(self.data))
        object.__setattr__(self, "params", self.params.completed(self))
        if self.labels != "learned":  # one key for one computation
            object.__setattr__(self, "label_lr", 0.0)
        elif not self.label_lr:
            object.__setattr__(self, "label_lr", LABEL_LR)
        super().__post_init__()

    def _narrow(self, name: str, kind: type[Spec], base: type[Spec]) -> None:
        """Turn a dict, or the base class's placeholder, into the spec that belongs here."""
        value = getattr(self, name)
        if isinstance(value, dict):
            object.__setattr__(self, name, kind.from_dict(value))
        elif type(value) is base:
            object.__setattr__(self, name, kind())

    def validate(self) -> None:
        """Check the parts that do not compose."""
        for name, reasons in unfit(self.method).items():
            reason = reasons.get(getattr(self, name))
            self.require(name, reason is None, f"something else with {self.method}: {reason}")
        if self.labels == "soft" and not method(self.method).labels_last:
            self.require("init", self.init != "noise", "real or mean with soft labels")
        parametrization(self.parametrization).check(self)
        self.params.check_with(self)

    @property
    def steps(self) -> int:
        """Into how many parts the set is split that are used one after the other."""
        return self.params.steps

    @property
    def start(self) -> Start:
        """The weights from which networks are trained that the set is made for."""
        return self.params.start(self)

    def images_per_class(self, shape: Shape, classes: int) -> int:
        """Images of each class that a network sees: more than `ipc` if they are stored in parts."""
        return parametrization(self.parametrization).per_class(self, shape, classes)

    def decoder(self, problem: Problem[Any]) -> Decoder:
        """The images as they are stored, at their start."""
        return parametrization(self.parametrization).build(problem)

    def title(self) -> str:
        """Line for lists."""
        part = self.data.part_title()
        return f"{method(self.method).title} on {self.data.name}{part}, {self.ipc} per class"

    def prerequisites(self) -> Sequence[TaskSpec]:
        """What its method prepares."""
        return method(self.method).prepares(self)

    def follow_ups(self) -> list[TaskSpec]:
        """The run's own evaluation beside random real images and class means."""
        from ddcore.measure.spec import default_evaluation

        return [default_evaluation(self.key, self)]
