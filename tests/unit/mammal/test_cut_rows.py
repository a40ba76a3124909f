"""Rows longer than the model reads: each is marked, they are counted at the end, and a task can refuse them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.jobs import run_job
from mammal.tasks import load_task

LONG = ["C" * 300 + end for end in ("O", "N", "C(=O)O")]
ROWS = ["CCO", LONG[0], "no molecule", LONG[1], "CCN", LONG[0]]
MARKS = [False, True, False, True, False, True]


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> mammal.Mammal:
    return mammal.load(tiny_bundle, task="melting_point")


def test_each_row_that_was_cut_is_marked(model: mammal.Mammal, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, "mammal"):
        answered = model.predict(ROWS, prefix="tm_")
    assert list(answered.columns) == ["smiles", "tm_prediction", "tm_cut", "tm_error"]
    assert answered["tm_cut"].tolist() == MARKS and answered["tm_cut"].dtype == bool
    assert answered["tm_prediction"][1] == answered["tm_prediction"][3], "what the mark is for"
    reported = "3 rows are longer than the model reads and cut (column tm_cut): rows 2, 4, 6"
    assert caplog.messages.count(reported) == 1
    assert "cut" not in model.predict(["CCO"]).columns


def test_a_column_of_that_name_stays_the_users(model: mammal.Mammal):
    frame = pd.DataFrame({"smiles": ROWS, "cut": range(6)})
    answered = model.predict(frame)
    assert answered["cut"].tolist() == list(range(6)) and answered["cut_"].tolist() == MARKS


def test_every_question_marks_them(
    tiny_bundle: Path, small_bundle: Callable[..., Path], caplog: pytest.LogCaptureFixture
):
    model = mammal.load(tiny_bundle, task="bbbp")
    assert model.score(ROWS, ["1"] * 6)["cut"].tolist() == MARKS
    with caplog.at_level(logging.WARNING, "mammal"):
        model.embed(ROWS)
    assert "3 rows are longer than the model reads and cut: rows 2, 4, 6" in caplog.text
    maker = mammal.load(small_bundle(("forward_reaction", {"too_long": "cut"})))
    made = maker.generate(ROWS, n=2, max_new_tokens=4, constraint="alphabet")
    assert made.groupby(level=0)["cut"].all().tolist() == MARKS
    target = mammal.load(small_bundle(("smiles_to_iupac", {"too_long": "cut"})))
    scored = target.score(["CCO", "CCN"], ["ethanol", "methyl" * 600])
    assert scored["cut"].tolist() == [False, True], "a target can be cut, too"


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("shard_rows", [1, 4, 10])
def test_jobs_mark_them_in_every_format(suffix: str, shard_rows: int, tiny_bundle: Path, tmp_path: Path):
    frame = pd.DataFrame({"smiles": ROWS, "note": ['a "b", c', "", "x", "lines\nof text", "", "y"]})
    frame.to_csv(tmp_path / "in.csv", index=False)
    out = tmp_path / f"out.{suffix}"
    report = run_job("predict", tiny_bundle, tmp_path / "in.csv", out, task="melting_point", shard_rows=shard_rows)
    assert (report.rows, report.ok, report.bad) == (6, 5, 1)
    assert (report.cut, report.first_cut, report.cut_column) == (3, (2, 4, 6), "cut")
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}.get(suffix)
    if suffix == "tsv":
        answered = pd.read_csv(out, sep="\t")
    elif suffix == "jsonl":
        answered = pd.DataFrame([json.loads(line) for line in out.read_text().splitlines()])
    else:
        assert read is not None
        answered = read(out)
    in_place = suffix in ("csv", "tsv")
    assert list(answered.columns) == ["smiles", "note", "prediction", *(["error"] if in_place else []), "cut"]
    assert len(answered) == (6 if in_place else 5)
    answered = answered[answered["smiles"] != "no molecule"]
    assert answered["cut"].tolist() == [False, True, True, False, True]
    assert answered["smiles"].tolist() == [smiles for smiles in ROWS if smiles != "no molecule"]
    assert answered["note"].fillna("").tolist() == ['a "b", c', "", "lines\nof text", "", "y"]
    again = run_job("predict", tiny_bundle, tmp_path / "in.csv", out, task="melting_point", shard_rows=shard_rows)
    assert (again.cut, again.first_cut, again.resumed) == (3, (2, 4, 6), 6)


def test_a_job_without_them_writes_what_it_wrote_before(tiny_bundle: Path, tmp_path: Path):
    (tmp_path / "in.csv").write_text("smiles\nCCO\n")
    report = run_job("predict", tiny_bundle, tmp_path / "in.csv", tmp_path / "o.csv", task="melting_point")
    assert report.cut == 0 and report.cut_column is None
    assert pd.read_csv(tmp_path / "o.csv").columns.tolist() == ["smiles", "prediction", "error"]
    assert json.loads((tmp_path / "o.csv.manifest.json").read_text())["counts"] == {"bad": 0, "ok": 1, "rows": 1}


def test_the_command_line_counts_them(tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pd.DataFrame({"smiles": LONG}).to_csv(tmp_path / "in.csv", index=False)
    words = ["predict", f"bundle={tiny_bundle}", "task=melting_point", f"input={tmp_path}/in.csv"]
    assert main([*words, f"output={tmp_path}/o.csv"]) == 0
    assert "3 rows are longer than the model reads and cut (column cut): rows 1, 2, 3" in capsys.readouterr().err


def test_a_new_task_refuses_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_bundle: Callable[..., Path]):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"smiles": ["C" * n + "O" for n in range(1, 21)], "y": [n + 0.5 for n in range(20)]}).to_csv(
        "a.csv", index=False
    )
    assert main(["new-task", "a.csv"]) == 0
    assert load_task("task/a.yaml").too_long == "refuse"
    scaled = ("task/a.yaml", {"scale": {"mean": 0.0, "std": 1.0}})
    model = mammal.load(small_bundle(scaled, scalars_prediction_head={"layers": []}))
    answered = model.predict(ROWS)
    assert answered["prediction"].notna().tolist() == [True, False, False, False, True, False]
    assert "more tokens than its limit" in answered["error"][1] and "cut" not in answered.columns
