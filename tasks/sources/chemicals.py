"""`source: chemicals`: measured properties and names that ship inside the PyPI package `chemicals` (MIT).

    melting_point   smiles iupac name cas tm      Open Notebook melting points (Bradley, Lang, Williams 2014), K
    boiling_point   smiles iupac name cas tb      Yaws' table, K
    phase_changes   smiles iupac name cas tm tb   both: every compound of either table, with an empty cell if not in one
    iarc            smiles iupac name cas group   IARC evaluation: 1, 2A, 2B, 3 or 4
    molecules       smiles iupac name cas         every compound with a structure (PubChem)
    names           smiles iupac name cas         compounds with a systematic name, too; each name and structure once

Tables are joined to structures by CAS number. No two structures share a canonical SMILES. Most have no stereo marks,
and may be measured as one stereoisomer that the SMILES does not name. Names are PubChem's, lower case, of the years
around 2015 (`oxidanyl`, `azanyl`, `;` between components). About 200 names belong to several structures; that of oleic
acid also to its dimer. The first structure in the package's order keeps the name.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError, TaskError
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

PROPERTIES = {
    "melting_point": ("Phase Change/OpenNotebook Melting Points.tsv", "Tm", "tm"),
    "boiling_point": ("Phase Change/Yaws Boiling Points.tsv", "Tb", "tb"),
    "iarc": ("Safety/IARC Carcinogen Database.tsv", "group", "group"),
}
PHASE_CHANGES, MOLECULES, NAMES = "phase_changes", "molecules", "names"
IDENTIFIERS = (
    "Identifiers/chemical identifiers pubchem small.tsv",
    "Identifiers/chemical identifiers pubchem large.tsv",
)
IARC_GROUPS = {"1": "1", "11": "2A", "12": "2B", "3": "3", "4": "4"}
"""Name of a group in the package -> IARC's name."""

_CAS, _SMILES, _IUPAC, _NAME, _FIELDS = 1, 4, 7, 8, 9


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the tables above.

    Raises:
        TaskError: no such table.
        DataError: the package `chemicals` is not installed.
    """
    names = [*PROPERTIES, PHASE_CHANGES, MOLECULES, NAMES]
    if data.name not in names:
        raise TaskError(f"chemicals has no table {data.name!r}", hint=did_you_mean(str(data.name), names, noun="table"))
    read = {PHASE_CHANGES: _phase_changes, MOLECULES: _identifiers, NAMES: _named}.get(data.name)
    found = _property(data.name) if read is None else read()
    return found if data.limit is None else found.head(data.limit)


def _property(name: str) -> pd.DataFrame:
    joined = _identifiers().merge(_measured(name), on="cas")
    if name == "iarc":
        joined["group"] = joined["group"].map(IARC_GROUPS)
    return joined


def _measured(name: str) -> pd.DataFrame:
    """Columns `cas` and the property, for every compound that has a value."""
    import pandas as pd

    path, column, ours = PROPERTIES[name]
    table = pd.read_csv(_folder() / path, sep="\t", dtype=str, keep_default_na=False)
    table = table[table[column] != ""].assign(cas=table["CAS"].str.replace("-", ""))
    return table[["cas", column]].rename(columns={column: ours})


def _phase_changes() -> pd.DataFrame:
    """Melting and boiling points in two columns; empty if one was not measured."""
    both = _measured("melting_point").merge(_measured("boiling_point"), on="cas", how="outer")
    return _identifiers().merge(both.fillna(""), on="cas")


def _named() -> pd.DataFrame:
    """Compounds with a systematic name, each name and each SMILES text once.

    SMILES are not checked with RDKit: a `molecule` split leaves out those that RDKit can't parse (ten of 70,000), and a
    task skips such rows.
    """
    table = _identifiers()
    table = table[table["iupac"].str.strip() != ""]
    return table.drop_duplicates("smiles").drop_duplicates("iupac").reset_index(drop=True)


def _identifiers() -> pd.DataFrame:
    """Columns smiles, iupac, name and cas (digits only) of every compound; synonyms at the end of lines are ignored."""
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
