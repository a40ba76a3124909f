"""Train, valid and test: how rows are divided, the hash of a division, and what leaks across it.

given      a column, or one file for each part, says it
random     seeded shuffle
scaffold   Bemis-Murcko scaffolds in the order of deepchem's ScaffoldSplitter: the largest go to train; equal to it
           on every part
cluster    sequences that are alike stay together (`mammal.tasks.clusters`)
deepchem:NAME   any splitter class of deepchem, by name
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.cells import as_text, is_missing, missing_column
from mammal.tasks.errors import DataError, TaskError
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.schema import DataConfig

PARTS = ("train", "valid", "test")
WAYS = ("given", "random", "scaffold", "cluster")
DEEPCHEM = "deepchem:"
_SPELLINGS = {"train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid"}
_SPELLINGS |= {"dev": "valid", "test": "test", "testing": "test"}


@dataclass(frozen=True)
class Split:
    """Row numbers of each part.

    Attributes:
        how: the way it was made, with its settings.
        parts: `train`, `valid` and `test` -> ascending row numbers.
        left_out: rows that can't be placed, with the reason.
    """

    how: str
    parts: dict[str, np.ndarray]
    left_out: list[tuple[int, str]] = field(default_factory=list)

    @property
    def hash(self) -> str:
        """sha256 over the row numbers of the parts: two runs with equal hashes judged the same rows."""
        digest = hashlib.sha256()
        for part in PARTS:
            digest.update(part.encode() + self.parts[part].astype("<i8").tobytes())
        return digest.hexdigest()


def split_frame(frame: pd.DataFrame, data: DataConfig, on: str | None = None) -> Split:
    """Divide a table as its declaration says.

    Args:
        on: the column that scaffold, cluster and deepchem splits look at, unless `data.split_on` names one.

    Raises:
        TaskError: no such way, or it lacks the column it needs.
        DataError: a column is missing, or a given split says something unknown.
    """
    if data.split not in WAYS and not data.split.startswith(DEEPCHEM):
        raise TaskError(f"data.split is {data.split!r}", hint=did_you_mean(data.split, WAYS, noun="split"))
    if data.split == "given":
        return _given(frame, data.split_column or "split")
    if data.split == "random":
        return _random(len(frame), data)
    column = data.split_on or on
    if column is None:
        raise TaskError(f"a {data.split} split needs a column", hint="data.split_on=smiles")
    if column not in frame.columns:
        raise missing_column(column, list(frame.columns))
    cells = frame[column].tolist()
    texts = ["" if is_missing(value) else as_text(value) for value in cells]
    if data.split == "scaffold":
        return _scaffold(texts, data)
    if data.split == "cluster":
        return _cluster(texts, data)
    return _deepchem(texts, data)


def _given(frame: pd.DataFrame, column: str) -> Split:
    if column not in frame.columns:
        raise missing_column(column, list(frame.columns))
    names = [_SPELLINGS.get(str(value).strip().lower()) for value in frame[column]]
    if None in names:
        row = names.index(None)
        what = f"column {column!r} says {frame[column].iloc[row]!r}, which is no part of a split"
        raise DataError(what, where=f"row {row}", hint="train, valid or test")
    said = np.array(names, dtype=object)
    return Split(f"given by {column}", {part: np.flatnonzero(said == part) for part in PARTS})


def _random(rows: int, data: DataConfig) -> Split:
    order = np.random.default_rng(data.split_seed).permutation(rows)
    first, second = round(data.fractions[0] * rows), round((data.fractions[0] + data.fractions[1]) * rows)
    pieces = zip(PARTS, np.split(order, [first, second]), strict=True)
    return Split(f"random, seed {data.split_seed}", {part: np.sort(piece) for part, piece in pieces})


def _scaffold(smiles: Sequence[str], data: DataConfig) -> Split:
    """Scaffold sets from the largest to the smallest (ties: the one that begins later first), as deepchem does it.

    Rows that RDKit can't parse are left out before shares are counted, as deepchem's featurizers do.
    """
    from mammal.tasks.chemistry import scaffold, why_invalid

    sets: dict[str, list[int]] = {}
    left_out = []
    for row, text in enumerate(smiles):
        found = scaffold(text) if text else None
        if found is None:
            left_out.append((row, f"invalid SMILES {text!r}: {why_invalid(text)}" if text else "empty cell"))
        else:
            sets.setdefault(found, []).append(row)
    ordered = sorted(sets.values(), key=lambda rows: (len(rows), rows[0]), reverse=True)
    parts = fill(ordered, len(smiles) - len(left_out), data.fractions)
    return Split("scaffold", parts, left_out)


def _cluster(sequences: Sequence[str], data: DataConfig) -> Split:
    """Clusters in seeded random order; those above a tenth of the test share go to train first, so that no single
    family decides the figures."""
    from mammal.tasks.clusters import cluster

    known = [row for row, text in enumerate(sequences) if text]
    left_out = [(row, "empty cell") for row, text in enumerate(sequences) if not text]
    labels, tool = cluster([sequences[row] for row in known], data.identity)
    members: dict[int, list[int]] = {}
    for row, label in zip(known, labels.tolist(), strict=True):
        members.setdefault(label, []).append(row)
    groups = list(members.values())
    order = np.random.default_rng(data.split_seed).permutation(len(groups)).tolist()
    large = data.fractions[2] * len(known) / 10
    order.sort(key=lambda group: len(groups[group]) <= large)
    parts = fill([groups[group] for group in order], len(known), data.fractions)
    return Split(f"cluster at {data.identity:g} by {tool}, seed {data.split_seed}", parts, left_out)


def fill(groups: Sequence[Sequence[int]], rows: int, fractions: Sequence[float]) -> dict[str, np.ndarray]:
    """Groups in order to train while they fit its share, then to valid, the rest to test (deepchem's rule)."""
    train_end, valid_end = fractions[0] * rows, (fractions[0] + fractions[1]) * rows
    train: list[int] = []
    valid: list[int] = []
    test: list[int] = []
    for group in groups:
        if len(train) + len(group) <= train_end:
            train += group
        elif len(train) + len(valid) + len(group) <= valid_end:
            valid += group
        else:
            test += group
    return {
        part: np.sort(np.array(rows, dtype=np.int64)) for part, rows in zip(PARTS, (train, valid, test), strict=True)
    }


def _deepchem(ids: Sequence[str], data: DataConfig) -> Split:
    from mammal.tasks.sources.moleculenet import import_deepchem

    deepchem = import_deepchem()
    name = data.split.removeprefix(DEEPCHEM)
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


def leakage(frame: pd.DataFrame, split: Split, columns: Sequence[str], molecules: Sequence[str]) -> dict[str, int]:
    """How many test (and valid) rows are in train already, by exact sequence or canonical molecule.

    Returns:
        `test` and `valid`: rows whose inputs all equal those of a training row; `test/column`: rows whose value of
        that one column occurs in train (with more than one input column).
    """
    from mammal.tasks.chemistry import canonical_or_none

    keys: dict[str, list[str]] = {}
    for column in columns:
        texts = ["" if is_missing(value) else as_text(value) for value in frame[column].tolist()]
        keys[column] = [canonical_or_none(t) or t for t in texts] if column in molecules else texts
    whole = list(zip(*keys.values(), strict=True)) if keys else []
    found = {}
    for part in ("test", "valid"):
        if whole:
            found[part] = _shared(whole, split, part)
        if len(columns) > 1:
            found |= {f"{part}/{column}": _shared(keys[column], split, part) for column in columns}
    return found


def _shared(values: Sequence[Any], split: Split, part: str) -> int:
    train = {values[row] for row in split.parts["train"].tolist()}
    return sum(values[row] in train for row in split.parts[part].tolist())
