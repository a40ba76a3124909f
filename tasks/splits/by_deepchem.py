"""`deepchem:NAME`: the splitter classes of deepchem, looked up by name.

A splitter gets what it reads: the molecules of a column (rows that RDKit refuses are left out first), the labels of
the task, or the groups of a column. Splitters that can't divide the rows of a task are refused by name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite, nan
from typing import Any

import numpy as np

from mammal.tasks.errors import TaskError
from mammal.tasks.splits.split import PARTS, Split
from mammal.tasks.splits.table import Table, why_left_out
from mammal.tokenization.errors import did_you_mean

PREFIX = "deepchem:"

OF_MOLECULES = (
    "ButinaSplitter",
    "FingerprintSplitter",
    "MaxMinSplitter",
    "MolecularWeightSplitter",
    "ScaffoldSplitter",
)
"""Splitters that parse the ids of the rows as SMILES."""
OF_GROUPS = "RandomGroupSplitter"
STRATIFIED = "RandomStratifiedSplitter"
SORTED = "SingletaskStratifiedSplitter"
REFUSED = {
    "SpecifiedSplitter": ("it takes row numbers, and a task declares none", "split: given, with a column split"),
    "TaskSplitter": ("it divides the targets of a task, not its rows", "split: random"),
    "Splitter": ("it is the base class of the splitters and divides nothing", "split: random"),
    "IndiceSplitter": ("it takes row numbers, and a task declares none", "split: given, with a column split"),
}
"""Classes of `deepchem.splits` that can't divide a task: why, and what to declare instead."""


def by_deepchem(table: Table) -> Split:
    """The split of a deepchem splitter (2.8), with the rows, labels and groups that it reads.

    Rows that the splitter can't use are left out before it counts shares: for a splitter of molecules those that RDKit
    can't parse, for a group split those without a group, for a stratified one of a single target those without a label.

    Raises:
        TaskError: deepchem has no such splitter, or it can't divide this table; the hint names another way.
        DataError: a column is missing, or deepchem is not installed.
    """
    from mammal.tasks.sources.moleculenet import import_deepchem

    deepchem = import_deepchem()
    name = table.data.split.removeprefix(PREFIX)
    splitter_class = _splitter_class(deepchem, name)
    ids, reasons = _molecules(table) if name in OF_MOLECULES else ([""] * len(table), {})
    labels_NT, weights_NT = np.zeros((len(table), 1)), np.ones((len(table), 1))
    groups, settings = [""] * len(table), ""
    if name == OF_GROUPS:
        groups, reasons, settings = _groups(table)
    elif name == STRATIFIED:
        labels_NT, weights_NT = _two_classes(table)
    elif name == SORTED:
        labels_NT, reasons, settings = _one_target(table)
    rows_N = np.array([row for row in range(len(table)) if row not in reasons], dtype=np.int64)
    splitter = splitter_class([groups[row] for row in rows_N.tolist()]) if name == OF_GROUPS else splitter_class()
    dataset = deepchem.data.NumpyDataset(
        X=np.zeros(len(rows_N)),
        y=labels_NT[rows_N],
        w=weights_NT[rows_N],
        ids=np.array([ids[row] for row in rows_N.tolist()], dtype=object),
    )
    found = _divided(splitter, dataset, table, name)
    parts = {p: np.sort(rows_N[np.array(rows, dtype=np.int64)]) for p, rows in zip(PARTS, found, strict=True)}
    placed = np.concatenate([*parts.values(), np.array(list(reasons), dtype=np.int64)])
    missed = {int(row): f"deepchem's {name} leaves it out" for row in np.setdiff1d(np.arange(len(table)), placed)}
    return Split(f"{table.data.split}{settings}", parts, sorted({**reasons, **missed}.items()))


def _splitter_class(deepchem: Any, name: str) -> Any:
    if name in REFUSED:
        reason, other = REFUSED[name]
        raise TaskError(f"deepchem's {name} can't divide a task: {reason}", where="data.split", hint=other)
    found = getattr(deepchem.splits, name, None)
    if isinstance(found, type) and issubclass(found, deepchem.splits.Splitter):
        return found
    names = [n for n in dir(deepchem.splits) if n.endswith("Splitter") and n not in REFUSED]
    raise TaskError(f"deepchem has no splitter {name!r}", hint=did_you_mean(name, names, noun="splitter"))


def _molecules(table: Table) -> tuple[list[str], dict[int, str]]:
    """The cells of the column that is looked at, and the rows whose cell is not a molecule, with the reason."""
    from mammal.tasks.molecules.chemistry import canonical_or_none

    smiles = table.texts(table.asked()[0])
    reasons = {}
    for row, text in enumerate(smiles):
        if not text or canonical_or_none(text) is None:
            reasons[row] = why_left_out(text)
    return smiles, reasons


