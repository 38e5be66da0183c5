"""A set that this program exported: npz, pt, safetensors, or the zipped folder for Hugging Face."""

from __future__ import annotations

from collections.abc import Sequence

from ddcore.nets.plan import Shape
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.importers.base import Importer, ReadSet, Stored


def fits(files: Sequence[Stored]) -> bool:
    """One file that was recognised on reading."""
    return len(files) == 1 and isinstance(files[0].content, DistilledSet)


def read(files: Sequence[Stored], experiment: int) -> ReadSet:
    """Everything the file holds."""
    made: DistilledSet = files[0].content
    return ReadSet(made.images, made.labels, steps=made.steps, lrs=made.lrs, made=made)


def protocol(data: str, names: Sequence[str], shape: Shape) -> str:
    """Never asked: the file says its own."""
    return "quick"


IMPORTER = Importer(
    name="own",
    title="Exported by this program",
    files="one .npz, .pt or .safetensors file, or the .zip for Hugging Face, as downloaded.",
    about="It holds everything: images, labels, preprocessing, step sizes, network and protocol.",
    fits=fits,
    read=read,
    protocol=protocol,
    scale="own",
)
