"""The parts of a report: tasks beside their baselines, training, predictions and what was set aside, samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mammal.report import molecules, plots
from mammal.report.page import (
    Section,
    code,
    facts,
    figure,
    figures,
    heading,
    paragraph,
    table,
    text,
)
from mammal.report.results import OURS, TaskResult, short

if TYPE_CHECKING:
    import pandas as pd

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""Name of a series -> (steps, values)."""

WORST_ROWS = 8
ROWS_SHOWN = 8
SET_ASIDE_SHOWN = 50


def task_section(result: TaskResult) -> Section:
    """Table of contenders, the figures that suit the kind of task, and the rows that went worst."""
    unit = f", in {result.unit}" if result.unit else ""
    counts = ", ".join(f"{count:,} {part}" for part, count in result.rows.items())
    parts = [
        paragraph(f"{result.about} ({result.kind}{unit})."),
        paragraph(f"Split: {result.split}, {counts}; hash {result.split_hash[:12]}.", note=True),
        _contenders(result),
        paragraph("Brackets: 95 % intervals from resampling the held-out rows; training was done once.", note=True),
        figures(_task_figures(result)),
    ]
    worst = _worst(result)
    if worst:
        parts += [heading("Where it is most wrong"), worst]
    if result.not_answered:
        rows = [[text(row), text(reason)] for row, reason in result.not_answered[:SET_ASIDE_SHOWN]]
        parts += [
            heading("Held-out rows without an answer"),
            table(["row", "reason"], rows, kinds=["number", "reason"]),
        ]
    return Section(result.task.replace("_", " "), "".join(parts))


def training_section(curves: Mapping[str, Curves], about: Mapping[str, object]) -> Section:
    """A strip of facts by name, and learning curves: title of a figure -> series -> (steps, values)."""
    drawn = [figure(plots.learning_curves(title, series, "loss")) for title, series in curves.items()]
    return Section("Training", (facts(about) if about else "") + figures(drawn))


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
    return Section("Predictions", "".join(parts))


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
        points = {
            c.name: (e.value, e.low, e.high) for c in result.contenders if (e := c.estimates.get(metric)) is not None
        }
        unit = f" / {result.unit}" if result.unit and metric in ("mae", "rmse") else ""
        drawn.append(figure(plots.forest(f"{result.task.replace('_', ' ')}: {metric.upper()}{unit}", points)))
    return Section("At a glance", figures(drawn))


def frame_table(frame: pd.DataFrame, reason: str | None = None) -> str:
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
        return text(short(value))
    words = str(value)
    return text(words if len(words) <= 120 else f"{words[:117]}…")


def _contenders(result: TaskResult) -> str:
    def cells(name: str, contender_estimates: Mapping[str, object]) -> list[str]:
        shown = [contender_estimates.get(metric) for metric in result.metrics]
        return [text(name), *(_estimate(e) for e in shown)]

    rows = [cells(c.name, c.estimates) for c in result.contenders]
    header = ["", *(metric.upper() for metric in result.metrics)]
    return table(header, rows, kinds=["", *["number"] * len(result.metrics)], first_is_ours=True)


def _estimate(estimate: object) -> str:
    value, _, interval = str(estimate or "–").partition(" ")
    return f"{text(value)} <small>{text(interval)}</small>"


def _task_figures(result: TaskResult) -> list[str]:
    truth_N = result.answers["truth"].to_numpy()
    scored = {
        c.name: result.answers[c.name].to_numpy(dtype=float) for c in result.contenders if c.name in result.answers
    }
    if result.kind == "classification" and len(result.labels) == 2:
        truth_N = (result.answers["truth"].astype(str) == result.labels[-1]).to_numpy(dtype=int)
        models = {name: (truth_N, score_N) for name, score_N in scored.items()}
        return [
            figure(plots.roc(models), "Area under the curve in the legend."),
            figure(plots.precision_recall(models), "Average precision in the legend; dashed: share of positives."),
            figure(plots.calibration(truth_N, scored[OURS]), f"{OURS}; bins of equal count, 95 % Wilson intervals."),
        ]
    if result.kind == "regression":
        intervals = result.answers[["low", "high"]].to_numpy(dtype=float) if "low" in result.answers else None
        drawn = [figure(plots.parity(truth_N, scored[OURS], result.unit, intervals), OURS)]
        best = _best_baseline(result, scored)
        if best:
            drawn.append(figure(plots.parity(truth_N, scored[best], result.unit), best))
        return drawn
    return []


def _best_baseline(result: TaskResult, scored: Mapping[str, np.ndarray]) -> str | None:
    """The baseline with the smallest mean absolute error on the held-out rows."""
    truth_N = result.answers["truth"].to_numpy(dtype=float)
    errors = {name: float(np.abs(score_N - truth_N).mean()) for name, score_N in scored.items() if name != OURS}
    return min(errors, key=errors.__getitem__) if errors else None


def _worst(result: TaskResult) -> str:
    """The rows with the largest error, or with the most confident wrong class."""
    frame = result.answers
    if OURS not in frame:
        return ""
    if result.kind == "regression":
        error_N = (frame[OURS] - frame["truth"]).abs()
    elif len(result.labels) == 2:
        error_N = (frame[OURS] - (frame["truth"].astype(str) == result.labels[-1]).astype(float)).abs()
    else:
        return ""
    worst = frame.loc[error_N.sort_values(ascending=False).index[:WORST_ROWS]]
    return frame_table(worst.drop(columns=[c for c in ("low", "high") if c in worst]))
