"""Datasets: known names or the user's own files, decoded once, split and preprocessed on reading.

    spec = resolve("mnist")            # or resolve("path/of/a/folder", resolution=32)
    dataset = ensure(context, spec)    # inside a task; load(store, spec) once it is computed

Nothing here imports torch; `ddcore.data.tensors` puts a `Dataset` on a device.
"""

from ddcore.data.dataset import Dataset, ensure, load
from ddcore.data.lookup import resolve
from ddcore.data.preprocess import Preprocess
from ddcore.data.registry import datasets
from ddcore.data.sources._source import Source
from ddcore.data.spec import (
    DatasetTask,
    DataSpec,
    DownloadTask,
    ZcaTask,
    dataset_task,
    download_task,
    zca_task,
)

__all__ = [
    "DataSpec",
    "Dataset",
    "DatasetTask",
    "DownloadTask",
    "Preprocess",
    "Source",
    "ZcaTask",
    "dataset_task",
    "datasets",
    "download_task",
    "ensure",
    "load",
    "resolve",
    "zca_task",
]
