"""The job that adds properties of molecules to a table, for tasks that use them as conditions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

from mammal.errors import ConfigError, MammalError
from mammal.jobs.engine import Follow, JobReport
from mammal.jobs.inputs import Given, JobInput
from mammal.jobs.plan import JobPlan
from mammal.jobs.ray_settings import ray_settings_of
from mammal.jobs.structures import open_structures, sdf_format, structure_text
from mammal.jobs.structures_run import StructuresRun
from mammal.jobs.workers import Workers
from mammal.rows.answer_columns import AnswerColumn, Record
from mammal.rows.batched import Refused, Row
from mammal.rows.question import Computed
from mammal.rows.read_columns import ReadColumns
from mammal.tasks.molecules.properties import compute_all, property_of

SHARD_ROWS = 20_000
PROPERTIES = ("mw", "logp", "qed", "tpsa")
"""Properties that are added by default."""


class PropertyRows(Computed):
    """Answers each row with properties of its molecule.

    Args:
        smiles: column of the structures.
        properties: names of `mammal.tasks.molecules.properties.PROPERTIES`.
        workers: the processes that work on the molecules.
        prefix: text before the names of the added columns.
    """

    def __init__(self, smiles: str, properties: Sequence[str], *, workers: Workers, prefix: str = ""):
        self._smiles, self._workers = smiles, workers
        self._work = partial(_properties, tuple(properties))
        self.reading = ReadColumns((smiles,))
        self.columns = [AnswerColumn(f"{prefix}{name}", "number") for name in properties]
        self.recorded_options = {"smiles": smiles, "properties": list(properties)}

    def answers(self, rows: Sequence[Row]) -> list[list[Record] | Refused]:
        found = self._workers.each_of(self._work, [structure_text(row[self._smiles]) for row in rows])
        return [Refused(given) if isinstance(given, str) else [given] for given in found]


def properties_job(
    input: Given,
    output: str | os.PathLike[str],
    *,
    properties: Sequence[str] = PROPERTIES,
    smiles: str | None = None,
    encoding: str | None = None,
    file_column: str | None = None,
    workers: int | None = None,
    prefix: str = "",
    shard_rows: int = SHARD_ROWS,
    keep_rows: bool | None = None,
    resume: bool = True,
    progress: Follow | None = None,
    engine: str = "local",
    ray: Mapping[str, Any] | None = None,
) -> JobReport:
    """Adds a column for each property. The job can be stopped and continued like `mammal.jobs.run_job`.

    Args:
        input: a table with structures, or several, as for `mammal.jobs.run_job`; or `chemicals` for the compounds of
            that package.
        output: file or folder to write, as for `mammal.jobs.run_job`.
        properties: names of `mammal.tasks.molecules.properties.PROPERTIES`. Default: mw, logp, qed, tpsa.
        smiles: column of the structures. Default: the column called `smiles` in upper or lower case.
        encoding: encoding of the input, such as `latin-1`, if it is a text file. Default: UTF-8, or UTF-16 with a byte
            order mark.
        file_column: name of an added column with the name of the input file that a row comes from. Default: none.
        workers: processes that compute; with `engine="ray"`, processes of each actor. Default: one per core. 0: only
            the current process, or the actor.
        prefix: text before the names of the added columns.
        shard_rows: rows that are written together. Default: 20,000.
        keep_rows: rows without an answer stay in the output, in their place, with empty answers and the reason in a
            column `error`. False: they are only in the errors file. Default: True for .csv and .tsv, else False.
        resume: continue an earlier job of the same output. False: start again.
        progress: function that is called with a `JobProgress` after each shard.
        engine: `"local"`: processes of this machine compute. `"ray"`: actors of Ray do, and this process reads and
            writes. The output has the same bytes.
        ray: settings of `engine="ray"`: `address`, `actors` and `cpus` (`mammal.jobs.ray_settings`).

    Returns:
        Number of rows with and without properties, and the files that were written.

    Raises:
        TaskError: there is no such property.
        JobError: the output exists and belongs to another job, is being written by another process, or can't be
            written.
        MammalError: an option or the input is wrong.
    """
    check_properties(properties)
    run = StructuresRun(ray_settings_of(engine, ray), workers, resume, progress)
    opened: dict[str, Any] = {"encoding": encoding, "file_column": file_column, "output": output}
    with open_structures(input, smiles=smiles, **opened) as found:
        options: dict[str, Any] = {"column": found.column, "properties": list(properties), "prefix": prefix}
        options |= {"output": output, "shard_rows": shard_rows, "keep_rows": keep_rows}
        return run(properties_plan, found.given, options)


def properties_plan(
    given: JobInput, output: str | os.PathLike[str], column: str, properties: Sequence[str], workers: int, **how: Any
) -> JobPlan:
    """Returns the plan of a job that adds properties.

    Args:
        given: the input.
        output: as for `properties_job`.
        column: column of the structures.
        properties: as for `properties_job`.
        workers: number of processes that compute. 0: the current one.
        **how: `prefix`, `shard_rows` and `keep_rows`, as for `properties_job`.
    """
    processes = Workers(workers)
    question = PropertyRows(column, properties, workers=processes, prefix=how["prefix"])
    versions, form = {"rdkit": version("rdkit")}, sdf_format(output, given, column)
    return JobPlan(
        "properties", given, question, output, versions=versions, form=form, workers=lambda: processes, **how
    )


def check_properties(names: Sequence[str]) -> None:
    """Checks that all properties exist.

    Args:
        names: names of properties.

    Raises:
        ConfigError: there is no name.
        TaskError: there is no such property.
    """
    if not names:
        raise ConfigError("the list of properties is empty", hint=f"properties=[{','.join(PROPERTIES)}]")
    for name in names:
        property_of(name)


def _properties(names: tuple[str, ...], smiles: str) -> tuple[float, ...] | str:
    """Returns the values of the properties, or the reason why they can't be computed."""
    try:
        return compute_all(smiles, names)
    except MammalError as error:
        return str(error)
