"""Predictions for molecules that a table contains by name. Molecules are read from the names before the task is run.

    model.predict("compounds.csv", "bbbp", names="iupac_name")

A row with a SMILES keeps it. For other rows, the name is read by OPSIN or by the task `iupac_to_smiles` of the bundle,
and the column `smiles_read` has the molecule that was read. If OPSIN is not sure about a name, the row gets an error.
With `name_warning=True` it gets an answer instead, and the column `name_warning` has the doubt. If the prompt of a task
shows names (`{mol:molecule}`), it gets the names unchanged.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from mammal.errors import ConfigError, DataError, TaskError, did_you_mean
from mammal.inference.questions import Predict
from mammal.rows.answer_columns import AnswerColumn, Record
from mammal.rows.batched import Pace, Progress, Refused, Row
from mammal.rows.cut_rows import CutRecords, mark_cut
from mammal.rows.question import Question, TaskQuestion, Wrapped
from mammal.rows.task_choice import changed_task
from mammal.tasks.tables.cells import as_text, is_missing

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.rows.read_columns import ReadColumns
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

SMILES_READ = "smiles_read"
NAME_WARNING = "name_warning"
NAMES_BY = ("auto", "opsin", "model")
READING_TASK = "iupac_to_smiles"
"""Task of a bundle that reads names if OPSIN is not requested or not installed."""


class ReadName(NamedTuple):
    """A molecule that was read from a name.

    Attributes:
        smiles: canonical SMILES.
        warning: why the name may mean another molecule. None: there is no doubt.
    """

    smiles: str
    warning: str | None = None


class NameReader(ABC):
    """Reads molecules from names.

    Attributes:
        identity: name of the reader, which the manifest of a job records.
        questions: questions that it asks the model.
    """

    identity: str
    questions: Sequence[Question] = ()

    @abstractmethod
    def read(self, names: Sequence[str]) -> list[ReadName | Refused]:
        """Returns for each name its molecule, or the reason why it can't be read."""


class OpsinReader(NameReader):
    """Reads names with OPSIN (Lowe et al. 2011), in the release that py2opsin ships. Java is started once per call."""

    def __init__(self) -> None:
        from importlib.metadata import version

        self.identity = f"opsin of py2opsin {version('py2opsin')}"

    def read(self, names: Sequence[str]) -> list[ReadName | Refused]:
        from mammal.tasks.molecules.chemistry import canonical_or_none
        from mammal.tasks.names.structures import read_structures

        found: list[ReadName | Refused] = []
        for _, reading in read_structures(names):
            smiles = None if reading.smiles is None else canonical_or_none(reading.smiles)
            why = f"OPSIN: {reading.reason or 'RDKit rejects the structure'}"
            found.append(ReadName(smiles, reading.warning) if smiles else Refused(why))
        return found


class ModelReader(NameReader):
    """Reads names with the model: takes the first of its answers by beam search that is a molecule.

    Args:
        model: the model.
        task: task that reads one column of names and answers with a molecule.
        pace: how many rows are processed together.

    Raises:
        TaskError: the task reads several columns, or does not answer with text.
    """

    def __init__(self, model: MammalModel, task: Task, pace: Pace):
        if len(task.columns) != 1 or not task.target_is_text:
            raise TaskError(f"{task.name} does not read a molecule from a name", hint=f"a task such as {READING_TASK}")
        self.model, self.task, self.pace = model, task, pace
        self.identity = f"task {task.name} of the bundle"
        self.questions = (Predict(model, task, pace),)

    def read(self, names: Sequence[str]) -> list[ReadName | Refused]:
        from mammal.inference.predict import predict_rows
        from mammal.tasks.molecules.chemistry import canonical_or_none

        (column,) = self.task.columns
        ranks = max(1, self.task.config.generation.num_beams)
        rows = [{column: name} for name in names]
        found: list[ReadName | Refused] = []
        for said in predict_rows(self.model, self.task, rows, pace=self.pace, ranks=ranks):
            texts = (answer.text or "" for answer in (said, *said.runners_up))
            smiles = next(filter(None, map(canonical_or_none, texts)), None)
            why = said.error or f"{self.task.name} wrote no molecule for it"
            found.append(ReadName(smiles) if smiles else Refused(why))
        return found


