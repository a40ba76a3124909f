"""A batch job as one declaration: its input, the question, the output, and everything that its bytes depend on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mammal.errors import ConfigError, DataError
from mammal.jobs.inputs import JobInput
from mammal.jobs.layout import Layout
from mammal.jobs.manifest import Manifest
from mammal.jobs.remote_store import output_store
from mammal.jobs.store import INDEXES, Store
from mammal.jobs.tables import FORMATS, TEXT_TABLES, OutputFormat
from mammal.overwriting import refuse_overwriting
from mammal.rows.question import Question
from mammal.version import __version__

SHARD_ROWS = 10_000

Hash = Callable[[], str]
"""Function that returns a content hash. It is called after the faster checks of a job, because files can be large."""


@dataclass(frozen=True)
class JobPlan:
    """Everything in which one job differs from another. `mammal.jobs.engine.run_plan` runs it.

    Attributes:
        verb: kind of job, as recorded in its manifest.
        given: the input.
        question: answers the rows of a shard. Its `reading` lists the columns of the input that it reads, its `columns`
            the columns that the output gains, its `recorded_options` the options that the manifest records, and its
            `uses` the models that are warmed up.
        output: the file that the job writes; a path that ends with `/`: a folder of Parquet parts; or a URL.
        prefix: text before the names of the two columns that the errors file adds. The columns of the question already
            have it.
        shard_rows: rows that are written together.
        options: options that the manifest records in addition to `question.recorded_options`, `prefix` and
            `shard_rows`.
        hashes: options whose value is the content hash of a file.
        bundle: content hash of the model, or of another file that all answers depend on. None: there is none.
        versions: versions of the packages that answers depend on, without this package.
        meanings: added column -> what its values are; the manifest and a Parquet output record it.
        units: added column -> unit of its numbers; a Parquet output records it.
        form: how the output is written. None: as a table, in the format of its suffix.
        workers: returns a context that is entered before the first row is answered and left after the last one. It
            starts and ends the processes that the question uses.
        keep_rows: rows without an answer stay in the output, in their place, with empty answers and the reason in a
            column `error`. None: in .csv and .tsv files.
        reads: further files and folders that are read, by what they are. The output must not replace them.
    """

    verb: str
    given: JobInput
    question: Question
    output: str | os.PathLike[str]
    prefix: str = ""
    shard_rows: int = SHARD_ROWS
    options: Mapping[str, Any] = field(default_factory=dict)
    hashes: Mapping[str, Hash] = field(default_factory=dict)
    bundle: Hash | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    form: OutputFormat | None = None
    workers: Callable[[], AbstractContextManager[object]] = nullcontext
    keep_rows: bool | None = None
    reads: Mapping[str, str | os.PathLike[str]] = field(default_factory=dict)

    @cached_property
    def layout(self) -> Layout:
        """Columns of the output and of the errors file.

        Raises:
            DataError: the input already has a column that is to be added.
        """
        shown = (self.meanings, self.units, self.given.has_origins)
        with _named_in_errors(self.given):
            return Layout(self.given.schema, self.question.columns, self.prefix, self.keeps_rows, *shown)

    @property
    def keeps_rows(self) -> bool:
        """Whether rows without an answer stay in the output."""
        if self.keep_rows is None:
            return self.form is None and Path(self.output).suffix in TEXT_TABLES
        return self.keep_rows

    def check(self) -> None:
        """Refuses what can't be, before any file is hashed or written.

        Raises:
            DataError: the input lacks a column that is read, or has one that is to be added.
            ConfigError: a shard has less than one row, `keep_rows` has no meaning, or the output would replace a file
                that is read.
            JobError: the format of the output is unknown, or can't hold the answers.
        """
        refuse_overwriting(self.store.written, self._read)
        if (url := self.store.written_url) is not None and url in self.given.urls:
            what = f"the output {url} would replace the input"
            raise ConfigError(what, where=url, hint="choose another output; nothing was changed")
        _ = self.sources  # refuses an input that lacks a column
        if self.keep_rows not in (None, True, False):
            raise ConfigError(f"keep_rows must be true, false or null, not {self.keep_rows!r}")
        if self.keep_rows and self.form is not None:
            hint = "write a table: " + ", ".join(FORMATS)
            raise ConfigError("keep_rows=true is for tables", where=str(self.output), hint=hint)
        self.store.form.check(self.store.output, self.layout.schema)
        if self.shard_rows < 1:
            raise ConfigError(f"shard_rows must be at least 1, not {self.shard_rows}")

    @property
    def _read(self) -> dict[str, str | os.PathLike[str]]:
        given: dict[str, str | os.PathLike[str]] = {}
        for what, file in self.given.local_files.items():
            given |= {what: file, **indexes(file)}
        return {**given, **self.reads}

    @cached_property
    def sources(self) -> Mapping[str, str]:
        """Column that the question reads -> the input's column that is read for it, where they differ.

        Raises:
            DataError: the input lacks a column that is read.
        """
        with _named_in_errors(self.given):
            return self.question.reading.check(self.given.schema.names)

    @cached_property
    def store(self) -> Store:
        """The files of the output."""
        return output_store(self.output, self.form)

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of this job. It is computed on first use, which reads the files that are hashed."""
        options = {
            **({"keep_rows": True} if self.keeps_rows else {}),
            **({} if self.given.encoding is None else {"encoding": self.given.encoding}),
            **self.options,
            **{name: content_hash() for name, content_hash in self.hashes.items()},
            **self.question.recorded_options,
            "prefix": self.prefix,
            "shard_rows": self.shard_rows,
        }
        bundle = "" if self.bundle is None else self.bundle()
        versions = {"mammal": __version__, **self.versions}
        made = Manifest(self.verb, self.given.fingerprint, bundle, options, versions)
        return replace(made, meanings=self.meanings or None, files=self.given.hashes)


@contextmanager
def _named_in_errors(given: JobInput) -> Iterator[None]:
    """Adds the name of the file to errors about the columns of one file."""
    try:
        yield
    except DataError as error:
        if error.where is not None or len([*given.local_files, *given.urls]) != 1:
            raise
        raise type(error)(error.what, where=given.name, hint=error.hint) from error


def indexes(file: Path) -> dict[str, Path]:
    """Returns the indexes of a file that exist, by what they are."""
    found = {suffix: file.with_name(f"{file.name}{suffix}") for suffix in (*INDEXES, ".fai", ".gzi")}
    return {f"index of {file.name} ({suffix})": path for suffix, path in found.items() if path.exists()}
