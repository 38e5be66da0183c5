"""Parameters of the method of 2018, and the weights that each of its settings starts from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from ddcore.base import paths
from ddcore.base.errors import SpecError
from ddcore.base.fields import choice, number, part
from ddcore.data.lookup import resolve
from ddcore.data.registry import OWN, datasets, get
from ddcore.data.spec import DataSpec, canonical
from ddcore.distil import fields as shared
from ddcore.distil.contract import Params
from ddcore.pools.bank_spec import WEIGHTS, BankTask, Start

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec

SETTINGS = {
    "fixed": "one known initialisation for ever",
    "unknown": "fresh ones in every iteration",
    "adapt": "networks trained on other data",
    "attack": "networks trained on the same data, which the set makes take one class for another",
    "pretrained": "one AlexNet with ImageNet weights",
}
IMAGENET_FORM = (3, 224)  # channels and side of the images its AlexNet takes

# Fields that only some settings use.
_BANK = ("bank", "bank_epochs")
_ONLY = {
    "adapt": ("source", "source_data", *_BANK),
    "attack": ("attacked", "target", *_BANK),
    "pretrained": ("weights",),
}


@dataclass(frozen=True, kw_only=True)
class DD2018Params(Params):
    """The set is split into parts used one after the other, several times over.

    Every step of every pass has its own learned step size.
    """

    setting: str = choice("unknown", SETTINGS, "Where training on the set starts.")
    source: str = choice("digits", datasets, "adapt: the dataset that networks were trained on.")
    source_data: DataSpec | None = part(None, "adapt: that in the form of the run's images.")
    bank: int = number(
        200, 1, 2000, "adapt, attack: networks trained beforehand; other ones judge the set."
    )
    bank_epochs: int = number(0, 0, 10_000, "Epochs of each of them; 0: chosen by size.")
    attacked: int = number(0, 0, 999, "attack: the class that is to be called another.")
    target: int = number(1, 0, 999, "attack: the class it is to be called.")
    weights: str = choice(
        "imagenet",
        WEIGHTS,
        "pretrained: with random ones, for smaller images, little is learned.",
    )
    steps: int = shared.steps()
    passes: int = shared.passes(3)
    lr0: float = shared.first_lr()
    iterations: int = 24_000
    nets: int = shared.nets()
    real_batch: int = shared.real_images(1024)
    lr: float = shared.lr(0.01)
    lr_rates: float = number(0.01, 0, 100, "Adam's step size for the (softplus) step sizes.")
    beta1: float = number(0.5, 0, 0.999, "Adam's momentum for the images.")
    decay: float = shared.decay()
    decay_every: int = shared.decay_every()
    clip: float = shared.clip(0.0)

    def __post_init__(self) -> None:
        for f in fields(self):  # one key for one computation
            if f.name in self._unused:
                object.__setattr__(self, f.name, f.default)
        super().__post_init__()

    @property
    def _unused(self) -> set[str]:
        """What only other settings use."""
        used = _ONLY.get(self.setting, ())
        return {n for names in _ONLY.values() for n in names if n not in used}

    @property
    def idle(self) -> frozenset[str]:
        """What only other settings use, and what follows from the rest."""
        return frozenset({*self._unused, "source_data"})

    def validate(self) -> None:
        """Check what a setting needs."""
        self.require("target", self.target != self.attacked, "another class than the attacked one")
        if self.setting in ("fixed", "pretrained"):
            one = f"1 with setting = {self.setting} (there is one network)"
            self.require("nets", self.nets == 1, one)
        if self.setting in ("adapt", "attack"):
            self.require("nets", self.nets <= self.bank, f"at most the bank's {self.bank}")

    def check_with(self, spec: DistillSpec) -> None:
        """Each step needs the same number of images of every class; a setting has its own needs."""
        if spec.ipc % self.steps:
            raise SpecError("steps", self.steps, f"a divisor of ipc = {spec.ipc}")
        if spec.net.norm == "batch":
            raise SpecError("net.norm", "batch", "a norm without running statistics")
        if self.setting not in ("fixed", "unknown") and not spec.protocol.ordered:
            allowed = "native-2018: others start from fresh weights, for which the set is not made"
            raise SpecError("protocol", spec.protocol.name, allowed)
        if self.setting == "attack":
            if spec.labels != "hard":
                raise SpecError("labels", spec.labels, "hard: an attack is in the images alone")
            if spec.data.name not in OWN:
                check_classes(self, len(get(spec.data.name).classes))
        if self.setting == "pretrained":
            if spec.net.arch != "alexnet224":
                raise SpecError("net.arch", spec.net.arch, "alexnet224 with setting = pretrained")
            if self.weights == "imagenet" and image_form(spec.data) != IMAGENET_FORM:
                allowed = "224 and colour for ImageNet's AlexNet (or weights = random)"
                raise SpecError("data.resolution", spec.data.resolution, allowed)
            if self.weights == "imagenet" and spec.net.width != 64:
                raise SpecError("net.width", spec.net.width, "64, as ImageNet's AlexNet has it")

    def completed(self, spec: DistillSpec) -> DD2018Params:
        """The source in the form of the run's images."""
        if self.setting != "adapt":
            return self
        return self.replace(source_data=source_like(spec.data, self.source, self.source_data))

    def start(self, spec: DistillSpec) -> Start:
        """A bank of the setting's networks, or the pretrained one; fixed weights are part of the set."""
        if self.setting == "pretrained":
            seed = spec.seed if self.weights == "random" else 0
            return Start(weights=self.weights, seed=seed)
        if self.setting not in ("adapt", "attack"):
            return Start()
        data, colour = spec.data, False
        if self.source_data is not None:  # adapt
            data = self.source_data
            colour = image_form(spec.data)[0] > image_form(data)[0]
        return Start(
            bank=BankTask(
                data=data, net=spec.net, nets=self.bank, epochs=self.bank_epochs, colour=colour
            ),
            validation=spec.val_nets,
        )

    @property
    def relabel(self) -> tuple[int, int] | None:
        """What an attack makes of the labels."""
        return (self.attacked, self.target) if self.setting == "attack" else None


