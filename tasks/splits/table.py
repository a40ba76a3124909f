"""The input of a split: a table, the `data` block of its task, and the cells of a column as text."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mammal.tasks.errors import TaskError
from mammal.tasks.tables.cells import as_text, is_missing, is_missing_label, missing_column
from mammal.tasks.targets.labels import label_key

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig


@dataclass(frozen=True)
class Table:
    """The rows to split.

    Attributes:
        frame: every row, numbered from 0.
        data: the `data` block of the task.
        on: columns to use unless `data.split_on` names others.
        molecules: columns that hold SMILES; different SMILES of the same molecule are one value there.
        targets: columns that hold labels.
        inputs: the inputs of each row that the prompt reads, in the form in which leaks compare them; empty: all rows
            count as different.
    """

    frame: pd.DataFrame
    data: DataConfig
    on: Sequence[str] = ()
    molecules: Sequence[str] = ()
    targets: Sequence[str] = ()
    inputs: Sequence[Hashable] = ()

    def __len__(self) -> int:
        return len(self.frame)

    def asked(self) -> list[str]:
        """Returns the columns of `data.split_on`, else those of `on`.

        Raises:
            TaskError: there are none in either.
        """
        named = self.data.split_on
        columns = [named] if isinstance(named, str) else list(named or self.on)
        if not columns:
            raise TaskError(f"a {self.data.split} split needs a column", hint="task.data.split_on=smiles")
        return columns

    def texts(self, column: str) -> list[str]:
        """Returns the cells of a column as text, "" for empty cells.

        Raises:
            DataError: the table has no such column.
        """
        if column not in self.frame.columns:
            raise missing_column(column, [str(name) for name in self.frame.columns])
        return column_texts(self.frame, column)

    def keys(self, column: str) -> list[str]:
        """Returns the cells of a column as text, with molecules as normalised SMILES."""
        texts = self.texts(column)
        return molecule_keys(texts) if column in self.molecules else texts


def column_texts(frame: pd.DataFrame, column: str) -> list[str]:
    """Returns the cells of a column as text, "" for empty cells."""
    return ["" if is_missing(value) else as_text(value) for value in frame[column].tolist()]


def label_texts(frame: pd.DataFrame, column: str) -> list[str]:
    """Returns labels or numbers of a column with one spelling for each (`1.0` is `1`), "" where there is none."""
    cells = frame[column].tolist()
    return ["" if is_missing_label(value) else label_key(as_text(value)) for value in cells]


def molecule_keys(texts: Sequence[str]) -> list[str]:
    """Returns what molecules are compared by: the normalised SMILES; a text that RDKit can't parse stays as it is."""
    from mammal.tasks.molecules.chemistry import normalised_or_none

    return [(normalised_or_none(text) or text) if text else "" for text in texts]
