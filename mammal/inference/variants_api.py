"""The part of the Python API that scores variants; `mammal.inference.Mammal` has it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.rows.tables import is_path, table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.model.model import MammalModel
    from mammal.rows.batched import Pace, Progress
    from mammal.rows.question import Question
    from mammal.rows.tables import RowTable
    from mammal.rows.task_choice import TaskLike
    from mammal.tasks.dna.genome import Genome
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer


class VariantScoring:
    """Scores variants with a model, its tokenizer and its tasks."""

    if TYPE_CHECKING:
        model: MammalModel
        tokenizer: Tokenizer
        tasks: dict[str, Task]
        pace: Pace

        def find_task(self, task: TaskLike) -> Task: ...

        def _frame(
            self, question: Question, given: RowTable, prefix: str, progress: Progress | None
        ) -> pd.DataFrame: ...

    def score_variants(
        self,
        data: Any,
        *,
        reference: str | os.PathLike[str] | Genome | None = None,
        window: int = 512,
        strands: str = "forward",
        what: str | Sequence[str] = ("likelihood", "embedding"),
        flank: int = 2,
        task: TaskLike | None = None,
        columns: Mapping[str, str] | None = None,
        prefix: str = "",
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Reference against alternate: log-likelihoods, and distances of encoder states (`mammal.variants.scoring`).

        Args:
            data: texts with one variant written in place (`ACGT[A/G]TTC`), HGVS descriptions (`chr1:g.123A>G`), tuples
                of chrom, pos, ref and alt; a frame or file with such columns (`sequence`, `hgvs`, `chrom` …); a variant
                file.
            reference: FASTA of the genome; not needed for variants written in place.
            window: bases that are cut around a site.
            strands: "forward", or "both" for the mean with the reverse complement.
            what: any of "likelihood" (needs a task that fills in hidden DNA) and "embedding" (any model with DNA).
            flank: bases on each side of the site that are hidden with it, for the likelihood.
            task: whose prompt is written; default: the task that fills in hidden DNA, else the only one that reads DNA,
                else the bare sequence.
            columns: names of the columns to read, as {name here: yours}.
            prefix: put before the names of the columns that are added.
            progress: called with the number of rows that were just answered.

        Returns:
            a row for each alternate allele, under the index of its row: your columns, `allele`, the scores,
            `unscored` (why this allele has none) and `error` (why the whole row has none).

        Raises:
            TaskError: a likelihood is asked of a model that has none.
            MammalError: a column, the genome or an option is wrong.
        """
        from mammal.tasks.tables.readers import read_table
        from mammal.variants.question import VariantQuestion
        from mammal.variants.scoring import Scorer, VariantScoreOptions
        from mammal.variants.source import allele_source

        asked = VariantScoreOptions(what, strands, window, flank)
        if is_path(data):
            data = read_table(Path(data))
        source = allele_source(_columns(data), reference, window, columns)
        chosen = None if task is None else self.find_task(task)
        scorer = Scorer(self.model, self.tokenizer, self.tasks, asked, self.pace, chosen=chosen)
        question = VariantQuestion(scorer, source, prefix=prefix)
        given = table(data, question.reading)
        return self._frame(question, given, prefix, progress)


def _columns(data: Any) -> list[str]:
    """Columns of what was handed over; of values without names, those that they are taken for."""
    from mammal.variants.source import COORDINATES, HGVS, IN_PLACE

    if hasattr(data, "columns"):
        return [str(name) for name in data.columns]
    items = [data] if isinstance(data, str | Mapping) else list(data)
    first = items[0] if items else ""
    if isinstance(first, Mapping):
        return list(dict.fromkeys(str(name) for item in items for name in item))
    if isinstance(first, tuple | list):
        return list(COORDINATES)
    return [HGVS if ":" in str(first) and "[" not in str(first) else IN_PLACE]
