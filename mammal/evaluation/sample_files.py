"""`mammal evaluate samples=…`: files of generated molecules, judged without a model.

    mammal evaluate samples=samples.csv train=train.smi test=test.smi output=judged
    mammal evaluate samples=[plain.csv,grammar.csv] test=[test.csv.gz,test_scaffolds.csv.gz]
    mammal evaluate samples=made.csv column=molecule train=train.csv test=test.csv reference_column=structure

Writes samples.json, samples.csv, molecules_NAME.csv (one row a string) and report.html. A file that `mammal generate`
wrote tells how it was made, what was asked for, and which sequences never became valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.evaluation.judge_sets import Against
    from mammal.evaluation.samples import Samples
    from mammal.evaluation.set_results import SetResult
    from mammal.tasks.molecule_sets.summary import EachOf

MANY = 2_000
"""Molecules from which on several processes are worth their start."""


def evaluate_samples(config: DictConfig) -> tuple[list[SetResult], Path]:
    """Judges the files, prints the table, saves the figures, and returns the results with the folder they are in."""
    from mammal.evaluation.judge_sets import judge_sets
    from mammal.evaluation.set_results import save_sets

    samples = _samples(config)
    against = _against(config)
    output = Path(config.output or Path(samples[0].source).parent / "judged")
    molecules = sum(len(one.smiles) for one in samples) + sum(len(smiles) for _, smiles in against.references.values())
    with crew(config.workers, molecules) as each_of:
        results = judge_sets(samples, against, each_of=each_of, device=device_of(config), tell=console.note)
    print_sets(results)
    console.note(f"written: {save_sets(results, output)}")
    return results, output


def print_sets(results: Sequence[SetResult]) -> None:
    """The figures of all sets, side by side."""
    from mammal.evaluation.set_results import figures_table

    for result in results:
        valid, distinct = f"{result.valid:,} valid", f"{result.distinct:,} different"
        console.out(f"{result.name}: {result.samples:,} samples, {valid}, {distinct}")
    header, rows = figures_table(results)
    console.table(rows, header)
    console.out()


@contextmanager
def crew(workers: int | None, molecules: int) -> Iterator[EachOf]:
    """What does the work on so many molecules: this process, or several; with a progress line."""
    from mammal.jobs.structures import worker_count
    from mammal.jobs.workers import Crew

    if workers is None:
        workers = worker_count(None) if molecules >= MANY else 0
    with Crew(workers) as members, console.Progress("reading", unit="molecules") as progress:

        def each_of(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
            for found in members.each_of(work, items):
                progress.advance(1)
                yield found

        yield each_of


def cache_folder(config: DictConfig) -> Path | None:
    """Where summaries of reference sets are kept; None: nowhere."""
    return Path(config.paths.cache).expanduser() / "molecule_sets" if config.paths.cache else None


def _samples(config: DictConfig) -> list[Samples]:
    from mammal.evaluation.samples import read_samples

    asked = None if config.asked is None else [config.asked] if isinstance(config.asked, str) else list(config.asked)
    files = _named(_files(config.samples, "samples"))
    how = {"column": config.column, "asked": asked, "limit": config.limit}
    return [read_samples(file, name, **how) for name, file in files.items()]


def _against(config: DictConfig) -> Against:
    from mammal.evaluation.judge_sets import Against
    from mammal.tasks.molecule_sets.files import molecule_parts, molecules_of
    from mammal.tasks.tables.readers import existing_file

    how = {"column": config.reference_column, "or_else": config.column}
    train = existing_file(config.train) if config.train is not None else None
    tests = _named(_files(config.test, "test")) if config.test is not None else {}
    return Against(
        training=None if train is None else partial(molecule_parts, train, **how),
        training_source=str(config.train or ""),
        references={name: (str(file), molecules_of(file, **how)) for name, file in tests.items()},
        reference_limit=config.reference_limit,
        seed=config.seed,
        cache=cache_folder(config),
    )


def _files(given: Any, where: str) -> list[Path]:
    """The file, or each of several.

    Raises:
        ConfigError: neither; DataError: there is no such file.
    """
    from mammal.tasks.tables.readers import existing_file

    files = [given] if isinstance(given, str) else list(given)
    if not files or not all(isinstance(file, str) for file in files):
        raise ConfigError("give a file, or a list of them", where=where, hint=f"{where}=[a.csv,b.csv]")
    return [existing_file(file) for file in files]


def _named(files: Sequence[Path]) -> dict[str, Path]:
    """Each file under the name of its molecules; files of equal names also under their folder's, or numbered."""
    from mammal.tasks.molecule_sets.files import set_name

    short = [set_name(file) for file in files]
    named: dict[str, Path] = {}
    for name, file in zip(short, files, strict=True):
        full = name if short.count(name) == 1 else "_".join(filter(None, (file.parent.name, name)))
        numbered = (f"{full}_{number}" for number in count(2))
        named[next(free for free in chain([full], numbered) if free not in named)] = file
    return named


def device_of(config: DictConfig) -> str:
    """Where ChemNet runs."""
    from mammal.model.runtime import pick_device

    return str(pick_device(config.device))
