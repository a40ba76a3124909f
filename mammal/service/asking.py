"""From the fields of a request to a question with its rows, and from the answers to a table.

Questions are those of the Python API and of batch jobs, so that a row has the same answer everywhere.
"""

from __future__ import annotations

import json
import tempfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from mammal.errors import DataError, MammalError, TaskError, did_you_mean
from mammal.explanation.question import Explain
from mammal.generation.question import Generate
from mammal.inference.from_names import FromNames, predict_question
from mammal.inference.questions import Embed, Score
from mammal.inference.reranking import Reranked
from mammal.inference.reranking_task import judge_of
from mammal.jobs.names_job import NameRows, check_names_options
from mammal.jobs.properties_job import PropertyRows, check_properties
from mammal.jobs.structures import existing, structure_column
from mammal.jobs.workers import Workers
from mammal.rows.answer_columns import ERROR, column_meanings
from mammal.rows.bare_prompts import PROMPT, TARGET, is_prompt
from mammal.rows.question import Question
from mammal.rows.read_columns import ReadColumns
from mammal.rows.standardised_columns import standardised_meanings
from mammal.rows.tables import RowTable, check_names, row_table, with_targets
from mammal.rows.task_choice import entity_task
from mammal.service.answered import Asked
from mammal.service.known_names import remember_names
from mammal.service.limits import Limits, TooLargeError
from mammal.service.notes import collected_notes
from mammal.tokenization.errors import meant_name

if TYPE_CHECKING:
    import pandas as pd

    from mammal.inference.api import Mammal
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task

KEPT_QUESTIONS = 64
_ROWS = ("data", "csv", "targets")
"""Fields that hold rows. All others decide which question is asked."""


class Questions:
    """Makes the questions of requests. Requests with the same options get the same question, and can share batches.

    Args:
        model: the model. It answers with the tasks in `model.tasks` only.
        limits: what a request may ask for.
    """

    def __init__(self, model: Mammal, limits: Limits):
        self.model, self.limits = model, limits
        self._kept: OrderedDict[str, Question] = OrderedDict()
        self._lock = Lock()
        self._float32: MammalModel | None = None

    def in_float32(self) -> MammalModel:
        """Returns the model in float32, which all explanations share. Only the thread of the model calls it."""
        if self._float32 is None:
            self._float32 = self.model.model.in_float32()
        return self._float32

    def ask(self, verb: str, fields: Mapping[str, Any]) -> Asked:
        """Returns the question of a request with its rows.

        Args:
            verb: the verb.
            fields: the fields of the request, with their defaults.

        Raises:
            MammalError: a field is wrong, or a column is missing.
            TooLargeError: the request exceeds a limit.
        """
        given = {name: value for name, value in fields.items() if name not in _ROWS}
        options = {name: value for name, value in given.items() if value is not None}
        with collected_notes() as notes:
            prompts = is_prompt(fields.get("data")) and verb in ("generate", "score")
            data = _table(fields)
            self._check_size(verb, data, fields)
            question = self._question(verb, options, prompts, data)
            table = self._rows(question, fields, data, options, prompts)
            prefix = str(options.get("prefix", ""))
            check_names(table.names, [*(column.name for column in question.columns), f"{prefix}{ERROR}"])
            question.look_at(table.rows, table.sources)
        task = getattr(question, "task", None) if verb == "predict" else None
        meanings = {} if task is None else column_meanings(task, prefix)
        if task is not None and options.get("standardised"):
            meanings |= standardised_meanings(task, prefix)
        return Asked(question, table, prefix, notes, meanings)

    def _question(self, verb: str, options: Mapping[str, Any], prompts: bool, data: Any) -> Question:
        names = _column_names(data) if verb in ("properties", "names") else ()
        key = json.dumps([verb, prompts, names, options], sort_keys=True)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            made = self._kept[key] = self.make(verb, options, prompts=prompts, names=names)
            while len(self._kept) > KEPT_QUESTIONS:
                self._kept.popitem(last=False)
            return made

    def make(
        self, verb: str, options: Mapping[str, Any], *, prompts: bool = False, names: Sequence[str] = ()
    ) -> Question:
        """Makes a question.

        Args:
            verb: the verb.
            options: the fields of a request that are given, without its rows.
            prompts: rows are prompts in wire syntax, and no task is used.
            names: `properties` and `names`: columns of the rows.

        Raises:
            MammalError: a field is wrong.
        """
        how = dict(options)
        columns = how.pop("columns", None)
        if verb in ("properties", "names"):
            return _of_molecules(verb, how, names)
        task = None if prompts else self._task(verb, how, columns)
        for name in ("task", "view"):
            how.pop(name, None)
        question = self._of_model(verb, task, how)
        question.reading = question.reading.with_mapping(task, columns)
        return question

    def _task(self, verb: str, how: Mapping[str, Any], columns: Any) -> Task:
        if verb == "embed" and "entity" in how:
            return self.model.find_task(entity_task(how["entity"], self.model.tokenizer), columns)
        return self.model.find_task(self.served(how.get("task")), columns, how.get("view"))

    def served(self, name: str | None) -> str | None:
        """Returns the name of the task that is meant. A file or another task of the catalogue is never opened.

        Args:
            name: name of a task. None: the only one.

        Raises:
            TaskError: no such task is served.
        """
        if name is None or (meant := meant_name(name, self.model.tasks)) is not None:
            return None if name is None else meant
        raise TaskError(f"there is no task {name!r} here", hint=did_you_mean(name, self.model.tasks, noun="task"))

    def _of_model(self, verb: str, task: Task | None, how: dict[str, Any]) -> Any:
        model = self.model
        own = (model.model, model.tokenizer, task, model.pace)
        if verb == "generate":
            return self._generate(own, how)
        if verb == "score":
            return Score(*own, **how)
        assert task is not None, "only generate and score read prompts"
        if verb == "embed":
            how.pop("entity", None)
            return Embed(model.model, task, model.pace, **how)
        if verb == "explain":
            return Explain(model.model, task, model.pace, in_float32=self.in_float32, **how)
        question = predict_question(model.model, model.tasks, task, model.pace, **how)
        if isinstance(question, FromNames):
            remember_names(question)
        return question

    def _generate(self, own: tuple[Any, ...], how: dict[str, Any]) -> Any:
        most = self.limits.max_new_tokens
        if how.get("max_new_tokens", 0) > most:
            raise TooLargeError(f"max_new_tokens is {how['max_new_tokens']}", hint=f"at most {most}")
        n, conditions, prefix = how.pop("n", 1), how.pop("conditions", None), how.pop("prefix", "")
        judge = judge_of(self.model, self.served(how.pop("rerank", None)), None, how.pop("rerank_weight", None))
        asked = Generate(*own, n=n, settings=how, conditions=conditions, prefix=prefix)
        return asked if judge is None else Reranked(asked, judge, prefix)

    def _check_size(self, verb: str, data: Any, fields: Mapping[str, Any]) -> None:
        limits, rows = self.limits, 1 if data is None else len(data)
        if verb == "explain" and rows > limits.max_explained:
            hint = f"at most {limits.max_explained:,} in one request; `mammal explain` answers files of any length"
            raise TooLargeError(f"the request has {rows:,} rows to explain", hint=hint)
        each = max(fields.get(name) or 1 for name in ("n", "num_beams", "consensus"))
        if rows * each > limits.max_rows:
            what = f"{rows:,} rows" if each == 1 else f"{rows:,} rows with {each:,} sequences each"
            hint = f"at most {limits.max_rows:,} in one request; `mammal predict` answers files of any length"
            raise TooLargeError(f"the request has {what}", hint=hint)
        count = size_of(fields)
        if count > limits.max_characters:
            hint = f"at most {limits.max_characters:,} in one request"
            raise TooLargeError(f"the request has {count:,} characters", hint=hint)

    def _rows(
        self, question: Question, fields: Mapping[str, Any], data: Any, options: Mapping[str, Any], prompts: bool
    ) -> RowTable:
        reading, targets = question.reading, fields.get("targets")
        if data is None and not reading.names:
            reading.check(())
            return RowTable([{}])
        if data is None:
            raise DataError("there are no rows", hint=f"give data or csv, with {' and '.join(reading.names)}")
        if targets is None:
            return row_table(data, reading)
        if prompts:
            return with_targets(row_table(data, ReadColumns((PROMPT,))), targets, (TARGET,))
        task = self._task("score", options, options.get("columns"))
        inputs = ReadColumns.of_task(task).with_mapping(task, options.get("columns"))
        return with_targets(row_table(data, inputs), targets, task.target_columns)


