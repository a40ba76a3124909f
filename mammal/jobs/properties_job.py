"""The job that adds properties of molecules to a table, for tasks whose conditions they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mammal.errors import ConfigError, MammalError
from mammal.jobs.engine import Engine, Follow, JobReport
from mammal.jobs.layout import Layout
from mammal.jobs.manifest import Manifest
from mammal.jobs.store import Store
from mammal.jobs.structures import open_structures, structure_column, structure_text, worker_count
from mammal.jobs.tables import check_output
from mammal.jobs.workers import Crew
from mammal.rows.answer_columns import AnswerColumn
from mammal.rows.batched import Refused
from mammal.rows.question import Record
from mammal.tasks.molecules.properties import compute_all, property_of

SHARD_ROWS = 20_000
PROPERTIES = ("mw", "logp", "qed", "tpsa")
"""Those that are added unless others are asked for."""


class PropertyRows:
    """Gives each row the properties of its molecule.

    Args:
        smiles: column of the structures.
        properties: names of `mammal.tasks.molecules.properties`.
        prefix: put before the names of the columns.
    """

    def __init__(self, smiles: str, properties: Sequence[str], *, crew: Crew, prefix: str = ""):
        self._smiles, self._crew = smiles, crew
        self._work = partial(_properties, tuple(properties))
        self.columns: Sequence[AnswerColumn] = [AnswerColumn(f"{prefix}{name}", "number") for name in properties]

    def ask(
        self, rows: Sequence[Mapping[str, Any]], *, first: int = 0, progress: Callable[[int], None] | None = None
    ) -> list[list[Record] | Refused]:
        found = self._crew.each_of(self._work, [structure_text(row[self._smiles]) for row in rows])
        answers: list[list[Record] | Refused] = [Refused(f) if isinstance(f, str) else [f] for f in found]
        if progress is not None:
            progress(len(rows))
        return answers


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
    target, count = Path(output).expanduser(), worker_count(workers)
    with open_structures(input) as given, Crew(count) as crew:
        column = structure_column(smiles, given.schema.names)
        answerer = PropertyRows(column, properties, crew=crew, prefix=prefix)
        layout = Layout(given.schema, answerer.columns, prefix)
        check_output(target, layout.schema)
        told = {"smiles": column, "properties": list(properties), "prefix": prefix, "shard_rows": shard_rows}
        versions = {name: version(name) for name in ("mammal", "rdkit")}
        manifest = Manifest("properties", given.fingerprint, "", told, versions)
        engine = Engine(answerer, given, [column], layout, Store(target))
        return engine.go(manifest, shard_rows=shard_rows, resume=resume, progress=progress)


def _properties(names: tuple[str, ...], smiles: str) -> tuple[float, ...] | str:
    """The numbers, or why there are none."""
    try:
        return compute_all(smiles, names)
    except MammalError as error:
        return str(error)
