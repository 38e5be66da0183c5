"""Specs of architecture search: a space of networks, what ranks them cheaply, and full training.

The large space are the ConvNets that the code of Zhao et al. 2021 (Dataset Condensation) names by width,
depth, norm, activation and pooling. No torch here.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

from ddcore.base.errors import SpecError
from ddcore.base.fields import REQUIRED, choices, flag, number, numbers, part, seed, text
from ddcore.base.specs import Spec, TaskSpec
from ddcore.data.registry import get
from ddcore.data.spec import DataSpec, form
from ddcore.measure.spec import BASELINES, WHOLE, BaselineTask
from ddcore.nets.architectures import ACTIVATIONS, NORMS, POOLINGS, NetSpec, image_macs
from ddcore.nets.plan import Shape, cost
from ddcore.tasks.store import KEY_PATTERN, Store
from ddcore.training.estimate import BASE_BYTES, START_S, Estimate, protocol_work
from ddcore.training.protocols import PROTOCOLS, Protocol, whole_protocol
from ddcore.training.speed import speed

EARLY, PARAMETERS = "early", "parameters"
CHEAP = ("random", "class_mean", "kmeans")
MOST_NETS = 2000


@dataclass(frozen=True, kw_only=True)
class SearchSpace(Spec):
    """ConvNets of all combinations; those that do not fit the images are left out."""

    widths: tuple[int, ...] = numbers((8, 16, 32), 1, 2048, "channels from 1 to 2048", "Channels.")
    depths: tuple[int, ...] = numbers((1, 2), 1, 8, "blocks from 1 to 8", "Blocks.")
    norms: tuple[str, ...] = choices(
        ("none", "instance"), NORMS, "any of " + ", ".join(NORMS), "What normalises a layer."
    )
    activations: tuple[str, ...] = choices(
        ("relu", "leaky_relu", "sigmoid"),
        ACTIVATIONS,
        "any of " + ", ".join(ACTIVATIONS),
        "The nonlinearity.",
    )
    poolings: tuple[str, ...] = choices(
        ("max", "avg"), POOLINGS, "any of " + ", ".join(POOLINGS), "What halves the side."
    )

    def validate(self) -> None:
        """Check that every knob has a value, none twice."""
        for name in ("widths", "depths", "norms", "activations", "poolings"):
            values = getattr(self, name)
            self.require(name, 0 < len(values) == len(set(values)), "one or more different values")

    def nets(self, shape: Shape, classes: int) -> list[NetSpec]:
        """All networks that fit, in the order of the knobs."""
        found = []
        knobs = (self.widths, self.depths, self.norms, self.activations, self.poolings)
        names = ("width", "depth", "norm", "activation", "pooling")
        for values in itertools.product(*knobs):
            chosen: dict[str, Any] = dict(zip(names, values))
            try:
                net = NetSpec(**chosen)
                cost(net.plan(shape, classes), shape)
            except SpecError:  # too deep for these images, or no multiple of four groups
                continue
            found.append(net)
        if not 4 <= len(found) <= MOST_NETS:
            raise SpecError("space", len(found), f"4 to {MOST_NETS} networks that fit the images")
        return found


SPACES = {
    "small": SearchSpace(),
    "dc": SearchSpace(
        widths=(32, 64, 128, 256),
        depths=(1, 2, 3, 4),
        norms=("none", "batch", "layer", "instance", "group"),
        activations=("sigmoid", "relu", "leaky_relu"),
        poolings=("none", "max", "avg"),
    ),
}
SPACE_TITLES = {
    "small": "72 small ConvNets: 3 widths, 2 depths, 2 norms, 3 activations, 2 poolings",
    "dc": "720 ConvNets: those that the code of Zhao et al. 2021 names",
}


@dataclass(frozen=True, kw_only=True)
class CandidatesTask(TaskSpec):
    """Every network of a space trained on one subject, tested on validation and test images.

    The subject is the key of a set or of a baseline, whole for all training images, or early for these with
    training stopped after as many operations as `images` images take under `protocol`.
    """

    KIND: ClassVar[str] = "candidates"
    RUNNER: ClassVar[str] = "analysis.uses.search.compute:run_candidates"

    subject: str = text(REQUIRED, "The key of a set or a baseline; whole; early.")
    data: DataSpec = part(REQUIRED, "Which images they are tested on.")
    space: SearchSpace = part(SearchSpace, "The networks.")
    protocol: Protocol = part(
        lambda: PROTOCOLS["quick"], "How networks are trained on a set.", names=lambda: PROTOCOLS
    )
    images: int = number(0, 0, 10_000_000, "Of the set whose cost early has.", unit="images")
    nets: int = number(3, 1, 100, "Networks of each architecture.", unit="networks")
    seed: int = seed()

    def validate(self) -> None:
        """Check that early has a cost."""
        ok = (self.images > 0) == (self.subject == EARLY)
        self.require("images", ok, "a number of images for early, 0 for anything else")

    def title(self) -> str:
        """Line for lists."""
        return f"architectures trained on {self.subject}"

    def recipe(self, train: int) -> Protocol:
        """How a network is trained where there are `train` training images."""
        if self.subject not in (WHOLE, EARLY):
            return self.protocol
        full = whole_protocol(train)
        if self.subject == WHOLE:
            return full
        epochs = max(1, round(self.protocol.epochs * self.images / train))
        return full.replace(name=EARLY, epochs=epochs, milestones=())


@dataclass(frozen=True, kw_only=True)
class SearchTask(TaskSpec):
    """Networks ranked on validation images by every proxy, and what full training makes of them."""

    KIND: ClassVar[str] = "search"
    RUNNER: ClassVar[str] = "analysis.uses.search.compute:run_search"
    ESTIMATE: ClassVar[str] = "analysis.uses.search.spec:estimate"

    data: DataSpec = part(DataSpec, "The dataset.")
    run_keys: tuple[str, ...] = text((), "Distilled sets that rank, by their keys.")
    baselines: tuple[str, ...] = choices(
        CHEAP, BASELINES, "any of " + ", ".join(BASELINES), "Sets that rank and need no distilling."
    )
    ipc: int = number(10, 1, 1000, "Of these, images per class.", unit="images")
    early: bool = flag(True, "Rank by full training that is stopped at the cost of such a set.")
    space: SearchSpace = part(SearchSpace, "The networks.", names=lambda: SPACES)
    protocol: Protocol = part(
        lambda: PROTOCOLS["quick"],
        "How networks are trained on sets that have no protocol for networks.",
        names=lambda: PROTOCOLS,
    )
    nets: int = number(3, 1, 100, "Networks of each architecture on a set.", unit="networks")
    full_nets: int = number(
        2, 2, 100, "Networks of each architecture on all training images.", unit="networks"
    )
    seed: int = seed()

    def __post_init__(self) -> None:
        if all(isinstance(key, str) for key in self.run_keys):
            object.__setattr__(self, "run_keys", tuple(sorted(self.run_keys)))
        super().__post_init__()

    def validate(self) -> None:
        """Check the keys' form, and that something ranks."""
        keys = self.run_keys
        ok = len(set(keys)) == len(keys) <= 40 and all(map(KEY_PATTERN.fullmatch, keys))
        self.require("run_keys", ok, "the keys of up to 40 different sets")
        chosen = {"herding", "kcenter", "optimised_random"} & set(self.baselines)
        self.require("baselines", not chosen, "no set that one network chooses")

    def title(self) -> str:
        """Line for lists."""
        count = len(self.run_keys)
        by = f"{count} set{'s' if count > 1 else ''}" if count else "baselines alone"
        return f"architecture search on {self.data.name} by {by}"

    # --- the parts ------------------------------------------------------------------------------

    def candidates(self, subject: str, **changes: Any) -> CandidatesTask:
        """The whole space trained on one subject."""
        common: dict[str, Any] = {
            "data": self.data,
            "space": self.space,
            "seed": self.seed,
            "nets": self.nets,
        }
        return CandidatesTask(subject=subject, **(common | {"protocol": self.protocol} | changes))

    def full(self) -> CandidatesTask:
        """The whole space trained on everything."""
        return self.candidates(WHOLE, nets=self.full_nets, protocol=PROTOCOLS["quick"])

    def stopped(self, classes: int) -> CandidatesTask:
        """The same, stopped at the cost of a set."""
        return self.candidates(EARLY, images=self.ipc * classes)

    def baseline(self, name: str) -> BaselineTask:
        """A set without distilling; of random images a draw for each network."""
        draws = self.nets if name == "random" else 1
        return BaselineTask(name=name, data=self.data, ipc=self.ipc, seed=self.seed, draws=draws)


