"""Scores a table of variants: a record for each alternate allele of each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from mammal.errors import MammalError
from mammal.rows.answer_columns import AnswerColumn, Record
from mammal.rows.batched import Progress, Refused, Row
from mammal.rows.question import Question, UsedModel
from mammal.rows.read_columns import ReadColumns
from mammal.tasks.dna.alleles import AllelePair
from mammal.variants.scores import Scores
from mammal.variants.scoring import Scorer
from mammal.variants.source import Allele, AlleleSource

ALLELE, UNSCORED = "allele", "unscored"
"""Columns: the alternate allele as written in the row, and why it has no scores (empty if it has scores)."""

_ROWS_AT_ONCE = 1_024
"""Number of rows whose windows are in memory together; equal alleles among them are computed once."""


class VariantQuestion(Question):
    """Scores the alternate alleles of each row with a model.

    A row gives one record for each alternate allele. An allele that can't be written as bases (`<DEL>`, `*`, breakends)
    or that is too long gets a record without scores that contains the reason. A row is refused if none of its alleles
    has scores.

    Args:
        scorer: computes the scores.
        source: reads the alleles of a row.
        prefix: prefix of the names of result columns.

    Attributes:
        unscored: number of alleles without scores so far, in rows that have other alleles with scores.
    """

    def __init__(self, scorer: Scorer, source: AlleleSource, *, prefix: str = ""):
        self.scorer, self.source = scorer, source
        self.reading: ReadColumns = source.reading
        self.recorded_options = asdict(scorer.asked)
        self.unscored = 0
        names = [AnswerColumn(ALLELE, "text"), *scorer.columns, AnswerColumn(UNSCORED, "text")]
        self.columns = [AnswerColumn(f"{prefix}{column.name}", column.holds) for column in names]

    @property
    def uses(self) -> Sequence[UsedModel]:
        return [self.scorer.uses]

    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        """Returns for each row the records of its alleles, or the reason why there are none."""
        answers: list[list[Record] | Refused] = []
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            answers += self._answer([self._alleles(row) for row in some])
            if progress is not None:
                progress(len(some))
        return answers

    def _alleles(self, row: Row) -> list[Allele] | Refused:
        try:
            return self.source.alleles(row)
        except MammalError as error:
            return Refused(str(error))

    def _answer(self, rows: Sequence[list[Allele] | Refused]) -> Iterator[list[Record] | Refused]:
        alleles = [allele for given in rows if not isinstance(given, Refused) for allele in given]
        scores = iter(self.scorer.score([a.pair for a in alleles if isinstance(a.pair, AllelePair)]))
        for given in rows:
            yield given if isinstance(given, Refused) else self._records(given, scores)

    def _records(self, alleles: Sequence[Allele], scores: Iterator[Scores | Refused]) -> list[Record] | Refused:
        """The records of a row; takes one of `scores` for each allele that can be written as bases."""
        records: list[Record] = []
        reasons: list[str] = []
        nothing = (None,) * len(self.scorer.columns)
        for allele in alleles:
            given = next(scores) if isinstance(allele.pair, AllelePair) else Refused(allele.pair.reason)
            if isinstance(given, Refused):
                reasons.append(given.reason)
                records.append((allele.name, *nothing, given.reason))
            else:
                records.append((allele.name, *given, None))
        if len(reasons) == len(records):
            return Refused("; ".join(reasons))
        self.unscored += len(reasons)
        return records
