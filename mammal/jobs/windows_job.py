"""Batch jobs without a model: a file of variants in, its windows out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from mammal.errors import ConfigError, MammalError
from mammal.files import file_hash
from mammal.jobs.engine import SHARD_ROWS, Engine, Follow, JobReport
from mammal.jobs.inputs import JobInput, as_table, open_input
from mammal.jobs.layout import Layout
from mammal.jobs.manifest import Manifest
from mammal.jobs.store import Store
from mammal.jobs.tables import TableFormat
from mammal.rows.answer_columns import AnswerColumn, Holds
from mammal.rows.batched import Refused
from mammal.rows.question import Record
from mammal.tasks.dna.rendering import COLUMNS, WINDOW, Renderer, VariantFile, variant_file
from mammal.version import __version__


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
    prefix: str = "",
    shard_rows: int = SHARD_ROWS,
    resume: bool = True,
    progress: Follow | None = None,
) -> JobReport:
    """Windows around the variants of a file, with the promises of `mammal.jobs.run_job`.

    A record that has no window is set aside with the reason; one with several (an alternate allele or haplotype each)
    stands several times in the output.

    Args:
        input: VCF, Illumina manifest, table of sites or table of flanks (`mammal.tasks.dna.rendering`).
        output: .parquet, .csv, .tsv or .jsonl.
        reference, window, rendering, sample, neighbours: as for `mammal.tasks.dna.rendering.Renderer`.
        region: only records of this place, such as chr1:1000-2000, of an indexed VCF file.
        prefix: put before the names of the columns that are added.
        shard_rows: rows that are written together.
        resume: go on with what an earlier run left; False replaces it.

    Raises:
        JobError: the output stands and was made otherwise, is being written by another run, or can't be written.
        MammalError: the input, the genome or an option is wrong.
    """
    target, source = Path(output).expanduser(), variant_file(input)
    if region is not None and source.form != "vcf":
        raise ConfigError("a region is looked up in the index of a VCF file", where=str(source.path))
    renderer = Renderer(
        source, reference=reference, window=window, rendering=rendering, sample=sample, neighbours=neighbours
    )
    given = _opened(source, region)
    answerer = _Windows(renderer, [AnswerColumn(prefix + name, cast(Holds, holds)) for name, holds in COLUMNS.items()])
    layout = Layout(given.schema, answerer.columns, prefix)
    form = TableFormat(target.suffix)
    form.check(target, layout.schema)
    told = {
        "window": window,
        "rendering": rendering,
        "sample": sample,
        "region": region,
        "neighbours": neighbours,
        "prefix": prefix,
        "shard_rows": shard_rows,
    }
    genome = "" if renderer.genome is None else file_hash(renderer.genome.path)
    manifest = Manifest("windows", given.fingerprint, genome, told, {"mammal": __version__})
    engine = Engine(answerer, given, renderer.reads, layout, Store(target, form))
    return engine.go(manifest, shard_rows=shard_rows, resume=resume, progress=progress)


@dataclass(frozen=True)
class _Windows:
    """The engine's answerer: the windows of each row, or why it has none."""

    renderer: Renderer
    columns: Sequence[AnswerColumn]

    def ask(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        first: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Record] | Refused]:
        answers = [self._answer(row) for row in rows]
        if progress is not None:
            progress(len(rows))
        return answers

    def _answer(self, row: Mapping[str, Any]) -> list[Record] | Refused:
        try:
            return [tuple(window[name] for name in COLUMNS) for window in self.renderer.windows(row)]
        except MammalError as error:
            return Refused(str(error))


@dataclass(frozen=True)
class _VariantInput(JobInput):
    """Rows that `open_input` does not reach: the loci of a manifest, a region of a VCF file."""

    source: VariantFile | None = None
    region: str | None = None

    def _tables(self, file: Path, size: int) -> Iterator[pa.Table]:
        assert self.source is not None, "made with one"
        for frame in self.source.tables(size, keep_damaged=True, region=self.region):
            yield as_table(frame, self.schema)


def _opened(source: VariantFile, region: str | None) -> JobInput:
    if source.form not in ("vcf", "manifest"):
        return open_input(source.path)
    schema = pa.schema([(name, pa.string()) for name in source.columns])
    fingerprint = file_hash(source.path)
    return _VariantInput(schema, fingerprint, source.path, source=source, region=region)
