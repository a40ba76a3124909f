"""A folder of Parquet parts as the output of a job: one file for each shard, which are not joined.

    scores/part-00000.parquet    rows of the first shard
    scores/part-00001.parquet
    scores/_errors.parquet       rows without an answer, if there are some
    scores/_manifest.json        what the job is made of

The folder appears when the job is complete. Readers of Parquet folders leave out names that begin with `_`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from mammal.errors import JobError
from mammal.jobs.manifest import Manifest
from mammal.jobs.store import ShardCounts, Store
from mammal.jobs.tables import PARQUET, Parquet, join_as

MANIFEST, ERRORS = "_manifest.json", "_errors.parquet"


class _Parts(Parquet):
    """Parquet, whose output is a folder, so that its name has no suffix."""

    def check(self, path: Path, schema: pa.Schema) -> None:
        super().check(path.with_suffix(self.suffix), schema)


class PartsStore(Store):
    """Files of an output that is a folder of Parquet parts.

    Args:
        output: the folder.
    """

    def __init__(self, output: Path):
        super().__init__(output, _Parts())
        self.errors, self.manifest_path = output / ERRORS, output / MANIFEST
        self._whole, self._former = self.parts / "whole", self.parts / "former"

    @property
    def written(self) -> dict[str, Path]:
        return {"output": self.output, "folder of shards": self.parts}

    @property
    def shown_errors(self) -> Path | str | None:
        return self.errors if self.errors.is_file() else None

    def _check_place(self) -> None:
        """Refuses a file, and a folder with files of which no job wrote the manifest."""
        if self.output.is_file():
            raise JobError("is a file, not a folder", where=str(self.output), hint="leave out the / at the end")
        if self.output.is_dir() and any(self.output.iterdir()) and Manifest.read(self.manifest_path) is None:
            what = "the folder has files already, and was not written by a job"
            raise JobError(what, where=str(self.output), hint="choose another folder, or empty it")

    def _standing(self) -> Path | None:
        return self.parts if any(self.parts.glob("[0-9]*.json")) else None

    def finish(self, manifest: Manifest, shards: int, total: ShardCounts, schema: pa.Schema) -> None:
        """Collects the shards in a new folder, which takes the place of the output. They are linked, not copied."""
        shutil.rmtree(self._whole, ignore_errors=True)
        self._whole.mkdir()
        parts = [self._whole_part(shard, total, schema) for shard in range(shards)]
        for number, part in enumerate(parts):
            _link(part, self._whole / part_name(number))
        if not parts:
            PARQUET.write(schema.empty_table(), self._whole / part_name(0))
        if bad := self._bad_parts(shards):
            join_as(bad, self._whole / ERRORS, ".parquet")
        done = Manifest(**{**vars(manifest), "complete": True, "counts": total.as_dict})
        done.write(self._whole / MANIFEST)
        self.output.parent.mkdir(parents=True, exist_ok=True)
        if self.output.exists():
            shutil.rmtree(self._former, ignore_errors=True)
            self.output.replace(self._former)
        self._whole.replace(self.output)
        self._remove_parts()

    def _remove_shards(self) -> None:
        super()._remove_shards()
        if self._former.is_dir() and not self.output.exists():  # the earlier run ended between two renames
            self._former.replace(self.output)
        for folder in (self._whole, self._former):
            shutil.rmtree(folder, ignore_errors=True)


def part_name(number: int) -> str:
    """Returns the name of a part, such as `part-00000.parquet`."""
    return f"part-{number:05d}.parquet"


def parts_of(folder: Path) -> Sequence[Path]:
    """Returns the parts in a folder, in order."""
    return sorted(folder.glob("part-*.parquet"))


def _link(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except OSError:  # a file system without hard links
        shutil.copyfile(file, place)
