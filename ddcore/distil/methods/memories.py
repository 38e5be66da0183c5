"""Memories: backpropagation through time into bases that all classes share (Deng & Russakovsky 2022).

The published code also adds 1e-4 times the coefficients' norm to the inner loss, in the backward pass
only; that asymmetry is left out.
"""

from __future__ import annotations

from typing import Any

from ddcore.data.registry import OWN, get
from ddcore.distil.contract import Method
from ddcore.distil.methods import bptt
from ddcore.nets.plan import Shape, small


def presets(
    data: str, shape: Shape, ipc: int, variant: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Those of `bptt` on bases, from combinations of class means; the paper's from noise.

    The small images of digits lose too much at half their size. Larger sets show each update a few of
    their many images only.
    """
    tiny = small(shape)
    stored: dict[str, Any] = {"parametrization": "bases", "init": "mean"}
    quick: dict[str, Any] = {"batch": 2}
    if tiny:
        quick = {"lr": 0.1} if ipc == 1 else {"lr": 0.06, "batch": 10}
    found = bptt.presets(data, shape, ipc, variant)
    made = {
        name: {**found[name], **stored, "params": {**found[name]["params"], **quick}}
        for name in found
        if name != "paper"
    }
    paper = {**found["paper"], "parametrization": "bases", "init": "noise"}
    paper["params"] = {**paper["params"], "batch": 32}
    counted = ten_classes(data) or ipc >= 10
    paper["knobs"] = {"bases": 0 if not counted else 16 if ipc == 1 else 64}
    if tiny:
        paper["knobs"] = {"scale": 1.33}
        for fields in made.values():
            fields["knobs"] = {"scale": 1.6 if ipc == 1 else 1.33}
            fields["knobs"] |= {"bases": 10} if ipc == 1 and counted else {}
    return {**made, "paper": paper}


def ten_classes(data: str) -> bool:
    """Whether there are as many classes as the numbers of bases here are for; not known of own files.

    With fewer classes the budget of one image each has no room for them, so their number is left open.
    """
    return data not in OWN and len(get(data).classes) >= 10


METHOD = Method(
    name="memories",
    title="Addressable memories",
    family="store",
    idea="Learn a few small pictures that all classes share, and how each image combines them.",
    explanation="Images of different classes have much in common, so the set stores small pictures that "
    "all classes share and, for each image, how much it takes of each. The same numbers then make many "
    "more images than pixels would. Both are learned by differentiating the real loss through a training "
    "with momentum, as in backpropagation through time.",
    paper="Deng & Russakovsky 2022, Remember the Past",
    formula=r"\min_{A,B} \; \mathbb{E}_{\theta_0} \, \ell(T, \theta_K), \quad "
    r"x_i = \mathrm{up}\Big( \sum_k A_{ik} B_k \Big)",
    params=bptt.BPTTParams,
    build=bptt.build,
    cost=bptt.cost,
    presets=presets,
    smallest={**bptt.METHOD.smallest, "batch": "1"},
    caveat="`ipc` is the budget of numbers: networks see many more images than that, so training on the "
    "set takes longer.",
    one_parametrization=("bases", "without shared bases this is bptt, so choose that method"),
)
