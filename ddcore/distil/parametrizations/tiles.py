"""Tiles: each stored picture holds several smaller images (multi-formation, Kim et al. 2022, IDC)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddcore.base.errors import SpecError
from ddcore.base.fields import choice, flag, number
from ddcore.distil.contract import Knobs, Parametrization
from ddcore.nets.plan import Shape

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec, Params
    from ddcore.distil.decoder import Decoder
    from ddcore.distil.problem import Problem

MODES = {
    "single": "these tiles only",
    "multi": "beside the tiles of all smaller factors, down to the whole picture",
    "bound": "as many pictures are cut as a class may have images",
}


@dataclass(frozen=True, kw_only=True)
class TileKnobs(Knobs):
    """A stored picture is cut into tiles, each enlarged to a whole image."""

    factor: int = number(2, 1, 8, "Tiles each way.")
    mode: str = choice("single", MODES, "Which tiles are used.")
    most: int = number(128, 1, 100_000, "In mode bound: so many images of a class at most.")
    clamp: bool = flag(False, "Keep stored pictures within 0..1, where real pixels are.")


def cuts(knobs: TileKnobs, count: int) -> list[tuple[int, slice]]:
    """Which of a class's `count` stored pictures are cut by which factor, in the order of decoding."""
    if knobs.mode == "single":
        return [(knobs.factor, slice(0, count))]
    if knobs.mode == "multi":
        return [(factor, slice(0, count)) for factor in range(1, knobs.factor + 1)]
    found, done, spare = [], 0, knobs.most - count  # spare: images above one per picture
    for factor in range(knobs.factor, 1, -1):
        more = factor**2 - 1
        part = min(spare // more, count - done)
        if part:
            found.append((factor, slice(done, done + part)))
        done, spare = done + part, spare - part * more
    return [*found, (1, slice(done, count))] if done < count else found


def stored_per_step(spec: DistillSpec[Params, TileKnobs]) -> int:
    """Stored pictures of each class in each part of the set."""
    return spec.ipc // spec.steps


def per_class(spec: DistillSpec[Params, TileKnobs], shape: Shape, classes: int) -> int:
    """Tiles of all pictures of a class."""
    found = cuts(spec.knobs, stored_per_step(spec))
    return spec.steps * sum(factor**2 * (part.stop - part.start) for factor, part in found)


def check(spec: DistillSpec[Params, TileKnobs]) -> None:
    """Room for all pictures as wholes; limits that exist."""
    if spec.knobs.mode == "bound" and spec.knobs.most < stored_per_step(spec):
        allowed = f"at least {stored_per_step(spec)}, one for each stored picture of a class"
        raise SpecError("most", spec.knobs.most, allowed)
    if spec.knobs.clamp and spec.data.preprocess == "zca":
        raise SpecError(
            "clamp", True, "false with zca: whitened pictures have no range of their own"
        )


def build(problem: Problem[DistillSpec[Params, TileKnobs]]) -> Decoder:
    """Pictures in preprocessed space, started from tiles or from noise."""
    from ddcore.distil.decoder import initial_images
    from ddcore.distil.parametrizations import _tiles
    from ddcore.training.labels import step_major_labels

    spec, data = problem.spec, problem.data
    found = cuts(spec.knobs, stored_per_step(spec))
    groups = problem.classes * spec.steps
    generator = problem.generator("images")
    if spec.init == "noise":
        labels = step_major_labels(problem.classes, spec.ipc, spec.steps)
        start = initial_images("noise", labels, data, generator)
    else:  # each of the finest tiles starts from an image of its own
        finest = found[-1:] if spec.knobs.mode == "multi" else found
        count = spec.steps * sum(f**2 * (part.stop - part.start) for f, part in finest)
        labels = step_major_labels(problem.classes, count, spec.steps)
        images = initial_images(spec.init, labels, data, generator)
        start = _tiles.join(images, groups, finest)
    return _tiles.Tiles(
        start, groups, found, problem.labels(), data.preprocessing, spec.knobs.clamp
    )


PARAMETRIZATION = Parametrization(
    name="tiles",
    title="Tiles",
    idea="Each stored picture is cut into tiles, and every tile is enlarged to an image of its own.",
    source="Kim et al. 2022, Dataset Condensation via Efficient Synthetic-Data Parameterization",
    knobs=TileKnobs,
    per_class=per_class,
    build=build,
    check=check,
)
