"""Batch jobs about variants: a variant file or a table in, the same with scores out."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from mammal.bundle.locate import locate
from mammal.errors import ConfigError
from mammal.files import file_hash
from mammal.inference.api import Mammal, load
from mammal.jobs.engine import SHARD_ROWS, Answerer, Engine, Follow, JobReport
from mammal.jobs.inputs import JobInput, open_input
from mammal.jobs.layout import Layout
from mammal.jobs.manifest import Manifest, bundle_hash
from mammal.jobs.model_job import task_identity, versions
from mammal.jobs.store import Store
from mammal.jobs.tables import FORMATS, OutputFormat, TableFormat
from mammal.jobs.vcf_format import SUFFIXES, Field, InfoAnswerer, VcfFormat
from mammal.jobs.warm_up import settle_parts
from mammal.rows.task_choice import TaskLike
from mammal.tasks.tables.readers import file_format
from mammal.tasks.tables.variant_files import read_header
from mammal.variants.question import UNSCORED, VariantQuestion
from mammal.variants.scoring import LIKELIHOOD, Scorer, VariantScoreOptions
from mammal.variants.source import allele_source

logger = logging.getLogger(__name__)

PREFIX = "MAMMAL_"
"""Of the fields of INFO, where none is asked for."""

FIELDS = {
    "log_likelihood_ref": ("LL_REF", "Log-likelihood of the reference allele, hidden with its neighbours, in nats"),
    "log_likelihood_alt": ("LL_ALT", "Log-likelihood of the alternate allele, hidden with its neighbours, in nats"),
    "log_likelihood_ratio": ("LLR", "LL_ALT minus LL_REF, in nats; below 0, the model expects the reference allele"),
    "distance": ("DIST", "Mean L2 distance of encoder states over the aligned bases beside the site"),
    "distance_site": ("DIST_SITE", "L2 distance of the encoder states of the two alleles"),
    "distance_max": ("DIST_MAX", "Largest L2 distance of encoder states of an aligned base"),
    "distance_max_offset": ("DIST_MAX_OFFSET", "Where DIST_MAX is: -1 the base before the site, 1 the base behind it"),
    UNSCORED: ("UNSCORED", "Why an allele has no scores"),
}
"""Columns of the scores -> their key in INFO, and what the header says of it."""

_TYPES = {"number": "Float", "integer": "Integer", "text": "String"}


def score_variants_job(
    source: str | os.PathLike[str],
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    reference: str | os.PathLike[str] | None = None,
    asked: VariantScoreOptions | None = None,
    task: TaskLike | None = None,
    columns: Mapping[str, str] | None = None,
    prefix: str = "",
    shard_rows: int = SHARD_ROWS,
    resume: bool = True,
    device: str = "auto",
    dtype: str = "auto",
    batch_tokens: int | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    progress: Follow | None = None,
) -> JobReport:
    """Scores the variants of a file, with the promises of `mammal.jobs.run_job`.

    A table gets one row for each alternate allele, a variant file keeps one line for each record, with the values of
    its alleles in INFO. A row none of whose alleles has scores is set aside with the reasons.

    Args:
        source: the model, as for `mammal.load`.
        input: a variant file, or a table with columns that `mammal.variants.source` reads.
        output: `.vcf` or `.vcf.gz` (for variant files), or a table.
        reference: FASTA; not needed for variants written in place.
        asked: window, scores and strands.
        task: whose prompt is written; default: see `mammal.variants.scoring`.
        columns: names of the columns that are read, as {name here: yours}.
        prefix: put before the names of what is added; of INFO fields the default is `PREFIX`.

    Raises:
        JobError: as `run_job`; or the input has a field of INFO that is to be added.
        MammalError: the model, the genome, the input or an option is wrong.
    """
    target, asked = Path(output).expanduser(), asked or VariantScoreOptions()
    model = load(source, device=device, dtype=dtype, tokenizer=tokenizer)
    if batch_tokens is not None:
        model.pace = replace(model.pace, tokens=batch_tokens)
    given = open_input(input)
    variants = allele_source(given.schema.names, reference, asked.window, columns)
    chosen = None if task is None else model.find_task(task)
    scorer = Scorer(model.model, model.tokenizer, model.tasks, asked, model.pace, chosen=chosen)
    question = VariantQuestion(scorer, variants, prefix=prefix)
    names = question.reading.among(given.schema.names)
    answerer, form = _written(question, given, target, prefix)
    layout = Layout(given.schema, answerer.columns, prefix)
    form.check(target, layout.schema)
    told = {
        **asdict(asked),
        "columns": dict(columns or {}),
        "reference": None if reference is None else file_hash(Path(reference).expanduser()),
        "prefix": prefix,
        "shard_rows": shard_rows,
        "batch_tokens": model.pace.tokens,
        "task": {what: task_identity(task) for what, task in scorer.tasks.items()},
        "device": model.device.type,
        "dtype": str(model.model.dtype),
    }
    manifest = Manifest("score variants", given.fingerprint, bundle_hash(locate(source)), told, versions())
    _settle(model, scorer)
    engine = Engine(answerer, given, names, layout, Store(target, form))
    report = engine.go(manifest, shard_rows=shard_rows, resume=resume, progress=progress)
    if question.unscored:
        place = answerer.columns[-1].name if answerer is question else f"{prefix or PREFIX}{FIELDS[UNSCORED][0]}"
        alleles = "allele without scores stands" if question.unscored == 1 else "alleles without scores stand"
        logger.warning("%s %s beside others that have some: %s says why", f"{question.unscored:,}", alleles, place)
    return report


def _written(question: VariantQuestion, given: JobInput, target: Path, prefix: str) -> tuple[Answerer, OutputFormat]:
    """Whoever answers in the terms of the output, and how that is written."""
    if not target.name.endswith(SUFFIXES):
        return question, TableFormat(target.suffix)
    if given.path is None or file_format(given.path) not in ("vcf", "bcf"):
        what = f"{target.suffixes[0]} is written where the input is a variant file alone"
        raise ConfigError(what, where=str(target), hint="one of " + ", ".join(FORMATS))
    fields = info_fields(question, prefix)
    form = VcfFormat(read_header(given.path), fields, where=str(given.path), zipped=target.suffix == ".gz")
    return InfoAnswerer(question, fields, f"{prefix or PREFIX}INFO"), form


def info_fields(question: VariantQuestion, prefix: str) -> list[Field]:
    """The fields of INFO that a question fills, in the order of its columns, without the allele."""
    fields = []
    for column in question.columns[1:]:
        key, about = FIELDS[column.name.removeprefix(prefix)]
        fields.append(Field(f"{prefix or PREFIX}{key}", _TYPES[column.holds], about))
    return fields


def _settle(model: Mammal, scorer: Scorer) -> None:
    task = scorer.tasks.get(LIKELIHOOD)
    settle_parts(model.model, decodes=task is not None, vocabulary=task is not None and task.candidates_V is None)
