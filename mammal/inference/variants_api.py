"""The method `score_variants` of the Python API, which `mammal.inference.Mammal` inherits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mammal.inference.answers_api import answer_frame
from mammal.inference.open_model import OpenModel
from mammal.inference.other_arguments import with_hints
from mammal.rows.tables import read_data, row_table
from mammal.tasks.tables.lines import DAMAGED

if TYPE_CHECKING:
    import pandas as pd

    from mammal.rows.batched import Progress
    from mammal.rows.task_choice import TaskLike
    from mammal.tasks.dna.genome import Genome


class VariantScoring(OpenModel):
    """Scores variants with a model, its tokenizer and its tasks."""

    @with_hints()
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
        encoding: str | None = None,
        prefix: str = "",
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Scores variants by comparing the alternate with the reference allele.

        Args:
            data: texts with one variant written in place (`ACGT[A/G]TTC`), HGVS descriptions (`chr1:g.123A>G`), or
                tuples of chrom, pos, ref and alt; a data frame or file with such columns (`sequence`, `hgvs`, `chrom`,
                …); a variant file.
            reference: FASTA file of the genome. Not needed for variants written in place.
            window: bases that are cut around a site.
            strands: `"forward"`, or `"both"` for the mean over the sequence and its reverse complement.
            what: scores to compute: `"likelihood"` (needs a task that fills in hidden DNA), `"embedding"` (any model
                that reads DNA), or both.
            flank: bases on each side of the site that are hidden with it, for the likelihood.
            task: task that writes the prompt. Default: the task that fills in hidden DNA, else the only task that reads
                DNA, else the sequence without a task.
            columns: names of your columns, as `{name here: column of your table}`.
            encoding: as for `predict`.
            prefix: text before the names of the added columns.
            progress: function that is called with the number of rows that were just finished.

        Returns:
            One row for each alternate allele, under the index of its row: your columns, `allele`, the scores (see
                `mammal.variants.scores`), `unscored` (why this allele has no score) and `error` (why the row has
                none).

        Raises:
            TaskError: likelihoods are requested, and no task of the model fills in hidden DNA.
            ConfigError: an option is wrong.
            DataError: a column is missing, or the genome can't be read.
        """
        from mammal.variants.question import VariantQuestion
        from mammal.variants.scoring import Scorer, VariantScoreOptions
        from mammal.variants.source import allele_source

        asked = VariantScoreOptions(what, strands, window, flank)
        data = read_data(data, encoding)
        source = allele_source(_columns(data), reference, window, columns)
        chosen = None if task is None else self.find_task(task)
        scorer = Scorer(self.model, self.tokenizer, self.tasks, asked, self.pace, chosen=chosen)
        question = VariantQuestion(scorer, source, prefix=prefix)
        given = row_table(data, question.reading)
        return answer_frame(question, given, prefix, progress)


def _columns(data: Any) -> list[str]:
    """Returns the columns of the user's data. For values without names, the form of the first value decides."""
    from mammal.variants.source import COORDINATES, HGVS, IN_PLACE

    if hasattr(data, "columns"):
        return [str(name) for name in data.columns if name != DAMAGED]
    items = [data] if isinstance(data, str | Mapping) else list(data)
    first = items[0] if items else ""
    if isinstance(first, Mapping):
        return list(dict.fromkeys(str(name) for item in items for name in item))
    if isinstance(first, tuple | list):
        return list(COORDINATES)
    return [HGVS if ":" in str(first) and "[" not in str(first) else IN_PLACE]
