"""Splitting of a table as a task declares it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

from mammal.tasks.errors import TaskError
from mammal.tasks.molecules.policy import Standard
from mammal.tasks.splits import assigned, grouped
from mammal.tasks.splits.by_deepchem import PREFIX, by_deepchem
from mammal.tasks.splits.cold import cold
from mammal.tasks.splits.split import Split
from mammal.tasks.splits.table import Table
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

WAYS: dict[str, Callable[[Table], Split]] = {
    "given": assigned.given,
    "fold": assigned.fold,
    "random": assigned.random,
    "scaffold": grouped.scaffold,
    "molecule": grouped.molecule,
    "cluster": grouped.cluster,
    "cold": cold,
    "time": assigned.time,
    "group": grouped.group,
}


def split_frame(
    frame: pd.DataFrame,
    data: DataConfig,
    on: str | Sequence[str] | None = None,
    *,
    molecules: Sequence[str] = (),
    targets: Sequence[str] = (),
    inputs: Sequence[Hashable] = (),
    standard: Standard = "normalised",
) -> Split:
    """Splits a table into train, valid and test.

    Args:
        frame: the table.
        data: the `data` block of a task; it declares the kind of split.
        on: columns that scaffold, molecule, cluster, cold and deepchem splits use, unless `data.split_on` names others.
            All but cold splits use the first one.
        molecules: columns with SMILES.
        targets: columns with labels, for `data.stratify`.
        inputs: the inputs of each row that the prompt reads, for `data.valid_share`: rows with equal inputs stay
            together.
        standard: how the task standardises molecules. With a policy, splits use the molecules that the model reads.

    Raises:
        TaskError: the kind of split is unknown, or the column that it needs is not named.
        DataError: a column is missing, or its cells can't be used.
    """
    way = by_deepchem if data.split.startswith(PREFIX) else WAYS.get(data.split)
    if way is None:
        names = [*WAYS, "like:TASK", "deepchem:NAME"]
        raise TaskError(f"data.split is {data.split!r}", hint=did_you_mean(data.split, names, noun="split"))
    columns = [on] if isinstance(on, str) else list(on or ())
    return way(Table(frame, data, columns, molecules, targets, inputs, standard))
