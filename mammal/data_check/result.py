"""The result of a check: findings as objects, tables and text, and what the page draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.data_check.findings import ERROR, NOTE, SEVERITIES, WARNING, Finding, FlaggedRow, counted

if TYPE_CHECKING:
    import pandas as pd

    from mammal.data_check.by_neighbours import Deviations
    from mammal.data_check.labels import Labels

EXAMPLES = 5
"""Number of rows of a finding that are shown."""
FIXED = ("kind", "severity", "column", "file", "row", "part", "detail", "score", "other_file", "other_row")
"""Columns of the table of flagged rows, in front of the cells of the rows."""


@dataclass(frozen=True)
class Shown:
    """What the figures of the page show.

    Attributes:
        labels: labels of all rows; None if the task predicts neither classes nor numbers.
        train_N: whether a row is a training row, bool [N].
        pairs_P2: pairs of rows with equal inputs and a number each, int64 [P, 2].
        deviations: target column -> differences from similar rows.
        held_out_similarity: similarity of held-out entities to the nearest training entity.
        tokens: number of tokens of each measured prompt.
        unit: unit of the numbers, as the task declares it.
    """

    labels: Labels | None
    train_N: np.ndarray
    pairs_P2: np.ndarray
    deviations: Mapping[str, Deviations | None]
    held_out_similarity: np.ndarray
    tokens: Sequence[int]
    unit: Any = None


@dataclass(frozen=True)
class CheckResult:
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

    task: str
    source: str
    rows: int
    parts: Mapping[str, int]
    split: str
    findings: Sequence[Finding]
    seconds: float
    not_checked: Sequence[str]
    origin: Callable[[int], tuple[str, int]] = field(repr=False)
    part_of: Callable[[int], str] = field(repr=False)
    shown: Shown = field(repr=False)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __getitem__(self, kind: str) -> list[Finding]:
        """The findings of a kind; several if several columns or reasons have it, none if it was not found."""
        return [finding for finding in self.findings if finding.kind == kind]

    @property
    def counts(self) -> dict[str, int]:
        """Severity -> number of findings."""
        return {severity: sum(one.severity == severity for one in self.findings) for severity in SEVERITIES}

    def fails(self, fail_on: str) -> bool:
        """Whether there is a finding of at least a severity.

        Args:
            fail_on: `error`, `warning` or `never`.
        """
        counts = self.counts
        return {"error": counts[ERROR], "warning": counts[ERROR] + counts[WARNING], "never": 0}[fail_on] > 0

    @property
    def table(self) -> pd.DataFrame:
        """The findings, worst first: kind, severity, count, column, what, meaning, remedy and the first rows."""
        import pandas as pd

        columns = ["kind", "severity", "count", "column", "what", "meaning", "remedy", "first_rows"]
        records = [
            {
                **{name: getattr(one, name) for name in columns[:-1]},
                "first_rows": [self.origin(flagged.row)[1] for flagged in one.rows[:EXAMPLES]],
            }
            for one in self.findings
        ]
        return pd.DataFrame(records, columns=columns)

    @property
    def flagged(self) -> pd.DataFrame:
        """One row for each flagged row of each finding, with its file, number in the file (from 1), and cells."""
        import pandas as pd

        records = [record for finding in self.findings for record in self.records(finding)]
        return pd.DataFrame(records, columns=list(dict.fromkeys([*FIXED, *(key for r in records for key in r)])))

    def records(self, finding: Finding) -> Iterator[dict[str, Any]]:
        """Yields the flagged rows of a finding as records of the table `flagged`.

        Args:
            finding: one of the findings.
        """
        for flagged in finding.rows:
            file, number = self.origin(flagged.row)
            other_file, other = ("", None) if flagged.other is None else self.origin(flagged.other)
            about = (finding.kind, finding.severity, finding.column or "", file, number, self.part_of(flagged.row))
            fixed = dict(zip(FIXED, (*about, flagged.detail, flagged.score, other_file, other), strict=True))
            cells = {name if name not in FIXED else f"{name}_": text for name, text in flagged.values.items()}
            yield fixed | cells

    def place(self, flagged: FlaggedRow) -> str:
        """Returns the place of a flagged row, and of the row that it is compared with, as text.

        Args:
            flagged: a row of a finding.
        """
        number = self.origin(flagged.row)[1]
        other = "" if flagged.other is None else f" (other: row {self.origin(flagged.other)[1]})"
        return f"row {number}{other}"

    def lines(self) -> Iterator[str]:
        """Yields the summary, worst first: errors and warnings with rows and remedy, notes in one line each."""
        sizes = ", ".join(f"{count:,} {part}" for part, count in self.parts.items() if count)
        yield f"{self.task}: {counted(self.rows, 'row')} of {self.source} ({sizes}; split: {self.split})"
        for finding in self.findings:
            yield f"{finding.severity:8} {finding.kind}: {finding.what}"
            if finding.severity != NOTE:
                yield from self._details(finding)
        counts = ", ".join(counted(count, severity) for severity, count in self.counts.items())
        yield "; ".join([f"{counts} in {self.seconds:.0f} s", *self.not_checked])

    def _details(self, finding: Finding) -> Iterator[str]:
        for flagged in finding.rows[:3]:
            cells = ", ".join(f"{name} {text[:60]}" for name, text in flagged.values.items())
            yield f"           {self.place(flagged)}: {flagged.detail[:120]}{f' [{cells}]' if cells else ''}"
        yield f"           meaning: {finding.meaning}"
        yield f"           remedy: {finding.remedy}"
