"""The formats that sets are exported in, said once: for the command line, the page and the writers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A format: its short `title` (on a button), `about` in a few words, whether it is a folder of files."""

    title: str
    about: str
    folder: bool = False


FORMATS = {
    "npz": Format("npz", "NumPy archive"),
    "pt": Format("pt", "PyTorch tensors"),
    "safetensors": Format("safetensors", "safetensors"),
    "hf": Format("Hugging Face", "Hugging Face dataset folder", folder=True),
    "png": Format("PNG", "PNG pictures (preview only)", folder=True),
}
FOLDERS = tuple(name for name, known in FORMATS.items() if known.folder)