class FromNames(Wrapped):
    """A question about molecules, which are read from a column of names in rows without a SMILES.

    Args:
        inner: the question that reads SMILES.
        names: column of names.
        reader: reads the names.
        prefix: text before the names of the columns `smiles_read` and `name_warning`.
        name_warning: also answer names that are read with a doubt, which the column `name_warning` then has. Default:
            such rows are refused.

    Raises:
        TaskError: the task reads no molecule, or several.
    """

    task: Task

    def __init__(
        self, inner: TaskQuestion, names: str, reader: NameReader, prefix: str = "", *, name_warning: bool = False
    ):
        assert inner.task is not None, "prompts hold no molecules by name"
        self.model, self.inner, self.task, self.names, self.reader = inner.model, inner, inner.task, names, reader
        self.column = _molecule_column(inner.task)
        self.reading = inner.reading.from_names(self.column, names)
        self.name_warning = name_warning
        own = [SMILES_READ, *([NAME_WARNING] if name_warning else [])]
        self.columns = [*(AnswerColumn(f"{prefix}{name}", "text") for name in own), *inner.columns]
        warns = {"name_warning": True} if name_warning else {}
        self.recorded_options = {"names": names, "names_by": reader.identity, **warns}
        self.helpers = reader.questions

    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        read = self._read(rows)
        known = [i for i in range(len(rows)) if not isinstance(read.get(i), Refused)]
        molecules = {i: said.smiles for i, said in read.items() if isinstance(said, ReadName)}
        asked = [{**rows[i], self.column: molecules[i]} if i in molecules else rows[i] for i in known]
        if progress is not None and len(known) < len(rows):
            progress(len(rows) - len(known))
        given: dict[int, list[Record] | Refused] = {i: said for i, said in read.items() if isinstance(said, Refused)}
        for i, answer in zip(known, self.inner.ask(asked, first=first, progress=progress), strict=True):
            given[i] = self._with_molecule(answer, read.get(i))
        return [given[i] for i in range(len(rows))]

    def _read(self, rows: Sequence[Row]) -> dict[int, ReadName | Refused]:
        """Reads the names of the rows without a SMILES, each different name once. Keys are positions of rows."""
        without = [i for i, row in enumerate(rows) if is_missing(self._smiles(row))]
        cells = {i: rows[i].get(self.names) for i in without}
        named = {i: as_text(cell) for i, cell in cells.items() if not is_missing(cell)}
        different = list(dict.fromkeys(named.values()))
        said = dict(zip(different, self.reader.read(different) if different else (), strict=True))
        found: dict[int, ReadName | Refused] = {}
        for i in without:
            answer = self._sure(said[named[i]]) if i in named else Refused("neither a SMILES nor a name")
            place = f"column {self.names}: {named[i]!r}" if i in named else f"columns {self.column} and {self.names}"
            found[i] = Refused(f"{place}: {answer.reason}") if isinstance(answer, Refused) else answer
        return found

    def _sure(self, read: ReadName | Refused) -> ReadName | Refused:
        """Refuses a molecule that was read with a doubt, unless there is a column for doubts."""
        if isinstance(read, Refused) or read.warning is None or self.name_warning:
            return read
        return Refused(f"{read.warning} (read as {read.smiles}; {NAME_WARNING}=true answers such names)")

    def _with_molecule(self, answer: list[Record] | Refused, read: ReadName | Refused | None) -> list[Record] | Refused:
        molecule = read if isinstance(read, ReadName) else None
        if isinstance(answer, Refused):
            return answer if molecule is None else Refused(f"{answer.reason} (the name was read as {molecule.smiles})")
        own = (None, None) if molecule is None else tuple(molecule)
        records = [(*own[: 2 if self.name_warning else 1], *record) for record in answer]
        return mark_cut(records, cut=isinstance(answer, CutRecords))

    def _smiles(self, row: Row) -> Any:
        return row.get(self.column, row.get(self.task.aliases.get(self.column, self.column)))


