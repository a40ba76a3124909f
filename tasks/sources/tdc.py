"""`source: tdc`: Therapeutics Data Commons (Huang et al. 2021), from local copies below `paths.data`, else downloaded
by the optional package PyTDC.

`name` is `Group/Set`, such as `Tox/Carcinogens_Lagunin`, `ADME/BBB_Martins` or `DTI/BindingDB_Kd`. Columns: `smiles`
(and `protein` for drug-target pairs) and `y`. Affinities are converted to -log10 of mol/l, and of repeated measurements
the highest counts, as in the published affinity task. `split: given` is TDC's own split, made by PyTDC: cold by every
entity for pairs, by scaffold otherwise. `COPIES` lists the sets with a local copy, in the format of TDC's own file.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.sources.local import find_copy
from mammal.tasks.splits.split import SPLIT_COLUMN
from mammal.tasks.tables.readers import read_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

MODULES = ("single_pred", "multi_pred")
RENAMED = {"Drug": "smiles", "Target": "protein", "Y": "y"}
COPIES = {"Tox/Carcinogens_Lagunin": "tdc_carcinogens/carcinogens_lagunin.tab"}
AFFINITIES = ("BindingDB_Kd", "BindingDB_Ki", "BindingDB_IC50", "DAVIS")


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One data set of TDC.

    Raises:
        TaskError: TDC has no such group.
        DataError: PyTDC is not installed.
    """
    import pandas as pd

    group, _, name = str(data.name).partition("/")
    if not name:
        raise TaskError(f"data.name is {data.name!r}", hint="Group/Set, such as Tox/Carcinogens_Lagunin")
    copy = find_copy(COPIES.get(str(data.name), ""), root)
    if copy is not None and data.split != "given":
        return read_table(copy, limit=data.limit).rename(columns=RENAMED)
    found = _group(group)(name=name, path=str(root or "data"))
    if name in AFFINITIES:
        found.harmonize_affinities(mode="max_affinity")
        found.convert_to_log(form="binding")
    if data.split == "given":
        parts = found.get_split(method="cold_split", column_name=["Drug", "Target"]) if group == "DTI" else None
        parts = parts or found.get_split(method="scaffold")
        frame = pd.concat([part.assign(**{SPLIT_COLUMN: key}) for key, part in parts.items()], ignore_index=True)
    else:
        frame = found.get_data()
    frame = frame.rename(columns=RENAMED)
    return frame if data.limit is None else frame.head(data.limit)


def _group(name: str) -> Any:
    for module in MODULES:
        try:
            found = getattr(import_module(f"tdc.{module}"), name, None)
        except ImportError as error:
            raise DataError("the package PyTDC is not installed", hint="pip install PyTDC") from error
        if found is not None:
            return found
    raise TaskError(f"TDC has no group {name!r}", hint="such as Tox, ADME, DTI, TCREpitopeBinding")
