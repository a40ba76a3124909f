"""The data of a task, checked before training: `mammal check-data` from Python.

import mammal
found = mammal.check_data("esol")
found.table                     # one row for each finding, worst first
found.flagged                   # one row for each flagged row of the data
found.save("data_check/esol")   # check.json, findings.csv and check.html
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.data_check import by_neighbours as outliers
from mammal.data_check.checked_data import CheckedData, load_checked
from mammal.data_check.duplicates import duplicate_findings, groups_of, pairs_of
from mammal.data_check.findings import Finding, worst_first
from mammal.data_check.label_noise import can_estimate, noisy_labels
from mammal.data_check.labels import (
    Labels,
    encoding_faults,
    label_faults,
    read_labels,
    token_label_faults,
    unreadable_rows,
)
from mammal.data_check.leaks import leak_findings
from mammal.data_check.lengths import length_findings, measure_lengths
from mammal.data_check.neighbours import MOST_ENTITIES, Neighbours, entities_of, find_neighbours
from mammal.data_check.result import CheckResult, Shown
from mammal.data_check.save import check_output, save_check
from mammal.data_check.text_quality import text_findings
from mammal.data_check.units import unit_findings
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.kinds.build import build_task
from mammal.tasks.splits.split import PARTS
from mammal.tokenization.tokenizer import Tokenizer

if TYPE_CHECKING:
    from mammal.tasks.declaration.schema import TaskConfig


@dataclass(frozen=True)
class DataCheck(CheckResult):
    """What a check of data found.

    Attributes:
        task: name of the task.
        source: file or data set that was checked.
        rows: number of checked rows.
        parts: number of rows in train, valid and test.
        split: how the rows were split; `none` if the declared split is not possible.
        findings: the findings, worst first.
        seconds: duration of the check.
        not_checked: what was not checked, or only on a sample of the rows, and why.
    """

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Writes check.json, findings.csv (one line for each flagged row) and check.html.

        Args:
            folder: the folder; files of an earlier check in it are replaced.

        Returns:
            The path of check.json.

        Raises:
            ConfigError: the folder holds files with these names that no check wrote.
        """
        return save_check(self, Path(folder).expanduser())


def check_data(
    task: str | os.PathLike[str] | Mapping[str, Any] | TaskConfig,
    data: Any = None,
    *,
    output: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    neighbours: int = MOST_ENTITIES,
    label_noise: bool | None = None,
    config_dirs: Sequence[str | Path] = (),
    paths: Mapping[str, object] | None = None,
) -> DataCheck:
    """Looks for faults in the data of a task, as `mammal check-data`.

    Nothing is changed, and no model is needed. Each finding has a severity, the rows in which it was seen, its meaning
    and a remedy. What each kind of finding means is described on the page about checking data.

    Args:
        task: name of a task, a YAML file, a mapping, or a declaration.
        data: the table to check in place of the task's own data: a file, a data frame or a list of mappings. Columns
            are named as in the task's template or its data file. None: the data that the task declares.
        output: folder for check.json, findings.csv and check.html. None: nothing is written.
        limit: check at most this many rows, evenly spread; None: all.
        neighbours: search similar rows among at most this many different training entities, and for as many held-out
            ones; 0: no search, so no outliers and no near-duplicates.
        label_noise: for classes, estimate wrong labels by confident learning, which fits five logistic regressions and
            needs the package cleanlab (`pip install 'mammal[data-check]'`). None: if it is installed.
        config_dirs: further folders that contain `task/*.yaml`.
        paths: `{"data": folder}`: local copies of data sets, by default the folder in `MAMMAL_DATA`.

    Returns:
        The findings: `.table` and `.flagged` as data frames, `.findings` as objects.

    Raises:
        TaskError: the task does not exist, or has no data and none are given.
        DataError: the data can't be read, have no rows, or lack a column that the task reads; or `label_noise` is True,
            and cleanlab is not installed.
        ConfigError: `output` holds files that this function did not write, or the data themselves.
    """
    begun = time.monotonic()
    estimates = can_estimate() if label_noise is None else label_noise
    if output is not None:
        check_output(Path(output).expanduser(), data)
    source = str(task) if isinstance(task, os.PathLike) else task
    built = build_task(load_task(source, config_dirs=config_dirs), Tokenizer.load(None))
    checked = load_checked(built, data, paths, limit)
    labels = read_labels(checked)
    entities = entities_of(checked)
    near = find_neighbours(checked, entities, neighbours) if neighbours else None
    lengths = measure_lengths(checked)
    compared = _deviations(checked, labels, near)
    findings = [
        *unreadable_rows(checked),
        *token_label_faults(checked, lengths.failed),
        *encoding_faults(checked, lengths.failed),
        *duplicate_findings(checked, labels),
        *leak_findings(checked, near),
        *length_findings(checked, lengths),
        *text_findings(checked),
        *(_label_findings(checked, labels, near, compared, estimates) if labels is not None else ()),
    ]
    shown = Shown(
        labels=labels,
        train_N=checked.part_N == "train",
        pairs_P2=_labelled_pairs(checked, labels),
        deviations=compared,
        held_out_similarity=_held_out_similarity(near),
        tokens=lengths.tokens,
        unit=built.config.unit,
    )
    result = DataCheck(
        task=built.name,
        source=checked.source,
        rows=len(checked),
        parts={part: int((checked.part_N == part).sum()) for part in PARTS},
        split=checked.record.split.how if checked.record else "none",
        findings=worst_first(findings),
        seconds=time.monotonic() - begun,
        not_checked=_not_checked(labels, near, noise=label_noise is None and not estimates),
        origin=checked.origin,
        part_of=lambda row: str(checked.part_N[row]),
        shown=shown,
    )
    if output is not None:
        result.save(output)
    return result


