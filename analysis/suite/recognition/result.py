"""What `recognition` found."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.results import Found, Result


@dataclass(frozen=True)
class RecognitionFound(Found):
    """Shares of images called as intended: (architectures, networks), architectures as in `networks`.

    `recognised` is of each set by run key and of `REAL`, a class-balanced draw of `real_images` training
    images; `test` and `train` are of all real images. `pools` are the keys of the networks, `soft` the runs
    with soft labels.
    """

    networks: tuple[str, ...]
    recognised: dict[str, list[list[float]]]
    test: list[list[float]]
    train: list[list[float]]
    pools: tuple[str, ...]
    soft: tuple[str, ...]
    real_images: int


RecognitionResult = Result[RecognitionFound]
