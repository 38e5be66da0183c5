"""What `neighbours` found."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.results import Found, Result


@dataclass(frozen=True)
class Nearness:
    """A value for each network (of pixels, one).

    `median` distance to the nearest training image in units of that of held-out images; the share of images
    that are `nearer` than 1; the share whose nearest, and of all their neighbours those who, have the
    image's class.
    """

    median: list[float]
    nearer: list[float]
    own_class: list[float]
    own_class_all: list[float]


@dataclass(frozen=True)
class NeighboursFound(Found):
    """By run key, and for `HELD_OUT`, then by space, as in `SPACES`.

    `neighbours` of `train_images` training images are known of each image, `held_out_images` give the
    yardstick. `test` are the networks' accuracies, `pools` their key, `soft` the runs with soft labels.
    """

    sets: dict[str, dict[str, Nearness]]
    neighbours: int
    held_out_images: int
    train_images: int
    network: str
    test: list[float]
    soft: tuple[str, ...]
    pools: tuple[str, ...]


NeighboursResult = Result[NeighboursFound]
