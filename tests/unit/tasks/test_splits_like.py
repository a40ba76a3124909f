"""A table that is split like another task: by the parts in which that task has its molecules."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from mammal.tasks.data import load_data
from mammal.tasks.declaration.registry import CONFIG_DIRS_VARIABLE, load_task, searching
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.splits import PARTS, Split

PROMPT = {"input": "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {y:label}"}
TASK = {"kind": "classification", "prompt": PROMPT, "labels": ["0", "1"]}
OTHER = [("CCO", "train"), ("CC(N)C(=O)O", "valid"), ("CCN", "test"), ("c1ccccc1", "test"), ("c1ccccc1", "train")]


def declare(folder: Path, name: str, rows: list[tuple[str, str]], **words: Any) -> None:
    """Makes a task that can be named, whose rows are in a file of its own."""
    file = folder / f"{name}.csv"
    pd.DataFrame([(smiles, "1", part) for smiles, part in rows], columns=["smiles", "y", "split"]).to_csv(file)
    data = {"source": "file", "path": str(file), "split": "given", **words.pop("data", {})}
    task = {"defaults": ["schema"], **TASK, "name": name, "data": data, **words}
    (folder / "task").mkdir(exist_ok=True)
    (folder / "task" / f"{name}.yaml").write_text(yaml.safe_dump(task))


def split_of(folder: Path, smiles: list[str], like: str = "other", **words: Any) -> Split:
    data = {"split": f"like:{like}", **words.pop("data", {})}
    declare(folder, "mine", [(text, "") for text in smiles], data=data, **words)
    return load_data(load_task("mine")).split


def refused(error: type[Exception], folder: Path, smiles: list[str], like: str = "other", **words: Any) -> str:
    with pytest.raises(error) as raised:
        split_of(folder, smiles, like, **words)
    return str(raised.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CONFIG_DIRS_VARIABLE, str(tmp_path))
    declare(tmp_path, "other", OTHER)
    return tmp_path


def test_molecules_are_where_the_other_task_has_them(folder: Path, caplog: pytest.LogCaptureFixture):
    split = split_of(folder, ["NCC", "OCC", "C[C@H](N)C(=O)O", "CCCl", "C1CC", "C1=CC=CC=C1"])
    assert {part: split.parts[part].tolist() for part in PARTS} == {"train": [1, 3], "valid": [2], "test": [0, 5]}
    assert [row for row, _ in split.left_out] == [4]
    assert split.how == "like other by molecules of smiles; rows of other molecules, in train: 1"
    assert "1 rows of valid or test of task other have a molecule that is in one of its earlier parts" in caplog.text


def test_molecules_are_compared_as_written_and_as_each_task_reads_them(folder: Path):
    molecules, parent = ["CCN.Cl", "CC(N)C(=O)O", "CCO"], {"standardise": {"salts": "parent"}}
    assert split_of(folder, molecules, **parent).parts["test"].tolist() == [0]
    salts = [(f"{text}.Cl", part) for text, part in OTHER]
    declare(folder, "parents", salts, **parent)
    assert split_of(folder, ["CCN.Cl", "CCN", "CC(N)C(=O)O", "CCO"], "parents").parts["test"].tolist() == [0, 1]
    declare(folder, "salts", salts)
    assert split_of(folder, ["CCN", "CC(N)C(=O)O", "CCO"], "salts", **parent).parts["test"].tolist() == [0]


def test_a_row_of_several_molecules_is_where_the_latest_of_them_is(folder: Path):
    frame = pd.DataFrame({"a": ["CCO", "CCO", "CCCl", "C1CC"], "b": ["CCN", "CC(N)C(=O)O", "CCBr", "CCO"], "y": "1"})
    frame.to_csv(folder / "pairs.csv", index=False)
    prompt = {**PROMPT, "input": "<BBBP><SENTINEL_ID_0> {a:smiles} {b:smiles}"}
    data = {"source": "file", "path": str(folder / "pairs.csv"), "split": "like:other"}
    split = load_data(load_task({**TASK, "name": "pairs", "prompt": prompt, "data": data})).split
    assert {part: split.parts[part].tolist() for part in PARTS} == {"train": [2, 3], "valid": [1], "test": [0]}


def test_parts_that_would_be_empty_are_named(folder: Path):
    assert "no molecule of smiles is in task other" in refused(TaskError, folder, ["CCCCCC", "CCCl"])
    assert "no molecule of smiles is in valid of task other" in refused(TaskError, folder, ["CCO", "CCN"])
    assert "data.limit=2" in refused(TaskError, folder, ["CCO", "CCN", "CC(N)C(=O)O"], data={"limit": 2})
    assert "is in train of task other" in refused(TaskError, folder, ["CCN", "CC(N)C(=O)O"])
    assert "can be read: row 1: invalid SMILES 'C1CC'" in refused(TaskError, folder, ["C1CC", ""])
    declare(folder, "two", [row for row in OTHER if row[1] != "valid"])
    assert "task two has no molecule in valid" in refused(TaskError, folder, ["CCO", "CCN"], "two")


def test_slips_in_the_name_are_explained(folder: Path):
    unknown = refused(TaskError, folder, ["CCO"], "esoll")
    assert "data.split=like:esoll" in unknown and "esol or" in unknown
    for name in ("", "other.yaml"):
        assert "needs the name of a task" in refused(TaskError, folder, ["CCO"], name)
    declare(folder, "third", [("CCO", "")], data={"split": "like:other"})
    assert "is itself split like:other" in refused(TaskError, folder, ["CCO"], "third")
    declare(folder, "protein", OTHER, prompt={**PROMPT, "input": "<BBBP><SENTINEL_ID_0> {smiles:protein}"})
    assert "has no molecules" in refused(TaskError, folder, ["CCO"], "protein")
    declare(folder, "gone", OTHER, data={"path": str(folder / "gone_away.csv")})
    lost = refused(DataError, folder, ["CCO"], "gone")
    assert "the rows of task gone can't be read" in lost and "gone_away.csv" in lost
    declare(folder, "slip", [("CCO", "")], data={"split": "like"})
    with pytest.raises(TaskError, match="like:TASK"):
        load_data(load_task("slip"))


def test_tasks_in_the_folders_of_a_command_are_found_first(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(CONFIG_DIRS_VARIABLE)
    declare(folder, "esol", OTHER)
    pd.DataFrame({"smiles": ["CCO", "CCN", "CC(N)C(=O)O"], "y": "1"}).to_csv(folder / "mine.csv", index=False)
    data = {"source": "file", "path": str(folder / "mine.csv"), "split": "like:esol"}
    with searching([folder]):
        split = load_data(load_task({**TASK, "name": "mine", "data": data})).split
    assert split.parts["test"].tolist() == [1]


def test_the_other_task_is_not_reported_as_if_it_were_trained(folder: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        split_of(folder, ["CCO", "CCN", "CC(N)C(=O)O"])
    assert "other: 5 rows" not in caplog.text and "reads the rows of task other" in caplog.text


def test_a_file_of_proteins_has_no_molecules_to_compare(folder: Path):
    prompt = {**PROMPT, "input": "<BBBP><SENTINEL_ID_0> {smiles:protein}"}
    assert "needs a column" in refused(TaskError, folder, ["MKV"], prompt=prompt)
