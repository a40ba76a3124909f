"""The HTML page of a check: findings with their rows, and figures of labels, repeats, neighbours and lengths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mammal.data_check.by_neighbours import OUTLIER, in_logarithms
from mammal.data_check.findings import SEVERITIES, Finding, FlaggedRow
from mammal.report import plots
from mammal.report.page import (
    Section,
    facts,
    figure,
    figures,
    heading,
    html_table,
    joined,
    name_of_key,
    page,
    paragraph,
)
from mammal.tasks.declaration.schema import unit_text
from mammal.version import __version__

if TYPE_CHECKING:
    from markupsafe import Markup

    from mammal.data_check.result import CheckResult, Shown

ROWS_SHOWN = 10
BINS = 40
LONGEST_CELL = 80
MOST_TARGETS = 4
"""Number of targets with figures."""
_HEADINGS = {"error": "Errors", "warning": "Warnings", "note": "Notes"}


def check_page(found: CheckResult) -> str:
    """Returns the page as one HTML document that needs no other file.

    Args:
        found: the check.
    """
    sections = [Section("Summary", _summary(found))]
    drawn = list(_figures(found.shown))
    if drawn:
        sections.append(Section("Figures", figures(drawn)))
    for severity in SEVERITIES:
        ours = [one for one in found.findings if one.severity == severity]
        if ours:
            sections.append(Section(_HEADINGS[severity], joined(_finding(found, one) for one in ours)))
    lead = f"Check of the data of task {found.task}: {found.source}"
    return page(f"Data of {found.task}", lead, sections, f"written by mammal check-data {__version__}")


def _summary(found: CheckResult) -> Markup:
    strip: dict[str, object] = {"rows": f"{found.rows:,}"}
    strip |= {part: f"{count:,}" for part, count in found.parts.items() if count}
    strip |= {f"{severity}s": count for severity, count in found.counts.items()}
    header = ("severity", "finding", "rows", "what was found")
    table = [(one.severity, name_of_key(one.kind), f"{one.count:,}", one.what) for one in found.findings]
    words = "; ".join([f"Split: {found.split}", *found.not_checked])
    if not table:
        return joined([facts(strip), paragraph(words), paragraph("Nothing was found.")])
    return joined([facts(strip), paragraph(words, note=True), html_table(header, table, kinds=("", "", "number", ""))])


def _finding(found: CheckResult, one: Finding) -> Markup:
    """What was found, what it means, and the first rows."""
    title = f"{one.kind}, column {one.column}" if one.column else one.kind
    parts = [heading(title), paragraph(f"{one.what}. {one.meaning}"), paragraph(f"Remedy: {one.remedy}.")]
    if one.rows:
        names = list(dict.fromkeys(name for row in one.rows[:ROWS_SHOWN] for name in row.values))
        compared = any(row.other is not None for row in one.rows[:ROWS_SHOWN])
        header = ("row", "part", *(["compared row"] if compared else []), "detail", *names)
        table = [
            (
                str(found.origin(row.row)[1]),
                found.part_of(row.row),
                *([_other(found, row)] if compared else []),
                _short(row.detail),
                *(_short(row.values.get(name, "")) for name in names),
            )
            for row in one.rows[:ROWS_SHOWN]
        ]
        parts.append(
            html_table(header, table, kinds=("number", *[""] * (3 if compared else 2), *["mono"] * len(names)))
        )
        if len(one.rows) > ROWS_SHOWN:
            parts.append(paragraph(f"The first {ROWS_SHOWN} of {len(one.rows):,}; all are in findings.csv.", note=True))
    return joined(parts)


def _other(found: CheckResult, row: FlaggedRow) -> str:
    return "" if row.other is None else str(found.origin(row.other)[1])


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"


def _figures(shown: Shown) -> Iterator[Markup]:
    unit = unit_text(shown.unit) if not isinstance(shown.unit, dict) else ""
    labels = shown.labels
    if labels is not None:
        for k, column in enumerate(labels.columns[:MOST_TARGETS]):
            yield from _distribution(shown, k, column, unit)
        if len(shown.pairs_P2) > 1:
            yield figure(_repeats(shown, unit), "Each point is a row and another row with the same inputs.")
        for column, found in list(shown.deviations.items())[:MOST_TARGETS]:
            if found is not None:
                far = int((np.abs(found.z_D) >= OUTLIER).sum())
                caption = f"Each point is a row with three or more similar training rows; {far:,} are outliers."
                yield figure(_neighbours(found.label_D, found.expected_D, column, unit, log=found.log), caption)
    if len(shown.held_out_similarity) > 1:
        title, label = "Held-out entities: nearest training entity", "similarity"
        yield figure(_histogram(title, {"valid and test": shown.held_out_similarity}, label, (0.0, 1.0)))
    if len(shown.tokens) > 1:
        yield figure(_histogram("Length of prompts", {"rows": np.array(shown.tokens, dtype=float)}, "tokens"))


def _distribution(shown: Shown, k: int, column: str, unit: str) -> Iterator[Markup]:
    """Counts of classes, or the distribution of numbers, in training and held-out rows."""
    labels = shown.labels
    assert labels is not None, "only called for tasks with labels"
    parts = {"train": shown.train_N, "valid and test": ~shown.train_N}
    if labels.classes:
        counts = {
            name: [int((labels.index_NK[rows, k] == c).sum()) for c in range(len(labels.classes))]
            for name, rows in parts.items()
        }
        yield figure(plots.class_counts(f"Classes of {column}", labels.classes, counts))
        return
    numbers = {name: labels.number_NK[rows, k] for name, rows in parts.items()}
    numbers = {name: values[~np.isnan(values)] for name, values in numbers.items()}
    numbers = {name: values for name, values in numbers.items() if len(values)}
    if not numbers or not np.ptp(np.concatenate(list(numbers.values()))):
        return
    label = f"{column} / {unit}" if unit else column
    if in_logarithms(labels.number_NK[:, k]):
        numbers, label = {name: np.log10(values) for name, values in numbers.items()}, f"log10 of {label}"
    yield figure(_histogram(f"Distribution of {column}", numbers, label))


def _repeats(shown: Shown, unit: str) -> Markup:
    labels = shown.labels
    assert labels is not None, "only called for tasks with labels"
    first_P, second_P = labels.number_NK[shown.pairs_P2[:, 0], 0], labels.number_NK[shown.pairs_P2[:, 1], 0]
    if in_logarithms(np.concatenate([first_P, second_P])):
        first_P, second_P, unit = np.log10(first_P), np.log10(second_P), f"log10 {unit}".strip()
    title = f"Repeated entities: {labels.columns[0]}"
    return plots.parity(first_P, second_P, unit, title=title, axes_names=("first row", "other row"))


def _neighbours(label_D: np.ndarray, expected_D: np.ndarray, column: str, unit: str, *, log: bool) -> Markup:
    if log:
        label_D, expected_D, unit = np.log10(label_D), np.log10(expected_D), f"log10 {unit}".strip()
    axes = ("label", "median of similar training rows")
    return plots.parity(label_D, expected_D, unit, title=f"{column} of similar rows", axes_names=axes)


def _histogram(
    title: str, values: dict[str, np.ndarray], label: str, span: tuple[float, float] | None = None
) -> Markup:
    everything = np.concatenate(list(values.values()))
    edges = np.histogram_bin_edges(everything, BINS, span)
    shares = {name: np.histogram(found, edges)[0] / max(len(found), 1) for name, found in values.items()}
    return plots.histogram(title, edges.tolist(), {n: s.tolist() for n, s in shares.items()}, label, of="rows")
