"""A batch job as one declaration: what is read, who answers, where the answers go, and what decides their bytes."""

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
"""Gives a content hash; called once the cheaper checks of a job are done, because files can be large."""


@dataclass(frozen=True)
class JobPlan:
    """Everything that makes one job different from another; `mammal.jobs.engine.run_plan` does the rest.

    Attributes:
        verb: the kind of job, as its manifest names it.
        given: the input.
        question: answers the rows of a shard. Its `reading` says which columns of the input it gets, its `columns`
            which ones the output gains, its `told` and `uses` what the manifest records and which models are warmed up.
        output: the file that the job writes.
        prefix: put before the names of the errors file's own columns; those of the question have it already.
        shard_rows: rows that are written together.
        options: what the manifest records besides `question.told`, `prefix` and `shard_rows`.
        hashes: options whose value is the content hash of a file.
        bundle: content hash of the model, or of another file that all answers depend on; None: there is none.
        versions: of the packages that decide the answers, besides this one.
        form: how the output is written; None: as a table, in the format that its suffix names.
        workers: started when the first row is about to be answered, and ended after the last one.
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
    form: OutputFormat | None = None
    workers: Callable[[], AbstractContextManager[None]] = nullcontext

    @cached_property
    def layout(self) -> Layout:
        """Columns of the output and of the errors file.

        Raises:
            DataError: the input has a column that is to be added.
        """
        return Layout(self.given.schema, self.question.columns, self.prefix)

    @cached_property
    def store(self) -> Store:
        """The output."""
        return Store(Path(self.output).expanduser(), self.form)

    @cached_property
    def manifest(self) -> Manifest:
        """What the output is tied to. Reads the files that are hashed."""
        options = {
            **self.options,
            **{name: content_hash() for name, content_hash in self.hashes.items()},
            **self.question.told,
            "prefix": self.prefix,
            "shard_rows": self.shard_rows,
        }
        bundle = "" if self.bundle is None else self.bundle()
        return Manifest(self.verb, self.given.fingerprint, bundle, options, {"mammal": __version__, **self.versions})
