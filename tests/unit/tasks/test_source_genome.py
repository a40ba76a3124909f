"""Windows of a genome: their positions, which are excluded, which are sampled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammal.tasks.declaration.data_config import DataConfig
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.sources.genome import load

pytest.importorskip("pysam")
BASES = "".join(np.random.default_rng(0).choice(list("ACGT"), 95))


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{BASES.lower()}\n>short\nACG\n>chr2\n{'N' * 20}{BASES[:20]}\n")
    return path


def windows(genome: Path, **settings: Any) -> list[tuple[str, int, int, str]]:
    frame = load(DataConfig(source="genome", path=str(genome), **{"window": 20, **settings}), None)
    return list(frame[["chrom", "start", "end", "sequence"]].itertuples(index=False, name=None))


def test_windows_lie_one_behind_the_other_and_gaps_are_left_out(genome: Path) -> None:
    found = windows(genome)
    assert found == [
        *(("chr1", start, start + 20, BASES[start : start + 20]) for start in (0, 20, 40, 60)),
        ("chr2", 20, 40, BASES[:20]),
    ]


def test_a_limit_draws_places_by_the_seed(genome: Path) -> None:
    every = windows(genome, window=5)
    drawn = [windows(genome, window=5, limit=8, split_seed=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(set(part) <= set(every) and len(part) <= 8 for part in drawn)


def test_what_cannot_be_is_reported(genome: Path) -> None:
    with pytest.raises(TaskError, match="needs a path"):
        load(DataConfig(source="genome"), None)
    with pytest.raises(DataError, match="no contig has 100 bases"):
        windows(genome, window=100)


def test_the_task_reads_a_genome(genome: Path) -> None:
    from mammal.tasks.data import load_data

    found = load_data(load_task("dna_denoising", {"data": {"source": "genome", "path": str(genome), "window": 5}}))
    assert sum(len(rows) for rows in found.split.parts.values()) == 23
    contigs = [set(found.frame.iloc[rows]["chrom"]) for rows in found.split.parts.values()]
    assert sum(map(len, contigs)) == len(set().union(*contigs)) == 2


def test_plain_dna_of_the_labelled_sets(shared: Path) -> None:
    from mammal.tasks.data import load_dataset

    frame = load_dataset(load_task("dna_denoising", {"data": {"limit": 50}}).data, {"data": str(shared / "data")})
    assert len(frame) == 50 and frame.sequence.str.fullmatch("[ACGTN]+").all()
