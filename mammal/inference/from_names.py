"""Predictions for molecules that a table holds by their names: names are read first, then the task is asked as ever.

    model.predict("compounds.csv", "bbbp", names="iupac_name")

Rows that have a SMILES keep it; for the others the name is read by OPSIN, or by the bundle's own task
`iupac_to_smiles`, and what was read is in the column `smiles_read`. A name of which OPSIN is not sure is set aside, or
answered with the doubt in the column `name_warning` (`name_warning=True`). A task whose prompt shows names itself
(`{mol:molecule}`) is given them as they are.
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
from mammal.rows.question import Question, TaskQuestion, Wrapped
from mammal.rows.task_choice import changed_task
from mammal.tasks.tables.cells import as_text, is_missing

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.rows.tables import ReadColumns
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

SMILES_READ = "smiles_read"
NAME_WARNING = "name_warning"
NAMES_BY = ("auto", "opsin", "model")
READING_TASK = "iupac_to_smiles"
"""The bundle's task that reads names where OPSIN is not to, or can't."""


class ReadName(NamedTuple):
    """A molecule that was read from a name.

    Attributes:
        smiles: canonical SMILES.
        warning: why it may not be what the name means; None: no doubt.
    """

    smiles: str
    warning: str | None = None


class NameReader(ABC):
    """Whoever makes molecules of names.

    Attributes:
        identity: who, as a job's manifest records it.
        questions: what it asks the model.
    """

    identity: str
    questions: Sequence[Question] = ()

    @abstractmethod
    def read(self, names: Sequence[str]) -> list[ReadName | Refused]:
        """The molecule of each name, or why there is none."""


class OpsinReader(NameReader):
    """OPSIN (Lowe et al. 2011), in the release that py2opsin ships: one start of Java for any number of names."""

    def __init__(self) -> None:
        from importlib.metadata import version

        self.identity = f"opsin of py2opsin {version('py2opsin')}"

    def read(self, names: Sequence[str]) -> list[ReadName | Refused]:
        from mammal.tasks.molecules.chemistry import canonical_or_none
        from mammal.tasks.names.structures import read_structures

        found: list[ReadName | Refused] = []
        for _, reading in read_structures(names):
            smiles = None if reading.smiles is None else canonical_or_none(reading.smiles)
            why = f"OPSIN: {reading.reason or 'a structure that RDKit refuses'}"
            found.append(ReadName(smiles, reading.warning) if smiles else Refused(why))
        return found


class ModelReader(NameReader):
    """The model itself: the first of its answers, by beam search, that is a molecule.

    Args:
        task: reads one column of names and answers with one of molecules.
    """

    def __init__(self, model: MammalModel, task: Task, pace: Pace):
        if len(task.columns) != 1 or not task.target_is_text:
            raise TaskError(f"{task.name} does not make a molecule of a name", hint=f"a task such as {READING_TASK}")
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
    """A question whose molecules come from a column of names where they have no SMILES.

    Args:
        inner: the question as it is asked of SMILES.
        names: the column of names.
        prefix: put before the names of the columns about what was read.
        name_warning: answer names that are read with a doubt, which a column then gives, in place of refusing them.
    """

    task: Task

    def __init__(
        self, inner: TaskQuestion, names: str, reader: NameReader, prefix: str = "", *, name_warning: bool = False
    ):
        assert inner.task is not None, "prompts hold no molecules by name"
        self.model, self.inner, self.task, self.names, self.reader = inner.model, inner, inner.task, names, reader
        self.column = _molecule_column(inner.task)
        reading = inner.reading
        columns = list(dict.fromkeys(names if name == self.column else name for name in reading.names))
        self.reading = replace(reading, names=columns, beside=[*reading.beside, self.column])
        self.name_warning = name_warning
        own = [SMILES_READ, *([NAME_WARNING] if name_warning else [])]
        self.columns = [*(AnswerColumn(f"{prefix}{name}", "text") for name in own), *inner.columns]
        self.told = {"names": names, "names_by": reader.identity, **({"name_warning": True} if name_warning else {})}
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
        """What the names say, of the rows that have no SMILES; each different name is read once."""
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
        """What was read, refused if it is doubtful and doubts have no column."""
        if isinstance(read, Refused) or read.warning is None or self.name_warning:
            return read
        return Refused(f"{read.warning} (read as {read.smiles}; {NAME_WARNING}=true answers such names)")

    def _with_molecule(self, answer: list[Record] | Refused, read: ReadName | Refused | None) -> list[Record] | Refused:
        molecule = read if isinstance(read, ReadName) else None
        if isinstance(answer, Refused):
            return answer if molecule is None else Refused(f"{answer.reason} (the name was read as {molecule.smiles})")
        own = (None, None) if molecule is None else tuple(molecule)
        return [(*own[: 2 if self.name_warning else 1], *record) for record in answer]

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
    """What `predict` asks, of SMILES or of names.

    Args:
        own: the bundle's tasks, among which one may read names.
        names: column of names, for rows without a SMILES; None: there is none.
        names_by: who reads them: `opsin`, `model`, or `auto`: a prompt that shows names gets them as they are, else
            OPSIN where it can be asked, else the bundle's own task.
        name_warning: answer names that are read with a doubt, and give the doubt in a column of that name.
        how: see `Predict`.

    Raises:
        ConfigError, TaskError: names can't be read as asked, or the task reads no molecule, or several.
    """
    by = "auto" if names_by is None else names_by
    if by not in NAMES_BY:
        raise ConfigError(f"names_by is {by!r}", hint=did_you_mean(by, NAMES_BY, noun="reader"))
    if names is None:
        if by != "auto":
            raise ConfigError("names_by says who reads names, and no column of names is given", hint="names=COLUMN")
        if name_warning:
            raise ConfigError("name_warning is about names, and no column of names is given", hint="names=COLUMN")
        return Predict(model, task, pace, prefix=prefix, **how)
    if not isinstance(names, str):
        raise ConfigError(f"names is {names!r}, not one column", hint="names=iupac_name")
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
        raise TaskError(f"this model has no task {READING_TASK}", hint="names_by=opsin, or a bundle that learned it")
    hint = f"{why.hint}; or a bundle with a task {READING_TASK}, which reads names itself"
    raise DataError(f"names can't be read: {why.what}", hint=hint)


def _shows_names(task: Task) -> str | None:
    """What `data.columns` calls the column of names that the task's prompt shows; None where it shows none."""
    for slot in task.views.values():
        if len(slot.ways) > 1 and any(view.written_as == "iupac" for view in slot.settled_views):
            return f"{slot.column}.iupac"
    return None


def _with_names(reading: ReadColumns, names: str) -> ReadColumns:
    """The same columns, of which that of names must be there, and is the one that values without a column are of."""
    groups = [(column, *reading.others.get(column, ())) for column in reading.names]
    own = next(group for group in groups if names in group)
    columns = dict.fromkeys(names if group is own else group[0] for group in groups)
    others = {column: more for column, more in reading.others.items() if column != own[0]}
    return replace(reading, names=list(columns), others=others, beside=[*reading.beside, *own])


def _molecule_column(task: Task) -> str:
    molecules = [column for column in task.identities if column in task.molecules]
    if len(molecules) == 1:
        return molecules[0]
    told = f"{len(molecules)} molecules ({', '.join(molecules)})" if molecules else "no molecule"
    hint = "leave out names=; columns= says what the table calls the columns that a task reads"
    raise TaskError(f"{task.name} reads {told}: names stand for one", hint=hint)
