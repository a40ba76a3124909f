"""Infilling in Python and as a batch job; rows that can't be filled get a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mammal
from mammal.errors import DataError, MammalError, TaskError
from mammal.generation.consensus import consensus_of
from mammal.generation.question import Generate
from mammal.generation.samples import Sample
from mammal.inference.api import Mammal
from mammal.jobs import run_job
from mammal.jobs.model_job import _records_of_a_row
from mammal.rows.batched import Pace
from mammal.rows.task_choice import changed_task
from mammal.service.service import PROMPT_CHARACTERS, _costs
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.kinds.build import build_task
from mammal.tasks.kinds.generation import generation_task


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


def test_a_consensus_has_the_commonest_residue_of_each_place(model: Mammal):
    asked = {"task": "proteins", "fill_length": "marked", "do_sample": True, "seed": 3}
    rows = ["MK___IA__Q", "M_K"]
    samples = model.infill(rows, n=25, **asked)
    found = model.infill(rows, consensus=25, **{**asked, "do_sample": None})
    assert len(found) == 2 and found["score"].isna().all()
    for row in range(2):
        places = list(zip(*samples["completed"][25 * row : 25 * row + 25], strict=True))
        for said, given in zip(found["completed"][row], places, strict=True):
            assert given.count(said) == max(Counter(given).values())
    assert model.infill(rows[:1], consensus=25, **asked)["completed"][0] == found["completed"][0]


def test_a_consensus_can_be_declared_and_switched_off(model: Mammal):
    asked = {"constraint": "grammar", "fill_length": "marked"}
    task = changed_task(generation_task(model.find_task("proteins")), {"generation": {**asked, "consensus": 7}})
    (declared,) = model.predict(["MK__YIA"], task)["completed"]
    assert declared == model.infill(["MK__YIA"], task="proteins", fill_length="marked", consensus=7)["completed"][0]
    (greedy,) = model.infill(["MK__YIA"], task=task, consensus=0)["completed"]
    assert greedy == model.infill(["MK__YIA"], task="proteins", fill_length="marked")["completed"][0]


@pytest.mark.parametrize(
    ("settings", "reported"),
    [
        ({"fill_length": "free"}, "fill_length is free"),
        ({"n": 3}, "a consensus is one answer, and n is 3"),
        ({"num_beams": 4}, "num_beams is 4"),
        ({"do_sample": False}, "do_sample is false"),
        ({"temperature": 0}, "temperature=0 takes the likeliest token, and consensus=5"),
        ({"distinct": True}, "distinct is for several"),
        ({"stop": ["S"]}, "stop ends some of them earlier"),
        ({"no_repeat_ngram_size": 1}, "can have repeats"),
        ({"consensus": -1}, "consensus must be 0 or more"),
    ],
)
def test_what_no_consensus_can_be_of_is_refused(model: Mammal, settings: dict[str, Any], reported: str):
    with pytest.raises(MammalError, match=reported):
        model.infill("MK__YIA", **{"task": "proteins", "fill_length": "marked", "consensus": 5, **settings})
    with pytest.raises(TaskError, match="does not fill in hidden parts, so consensus"):
        model.generate(task="molecules", consensus=5)


@pytest.mark.parametrize(
    ("changes", "reported"),
    [
        ({"prompt": {"input": "{s:smiles}"}}, r"molecule \(s\).*rarely a molecule"),
        ({"kind": "generation", "prompt": {"input": "{s:protein}", "target": "{y:protein}"}}, "fills in none"),
        ({"kind": "regression", "prompt": {"input": "<MASK> {s:protein}", "target": "{y:scalar}"}}, "generates none"),
        ({"generation": {"num_beams": 3}}, "num_beams=3 searches"),
    ],
)
def test_tasks_that_have_no_consensus_are_refused(model: Mammal, changes: dict[str, Any], reported: str):
    asked = {"fill_length": "marked", "consensus": 3, **changes.get("generation", {})}
    declared = {"name": "m", "kind": "denoising", "prompt": {"input": "{s:protein}"}, **changes, "generation": asked}
    mode = {} if declared["kind"] == "regression" else {"mode": "decoder"}
    with pytest.raises(TaskError, match=reported):
        build_task(load_task({**declared, **mode}), model.tokenizer)


def test_samples_that_are_equally_common_are_told_apart_by_likelihood():
    samples = [Sample((1, 2, 9), -5.0), Sample((3, 4, 9), -1.0, draws=2), Sample((1, 5, 9), -7.0)]
    assert consensus_of(samples) == Sample((1, 4, 9), None, draws=4)


def test_a_consensus_counts_as_its_samples_where_work_is_limited(model: Mammal):
    task = generation_task(model.find_task("proteins"))
    how: dict[str, Any] = {"fill_length": "marked", "consensus": 40}
    question = Generate(model.model, model.tokenizer, task, Pace.of_device("cpu"), settings=how)
    assert question.sequences_of_row == 40 and _costs(question, [{"sequence": "MK_"}]) == [40 * (PROMPT_CHARACTERS + 3)]
    assert _records_of_a_row(question) == 40


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
