"""Rows for training: limited, numbered as in their table, checked for missing classes and parts."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mammal.errors import TaskError, TrainingError
from mammal.evaluation.task_data import TaskData, load_task_data, save_splits
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.kinds.build import build_task
from mammal.tokenization import Tokenizer

ONE = {"input": "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {y:label}"}
TWO = ONE | {"target": "<SENTINEL_ID_0> {y:label} <SENTINEL_ID_1> {z:label}"}
PARTS = ["train"] * 8 + ["valid"] * 4 + ["test"] * 4
SMILES = ["C" * (n + 1) for n in range(16)]


def load(tmp_path: Path, columns: dict[str, list[str]], limits: dict[str, int] | None = None, **task: Any) -> TaskData:
    smiles = task.pop("smiles", SMILES)
    pd.DataFrame({"smiles": smiles, "split": PARTS, **columns}).to_csv(tmp_path / "mine.csv", index=False)
    data = {"path": str(tmp_path / "mine.csv"), "split": "given"}
    declared = {"name": "t", "kind": "classification", "prompt": ONE, "labels": ["no", "yes"], "data": data, **task}
    return load_task_data(build_task(load_task(declared), Tokenizer.load(None)), limits=limits)


def alternating(*labels: str) -> list[str]:
    return [labels[n % len(labels)] for n in range(16)]


def test_rows_set_aside_are_numbered_as_in_the_table(tmp_path: Path):
    smiles = [*SMILES[:9], "C1CC", *SMILES[10:]]
    data = load(
        tmp_path, {"y": [*alternating("no", "yes")[:6], "perhaps", *alternating("no", "yes")[7:]]}, smiles=smiles
    )
    data.prepare()
    assert [row[:2] for row in data.set_aside] == [("train", 6), ("valid", 9)]
    assert "perhaps" in data.set_aside[0][2] and "ring" in data.set_aside[1][2]


def test_a_limit_takes_rows_from_all_over_a_part(tmp_path: Path):
    data = load(tmp_path, {"y": alternating("no", "yes")}, {"train": 4})
    assert data.numbers["train"].tolist() == [0, 2, 4, 7] and len(data.rows["valid"]) == 4
    assert [row["smiles"] for row in data.rows["train"]] == [SMILES[n] for n in (0, 2, 4, 7)]
    assert len(data.split.parts["train"]) == 8, "the split is that of all rows"
    data.validate_on_train()
    assert data.rows["valid"] == data.rows["train"]


def test_a_class_that_train_lacks_is_named(tmp_path: Path):
    labels = [*["a", "b"] * 4, *alternating("a", "b", "c")[8:]]
    with pytest.raises(TaskError, match=r"no train row has y='c'.*stratify"):
        load(tmp_path, {"y": labels}, labels=["a", "b", "c"]).prepare()


def test_of_many_missing_classes_the_first_are_named(tmp_path: Path):
    with pytest.raises(TaskError, match="y='c2', y='c3', y='c4', y='c5', y='c6' and 3 more"):
        load(tmp_path, {"y": alternating("c0", "c1")}, labels=[f"c{n}" for n in range(10)]).prepare()


def test_a_class_missing_where_only_some_rows_are_used_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    labels = ["a", "b", "c", "c", "b", "c", "c", "a", *alternating("a", "b", "c")[8:]]
    data = load(tmp_path, {"y": labels}, {"train": 3}, labels=["a", "b", "c"])
    with caplog.at_level(logging.WARNING):
        data.prepare()
    assert [row["y"] for row in data.rows["train"]] == ["a", "c", "a"]
    assert "no train row has y='b', so these rows can't teach it" in caplog.text


def test_each_column_of_a_multi_label_task_is_looked_at(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    z = [*alternating("yes", "no")[:12], "no", "no", "", "no"]
    data = load(tmp_path, {"y": alternating("no", "yes"), "z": z}, prompt=TWO)
    with caplog.at_level(logging.WARNING):
        data.prepare()
    assert "no test row has z='yes', so auroc, auprc and mcc are undefined there" in caplog.text
    assert "valid row" not in caplog.text


def test_no_row_to_train_on(tmp_path: Path):
    data = load(tmp_path, {"y": alternating("no", "yes")}, {"train": 0})
    with pytest.raises(TrainingError, match="leaves no row to train on"):
        data.prepare()


def test_what_a_run_keeps_of_its_splits(tmp_path: Path):
    data = load(tmp_path, {"y": alternating("no", "yes")}, smiles=["CC", *SMILES[1:]])
    data.prepare()
    save_splits({"t": data}, tmp_path / "run")
    reported = json.loads((tmp_path / "run" / "splits.json").read_text())["t"]
    assert reported["file"] == "splits/t.json.gz" and (tmp_path / "run" / reported["file"]).is_file()
    assert reported["rows"] == {"train": 8, "valid": 4, "test": 4, "left_out": 0}
    assert reported["repeats"]["conflicting"] == 1 and reported["hash"] == data.split.hash
    assert not (tmp_path / "run" / "set_aside.csv").exists()


def test_every_epoch_has_the_same_rows_in_other_views(tmp_path: Path):
    prompt = ONE | {"input": "<BBBP><SENTINEL_ID_0> {mol:molecule}"}
    names = [f"{'α' if n == 1 else ''}compound-{n}" for n in range(16)]
    smiles = ["", "CC", "C1CC", *SMILES[3:]]
    data = load(tmp_path, {"y": alternating("no", "yes"), "iupac": names}, smiles=smiles, prompt=prompt)
    data.prepare()
    assert [row[:2] for row in data.set_aside] == [("train", 2)], "an invalid structure is not covered by its name"
    first = {example.row_id: example.input.ids_L.tolist() for example in data.examples("train")}
    seen = {row: {tuple(ids)} for row, ids in first.items()}
    for epoch in range(1, 9):
        data.task.epoch = epoch
        examples = data.examples("train")
        assert [example.row_id for example in examples] == [0, 1, 3, 4, 5, 6, 7]
        for example in examples:
            seen[example.row_id].add(tuple(example.input.ids_L.tolist()))
    assert len(seen[0]) == 1 and len(seen[1]) == 1, (
        "one view alone: a name without structure, a name of unknown letters"
    )
    assert all(len(seen[row]) >= 2 for row in (3, 4, 5, 6, 7))
    data.task.epoch = 0
    assert {example.row_id: example.input.ids_L.tolist() for example in data.examples("train")} == first


def test_features_are_computed_once_before_rows_are_prepared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from mammal.tasks.features import descriptors as module

    computed: list[str] = []
    compute = module._computed
    monkeypatch.setattr(module, "_in_memory", {})
    monkeypatch.setattr(module, "_computed", lambda text: computed.append(text) or compute(text))
    smiles = ["C" * n + "O" for n in range(1, 21)]
    pd.DataFrame({"smiles": smiles, "y": range(20)}).to_csv(tmp_path / "rows.csv", index=False)
    declared = {
        "name": "mine",
        "kind": "regression",
        "mode": "encoder",
        "data": {"source": "file", "path": str(tmp_path / "rows.csv")},
        "prompt": {"input": "<MASK> {smiles:smiles} {smiles:descriptors}", "target": "{y:scalar}"},
    }
    data = load_task_data(build_task(load_task(declared), Tokenizer.load(None)))
    assert data.compute_features() > 0
    before = list(computed)
    assert len(before) == len(data.rows["train"]) + len(data.rows["valid"])
    data.prepare()
    assert computed == before
