"""Dataset distillation: Wang, Zhu, Torralba & Efros (2018).

Learn images, and the step sizes they are used with, such that a network trained on them by a few steps
of gradient descent does well on real data: the gradient of that real loss is taken through training.
The paper's settings differ in where that training starts and in what is asked of the trained network.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ddcore.base import paths
from ddcore.base.errors import SpecError
from ddcore.data.lookup import resolve
from ddcore.data.registry import OWN, datasets, get
from ddcore.data.spec import DataSpec, canonical
from ddcore.distil.contract import Cost, Method, Params
from ddcore.distil.presets import GENERATOR_ONLY
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape
from ddcore.pools.bank_spec import WEIGHTS, BankTask, Start
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.engines.meta import Starts
    from ddcore.distil.problem import Distiller, Problem

SETTINGS = ("fixed", "unknown", "adapt", "attack", "pretrained")
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
    """`setting` is where training on the set starts: fixed, one known initialisation for ever; unknown,
    fresh ones in every iteration; adapt, networks trained on other data; attack, networks trained on
    the same data, which the set makes take one class for another; pretrained, one AlexNet with ImageNet
    weights.

    adapt: `source` is the dataset those networks were trained on, and `source_data` that in the form of
    the run's images. attack: class `attacked` is to be called class `target`. Both: `bank` networks are
    trained beforehand, for `bank_epochs` epochs each (0: chosen by size); other ones judge the set.
    pretrained: `weights` are imagenet, or random for smaller images, with which little is learned.

    The set is split into `steps` parts used one after the other, `passes` times over; every step of
    every pass has its own learned step size, starting at `lr0`. `nets` networks are drawn in each
    iteration. `lr` and `lr_rates` are Adam's step sizes for pixels and for the (softplus) step sizes;
    both are multiplied by `decay` every `decay_every` iterations (0: never). `clip` bounds the norm of
    the pixels' gradient (0: no bound).
    """

    setting: str = "unknown"
    source: str = "digits"
    source_data: DataSpec | None = None
    bank: int = 200
    bank_epochs: int = 0
    attacked: int = 0
    target: int = 1
    weights: str = "imagenet"
    steps: int = 1
    passes: int = 3
    lr0: float = 0.02
    iterations: int = 24_000
    nets: int = 1
    real_batch: int = 1024
    lr: float = 0.01
    lr_rates: float = 0.01
    beta1: float = 0.5
    decay: float = 0.5
    decay_every: int = 0
    clip: float = 0.0

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
        """Check ranges."""
        super().validate()
        self.require_choice("setting", SETTINGS)
        self.require_range("bank", 1, 2000)
        self.require_range("bank_epochs", 0, 10_000)
        self.require_range("attacked", 0, 999)
        self.require_range("target", 0, 999)
        self.require("target", self.target != self.attacked, "another class than the attacked one")
        self.require_choice("weights", WEIGHTS)
        self.require_range("steps", 1, 1000)
        self.require_range("passes", 1, 1000)
        self.require_range("lr0", 1e-6, 100)
        self.require_range("nets", 1, 1000)
        if self.setting in ("fixed", "pretrained"):
            one = f"1 with setting = {self.setting} (there is one network)"
            self.require("nets", self.nets == 1, one)
        if self.setting in ("adapt", "attack"):
            self.require("nets", self.nets <= self.bank, f"at most the bank's {self.bank}")
        self.require_range("real_batch", 1, 1_000_000)
        self.require_range("lr", 1e-7, 100)
        self.require_range("lr_rates", 0, 100)
        self.require_range("beta1", 0, 0.999)
        self.require_range("decay", 0.01, 1)
        self.require_range("decay_every", 0, 10_000_000)
        self.require_range("clip", 0, 1e6)

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


def build(problem: Problem[DD2018Params]) -> Distiller:
    """Meta-learning through gradient descent in a fixed order, with learned step sizes."""
    from ddcore.distil.engines import meta

    p = problem.spec.params
    if p.relabel:
        check_classes(p, problem.classes)
    known = p.setting == "fixed"
    return meta.MetaLearning(
        problem,
        meta.Inner(steps=p.steps * p.passes, lr=p.lr0, learned="step"),
        meta.Outer(
            real_batch=p.real_batch,
            lr=p.lr,
            lr_rates=p.lr_rates,
            betas=(p.beta1, 0.999),
            clip=p.clip,
            decay=p.decay,
            decay_every=p.decay_every,
            relabel=p.relabel,
        ),
        _starts(problem),
        p.nets,
        known=known,
    )


def _starts(problem: Problem[DD2018Params]) -> Starts:
    """The weights of every iteration."""
    from ddcore.distil.engines import meta
    from ddcore.pools import bank

    p, start = problem.spec.params, problem.spec.start
    network = problem.network(start.bank.nets if start.bank else 1)
    weights = bank.start_weights(start, network, "training", problem.need, problem.device)
    if weights is None:
        return meta.fixed(problem) if p.setting == "fixed" else meta.fresh(problem, p.nets)
    return meta.sampled(problem, weights, p.nets)


def cost(spec: DistillSpec[DD2018Params], shape: Shape, classes: int) -> Cost:
    """Per inner step a gradient (3 passes) and its recomputation with a double backward (9)."""
    p = spec.params
    images = p.passes * classes * spec.images_per_class(shape, classes)
    macs = p.iterations * p.nets * (12 * images + 3 * p.real_batch)
    held = p.nets * max(3 * images / (p.passes * p.steps), p.real_batch)
    return Cost(
        macs * image_macs(spec.net, shape, classes), held, p.nets * (p.steps * p.passes + 2)
    )


SOURCES = {"digits": "digits", "mnist": "usps", "usps": "mnist", "svhn": "mnist"}


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Digits-sized: the CPU-scale set-up; larger: LeNet or AlexCifarNet as published."""
    setting = typed.get("setting", "unknown")
    if setting == "pretrained":
        return _pretrained(shape)
    source = typed.get("source", SOURCES.get(data, "svhn"))
    return (_small if shape[1] < 20 else _published)(data, shape, ipc, setting, source)


