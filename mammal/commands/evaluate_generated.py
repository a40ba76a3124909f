"""`mammal evaluate bundle=…` of a task that generates molecules: its answers judged as a set, beside its own rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from mammal import console
from mammal.commands.evaluate_samples import cache_folder, crew, device_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.report.judging import Against
    from mammal.report.results import TaskResult
    from mammal.report.samples import Samples
    from mammal.report.sets import SetResult
    from mammal.tasks.cells import Row
    from mammal.tasks.task import Task
    from mammal.training.data import TaskData

PART = 10_000
"""Training rows that are looked at together."""


def judge_answers(result: TaskResult, data: TaskData, config: DictConfig) -> list[SetResult]:
    """The answers of a task as one set, held against its training rows and the judged rows; none where that makes no
    sense, or was not asked for."""
    from mammal.report.judging import judge_sets

    column = molecule_target(data.task)
    wanted = config.generated if config.generated is not None else column is not None and asks_freely(data.task)
    if column is None or not wanted:
        return []
    samples = _samples(result, data, column, config)
    if not samples.smiles:
        return []
    against = _against(result, data, column, config)
    molecules = len(samples.smiles) + len(against.references[result.part][1])
    with crew(config.workers, molecules) as each_of:
        return judge_sets([samples], against, each_of=each_of, device=device_of(config), tell=console.note)


def molecule_target(task: Task) -> str | None:
    """The column of molecules that a task generates; None where there is none, or more than one."""
    columns = [column for column in task.target_columns if column in task.molecules]
    return columns[0] if task.kind == "generation" and len(columns) == 1 else None


def asks_freely(task: Task) -> bool:
    """Whether prompts ask for no certain molecule: they read nothing but conditions."""
    return not {*task.columns} - {*task.conditions, *task.target_columns}


def _samples(result: TaskResult, data: TaskData, column: str, config: DictConfig) -> Samples:
    """What was answered, rows without an answer as empty strings."""
    from mammal.report.results import OURS, TARGET
    from mammal.report.samples import Samples

    answers = result.answers
    if TARGET in answers:
        answers = answers[answers[TARGET] == column]
    said = ["" if text is None else str(text) for text in answers.get(OURS, [])]
    how = data.task.config.generation
    made = {"seed": config.seed, "temperature": how.temperature, "constraint": how.constraint}
    source = f"answers of {result.task} to its {result.part} rows" if data.task.columns else f"draws of {result.task}"
    return Samples(result.task, source, said + [""] * len(result.not_answered), made)


def _against(result: TaskResult, data: TaskData, column: str, config: DictConfig) -> Against:
    from mammal.report.judging import Against

    def training() -> Iterator[Sequence[str]]:
        rows = iter(data.rows["train"])
        while part := list(islice(rows, PART)):
            yield _texts(data.task, part, column)

    held_out = _texts(data.task, data.rows[result.part], column)
    return Against(
        training=training if len(data.rows["train"]) and result.part != "train" else None,
        training_source=f"training rows of {result.task}",
        references={result.part: (f"{result.part} rows of {result.task}", held_out)},
        reference_limit=config.reference_limit,
        seed=config.seed,
        cache=cache_folder(config),
    )


def _texts(task: Task, rows: Sequence[Row], column: str) -> list[str]:
    """The molecules of rows as they are written; "" where a row has none."""
    from mammal.tasks.cells import as_text, is_missing

    alias = task.aliases.get(column, column)
    cells = (row.get(column, row.get(alias)) for row in rows)
    return ["" if is_missing(value) else as_text(value) for value in cells]


def with_earlier_sets(sets: Sequence[SetResult], earlier: Sequence[SetResult]) -> list[SetResult]:
    """Both, earlier ones first; of two of one name, the new one alone."""
    by_name = {result.name: result for result in (*earlier, *sets)}
    return list(by_name.values())