def _not_checked(labels: Labels | None, near: Neighbours | None, *, noise: bool) -> list[str]:
    """What was not checked, or only on a sample, and why."""
    found = []
    if near is not None and near.sampled:
        found.append("similar rows were searched among a sample of the rows (neighbours=)")
    if noise and labels is not None and labels.classes:
        found.append("wrong classes were not estimated: pip install 'mammal[data-check]'")
    return found


def _deviations(
    data: CheckedData, labels: Labels | None, near: Neighbours | None
) -> dict[str, outliers.Deviations | None]:
    """Target column -> differences of its numbers from those of similar rows; empty for classes."""
    if labels is None or labels.classes:
        return {}
    return {
        column: None if near is None else outliers.deviations(data, labels, k, near)
        for k, column in enumerate(labels.columns)
    }


def _label_findings(
    data: CheckedData,
    labels: Labels,
    near: Neighbours | None,
    compared: Mapping[str, outliers.Deviations | None],
    label_noise: bool,
) -> Iterator[Finding]:
    """Findings about labels, column by column."""
    yield from label_faults(data, labels)
    for k, column in enumerate(labels.columns):
        if labels.classes:
            if label_noise and data.entities:
                yield from noisy_labels(data, labels, k)
            if near is not None:
                yield from outliers.class_outliers(data, labels, k, near)
            continue
        found = compared[column]
        yield from unit_findings(data, labels, k, found)
        if found is not None:
            yield from outliers.number_outliers(data, column, found)


def _labelled_pairs(data: CheckedData, labels: Labels | None) -> np.ndarray:
    """Pairs of rows with equal inputs that both have a number in the first target, int64 [pairs, 2]."""
    if labels is None or labels.classes:
        return np.zeros((0, 2), dtype=np.int64)
    return pairs_of(groups_of(data.keys()), ~np.isnan(labels.number_NK[:, 0]))


def _held_out_similarity(near: Neighbours | None) -> np.ndarray:
    """Similarity of each searched held-out entity to its nearest training entity, float [entities]."""
    if near is None:
        return np.zeros(0)
    held_out_Q = ~near.entities.train_E[near.query_Q]
    return near.similarity_QK[held_out_Q, 0]