def predict_question(
    model: MammalModel,
    own: Mapping[str, Task],
    task: Task,
    pace: Pace,
    *,
    names: str | None = None,
    names_by: str | None = None,
    name_warning: bool = False,
    prefix: str = "",
    **how: Any,
) -> TaskQuestion:
    """Returns the question of `predict`, for tables with SMILES or with names.

    Args:
        model: the model that answers.
        own: tasks of the bundle, by name. One of them may read names.
        task: the task.
        pace: how many rows are processed together.
        names: column of names, for rows without a SMILES. None: there is none.
        names_by: what reads the names: `opsin`, `model`, or `auto`: a prompt that shows names gets them unchanged;
            otherwise OPSIN if it is installed, else the task of the bundle. Default: `auto`.
        name_warning: also answer names that are read with a doubt, which the column `name_warning` then has.
        prefix: text before the names of the added columns.
        how: further arguments of `Predict`.

    Raises:
        ConfigError: an argument is wrong, or is given without `names`.
        TaskError: the bundle has no task that reads names, or the task reads no molecule, or several.
        DataError: names can't be read because OPSIN or Java is missing.
    """
    by = "auto" if names_by is None else names_by
    if by not in NAMES_BY:
        raise ConfigError(f"names_by can't be {by!r}", hint=did_you_mean(by, NAMES_BY, noun="reader"))
    if names is None:
        if by != "auto":
            raise ConfigError("names_by needs a column of names, and none is given", hint="names=COLUMN")
        if name_warning:
            raise ConfigError("name_warning needs a column of names, and none is given", hint="names=COLUMN")
        return Predict(model, task, pace, prefix=prefix, **how)
    if not isinstance(names, str):
        raise ConfigError(f"names is {names!r}, but must be the name of one column", hint="names=iupac_name")
    if by == "auto" and (key := _shows_names(task)) is not None:
        shown = Predict(model, changed_task(task, {"data": {"columns": {key: names}}}), pace, prefix=prefix, **how)
        shown.reading = _with_names(shown.reading, names)
        return shown
    asked = Predict(model, task, pace, prefix=prefix, **how)
    question = FromNames(asked, names, _reader(by, model, own, pace), prefix, name_warning=name_warning)
    logger.info("molecules without a SMILES are read from %s by %s", names, question.reader.identity)
    return question


def _reader(by: str, model: MammalModel, own: Mapping[str, Task], pace: Pace) -> NameReader:
    from mammal.tasks.names import opsin

    why = opsin.why_missing() if by in ("auto", "opsin") else None
    if by != "model" and why is None:
        return OpsinReader()
    if by == "opsin" and why is not None:
        raise why
    if READING_TASK in own:
        return ModelReader(model, own[READING_TASK], pace)
    if why is None:
        raise TaskError(f"this model has no task {READING_TASK}", hint="names_by=opsin, or a bundle with that task")
    hint = f"{why.hint}; or use a bundle with a task {READING_TASK}, which reads names with the model"
    raise DataError(f"names can't be read: {why.what}", hint=hint)


def _shows_names(task: Task) -> str | None:
    """Key in `data.columns` of the column of names that the prompt of a task shows. None: it shows no names."""
    for slot in task.views.values():
        if len(slot.ways) > 1 and any(view.written_as == "iupac" for view in slot.fixed_views):
            return f"{slot.column}.iupac"
    return None


def _with_names(reading: ReadColumns, names: str) -> ReadColumns:
    """Makes the column of names required. A list of values without column names then contains these names."""
    groups = [(column, *reading.others.get(column, ())) for column in reading.names]
    own = next(group for group in groups if names in group)
    columns = dict.fromkeys(names if group is own else group[0] for group in groups)
    others = {column: more for column, more in reading.others.items() if column != own[0]}
    return replace(reading, names=list(columns), others=others, beside=[*reading.beside, *own])


def _molecule_column(task: Task) -> str:
    molecules = [column for column in task.identities if column in task.molecules]
    if len(molecules) == 1:
        return molecules[0]
    read = f"{len(molecules)} molecules ({', '.join(molecules)})" if molecules else "no molecule"
    hint = "leave out names=; with columns= you name the columns of your table that a task reads"
    raise TaskError(f"{task.name} reads {read}: names= works only for a task that reads one molecule", hint=hint)
