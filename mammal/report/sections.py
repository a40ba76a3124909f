"""The parts of a report beside its tasks: the overview, training, predictions and what was set aside, samples."""

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
"""Name of a series -> (steps, values)."""

ROWS_SHOWN = 8
SET_ASIDE_SHOWN = 50


def training_section(curves: Mapping[str, Curves], about: Mapping[str, object]) -> Section:
    """A strip of facts by name, and learning curves: title of a figure -> series -> (steps, values)."""
    drawn = [figure(plots.learning_curves(title, series, "loss")) for title, series in curves.items()]
    return Section("Training", joined([*([facts(about)] if about else []), figures(drawn)]))


def predictions_section(answered: Mapping[str, pd.DataFrame], set_aside: Mapping[str, pd.DataFrame]) -> Section:
    """For each file: how many rows were answered, the first of them, and every row set aside with its reason."""
    parts = []
    for name, frame in answered.items():
        errors = set_aside.get(name)
        bad = 0 if errors is None else len(errors)
        parts += [
            heading(name),
            paragraph(f"{len(frame) + bad} rows read, {len(frame)} answered, {bad} set aside with a reason."),
            frame_table(frame.head(ROWS_SHOWN)),
        ]
        if errors is not None and bad:
            parts += [paragraph("Set aside:"), frame_table(errors.head(SET_ASIDE_SHOWN), reason=errors.columns[-1])]
    return Section("Predictions", joined(parts))


def samples_section(smiles: Sequence[str], how: str) -> Section:
    """Generated molecules with RDKit's verdict on each."""
    valid, distinct = molecules.count(smiles)
    words = f"{how} RDKit reads {valid} of {len(smiles)} as molecules, {distinct} different ones."
    return Section("Samples", paragraph(words) + molecules.grid(smiles))


def commands_section(lines: Sequence[str]) -> Section:
    """How the model was made."""
    return Section("Made by", code(lines))


def overview(results: Sequence[TaskResult]) -> Section:
    """One figure a task: the first metric of every contender."""
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
    """A data frame as it is; long strings in a fixed-width face."""
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
