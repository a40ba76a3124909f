"""The job that scores variants: it adds scores to a variant file or a table."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mammal.errors import ConfigError
from mammal.files import file_hash
from mammal.jobs.engine import Follow, JobReport, run_plan
from mammal.jobs.inputs import Given, JobInput, check_encoding, open_input
from mammal.jobs.loaded_model import (
    bundle_hash,
    model_options,
    open_model,
    read_by_model,
    task_identity,
    torch_version,
)
from mammal.jobs.plan import SHARD_ROWS, JobPlan, indexes
from mammal.jobs.tables import FORMATS, OutputFormat
from mammal.jobs.vcf_format import SUFFIXES, Field, InfoQuestion, VcfFormat
from mammal.rows.question import Question
from mammal.rows.task_choice import TaskLike
from mammal.tasks.tables.readers import file_format
from mammal.tasks.tables.variant_files import read_header
from mammal.variants.question import UNSCORED, VariantQuestion
from mammal.variants.scores import SCORES, VariantScoreOptions
from mammal.variants.scoring import Scorer
from mammal.variants.source import allele_source

logger = logging.getLogger(__name__)

PREFIX = "MAMMAL_"
"""Default prefix of the INFO fields."""

_UNSCORED_KEY = "UNSCORED"
_TYPES = {"number": "Float", "integer": "Integer", "text": "String"}


def score_variants_job(
    source: str | os.PathLike[str],
    input: Given,
    output: str | os.PathLike[str],
    *,
    reference: str | os.PathLike[str] | None = None,
    asked: VariantScoreOptions | None = None,
    task: TaskLike | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    file_column: str | None = None,
    prefix: str = "",
    shard_rows: int = SHARD_ROWS,
    keep_rows: bool | None = None,
    resume: bool = True,
    device: str = "auto",
    dtype: str = "auto",
    batch_tokens: int | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    config_dirs: Sequence[str | Path] = (),
    progress: Follow | None = None,
) -> JobReport:
    """Scores the variants of a file. The job can be stopped and continued like `mammal.jobs.run_job`.

    A table gets one row for each alternate allele. A variant file keeps one line for each record and gets the values of
    its alleles in INFO. A row without a score for any of its alleles goes to the errors file with the reasons.

    Args:
        source: the model, as for `mammal.load`.
        input: a variant file, or a table with columns that `mammal.variants.source` reads; or several, as for
            `mammal.jobs.run_job`.
        output: file to write: `.vcf` or `.vcf.gz` (for variant files), or a table.
        reference: FASTA file of the genome. Not needed for variants that are written inside their sequence.
        asked: window, scores and strands. Default: those of `VariantScoreOptions`.
        task: task whose prompt is written. Default: see `mammal.variants.scores`.
        columns: names of your columns, as `{name here: column of your table}`.
        encoding: encoding of the input, such as `latin-1`, if it is a text file. Default: UTF-8, or UTF-16 with a byte
            order mark.
        file_column: name of an added column with the name of the input file that a row comes from. Default: none.
        prefix: text before the names of the added columns or INFO fields. Default: `MAMMAL_` for INFO fields, none for
            columns.
        shard_rows: rows that are written together.
        keep_rows: rows without an answer stay in the output, in their place, with empty answers and the reason in a
            column `error`. False: they are only in the errors file. Default: True for .csv and .tsv, else False; a
            variant file can't keep them.
        resume: continue an earlier job of the same output. False: start again.
        device: as for `mammal.load`.
        dtype: as for `mammal.load`.
        batch_tokens: tokens of a batch, padding not counted. Default: 8,192 on a CPU, 131,072 on a GPU.
        tokenizer: as for `mammal.load`.
        config_dirs: folders with your own tasks.
        progress: function that is called with a `JobProgress` after each batch.

    Returns:
        Number of rows with and without scores, and the files that were written.

    Raises:
        JobError: as for `run_job`; or the input already has an INFO field that is to be added.
        MammalError: the model, the genome, the input or an option is wrong.
    """
    asked = asked or VariantScoreOptions()
    check_encoding(encoding, input)
    opened: dict[str, Any] = {"device": device, "dtype": dtype, "tokenizer": tokenizer, "config_dirs": config_dirs}
    model = open_model(source, batch_tokens=batch_tokens, **opened)
    given = open_input(input, encoding, file_column=file_column)
    variants = allele_source(given.schema.names, reference, asked.window, columns)
    chosen = None if task is None else model.find_task(task)
    scorer = Scorer(model.model, model.tokenizer, model.tasks, asked, model.pace, chosen=chosen)
    scores = VariantQuestion(scorer, variants, prefix=prefix)
    question, form = _written(scores, given, Path(output).expanduser(), prefix)
    tasks = {what: task_identity(task) for what, task in scorer.tasks.items()}
    plan = JobPlan(
        "score variants",
        given,
        question,
        output,
        prefix=prefix,
        shard_rows=shard_rows,
        options={"columns": dict(columns or {}), "reference": None, **model_options(model), "task": tasks},
        hashes={} if reference is None else {"reference": partial(file_hash, Path(reference).expanduser())},
        bundle=partial(bundle_hash, source),
        versions=torch_version(),
        form=form,
        keep_rows=keep_rows,
        reads={
            **read_by_model(bundle=source, tokenizer=tokenizer),
            **({} if reference is None else {"reference": reference, **indexes(Path(reference).expanduser())}),
        },
    )
    report = run_plan(plan, resume=resume, progress=progress)
    if scores.unscored:
        place = question.columns[-1].name if question is scores else f"{prefix or PREFIX}{_UNSCORED_KEY}"
        alleles = "allele has" if scores.unscored == 1 else "alleles have"
        message = "%s %s no scores, in rows with other alleles that have scores; see %s for the reason"
        logger.warning(message, f"{scores.unscored:,}", alleles, place)
    return report


def _written(
    scores: VariantQuestion, given: JobInput, target: Path, prefix: str
) -> tuple[Question, OutputFormat | None]:
    """Returns the question whose columns fit the output, and the format of the output. None: a table."""
    if not target.name.endswith(SUFFIXES):
        return scores, None
    if given.path is None or file_format(given.path) not in ("vcf", "bcf"):
        what = f"{target.suffixes[0]} can be written only if the input is a variant file"
        raise ConfigError(what, where=str(target), hint="one of " + ", ".join(FORMATS))
    fields = info_fields(scores, prefix)
    form = VcfFormat(read_header(given.path), fields, where=given.name, zipped=target.suffix == ".gz")
    return InfoQuestion(scores, fields, f"{prefix or PREFIX}INFO"), form


def info_fields(question: VariantQuestion, prefix: str) -> list[Field]:
    """Returns the INFO fields that a question fills, in the order of its columns, without the column of the allele.

    Args:
        question: question that computes the scores.
        prefix: text before the names of its columns and of the fields. If it is empty, fields begin with `PREFIX`.
    """
    fields_of = {c.name: (c.field, c.about) for score in SCORES.values() for c in score.columns}
    fields_of[UNSCORED] = _UNSCORED_KEY, "Why an allele has no scores"
    fields = []
    for column in question.columns[1:]:
        key, about = fields_of[column.name.removeprefix(prefix)]
        fields.append(Field(f"{prefix or PREFIX}{key}", _TYPES[column.holds], about))
    return fields
