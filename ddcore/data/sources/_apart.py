"""The user's own pictures are decoded in a process of their own, which may take only so much."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ddcore.base import environment, isolated
from ddcore.base.isolated import Progress
from ddcore.data.images import PictureForm
from ddcore.data.sources import _folder, _parquet
from ddcore.data.sources._raw import Decoded, RawData, no_progress

# The largest picture while it is resized, what the libraries need, labels of five million rows. Decoded
# pictures lie in a file and do not count.
MEMORY = 1 << 30
# CPU seconds for a megabyte: a thousand of the smallest pictures take one.
SECONDS, PER_MEGABYTE = 60, 20
READERS: dict[str, Callable[..., Decoded]] = {"folder": _folder.read, "parquet": _parquet.read}


def read(
    kind: str,
    folder: Path,
    form: PictureForm = PictureForm(),  # noqa: B008
    names: tuple[str, ...] | None = None,
    progress: Progress = no_progress,
) -> RawData:
    """Decode a "folder" of class folders, or of "parquet" files; `DataError` says what is wrong.

    `names` are the classes if parquet files do not say.
    """
    with tempfile.TemporaryDirectory(prefix="dd-data-", ignore_cleanup_errors=True) as place:
        request = {
            "kind": kind,
            "folder": str(folder),
            "form": {"grey": form.grey, "resolution": form.resolution},
            "names": names,
        }
        limits = isolated.Limits(
            memory=MEMORY,
            cpu_seconds=SECONDS + PER_MEGABYTE * (_size(kind, folder) >> 20),
            mapped=4 * environment.decoded_bytes(),
            written=2 * environment.decoded_bytes(),
        )
        told = isolated.call(
            "ddcore.data.sources._apart:_decode",
            request,
            Path(place),
            limits,
            what=str(folder),
            progress=progress,
            preload=("PIL.Image", *(["pyarrow.parquet"] if kind == "parquet" else [])),
        )
        arrays = isolated.arrays(Path(place))
        decoded = Decoded(
            class_names=tuple(told["class_names"]),
            jpeg=told["jpeg"],
            images=np.load(Path(place) / told["images"], mmap_mode="r", allow_pickle=False),
            **arrays,
        )
        return decoded.split()


def _size(kind: str, folder: Path) -> int:
    """Bytes of the files that will be read."""
    files = _parquet.parquet_files(folder) if kind == "parquet" else _folder.picture_files(folder)
    return sum(file.stat().st_size for file in files)


def _decode(request: dict[str, Any], place: Path, progress: Progress) -> dict[str, Any]:
    """What the other process does."""
    made: list[str] = []

    def room(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        made.append(f"images-{len(made)}.npy")
        return np.lib.format.open_memmap(place / made[-1], "w+", dtype, shape)

    names = tuple(request["names"]) if request["names"] else None
    extra = {"names": names} if request["kind"] == "parquet" else {}
    found = READERS[request["kind"]](
        Path(request["folder"]),
        form=PictureForm(**request["form"]),
        progress=progress,
        room=room,
        **extra,
    )
    if isinstance(found.images, np.memmap):  # `room` is one
        found.images.flush()
    isolated.write_arrays(place, {"labels": found.labels, "held": found.held})
    return {"class_names": found.class_names, "jpeg": found.jpeg, "images": made[-1]}
