"""How networks are trained on a condensed graph before they are judged on the real one. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from ddcore.base.errors import SpecError
from ddcore.base.fields import number, text
from ddcore.base.specs import Spec

NETS = {
    "gcn": "graph convolutions, two layers (Kipf & Welling 2017)",
    "sgc": "one linear layer on features spread twice (Wu et al. 2019)",
    "appnp": "two layers, their outputs spread ten times (Gasteiger et al. 2019)",
    "mlp": "two layers that see no edges",
}


@dataclass(frozen=True, kw_only=True)
class GraphProtocol(Spec):
    """Adam, and a fresh Adam with another step size for the second half (Jin et al. 2022, their code)."""

    name: str = text("gcond", "What it is called.")
    nets: int = number(3, 1, 200, "Networks, each from other random weights.", unit="networks")
    epochs: int = number(600, 2, 100_000, "Steps, each on all nodes of the set.")
    look_every: int = number(
        5, 1, 100_000, "Validation nodes are looked at after so many epochs; the best look is kept."
    )
    lr: float = number(0.01, 1e-6, 10, "Step size of the first half.")
    second_lr: float = number(0.001, 1e-6, 10, "Step size of the second half.")
    weight_decay: float = number(5e-4, 0, 1, "Weight decay.")
    dropout: float = number(0.5, 0, 0.99, "Share of the hidden units that a step leaves out.")
    hidden: int = number(256, 1, 4096, "Hidden units.", unit="units")


GRAPH_PROTOCOLS = {
    "gcond": GraphProtocol(),
    "gcond-cross": GraphProtocol(name="gcond-cross", dropout=0.0),
    "gcond-paper": GraphProtocol(name="gcond-paper", nets=10, look_every=1),
    "short": GraphProtocol(name="short", nets=2, epochs=60, hidden=32),
}
PURPOSE_OF_GRAPHS = {
    "gcond": "as the authors' training script, but validation is looked at every fifth epoch",
    "gcond-cross": "without dropout, as their script for other architectures",
    "gcond-paper": "a look after every epoch, ten networks",
    "short": "a tenth of the epochs and small networks: for trying out",
}


def graph_protocol(name: str) -> GraphProtocol:
    """The protocol of that name; `SpecError` lists the known ones."""
    if name not in GRAPH_PROTOCOLS:
        raise SpecError("protocol", name, "one of " + ", ".join(GRAPH_PROTOCOLS))
    return GRAPH_PROTOCOLS[name]
