"""The part of the Python API that generates; `mammal.inference.Mammal` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from mammal.errors import ConfigError, DataError
from mammal.generation.question import Generate
from mammal.generation.seeds import seeds_of
from mammal.generation.settings import Settings
from mammal.inference.reranking import Reranked, judge_of
from mammal.rows.bare_prompts import is_prompt
from mammal.rows.tables import ReadColumns, RowTable, check_names, table

if TYPE_CHECKING:
    import os

    import pandas as pd

    from mammal.inference.api import Mammal
    from mammal.model.model import MammalModel
    from mammal.rows.batched import Pace, Progress
    from mammal.rows.question import Question
    from mammal.rows.task_choice import TaskLike
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer

SEED = "seed"
"""Column of the result that holds the seeds that a caller gave, one for each row."""


class Generation:
    """Generates with a model, its tokenizer and its tasks."""

    if TYPE_CHECKING:
        model: MammalModel
        tokenizer: Tokenizer
        pace: Pace

        def find_task(
            self, task: TaskLike | None, columns: Mapping[str, str] | None, view: str | Mapping[str, str] | None
        ) -> Task: ...

        def _frame(
            self, question: Question, given: RowTable, prefix: str, progress: Progress | None
        ) -> pd.DataFrame: ...

    def generate(
        self,
        data: Any = None,
        task: TaskLike | None = None,
        *,
        n: int = 1,
        conditions: Mapping[str, Any] | None = None,
        seed: int | Sequence[int] | None = 0,
        rerank: TaskLike | None = None,
        rerank_bundle: str | os.PathLike[str] | Mammal | None = None,
        rerank_weight: float | None = None,
        columns: Mapping[str, str] | None = None,
        view: str | Mapping[str, str] | None = None,
        prefix: str = "",
        progress: Progress | None = None,
        **settings: Unpack[Settings],
    ) -> pd.DataFrame:
        """Sequences, `n` for each row: columns `sample` (from 0), `text`, `score` (log-likelihood), `error`.

        Unless told otherwise by `do_sample`, several sequences a row, or a setting of draws, mean sampling; else the
        best sequence is sought, with `num_beams` beams, which adds `normalised_score`: what they are ranked by. Where
        samples that are not valid are drawn again, `draws` says how often one was drawn.

            model.generate(task="moses", n=100, conditions={"logp": 2.5, "qed": 0.9}, guidance=2)

        Args:
            data: as for `predict`; nothing, where the task reads nothing but conditions; prompts in wire syntax, of
                which the answers keep their tags.
            conditions: what to ask for, the same for all rows; or rows hold a column of that name.
            seed: of the draws: the same seed gives the same sequences. One number: a row's position decides with it.
                One for each row: what is drawn depends on that alone, whatever the other rows are; they are drawn even
                for `n=1`.
            rerank: a task that reads the answers and puts them in order (`mammal.inference.reranking`):
                `forward_reaction` for those of `retrosynthesis`. Adds `judged` and `round_trip`.
            rerank_bundle: the model that does it, where that is another; its only task is meant unless one is named.
            rerank_weight: of the judge's log-likelihood beside the answers' own; default 1.
            settings: `mammal.generation.settings.Settings` lists them.

        Raises:
            ConfigError, TaskError, DataError: a setting or condition that there is not, or that doesn't fit the task.
        """
        chosen = None if is_prompt(data) else self.find_task(task, columns, view)
        seeds = seeds_of(seed)
        if isinstance(seeds, list) and settings.get("seed_column") is not None:
            raise ConfigError("seeds of the rows are given, and seed_column besides", hint="one of the two")
        how = {**settings, "seed": seeds} if isinstance(seeds, int) else {**settings, "seed_column": SEED}
        asked = Generate(
            self.model, self.tokenizer, chosen, self.pace, n=n, settings=how, conditions=conditions, prefix=prefix
        )
        judge = judge_of(self, rerank, rerank_bundle, rerank_weight)  # type: ignore[arg-type]  # a Mammal has this
        question = asked if judge is None else Reranked(asked, judge, prefix)
        reading = question.reading if isinstance(seeds, int) else _without_seeds(question.reading)
        if data is None and not reading.names:
            reading.check(())
            given = RowTable([{}] if isinstance(seeds, int) else [{} for _ in seeds])
        else:
            given = table(data, reading)
        seeded = given if isinstance(seeds, int) else _with_seeds(given, seeds)
        return self._frame(question, seeded, prefix, progress)


def _without_seeds(reading: ReadColumns) -> ReadColumns:
    return replace(reading, names=[name for name in reading.names if name != SEED])


def _with_seeds(given: RowTable, seeds: Sequence[int]) -> RowTable:
    """The rows, each with its own seed.

    Raises:
        DataError: there are more or fewer seeds than rows, or the table has a column of that name.
    """
    if len(seeds) != len(given):
        raise DataError(f"{len(seeds)} seeds for {len(given)} rows", where="seed")
    rows = [{**row, SEED: seed} for row, seed in zip(given.rows, seeds, strict=True)]
    check_names(given.names, [SEED])
    return RowTable(rows, None if given.original is None else given.original.assign(**{SEED: list(seeds)}))
