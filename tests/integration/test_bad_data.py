"""Data that can't be used, or only with warnings: messages, exit codes and written files of `mammal train`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mammal.cli import main

TASK = """
defaults: [schema, _classification, _self_]
name: mine
prompt: {{input: "<BBBP><SENTINEL_ID_0> {{smiles:smiles}}", target: "<SENTINEL_ID_0> {{y:label}}"}}
labels: ["no", "yes"]
metrics: [accuracy, auroc]
data: {{source: file, path: {path}, split: given}}
"""
GOOD = [("C" * (n + 1), "yes" if n % 2 else "no", ("train", "train", "valid", "test")[n // 6]) for n in range(24)]
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`mammal train` on rows of (smiles, y, split): its exit code, and what it says."""
    folder = tmp_path / "configs" / "task"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(TASK.format(path=tmp_path / "mine.csv"))
    monkeypatch.setenv("MAMMAL_CONFIGS", str(folder.parent))
    monkeypatch.chdir(tmp_path)

    def train(rows: list[tuple[str, str, str]] | str, *words: str, name: str = "run") -> tuple[int, str]:
        table = (
            rows if isinstance(rows, str) else pd.DataFrame(rows, columns=["smiles", "y", "split"]).to_csv(index=False)
        )
        (tmp_path / "mine.csv").write_text(table)
        quick = ["task=mine", "model=debug", "trainer.max_epochs=1", f"output={tmp_path / name}"]
        code = main(["train", *quick, *words])
        return code, capsys.readouterr().err

    return train


@pytest.mark.parametrize(
    ("words", "code", "reported"),
    [
        (["task.prompt.input='<BBBP><SENTINEL_ID_0> {smilez:smiles}'"], 1, "did you mean smiles"),
        (["task.data.path=mien.csv"], 1, "did you mean mine.csv"),
        (["task.data.split=scafold"], 2, "did you mean scaffold"),
        (["task.data.split=random", "task.data.fractions=[0.5,0.1,0.1]"], 2, "three shares that sum to 1"),
        (["task.data.split=random", "task.data.fractions=[0,0.5,0.5]"], 1, "leaves no row to train on"),
        (["task.data.split_column=part"], 1, "no column 'part'"),
        (["task.data.split_column=y"], 1, "column 'y' has 'no', which is not a part of a split"),
        (["task.data.split=fold", "task.data.split_column=split", "task.data.fold=tset"], 2, "did you mean test"),
        (["task.data.split_file=old.json.gz"], 1, "no such file"),
        (["task.data.leakage=forbid"], 2, "data.leakage is 'forbid'"),
        (["task.data.split_on={a: 1}"], 2, "data.split_on must be a column"),
        (["task.labels=[no,yes,maybe]"], 2, "no train row has y='maybe'"),
    ],
)
def test_declarations_that_do_not_fit_the_data(run: Run, tmp_path: Path, words: list[str], code: int, reported: str):
    exited, said = run(GOOD, *words)
    assert (exited, reported in said) == (code, True), said
    assert not (tmp_path / "run" / "bundle").exists()


def test_a_class_that_only_test_has_is_refused_by_name(run: Run):
    rows = [(smiles, "no" if part == "train" else y, part) for smiles, y, part in GOOD]
    exited, said = run(rows)
    assert exited == 2 and "no train row has y='yes'" in said and "data.stratify=true" in said


def test_a_line_with_too_many_cells_is_set_aside_and_counted(run: Run):
    lines = ["smiles,y,split", *(",".join(row) for row in GOOD), "CCCCCN,no,train,twice"]
    exited, said = run("\n".join(lines) + "\n")
    assert exited == 0 and "1 of 25 rows can't be read and are left out" in " ".join(said.split())


def test_leaks_are_refused_before_training(run: Run, tmp_path: Path):
    exited, said = run([*GOOD, ("CCC", "no", "test")], "task.data.leakage=refuse")
    assert exited == 1 and "1 test rows have the inputs of a training row" in said
    assert not (tmp_path / "run" / "splits.json").exists()


def test_classes_and_parts_that_are_missing_outside_train_are_reported(run: Run, tmp_path: Path):
    rows = [(smiles, "no" if part == "test" else y, part) for smiles, y, part in GOOD if part != "valid"]
    exited, said = run(rows)
    said = " ".join(said.split())
    assert exited == 0
    assert "leaves no valid row: no best checkpoint, early stopping or calibration" in said
    assert "no test row has y='yes', so auroc, auprc and mcc are undefined there" in said
    figures = json.loads((tmp_path / "run" / "bundle" / "metrics.json").read_text())["mine"]["test"]["MAMMAL"]
    assert figures["auroc"][0] is None and figures["accuracy"][0] is not None


def test_fewer_rows_than_a_batch_holds(run: Run, tmp_path: Path):
    exited, said = run([("CCO", "yes", "train"), ("CCN", "no", "train")])
    assert exited == 0 and "leaves no test row" in said
    assert (tmp_path / "run" / "bundle" / "model.safetensors").is_file()


def test_repeats_conflicts_and_leaks_stand_in_the_run_and_its_evaluation(run: Run, tmp_path: Path):
    again = [("CCC", "no", "train"), ("C(C)C", "yes", "test"), ("", "", ""), ("N", "", "train")]
    exited, said = run([*GOOD, *again])
    assert exited == 0 and "1 inputs have more than one label, 1 of them across parts" in " ".join(said.split())
    reported = json.loads((tmp_path / "run" / "splits.json").read_text())["mine"]
    assert reported["repeats"] == {"repeated": 1, "conflicting": 1, "conflicting_across_parts": 1}
    assert reported["leakage"]["test"] == 1 and reported["rows"]["left_out"] == 1
    evaluation = json.loads((tmp_path / "run" / "evaluation" / "evaluation.json").read_text())
    assert evaluation["tasks"][0]["leakage"]["test"] == 1
    aside = pd.read_csv(tmp_path / "run" / "set_aside.csv")
    assert aside[["part", "row"]].values.tolist() == [["left out", 27], ["train", 28]]
    assert aside.reason[0] == "column 'split' is empty"


def test_a_saved_split_gives_another_run_the_same_rows(run: Run, tmp_path: Path):
    assert run(GOOD, "task.data.split=random", "test=false")[0] == 0
    saved = tmp_path / "run" / "splits" / "mine.json.gz"
    words = [f"task.data.split_file={saved}", "test=false"]
    assert run(GOOD, *words, name="again")[0] == 0
    first, again = (json.loads((tmp_path / name / "splits.json").read_text())["mine"] for name in ("run", "again"))
    assert first == again and first["hash"]
    exited, said = run(GOOD[1:], *words, name="third")
    assert exited == 1 and "made for a table of 24 rows; this one has 23" in said
