"""Named evaluation protocols: how networks are trained on a set before its accuracy is measured.

An accuracy without its protocol means nothing: published ones differ by many points on the same
images. Each entry says where it comes from; `quick` is ours, for small images on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from ddcore.base.errors import SpecError
from ddcore.base.fields import choice, flag, number, numbers, text
from ddcore.base.specs import Spec
from ddcore.nets.precision import precision
from ddcore.training import strategies


@dataclass(frozen=True, kw_only=True)
class Protocol(Spec):
    """A training recipe."""

    name: str = text("custom", "What it is called in lists.")
    optimiser: str = choice(
        "sgd",
        ("sgd", "adam", "adamw", "ridge"),
        "What trains the networks; adamw is Adam whose weight decay is no part of the gradient. ridge trains "
        "none but solves for a kernel machine in closed form: with the set's own kernel, or the NTK of one "
        "hidden layer.",
    )
    lr: float = number(0.01, 1e-8, 1e3, "Step size.")
    momentum: float = number(0.9, 0, 1, "Momentum of sgd.")
    weight_decay: float = number(5e-4, 0, 10, "Weight decay.")
    milestones: tuple[float, ...] = numbers(
        (),
        0,
        1,
        "fractions of the epochs, each from 0 to 1",
        "When the step size is multiplied by `decay`: fractions of the epochs.",
    )
    decay: float = number(0.1, 0, 10, "What multiplies the step size at each milestone.")
    cosine: float = number(
        0.0,
        0,
        1000,
        "The step size follows a half wave of the cosine that is this many times as long as the training: 1 "
        "ends at 0, 2 at half the step size; 0: no cosine.",
        later=True,
    )
    epochs: int = number(300, 1, 100_000, "How often all images are seen.", unit="epochs")
    batch: int = number(
        256, 0, 1_000_000, "Images per step; 0: the whole set at once.", unit="images"
    )
    augment: str = text(
        "",
        "A strategy, of which every image draws its own operation unless it begins with batch:; names joined "
        "by _, in stages joined by +; empty for none.",
        grammar=lambda field, strategy: strategies.stages(strategy),
    )
    loss: str = choice(
        "ce",
        {
            "ce": "cross-entropy",
            "mse": "squared error to one-hot targets minus 1/K",
            "kl": "divergence from the targets, at `temperature`",
            "cosine": "one minus the cosine between outputs and targets, which a teacher refines",
        },
        "What is minimised.",
    )
    temperature: float = number(
        1.0,
        0.01,
        1000,
        "What divides a teacher's outputs before they become labels, and under kl those of the networks "
        "that learn from them.",
        later=True,
    )
    learned_lr: bool = flag(
        False, "Take the set's own step size where it has learned one, instead of `lr`."
    )
    cutmix: float = number(
        0.0, 0, 1, "Probability per batch of pasting a box of other images (Yun et al. 2019)."
    )
    mixup: float = number(
        0.0,
        0,
        1,
        "Probability per batch of averaging every image with another (Zhang et al. 2018), at a share that is "
        "uniform from 0 to 1.",
        later=True,
    )
    patches: int = number(
        0,
        0,
        64,
        "Every image is cut into so many pieces per side, which change places (Sun et al. 2024); 0 or 1: "
        "whole.",
        later=True,
    )
    smoothing: float = number(
        0.0, 0, 1, "What classes that are labels give to all classes alike.", later=True
    )
    classes_between: tuple[float, ...] = numbers(
        (),
        0,
        1,
        "no fraction, or two of which the first is smaller, each from 0 to 1",
        "Between these two fractions of the epochs images have their classes, or the largest entries of "
        "their labels, and cross-entropy, whoever teaches in the others.",
        later=True,
    )
    stages: int = number(
        1,
        1,
        100,
        "Networks are trained on the first of so many equal parts of every class, then on the first two, and "
        "so on, for all `epochs` each time (Du et al. 2023).",
        later=True,
    )
    ema: float = number(0.0, 0, 0.9999, "What the average of the weights keeps; 0: no average.")
    ordered: bool = flag(
        False,
        "The 2018 way: plain gradient descent through the set's own steps in their learned order with the "
        "learned step sizes; the other fields are then unused.",
    )
    nets: int = number(5, 1, 1000, "Networks trained on each set.", unit="networks")
    precision: str = precision()

    def validate(self) -> None:
        """Fractions of a phase come in pairs."""
        if between := self.classes_between:
            self.require("classes_between", len(between) == 2 and between[0] < between[1])

    @property
    def all_epochs(self) -> int:
        """Of all stages."""
        return self.stages * self.epochs

    @property
    def passes(self) -> float:
        """How often an image is seen on average: those of the first part in all stages, others less often."""
        return self.epochs * (self.stages + 1) / 2

    @property
    def closed_form(self) -> bool:
        """Whether a kernel machine is solved for instead of a network trained."""
        return self.optimiser == "ridge"


_DC = Protocol(name="dc", milestones=(0.5,), epochs=300, nets=20)
_MTT = _DC.replace(
    name="mtt",
    epochs=1000,
    augment="color_crop_cutout_flip_scale_rotate",
    learned_lr=True,
    nets=5,
)
# Kim et al. 2022; where there is CutMix their code leaves cutout out.
_IDC = Protocol(
    name="idc",
    milestones=(2 / 3, 5 / 6),
    decay=0.2,
    epochs=1000,
    batch=64,
    augment="color_crop_flip_scale_rotate",
    cutmix=0.5,
    nets=3,
)
_DSA = _DC.replace(name="dsa", epochs=1000, augment="color_crop_cutout_flip_scale_rotate")
# As the codes of Zhao & Bilen and Cazenavette et al. do it: range(E + 1) epochs, the step size divided after
# epoch E // 2 + 1, counted from 0, and one operation per minibatch. Their new optimiser at that point
# forgets its momentum; ours does not.
_AS_CODED = {"epochs": 1001, "milestones": (0.501,)}
_BATCH = "batch:color_crop_cutout_flip_scale_rotate"
_BATCH_DIGITS = "batch:color_crop_cutout_scale_rotate"
# Feng et al. 2024; the paper takes the best of several lengths on the test set, we take one.
_RAT = Protocol(
    name="rat-bptt",
    optimiser="adam",
    lr=0.001,
    weight_decay=0.0,
    epochs=1000,
    batch=0,
    augment="flip_rotate",
    nets=8,
)
# Zhou et al. 2022: squared error on centred labels, averaged weights.
_FREPO = Protocol(
    name="frepo",
    optimiser="adam",
    lr=0.0003,
    weight_decay=0.0,
    epochs=2000,
    batch=500,
    augment="flip_color_crop_rotate_cutout",
    loss="mse",
    ema=0.995,
    nets=5,
)
# As the code of LINs-lab/GIFT does it: AdamW, the step size times 0.2 after two thirds and five sixths.
_GIFT = Protocol(
    name="gift",
    optimiser="adamw",
    lr=0.001,
    weight_decay=1e-4,
    milestones=(2 / 3, 5 / 6),
    decay=0.2,
    augment="color_crop_cutout_flip_scale_rotate",
    loss="cosine",
)
# As the code of Jiacheng8/HALD does it, but for the soft labels of a phase, which are made anew in every
# epoch instead of kept and used again, and the smaller batches of its hard phase.
_HALD = Protocol(
    name="hald",
    optimiser="adamw",
    lr=0.001,
    weight_decay=0.01,
    cosine=2.0,
    augment="crop_flip_scale_rotate",
    loss="kl",
    temperature=20.0,
    cutmix=1.0,
    smoothing=0.8,
    classes_between=(1 / 3, 2 / 3),
)
# As the code of LINs-lab/RDED does it, but that crops of half an image and more are a change of scale here,
# and that the best epoch on test images stands beside the last one, never in its place.
_RDED = Protocol(
    name="rded",
    optimiser="adamw",
    lr=0.001,
    weight_decay=0.01,
    cosine=2.0,
    epochs=300,
    batch=100,
    augment="flip+scale",
    loss="kl",
    temperature=20.0,
    cutmix=1.0,
    patches=2,
    nets=3,
)
PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        # Ours: 200 full-batch steps, large step size; about 0.1 s per network on 8x8 digits.
        Protocol(name="quick", lr=0.05, milestones=(0.5,), epochs=200, batch=0, nets=10),
        # Wang et al. 2018: gradient descent with learned steps, 200 held-out networks in the paper.
        Protocol(
            name="native-2018", ordered=True, momentum=0, weight_decay=0, epochs=1, batch=0, nets=20
        ),
        _DC,  # Zhao et al. 2021
        _DC.replace(name="dc-mnist", epochs=1000, augment="crop_scale_rotate45"),
        _DSA,
        _DSA.replace(name="dsa-digits", augment="color_crop_cutout_scale_rotate"),
        _DSA.replace(name="dsa-official", augment=_BATCH, **_AS_CODED),
        _DSA.replace(name="dsa-digits-official", augment=_BATCH_DIGITS, **_AS_CODED),
        _MTT,  # Cazenavette et al. 2022: the step size learned with the images
        _MTT.replace(name="mtt-digits", augment="color_crop_cutout_scale_rotate"),
        _MTT.replace(name="mtt-official", augment=_BATCH, **_AS_CODED),
        _MTT.replace(name="mtt-digits-official", augment=_BATCH_DIGITS, **_AS_CODED),
        _IDC,
        _IDC.replace(name="idc-digits", augment="color_crop_scale_rotate", cutmix=0.0),
        # As their code does it: the step size is divided after 666 and 833 of 1000 epochs.
        _IDC.replace(
            name="idc-official",
            milestones=(0.6655, 0.8325),
            augment="batch:flip+color+crop_scale_rotate",
        ),
        _IDC.replace(
            name="idc-digits-official",
            milestones=(0.6655, 0.8325),
            augment="batch:color+crop_scale_rotate",
            cutmix=0.0,
        ),
        # Deng & Russakovsky 2022 (without ZCA and augmentation).
        Protocol(name="bptt", weight_decay=0.0, epochs=300, batch=640, nets=10),
        _RAT,
        _RAT.replace(name="rat-bptt-digits", augment=""),
        _FREPO,
        _FREPO.replace(name="frepo-digits", augment="color_crop_rotate_cutout"),
        # Ridge regression with the set's own kernel (Nguyen et al. 2021, Chen et al. 2024).
        Protocol(
            name="kernel",
            optimiser="ridge",
            loss="mse",
            momentum=0.0,
            weight_decay=0.0,
            epochs=1,
            batch=0,
            nets=10,
        ),
        _GIFT,
        _GIFT.replace(name="gift-digits", augment="color_crop_cutout_scale_rotate"),
        _HALD,
        _HALD.replace(name="hald-digits", augment="crop_scale_rotate"),
        _RDED,
        _RDED.replace(name="rded-digits", augment="scale"),
        # As frepo, for small images on a CPU; ours.
        Protocol(
            name="frepo-small",
            optimiser="adam",
            lr=0.003,
            weight_decay=0.0,
            epochs=300,
            batch=0,
            loss="mse",
            nets=10,
        ),
        # Yang et al. 2024: 300 full-batch steps without decay or augmentation ("T300").
        Protocol(name="t300", weight_decay=0.0, epochs=300, batch=0, nets=5),
    )
}


def protocol(name: str) -> Protocol:
    """The named protocol; `SpecError` lists the known ones."""
    if name not in PROTOCOLS:
        raise SpecError("name", name, "one of " + ", ".join(PROTOCOLS))
    return PROTOCOLS[name]


def in_stages(protocol: Protocol, stages: int) -> Protocol:
    """The protocol on so many parts of every class, one more at a time; its name says so."""
    if protocol.ordered or protocol.closed_form:
        raise SpecError("stages", stages, f"none with protocol {protocol.name}")
    return protocol.replace(stages=stages, name=f"{protocol.name} in {stages} stages")


def whole_protocol(train_size: int) -> Protocol:
    """Minibatch training for the whole set: enough epochs to converge, fewer for larger sets."""
    epochs = max(3, min(50, 400_000 // train_size))
    return Protocol(name="whole", lr=0.02, milestones=(0.7,), epochs=epochs, batch=64)


PURPOSE = {
    "quick": "200 full-batch steps; ours, for small images on a CPU",
    "native-2018": "the set's own steps, order and learned step sizes (Wang et al. 2018)",
    "dc": "300 epochs, no augmentation (Zhao et al. 2021, whose code trains one epoch more)",
    "dc-mnist": "1000 epochs with crop, scale or rotation per image (Zhao et al. 2021 on MNIST, whose "
    "code trains one epoch more and fills gaps with the mean)",
    "dsa": "1000 epochs with differentiable augmentation, one operation per image (Zhao & Bilen 2021, "
    "whose code draws one per minibatch: dsa-official)",
    "dsa-digits": "as dsa, without horizontal flips",
    "dsa-official": "as the code of Zhao & Bilen 2021: one operation per minibatch, 1001 epochs",
    "dsa-digits-official": "as dsa-official, without horizontal flips",
    "mtt": "1000 epochs with augmentation, one operation per image, at the learned step size "
    "(Cazenavette et al. 2022, whose code draws one per minibatch: mtt-official)",
    "mtt-digits": "as mtt, without horizontal flips",
    "mtt-official": "as the code of Cazenavette et al. 2022: one operation per minibatch, 1001 epochs",
    "mtt-digits-official": "as mtt-official, without horizontal flips",
    "idc": "1000 epochs with one operation per image and CutMix (Kim et al. 2022, whose code does more: "
    "idc-official)",
    "idc-digits": "as idc, without CutMix and horizontal flips",
    "idc-official": "as the code of Kim et al. 2022: flip and colour always, then crop, scale or rotation, "
    "the same for a minibatch, and CutMix",
    "idc-digits-official": "as idc-official, without CutMix and horizontal flips",
    "rat-bptt-digits": "as rat-bptt, without augmentation",
    "frepo-digits": "as frepo, without horizontal flips",
    "rat-bptt": "1000 Adam steps with flips and rotations (Feng et al. 2024)",
    "frepo": "2000 Adam steps on squared error, averaged weights (Zhou et al. 2022)",
    "gift": "AdamW towards a teacher's outputs, refined by the class, by their cosine (GIFT, ICLR 2025); "
    "with labels soft or online",
    "gift-digits": "as gift, without horizontal flips",
    "hald": "a teacher at temperature 20, classes in the middle third, CutMix, AdamW on a cosine (HALD, ICML "
    "2026, whose code keeps a phase's soft labels); with labels online",
    "hald-digits": "as hald, without horizontal flips",
    "rded": "a teacher at temperature 20 on images cut into four that change places, flips, scales, CutMix, "
    "AdamW on half a cosine (RDED, CVPR 2024, whose code crops instead of scaling); with labels online",
    "rded-digits": "as rded, without horizontal flips",
    "kernel": "ridge regression with the set's own kernel, in closed form; no network",
    "frepo-small": "300 full-batch Adam steps on squared error; ours, for small images on a CPU",
    "t300": "300 full-batch steps (Yang et al. 2024)",
    "bptt": "300 epochs, constant step size (Deng & Russakovsky 2022)",
}