def _groups(table: Table) -> tuple[list[str], dict[int, str], str]:
    """The group of each row, rows without one, and the column that holds them."""
    column = table.data.split_column or (table.asked()[0] if table.data.split_on else None)
    if column is None:
        what = f"deepchem's {OF_GROUPS} needs a column of groups"
        raise TaskError(what, where="data.split", hint="task.data.split_column=assay; split: group needs one, too")
    groups = table.keys(column)
    reasons = {row: f"column {column!r} is empty" for row, group in enumerate(groups) if not group}
    return groups, reasons, f" by {column}"


def _two_classes(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Labels 0 and 1 [N, T], and weights [N, T], which are 0 where a row has no label."""
    labels_NT = np.stack([_values(table, column, STRATIFIED) for column in _targets(table, STRATIFIED)], axis=1)
    for column, values_N in zip(table.targets, labels_NT.T, strict=True):
        classes = np.unique(values_N[~np.isnan(values_N)])
        if len(classes) > 2:
            what = f"deepchem's {STRATIFIED} tells zero from other labels, and {column!r} has {len(classes)} values"
            raise TaskError(what, where="data.split", hint="split: random, stratify: true")
        if len(classes):
            values_N[~np.isnan(values_N)] = values_N[~np.isnan(values_N)] == classes[-1]
    return np.nan_to_num(labels_NT), (~np.isnan(labels_NT)).astype(float)


def _one_target(table: Table) -> tuple[np.ndarray, dict[int, str], str]:
    """Values [N, 1] of the first target, rows without one, and its name."""
    column = _targets(table, SORTED)[0]
    values_N = _values(table, column, SORTED)
    reasons = dict.fromkeys(np.flatnonzero(np.isnan(values_N)).tolist(), f"column {column!r} is empty")
    return values_N[:, None], reasons, f" by {column}"


def _targets(table: Table, name: str) -> Sequence[str]:
    if not table.targets:
        what = f"deepchem's {name} needs a column of labels"
        raise TaskError(what, where="data.split", hint="prompt.target names it; split: random needs none")
    return table.targets


def _values(table: Table, column: str, name: str) -> np.ndarray:
    """The labels of a column as numbers [N], classes by their alphabetical order; NaN where a row has none."""
    texts = table.texts(column)
    numbers = [_number(text) for text in texts]
    known = [number is not None for text, number in zip(texts, numbers, strict=True) if text]
    if all(known):
        return np.array([nan if number is None else number for number in numbers], dtype=np.float64)
    if any(known):
        what = f"deepchem's {name} sorts labels, and {column!r} has both numbers and text"
        raise TaskError(what, where="data.split", hint="split: random, stratify: true")
    codes = {text: float(code) for code, text in enumerate(sorted({*texts} - {""}))}
    return np.array([codes.get(text, nan) for text in texts], dtype=np.float64)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _divided(splitter: Any, dataset: Any, table: Table, name: str) -> Sequence[Any]:
    """Row numbers of train, valid and test, counted within the dataset."""
    train, valid, test = (float(share) for share in table.data.fractions)
    if name == SORTED and any(abs(10 * share - round(10 * share)) > 1e-9 for share in (train, valid, test)):
        what = f"deepchem's {name} divides ten rows at a time, which shares of {train:g}, {valid:g}, {test:g} can't be"
        raise TaskError(what, where="data.fractions", hint="tenths; or split: random, stratify: true")
    with _undisturbed():
        try:
            found: Sequence[Any] = splitter.split(
                dataset,
                frac_train=train,
                frac_valid=valid,
                frac_test=1 - (train + valid) if name == SORTED else test,  # it asks for a sum of exactly 1
                seed=table.data.split_seed,
            )
        except Exception as error:  # whatever a splitter raises on rows or shares that it was not written for
            reason = " ".join(str(error).split()) or type(error).__name__
            what = f"deepchem's {name} can't divide {len(dataset):,} rows: {reason}"
            raise TaskError(what, where="data.split", hint="split: scaffold, molecule or random") from error
    return found


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keeps NumPy's global random state, which splitters seed, and hides what they and RDKit write to the terminal."""
    from rdkit import rdBase

    state, level = np.random.get_state(), logging.root.manager.disable
    logging.disable(logging.WARNING)
    block = rdBase.BlockLogs()
    try:
        yield
    finally:
        del block
        logging.disable(level)
        np.random.set_state(state)
