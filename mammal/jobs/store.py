"""The output of a running job: a folder of finished shards, which are joined to one file at the end.

A shard is done when its marker exists. The marker is renamed into place after the tables of the shard are on the disk.
A job that is killed at any moment therefore leaves complete shards, and unfinished files that the next run replaces.
An earlier output, its errors file and its manifest are replaced when all shards are joined, and not before.

    scores.csv.parts/manifest.json            what the unfinished job is made of
    scores.csv.parts/000003.csv               rows with an answer, or all rows
    scores.csv.parts/000003.errors.parquet    rows without one
    scores.csv.parts/000003.json              the marker: {"rows": …, "ok": …, "bad": …, "sizes": …}

A run locks the folder. Runs that answer a part of the shards each (`mammal.jobs.parts`) share the lock, so that they
can work at the same time, but neither with a run that answers all shards nor while the shards are joined.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.errors import JobError
from mammal.jobs.manifest import Manifest
from mammal.jobs.parts import Part
from mammal.jobs.tables import PARQUET, TABLES, OutputFormat, join_as
from mammal.rows.cut_rows import FIRST
from mammal.tasks.tables.atomic import atomic_file

if TYPE_CHECKING:
    import pyarrow as pa

INDEXES = (".tbi", ".csi")
"""Suffixes of the index of a zipped variant file."""

_LOCK, _MANIFEST = "lock", "manifest.json"
ERRORS_OF_SHARD = ".errors.parquet"
_POLL = 0.2
"""Seconds between two attempts to get a lock."""
_OURS = re.compile(r"\d{6}(\.\w+)+|lock|part-\d+-of-\d+\.lock|manifest\.json|\..+\.partial")
"""Names of files in the folder of shards that a job wrote; others there are left alone."""


class OutputLockedError(JobError):
    """Another run is writing the output."""


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
    def as_dict(self) -> dict[str, object]:
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
        self.form: OutputFormat = form or TABLES.get(output.suffix, PARQUET)  # its `check` refuses other suffixes
        self.errors = errors_path(output)
        self.manifest_path = output.with_name(f"{output.name}.manifest.json")
        self.parts = output.with_name(f"{output.name}.parts")

    @property
    def written(self) -> dict[str, Path]:
        """Every place that the job writes, by what it is."""
        places = {"output": self.output, "errors file": self.errors, "manifest": self.manifest_path}
        indexes = INDEXES if self.output.suffix == ".gz" else ()
        of_output = {f"index ({suffix})": self.output.with_name(self.output.name + suffix) for suffix in indexes}
        return {**places, **of_output, "folder of shards": self.parts}

    @property
    def shown_output(self) -> Path | str:
        """Path or URL of the output, for reports."""
        return self.output

    @property
    def shown_errors(self) -> Path | str | None:
        """Path or URL of the rows without an answer of a finished job that has some, for reports."""
        return find_errors(self.output)

    @property
    def written_url(self) -> str | None:
        """URL of a remote output; None: it is on this machine."""
        return None

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
        self._check_place()
        former = Manifest.read(self.parts / _MANIFEST) or Manifest.read(self.manifest_path)
        if not resume:
            self._remove_shards()
        elif former is not None:
            manifest.require_same(former, self.output)
            if former.complete and self.output.exists():
                self._remove_parts()
                return former
        elif (standing := self._standing()) is not None:
            raise JobError(
                "the file exists already, and was not written by a job",
                where=str(standing),
                hint="choose another output, or replace it with resume=false",
            )
        self.parts.mkdir(parents=True, exist_ok=True)
        manifest.write(self.parts / _MANIFEST, scratch=self.parts)
        return manifest

    def _check_place(self) -> None:
        """Refuses an output that can't be replaced."""
        if self.output.is_dir():
            hint = "choose another output, or end it with / for a folder of Parquet parts"
            raise JobError("is a folder, not a file", where=str(self.output), hint=hint)

    def _standing(self) -> Path | None:
        """What would be replaced: a file, or the folder of shards if it holds some."""
        places = (self.output, self.errors, self.manifest_path)
        if any(self.parts.glob("[0-9]*.json")):
            return self.parts
        return next((path for path in places if path.exists()), None)

    def counts(self, shard: int) -> ShardCounts | None:
        """Returns the counts of a finished shard, and None for an unfinished shard.

        A shard counts as finished if its marker can be read and its files have the sizes that the marker records.
        """
        try:
            marker = json.loads(self._part(shard, ".json").read_text())
            sizes = marker.pop("sizes", {})
            whole = all(self._part(shard, suffix).stat().st_size == size for suffix, size in sizes.items())
            return ShardCounts(**marker) if whole and self._part(shard, self.form.suffix).exists() else None
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return None

    def write(self, shard: int, answered: pa.Table, refused: pa.Table, counts: ShardCounts) -> None:
        """Writes the files of a shard, its marker last.

        Args:
            shard: number of the shard.
            answered: rows of the output.
            refused: rows of the errors file.
            counts: counts of the shard.
        """
        sizes: dict[str, int] = {}
        tables = [(self.form.suffix, self.form, answered)]
        tables += [(ERRORS_OF_SHARD, PARQUET, refused)] if counts.bad else []
        for suffix, form, table in tables:
            with atomic_file(self._part(shard, suffix)) as partial:
                form.write(table, partial)
                sizes[suffix] = partial.stat().st_size
        with atomic_file(self._part(shard, ".json")) as partial:
            partial.write_text(json.dumps({**counts.as_dict, "sizes": sizes}))

    def total(self, shards: int) -> ShardCounts | None:
        """Returns the counts of all shards together, and None if one of them is not finished.

        Args:
            shards: number of shards of the input.
        """
        total = ShardCounts(0, 0, 0)
        for shard in range(shards):
            counts = self.counts(shard)
            if counts is None:
                return None
            total = total + counts
        return total

    def finish(self, manifest: Manifest, shards: int, total: ShardCounts, schema: pa.Schema) -> None:
        """Joins the shards into the output, marks the job complete and deletes the shards.

        Args:
            manifest: of the job.
            shards: how many there are.
            total: counts of all of them.
            schema: columns of the output; if rows were cut, the last one marks them.
        """
        bad = self._bad_parts(shards)
        with atomic_file(self.output, scratch=self.parts) as partial:
            self.form.join([self._whole_part(shard, total, schema) for shard in range(shards)], partial, schema)
            if bad:
                with atomic_file(self.errors, scratch=self.parts) as refused:
                    join_as(bad, refused, self.errors.suffix)
        if not bad:
            self.errors.unlink(missing_ok=True)
        self.form.complete(self.output)
        done = Manifest(**{**vars(manifest), "complete": True, "counts": total.as_dict})
        done.write(self.manifest_path, scratch=self.parts)
        self._remove_parts()

    @contextmanager
    def locked(self, part: Part | None = None, *, patience: float = 0.0) -> Iterator[None]:
        """Prevents a second run from writing this output. The lock ends with the process, even if that is killed.

        Args:
            part: the share of the shards that this run answers. Runs with other shares may write at the same time.
            patience: seconds to wait for other runs to end.

        Raises:
            JobError: another run has the lock.
        """
        with self._lock_of(_LOCK, shared=part is not None, patience=patience) as handle:
            try:
                if part is None:
                    yield
                else:
                    with self._lock_of(f"part-{part.number}-of-{part.of}.lock", patience=patience):
                        yield
            finally:
                if part is None or _lock(handle):  # nobody else works in the folder
                    self._remove_if_empty()

    @contextmanager
    def _lock_of(self, name: str, *, shared: bool = False, patience: float = 0.0) -> Iterator[int]:
        path, end = self.parts / name, time.monotonic() + patience
        while True:
            self.parts.mkdir(parents=True, exist_ok=True)
            with path.open("a") as stream:
                if _lock(stream.fileno(), shared=shared):
                    if not _is_at(stream.fileno(), path):  # another run has removed the folder meanwhile
                        continue
                    yield stream.fileno()
                    return
            if time.monotonic() >= end:
                what = "another run is writing this output"
                raise OutputLockedError(
                    what if name == _LOCK else f"{what}, with the same part", where=str(self.output)
                )
            time.sleep(_POLL)

    def _remove_if_empty(self) -> None:
        """Removes the folder of the shards if only locks are in it."""
        if self.parts.is_dir() and all(path.name.endswith(_LOCK) for path in self.parts.iterdir()):
            self._remove_parts()

    def _whole_part(self, shard: int, total: ShardCounts, schema: pa.Schema) -> Path:
        """A shard's part with every column of the output: one in which no row was cut gets a column that says so."""
        part, counts = self._part(shard, self.form.suffix), self.counts(shard)
        if not total.cut or counts is None or counts.cut:
            return part
        padded = self._part(shard, f".padded{self.form.suffix}")
        self.form.add_false(part, padded, schema.names[-1])
        return padded

    def _bad_parts(self, shards: int) -> list[Path]:
        """Files of the rows without an answer, of the shards that have some."""
        return [part for shard in range(shards) if (part := self._part(shard, ERRORS_OF_SHARD)).exists()]

    def _part(self, shard: int, suffix: str) -> Path:
        return self.parts / f"{shard:06d}{suffix}"

    def _remove_shards(self) -> None:
        """Removes what an unfinished job left; its manifest first, so that no shard stands for another job."""
        (self.parts / _MANIFEST).unlink(missing_ok=True)
        for path in self.parts.glob("*"):
            if path.name != _LOCK and _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def _remove_parts(self) -> None:
        self._remove_shards()
        (self.parts / _LOCK).unlink(missing_ok=True)
        with suppress(OSError):  # somebody else's files are in it
            self.parts.rmdir()


def errors_path(output: Path) -> Path:
    """`scores.csv` -> `scores.errors.csv`; a variant file can't hold reasons: `calls.vcf.gz` -> `calls.errors.tsv`."""
    name = Path(output.name.removesuffix(".gz")).stem
    return output.with_name(f"{name}.errors{output.suffix if output.suffix in TABLES else '.tsv'}")


def earlier_errors_path(output: Path) -> Path:
    """Where earlier versions wrote the rows without an answer, whatever the format of the output."""
    name = Path(output.name.removesuffix(".gz")).stem
    return output.with_name(f"{name}.errors.parquet")


def find_errors(output: Path) -> Path | None:
    """The rows without an answer of a finished job; None if it has none.

    Args:
        output: the file that the job wrote.
    """
    if errors_path(output).is_file():
        return errors_path(output)
    manifest = Manifest.read(output.with_name(f"{output.name}.manifest.json"))
    if manifest is not None and manifest.counts is not None and not manifest.counts.get("bad"):
        return None  # a file of the earlier name is of another job
    earlier = earlier_errors_path(output)
    return earlier if earlier.is_file() else None


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lock(handle: int, *, shared: bool = False) -> bool:
    if os.name != "posix":
        return True
    import fcntl

    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