def _small(
    data: str, shape: Shape, ipc: int, setting: str, source: str
) -> dict[str, dict[str, Any]]:
    fixed = setting == "fixed"
    small = {
        "net": NetSpec(width=16, depth=2),
        "protocol": PROTOCOLS["native-2018"],
        "init": "noise" if fixed else "mean",
        "val_nets": 1 if fixed else 10,
    }
    # With ten images per class each step has images of its own, as in the paper.
    steps = 10 if ipc % 10 == 0 else 1
    common = {
        "setting": setting,
        "steps": steps,
        "beta1": 0.5,
        "real_batch": 256,
        "lr_rates": 0.015 if fixed else 0.02,
    }
    if fixed:
        # Xavier weights as in the paper: they matter more than the default's small output layer,
        # which ties the images to this one network.
        small |= {"net": NetSpec(width=32, depth=2, init="xavier"), "validations": 20}
        quick = {**common, "passes": 4 if steps == 1 else 1, "lr0": 1.0, "lr": 0.1}
        quick["decay_every"] = 225
    else:
        quick = {**common, "passes": 10 if steps == 1 else 2, "lr0": 0.1, "lr": 0.05}
        quick |= {"nets": 4 if steps == 1 else 2, "clip": 2.0, "decay_every": 100}
    if setting == "adapt":
        # Networks of the very same data are stopped early, so that there is something to add.
        quick |= {"source": source, "bank": 20, "bank_epochs": 1 if source == data else 3}
    if setting == "attack":
        # One step on ten images moves a wide perceptron further than a narrow ConvNet.
        small |= {"net": NetSpec(arch="mlp", width=256, depth=2), "init": "noise"}
        quick |= {"steps": 1, "passes": 1, "bank": 20, "bank_epochs": 10, "lr0": 0.02}
        quick["decay_every"] = 200
    iterations = {"fixed": 900, "attack": 600}.get(setting, 200)
    return {
        "quick": {**small, "params": {**quick, "iterations": iterations}},
        "teaching": {**small, "params": {**quick, "iterations": 3000, "decay_every": 750}},
        "paper": {**small, "params": {**quick, "iterations": 10_000, "decay_every": 2500}},
    }


