"""`source: tdc`: Therapeutics Data Commons (Huang et al. 2021) through the optional package PyTDC, which downloads.

`name` is `Group/Set`, such as `Tox/Carcinogens_Lagunin`, `ADME/BBB_Martins` or `DTI/BindingDB_Kd`. Columns: `smiles`
(or `smiles` and `protein` for pairs) and `y`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError, TaskError

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.schema import DataConfig

MODULES = ("single_pred", "multi_pred", "generation")
RENAMED = {"Drug": "smiles", "Target": "protein", "Y": "y"}


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """The whole set, to be split here."""
    group, _, name = str(data.name).partition("/")
    if not name:
        raise TaskError(f"data.name is {data.name!r}", hint="Group/Set, such as Tox/Carcinogens_Lagunin")
    for module in MODULES:
        try:
            found = getattr(import_module(f"tdc.{module}"), group, None)
        except ImportError as error:
            raise DataError("the package PyTDC is not installed", hint="pip install PyTDC") from error
        if found is not None:
            frame = found(name=name, path=str(root or "data")).get_data().rename(columns=RENAMED)
            return frame if data.limit is None else frame.head(data.limit)
    raise TaskError(f"TDC has no group {group!r}", hint="such as Tox, ADME, DTI, TCREpitopeBinding")
