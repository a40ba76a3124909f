"""The `data` block of a task: source of the rows, and split."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mammal.tasks.errors import DataError, TaskError
from mammal.tokenization.errors import did_you_mean

SOURCES = {
    "file": True,
    "chemicals": False,
    "modlamp": False,
    "moses": True,
    "moleculenet": False,
    "dti": False,
    "cells": False,
    "genomics": False,
    "genome": True,
    "proteins": False,
    "ppi": False,
    "immune": False,
    "antibodies": False,
    "tdc": False,
    "hub": True,
    "variants": True,
    "reactions": False,
    "texts": False,
    "b3db": False,
}
"""Sources -> whether they read `data.path`; for the others the paths of the files are fixed."""
READ_ENCODING = ("file", "hub", "variants")
"""Sources whose files can have any encoding."""
LEAKAGE = ("report", "refuse", "drop")
HELD_OUT = ("bbbp",)
"""Lists of `mammal.tasks.splits.held_out`."""
LATER = {"deduplicate": False, "held_out": None, "encoding": None}
"""Keys that version 0.1 does not have, and their defaults: a task without them is stored as it was then."""


@dataclass
class DataConfig:
    """Source of the rows of a task, and the split.

    Attributes:
        source: one of `SOURCES`.
        name: the data set's name inside its source (`moleculenet: bbbp`, `chemicals: melting_point`, a hub id).
        path: one file; relative paths are looked up from the working directory, then below `paths.data`.
        files: files by part (`train`, `valid`, `test`), for a split that is given as separate files.
        encoding: encoding of the file or files, such as `latin-1`, if they are text. Default: UTF-8, or UTF-16 with a
            byte order mark.
        columns: template column -> column of the file, if the names differ.
        split: `given`, `fold`, `random`, `scaffold`, `molecule`, `cluster`, `cold`, `time`, `group`, `deepchem:NAME`
            (a splitter class of deepchem, such as `deepchem:ButinaSplitter`), or `like:TASK` (each molecule is in the
            part in which that task has it; molecules that it lacks are in train).
        split_column: the column that defines a split. `given`: it holds train, valid or test; default: a column with
            the usual name of one (`split`, `set`, `partition` …). `fold`: the fold of each row. `time`: years or ISO
            dates. `group`: rows of equal value stay together.
        split_on: the column (text) or columns (list) that scaffold, molecule, cluster, cold, deepchem and like splits
            use. Default: the first molecule, for cluster the first sequence; for cold all molecules and sequences.
            Several columns make sense only for cold: with `[drug, target]`, both sides of every test pair are new.
        split_file: a split that a run saved (`splits/TASK.json.gz`), used instead of `split`; its hash and its table
            are checked.
        fractions: shares of train, valid and test; shares of rows, in a cold split of values. Not used by given and
            fold.
        valid_share: `given` without valid rows: this share of train becomes valid; rows with equal inputs stay
            together.
        stratify: random, and fold without a column: each class has about equal shares (numbers: ten ranges).
        folds: fold without a column: number of seeded folds, which are numbered from 0.
        fold: the fold that is test; default: the last.
        valid_fold: the fold that is valid; default: the one before `fold`; with two folds none.
        split_seed: seed of all random choices of a split.
        identity: cluster: sequences at least this similar stay together (by MMseqs2, or by shared k-mers).
        leakage: handling of valid and test rows with the inputs of a training row, by normalised SMILES or exact text:
            `report`, `refuse` (an error), or `drop` (they are left out, and counted).
        deduplicate: of rows with equal inputs and labels only the first is split; the others are left out, and counted.
            Inputs are compared as for `leakage`.
        held_out: a list of molecules on which another task is tested (`mammal.tasks.splits.held_out`): rows with one
            of them are left out of train and valid, and counted. `bbbp`: the test parts of MoleculeNet's BBBP.
        limit: maximum number of rows, for a quick look: the first ones (`moses` and `genome`: spread over the whole).
        window: bases that are kept around the variant of DNA text, and cut around each record of a VCF file.
        window_shift: DNA text: move the window by up to this many bases, at random but fixed for each text, so that the
            variant is not always in the middle.
        reference: variants: FASTA file of the genome.
        rendering: variants: `in_place`, `population`, `reference`, `alternate`, `haplotype_1`, `haplotype_2` or
            `haplotypes` (`mammal.tasks.dna.windows`).
        sample: variants: the sample for haplotypes, or for the dosage of the alternate allele.
        region: variants: only records of this region, such as chr1:1000-2000; the file needs an index.
        neighbours: variants: write the other records of a window in place, too.
        aligned: reactions: the side, `reactants` or `product`, that is written in the order of the other side's atoms;
            null: both are canonical.
    """

    source: str = "file"
    name: str | None = None
    path: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    split: str = "random"
    split_column: str | None = None
    split_on: Any = None  # text or a list of texts; OmegaConf does not support a union of the two
    split_file: str | None = None
    fractions: list[float] = field(default_factory=lambda: [0.8, 0.1, 0.1])
    valid_share: float = 0.0
    stratify: bool = False
    folds: int = 5
    fold: str | None = None
    valid_fold: str | None = None
    split_seed: int = 0
    identity: float = 0.5
    leakage: str = "report"
    deduplicate: bool = False
    held_out: str | None = None
    limit: int | None = None
    window: int | None = None
    window_shift: int = 0
    reference: str | None = None
    rendering: str = "in_place"
    sample: str | None = None
    region: str | None = None
    neighbours: bool = False
    aligned: str | None = None
    encoding: str | None = None


def check_data(data: DataConfig, where: str | None) -> None:
    """Checks the values of a `data` block.

    Args:
        data: the block.
        where: the file, for error messages.

    Raises:
        TaskError: shares, identity, window, encoding or columns are not valid; the message names the key.
    """
    shares = data.fractions
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise TaskError(f"data.fractions must be three shares that sum to 1, not {list(shares)}", where=where)
    if not 0 <= data.valid_share < 1:
        raise TaskError(f"data.valid_share must be a share below 1, not {data.valid_share:g}", where=where)
    if not 0 < data.identity <= 1:
        raise TaskError(f"data.identity must be above 0 and at most 1, not {data.identity:g}", where=where)
    if data.encoding is not None:
        _check_encoding(data, where)
    if data.window is not None and data.window < 1:
        raise TaskError(f"data.window must be at least one base, not {data.window}", where=where)
    if data.window_shift < 0:
        raise TaskError(f"data.window_shift must not be negative, but is {data.window_shift}", where=where)
    if data.held_out is not None and data.held_out not in HELD_OUT:
        hint = did_you_mean(data.held_out, HELD_OUT, noun="list of molecules")
        raise TaskError(f"data.held_out is {data.held_out!r}", where=where, hint=hint)
    named = [data.split_on] if isinstance(data.split_on, str) else data.split_on
    if named is not None and not (isinstance(named, list) and named and all(isinstance(c, str) for c in named)):
        what = f"data.split_on must be a column or a list of columns, not {data.split_on!r}"
        raise TaskError(what, where=where, hint="task.data.split_on=smiles, or task.data.split_on=[drug,target]")


def _check_encoding(data: DataConfig, where: str | None) -> None:
    from mammal.tasks.tables.encodings import codec_name

    if data.source not in READ_ENCODING:
        what = f"data.encoding is for files of your own, and data.source is {data.source}"
        raise TaskError(what, where=where, hint=f"for {' and '.join(READ_ENCODING)}; leave it out")
    try:
        codec_name(data.encoding)
    except DataError as error:
        raise TaskError(f"data.encoding: {error.what}", where=where, hint=error.hint) from error
