"""What is picked of a finished `influence`: a set, one of its images, a test image, and an effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.contract import Arrays
from analysis.runs import Run
from analysis.shared.effects import CENTRED, EFFECTS, centred
from analysis.suite.influence.result import Effects, InfluenceResult
from analysis.suite.influence.spec import TOP
from analysis.task import ROWS, lacks_images

Tile = tuple[
    np.ndarray | None, str
]  # pixels (C, H, W), None where there are none, and the line above


@dataclass(frozen=True)
class InfluenceView:
    """The picked set, with the images that go with it.

    `effect` is what `influence` (M, N) is, in words. `image` is the number of the picked image, `test` that
    of the picked test image.
    """

    result: InfluenceResult
    run: Run
    effect: str
    influence: np.ndarray
    labels: np.ndarray  # (M,)
    pixels: np.ndarray  # (M, C, H, W)
    test_labels: np.ndarray  # (N,)
    image: int
    test: int
    tests: dict[int, np.ndarray]  # test images (C, H, W), 0..255, that are here, by number
    lacking: bool  # whether test images are not here that belong here

    @classmethod
    def of(cls, result: InfluenceResult, arrays: Arrays, picked: dict[str, str]) -> InfluenceView:
        """What the options say."""
        (run,) = (r for r in result.runs if r.key == picked["set"])
        labels = arrays[f"labels.{run.key}"]
        raw = arrays[f"influence.{run.key}"].astype(np.float32)
        here = zip(arrays[f"{ROWS}test.shown"].tolist(), arrays.get("shown", ()))
        return cls(
            result=result,
            run=run,
            effect=EFFECTS[picked["effect"]].lower(),
            influence=centred(raw, labels) if picked["effect"] == CENTRED else raw,
            labels=labels,
            pixels=arrays[f"pixels.{run.key}"],
            test_labels=arrays["test_labels"],
            image=int(picked["image"]),
            test=int(picked["test"]),
            tests=dict(here),
            lacking=lacks_images(arrays),
        )

    @property
    def facts(self) -> Effects:
        """What was found of the picked set."""
        return self.result.found.sets[self.run.key]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return self.result.class_names

    def name(self, image: int) -> str:
        """ "3 no. 2": an image of the set."""
        number = int((self.labels[:image] == self.labels[image]).sum()) + 1
        return f"{self.names[self.labels[image]]} no. {number}"

    def test_image(self, test: int) -> np.ndarray | None:
        """A test image on the scale 0..1, if it is here."""
        return self.tests[test].astype(np.float32) / 255 if test in self.tests else None

    def helped(self, image: int, sign: int = 1) -> list[Tile]:
        """The test images that an image helps most, or, with sign -1, hurts most."""
        row = self.influence[image]
        order = np.argsort(-sign * row, kind="stable")[:TOP].tolist()
        lines = [f"{self.names[self.test_labels[i]]} {row[i]:+.2f}" for i in order]
        return [(self.test_image(i), line) for i, line in zip(order, lines)]

    @property
    def note(self) -> str:
        """Why tiles are empty, if they are."""
        missing = " The dataset has not been read yet, so test images are missing."
        return missing if self.lacking else ""
