"""Splits `deepchem:NAME`, made by a splitter class of deepchem that is looked up by its name."""

from __future__ import annotations

from typing import Any

import numpy as np

from mammal.tasks.errors import TaskError
from mammal.tasks.splits.split import PARTS, Split
from mammal.tasks.splits.table import Table
from mammal.tokenization.errors import did_you_mean

PREFIX = "deepchem:"


def by_deepchem(table: Table) -> Split:
    """Splits with a splitter of deepchem, which gets the texts of one column as ids, as from deepchem's loaders.

    Raises:
        TaskError: deepchem has no such splitter.
        DataError: deepchem is not installed, or the column is missing.
    """
    from mammal.tasks.sources.moleculenet import import_deepchem

    data = table.data
    ids = table.texts(table.asked()[0])
    deepchem = import_deepchem()
    name = data.split.removeprefix(PREFIX)
    splitter: Any = getattr(deepchem.splits, name, None)
    if not isinstance(splitter, type) or not issubclass(splitter, deepchem.splits.Splitter):
        names = [n for n in dir(deepchem.splits) if n.endswith("Splitter")]
        raise TaskError(f"deepchem has no splitter {name!r}", hint=did_you_mean(name, names, noun="splitter"))
    zeros = np.zeros(len(ids))
    dataset = deepchem.data.NumpyDataset(X=zeros, y=zeros, ids=np.array(ids, dtype=object))
    train, valid, test = data.fractions
    found = splitter().split(dataset, frac_train=train, frac_valid=valid, frac_test=test, seed=data.split_seed)
    parts = {part: np.sort(np.array(rows, dtype=np.int64)) for part, rows in zip(PARTS, found, strict=True)}
    placed = np.concatenate(list(parts.values()))
    left_out = [(int(row), "deepchem's splitter left it out") for row in np.setdiff1d(np.arange(len(ids)), placed)]
    return Split(data.split, parts, left_out)
