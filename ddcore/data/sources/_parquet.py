"""Parquet files as on the Hugging Face hub: a picture column (encoded bytes) and a label column.

Files whose name starts with "train" are the training part, those with "test" (else "validation")
the test part; with neither, all are one part and a fixed stratified fifth is held out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ddcore.data.images import Form, stack
from ddcore.data.sources._base import MAX_CLASSES, Progress, RawData, no_progress
from ddcore.data.sources._own import check_labels, split
from ddcore.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_COLUMNS = ("image", "img", "picture")
LABEL_COLUMNS = ("label", "labels", "fine_label")
ROWS = 256


def read(
    folder: Path,
    names: tuple[str, ...] | None = None,
    form: Form = Form(),  # noqa: B008
    progress: Progress = no_progress,
) -> RawData:
    """Decode the parquet files of a folder. `names` are the classes if the files do not say."""
    train, test = parts(folder)
    tables = [_Table(path) for path in train + test]
    count = sum(table.rows for table in tables[: len(train)])
    total = sum(table.rows for table in tables)
    if count == 0:
        raise DataError(f"{folder} has no training pictures: at least 2 per class are needed.")
    names = next((t.names for t in tables if t.names), names)
    labels, names = _labels(tables, names, folder)
    held = split(labels, names, np.arange(total) >= count if test else None, str(folder))
    check_labels(labels, names, held, str(folder))
    pictures = (pair for table in tables for pair in table.pictures())
    images, jpeg = stack(pictures, total, form, progress)
    return RawData(images[~held], labels[~held], images[held], labels[held], names, jpeg)


def parts(folder: Path) -> tuple[list[Path], list[Path]]:
    """Training files and test files, each sorted by name."""
    files = parquet_files(folder)
    if not files:
        raise DataError(
            f"{folder} has no parquet files: expected train-*.parquet and test-*.parquet."
        )
    train = [f for f in files if f.name.startswith("train")]
    if not train:
        return files, []
    test = [f for f in files if f.name.startswith("test")]
    return train, test or [f for f in files if f.name.startswith("val")]


def parquet_files(folder: Path) -> list[Path]:
    """The parquet files in a folder, or one level below as some hub repositories have them."""
    return sorted(folder.glob("*.parquet")) or sorted(folder.glob("*/*.parquet"))


class _Table:
    """One open parquet file whose picture and label columns are known."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        try:
            self.file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} is not a readable parquet file ({_short(error)}).") from None
        schema = self.file.schema_arrow
        self.rows = self.file.metadata.num_rows
        self.image = _column(path, schema, IMAGE_COLUMNS, _holds_bytes, "picture (encoded bytes)")
        self.label = _column(path, schema, LABEL_COLUMNS, pa.types.is_integer, "label (int64)")
        self.names = _names(schema.metadata or {}, self.label)

    def labels(self) -> np.ndarray:
        """Labels as int64 or as texts; other types and gaps are refused."""
        import pyarrow as pa

        column = self._read(self.label)
        if column.null_count:
            raise DataError(f"{self.path} has {column.null_count} rows without a {self.label}.")
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            return np.array(column.to_pylist(), dtype=object)
        if pa.types.is_integer(column.type):
            return column.to_numpy().astype(np.int64)
        raise DataError(
            f"{self.path} has a column {self.label} of type {column.type}: expected whole numbers "
            "from 0 or class names."
        )

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """(name, encoded bytes) of every row, in order."""
        import pyarrow as pa

        row = 0
        try:
            for batch in self.file.iter_batches(batch_size=ROWS, columns=[self.image]):
                column = batch.column(0)
                if pa.types.is_struct(column.type):
                    column = column.field("bytes")
                for content in column.to_pylist():
                    name = f"{self.path}, row {row}"
                    if content is None:
                        raise DataError(
                            f"{name}: the picture has no bytes (only a path is no use)."
                        )
                    yield name, content
                    row += 1
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path} is damaged at row {row} ({_short(error)}).") from None

    def _read(self, name: str) -> pa.ChunkedArray:
        import pyarrow as pa

        try:
            return self.file.read(columns=[name]).column(0)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path} is damaged ({_short(error)}).") from None


def _labels(
    tables: list[_Table], names: tuple[str, ...] | None, folder: Path
) -> tuple[np.ndarray, tuple[str, ...]]:
    columns = [table.labels() for table in tables]
    if len({column.dtype for column in columns}) > 1:
        raise DataError(f"{folder} has files with numbers and files with texts as labels.")
    if columns[0].dtype == object:
        found = sorted({text for column in columns for text in column})
        known = names if names and set(found) <= set(names) else tuple(found)
        position = {name: i for i, name in enumerate(known)}
        return np.array([position[t] for c in columns for t in c], dtype=np.int64), known
    limit = len(names) if names else MAX_CLASSES
    for table, column in zip(tables, columns):
        for bad in (column.min(initial=0), column.max(initial=0)):
            if not 0 <= bad < limit:
                raise DataError(
                    f"{table.path} has the label {bad} in column {table.label}: expected 0 to "
                    f"{limit - 1}."
                )
    labels = np.concatenate(columns)
    return labels, names or tuple(str(i) for i in range(int(labels.max()) + 1))


def _column(path: Path, schema: pa.Schema, wanted: tuple[str, ...], fits: Any, what: str) -> str:
    """The column with one of the usual names, else the only one of a fitting type."""
    for name in wanted:
        if name in schema.names and (what.startswith("label") or fits(schema.field(name).type)):
            return name
    fitting = [field.name for field in schema if fits(field.type)]
    if len(fitting) != 1:
        raise DataError(
            f"{path} has the columns {', '.join(schema.names)}: expected one called {wanted[0]!r} "
            f"for the {what}."
        )
    return fitting[0]


def _holds_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        position = kind.get_field_index("bytes")
        return position >= 0 and _holds_bytes(kind.field(position).type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...] | None:
    """Class names as the datasets library leaves them in the schema; None if it did not."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    values = names.values() if isinstance(names, dict) else names
    return tuple(str(name) for name in values) or None


def _short(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
