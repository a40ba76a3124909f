"""The output of a running job: a folder of finished shards, which are joined to one file at the end.

A shard is done when its marker exists. The marker is renamed into place after the tables of the shard are on the disk.
A job that is killed at any moment therefore leaves complete shards, and unfinished files that the next run replaces.

    scores.parquet.parts/000003.parquet           rows with an answer
    scores.parquet.parts/000003.errors.parquet    rows without one
    scores.parquet.parts/000003.json              the marker: {"rows": …, "ok": …, "bad": …}
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.errors import JobError
from mammal.jobs.manifest import Manifest
from mammal.jobs.tables import OutputFormat, TableFormat, add_false, join_tables, write_table
from mammal.rows.cut_rows import FIRST
from mammal.tasks.tables.atomic import atomic_file

if TYPE_CHECKING:
    import pyarrow as pa

_LOCK = "lock"


@dataclass(frozen=True)
class ShardCounts:
    """Number of input rows of a shard or of a job.

    Attributes:
        rows: all of them.
        ok: those with an answer.
        bad: those without an answer.
        cut: those with an answer of which the model has read a part only.
        first_cut: numbers in the input of the first of these, from 1.
    """

    rows: int
    ok: int
    bad: int
    cut: int = 0
    first_cut: Sequence[int] = ()

    def __add__(self, other: ShardCounts) -> ShardCounts:
        sums = (self.rows + other.rows, self.ok + other.ok, self.bad + other.bad, self.cut + other.cut)
        return ShardCounts(*sums, [*self.first_cut, *other.first_cut][:FIRST])

    @property
    def told(self) -> dict[str, object]:
        """The counts as files hold them; what is about cut rows only if there are some."""
        return {name: value for name, value in vars(self).items() if self.cut or name in ("rows", "ok", "bad")}


class Store:
    """Files of one output: its shards, its errors file and its manifest.

    Args:
        output: the file that the job writes.
        form: how it is written. Default: as a table, in the format of the suffix of `output`.
    """

    def __init__(self, output: Path, form: OutputFormat | None = None):
        self.output = output
        self.form: OutputFormat = form or TableFormat(output.suffix)
        self.errors = errors_path(output)
        self.manifest_path = output.with_name(f"{output.name}.manifest.json")
        self.parts = output.with_name(f"{output.name}.parts")

    def begin(self, manifest: Manifest, *, resume: bool) -> Manifest:
        """Prepares the folder of the shards and writes the manifest.

        Args:
            manifest: manifest of this job.
            resume: continue an earlier run. False: delete its files.

        Returns:
            The manifest of the earlier run if that is complete, else `manifest`.

        Raises:
            JobError: the output exists and was not written by a job, or was written with other settings.
        """
        former = Manifest.read(self.manifest_path)
        if not resume:
            self._clear()
        elif former is not None:
            manifest.require_same(former, self.output)
            if former.complete and self.output.exists():
                self._remove_parts()
                return former
        elif self.output.exists():
            raise JobError(
                "the file exists already, and was not written by a job",
                where=str(self.output),
                hint="choose another output, or replace it with resume=false",
            )
        self.parts.mkdir(parents=True, exist_ok=True)
        manifest.write(self.manifest_path, scratch=self.parts)
        return manifest

    def counts(self, shard: int) -> ShardCounts | None:
        """Returns the counts of a finished shard, and None for an unfinished shard."""
        try:
            return ShardCounts(**json.loads(self._part(shard, ".json").read_text()))
        except FileNotFoundError:
            return None

    def write(self, shard: int, answered: pa.Table, refused: pa.Table, counts: ShardCounts) -> None:
        with atomic_file(self._part(shard, self.form.suffix)) as partial:
            self.form.write(answered, partial)
        if counts.bad:
            with atomic_file(self._part(shard, ".errors.parquet")) as partial:
                write_table(refused, partial, ".parquet")
        with atomic_file(self._part(shard, ".json")) as partial:
            partial.write_text(json.dumps(counts.told))

    def finish(self, manifest: Manifest, shards: int, total: ShardCounts, schema: pa.Schema) -> None:
        """Joins the shards into the output, marks the job complete and deletes the shards.

        Args:
            manifest: of the job.
            shards: how many there are.
            total: counts of all of them.
            schema: columns of the output; if rows were cut, the last one marks them.
        """
        bad = [part for shard in range(shards) if (part := self._part(shard, ".errors.parquet")).exists()]
        if bad:
            with atomic_file(self.errors, scratch=self.parts) as partial:
                join_tables(bad, partial, ".parquet")
        else:
            self.errors.unlink(missing_ok=True)
        with atomic_file(self.output, scratch=self.parts) as partial:
            self.form.join([self._whole_part(shard, total, schema) for shard in range(shards)], partial, schema)
        self.form.complete(self.output)
        done = Manifest(**{**vars(manifest), "complete": True, "counts": total.told})
        done.write(self.manifest_path, scratch=self.parts)
        self._remove_parts()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Prevents a second run from writing this output. The lock ends with the process, even if that is killed."""
        self.parts.mkdir(parents=True, exist_ok=True)
        with (self.parts / _LOCK).open("w") as handle:
            if not _lock(handle.fileno()):
                raise JobError("another run is writing this output", where=str(self.output))
            try:
                yield
            finally:
                if self.parts.is_dir() and [path.name for path in self.parts.iterdir()] == [_LOCK]:
                    self._remove_parts()

    def _whole_part(self, shard: int, total: ShardCounts, schema: pa.Schema) -> Path:
        """A shard's part with every column of the output: one in which no row was cut gets a column that says so."""
        part, counts = self._part(shard, self.form.suffix), self.counts(shard)
        if not total.cut or counts is None or counts.cut:
            return part
        padded = self._part(shard, f".padded{self.form.suffix}")
        add_false(part, padded, self.form.suffix, schema.names[-1])
        return padded

    def _part(self, shard: int, suffix: str) -> Path:
        return self.parts / f"{shard:06d}{suffix}"

    def _clear(self) -> None:
        for path in (self.output, self.errors, self.manifest_path):
            path.unlink(missing_ok=True)
        for path in self.parts.glob("*"):
            if path.name != _LOCK:
                path.unlink()

    def _remove_parts(self) -> None:
        shutil.rmtree(self.parts, ignore_errors=True)


def errors_path(output: Path) -> Path:
    """`scores.csv` -> `scores.errors.parquet`; `calls.vcf.gz` -> `calls.errors.parquet`."""
    name = Path(output.name.removesuffix(".gz")).stem
    return output.with_name(f"{name}.errors.parquet")


def _lock(handle: int) -> bool:
    if os.name != "posix":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
