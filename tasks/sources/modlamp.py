"""`source: modlamp`: peptides that ship inside the PyPI package `modlamp` (BSD-3; Müller et al. 2017).

    AMPvsUniProt             sequence amp    2,600 antimicrobial peptides, 2,600 from UniProt
    AMPvsTMset               sequence amp    206 antimicrobial peptides, 206 transmembrane stretches
    ACP_CancPPD_vs_TM        sequence acp    413 anticancer peptides, 413 transmembrane stretches
    ACP_CancPPD_vs_Random    sequence acp    413 anticancer peptides, 413 random stretches

The first line of the files is not a header: as in scikit-learn's files, it holds the number of rows and columns and the
class names. If the package is not installed, the copy `peptide_modlamp/NAME.csv.gz` below `paths.data` is read.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError
from mammal.tasks.sources.local import find_copy
from mammal.tasks.sources.parts import known_name, limited

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

TARGETS = {"AMPvsUniProt": "amp", "AMPvsTMset": "amp", "ACP_CancPPD_vs_TM": "acp", "ACP_CancPPD_vs_Random": "acp"}


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the data sets above; the label is 1 for active peptides.

    Raises:
        TaskError: no such set.
        DataError: neither the package nor a local copy.
    """
    import pandas as pd

    name = known_name(data.name, TARGETS, "modlamp")
    lines = _lines(name, root)[1:]
    pairs = [[part.strip() for part in line.split(",")] for line in lines if line.strip()]
    return limited(pd.DataFrame(pairs, columns=["sequence", TARGETS[name]]), data.limit)


def _lines(name: str, root: Path | None) -> list[str]:
    spec = find_spec("modlamp")
    if spec is not None and spec.origin is not None:
        return (Path(spec.origin).parent / "data" / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    copy = find_copy(f"peptide_modlamp/{name}.csv.gz", root)
    if copy is None:
        raise DataError("the package `modlamp` is not installed", hint="pip install modlamp")
    with gzip.open(copy, "rt", encoding="utf-8") as text:
        return text.read().splitlines()
