"""Reading what a job wrote: the rows that have an answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mammal.jobs.manifest import Manifest
from mammal.rows.answer_columns import ERROR

if TYPE_CHECKING:
    import pandas as pd


def answered_rows(rows: pd.DataFrame, output: Path) -> pd.DataFrame:
    """The rows of an output that have an answer; with `keep_rows` a job leaves the others among them.

    Args:
        rows: of the output.
        output: the file that the job wrote. Its manifest says how the names of new columns begin.
    """
    manifest = Manifest.read(output.with_name(f"{output.name}.manifest.json"))
    prefix = "" if manifest is None else manifest.options.get("prefix") or ""
    error = f"{prefix}{ERROR}"
    if error not in rows:
        return rows
    return rows[rows[error].isna() | (rows[error] == "")].reset_index(drop=True)
