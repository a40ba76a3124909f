"""The section of a report about one task: comparison with baselines, reliability, and the worst answers."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from mammal.evaluation.bar import verdict
from mammal.evaluation.results import ONLY, OURS, Estimate, Shift, TaskResult, readable_name, short, undefined_figures
from mammal.evaluation.tables import contenders_table
from mammal.report.page import Cell, Section, figures, heading, html_table, joined, paragraph, with_detail
from mammal.report.sections import ONLY_READABLE, frame_table, shown_of
from mammal.report.task_figures import by_similarity, distance_figure, task_figures
from mammal.report.words import meanings, metric_name, positive_class, with_unit
from mammal.report.worst_rows import worst_section
from mammal.tasks.metrics.undefined import UNDEFINED

if TYPE_CHECKING:
    from markupsafe import Markup

    from mammal.evaluation.trust import IntervalFigures

SET_ASIDE_SHOWN = 50
FLOAT_NOISE = 1e-5
"""Shifts below this are float noise from the order of summation."""


def task_section(result: TaskResult) -> Section:
    """Returns a section with the table of contenders, figures for the kind of task, and the rows with wrong answers."""
    positive = positive_class(result)
    facts = [
        result.kind,
        f"unit: {result.unit}" if result.unit else "",
        f"positive class: {positive}" if positive else "",
    ]
    counts = ", ".join(f"{count:,} {part}" for part, count in result.rows.items())
    parts = [
        paragraph(f"{result.about} ({', '.join(filter(None, facts))})."),
        paragraph(f"Split: {result.split}, {counts}; hash {result.split_hash[:12]}. {_leaks(result)}", note=True),
        *([paragraph(f"{result.pretraining}.", note=True)] if result.pretraining else []),
        _contenders(result),
        *(paragraph(words, note=True) for words in _reading(result)),
        figures(task_figures(result)),
        *_targets(result),
        *_trust(result),
        *_sensitivity(result),
        *_distance(result),
    ]
    parts += worst_section(result)
    if result.not_answered:
        rows = [[str(row), reason] for row, reason in result.not_answered[:SET_ASIDE_SHOWN]]
        parts += [
            heading("Held-out rows without an answer"),
            paragraph(f"{shown_of(len(rows), len(result.not_answered))}.", note=True),
            html_table(["row", "reason"], rows, kinds=["number", "reason"]),
        ]
    return Section(result.title, joined(parts))


def _leaks(result: TaskResult) -> str:
    """Returns how many of the evaluated rows are also in the training rows, by canonical SMILES or exact text."""
    whole = result.leakage.get(result.part)
    if whole is None:
        return ""
    columns = {key.partition("/")[2]: n for key, n in result.leakage.items() if key.startswith(f"{result.part}/")}
    counts = ", ".join(f"{column} in {n:,} rows" for column, n in columns.items())
    known = f"; values that also occur in training rows: {counts}" if columns else ""
    return f"{whole:,} of the {result.part} rows have the same inputs as a training row{known}."


def _contenders(result: TaskResult) -> Markup:
    header, rows = contenders_table(result)
    by_name = {c.name: c.estimates for c in result.contenders}
    shown = []
    for name, *cells in rows:
        figures_of = [estimate_cell(by_name[name].get(metric)) for metric in result.metrics]
        shown.append([readable_name(name), *figures_of, *cells[len(result.metrics) :]])
    head = ["model", *(metric_name(m, result.unit) for m in result.metrics), *header[1 + len(result.metrics) :]]
    kinds = ["" if name in ("model", "note") else "number" for name in head]
    return html_table(head, shown, kinds=kinds, first_is_ours=True)


def estimate_cell(estimate: Estimate | None) -> Cell:
    """Returns a table cell: a figure with its interval; `–` if there is none."""
    if estimate is None:
        return "–"
    if isnan(estimate.value):
        return UNDEFINED
    value, _, rest = str(estimate).partition(" ")
    return with_detail(value, rest)


def _reading(result: TaskResult) -> list[str]:
    """Returns notes on how to read the table. What the brackets mean is explained once, at the top of the page."""
    words = [verdict(result), undefined_figures(result), meanings(result.metrics)]
    if "validity" in result.metrics:
        words.append(ONLY_READABLE)
    if result.intervals == "seeds":
        words.append(
            f"`{OURS} is` level: the means are within one pooled standard deviation by the first metric. Figures and "
            "rows below are those of the first run."
        )
    elif any(not isnan(e.sd) for c in result.contenders for e in c.estimates.values()):
        words.append("± : standard deviation of a baseline over its seeds. The model was trained once.")
    if any(c.name.startswith(ONLY) for c in result.contenders):
        words.append("A forest on one column is a control: a model that is not better uses only that column.")
    return list(filter(None, words))


def _targets(result: TaskResult) -> list[Markup]:
    """Returns a table with the first metric of each target column, for tasks with several."""
    metric = result.metrics[0]
    prefix = f"{metric}/"
    targets = [name.removeprefix(prefix) for name in result.ours.estimates if name.startswith(prefix)]
    if not targets:
        return []
    rows = [
        [target, *(estimate_cell(c.estimates.get(prefix + target)) for c in result.contenders)] for target in targets
    ]
    header = [metric_name(metric, result.unit), *(readable_name(c.name) for c in result.contenders)]
    kinds = ["mono", *["number"] * len(result.contenders)]
    return [heading("Each target column"), html_table(header, rows, kinds=kinds)]


def _trust(result: TaskResult) -> list[Markup]:
    """Returns a table with the calibration of probabilities, or with the coverage of intervals."""
    if result.reliability:
        rows = [
            [
                target,
                short(r.ece),
                with_detail(short(r.brier), f"({short(r.chance)})"),
                short(r.log_loss),
                f"{sum(r.counts):,}",
            ]
            for target, r in result.reliability.items()
        ]
        header = ["target column", "calibration error ↓", "Brier score ↓ (class shares alone)", "log loss ↓", "rows"]
        note = (
            "Calibration error: mean distance between predicted probability and observed share over bins of equal "
            "count; 0 is best. Brier score: mean squared error of the probabilities; in brackets that of the class "
            "shares alone. Log loss: mean negative logarithm of the probability of the true class."
        )
        shown = html_table(header, rows, kinds=["mono", "number", "number", "number", "number"])
    elif result.coverage:
        figures = result.interval_figures
        rows = [
            [target, f"{share:.1%}", *(_of_intervals(figures[target]) if target in figures else [UNDEFINED] * 3)]
            for target, share in result.coverage.items()
        ]
        note = (
            "Share of the held-out values that are inside the prediction intervals, which should contain 90 %. "
            "Miscalibration: mean distance between this share and the expected one, for intervals of 5 % to 95 %. "
            "Negative log-likelihood: that of normal distributions with the intervals as their central 90 %."
        )
        width = with_unit("mean width ↓", result.unit)
        header = ["target column", "true values inside the interval", width, "miscalibration ↓"]
        header.append("negative log-likelihood ↓")
        shown = html_table(header, rows, kinds=["mono", "number", "number", "number", "number"])
    else:
        return []
    return [
        *_sets(result),
        heading("How far to trust the probabilities" if result.reliability else "How far to trust the intervals"),
        shown,
        paragraph(note, note=True),
    ]


def _of_intervals(figures: IntervalFigures) -> list[str]:
    return [short(figures.width), short(figures.miscalibration), short(figures.nll)]


def _sets(result: TaskResult) -> list[Markup]:
    """Returns a table with the sets of labels."""
    if not result.set_figures:
        return []
    rows = [
        [target, label, f"{share:.1%}", short(sets.size), f"{sets.single:.0%}", f"{sets.empty:.0%}"]
        for target, sets in result.set_figures.items()
        for label, share in sets.coverage.items()
    ]
    header = ["target column", "true label", "in the set", "mean labels of a set ↓", "sets of one label", "empty sets"]
    note = "The set of labels of a row should contain its true label for 90 % of the rows of each label."
    return [
        heading("Sets of labels"),
        html_table(header, rows, kinds=["mono", "mono", *["number"] * 4]),
        paragraph(note, note=True),
    ]


def _sensitivity(result: TaskResult) -> list[Markup]:
    if not result.shifts:
        return []
    unit = f" / {result.unit}" if result.unit else ""
    of = " of the probability" if result.kind == "classification" else ""
    header = [
        "change",
        "rows changed",
        "read differently",
        f"mean shift{of}{unit}",
        f"95th percentile{unit}",
        f"largest shift{unit}",
        "classes flipped",
    ]
    note = (
        "The same input written in another way, for some of the held-out rows; shifts are means over the rows that "
        "changed. If fewer rows are read differently than changed, the standardisation of the task undoes the change."
    )
    rows = [_shift(shift) for shift in result.shifts]
    if not any(row[-1] for row in rows):  # numbers have no class that could flip
        header, rows = header[:-1], [row[:-1] for row in rows]
    shown = html_table(header, rows, kinds=["", *["number"] * (len(header) - 1)])
    return [heading("Sensitivity: the same input written in another way"), shown, paragraph(note, note=True)]


def _shift(shift: Shift) -> list[Cell]:
    flipped = "" if isnan(shift.flipped) else f"{shift.flipped:.1%}"
    moved, p95, furthest = (
        "" if isnan(v) else "0" if v < FLOAT_NOISE else short(v) for v in (shift.moved, shift.p95, shift.furthest)
    )
    changed: Cell = f"{shift.changed:,} of {shift.rows:,}"
    if shift.refused:
        changed = with_detail(changed, f"({shift.refused} refused)")
    return [shift.change, changed, f"{shift.read_differently:,}", moved, p95, furthest, flipped]


def _distance(result: TaskResult) -> list[Markup]:
    found = by_similarity(result)
    if not len(found):
        return []
    measure = result.similarity or (
        "Tanimoto of Morgan fingerprints for molecules, Jaccard of k-mers for sequences, the lower one for pairs"
    )
    note = f"Error of groups of rows, by similarity to the nearest training row (1: the same). Similarity: {measure}."
    shown = [figures(distance_figure(result)), frame_table(found), paragraph(note, note=True)]
    return [heading("Far from the training data"), *shown]