def _published(
    data: str, shape: Shape, ipc: int, setting: str, source: str
) -> dict[str, dict[str, Any]]:
    grey, fixed, banked = shape[0] == 1, setting == "fixed", setting in ("adapt", "attack")
    published = {
        "net": NetSpec(arch="lenet" if grey else "alexcifarnet", init="xavier"),
        "protocol": PROTOCOLS["native-2018"],
        "init": "noise",
        "val_nets": 1 if fixed else 20,
        "validations": 20,
    }
    common = {
        "setting": setting,
        "steps": 1 if ipc == 1 else min(ipc, 10) if ipc % 10 == 0 else ipc,
        "passes": 3,
        "lr0": 0.02 if grey else 0.001,
    }
    if setting == "adapt":
        common |= {"source": source, "nets": 4}
    if setting == "attack":
        common |= {"steps": 1, "passes": 1, "nets": 4, "lr": 0.02}
    quick = {**common, "real_batch": 256, "iterations": 1500, "decay_every": 500}
    first = dict(published)
    if banked:
        trained_on = source if setting == "adapt" else data
        quick |= {"iterations": 400, "decay_every": 150, "bank": 20, "lr": 0.02, "lr_rates": 0.02}
        quick["bank_epochs"] = _short(trained_on)
        first |= {"val_nets": 5, "validations": 5}
    if setting == "adapt":  # real images are a better start than noise where time is short
        first["init"], quick["nets"] = "real", 2
    if setting == "attack":
        # One step moves a perceptron furthest, and images fit a small bank instead of its kind.
        first["net"] = NetSpec(arch="mlp", width=256, depth=2, init="xavier")
        quick |= {"iterations": 600, "decay_every": 200, "bank": 100}
    # The published schedule in a quarter of its iterations.
    teaching = {**common, "iterations": 6000, "decay_every": 600}
    paper = {**common, "iterations": 24_000 if grey else 19_600, "decay_every": 2400}
    last = dict(published)
    if banked:
        teaching["bank"] = 100
        paper["bank"] = 2000 if setting == "attack" else 200
        last["protocol"] = PROTOCOLS["native-2018"].replace(nets=200)
    return {
        "quick": {**first, "params": quick},
        "teaching": {**published, "params": teaching},
        "paper": {**last, "params": paper},
    }


def _short(data: str) -> int:
    """Epochs that train a network fairly well on a registered set within seconds; 0 for others."""
    return 0 if data in OWN else max(1, 40_000 // get(data).train_size)


def _pretrained(shape: Shape) -> dict[str, dict[str, Any]]:
    """As published at 224 pixels; elsewhere a narrow AlexNet, whose random weights learn next to nothing.

    Three plain steps barely move eight random layers: that is there to try the mechanism only.
    """
    whole = (shape[0], shape[1]) == IMAGENET_FORM
    common = {"setting": "pretrained", "weights": "imagenet" if whole else "random", "lr0": 0.001}
    shared = {
        "net": NetSpec(arch="alexnet224", width=64 if whole else 8, init="xavier"),
        "protocol": PROTOCOLS["native-2018"].replace(nets=5),
        "init": "noise",
        "val_nets": 1,
    }
    if not whole:
        shared["init"] = "mean"
        common |= {"lr0": 0.1, "lr": 0.05, "lr_rates": 0.05, "real_batch": 256}
        return {
            "quick": {**shared, "params": {**common, "iterations": 200, "decay_every": 100}},
            "teaching": {**shared, "params": {**common, "iterations": 1000, "decay_every": 300}},
            "paper": {**shared, "params": {**common, "iterations": 5000, "decay_every": 1000}},
        }
    # 200 epochs of some 6,000 pictures (PASCAL-VOC, CUB-200) in batches of 128.
    common["real_batch"] = 128
    return {
        "quick": {**shared, "params": {**common, "iterations": 200, "decay_every": 60}},
        "teaching": {**shared, "params": {**common, "iterations": 2000, "decay_every": 300}},
        "paper": {**shared, "params": {**common, "iterations": 9000, "decay_every": 1350}},
    }


METHOD = Method(
    name="dd2018",
    title="Dataset distillation (2018)",
    family="unroll",
    idea="Learn images and step sizes by differentiating the real loss through training itself.",
    explanation="A network takes a few steps of gradient descent on the synthetic images; how well it "
    "then does on real data is differentiated with respect to the images and to the step sizes. With "
    "one fixed initialisation a handful of noise-like images suffices, for that network alone; with a "
    "fresh one in each iteration they must work for all. Starting from trained networks instead, the "
    "images adapt these to other data, or make them take one class for another.",
    paper="Wang, Zhu, Torralba & Efros 2018, Dataset Distillation",
    formula=r"\min_{X,\eta} \; \mathbb{E}_{\theta_0} \, \ell(T, \theta_K), \quad "
    r"\theta_{k+1} = \theta_k - \eta_k \nabla \ell(X_{k \bmod S}, \theta_k)",
    params=DD2018Params,
    build=build,
    cost=cost,
    presets=presets,
    shipped=(({"setting": "unknown"}, (1, 10)), ({"setting": "fixed"}, (1, 10))),
    smallest={"passes": "3", "real_batch": "32", "bank": "4", "bank_epochs": "1"},
    variants={"setting": SETTINGS},
    caveat="The images need their own order and step sizes; with a fixed initialisation they are "
    "worthless for any other, which the Evaluate page shows.",
    not_parametrizations={
        **GENERATOR_ONLY,
        "canvas": "every step has images of its own, and a canvas gives another crop in each use",
    },
)
