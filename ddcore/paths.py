"""Where things live: the store, the shipped gallery and the user's data, all movable by environment.

`DD_CACHE` moves the writable store, `DD_DATA` names a folder that already holds datasets.
"""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
GALLERY = PROJECT / "cache" / "gallery"


def store_root() -> Path:
    """The writable store: `DD_CACHE`, else `cache/` beside the code."""
    return Path(os.environ.get("DD_CACHE") or PROJECT / "cache").expanduser()


def data_root() -> Path:
    """Where datasets are looked for and downloaded to: `DD_DATA`, else `data/` in the store."""
    return Path(os.environ.get("DD_DATA") or store_root() / "data").expanduser()
