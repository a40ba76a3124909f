"""What a check of data can find: one `Finding` for each kind of fault, with the rows in which it was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)
"""From worst to mildest. An error makes training fail or its figures wrong; a warning is probably a fault of the data;
a note is for information, or a suspicion that only a person can confirm."""


@dataclass(frozen=True)
class FlaggedRow:
    """A row in which a finding was seen.

    Attributes:
        row: position of the row in the table, from 0.
        detail: what is special about this row.
        values: columns of the row that matter for the finding, with their cells.
        other: position of the row that it repeats, contradicts or leaks from. None: there is none.
        score: size of the fault, if it has one; rows are sorted by it, largest first.
    """

    row: int
    detail: str
    values: Mapping[str, str] = field(default_factory=dict)
    other: int | None = None
    score: float | None = None


@dataclass(frozen=True)
class Finding:
    """One kind of fault.

    Attributes:
        kind: name of the kind, such as `conflicting_labels`.
        severity: `error`, `warning` or `note`.
        count: number of rows (or pairs, groups, columns: `what` says which) that have the fault.
        what: what was found, in one sentence with figures.
        meaning: what it does to a model or to its evaluation.
        remedy: what can be done about it.
        column: column in which it was found. None: it concerns whole rows.
        rows: the rows, worst first.
        figures: numbers behind the sentence, by name.
    """

    kind: str
    severity: str
    count: int
    what: str
    meaning: str
    remedy: str
    column: str | None = None
    rows: Sequence[FlaggedRow] = ()
    figures: Mapping[str, float] = field(default_factory=dict)


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Sorts findings by severity, then by count, largest first."""
    return sorted(findings, key=lambda one: (SEVERITIES.index(one.severity), -one.count, one.kind))


def largest_first(rows: Sequence[FlaggedRow]) -> list[FlaggedRow]:
    """Sorts flagged rows by score, largest first; rows of equal score by their position."""
    return sorted(rows, key=lambda one: (-(one.score or 0.0), one.row))


def counted(count: int, noun: str) -> str:
    """Returns `1 row`, `2 rows`, `1,200 rows`."""
    plural = {"entry": "entries", "class": "classes"}.get(noun, f"{noun}s")
    return f"{count:,} {noun if count == 1 else plural}"


_SINGULAR = {"have": "has", "are": "is", "look": "looks"}


def verb(count: int, plural: str) -> str:
    """Returns a verb in the form that fits a count: `1 row has`, `2 rows have`."""
    return _SINGULAR.get(plural, f"{plural}s") if count == 1 else plural


def percent(share: float) -> str:
    """Returns a share as text: `12 %`, `0.4 %`, `< 0.1 %`."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"
