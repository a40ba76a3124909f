"""`source: genome`: windows of a genome without labels, for tasks that fill in hidden DNA.

    chrom start end sequence        `data.window` bases; windows follow each other; positions are counted from 0
    cluster                         the contig again, under the column name that DNA splits use

Windows with more than a tenth of unknown bases (N: gaps of the assembly) are left out. With `data.limit`, this number
of windows is sampled first, with the seed `data.split_seed` and equal probability for all windows of all contigs. The
split `group` by `cluster` keeps contigs together.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.sources.local import find_file

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

WINDOW = 512
"""Default number of bases of a window."""
MOST_UNKNOWN = 0.1


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """Windows of the FASTA file `data.path`.

    Raises:
        TaskError: no path.
        DataError: the file can't be read, or has no window.
    """
    import pandas as pd

    from mammal.tasks.dna.genome import Genome

    if not data.path:
        raise TaskError("source genome needs a path", hint="data.path=genome.fa")
    window = data.window or WINDOW
    rows = []
    with Genome(find_file(data.path, root)) as genome:
        for chrom, start in _places(genome.lengths, window, data.limit, data.split_seed):
            bases = genome.bases(chrom, start, start + window)
            if bases.count("N") <= MOST_UNKNOWN * window:
                rows.append((chrom, start, start + window, bases, chrom))
    if not rows:
        what = f"no contig has {window:,} bases of which {1 - MOST_UNKNOWN:.0%} are known"
        raise DataError(what, where=data.path, hint="a smaller data.window")
    return pd.DataFrame(rows, columns=["chrom", "start", "end", "sequence", "cluster"])


def _places(lengths: dict[str, int], window: int, limit: int | None, seed: int) -> list[tuple[str, int]]:
    """Contig and start of each window, in the order of the genome."""
    names = list(lengths)
    ends_C = np.cumsum([length // window for length in lengths.values()])
    total = int(ends_C[-1]) if len(ends_C) else 0
    chosen_N = np.arange(total)
    if limit is not None and limit < total:
        chosen_N = np.sort(np.random.default_rng(seed).choice(total, size=limit, replace=False))
    contigs_N = np.searchsorted(ends_C, chosen_N, side="right")
    firsts_C = np.concatenate(([0], ends_C[:-1])) if len(ends_C) else ends_C
    within_N = (chosen_N - firsts_C[contigs_N]) * window
    return [(names[contig], start) for contig, start in zip(contigs_N.tolist(), within_N.tolist(), strict=True)]
