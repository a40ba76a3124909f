"""A batch job as one declaration: its input, the question, the output, and everything that its bytes depend on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mammal.jobs.inputs import JobInput
from mammal.jobs.layout import Layout
from mammal.jobs.manifest import Manifest
from mammal.jobs.store import Store
from mammal.jobs.tables import OutputFormat
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
            the columns that the output gains, its `told` the options that the manifest records, and its `uses` the
            models that are warmed up.
        output: the file that the job writes.
        prefix: text before the names of the two columns that the errors file adds. The columns of the question already
            have it.
        shard_rows: rows that are written together.
        options: options that the manifest records in addition to `question.told`, `prefix` and `shard_rows`.
        hashes: options whose value is the content hash of a file.
        bundle: content hash of the model, or of another file that all answers depend on. None: there is none.
        versions: versions of the packages that answers depend on, without this package.
        meanings: added column -> what its values are; the manifest records it.
        form: how the output is written. None: as a table, in the format of its suffix.
        workers: returns a context that is entered before the first row is answered and left after the last one. It
            starts and ends the processes that the question uses.
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
    form: OutputFormat | None = None
    workers: Callable[[], AbstractContextManager[None]] = nullcontext

    @cached_property
    def layout(self) -> Layout:
        """Columns of the output and of the errors file.

        Raises:
            DataError: the input already has a column that is to be added.
        """
        return Layout(self.given.schema, self.question.columns, self.prefix)

    @cached_property
    def store(self) -> Store:
        """The files of the output."""
        return Store(Path(self.output).expanduser(), self.form)

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of this job. It is computed on first use, which reads the files that are hashed."""
        options = {
            **self.options,
            **{name: content_hash() for name, content_hash in self.hashes.items()},
            **self.question.told,
            "prefix": self.prefix,
            "shard_rows": self.shard_rows,
        }
        bundle = "" if self.bundle is None else self.bundle()
        versions = {"mammal": __version__, **self.versions}
        return Manifest(self.verb, self.given.fingerprint, bundle, options, versions, meanings=self.meanings or None)
