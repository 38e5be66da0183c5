"""Features in the plane (UMAP, PCA), and what the neighbours of a point are in feature space.

scikit-learn and umap-learn are imported when they are first needed, so that machines without the latter
can do everything but UMAP. Only workers call this: UMAP is compiled on its first use.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np

from ddcore.base.errors import SpecError


def require_umap(field: str, value: str, instead: str) -> None:
    """`SpecError` on `field` where umap-learn is not installed; `instead` is what works without it."""
    if importlib.util.find_spec("umap") is None:
        raise SpecError(field, value, f"{instead}: the package umap-learn is not installed here")


def load_umap(folder: Path) -> Any:
    """The module `umap`, with its machine code kept in `folder` for the next process.

    Compiling takes half a minute of a core. umap-learn does not ask numba to keep what was compiled, so
    that is asked for here, for its functions that have not run yet; results are the same bit for bit.
    """
    version = importlib.metadata.version("umap-learn")
    os.environ.setdefault("NUMBA_CACHE_DIR", str(folder / f"umap-{version}"))  # read on import
    import umap
    from numba.core.registry import CPUDispatcher

    for module in (umap.umap_, umap.utils, umap.layouts):
        for function in vars(module).values():
            if isinstance(function, CPUDispatcher) and not function.signatures:
                function.enable_caching()
    return umap


def umap_map(
    umap: Any,
    features: np.ndarray,
    real: int,
    *,
    joint: bool,
    n_neighbors: int,
    random_state: int,
) -> np.ndarray:
    """UMAP (McInnes et al. 2018) of features (N, F) to (N, 2), other settings as in the library.

    The first `real` rows are real images. `joint` fits all rows; without it real ones only are fitted and
    the others are placed among them. `random_state` is all its randomness, on a single thread.
    """
    model = umap.UMAP(n_neighbors=n_neighbors, random_state=random_state, n_jobs=1)
    if joint:
        return model.fit_transform(features).astype(np.float32)
    placed = model.fit(features[:real]).transform(features[real:])
    return np.concatenate([model.embedding_, placed]).astype(np.float32)


def pca_map(features: np.ndarray, real: int) -> tuple[np.ndarray, np.ndarray]:
    """The two main directions of the first `real` of features (N, F): (N, 2), share of variance (2,)."""
    from sklearn.decomposition import PCA

    model = PCA(2, svd_solver="full").fit(features[:real].astype(np.float64))
    return model.transform(features).astype(np.float32), model.explained_variance_ratio_


def neighbours(reference: np.ndarray, k: int, points: np.ndarray | None = None) -> np.ndarray:
    """Rows (M, k) of the `k` reference features nearest to each point, the nearest first.

    Without `points` those are the reference features themselves, each without itself. Euclidean distance.
    """
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(reference.astype(np.float64))
    points = None if points is None else points.astype(np.float64)
    return model.kneighbors(points, return_distance=False)


def majority(labels: np.ndarray) -> np.ndarray:
    """The most frequent label (M,) of each row (M, k); of several the one that comes first in the row."""
    same = labels[:, :, None] == labels[:, None, :]
    first = same.sum(2).argmax(1)  # argmax takes the first of equals
    return labels[np.arange(len(labels)), first]