def image_form(data: DataSpec) -> tuple[int, int]:
    """(channels, side) of images, as far as can be said before they are decoded.

    The user's own pictures need a resolution, and count as coloured unless they are made grey.
    """
    if data.name in OWN:
        if data.resolution is None:
            raise SpecError("data.resolution", None, "a number of pixels for pictures of your own")
        return 1 if data.grey else 3, data.resolution
    channels, side, _ = get(data.name).shape
    return 1 if data.grey else channels, data.resolution or side


def source_like(target: DataSpec, name: str, known: DataSpec | None = None) -> DataSpec:
    """The registered dataset `name` resized, made grey and preprocessed as the target is.

    `known` is an earlier answer, whose files are not looked for again. `SpecError` for a name that is
    not registered, files that are not here, or another number of classes than a registered target's.
    """
    classes = 0 if target.name in OWN else len(get(target.name).classes)
    fit = [n for n, s in datasets().items() if not classes or len(s.classes) == classes]
    if name not in fit:
        raise SpecError("source", name, "one of " + ", ".join(fit))
    channels, side = image_form(target)
    copied = ("val_fraction", "split_seed", "preprocess", "zca_eps")
    form = {"resolution": side, "grey": channels == 1, **{n: getattr(target, n) for n in copied}}
    if target.preprocess == "zca" and channels > get(name).shape[0]:
        raise SpecError("source", name, "a coloured dataset where the target is whitened")
    if known is not None and known.name == name:
        return canonical(known.replace(**form))
    if get(name).available(paths.data_root()) is None:
        allowed = f"a dataset whose files are here (python -m ddcore download {name} fetches them)"
        raise SpecError("source", name, allowed)
    return resolve(name, **form)


def check_classes(params: DD2018Params, classes: int) -> None:
    """`SpecError` if an attack names a class that the data do not have."""
    for name in ("attacked", "target"):
        if getattr(params, name) >= classes:
            allowed = f"a class from 0 to {classes - 1}"
            raise SpecError(name, getattr(params, name), allowed)
