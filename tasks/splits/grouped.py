"""Splits that keep rows together: by scaffold, by molecule, by similarity of sequences, by the value of a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mammal.tasks.errors import TaskError
from mammal.tasks.splits.split import Split, fill
from mammal.tasks.splits.table import Table, why_left_out


def scaffold(table: Table) -> Split:
    """Splits by Bemis-Murcko scaffold, as deepchem does: sets of rows with one scaffold, the largest first.

    Of sets of equal size, the one with the later first row comes first. Rows that RDKit can't parse are left out before
    shares are counted, as deepchem's featurizers do.
    """
    from mammal.tasks.molecules.chemistry import murcko_scaffold

    smiles = table.texts(_only(table))
    sets: dict[str, list[int]] = {}
    left_out = []
    for row, text in enumerate(smiles):
        found = murcko_scaffold(text) if text else None
        if found is None:
            left_out.append((row, why_left_out(text)))
        else:
            sets.setdefault(found, []).append(row)
    ordered = sorted(sets.values(), key=lambda rows: (len(rows), rows[0]), reverse=True)
    parts = fill(ordered, len(smiles) - len(left_out), table.data.fractions)
    return Split("scaffold", parts, left_out)


def cluster(table: Table) -> Split:
    """Splits by clusters of similar sequences (`mammal.tasks.sequences.clusters`)."""
    from mammal.tasks.sequences.clusters import cluster_sequences

    column = _only(table)
    sequences = table.texts(column)
    known = [text for text in sequences if text]
    labels, tool = cluster_sequences(known, table.data.identity)
    numbers = iter(labels.tolist())
    names = [str(next(numbers)) if text else "" for text in sequences]
    return _together(names, f"cluster at {table.data.identity:g} by {tool}", column, table)


def molecule(table: Table) -> Split:
    """Splits so that rows with the same molecule stay together; stereoisomers and isotopologues count as one molecule.

    A model that has seen a stereoisomer of a test molecule has seen all of its structure except the stereo marks, and
    the names of the two differ as little. Rows that RDKit can't parse are left out.
    """
    from mammal.tasks.molecules.chemistry import flat_or_none

    column = _only(table)
    texts = table.texts(column)
    names = [(flat_or_none(text) or "") if text else "" for text in texts]
    reasons = {
        row: why_left_out(text) for row, (text, name) in enumerate(zip(texts, names, strict=True)) if text and not name
    }
    return _together(names, f"molecules of {column}", column, table, reasons)


def group(table: Table) -> Split:
    """Splits so that rows with the same value of `data.split_column` (or `data.split_on`) stay together.

    Molecules are compared by their normalised SMILES.

    Raises:
        TaskError: no column is named.
    """
    if not table.data.split_column and not table.data.split_on:
        raise TaskError("a group split needs a column", hint="task.data.split_column=assay")
    column = table.data.split_column or _only(table)
    return _together(table.keys(column), f"groups of {column}", column, table)


def _together(
    names: Sequence[str], how: str, column: str, table: Table, reasons: Mapping[int, str] | None = None
) -> Split:
    """Fills the parts with groups in seeded random order.

    Groups with more than a tenth of test's rows are placed first, so they go to train if they fit, and no single group
    dominates the test metrics. Rows without a name are left out, with the reason from `reasons`, or because the cell is
    empty.
    """
    data, empty = table.data, f"column {column!r} is empty"
    left_out = [(row, (reasons or {}).get(row, empty)) for row, name in enumerate(names) if not name]
    members: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if name:
            members.setdefault(name, []).append(row)
    groups = list(members.values())
    rows = len(names) - len(left_out)
    order = np.random.default_rng(data.split_seed).permutation(len(groups)).tolist()
    large = data.fractions[2] * rows / 10
    order.sort(key=lambda group: len(groups[group]) <= large)
    parts = fill([groups[group] for group in order], rows, data.fractions)
    return Split(f"{how}, seed {data.split_seed}", parts, left_out)


def _only(table: Table) -> str:
    """The one column that these splits use: that of `data.split_on`, else the first of the prompt's columns."""
    columns = table.asked()
    if table.data.split_on and len(columns) > 1:
        what = f"a {table.data.split} split looks at one column, not at {', '.join(columns)}"
        raise TaskError(what, where="data.split_on", hint="split: cold takes several")
    return columns[0]
