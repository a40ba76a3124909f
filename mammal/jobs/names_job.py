"""The job that makes a corpus of structures and their names. Each name is read back to check it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from mammal.errors import ConfigError, DataError, did_you_mean
from mammal.jobs.engine import Follow, JobReport
from mammal.jobs.inputs import Given, JobInput, open_input
from mammal.jobs.plan import JobPlan
from mammal.jobs.ray_settings import ray_settings_of
from mammal.jobs.structures import existing, open_structures, sdf_format, structure_text
from mammal.jobs.structures_run import StructuresRun
from mammal.jobs.workers import Workers
from mammal.rows.answer_columns import ERROR, AnswerColumn, Record
from mammal.rows.batched import Refused, Row
from mammal.rows.question import Computed
from mammal.rows.read_columns import ReadColumns
from mammal.tasks.names import make_pairs, naming, opsin
from mammal.tasks.names.roundtrip import Outcome, Pair

SHARD_ROWS = 5_000
KEEP = ("exact", "unverified", "all")
COLUMNS = ("canonical", "iupac", "smiles_by_name", "outcome")


class NameRows(Computed):
    """Answers each row with its structure and name (see `mammal.tasks.names.roundtrip`).

    Args:
        smiles: column of the structures.
        names: column of names that are checked. None: names are made from the structures.
        keep: `exact` keeps rows whose name leads back to the same molecule; `unverified` also keeps names that were
            not read back; `all` keeps every row that holds a molecule.
        verify: read names back with OPSIN.
        workers: the processes that work on the molecules.
        prefix: text before the names of the added columns.
    """

    def __init__(self, smiles: str, names: str | None, *, keep: str, verify: bool, workers: Workers, prefix: str = ""):
        self._smiles, self._names, self._keep, self._verify, self._workers = smiles, names, keep, verify, workers
        self.reading = ReadColumns((smiles,) if names is None else (smiles, names))
        self.columns = [AnswerColumn(f"{prefix}{name}", "text") for name in COLUMNS]
        self.recorded_options = {"smiles": smiles, "names": names, "keep": keep}

    def answers(self, rows: Sequence[Row]) -> list[list[Record] | Refused]:
        smiles = [structure_text(row[self._smiles]) for row in rows]
        names = None if self._names is None else [structure_text(row[self._names]) for row in rows]
        pairs = make_pairs(smiles, names, verify=self._verify, each_of=self._workers.each_of)
        return [self._answer(pair) for pair in pairs]

    def _answer(self, pair: Pair) -> list[Record] | Refused:
        kept = ("exact", "unverified") if self._keep == "unverified" else ("exact",)
        if pair.outcome in kept or (self._keep == "all" and pair.outcome != "invalid"):
            return [(pair.canonical, pair.name, pair.smiles_by_name, pair.outcome)]
        named = f" ({pair.name})" if pair.name is not None else ""
        return Refused(f"{pair.outcome}: {pair.reason}{named}")


def names_job(
    input: Given,
    output: str | os.PathLike[str],
    *,
    smiles: str | None = None,
    encoding: str | None = None,
    file_column: str | None = None,
    names: str | None = None,
    keep: str = "exact",
    workers: int | None = None,
    prefix: str = "",
    shard_rows: int = SHARD_ROWS,
    keep_rows: bool | None = None,
    resume: bool = True,
    progress: Follow | None = None,
    engine: str = "local",
    ray: Mapping[str, Any] | None = None,
) -> JobReport:
    """Names the molecules of a file and keeps the names that lead back to the same molecule.

    The job can be stopped and continued like `mammal.jobs.run_job`. Names are read back with OPSIN, which needs Java.
    Without Java no name can be checked, and `keep` must be `unverified` or `all`.

    Args:
        input: a table, or several, as for `mammal.jobs.run_job`; or `chemicals` for the compounds of that package, with
            PubChem's names in lower case.
        output: file or folder to write, as for `mammal.jobs.run_job`.
        smiles: column of the structures. Default: the column called `smiles` in upper or lower case.
        encoding: encoding of the input, such as `latin-1`, if it is a text file. Default: UTF-8, or UTF-16 with a byte
            order mark.
        file_column: name of an added column with the name of the input file that a row comes from. Default: none.
        names: column of names that are checked. For `chemicals`: `pubchem_name`. Default: names are made from the
            structures.
        keep: `exact`: a row whose name does not lead back goes to the errors file with outcome and reason;
            `unverified`: names that could not be read back because Java is missing are kept, too; `all`: every row that
            holds a molecule is kept, with its outcome.
        workers: processes that make and compare names; with `engine="ray"`, processes of each actor. Default: one per
            core. 0: only the current process, or the actor.
        prefix: text before the names of the added columns: canonical, iupac, smiles_by_name, outcome.
        shard_rows: rows that are written together. Default: 5,000.
        keep_rows: rows without an answer stay in the output, in their place, with empty answers and the reason in a
            column `error`. False: they are only in the errors file. Default: True for .csv and .tsv, else False.
        resume: continue an earlier job of the same output. False: start again.
        progress: function that is called with a `JobProgress` after each shard.
        engine: `"local"`: processes of this machine name and compare. `"ray"`: actors of Ray do, each machine with the
            same packages and, if this one has Java, with Java. This process reads and writes. The output has the same
            bytes.
        ray: settings of `engine="ray"`: `address`, `actors` and `cpus` (`mammal.jobs.ray_settings`).

    Returns:
        Number of rows that were kept and that were not, and the files that were written.

    Raises:
        JobError: the output exists and belongs to another job, is being written by another process, or can't be
            written.
        MammalError: an option or the input is wrong, a package is missing, or `names` is given and Java is missing.
    """
    check_names_options(names, keep)
    run = StructuresRun(ray_settings_of(engine, ray), workers, resume, progress)
    opened: dict[str, Any] = {"encoding": encoding, "file_column": file_column, "output": output}
    with open_structures(input, smiles=smiles, **opened) as found:
        if names is not None:
            existing(names, found.given.schema.names)
        options: dict[str, Any] = {"column": found.column, "names": names, "keep": keep, "prefix": prefix}
        options |= {"output": output, "shard_rows": shard_rows, "keep_rows": keep_rows}
        return run(names_plan, found.given, options)


def names_plan(
    given: JobInput,
    output: str | os.PathLike[str],
    column: str,
    names: str | None,
    keep: str,
    workers: int,
    **how: Any,
) -> JobPlan:
    """Returns the plan of a job that makes or checks names. It depends on whether this machine has Java.

    Args:
        given: the input.
        output: as for `names_job`.
        column: column of the structures.
        names: as for `names_job`.
        keep: as for `names_job`.
        workers: number of processes that make and compare names. 0: the current one.
        **how: `prefix`, `shard_rows` and `keep_rows`, as for `names_job`.

    Raises:
        MammalError: a package is missing, or Java is missing and needed.
    """
    verify, processes = check_names_options(names, keep), Workers(workers)
    question = NameRows(column, names, keep=keep, verify=verify, workers=processes, prefix=how["prefix"])
    versions, form = _versions(names is None, verify), sdf_format(output, given, column)
    return JobPlan("names", given, question, output, versions=versions, form=form, workers=lambda: processes, **how)


def check_names_options(names: str | None, keep: str) -> bool:
    """Checks that names can be made or verified as requested.

    Args:
        names: column of names that are checked. None: names are made from the structures.
        keep: as for `names_job`.

    Returns:
        Whether names can be read back, which needs Java.

    Raises:
        ConfigError: there is no such value of `keep`.
        MammalError: a package is missing, or Java is missing and needed.
    """
    if keep not in KEEP:
        raise ConfigError(f"keep can't be {keep!r}", hint=did_you_mean(keep, KEEP, noun="value"))
    lacking = opsin.why_missing()
    if names is None:
        naming.check_installed()
        if lacking is not None and keep == "exact":
            hint = f"{lacking.hint}; or keep=unverified, which keeps names that were not checked"
            raise DataError(f"names can't be read back, so none would be kept: {lacking.what}", hint=hint)
    elif lacking is not None:
        raise lacking
    return lacking is None


def count_outcomes(report: JobReport, prefix: str = "") -> Counter[str]:
    """Counts the rows of a finished job by outcome.

    Args:
        report: report of the job.
        prefix: the prefix with which the job was run.
    """
    counts: Counter[str] = Counter()
    for outcomes in _cells(report.output, f"{prefix}outcome"):
        counts.update(outcome for outcome in outcomes if isinstance(outcome, str) and outcome)
    if report.errors is not None:
        known = get_args(Outcome)
        for reasons in _cells(report.errors, f"{prefix}{ERROR}"):
            words = (str(reason).partition(":")[0] for reason in reasons)
            counts.update(word if word in known else "invalid" for word in words)
    return counts


def _cells(output: Path | str, column: str) -> Iterator[list[Any]]:
    """The cells of a column of an output, shard by shard."""
    opened = open_input(output)
    if column in opened.schema.names:  # an SDF file without records has no columns
        yield from (shard.table.column(column).to_pylist() for shard in opened.shards(SHARD_ROWS))


def _versions(makes: bool, verifies: bool) -> dict[str, str]:
    """Versions of the packages that names and outcomes depend on.

    OPSIN is listed only if it is used, so that a job that began without Java can't continue with Java, or vice versa.
    """
    packages = ["rdkit", *(["openclatura"] if makes else []), *(["py2opsin"] if verifies else [])]
    return {name: version(name) for name in packages}
