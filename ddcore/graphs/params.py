"""Parameters of gradient matching on graphs, with edges and without. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from ddcore.base.fields import choice, number, numbers
from ddcore.base.specs import Spec

DISTANCES = {
    "cosine": "one minus the cosine, summed over classes' outputs",
    "mse": "the sum of squared differences",
}
ORDERS = {
    "class": "each class starts from training nodes of its own",
    "official": "as in the authors' code, where most classes of Cora start from another's nodes",
}


@dataclass(frozen=True, kw_only=True)
class GraphParams(Spec):
    """Parameters every method for graphs has; each method adds its own."""

    epochs: int = number(
        600, 1, 1_000_000, "How many networks, one after the other, it is made for."
    )


@dataclass(frozen=True, kw_only=True)
class MatchingParams(GraphParams):
    """In each epoch one linear network is trained on the set, whose gradients are matched."""

    outer: int = number(20, 1, 1000, "How often the set is changed in an epoch.")
    inner: int = number(15, 0, 1000, "Steps of the network on the set between two changes.")
    lr_features: float = number(1e-4, 1e-8, 10, "Step size of the features.")
    lr_net: float = number(0.01, 1e-8, 10, "Step size of the network.")
    batch: int = number(256, 1, 100_000, "At most so many real nodes of a class.", unit="nodes")
    neighbours: tuple[int, ...] = numbers(
        (),
        1,
        10_000,
        "nothing, or two numbers from 1 to 10000 such as 10,5",
        "How many neighbours of real nodes are sampled, of the first hop and of the second; nothing: all of "
        "them, which is exact.",
    )
    distance: str = choice("cosine", DISTANCES, "How gradients are compared.")
    order: str = choice("class", ORDERS, "From which nodes features start.")

    def validate(self) -> None:
        """Both hops or none."""
        ok = len(self.neighbours) in (0, 2)
        self.require("neighbours", ok)


@dataclass(frozen=True, kw_only=True)
class GCondParams(MatchingParams):
    """Edges and features take turns."""

    lr_edges: float = number(1e-4, 1e-8, 10, "Step size of the perceptron that makes the edges.")
    hidden: int = number(128, 1, 4096, "Hidden units of that perceptron.", unit="units")
    edge_epochs: int = number(10, 0, 100_000, "Epochs in a row that change edges.")
    feature_epochs: int = number(40, 0, 100_000, "Epochs in a row that change features.")

    def validate(self) -> None:
        """Something has to change."""
        super().validate()
        some = self.edge_epochs + self.feature_epochs > 0
        self.require("edge_epochs", some, "more than 0 where feature_epochs is 0")


@dataclass(frozen=True, kw_only=True)
class GCondXParams(MatchingParams):
    """As those of gcond, but of features alone."""
