"""The figures of an evaluation as tables: for the console, in Markdown and as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.evaluation.bar import notes_of, standing_of, verdict
from mammal.evaluation.results import OURS, TaskResult, readable_name, short, undefined_figures
from mammal.tasks.tables.atomic import atomic_file
from mammal.tokenization.lazy import old_names

if TYPE_CHECKING:
    import pandas as pd

MARKDOWN, CSV = "evaluation.md", "evaluation.csv"


def contenders_table(result: TaskResult) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table: the model, then each baseline, with each metric of the task.

    If the result combines several seeds, there are two more columns: the number of seeds, and how the model compares
    with the baseline in the first metric. If figures on validation rows or notes are known, the last two columns are
    the first metric on the validation rows, and notes: which baseline is the best there, and chosen settings.
    """
    over_seeds, notes = result.intervals == "seeds", notes_of(result)
    judged = any(notes.values())
    on_valid = f"{result.metrics[0]} on valid" if judged else ""
    header = ["", *result.metrics, *(["seeds", f"{OURS} is"] if over_seeds else []), *([on_valid, "note"] * judged)]
    rows = []
    for contender in result.contenders:
        cells = [str(contender.estimates.get(metric, "")) for metric in result.metrics]
        if over_seeds:
            cells += [str(len(contender.by_seed)), standing_of(result, contender.name)]
        if judged:
            cells += ["" if isnan(contender.valid) else short(contender.valid), notes[contender.name]]
        rows.append([contender.name, *cells])
    return header, rows


def result_title(result: TaskResult) -> str:
    """One line with task, unit, number of rows, split, positive class, and number of labels that are only bounds."""
    unit = f" in {result.unit}" if result.unit else ""
    bounds = result.ours.estimates.get("censored")
    unjudged = f"; {bounds.value:,.0f} labels are bounds and are not evaluated" if bounds else ""
    two = result.kind == "classification" and len(result.labels) == 2
    positive = f"; positive: {result.labels[1]}" if two else ""
    rows = f"{result.rows[result.part]:,} {result.part} rows"
    return f"{result.task}{unit}: {rows}, split {result.split}{positive}{unjudged}"


def markdown(results: Sequence[TaskResult]) -> str:
    """A table for each task."""
    parts = []
    for result in results:
        header, rows = contenders_table(result)
        lines = [_line([name, *cells]) for name, cells in ((readable_name(row[0]), row[1:]) for row in rows)]
        over = (
            "mean ± standard deviation over seeds, 95 % t-intervals"
            if result.intervals == "seeds"
            else "95 % bootstrap intervals over rows"
        )
        facts = f"Split hash {result.split_hash[:12]}; {over}. {verdict(result)}".rstrip()
        facts = " ".join(filter(None, [facts, undefined_figures(result)]))
        parts += [f"## {result_title(result)}", "", _line(header), _line(["---"] * len(header)), *lines, "", facts, ""]
    return "\n".join(parts)


def save_tables(results: Sequence[TaskResult], folder: Path) -> None:
    """Writes the tables in Markdown, and `figures_frame` as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / MARKDOWN) as partial:
        partial.write_text(markdown(results), encoding="utf-8")
    with atomic_file(folder / CSV) as partial:
        figures_frame(results).to_csv(partial, index=False)


def figures_frame(results: Sequence[TaskResult]) -> pd.DataFrame:
    """A data frame with one row for each task, model or baseline, and metric."""
    import pandas as pd

    lines = [
        {
            "task": result.task,
            "part": result.part,
            "split_hash": result.split_hash,
            "model": contender.name,
            "metric": metric,
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "intervals": result.intervals,
            "sd": estimate.sd,
            "seeds": max(1, len(contender.by_seed)),
            "valid": contender.valid if metric == result.metrics[0] else nan,
            "note": contender.note or None,
        }
        for result in results
        for contender in result.contenders
        for metric, estimate in contender.estimates.items()
    ]
    return pd.DataFrame(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


__getattr__ = old_names(__name__, {"title": "result_title"})
