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
    "imagefolder": Format(
        "ImageFolder", "class folders of PNG pictures, and their labels", folder=True
    ),
    "png": Format("PNG", "PNG pictures (preview only)", folder=True),
}
BENCHMARKS = {  # what other people's benchmarks read; only for the data that these know
    "dd-ranking": Format("DD-Ranking", "folder for DD-Ranking (CIFAR-10, CIFAR-100)", folder=True),
    "eccv-2024": Format(
        "ECCV 2024", "folder for the challenge of ECCV 2024 (CIFAR-100)", folder=True
    ),
}
FOLDERS = tuple(n for n, known in (FORMATS | BENCHMARKS).items() if known.folder)
