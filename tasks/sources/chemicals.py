"""`source: chemicals`: measured properties and names that ship inside the PyPI package `chemicals` (MIT).

    melting_point   smiles iupac name cas tm      Open Notebook melting points (Bradley, Lang, Williams 2014), K
    boiling_point   smiles iupac name cas tb      Yaws' table, K
    iarc            smiles iupac name cas group   IARC evaluation: 1, 2A, 2B, 3 or 4
    molecules       smiles iupac name cas         every compound with a structure (PubChem)

Tables are joined to structures by CAS number. Most structures there have no stereo marks, so isomers can differ in
their values and share a canonical SMILES.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError, TaskError
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.schema import DataConfig

PROPERTIES = {
    "melting_point": ("Phase Change/OpenNotebook Melting Points.tsv", "Tm", "tm"),
    "boiling_point": ("Phase Change/Yaws Boiling Points.tsv", "Tb", "tb"),
    "iarc": ("Safety/IARC Carcinogen Database.tsv", "group", "group"),
}
MOLECULES = "molecules"
IDENTIFIERS = (
    "Identifiers/chemical identifiers pubchem small.tsv",
    "Identifiers/chemical identifiers pubchem large.tsv",
)
IARC_GROUPS = {"1": "1", "11": "2A", "12": "2B", "3": "3", "4": "4"}
"""The package's spelling of the groups -> IARC's."""

_CAS, _SMILES, _IUPAC, _NAME, _FIELDS = 1, 4, 7, 8, 9


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the tables above."""
    names = [*PROPERTIES, MOLECULES]
    if data.name not in names:
        raise TaskError(f"chemicals has no table {data.name!r}", hint=did_you_mean(str(data.name), names, noun="table"))
    found = _identifiers() if data.name == MOLECULES else _property(data.name)
    return found if data.limit is None else found.head(data.limit)


def _property(name: str) -> pd.DataFrame:
    import pandas as pd

    path, column, ours = PROPERTIES[name]
    table = pd.read_csv(_folder() / path, sep="\t", dtype=str, keep_default_na=False)
    table = table[table[column] != ""].assign(cas=table["CAS"].str.replace("-", ""))
    joined = _identifiers().merge(table[["cas", column]], on="cas").rename(columns={column: ours})
    if name == "iarc":
        joined["group"] = joined["group"].map(IARC_GROUPS)
    return joined


def _identifiers() -> pd.DataFrame:
    """smiles, iupac, name and cas (digits only) of every compound. Lines have any number of synonyms at their end."""
    import pandas as pd

    rows = []
    for path in IDENTIFIERS:
        with (_folder() / path).open(encoding="utf-8") as lines:
            for line in lines:
                fields = line.rstrip("\n").split("\t", _FIELDS)
                if len(fields) >= _FIELDS and fields[_SMILES]:
                    cas = fields[_CAS].replace("-", "")
                    rows.append((fields[_SMILES], fields[_IUPAC], fields[_NAME], cas))
    return pd.DataFrame(rows, columns=["smiles", "iupac", "name", "cas"])


def _folder() -> Path:
    """The package's folder, found without importing it (which takes seconds)."""
    spec = find_spec("chemicals")
    if spec is None or spec.origin is None:
        raise DataError("the package `chemicals` is not installed", hint="pip install chemicals")
    return Path(spec.origin).parent
