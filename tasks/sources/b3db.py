"""`source: b3db`: penetration of the blood-brain barrier, from the PyPI package `qc-b3db` (CC0; Meng et al. 2021).

    classification   smiles name iupac bbb log_bb group    7,807 molecules; bbb: 1 crosses the barrier (BBB+), 0 doesn't
    log_bb           smiles name iupac log_bb group        1,058 molecules; log BB: log10 of brain over blood

Figures are of version 1.1.1. The 7,805 molecules that RDKit reads have 4,022 connectivities: many are stereoisomers
of one another, which a scaffold split keeps together. `group` is how certain the authors are of a label, A to D; group
A of the classification is the 1,058 molecules with a log BB. 6,170 molecules have an IUPAC name. RDKit refuses two
SMILES of the classification.

The package is read, not imported: importing it loads 80 MB of descriptors.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError
from mammal.tasks.sources.parts import known_name, limited

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

FILES = {"classification": "B3DB_classification.tsv", "log_bb": "B3DB_regression.tsv"}
_COLUMNS = {"SMILES": "smiles", "compound_name": "name", "IUPAC_name": "iupac", "logBB": "log_bb", "group": "group"}
_LABEL, _CLASSES = "BBB+/BBB-", {"BBB+": "1", "BBB-": "0"}


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the tables above; cells are text, empty where the authors give nothing.

    Raises:
        TaskError: no such table.
        DataError: the package is not installed.
    """
    import pandas as pd

    name = known_name(data.name, FILES, "b3db")
    table = pd.read_csv(_folder() / FILES[name], sep="\t", dtype=str, keep_default_na=False, encoding="utf-8")
    frame = table[list(_COLUMNS)].rename(columns=_COLUMNS)
    if name == "classification":
        frame.insert(3, "bbb", table[_LABEL].map(_CLASSES))
    return limited(frame, data.limit)


def _folder() -> Path:
    """The package's folder, found without importing it."""
    spec = find_spec("B3DB")
    if spec is None or spec.origin is None:
        raise DataError("the package `qc-b3db` is not installed", hint="pip install 'mammal[b3db]'")
    return Path(spec.origin).parent
