"""Infilling in Python and as a batch job; rows that can't be filled get a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import mammal
from mammal.errors import DataError, TaskError
from mammal.inference.api import Mammal
from mammal.jobs import run_job


@pytest.fixture(scope="module")
def model(small_bundle: Callable[..., Path]) -> Mammal:
    proteins = {"name": "proteins", "kind": "denoising", "prompt": {"input": "{sequence:protein}"}}
    bundle = small_bundle({**proteins, "generation": {"max_new_tokens": 12}}, "antibody_cdr_h3", "molecules")
    return mammal.load(bundle, device="cpu")


def test_what_is_hidden_is_filled_and_the_rest_kept(model: Mammal):
    found = model.infill(["MK___IA__", "MKT"], task="proteins", fill_length="marked")
    filled = found["text"][0].split(";")
    assert [len(text) for text in filled] == [3, 2]
    assert found["completed"][0] == f"MK{filled[0]}IA{filled[1]}"
    assert "hides nothing" in found["error"][1]


def test_places_stand_in_for_marks(model: Mammal):
    whole = model.infill(["MKTAYIA"] * 2, ["3-5", "1"], task="proteins", fill_length="marked")
    marks = model.infill(["MK___IA", "_KTAYIA"], task="proteins", fill_length="marked")
    assert whole["completed"].tolist() == marks["completed"].tolist()
    assert whole["score"].tolist() == pytest.approx(marks["score"].tolist(), abs=1e-4)


def test_sequences_and_places_may_be_columns(model: Mammal):
    rows = pd.DataFrame({"chain": ["MKTAYIA", "MKTAYIAKQR"], "where": ["3-5", "1"]})
    listed = model.infill(rows["chain"].tolist(), rows["where"].tolist(), task="proteins", fill_length="marked")
    found = model.infill(rows["chain"], rows["where"], task="proteins", fill_length="marked")
    assert found["completed"].tolist() == listed["completed"].tolist()
    everywhere = model.infill(rows["chain"].to_numpy(), "2-3", task="proteins", fill_length="marked")
    assert [text[3:] for text in everywhere["completed"]] == ["AYIA", "AYIAKQR"]
    with pytest.raises(DataError, match="only if the data are sequences"):
        model.infill(rows, "2-3", task="proteins")


def test_rows_that_ask_too_much_are_set_aside(model: Mammal):
    found = model.generate(["M" + "_" * 20 + "K"], "proteins", fill_length="marked")
    assert "max_new_tokens is 12" in found["error"][0]
    found = model.generate([{"heavy": "EVQ__WVR__"}], "antibody_cdr_h3")
    assert "hides 2 stretches" in found["error"][0]


@pytest.mark.parametrize(("task", "column"), [("proteins", "sequence"), ("antibody_cdr_h3", "heavy")])
def test_predict_fills_in_what_is_hidden_and_nothing_else(model: Mammal, task: str, column: str):
    found = model.predict(pd.DataFrame({column: ["MKTAYIA", "MK__YIA"]}), task)
    assert "hides nothing" in found["error"][0] and pd.isna(found["error"][1])
    assert found["completed"][1].startswith("MK") and found["completed"].isna().tolist() == [True, False]


def test_the_task_that_fills_in_is_found_or_asked_for(model: Mammal):
    with pytest.raises(TaskError, match="several tasks"):
        model.infill("MK_")
    with pytest.raises(TaskError, match="does not fill in"):
        model.infill("MK_", task="molecules")
    with pytest.raises(DataError, match="for 1 of 2 sequences"):
        model.infill(["MKT", "MKT"], ["1"], task="proteins")


def test_a_job_gives_what_a_call_gives(model: Mammal, tmp_path: Path):
    bundle = model.save(tmp_path / "bundle")
    rows = pd.DataFrame({"name": ["a", "b", "c"], "sequence": ["MKTAYIA", "MK_A", "MKT"], "hidden": ["2-3", "", ""]})
    rows.to_csv(tmp_path / "in.csv", index=False)
    options = {"n": 1, "fill_length": "marked"}
    report = run_job("generate", bundle, tmp_path / "in.csv", tmp_path / "out.csv", task="proteins", options=options)
    assert (report.ok, report.bad) == (2, 1)
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["error"].isna().tolist() == [True, True, False]
    table = table[:2]
    called = model.generate(rows.iloc[:2], "proteins", fill_length="marked")
    assert table["completed"].tolist() == called["completed"].tolist() and table["name"].tolist() == ["a", "b"]
