"""The sections of a report with explanations: of a file of `mammal explain`, and of some rows of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mammal.errors import ConfigError, DataError, MammalError
from mammal.evaluation.results import LABEL, OURS, TARGET, TRUTH, TaskResult, short
from mammal.report.explain_page import DrawnRow, drawn_rows, explained_rows, row_drawings
from mammal.report.page import Section, heading, joined, paragraph

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

    from mammal.inference.api import Mammal

MOST_EXAMPLES = 6
"""Largest number of rows of a task that are explained for a report."""
FROM_FILE = 12
"""Rows of a file of explanations that are drawn."""

COLOURS = "Orange parts raise the output, blue parts lower it. Molecules are drawn as the model reads them."
_LOG_ODDS = "log-odds of "


def check_examples(count: int) -> None:
    """Checks how many rows of each task are to be explained.

    Args:
        count: number of rows.

    Raises:
        ConfigError: it is not between 0 and `MOST_EXAMPLES`.
    """
    if not 0 <= count <= MOST_EXAMPLES:
        hint = f"0 to {MOST_EXAMPLES}; `mammal explain` explains any number of rows"
        raise ConfigError(f"explain is {count}", where="explain", hint=hint)


def explanations_section(files: Sequence[Path]) -> Section:
    """Returns a section with the drawings of the first rows of each file.

    Args:
        files: files that `mammal explain` wrote.

    Raises:
        DataError: a file does not exist, or has no explanations.
    """
    parts = [paragraph(f"How much each part of a row contributes to its prediction. {COLOURS}", note=True)]
    for file in files:
        rows = list(islice(explained_rows(file, None), FROM_FILE + 1))
        what = "All explained rows." if len(rows) <= FROM_FILE else f"The first {FROM_FILE} explained rows."
        shown = [(row, f"row {row.number}: {_numbers(row)}") for row in rows[:FROM_FILE]]
        parts += [heading(file.name), paragraph(what, note=True), row_drawings(shown)]
    return Section("Explanations", joined(parts))


def _numbers(row: DrawnRow) -> str:
    """The output of a row in words, for log-odds also as a probability."""
    output = row.numbers["output"]
    words = f"{row.output}: {short(output)}"
    if _LOG_ODDS in row.output:
        words += f" (probability {short(1 / (1 + math.exp(-output)) if output > -700 else 0.0)} before calibration)"
    if "baseline" in row.numbers:
        words += f", {short(row.numbers['baseline'])} with masked values"
    return words


def examples_section(results: Sequence[TaskResult], model: Mammal, count: int) -> Section:
    """Returns a section in which some evaluated rows of each task are explained, from the best to the worst answer.

    Args:
        results: the evaluated tasks. Others than classifications and regressions are left out.
        model: the model that was evaluated.
        count: number of rows of each task.

    Raises:
        DataError: no task is a classification or a regression.
    """
    from mammal.explanation.question import available_methods

    explainable = _first_parts(results)
    if not explainable:
        kinds = ", ".join(dict.fromkeys(f"{result.task}: {result.kind}" for result in results))
        what = f"no evaluated task is a classification or a regression ({kinds}), and others can't be explained"
        raise DataError(what, where="explain", hint="leave out explain=")
    method = available_methods()[0]
    words = f"How much each part of some evaluated rows contributes to its prediction, by {method.replace('_', ' ')}."
    rank = "Rows are chosen by their error, at equal steps from the smallest to the largest one."
    parts = [paragraph(f"{words} {COLOURS} {rank}", note=True)]
    for result in explainable:
        chosen = example_rows(result, count)
        if len(chosen):
            parts += [heading(result.title), _examples(result, model, chosen, method)]
    return Section("What the predictions depend on", joined(parts))


def _first_parts(results: Sequence[TaskResult]) -> list[TaskResult]:
    """One result for each task that can be explained: that of the test rows, else the first one."""
    known: dict[str, TaskResult] = {}
    for result in sorted(results, key=lambda result: result.part != "test"):
        if result.kind in ("regression", "classification"):
            known.setdefault(result.task, result)
    return [known[name] for name in dict.fromkeys(result.task for result in results) if name in known]


def _examples(result: TaskResult, model: Mammal, chosen: pd.DataFrame, method: str) -> Markup:
    try:
        explained = dict(_explained(result, model, chosen, method))
    except MammalError as error:
        return paragraph(f"Not explained: {error.what}.", note=True)
    lines = chosen.to_dict("records")
    shown = [(explained[number], _caption(result, line)) for number, line in enumerate(lines) if number in explained]
    return row_drawings(shown)


def _explained(result: TaskResult, model: Mammal, chosen: pd.DataFrame, method: str) -> Iterator[tuple[int, DrawnRow]]:
    """Place among the chosen rows and explanation of each of them; each is explained for its own target column."""
    chosen = chosen.reset_index(drop=True)
    task = model.find_task(result.task)
    columns = [column for column in task.columns if column in chosen]
    groups = chosen.groupby(TARGET, sort=False) if TARGET in chosen else [(None, chosen)]
    for target, group in groups:
        frame = model.explain(group[columns], task, method=method, target=target and str(target))
        for row in drawn_rows(frame.to_dict("records"), list(frame.columns)):
            yield int(group.index[row.number - 1]), row


def example_rows(result: TaskResult, count: int) -> pd.DataFrame:
    """Returns lines of the table of answers, at equal steps from the smallest to the largest error.

    Args:
        result: an evaluated classification or regression.
        count: number of lines. One: the one in the middle.

    Returns:
        The lines with a column `rank`: 1 for the smallest error, and a column `ranked`: number of lines with an error.
    """
    answers = result.answers
    if not len(answers):
        return answers
    errors_N = _errors(result, answers.dropna(subset=[TRUTH, OURS])).dropna().sort_values(kind="stable")
    last = len(errors_N) - 1
    places = np.linspace(0, last, count) if count > 1 else np.array([last / 2])
    ranks = np.unique(places.round().astype(int)) if last >= 0 and count else np.array([], dtype=int)
    return answers.loc[errors_N.index[ranks]].assign(rank=ranks + 1, ranked=len(errors_N))


def _errors(result: TaskResult, answers: pd.DataFrame) -> pd.Series:
    """Error of each line: absolute; of several targets in standard deviations; of labels how sure a wrong one was."""
    if result.kind == "regression":
        errors_N = (answers[OURS] - answers[TRUTH]).abs()
        if TARGET not in answers:
            return errors_N
        return errors_N / answers.groupby(TARGET)[TRUTH].transform("std").replace(0.0, np.nan)
    from mammal.tasks.targets.labels import LabelSet

    labels = LabelSet(list(result.labels))
    answers = answers[[labels.find(value) is not None for value in answers[TRUTH]]]
    if len(result.labels) == 2:
        return (answers[OURS] - [labels.find(value) or 0 for value in answers[TRUTH]]).abs()
    if LABEL not in answers:
        return answers[OURS].iloc[:0]
    right = [labels.find(a) == labels.find(b) for a, b in zip(answers[TRUTH], answers[LABEL], strict=True)]
    return answers[OURS].where(~np.array(right, dtype=bool), -answers[OURS])


def _caption(result: TaskResult, line: Mapping[str, object]) -> str:
    rank, ranked = int(str(line["rank"])), int(str(line["ranked"]))
    place = "smallest error" if rank == 1 else "largest error" if rank == ranked else f"error {rank:,} of {ranked:,}"
    row = ", ".join(filter(None, [f"row {line['row']}", str(line.get(TARGET, ""))]))
    number = short(float(str(line[OURS])))
    if result.kind == "regression":
        unit = f" {result.unit}" if result.unit else ""
        return f"{row} ({place}): predicted {number}{unit}, true {short(float(str(line[TRUTH])))}{unit}"
    of = result.labels[1] if len(result.labels) == 2 else line.get(LABEL)
    return f"{row} ({place}): probability of {of}: {number}, true class {line[TRUTH]}"
