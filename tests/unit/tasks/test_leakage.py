"""Rows of test and valid that are also in train: counted, refused or dropped; inputs with several labels."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.data import SplitData, load_data
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import stored_config
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.kinds.build import build_task
from mammal.tasks.metrics.distinct import first_of_equal_inputs
from mammal.tasks.splits import Split
from mammal.tasks.splits.held_out import connectivity, held_out_molecules
from mammal.tasks.splits.leaks import count_leaks, count_repeats, without_leaks
from mammal.tokenization import Tokenizer

PROMPT = {"input": "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {y:label}"}
TASK = {"name": "t", "kind": "classification", "prompt": PROMPT, "labels": ["0", "1"]}
ROWS = [
    ("CCO", "0", "train"),
    ("CCN", "1", "train"),
    ("CC", "1", "train"),
    ("CC", "1", "train"),
    ("OCC", "1", "valid"),
    ("CCCC", "0", "valid"),
    ("C(O)C", "0", "test"),
    ("CCCCC", "0", "test"),
]


def load(tmp_path: Path, **data: Any) -> SplitData:
    pd.DataFrame(ROWS, columns=["smiles", "y", "split"]).to_csv(tmp_path / "mine.csv", index=False)
    return load_data(load_task({**TASK, "data": {"path": str(tmp_path / "mine.csv"), "split": "given", **data}}))


def test_leaks_are_reported_and_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        loaded = load(tmp_path)
    assert loaded.leakage == {"test": 1, "valid": 1}
    assert loaded.record.repeats == {"repeated": 2, "conflicting": 1, "conflicting_across_parts": 1}
    assert "1 test rows have the inputs of a training row" in caplog.text
    assert "1 inputs have more than one label, 1 of them across parts" in caplog.text


def test_leaks_are_refused_on_request(tmp_path: Path):
    with pytest.raises(DataError, match=r"1 test and 1 valid rows have .* training row \(task\.data\.leakage=drop"):
        load(tmp_path, leakage="refuse")
    with pytest.raises(TaskError, match=r"data\.leakage"):
        load(tmp_path, leakage="refused")


def test_leaks_are_dropped_on_request(tmp_path: Path):
    loaded = load(tmp_path, leakage="drop")
    assert [loaded.split.parts[part].tolist() for part in ("train", "valid", "test")] == [[0, 1, 2, 3], [5], [7]]
    assert loaded.leakage == {"test": 0, "valid": 0}
    assert loaded.split.left_out == [
        (4, "leak: the inputs of training row 1"),
        (6, "leak: the inputs of training row 1"),
    ]
    assert loaded.split.how == "given by split, 2 leaking rows left out"


def test_a_pair_leaks_only_as_a_whole():
    keys = {"drug": ["C", "C", "N"], "target": ["M", "K", "K"]}
    parts = {"train": np.array([0]), "valid": np.array([], dtype=int), "test": np.array([1, 2])}
    split = Split("by hand", parts)
    found = count_leaks(keys, split)
    assert (found["test"], found["test/drug"], found["test/target"]) == (0, 1, 0)
    assert without_leaks(keys, split) is split


def test_a_pair_of_one_entity_in_the_other_order_leaks(tmp_path: Path):
    rows = [("MK", "GA", 1, "train"), ("GA", "MK", 0, "test"), ("GA", "GA", 0, "test"), ("MK", "MV", 1, "valid")]
    pd.DataFrame(rows, columns=["a", "b", "y", "split"]).to_csv(tmp_path / "pairs.csv", index=False)

    def loaded(input: str, leakage: str = "report") -> SplitData:
        prompt = {"input": f"<SENTINEL_ID_0> {input}", "target": "<SENTINEL_ID_0> {y:label}"}
        data = {"path": str(tmp_path / "pairs.csv"), "split": "given", "leakage": leakage}
        return load_data(load_task({**TASK, "prompt": prompt, "data": data}))

    found = loaded("{a:protein} {b:protein}")
    assert found.leakage["test"] == 1 and found.record.repeats["conflicting_across_parts"] == 1
    assert loaded("{a:protein} {b:protein}", "drop").split.parts["test"].tolist() == [2]
    with pytest.raises(DataError, match="1 test rows"):
        loaded("{a:protein} {b:protein}", "refuse")
    assert loaded("{a:protein} {b:peptide}").leakage["test"] == 0, "other entities are other questions"


def test_validation_drawn_from_train_never_shares_an_input_with_it(tmp_path: Path):
    molecules = ["C" * (n % 20 + 1) + "O" for n in range(100)]
    frame = pd.DataFrame({"smiles": molecules, "y": "0", "split": "train"})
    # the other half are the same molecules, written from the other end
    frame.loc[50:, "smiles"] = [f"OC{smiles[1:-1]}" for smiles in molecules[50:]]
    frame.to_csv(tmp_path / "mine.csv", index=False)
    data = {"path": str(tmp_path / "mine.csv"), "split": "given", "valid_share": 0.2}
    loaded = load_data(load_task({**TASK, "data": data}))
    assert loaded.leakage["valid"] == 0 and len(loaded.split.parts["valid"]) == 20


def test_a_label_that_is_missing_conflicts_with_none():
    parts = {"train": np.array([0, 1]), "valid": np.array([2]), "test": np.array([3])}
    keys, labels = {"x": ["A", "A", "A", "B"]}, {"a": ["1", "", "1", "0"], "b": ["", "1", "1", ""]}
    assert count_repeats(keys, labels, Split("by hand", parts))["conflicting"] == 0
    labels["b"][2] = "0"
    assert count_repeats(keys, labels, Split("by hand", parts))["conflicting_across_parts"] == 1


def test_a_prompt_that_reads_no_column_leaks_nothing(tmp_path: Path):
    pd.DataFrame(ROWS, columns=["smiles", "y", "split"]).to_csv(tmp_path / "mine.csv", index=False)
    prompt = {"input": "<MOLECULAR_ENTITY><SENTINEL_ID_0>", "target": "<SENTINEL_ID_0> {smiles:smiles}"}
    for leakage in ("report", "refuse", "drop"):
        data = {"path": str(tmp_path / "mine.csv"), "split": "given", "leakage": leakage}
        loaded = load_data(load_task({"name": "t", "kind": "generation", "prompt": prompt, "data": data}))
        assert [len(loaded.split.parts[part]) for part in ("train", "valid", "test")] == [4, 2, 2]
        assert loaded.leakage == {} and not any(loaded.record.repeats.values())


def test_repeated_rows_are_left_out_before_the_split(tmp_path: Path):
    rows = [
        ("CCO", "0"),
        ("OCC", "0"),
        ("CCO", "1"),
        ("CS(C)=O", "1"),
        ("C[S+](C)[O-]", "1"),
        ("C1CC", "0"),
        ("C1CC", "0"),
    ]
    rows += [(f"{'C' * size}N", "0") for size in range(1, 15)]
    pd.DataFrame(rows, columns=["smiles", "y"]).to_csv(tmp_path / "mine.csv", index=False)
    data = {"path": str(tmp_path / "mine.csv"), "split": "scaffold", "deduplicate": True, "fractions": [0.6, 0.2, 0.2]}
    found = load_data(load_task({**TASK, "data": data}))
    reasons = dict(found.split.left_out)
    assert {row: reason for row, reason in reasons.items() if "repeats" in reason} == {
        1: "repeats row 1",
        4: "repeats row 4",
        6: "repeats row 6",
    }
    assert "invalid SMILES" in reasons[5] and len(reasons) == 4
    assert found.record.repeats["repeated"] == 0 and found.record.repeats["conflicting"] == 1, "row 2 has another label"
    assert sorted(np.concatenate(list(found.split.parts.values())).tolist()) == [0, 2, 3, *range(7, 21)]
    assert "3 repeated rows left out" in found.split.how
    without = load_data(load_task({**TASK, "data": {**data, "deduplicate": False}}))
    assert without.record.repeats["repeated"] == 2 and len(without.split.left_out) == 2


def test_molecules_that_another_task_tests_on_are_left_out_of_train_and_valid(tmp_path: Path):
    """Alprostadil of BBBP's scaffold-test part without its stereo marks; the first block of its InChIKey stays."""
    tested = "CCCCCC(O)C=CC1C(O)CC(=O)C1CCCCCCC(O)=O"
    assert connectivity(tested) in held_out_molecules("bbbp")
    frame = pd.DataFrame(
        {"smiles": [tested, "CCO", tested, tested], "y": "0", "split": ["train", "train", "valid", "test"]}
    )
    frame.to_csv(tmp_path / "mine.csv", index=False)
    data = {"path": str(tmp_path / "mine.csv"), "split": "given", "held_out": "bbbp"}
    split = load_data(load_task({**TASK, "data": data})).split
    assert [rows.tolist() for rows in split.parts.values()] == [[1], [], [3]]
    assert [row for row, _ in split.left_out] == [0, 2] and "data.held_out=bbbp" in split.left_out[0][1]
    frame.assign(smiles=[f"{tested}.Cl", "CCO", "CCN", "CCC"]).to_csv(tmp_path / "mine.csv", index=False)
    for policy, left in (({}, 0), ({"salts": "parent"}, 1)):
        split = load_data(load_task({**TASK, "data": data, "standardise": policy})).split
        assert len(split.left_out) == left, "a salt that the model reads as a molecule of the list"
    with pytest.raises(TaskError, match="did you mean bbbp"):
        load_task({**TASK, "data": {**data, "held_out": "bbb"}})


