"""The method `generate` of the Python API, which `mammal.inference.Mammal` inherits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from mammal.errors import ConfigError, DataError
from mammal.generation.other_names import our_names
from mammal.generation.question import Generate
from mammal.generation.seeds import seeds_of
from mammal.generation.settings import Settings
from mammal.inference.answers_api import answer_frame
from mammal.inference.open_model import OpenModel
from mammal.inference.reranking import Reranked
from mammal.inference.reranking_task import judge_of
from mammal.rows.bare_prompts import is_prompt
from mammal.rows.read_columns import ReadColumns
from mammal.rows.tables import RowTable, check_names, row_table

if TYPE_CHECKING:
    import os

    import pandas as pd

    from mammal.rows.batched import Progress
    from mammal.rows.task_choice import TaskLike

SEED = "seed"
"""Column of the result with the seeds of the rows, if the caller gave one seed for each row."""


class Generation(OpenModel):
    """Generates sequences with a model, its tokenizer and its tasks."""

    def generate(
        self,
        data: Any = None,
        task: TaskLike | None = None,
        *,
        n: int = 1,
        conditions: Mapping[str, Any] | None = None,
        seed: int | Sequence[int] | None = 0,
        rerank: TaskLike | None = None,
        rerank_bundle: str | os.PathLike[str] | OpenModel | None = None,
        rerank_weight: float | None = None,
        columns: Mapping[str, str] | str | None = None,
        view: str | Mapping[str, str] | None = None,
        encoding: str | None = None,
        prefix: str = "",
        progress: Progress | None = None,
        **settings: Unpack[Settings],
    ) -> pd.DataFrame:
        """Generates `n` sequences for each row.

            model.generate(task="moses", n=100, conditions={"logp": 2.5, "qed": 0.9}, guidance=2)

        If `do_sample` is not set, sequences are sampled if `n` is greater than 1, if there is one seed for each row, or
        if a setting of sampling (such as `temperature`) is given. Otherwise, the most likely sequence is searched with
        `num_beams` beams.

        Args:
            data: as for `predict`. Nothing, if the task reads nothing except conditions. Or prompts in wire syntax; the
                answers then keep their tags.
            task: name of a task of the bundle or of a known task, a YAML file or a declaration. Default: the default
                task.
            n: sequences for each row.
            conditions: requested values, the same for all rows. Rows can also contain a column with the name of a
                condition.
            seed: seed of sampling. The same seed gives the same sequences. With one number, the position of a row also
                decides what is sampled for it. With one number for each row, the sequences of a row depend on its seed
                alone.
            rerank: task that reads the answers and orders them, such as `"forward_reaction"` for the answers of
                `retrosynthesis`. It adds the columns `judged` and `round_trip`.
            rerank_bundle: model (or its folder) that does the re-ranking task. Default: this model.
            rerank_weight: weight of the log-likelihood of the re-ranking task next to that of the answer. Default: 1.
            columns: names of your columns, as `{column of the task: column of your table}`, or one name if the task
                reads one column. Default: the names of the task, else the only column of a similar or usual name.
            view: which form of a value the prompt shows if the task has several, such as `"iupac"`, or a mapping from
                columns to forms. Default: the first form that a row has. See "Views" in docs/tasks.md.
            encoding: as for `predict`.
            prefix: text before the names of the added columns.
            progress: function that is called with the number of rows that were just finished.
            settings: settings of decoding, see `mammal.generation.settings.Settings`. `num_return_sequences` and
                `num_samples` mean `n`, and `temperature=0` greedy search.

        Returns:
            `n` rows for each row of `data`, with your columns and these:

                - `sample`: number of the sequence of its row, from 0;
                - `text`: the generated text, without tags;
                - `score`: its log-likelihood (natural logarithm);
                - `normalised_score`: beam search: the value by which sequences are ranked;
                - `draws`: if invalid sequences are sampled again: how often this one was sampled;
                - `error`: why there is no valid sequence, else missing.

        Raises:
            ConfigError: there is no such setting or condition, or settings contradict each other.
            TaskError: there is no such task, or a setting does not fit it.
            DataError: a column is missing, or there is not one seed for each row.
        """
        known: dict[str, Any] = our_names({**({} if n == 1 else {"n": n}), **settings})
        n = known.pop("n", 1)
        chosen = None if is_prompt(data) else self.find_task(task, columns, view)
        seeds = seeds_of(seed)
        if isinstance(seeds, list) and known.get("seed_column") is not None:
            raise ConfigError("seeds of the rows are given twice, in seed and in seed_column", hint="give one of them")
        how = {**known, "seed": seeds} if isinstance(seeds, int) else {**known, "seed_column": SEED}
        asked = Generate(
            self.model, self.tokenizer, chosen, self.pace, n=n, settings=how, conditions=conditions, prefix=prefix
        )
        judge = judge_of(self, rerank, rerank_bundle, rerank_weight)
        question = asked if judge is None else Reranked(asked, judge, prefix)
        question.reading = question.reading.with_mapping(chosen, columns)
        reading = question.reading if isinstance(seeds, int) else _without_seeds(question.reading)
        if data is None and not reading.names:
            if encoding is not None:
                raise ConfigError("encoding is for a file, and no data are given", hint="leave it out")
            reading.check(())
            given = RowTable([{}] if isinstance(seeds, int) else [{} for _ in seeds])
        else:
            given = row_table(data, reading, encoding)
        seeded = given if isinstance(seeds, int) else _with_seeds(given, seeds)
        return answer_frame(question, seeded, prefix, progress)


def _without_seeds(reading: ReadColumns) -> ReadColumns:
    return replace(reading, names=[name for name in reading.names if name != SEED])


def _with_seeds(given: RowTable, seeds: Sequence[int]) -> RowTable:
    """Adds a column `seed` with the seed of each row.

    Raises:
        DataError: the number of seeds is not the number of rows, or the table already has a column of that name.
    """
    if len(seeds) != len(given):
        raise DataError(f"{len(seeds)} seeds for {len(given)} rows", where="seed")
    rows = [{**row, SEED: seed} for row, seed in zip(given.rows, seeds, strict=True)]
    check_names(given.names, [SEED])
    original = None if given.original is None else given.original.assign(**{SEED: list(seeds)})
    shown = None if given.shown is None else [{**row, SEED: s} for row, s in zip(given.shown, seeds, strict=True)]
    return replace(given, rows=rows, original=original, shown=shown)
