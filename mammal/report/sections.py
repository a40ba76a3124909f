"""The sections of a report that do not belong to a task: overview, training, predictions, samples and command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING

from mammal.evaluation.results import TaskResult, short, spoken
from mammal.report import molecules, plots
from mammal.report.page import (
    Section,
    code,
    facts,
    figure,
    figures,
    heading,
    joined,
    paragraph,
    table,
)

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""For each series, (steps, values)."""

ROWS_SHOWN = 8
SET_ASIDE_SHOWN = 50


def training_section(curves: Mapping[str, Curves], about: Mapping[str, object]) -> Section:
    """Returns a section with facts about a training run and its learning curves.

    Args:
        curves: for each title of a figure, its series.
        about: facts by name.
    """
    drawn = [figure(plots.learning_curves(title, series, "loss")) for title, series in curves.items()]
    return Section("Training", joined([*([facts(about)] if about else []), figures(drawn)]))


def predictions_section(answered: Mapping[str, pd.DataFrame], set_aside: Mapping[str, pd.DataFrame]) -> Section:
    """Returns a section with, for each file, the number of answered rows, the first of them, and the rows with errors.

    Args:
        answered: for each file, its rows with an answer.
        set_aside: for each file, its rows without an answer. The last column has the reason.
    """
    parts = []
    for name, frame in answered.items():
        errors = set_aside.get(name)
        bad = 0 if errors is None else len(errors)
        parts += [
            heading(name),
            paragraph(f"{len(frame) + bad} rows read, {len(frame)} answered, {bad} without an answer."),
            frame_table(frame.head(ROWS_SHOWN)),
        ]
        if errors is not None and bad:
            shown = frame_table(errors.head(SET_ASIDE_SHOWN), reason=errors.columns[-1])
            parts += [paragraph("Rows without an answer:"), shown]
    return Section("Predictions", joined(parts))


def samples_section(smiles: Sequence[str], how: str) -> Section:
    """Returns a section with generated molecules, each with a mark that shows whether RDKit can read it.

    Args:
        smiles: generated strings.
        how: sentence about their origin.
    """
    valid, distinct = molecules.count(smiles)
    words = f"{how} RDKit reads {valid} of {len(smiles)} as molecules, {distinct} different ones."
    return Section("Samples", paragraph(words) + molecules.grid(smiles))


def commands_section(lines: Sequence[str]) -> Section:
    """Returns a section with the commands that made the model."""
    return Section("Made by", code(lines))


def overview(results: Sequence[TaskResult]) -> Section:
    """Returns a section with one figure per task: its first metric for the model and all baselines."""
    drawn = []
    for result in results:
        metric = result.metrics[0]
        known = [(c.name, e) for c in result.contenders if (e := c.estimates.get(metric)) and not isnan(e.value)]
        points = {spoken(name): (e.value, e.low, e.high) for name, e in known}
        unit = f" / {result.unit}" if result.unit and metric in ("mae", "rmse") else ""
        if points:
            drawn.append(figure(plots.forest(f"{result.title}: {metric.upper()}{unit}", points)))
    return Section("At a glance", figures(drawn))


def frame_table(frame: pd.DataFrame, reason: str | None = None) -> Markup:
    """Returns a data frame as a table. Text is shown in a fixed-width font.

    Args:
        frame: the data frame.
        reason: name of a column of reasons, which is shown as prose.
    """
    kinds = []
    for column in frame.columns:
        if column == reason:
            kinds.append("reason")
        elif frame[column].dtype.kind in "fiu":
            kinds.append("number")
        else:
            kinds.append("mono")
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    return table([str(column) for column in frame.columns], rows, kinds=kinds)


def _cell(value: object) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return short(value)
    words = str(value)
    return words if len(words) <= 120 else f"{words[:117]}…"
