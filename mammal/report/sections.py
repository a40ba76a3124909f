"""The sections of a report that do not belong to a task: overview, training, predictions, samples and command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING

from mammal.evaluation.results import OURS, TaskResult, readable_name, short
from mammal.report import molecules, plots
from mammal.report.page import (
    Section,
    code,
    facts,
    figure,
    figures,
    heading,
    html_table,
    joined,
    paragraph,
)
from mammal.report.words import intervals_explained, metric_name, positive_class
from mammal.tasks.metrics.registry import metric_named

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""For each series, (steps, values)."""

ROWS_SHOWN = 8
SET_ASIDE_SHOWN = 50
MOLECULES_SHOWN = 48


def training_section(curves: Mapping[str, Curves], about: Mapping[str, object]) -> Section:
    """Returns a section with facts about a training run and its learning curves.

    Args:
        curves: for each title of a figure, its series.
        about: facts by name.
    """
    label = "loss (no unit; lower is better)"
    drawn = [figure(plots.learning_curves(title, series, label)) for title, series in curves.items()]
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
        first = _without_empty(frame.head(ROWS_SHOWN))
        parts += [
            heading(name),
            paragraph(
                f"{len(frame) + bad} rows read, {len(frame)} answered, {bad} without an answer. "
                f"{_sentence(shown_of(len(first), len(frame), 'answers'))}, from the start of the file."
            ),
            frame_table(first),
        ]
        if errors is not None and bad:
            reasons = errors.head(SET_ASIDE_SHOWN)
            words = f"Rows without an answer, with the reason; {shown_of(len(reasons), bad)}:"
            parts += [paragraph(words), frame_table(reasons, reason=errors.columns[-1])]
    return Section("Predictions", joined(parts))


def samples_section(smiles: Sequence[str], how: str, captions: Sequence[str] | None = None) -> Section:
    """Returns a section with generated molecules, each with a mark that shows whether RDKit can read it.

    Args:
        smiles: generated strings.
        how: sentence about their origin.
        captions: a text for each string. Default: none.
    """
    valid, distinct = molecules.count(smiles)
    shown = smiles[:MOLECULES_SHOWN]
    words = (
        f"{how} RDKit reads {valid} of {len(smiles)} as molecules, {distinct} different ones. "
        f"{_sentence(shown_of(len(shown), len(smiles), 'strings'))}, in the order of generation. {ONLY_READABLE}"
    )
    captions = captions and captions[:MOLECULES_SHOWN]
    return Section("Generated strings", paragraph(words) + molecules.grid(shown, captions))


def commands_section(lines: Sequence[str], folder: str = "") -> Section:
    """Returns a section with the commands that made the model.

    Args:
        lines: the commands, as a shell reads them.
        folder: the folder in which they were run; "": unknown.
    """
    words = f"Run in the folder `{folder}`, this command trains the model again:" if folder else ""
    return Section("Made by", joined([*([paragraph(words, note=True)] if words else []), code(lines)]))


def overview(results: Sequence[TaskResult]) -> Section:
    """Returns a section with one figure per task: its first metric for the model and all baselines.

    It also explains the intervals, once for all sections of the page.
    """
    drawn = []
    for result in results:
        metric = result.metrics[0]
        known = [(c.name, e) for c in result.contenders if (e := c.estimates.get(metric)) and not isnan(e.value)]
        points = {readable_name(name): (e.value, e.low, e.high) for name, e in known}
        if points:
            label = metric_name(metric, result.unit)
            drawn.append(figure(plots.forest(result.title, points, label), _caption(result)))
    notes = [paragraph(words, note=True) for words in intervals_explained(results)]
    lead = paragraph(f"The main figure of each task, for the model ({OURS}) and for simple baselines.")
    return Section("At a glance", joined([lead, figures(drawn), *notes]))


def _caption(result: TaskResult) -> str:
    positive = positive_class(result)
    which = f" Positive class: {positive}." if positive else ""
    better = "higher" if metric_named(result.metrics[0]).higher_is_better else "lower"
    return f"{result.rows[result.part]:,} {result.part} rows; {better} is better.{which}"


def shown_of(shown: int, total: int, what: str = "rows") -> str:
    """Returns how many entries of a list are shown: `8 of 36 rows shown`, or `all 8 rows shown`.

    Args:
        shown: number of entries on the page.
        total: number of entries of the whole list.
        what: what they are, as a plural.
    """
    return f"{shown:,} of {total:,} {what} shown" if shown < total else f"all {total:,} {what} shown"


ONLY_READABLE = "`valid` says that RDKit can read the string as a molecule, not that the molecule is a reasonable one."


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
    return html_table([str(column) for column in frame.columns], rows, kinds=kinds)


def _without_empty(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns in which a row has a value, such as no column of errors."""
    return frame.loc[:, ((frame.notna()) & (frame != "")).any()] if len(frame) else frame


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _cell(value: object) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return short(value)
    words = str(value)
    return words if len(words) <= 120 else f"{words[:117]}…"
