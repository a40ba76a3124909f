"""The job that reads a file of variants and cuts a window around each of them out of a genome."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import pyarrow as pa

from mammal.errors import ConfigError, MammalError
from mammal.files import file_hash
from mammal.jobs.engine import Follow, JobReport, run_plan
from mammal.jobs.inputs import JobInput, as_table, open_input
from mammal.jobs.plan import SHARD_ROWS, JobPlan, indexes
from mammal.rows.answer_columns import AnswerColumn, Holds, Record
from mammal.rows.batched import Refused, Row
from mammal.rows.question import Computed
from mammal.rows.read_columns import ReadColumns
from mammal.tasks.dna.rendering import COLUMNS, WINDOW, Renderer, VariantFile, variant_file
from mammal.tasks.tables.remote import is_remote


def windows_job(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    reference: str | os.PathLike[str] | None = None,
    window: int = WINDOW,
    rendering: str = "in_place",
    sample: str | None = None,
    region: str | None = None,
    neighbours: bool = False,
    encoding: str | None = None,
    prefix: str = "",
    shard_rows: int = SHARD_ROWS,
    keep_rows: bool | None = None,
    resume: bool = True,
    progress: Follow | None = None,
) -> JobReport:
    """Writes windows around the variants of a file. The job can be stopped and continued like `mammal.jobs.run_job`.

    A record without a window goes to the errors file with the reason. A record with several windows (one for each
    alternate allele or haplotype) has several rows in the output.

    Args:
        input: VCF, Illumina manifest, table of sites or table of flanks (`mammal.tasks.dna.rendering`).
        output: file to write: `.parquet`, `.csv`, `.tsv` or `.jsonl`.
        reference: as for `mammal.tasks.dna.rendering.Renderer`.
        window: as for `mammal.tasks.dna.rendering.Renderer`.
        rendering: as for `mammal.tasks.dna.rendering.Renderer`.
        sample: as for `mammal.tasks.dna.rendering.Renderer`.
        region: read only the records of this region of an indexed VCF file, such as chr1:1000-2000.
        neighbours: as for `mammal.tasks.dna.rendering.Renderer`.
        encoding: encoding of a table or a manifest, such as `latin-1`. Default: UTF-8, or UTF-16 with a byte order
            mark.
        prefix: text before the names of the added columns.
        shard_rows: rows that are written together.
        keep_rows: rows without an answer stay in the output, in their place, with empty answers and the reason in a
            column `error`. False: they are only in the errors file. Default: True for .csv and .tsv, else False.
        resume: continue an earlier job of the same output. False: start again.
        progress: function that is called with a `JobProgress` after each shard.

    Returns:
        Number of records with and without windows, and the files that were written.

    Raises:
        JobError: the output exists and belongs to another job, is being written by another process, or can't be
            written.
        MammalError: the input, the genome or an option is wrong.
    """
    source = variant_file(_one_file(input), encoding)
    if region is not None and source.form != "vcf":
        raise ConfigError("a region is looked up in the index of a VCF file", where=str(source.path))
    renderer = Renderer(
        source, reference=reference, window=window, rendering=rendering, sample=sample, neighbours=neighbours
    )
    plan = JobPlan(
        "windows",
        _opened(source, region),
        WindowRows(renderer, prefix),
        output,
        prefix=prefix,
        shard_rows=shard_rows,
        options={
            "window": window,
            "rendering": rendering,
            "sample": sample,
            "region": region,
            "neighbours": neighbours,
        },
        bundle=None if renderer.genome is None else partial(file_hash, renderer.genome.path),
        keep_rows=keep_rows,
        reads={} if renderer.genome is None else {"reference": renderer.genome.path, **indexes(renderer.genome.path)},
    )
    return run_plan(plan, resume=resume, progress=progress)


class WindowRows(Computed):
    """Answers each row with its windows, or with the reason why it has none.

    Args:
        renderer: makes the windows.
        prefix: text before the names of the added columns.
    """

    def __init__(self, renderer: Renderer, prefix: str = ""):
        self._renderer = renderer
        self.reading = ReadColumns(renderer.reads)
        self.columns = [AnswerColumn(prefix + name, cast(Holds, holds)) for name, holds in COLUMNS.items()]

    def answers(self, rows: Sequence[Row]) -> list[list[Record] | Refused]:
        return [self._answer(row) for row in rows]

    def _answer(self, row: Row) -> list[Record] | Refused:
        try:
            return [tuple(window[name] for name in COLUMNS) for window in self._renderer.windows(row)]
        except MammalError as error:
            return Refused(str(error))


@dataclass(frozen=True)
class _VariantInput(JobInput):
    """Rows that `open_input` can't read: the loci of a manifest, or a region of a VCF file."""

    source: VariantFile | None = None
    region: str | None = None

    def count(self) -> int | None:
        """As for other files, if every record is read."""
        whole = self.region is None and self.source is not None and self.source.form == "vcf"
        return super().count() if whole else None

    def _tables(self, file: Path, size: int) -> Iterator[pa.Table]:
        assert self.source is not None, "made with one"
        for frame in self.source.tables(size, keep_damaged=True, region=self.region):
            yield as_table(frame, self.schema)


def _one_file(given: object) -> str | os.PathLike[str]:
    """Refuses several files and remote ones: their indexes and neighbours are looked up on this machine."""
    if not isinstance(given, str | os.PathLike):
        raise ConfigError("windows reads one file", where=str(given), hint="run the command for each file")
    if is_remote(given):
        raise ConfigError("windows reads no remote files", where=str(given), hint="copy the file to this machine")
    return given


def _opened(source: VariantFile, region: str | None) -> JobInput:
    if source.is_table:
        return open_input(source.path, source.encoding)
    schema = pa.schema([(name, pa.string()) for name in source.columns])
    fingerprint = file_hash(source.path)
    return _VariantInput(schema, fingerprint, source.path, encoding=source.encoding, source=source, region=region)
