"""Teachers whose weights are files of torchvision's layout: read apart, and only as plain tensors.

Files lie as `<word>.pth` in `weights/` of the data root, where `ddcore teacher` puts them, or where
torchvision itself keeps what it has fetched. Nothing is downloaded here.
"""

from __future__ import annotations

import hashlib
import pickle
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddcore.base import isolated, paths
from ddcore.base.errors import DataError, SpecError
from ddcore.nets import published
from ddcore.nets.network import Network
from ddcore.nets.plan import Shape
from ddcore.tasks.files import write_atomic
from ddcore.training.trained import TrainedNets

FOLDER = "weights"  # below the data root
MOST_BYTES = 2 << 30
LEFT_OUT = "num_batches_tracked"  # how often statistics were updated, which nothing reads
BLOCK = 1 << 20


def adopt(name: str, given: Path) -> str:
    """Check a file of weights for torchvision's network `name`, copy it to the data root; its word."""
    published.known("arch", name)
    digest = _sha256(given)
    state = _state(given)
    classes = len(next(reversed(state.values())))
    fitted(state, Network(published.NETWORKS[name], (3, 224, 224), classes), given.name)
    word = f"{name}-{digest[:8]}"
    write_atomic(paths.data_root() / FOLDER / f"{word}.pth", given.read_bytes())
    return word


def load(word: str, shape: Shape, classes: int, device: str | torch.device = "cpu") -> TrainedNets:
    """The network that a word names, for images of `shape` and so many classes; `DataError` if it is none."""
    name, digest = published.parse("teacher", word)
    path = find(word)
    if not _sha256(path).startswith(digest):
        raise DataError(f"{path} is not the file that its name says: its sha256 is another.")
    network = Network(published.NETWORKS[name], shape, classes)
    nets = fitted(_state(path), network, path.name)
    return TrainedNets(
        network,
        {k: w.to(device) for k, w in nets.params.items()},
        {k: w.to(device) for k, w in nets.stats.items()},
    )


def find(word: str) -> Path:
    """Where the file of a word is; `DataError` says where it is looked for."""
    own = paths.data_root() / FOLDER
    theirs = Path(torch.hub.get_dir()) / "checkpoints"
    for folder in (own, theirs):
        if (folder / f"{word}.pth").is_file():
            return folder / f"{word}.pth"
    raise DataError(
        f"{word}.pth is neither in {own} nor in {theirs}: python -m ddcore teacher FILE puts a file there."
    )


def fitted(state: dict[str, np.ndarray], network: Network, file: str) -> TrainedNets:
    """Weights in the order of torchvision's layers under our names; `DataError` where they do not fit."""
    running = [k for k in state if k.endswith(("running_mean", "running_var"))]
    weights = [k for k in state if k not in running and not k.endswith(LEFT_OUT)]
    ours = network.init_stats()
    drawn = network.init(torch.Generator())
    params = _matched(drawn, weights, state, file)
    return TrainedNets(network, params, _matched(ours, running, state, file))


def _matched(
    wanted: dict[str, torch.Tensor], names: list[str], state: dict[str, np.ndarray], file: str
) -> dict[str, torch.Tensor]:
    if len(names) != len(wanted):
        raise DataError(
            f"{file} holds {len(names)} tensors where this network has {len(wanted)}: another network's."
        )
    found = {}
    for own, name in zip(wanted, names):
        shape = tuple(wanted[own].shape[1:])
        if state[name].shape != shape:
            said = " x ".join(map(str, state[name].shape))
            raise DataError(
                f"{file} holds {name[:60]} of {said} numbers where this network has "
                f"{' x '.join(map(str, shape))}: another network, other images or other classes."
            )
        found[own] = torch.from_numpy(state[name].astype(np.float32))[None]
    return found


# --- reading apart --------------------------------------------------------------------------------


def _state(path: Path) -> dict[str, np.ndarray]:
    """Tensors by name in the file's order, read by a process that may take little."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise DataError(f"{path} has {size >> 20:,} MB: at most {MOST_BYTES >> 20:,} are read.")
    with tempfile.TemporaryDirectory(prefix="dd-weights-", ignore_cleanup_errors=True) as place:
        isolated.call(
            "ddcore.pools.published:_open",
            {"path": str(path.resolve()), "name": path.name},
            Path(place),
            isolated.for_files(3 * size),
            what=path.name,
            preload=("torch",),
        )
        found = {k: np.array(a) for k, a in isolated.arrays(Path(place)).items()}
    if not found:
        raise DataError(f"{path.name} holds no weights.")
    return found


def _open(request: dict[str, Any], folder: Path, progress: Any) -> dict[str, Any]:
    """What the other process does: torch's own reader, which with `weights_only` builds tensors alone."""
    name = request["name"]
    try:
        value = torch.load(request["path"], map_location="cpu", weights_only=True)
    except (MemoryError, SpecError):
        raise
    except (
        pickle.UnpicklingError,
        RuntimeError,
        zipfile.BadZipFile,
        EOFError,
        ValueError,
    ) as error:
        reason = (str(error).splitlines() or [""])[0][:80]
        raise DataError(
            f"{name} is no file of weights that can be read safely ({reason})."
        ) from None
    except Exception as error:  # whatever a reader meets in bytes that anybody may have written
        raise DataError(f"{name} is no file of weights ({type(error).__name__}).") from None
    value = value.get("state_dict", value) if isinstance(value, dict) else value
    if not isinstance(value, dict) or not all(
        isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in value.items()
    ):
        raise DataError(f"{name} is no state_dict: expected tensors by name, as torchvision saves.")
    plain = {k.removeprefix("module."): v for k, v in value.items()}
    if not all(v.isfinite().all() for v in plain.values()):
        raise DataError(f"{name} holds numbers that are not finite.")
    isolated.write_arrays(folder, {k: v.contiguous().numpy() for k, v in plain.items()})
    return {}


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"{path} is not a file.")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
