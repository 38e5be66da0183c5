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

from ddcore.base.errors import DataError
from ddcore.base.isolated import Progress
from ddcore.data.images import PictureForm, Room, stack
from ddcore.data.names import distinct_names
from ddcore.data.sources._own import check_labels, split
from ddcore.data.sources._raw import MAX_CLASSES, Decoded, no_progress

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_COLUMNS = ("image", "img", "picture")
LABEL_COLUMNS = ("label", "labels", "fine_label")
ROWS = 256
# Counted from the files' own tables of contents, before anything is read. ImageNet has 1.3 million pictures.
MAX_ROWS = 5_000_000
MAX_LABEL_BYTES = 64 << 20  # numbers of five million rows take 40 MB, names are stored once
MAX_PICTURE_BYTES = 16 << 30  # of encoded pictures
MAX_FACTS = 1 << 20  # bytes of what is told beside the columns


def read(
    folder: Path,
    names: tuple[str, ...] | None = None,
    form: PictureForm = PictureForm(),  # noqa: B008
    progress: Progress = no_progress,
    room: Room = np.empty,
) -> Decoded:
    """Decode the parquet files of a folder. `names` are the classes if the files do not say."""
    train, test = parts(folder)
    tables = [_Table(path) for path in train + test]
    count = sum(table.rows for table in tables[: len(train)])
    total = sum(table.rows for table in tables)
    if total > MAX_ROWS:
        raise DataError(f"{folder} has {total:,} rows: at most {MAX_ROWS:,} are read.")
    if count == 0:
        raise DataError(f"{folder} has no training pictures: at least 2 per class are needed.")
    told = {table.names: table.path for table in tables if table.names}
    if len(told) > 1:
        one, other = list(told.values())[:2]
        raise DataError(
            f"{one} and {other} name their classes differently: expected the same names."
        )
    names = next(iter(told), names)
    labels, names = _labels(tables, names, folder)
    held = split(labels, names, np.arange(total) >= count if test else None, str(folder))
    check_labels(labels, names, held, str(folder))
    pictures = (pair for table in tables for pair in table.pictures())
    images, jpeg = stack(pictures, total, form, progress, room)
    return Decoded(images, labels, held, names, jpeg)


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
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            raise DataError(f"{path} is not a readable parquet file ({_short(error)}).") from None
        schema = self.file.schema_arrow
        self.rows = self.file.metadata.num_rows
        self.image = _column(path, schema, IMAGE_COLUMNS, _holds_bytes, "picture (encoded bytes)")
        self.label = _column(path, schema, LABEL_COLUMNS, pa.types.is_integer, "label (int64)")
        self.names = _names(schema.metadata or {}, self.label, str(path))
        self._check_sizes()

    def _check_sizes(self) -> None:
        """Refuse what the table of contents says is too much, or contradicts itself."""
        facts = self.file.metadata
        groups = [facts.row_group(i) for i in range(facts.num_row_groups)]
        if self.rows < 0 or sum(group.num_rows for group in groups) != self.rows:
            raise DataError(
                f"{self.path} is damaged: it says it has {self.rows:,} rows, and its parts say otherwise."
            )
        if self.rows > MAX_ROWS:
            raise DataError(f"{self.path} has {self.rows:,} rows: at most {MAX_ROWS:,} are read.")
        for name, most in ((self.label, MAX_LABEL_BYTES), (self.image, MAX_PICTURE_BYTES)):
            size = sum(_bytes(group, name) for group in groups)
            if not 0 <= size <= most:
                raise DataError(
                    f"{self.path} has {size / 2**20:,.0f} MB in column {name}: at most {most >> 20:,} are "
                    "read."
                )

    def labels(self) -> np.ndarray:
        """Labels as int64 or as texts; other types and gaps are refused."""
        import pyarrow as pa

        column = self._read(self.label)
        if len(column) != self.rows:
            raise DataError(
                f"{self.path} is damaged: it has {len(column):,} labels for {self.rows:,} rows."
            )
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


def _names(metadata: dict[bytes, bytes], label: str, where: str) -> tuple[str, ...] | None:
    """Class names as the datasets library leaves them in the schema; None if it did not."""
    told = metadata.get(b"huggingface", b"")
    if len(told) > MAX_FACTS:
        raise DataError(
            f"{where} tells {len(told) >> 20:,} MB beside its columns: at most 1 is read."
        )
    try:
        names = json.loads(told)["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return distinct_names(names, where) or None if names is not None else None


def _bytes(group: Any, column: str) -> int:
    """Unpacked bytes of a column, or of what is nested in it, in one part of a file."""
    columns = [group.column(i) for i in range(group.num_columns)]
    mine = [c for c in columns if c.path_in_schema.split(".")[0] == column]
    return sum(max(c.total_uncompressed_size, 0) for c in mine)


def _short(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
