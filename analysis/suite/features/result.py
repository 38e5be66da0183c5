"""What `features` found."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.results import Found, Result


@dataclass(frozen=True)
class FeaturesFound(Found):
    """Shares of images with most neighbours of their class, and what the maps are made of.

    `agreement` has a share for each network, by run key and for `REAL`; `labels` are the classes of each
    set's images. `maps` are those drawn, `explained` the shares of the variance in the two axes of PCA.
    `test` are the networks' accuracies, `features` how many there are, `pools` the key of the networks,
    `soft` the runs with soft labels. The rest is what was asked for, `real_images` of `test_images`.
    """

    agreement: dict[str, list[float]]
    maps: tuple[str, ...]
    labels: dict[str, list[int]]
    network: str
    test: list[float]
    explained: list[float]
    real_images: int
    test_images: int
    neighbours: int
    n_neighbors: int
    random_state: int
    features: int
    soft: tuple[str, ...]
    pools: tuple[str, ...]


FeaturesResult = Result[FeaturesFound]
