"""`data.split=deepchem:NAME`: every splitter of deepchem 2.8 divides a table or is refused with another way."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import TaskError
from mammal.tasks.splits import PARTS, Split, split_frame

pytest.importorskip("deepchem")

REFUSED_BY_RDKIT = "O=N([O-])C1=C(CN=C1NCCSCc2ncccc2)Cc3ccccc3"
"""Row 59 of MoleculeNet's BBBP as deepchem distributes it; RDKit refuses 11 of its 2,050 SMILES."""
MOLECULES = [f"{'C' * length}{end}" for length in range(1, 11) for end in ("O", "N", "c1ccccc1", "C1CCNCC1")]


def divided(frame: pd.DataFrame, name: str, **declared: Any) -> Split:
    data = DataConfig(**{"split": f"deepchem:{name}", "fractions": [0.8, 0.1, 0.1], **declared})
    columns = [column for column in ("y", "z") if column in frame.columns]
    return split_frame(frame, data, "smiles", molecules=["smiles"], targets=columns)


@pytest.mark.parametrize("name", ["Butina", "Fingerprint", "MaxMin", "MolecularWeight", "Scaffold"])
def test_molecules_that_rdkit_refuses_are_left_out_and_counted(name: str):
    smiles = [*MOLECULES[:20], REFUSED_BY_RDKIT, "", *MOLECULES[20:]]
    split = divided(pd.DataFrame({"smiles": smiles}), f"{name}Splitter")
    assert [row for row, _ in split.left_out] == [20, 21]
    assert "valence" in split.left_out[0][1] and split.left_out[1][1] == "empty cell"
    without = divided(pd.DataFrame({"smiles": MOLECULES}), f"{name}Splitter")
    for part in PARTS:
        assert [smiles[row] for row in split.parts[part]] == [MOLECULES[row] for row in without.parts[part]]
    assert sum(map(len, split.parts.values())) == len(MOLECULES)


def test_stratified_splits_read_the_labels():
    rare = np.zeros(200, dtype=int)
    rare[:20] = 1
    frame = pd.DataFrame({"smiles": ["C"] * 200, "y": ["yes" if label else "no" for label in rare]})
    for seed in range(3):
        split = divided(frame, "RandomStratifiedSplitter", split_seed=seed)
        assert [int(rare[split.parts[part]].sum()) for part in PARTS] == [16, 2, 2]


def test_a_stratified_split_of_one_target_spreads_its_values_and_leaves_out_rows_without_one():
    values = [float(value) for value in np.random.default_rng(0).permutation(100)]
    frame = pd.DataFrame({"smiles": ["C"] * 102, "y": [*values, None, ""]})
    split = divided(frame, "SingletaskStratifiedSplitter")
    tens = sorted(int(values[row] // 10) for row in split.parts["test"])
    assert tens == list(range(10)), "one test row of each ten"
    assert [row for row, _ in split.left_out] == [100, 101] and "'y' is empty" in split.left_out[0][1]


def test_groups_stay_together():
    frame = pd.DataFrame({"smiles": ["C"] * 30, "assay": [f"a{row % 10}" for row in range(29)] + [""]})
    split = divided(frame, "RandomGroupSplitter", split_column="assay")
    homes = [{frame["assay"][row] for row in split.parts[part]} for part in PARTS]
    assert [len(groups) for groups in homes] == [8, 1, 1] and len(set.union(*homes)) == 10
    assert split.left_out == [(29, "column 'assay' is empty")]


def test_splitters_without_molecules_need_no_column():
    frame = pd.DataFrame({"sequence": ["MK"] * 10})
    split = split_frame(frame, DataConfig(split="deepchem:IndexSplitter"))
    assert [rows.tolist() for rows in split.parts.values()] == [list(range(8)), [8], [9]]


@pytest.mark.parametrize(
    ("name", "frame", "declared", "message"),
    [
        ("SpecifiedSplitter", {}, {}, "row numbers.*split: given"),
        ("TaskSplitter", {}, {}, "targets.*split: random"),
        ("IndiceSplitter", {}, {}, "row numbers.*split: given"),
        ("RandomGroupSplitter", {}, {}, "column of groups.*split_column"),
        ("RandomStratifiedSplitter", {}, {}, "column of labels.*random"),
        ("RandomStratifiedSplitter", {"y": list("abcabcabca")}, {}, "'y' has 3 values.*stratify"),
        ("SingletaskStratifiedSplitter", {"y": ["1", ">2"] * 5}, {}, "both numbers and text.*stratify"),
        ("SingletaskStratifiedSplitter", {"y": range(10)}, {"fractions": [0.75, 0.1, 0.15]}, "ten rows.*tenths"),
        ("FingerprintSplitter", {}, {"fractions": [0.0, 0.5, 0.5]}, "FingerprintSplitter can't divide 10 rows"),
    ],
)
def test_what_cannot_divide_a_task_is_refused_with_another_way(name: str, frame: dict, declared: dict, message: str):
    with pytest.raises(TaskError, match=message):
        divided(pd.DataFrame({"smiles": MOLECULES[:10], **frame}), name, **declared)


def test_the_global_random_state_stays():
    np.random.seed(7)
    expected = np.random.random(3)
    np.random.seed(7)
    divided(pd.DataFrame({"smiles": MOLECULES}), "RandomSplitter", split_seed=1)
    assert np.array_equal(np.random.random(3), expected)
