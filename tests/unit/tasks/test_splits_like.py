"""A table that is split like another task: by the parts in which that task has its molecules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from mammal.tasks.data import load_data
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.errors import TaskError
from mammal.tasks.splits import PARTS, Split

PROMPT = {"input": "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {y:label}"}
TASK = {"kind": "classification", "prompt": PROMPT, "labels": ["0", "1"]}
OTHER = [("CCO", "train"), ("CC(N)C(=O)O", "valid"), ("CCN", "test"), ("c1ccccc1", "test"), ("c1ccccc1", "train")]


def declared(folder: Path, name: str, rows: list[tuple[str, str]], **data: Any) -> dict[str, Any]:
    """A task whose rows are in a file of its own; the same declaration is in `NAME.yaml`."""
    file = folder / f"{name}.csv"
    frame = pd.DataFrame([(smiles, "1", part) for smiles, part in rows], columns=["smiles", "y", "split"])
    frame.to_csv(file, index=False)
    task = {**TASK, "name": name, "data": {"source": "file", "path": str(file), **data}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({"defaults": ["schema"], **task}))
    return task


def split_of(folder: Path, smiles: list[str], like: Path, **words: Any) -> Split:
    task = declared(folder, "mine", [(text, "") for text in smiles], split=f"like:{like}")
    return load_data(load_task({**task, **words})).split


@pytest.fixture
def other(tmp_path: Path) -> Path:
    declared(tmp_path, "other", OTHER, split="given")
    return tmp_path / "other.yaml"


def test_molecules_are_where_the_other_task_has_them(tmp_path: Path, other: Path):
    split = split_of(tmp_path, ["NCC", "OCC", "C[C@H](N)C(=O)O", "CCCl", "C1CC", "C1=CC=CC=C1"], other)
    assert {part: split.parts[part].tolist() for part in PARTS} == {"train": [1, 3], "valid": [2], "test": [0, 5]}
    assert [row for row, _ in split.left_out] == [4] and "1 rows of other molecules in train" in split.how


def test_molecules_are_compared_after_the_steps_of_a_policy(tmp_path: Path, other: Path):
    salts = ["CCN.Cl", "CC(N)C(=O)O", "CCO"]
    split = split_of(tmp_path, salts, other, standardise={"salts": "parent"})
    assert split.parts["test"].tolist() == [0]


def test_a_task_that_shares_no_molecules_of_a_part_is_refused(tmp_path: Path, other: Path):
    with pytest.raises(TaskError, match="no molecule of column 'smiles' is in task"):
        split_of(tmp_path, ["CCCCCC", "CCCl"], other)
    with pytest.raises(TaskError, match="is in valid of task"):
        split_of(tmp_path, ["CCO", "CCN"], other)


def test_slips_in_the_name_are_explained(tmp_path: Path, other: Path):
    task = declared(tmp_path, "mine", [("CCO", "")], split="like:esoll")
    with pytest.raises(TaskError, match=r"esoll.*\n?.*esol"):
        load_data(load_task(task))
    declared(tmp_path, "third", [("CCO", "")], split=f"like:{other}")
    with pytest.raises(TaskError, match="is itself split like:"):
        split_of(tmp_path, ["CCO"], tmp_path / "third.yaml")
    protein = {**TASK, "name": "protein", "prompt": {**PROMPT, "input": "<BBBP><SENTINEL_ID_0> {smiles:protein}"}}
    protein["data"] = {"source": "file", "path": str(tmp_path / "other.csv"), "split": "given"}
    (tmp_path / "protein.yaml").write_text(yaml.safe_dump({"defaults": ["schema"], **protein}))
    with pytest.raises(TaskError, match="has no molecules"):
        split_of(tmp_path, ["CCO"], tmp_path / "protein.yaml")


def test_a_file_of_proteins_has_no_molecules_to_compare(tmp_path: Path, other: Path):
    prompt = {**PROMPT, "input": "<BBBP><SENTINEL_ID_0> {smiles:protein}"}
    with pytest.raises(TaskError, match="needs a column"):
        split_of(tmp_path, ["MKV"], other, prompt=prompt)