def require_data(spec: SearchTask, key: str, of_set: DataSpec) -> None:
    """`SpecError` where the set with this key is not for the images that networks are tested on."""
    if of_set != spec.data:
        allowed = f"sets made of the data that is searched on, {spec.data.title()}, prepared alike"
        raise SpecError("run_keys", f"{key} ({of_set.title()})", allowed)


def require_sets(spec: SearchTask, store: Store) -> None:
    """The same for all of them; `NotReady` where one is not here."""
    for key in spec.run_keys:
        stored = store.find(key).document()["spec"]["data"]
        require_data(spec, key, DataSpec.from_dict(stored))


def estimate(spec: SearchTask, store: Store) -> Estimate:
    """What a search will take: every network on every proxy, and on everything."""
    shape, classes = form(spec.data)
    train = round(get(spec.data.name).train_size * (1 - spec.data.val_fraction))
    nets = spec.space.nets(shape, classes)
    sets = len(spec.run_keys) + len(spec.baselines) + spec.early
    work = 0.0
    for net in nets:
        small = protocol_work(spec.protocol, net, shape, classes, spec.ipc * classes)
        large = protocol_work(whole_protocol(train), net, shape, classes, train)
        work += small * spec.nets * sets + large * spec.full_nets
    image = sum(image_macs(net, shape, classes) for net in nets) / len(nets)
    rate, basis = speed(store, "accuracy", work, image)
    largest = max(cost(net.plan(shape, classes), shape).activations for net in nets)
    held = 12.0 * largest * max(200, spec.ipc * classes)
    return Estimate(START_S + work / rate, BASE_BYTES + held, 1e5 * (sets + 1), basis)