def size_of(fields: Mapping[str, Any]) -> int:
    """Number of characters in the rows of a request.

    Args:
        fields: the fields of the request.
    """
    rows = fields.get("data") or ()
    cells = (cell for row in rows for cell in (row.values() if isinstance(row, Mapping) else (row,)))
    return len(fields.get("csv") or "") + sum(len(cell) if isinstance(cell, str) else 8 for cell in cells)


def _column_names(data: Any) -> list[str]:
    """Columns of the rows; none if they are values without names."""
    if data is None:
        return []
    if hasattr(data, "columns"):
        return [str(name) for name in data.columns]
    return list(dict.fromkeys(name for row in data if isinstance(row, Mapping) for name in row))


def _table(fields: Mapping[str, Any]) -> Any:
    """The rows of a request, in a form that `row_table` reads. None: it has none."""
    data, csv = fields.get("data"), fields.get("csv")
    if data is not None and csv is not None:
        raise DataError("both data and csv are given", hint="give one of them")
    return data if csv is None else _read_csv(csv)


def _read_csv(text: str) -> pd.DataFrame:
    """Reads a table as a batch job reads its file, so that the same cells get the same answers."""
    from mammal.rows.tables import read_data

    with tempfile.TemporaryDirectory() as folder:  # only the owner can read it
        file = Path(folder) / "csv.csv"
        file.write_text(text, encoding="utf-8", errors="replace", newline="")
        try:
            return read_data(file)
        except MammalError as error:
            raise _without_path(error, str(file)) from None


def _without_path(error: MammalError, path: str) -> MammalError:
    texts = (error.what, error.where, error.hint)
    what, where, hint = (None if text is None else text.replace(path, "csv") for text in texts)
    return type(error)(what or "", where=where, hint=hint)


def _of_molecules(verb: str, how: dict[str, Any], names: Sequence[str]) -> Question:
    column, prefix = structure_column(how.get("smiles"), names or ["smiles"]), how.get("prefix", "")
    if verb == "properties":
        check_properties(how["properties"])
        return PropertyRows(column, how["properties"], workers=Workers(0), prefix=prefix)
    given, keep = how.get("names"), how["keep"]
    verify = check_names_options(given, keep)
    if given is not None:
        existing(given, names)
    return NameRows(column, given, keep=keep, verify=verify, workers=Workers(0), prefix=prefix)
