"""Numbers to take away: the table of an analysis as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

from ddcore.base.foreign_text import cell


def csv_text(rows: list[dict[str, Any]]) -> str:
    """Rows as comma-separated values under the names of all their fields, in order of appearance.

    Text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue()
