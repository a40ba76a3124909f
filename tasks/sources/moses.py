"""`source: moses`: the MOSES benchmark, 1.9 million drug-like molecules (Polykovskiy et al. 2020).

    smiles split      split: train, test; with `name: scaffolds`, test holds only scaffolds that are not in train

The files are read from the folder of local copies (`pretrain_moses/{train,test,test_scaffolds}.csv.gz`), or from the
package `molsets`, which need not be importable (`pip install --no-deps molsets`). `data.path` can name a table with
more columns to read instead of the training file, such as properties that were computed once (`smiles`, `mw`, `logp`
…).

The rows of the training file are not in random order (molsets 0.3.1): sulfonyl groups occur in 13 % of some 100,000
consecutive rows and in 4 % of others. A `data.limit` therefore takes evenly spread rows.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import TaskError
from mammal.tasks.sources.local import find_copy, find_file, local_copy
from mammal.tasks.sources.parts import limited
from mammal.tasks.splits.split import SPLIT_COLUMN
from mammal.tasks.tables.readers import read_table
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

FOLDER = "pretrain_moses"
TESTS = {"moses": "test.csv.gz", "scaffolds": "test_scaffolds.csv.gz"}
"""`data.name` -> file of the test molecules."""


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """Training molecules and those of one of the two test files.

    Raises:
        TaskError: no such test set.
        DataError: a file is neither in the folder of local copies nor installed.
    """
    import pandas as pd

    name = data.name or "moses"
    if name not in TESTS:
        raise TaskError(f"moses has no test set {name!r}", hint=did_you_mean(name, TESTS, noun="test set"))
    train = find_file(data.path, root) if data.path else moses_file("train.csv.gz", root)
    parts = {"train": train, "test": moses_file(TESTS[name], root)}
    frames = [
        limited(read_table(path), data.limit).rename(columns={"SMILES": "smiles"}).assign(**{SPLIT_COLUMN: part})
        for part, path in parts.items()
    ]
    return pd.concat(frames, ignore_index=True)


def moses_file(name: str, root: Path | None) -> Path:
    """Returns the path of a file of the benchmark.

    Args:
        name: name of the file, such as `train.csv.gz`.
        root: the folder of local copies, None if there is none.

    Raises:
        DataError: it is neither in the folder of local copies nor installed.
    """
    copied = find_copy(f"{FOLDER}/{name}", root)
    if copied is not None:
        return copied
    try:
        shipped = [file for file in files("molsets") or () if file.match(f"moses/dataset/data/{name}")]
    except PackageNotFoundError:
        shipped = []
    if shipped:
        return Path(str(shipped[0].locate()))
    return local_copy(f"{FOLDER}/{name}", root, "the package molsets (pip install --no-deps molsets)")
