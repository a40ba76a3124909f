"""`mammal evaluate samples=…`: evaluates files of generated molecules without a model.

    mammal evaluate samples=samples.csv train=train.smi test=test.smi output=judged
    mammal evaluate samples=[plain.csv,grammar.csv] test=[test.csv.gz,test_scaffolds.csv.gz]
    mammal evaluate samples=made.csv column=molecule train=train.csv test=test.csv reference_column=structure

The command writes samples.json, samples.csv, molecules_NAME.csv (one row for each string) and report.html. For a file
that `mammal generate` wrote, the settings of the job, the requested values and the failed sequences are also used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mammal import console
from mammal.errors import ConfigError

if TYPE_CHECKING:
    from mammal.evaluation.judge_sets import Against
    from mammal.evaluation.samples import Samples
    from mammal.evaluation.set_results import SetResult
    from mammal.tasks.molecule_sets.summary import EachOf

MANY = 2_000
"""Number of molecules from which starting several processes saves time."""


Files: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"
"""One file, or a list of them."""


def evaluate_samples(
    samples: Files,
    *,
    train: str | os.PathLike[str] | None = None,
    test: Files | None = None,
    column: str | None = None,
    reference_column: str | None = None,
    asked: str | Sequence[str] | None = None,
    encoding: str | None = None,
    limit: int | None = None,
    reference_limit: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    device: str = "auto",
    cache: Path | None = None,
) -> list[SetResult]:
    """Evaluates files of molecules without a model.

    Args:
        samples: a file of generated molecules, or several that are compared.
        train: the training set, for novelty.
        test: a reference set, or several.
        column: column of the molecules in `samples`; None: what `mammal generate` wrote, `smiles`, or the only column.
        reference_column: column of the molecules in `train` and `test`; None: `smiles`, `text`, the only column, or
            `column`.
        asked: columns of `samples` with requested properties; None: the conditions that the samples were made with.
        encoding: encoding of all files that are text, such as "latin-1"; None: UTF-8, or UTF-16 with a byte order mark.
            What `mammal generate` wrote is always read as UTF-8.
        limit: read only this many sequences from the start of each file; None: all.
        reference_limit: at most this many molecules of each reference set, sampled; None: all.
        seed: random seed of the sampling from the reference sets.
        workers: number of processes that read molecules; 0: this process; None: one for each core if there are many
            molecules.
        device: where ChemNet runs: "auto", "cpu", "cuda" …
        cache: folder that keeps summaries of reference sets; None: none are kept.

    Returns:
        One result for each file of samples.

    Raises:
        ConfigError: no file is given, or the device does not exist.
        DataError: a file or column is missing, or a file contains no sample; or there is no such encoding, or none of
            the files has one to choose.
    """
    from mammal.evaluation.judge_sets import judge_sets
    from mammal.model.runtime import pick_device
    from mammal.tasks.tables.lines import UTF_8

    columns = [asked] if isinstance(asked, str) else asked
    how: dict[str, Any] = {"column": column, "asked": columns, "limit": limit}
    name = UTF_8 if encoding is None else _codec(encoding, samples, train, test)
    read = _read_all(samples, how, name)
    sets = _against(train, test, reference_column, column, name)
    against = replace(sets, reference_limit=reference_limit, seed=seed, cache=summaries_folder(cache))
    molecules = sum(len(one.smiles) for one in read) + sum(len(smiles) for _, smiles in sets.references.values())
    with molecule_workers(workers, molecules) as each_of:
        return judge_sets(read, against, each_of=each_of, device=str(pick_device(device)), tell=console.note)


@contextmanager
def molecule_workers(workers: int | None, molecules: int) -> Iterator[EachOf]:
    """Runs work on molecules in this process or in several, with a progress line.

    Args:
        workers: number of processes; 0: this process; None: one for each core if there are many molecules.
        molecules: how many molecules there are.

    Yields:
        A function like `map`: it applies a function to each item of a sequence.
    """
    from mammal.jobs.structures import worker_count
    from mammal.jobs.workers import Workers

    if workers is None:
        workers = worker_count(None) if molecules >= MANY else 0
    with Workers(workers) as members, console.Progress("reading", unit="molecules") as progress:

        def each_of(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
            progress.total = (progress.total or 0) + len(items)  # a set becomes known when its turn comes
            for found in members.each_of(work, items):
                progress.advance(1)
                yield found

        yield each_of


def summaries_folder(cache: Path | None) -> Path | None:
    """Folder of the summaries of reference sets in the cache; None without a cache."""
    return None if cache is None else cache.expanduser() / "molecule_sets"


def _codec(encoding: str, samples: Files, train: str | os.PathLike[str] | None, test: Files | None) -> str:
    """Python's name of the encoding of those files that are text.

    Raises:
        DataError: there is no such encoding, or none of the files has one to choose.
    """
    from mammal.tasks.tables.encodings import WITHOUT_ENCODING, checked_encoding
    from mammal.tasks.tables.readers import file_format

    given = (("samples", samples), ("train", train), ("test", test))
    forms = {file_format(file): file for key, one in given if one is not None for file in _files(one, key)}
    form = next((form for form in forms if form not in WITHOUT_ENCODING), next(iter(forms)))
    return str(checked_encoding(encoding, form, forms[form]))


def _read_all(samples: Files, how: Mapping[str, Any], encoding: str) -> list[Samples]:
    from mammal.evaluation.samples import read_samples

    files = _named(_files(samples, "samples")).items()
    return [read_samples(file, name, encoding=encoding, **how) for name, file in files]


def _against(
    train: str | os.PathLike[str] | None, test: Files | None, column: str | None, or_else: str | None, encoding: str
) -> Against:
    """The training set and the reference sets; `or_else` is used if `column` is None and no column can be chosen."""
    from mammal.evaluation.judge_sets import Against
    from mammal.tasks.molecule_sets.files import molecule_parts, molecules_of
    from mammal.tasks.tables.readers import existing_file

    how: dict[str, Any] = {"or_else": or_else, "encoding": encoding}
    known = None if train is None else existing_file(Path(train))
    tests = _named(_files(test, "test")) if test is not None else {}
    return Against(
        training=None if known is None else partial(molecule_parts, known, column, **how),
        training_source=str(train or ""),
        references={name: (str(file), molecules_of(file, column, **how)) for name, file in tests.items()},
    )


def _files(given: Files, where: str) -> list[Path]:
    """The paths of the given file or files.

    Raises:
        ConfigError: the value is neither a file nor a list of files.
        DataError: a file does not exist.
    """
    from mammal.tasks.tables.readers import existing_file

    files = [given] if isinstance(given, str | os.PathLike) else list(given)
    if not files or not all(isinstance(file, str | os.PathLike) for file in files):
        raise ConfigError("give a file, or a list of them", where=where, hint=f"{where}=[a.csv,b.csv]")
    return [existing_file(Path(file)) for file in files]


def _named(files: Sequence[Path]) -> dict[str, Path]:
    """The files by name of their set; equal names get the name of their folder as prefix, or a number."""
    from mammal.tasks.molecule_sets.files import set_name

    short = [set_name(file) for file in files]
    named: dict[str, Path] = {}
    for name, file in zip(short, files, strict=True):
        full = name if short.count(name) == 1 else "_".join(filter(None, (file.parent.name, name)))
        numbered = (f"{full}_{number}" for number in count(2))
        named[next(free for free in chain([full], numbered) if free not in named)] = file
    return named
