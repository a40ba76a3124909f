"""The input of a split: a table, the `data` block of its task, and the cells of a column as text."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mammal.tasks.errors import TaskError
from mammal.tasks.molecules.policy import Policy, Standard, standard_form
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
        standard: how the task standardises molecules. With a policy, splits use the molecules that the model reads.
    """

    frame: pd.DataFrame
    data: DataConfig
    on: Sequence[str] = ()
    molecules: Sequence[str] = ()
    targets: Sequence[str] = ()
    inputs: Sequence[Hashable] = ()
    standard: Standard = "normalised"

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
        """Returns the cells of a column as text, "" for empty cells; molecules after the steps of a policy.

        Raises:
            DataError: the table has no such column.
        """
        if column not in self.frame.columns:
            raise missing_column(column, [str(name) for name in self.frame.columns])
        texts = column_texts(self.frame, column)
        if isinstance(self.standard, Policy) and column in self.molecules:
            return _standard_forms(texts, self.standard)
        return texts

    def keys(self, column: str) -> list[str]:
        """Returns the cells of a column as text, with molecules as normalised SMILES."""
        texts = self.texts(column)
        return molecule_keys(texts) if column in self.molecules else texts


def column_texts(frame: pd.DataFrame, column: str) -> list[str]:
    """Returns the cells of a column as text, "" for empty cells."""
    return ["" if is_missing(value) else as_text(value) for value in frame[column].tolist()]


def why_left_out(smiles: str) -> str:
    """Returns why a row is left out of a split by molecules: its cell is empty, or RDKit can't parse it.

    Args:
        smiles: text of the cell.
    """
    from mammal.tasks.molecules.chemistry import why_invalid

    return f"invalid SMILES {smiles!r}: {why_invalid(smiles)}" if smiles else "empty cell"


def label_texts(frame: pd.DataFrame, column: str) -> list[str]:
    """Returns labels or numbers of a column with one spelling for each (`1.0` is `1`), "" where there is none."""
    cells = frame[column].tolist()
    return ["" if is_missing_label(value) else label_key(as_text(value)) for value in cells]


def molecule_keys(texts: Sequence[str], standard: Standard = "normalised") -> list[str]:
    """Returns what molecules are compared by; a text that RDKit can't parse stays as it is.

    Args:
        texts: the molecules.
        standard: how the task standardises molecules. With a policy they are compared as the model reads them, because
            a salt and its parent can be the same for it; otherwise by the normalised SMILES.
    """
    from mammal.tasks.molecules.chemistry import normalised_or_none

    if isinstance(standard, Policy):
        return _standard_forms(texts, standard)
    return [(normalised_or_none(text) or text) if text else "" for text in texts]


def _standard_forms(texts: Sequence[str], policy: Policy) -> list[str]:
    from mammal.tasks.molecules.chemistry import canonical_or_none

    canonical = [canonical_or_none(text) if text else None for text in texts]
    return [
        text if found is None else standard_form(found, policy).text
        for text, found in zip(texts, canonical, strict=True)
    ]
