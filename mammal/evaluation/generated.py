"""`mammal evaluate bundle=…` for tasks that generate molecules: the answers are also evaluated as a set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mammal import console
from mammal.evaluation.sample_files import molecule_workers, summaries_folder

if TYPE_CHECKING:
    from mammal.evaluation.judge_sets import Against
    from mammal.evaluation.results import TaskResult
    from mammal.evaluation.samples import Samples
    from mammal.evaluation.set_results import SetResult
    from mammal.evaluation.task_data import TaskData
    from mammal.inference.api import Mammal
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task

PART = 10_000
"""Number of training rows that are processed together."""


@dataclass(frozen=True)
class SetOptions:
    """How the molecules that a task generates are evaluated as a set.

    Attributes:
        generated: True: for every task that answers with one molecule; False: for none; None: for tasks whose prompts
            don't request a particular molecule.
        reference_limit: at most this many molecules of the evaluated rows, sampled; None: all.
        workers: processes that read molecules; 0: this one; None: one for each core if there are many molecules.
        cache: folder that keeps summaries of reference sets; None: none are kept.
    """

    generated: bool | None = None
    reference_limit: int | None = None
    workers: int | None = None
    cache: Path | None = None


def drawn_freely(
    model: Mammal, task: Task, generated: bool | None, *, draws: int, seed: int
) -> list[Prediction] | None:
    """Samples molecules of a task whose prompts don't request a particular molecule, without any condition.

    Args:
        model: a loaded model.
        task: any task of it.
        generated: see `SetOptions`.
        draws: number of sequences.
        seed: random seed of the sampling.

    Returns:
        The sampled sequences; None for other tasks, and if `generated` is False.
    """
    from mammal.evaluation.evaluate_task import free_draws

    if molecule_target(task) is None or not asks_freely(task) or generated is False:
        return None
    return free_draws(model.model, task, draws, seed)


def judge_answers(
    result: TaskResult,
    data: TaskData,
    options: SetOptions,
    *,
    seed: int,
    device: str,
    drawn: Sequence[Prediction] | None = None,
) -> list[SetResult]:
    """Evaluates the answers of a task as one set, compared with its training rows and with the evaluated rows.

    Args:
        result: the evaluated task.
        data: its rows.
        options: whether and how sets are evaluated.
        seed: random seed of the samples, and of the sampling of reference molecules.
        device: where ChemNet runs, for example "cpu" or "cuda".
        drawn: result of `drawn_freely`. It is evaluated instead of the answers to rows, because the conditions of the
            rows may have influenced those. None: the answers are evaluated.

    Returns:
        One result; none if the task does not generate molecules, or if `options` excludes it.
    """
    from mammal.evaluation.judge_sets import judge_sets

    column = molecule_target(data.task)
    if column is None or not (drawn is not None if options.generated is None else options.generated):
        return []
    samples = _answered(result, data, column, seed) if drawn is None else _drawn(drawn, data, column, seed)
    if not samples.smiles:
        return []
    against = _against(result, data, column, options, seed)
    molecules = len(samples.smiles) + len(against.references[result.part][1])
    with molecule_workers(options.workers, molecules) as each_of:
        return judge_sets([samples], against, each_of=each_of, device=device, tell=console.note)


def molecule_target(task: Task) -> str | None:
    """The column of molecules that a task generates; None if there is none, or more than one."""
    columns = [column for column in task.target_columns if column in task.molecules]
    return columns[0] if task.family == "generation" and len(columns) == 1 else None


def asks_freely(task: Task) -> bool:
    """Whether the prompts read only conditions, so that they don't request a particular molecule."""
    return not {*task.columns} - {*task.conditions, *task.target_columns}


def _answered(result: TaskResult, data: TaskData, column: str, seed: int) -> Samples:
    """The answers as samples; rows without an answer are empty strings."""
    from mammal.evaluation.results import OURS, TARGET
    from mammal.evaluation.samples import Samples

    answers = result.answers
    if TARGET in answers:
        answers = answers[answers[TARGET] == column]
    said = ["" if text is None else str(text) for text in answers.get(OURS, [])]
    source = f"answers of {result.task} to its {result.part} rows"
    return Samples(result.task, source, said + [""] * len(result.not_answered), _made(data.task, seed))


def _drawn(drawn: Sequence[Prediction], data: TaskData, column: str, seed: int) -> Samples:
    """The sampled sequences, with their numbers of attempts if any sequence was sampled more than once."""
    from mammal.evaluation.samples import Samples

    task = data.task
    said = ["" if one.error is not None else one.for_target(column).text or "" for one in drawn]
    draws = np.array([np.inf if one.problem or one.draws is None else one.draws for one in drawn])
    source = f"draws of {task.name}" + (", conditions withheld" if task.conditions else "")
    repeated = any((one.draws or 1) > 1 for one in drawn)
    return Samples(task.name, source, said, _made(task, seed), draws=draws if repeated else None)


def _made(task: Task, seed: int) -> dict[str, object]:
    how = task.config.generation
    return {"seed": seed, "temperature": how.temperature, "constraint": how.constraint}


def _against(result: TaskResult, data: TaskData, column: str, options: SetOptions, seed: int) -> Against:
    from mammal.evaluation.judge_sets import Against

    def training() -> Iterator[Sequence[str]]:
        rows = iter(data.rows["train"])
        while part := list(islice(rows, PART)):
            yield _texts(data.task, part, column)

    held_out = _texts(data.task, data.rows[result.part], column)
    return Against(
        training=training if len(data.rows["train"]) and result.part != "train" else None,
        training_source=f"training rows of {result.task}",
        references={result.part: (f"{result.part} rows of {result.task}", held_out)},
        reference_limit=options.reference_limit,
        seed=seed,
        cache=summaries_folder(options.cache),
    )


def _texts(task: Task, rows: Sequence[Row], column: str) -> list[str]:
    """The molecules of rows as they are written; "" for rows without a molecule."""
    from mammal.tasks.tables.cells import as_text, is_missing

    alias = task.aliases.get(column, column)
    cells = (row.get(column, row.get(alias)) for row in rows)
    return ["" if is_missing(value) else as_text(value) for value in cells]


def with_earlier_sets(sets: Sequence[SetResult], earlier: Sequence[SetResult]) -> list[SetResult]:
    """Adds new sets to earlier ones; a new set replaces the earlier set of the same name."""
    by_name = {result.name: result for result in (*earlier, *sets)}
    return list(by_name.values())
