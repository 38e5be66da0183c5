"""What `privacy` found."""

from __future__ import annotations

from dataclasses import dataclass, field

from analysis.results import LEFT_OUT, Found, Result


@dataclass(frozen=True)
class Membership:
    """AUC of the loss test of each network, their mean, and a 95 % interval for that of one network."""

    auc: list[float]
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Distances:
    """From the images of a set to the nearest training images: Euclidean, between pixels 0..1.

    `nearer_than_held_out` is a share of the set's images, `copies` their number, `largest_psnr` in dB.
    """

    median_distance: float
    nearer_than_held_out: float
    copies: int
    largest_psnr: float


@dataclass(frozen=True, kw_only=True)
class Giving:
    """What is given away of training images: by `membership`, and by a set itself (see `Distances`)."""

    median_distance: float | None = field(default=None, metadata=LEFT_OUT)
    nearer_than_held_out: float | None = field(default=None, metadata=LEFT_OUT)
    copies: int | None = field(default=None, metadata=LEFT_OUT)
    largest_psnr: float | None = field(default=None, metadata=LEFT_OUT)
    membership: Membership


@dataclass(frozen=True)
class PrivacyFound(Found):
    """By run key, and for the yardsticks `ALL` and `SAME`; `members` training images were asked about.

    `held_out_median` is the distance of the median held-out image, `pools` the key of the networks.
    """

    sets: dict[str, Giving]
    held_out_median: float
    members: int
    pools: tuple[str, ...]


PrivacyResult = Result[PrivacyFound]
