"""What `transfer` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from analysis.shared.stand_ins import image_counts
from ddcore.base.fields import numbers, text
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network, parse
from ddcore.pools.real_spec import Counts, Need


@dataclass(frozen=True, kw_only=True)
class TransferTask(AnalysisTask):
    """Networks of several kinds trained on each set under protocol t300.

    The networks that the sets were made with come on top.
    """

    KIND: ClassVar[str] = "transfer"
    RUNNER: ClassVar[str] = "analysis.suite.transfer.compute:run"

    architectures: tuple[str, ...] = text(
        ("mlp", "resnet18-8"),
        "Networks such as mlp, lenet or resnet18-8 (a number is the width).",
        grammar=parse,
    )
    widths: tuple[int, ...] = numbers(
        (8, 16, 32),
        1,
        2048,
        "different widths of a ConvNet, from 1 to 2048",
        "Widths of further ConvNets.",
    )
    nets: int = shared.nets(help="How many of each kind are trained on each set.")
    iterations: int = shared.iterations()

    def validate(self) -> None:
        """Each network once."""
        super().validate()
        named = 0 < len(set(self.architectures)) == len(self.architectures)
        self.require("architectures", named, "one or more different networks, such as mlp")
        self.require("widths", len(set(self.widths)) == len(self.widths))


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few narrow networks; published: wide ones of every family that fits the images."""
    side = min(shape[1:])
    quick: dict[str, Any] = {"architectures": ("mlp", "lenet" if side >= 12 else "resnet18-8")}
    if ipc > 5 or side >= 28:
        quick |= {"iterations": 100}
    teaching = ("mlp", *(("lenet",) if side >= 12 else ()), "resnet18-8")
    published = ("mlp", *(("lenet",) if side >= 12 else ()), "alexnet", "resnet18-64")
    return {
        "quick": quick,
        "teaching": {"architectures": teaching, "widths": (8, 16, 32, 64)},
        "published": {
            "architectures": (*published, *(("vgg11",) if side >= 32 else ())),
            "widths": (32, 64, 128, 256),
            "nets": 5,
        },
    }


def networks(spec: TransferTask, chosen: Chosen) -> list[NetSpec]:
    """Every network once: those the sets were made with, then architectures, then widths."""
    wide = [f"convnet-{width}" for width in spec.widths]
    named = [("architectures", text) for text in spec.architectures] + [("widths", t) for t in wide]
    made = [network(field, text, chosen.shape, chosen.classes) for field, text in named]
    return list(dict.fromkeys([*(chosen.nets[run.key] for run in chosen.runs), *made]))


def cost(spec: TransferTask, chosen: Chosen, counts: Counts) -> Need:
    """Training every network on every set, random set and class means; a pass over the test images."""
    own = image_counts(chosen, counts)
    macs = largest = 0.0
    for net in networks(spec, chosen):
        one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
        macs += sum(3.0 * spec.iterations * m + counts.test for m in own) * one.macs
        largest = max(largest, one.activations)
    return Need(spec.nets * macs, memory=12.0 * largest * max(200, *own))
