"""The job that adds properties of molecules to a table, for tasks whose conditions they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version

from mammal.errors import ConfigError, MammalError
from mammal.jobs.engine import Follow, JobReport, run_plan
from mammal.jobs.plan import JobPlan
from mammal.jobs.structures import open_structures, structure_text
from mammal.jobs.workers import Crew
from mammal.rows.answer_columns import AnswerColumn, Record
from mammal.rows.batched import Refused, Row
from mammal.rows.question import Computed
from mammal.rows.tables import ReadColumns
from mammal.tasks.molecules.properties import compute_all, property_of

SHARD_ROWS = 20_000
PROPERTIES = ("mw", "logp", "qed", "tpsa")
"""Those that are added unless others are asked for."""


class PropertyRows(Computed):
    """Gives each row the properties of its molecule.

    Args:
        smiles: column of the structures.
        properties: names of `mammal.tasks.molecules.properties`.
        crew: the processes that work on the molecules.
        prefix: put before the names of the columns.
    """

    def __init__(self, smiles: str, properties: Sequence[str], *, crew: Crew, prefix: str = ""):
        self._smiles, self._crew = smiles, crew
        self._work = partial(_properties, tuple(properties))
        self.reading = ReadColumns((smiles,))
        self.columns = [AnswerColumn(f"{prefix}{name}", "number") for name in properties]
        self.told = {"smiles": smiles, "properties": list(properties)}

    def answers(self, rows: Sequence[Row]) -> list[list[Record] | Refused]:
        found = self._crew.each_of(self._work, [structure_text(row[self._smiles]) for row in rows])
        return [Refused(given) if isinstance(given, str) else [given] for given in found]


def properties_job(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    properties: Sequence[str] = PROPERTIES,
    smiles: str | None = None,
    workers: int | None = None,
    prefix: str = "",
    shard_rows: int = SHARD_ROWS,
    resume: bool = True,
    progress: Follow | None = None,
) -> JobReport:
    """Adds a column for each property, with the promises of `mammal.jobs.run_job`.

    Args:
        input: a table with structures; or `chemicals`, the compounds of that package.
        output: .parquet, .csv, .tsv or .jsonl.
        properties: names of `mammal.tasks.molecules.properties.PROPERTIES`.
        smiles: column of the structures; default: the one called `smiles`, in whatever case.
        workers: processes that compute; default: one a core. 0: none but this one.
        prefix: put before the names of the columns that are added.

    Raises:
        TaskError: there is no such property.
        JobError: the output stands and was made otherwise, is being written by another run, or can't be written.
        MammalError: an option or the input is wrong.
    """
    if not properties:
        raise ConfigError("no property is asked for", hint=f"properties=[{','.join(PROPERTIES)}]")
    for name in properties:
        property_of(name)
    with open_structures(input, smiles=smiles, workers=workers) as found:
        question = PropertyRows(found.column, properties, crew=found.crew, prefix=prefix)
        versions = {"rdkit": version("rdkit")}
        plan = JobPlan(
            "properties", found.given, question, output, prefix=prefix, shard_rows=shard_rows, versions=versions
        )
        return run_plan(plan, resume=resume, progress=progress)


def _properties(names: tuple[str, ...], smiles: str) -> tuple[float, ...] | str:
    """The numbers, or why there are none."""
    try:
        return compute_all(smiles, names)
    except MammalError as error:
        return str(error)