def test_the_list_of_bbbp_is_that_of_its_test_parts(shared: Path):
    paths = {"data": shared / "data"}
    if not (shared / "data/moleculenet_raw/BBBP.csv.gz").is_file():
        pytest.skip("no local copy of BBBP")
    tests = [load_data(load_task(name), paths).part("test")["smiles"] for name in ("bbbp", "moleculenet_bbbp")]
    assert {connectivity(text) for smiles in tests for text in smiles} - {""} == held_out_molecules("bbbp")


def test_keys_of_later_versions_are_stored_only_where_they_are_used():
    """A bundle of an earlier version and its resumable jobs keep their identity."""
    stored = stored_config(load_task({**TASK, "data": {"path": "x.csv"}}))["data"]
    assert not {"deduplicate", "held_out"} & stored.keys()
    used = load_task({**TASK, "data": {"path": "x.csv", "deduplicate": True, "held_out": "bbbp"}})
    assert stored_config(used)["data"] == {**stored, "deduplicate": True, "held_out": "bbbp"}


def test_intervals_are_over_distinct_inputs():
    """Twenty copies of four rows say no more than the four rows."""
    task = build_task(load_task({**TASK, "metrics": ["accuracy"]}), Tokenizer.load(None))
    rows = [{"smiles": text, "y": y} for text, y in (("CCO", "1"), ("CCN", "0"), ("CS(C)=O", "1"), ("CC", "0"))]
    said = [Prediction(None, label=label, probabilities={"0": 0.5, "1": 0.5}) for label in ("1", "0", "0", "0")]
    once = task.metric_intervals(said, rows, samples=200)
    many = [
        {**row, "smiles": row["smiles"].replace("CS(C)=O", "C[S+](C)[O-]")} if n % 2 else row
        for n in range(20)
        for row in rows
    ]
    assert task.metric_intervals(said * 20, many, samples=200) == once
    assert first_of_equal_inputs(task, [*rows, {"smiles": "C1CC"}, {"smiles": "OCC"}]).tolist() == [0, 1, 2, 3, 4, 0]


@pytest.mark.parametrize("split", ["given", "scaffold", "molecule"])
def test_molecules_that_a_policy_makes_equal_are_one_input(tmp_path: Path, split: str):
    bases = [f"C1CCCCC1{'C' * n}N" for n in range(1, 5)] + [f"c1ccncc1{'C' * n}" for n in range(1, 5)]
    rows = [(smiles, "0", "train") for smiles in bases] + [(f"{smiles}.Cl", "0", "test") for smiles in bases]
    pd.DataFrame(rows, columns=["smiles", "y", "split"]).to_csv(tmp_path / "salts.csv", index=False)

    def leaks(**declared: object) -> int:
        data = {"path": str(tmp_path / "salts.csv"), "split": split, "fractions": [0.5, 0.0, 0.5]}
        return load_data(load_task({**TASK, "data": data, **declared})).leakage["test"]

    assert leaks(standardise={"salts": "parent"}) == (len(bases) if split == "given" else 0)
    assert leaks() == leaks(standardise={"stereo": "remove"}) == 0
