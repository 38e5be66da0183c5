"""Pictures to uint8 arrays: safe decoding with Pillow, grey, resizing; every refusal names the file."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ddcore.base import environment
from ddcore.base.errors import DataError
from ddcore.base.isolated import Progress
from ddcore.data.sources._raw import no_progress

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
GREY_MODES = ("1", "L", "LA")
BLOCK = 512
THREADS = min(4, os.cpu_count() or 1)
# Pillow lets go of the interpreter lock while it decodes, but decoding a small picture is mostly
# Python: threads made 32-pixel pictures 1.6 times slower and 448-pixel ones 1.3 to 2 times faster.
THREADED_BYTES = 8192
MAX_PIXELS = (
    64_000_000  # of one picture: more than any camera's; as RGB 192 MB, twice that while resized
)
LARGE = 4_000_000  # pixels beyond which pictures are decoded one at a time
_ONE_LARGE = threading.Lock()

Room = Callable[[tuple[int, ...], type], np.ndarray]  # where decoded pictures go, by shape and type


@dataclass(frozen=True)
class PictureForm:
    """What every picture is turned into: one channel if `grey`, a square of `resolution` pixels."""

    grey: bool = False
    resolution: int | None = None


def stack(
    pictures: Iterable[tuple[str, bytes | Path]],
    total: int,
    form: PictureForm,
    progress: Progress = no_progress,
    room: Room = np.empty,
) -> tuple[np.ndarray, bool]:
    """Decode `total` (name, file or bytes) pairs into uint8 `(total, C, H, W)`.

    C is 1 if all pictures are grey, else 3. `room` makes the array. Also returns whether any picture is a
    JPEG. Raises `DataError` for a broken, huge, non-square or differently sized picture.
    """
    out, first, jpeg, done = np.empty((0, 1, 0, 0), np.uint8), "", False, 0
    with ThreadPoolExecutor(THREADS) as pool:
        for block in _blocks(pictures):
            run = pool.map if _mean_bytes(block) > THREADED_BYTES else map
            for (name, _), (array, is_jpeg) in zip(block, run(partial(_decode, form), block)):
                if done == 0:
                    _require_fit(name, array.shape, total)
                    out, first = room((total, *array.shape), np.uint8), name
                elif array.shape[1:] != out.shape[2:]:
                    raise DataError(
                        f"{name} is {_size(array)} pixels but {first} is {_size(out)}: choose a "
                        "resolution, so that all pictures are resized to one square."
                    )
                if array.shape[0] > out.shape[1]:  # the first colour picture after grey ones
                    _require_fit(name, array.shape, total)
                    grey, out = out, room((total, *array.shape), np.uint8)
                    out[:done] = grey[:done]
                out[done] = array
                jpeg |= is_jpeg
                done += 1
            progress(done, total)
    if done != total:
        raise DataError(f"{done:,} pictures were found where {total:,} were promised.")
    return out, jpeg


def convert(images: np.ndarray, form: PictureForm, progress: Progress = no_progress) -> np.ndarray:
    """Decoded uint8 `(N, C, H, W)` images in another form, by the same steps as `stack`."""
    channels = 1 if form.grey else images.shape[1]
    size = form.resolution or images.shape[2]
    if (channels, size) == images.shape[1:3]:
        return images
    from PIL import Image

    out = np.empty((len(images), channels, size, size), np.uint8)
    for i, array in enumerate(images):
        picture = Image.fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0))
        out[i] = _shaped(picture, form)
        if i % BLOCK == 0:
            progress(i, len(images))
    return out


def _blocks(
    pictures: Iterable[tuple[str, bytes | Path]],
) -> Iterator[list[tuple[str, bytes | Path]]]:
    iterator = iter(pictures)
    while block := list(itertools.islice(iterator, BLOCK)):
        yield block


def _mean_bytes(block: list[tuple[str, bytes | Path]]) -> float:
    sizes = [len(c) if isinstance(c, bytes) else c.stat().st_size for _, c in block]
    return sum(sizes) / len(sizes)


def _decode(form: PictureForm, named: tuple[str, bytes | Path]) -> tuple[np.ndarray, bool]:
    """One picture as uint8 (C, H, W), and whether it is a JPEG."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    name, content = named
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        with Image.open(file, formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise Image.DecompressionBombError(f"{width}x{height} pixels")
            if width != height and form.resolution is None:
                raise DataError(
                    f"{name} is {width}x{height} pixels: only square pictures can be used as they "
                    "are, choose a resolution to resize all of them."
                )
            if picture.mode.startswith(("I", "F")):
                raise DataError(
                    f"{name} has pixels of mode {picture.mode}: expected 8 bits per channel."
                )
            jpeg = picture.format == "JPEG"
            alone = _ONE_LARGE if width * height > LARGE else contextlib.nullcontext()
            with alone:
                upright = ImageOps.exif_transpose(picture) if "exif" in picture.info else picture
                return _shaped(upright, form), jpeg
    except UnidentifiedImageError:
        raise DataError(
            f"{name} is not a readable picture: expected one of {', '.join(FORMATS)}."
        ) from None
    except Image.DecompressionBombError:
        raise DataError(
            f"{name} is too large to decode safely: expected at most {MAX_PIXELS:,} pixels."
        ) from None
    except (DataError, MemoryError):
        raise
    except Exception as error:  # whatever a decoder meets in bytes that anybody may have written
        reason = (str(error).splitlines() or [""])[0].rstrip(".")[:120] or type(error).__name__
        raise DataError(f"{name} is a broken picture ({reason}).") from None


def _shaped(picture: Image, form: PictureForm) -> np.ndarray:
    """Channels first, then size: bilinear, with Pillow's antialiasing when shrinking."""
    from PIL.Image import Resampling

    mode = "L" if form.grey or picture.mode in GREY_MODES else "RGB"
    if picture.mode != mode:
        picture = picture.convert(mode)
    size = form.resolution
    if size and picture.size != (size, size):
        picture = picture.resize((size, size), Resampling.BILINEAR)
    array = np.asarray(picture)
    return array[None] if mode == "L" else array.transpose(2, 0, 1)


def _require_fit(name: str, shape: tuple[int, ...], total: int) -> None:
    wanted = total * int(np.prod(shape))
    most = environment.decoded_bytes()
    if wanted > most:
        raise DataError(
            f"{total} pictures like {name} take {wanted / 2**30:.1f} GiB: expected at most "
            f"{most >> 30} GiB, choose a smaller resolution (or let DD_DECODED_GB allow more)."
        )


def _size(array: np.ndarray) -> str:
    return f"{array.shape[-1]}x{array.shape[-2]}"
