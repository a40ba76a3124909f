"""`source: dti`: drug-target pairs in their published splits, from local copies below `paths.data`.

    name            files                                           columns besides smiles and protein
    davis           dti_davis_deepdta/{pairs.csv.gz, drugs.csv,     drug_id target_id fold pkd
                    targets.csv.gz}
    kiba            dti_kiba_deepdta/ (the same)                    drug_id target_id fold kiba
    kd_test         dti_bindingdb_kd_deepaffinity/{train,test}      split pkd; tested on new pairs of known classes
    kd_er kd_gpcr kd_channel kd_kinase   …/{ER,GPCR,channel,kinase} split pkd; one protein class held out of train
    kd_heldout                                                      split pkd; these four together
    kd_all          all six tables together                         split pkd; for other splits
    human_random human_cold   dti_human_drugban/{random,cold}_{train,val,test}   split interacts

* Davis and KIBA have the split of DeepDTA (Öztürk et al. 2018): folds `test` and `train_fold0` to `train_fold4` over
  pairs. Its authors used five-fold cross-validation: trained on four of the training folds, selected on the fifth.
* BindingDB Kd is from DeepAffinity (Karimi et al. 2019), which has no validation rows; `data.valid_share` takes a share
  of the training rows.
* Human is from DrugBAN (Bai et al. 2023): `random` divides pairs, `cold` keeps test drugs and proteins out of train.

Tables are csv, some of them gzipped (`.gz`). pKd is -log10 of Kd in mol/l.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError
from mammal.tasks.sources.file import load_parts
from mammal.tasks.sources.local import local_copy
from mammal.tasks.sources.parts import known_name
from mammal.tasks.splits.split import PARTS, SPLIT_COLUMN
from mammal.tasks.tables.readers import read_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

DEEPDTA = {"davis": "pkd", "kiba": "kiba"}
"""Data set -> name of its column of affinities."""

KD_FOLDER = "dti_bindingdb_kd_deepaffinity"
KD_CLASSES = {"kd_er": "ER", "kd_gpcr": "GPCR", "kd_channel": "channel", "kd_kinase": "kinase"}
KD_JUDGED = {"kd_test": ["test"], **{name: [file] for name, file in KD_CLASSES.items()}}
KD_JUDGED["kd_heldout"] = list(KD_CLASSES.values())
KD_JUDGED["kd_all"] = ["test", *KD_CLASSES.values()]

HUMAN = {"human_random": "random", "human_cold": "cold"}
HUMAN_PARTS = {"train": "train", "valid": "val", "test": "test"}

ORIGINS = {
    "deepdta": "github.com/hkmztrk/DeepDTA (data/davis, data/kiba); docs/data.md describes the tables",
    "kd": "github.com/Shen-Lab/DeepAffinity (data/dataset/Kd.tar.xz); docs/data.md describes the tables",
    "human": "github.com/peizhenbai/DrugBAN (datasets/human)",
}


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One of the sets above; `data.limit` counts the rows of each file.

    Raises:
        TaskError: no such set.
        DataError: no local copy.
    """
    name = known_name(data.name, [*DEEPDTA, *KD_JUDGED, *HUMAN], "dti")
    if name in DEEPDTA:
        return _deepdta(name, root, data.limit)
    if name in KD_JUDGED:
        return _bindingdb_kd(name, root, data.limit)
    return _human(name, root, data.limit)


def _deepdta(name: str, root: Path | None, limit: int | None) -> pd.DataFrame:
    """Pairs joined to the drugs' SMILES and the targets' sequences.

    Different targets may share a sequence (kinases and their mutants in Davis), so the same inputs can occur with
    several affinities.
    """
    folder = f"dti_{name}_deepdta"
    pairs_file, drugs_file, targets_file = (
        local_copy(f"{folder}/{file}", root, ORIGINS["deepdta"])
        for file in ("pairs.csv.gz", "drugs.csv", "targets.csv.gz")
    )
    pairs = read_table(pairs_file, limit=limit).rename(columns={"affinity": DEEPDTA[name], SPLIT_COLUMN: "fold"})
    drugs = read_table(drugs_file).set_index("drug_id")["smiles"]
    targets = read_table(targets_file).set_index("target_id")["sequence"]
    pairs = pairs.assign(smiles=pairs["drug_id"].map(drugs), protein=pairs["target_id"].map(targets))
    for column, table in (("smiles", drugs_file), ("protein", targets_file)):
        lacking = int(pairs[column].isna().sum())
        if lacking:
            raise DataError(f"{lacking} pairs name an id that the table lacks", where=str(table))
    return pairs


def _bindingdb_kd(name: str, root: Path | None, limit: int | None) -> pd.DataFrame:
    import pandas as pd

    tables = []
    for file in ("train", *KD_JUDGED[name]):
        copy = local_copy(f"{KD_FOLDER}/{file}.csv.gz", root, ORIGINS["kd"])
        part = "train" if file == "train" else "test"
        tables.append(read_table(copy, limit=limit).assign(**{SPLIT_COLUMN: part, "table": file}))
    frame = pd.concat(tables, ignore_index=True)
    return frame.rename(columns={"sequence": "protein", "pKd": "pkd"})


def _human(name: str, root: Path | None, limit: int | None) -> pd.DataFrame:
    files = {
        part: local_copy(f"dti_human_drugban/{HUMAN[name]}_{HUMAN_PARTS[part]}.csv.gz", root, ORIGINS["human"])
        for part in PARTS
    }
    return load_parts(files, limit).rename(columns={"SMILES": "smiles", "Protein": "protein", "Y": "interacts"})
