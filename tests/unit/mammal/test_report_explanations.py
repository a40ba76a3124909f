"""Explanations in a report: of files of `mammal explain`, and of evaluated rows."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.errors import ConfigError, DataError
from mammal.evaluation.results import OURS, Contender, Estimate, TaskResult, save_results
from mammal.inference.api import Mammal
from mammal.report.explain_page import DrawnRow, DrawnValue, row_drawings
from mammal.report.explanations_section import example_rows, examples_section
from mammal.report.gather import report

pytest.importorskip("captum")

SMILES = ["CCO", "CC(=O)Oc1ccccc1C(=O)O", "c1ccccc1", "CCN", "CC(C)=O", "CCCCCCCC", "OCC(O)CO"]


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> Mammal:
    return mammal.load(tiny_bundle)


def evaluated(model: Mammal, task: str) -> TaskResult:
    """The answers of a model for `SMILES`, whose errors grow from row to row."""
    said = model.predict(SMILES, task)
    regression = task == "melting_point"
    answers = pd.DataFrame(
        {"row": range(1, 8), "smiles": SMILES, OURS: said["prediction" if regression else "probability"]}
    )
    answers["truth"] = answers[OURS].astype(float) + 10.0 * np.arange(1, 8) if regression else [1, 0, 1, 0, 1, 0, 1]
    return TaskResult(
        task=task,
        about="A task",
        kind="regression" if regression else "classification",
        part="test",
        split="scaffold",
        split_hash="0123456789abcdef",
        rows={"test": 7},
        metrics=["mae" if regression else "auroc"],
        contenders=[Contender(OURS, {"mae" if regression else "auroc": Estimate(0.7, 0.6, 0.8)})],
        answers=answers if regression else answers.assign(label=said["prediction"]),
        unit="K" if regression else "",
        labels=[] if regression else ["0", "1"],
    )


@pytest.fixture(scope="module")
def run(model: Mammal, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "bundle").symlink_to(tiny_bundle)
    save_results([evaluated(model, task) for task in ("melting_point", "bbbp")], folder / "evaluation")
    return folder


def section(html: str, title: str) -> str:
    found = re.search(rf"<h2>{re.escape(title)}</h2>(.*?)</section>", html, re.DOTALL)
    assert found is not None
    return found[1]


def test_rows_from_the_smallest_to_the_largest_error_are_explained(run: Path, model: Mammal):
    shown = section(report(run, explain=3), "What the predictions depend on")
    assert shown.count("<figure>") == shown.count("</svg>") == 6
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", shown)
    for caption, start in zip(captions, ("row 1 (smallest", "row 4 (error 4 of 7", "row 7 (largest"), strict=False):
        assert caption.startswith(start), caption
    said = model.predict([SMILES[6]], "melting_point")["prediction"][0]
    assert f"predicted {said:.0f} K, true {said + 70:.0f} K" in captions[2] and captions[2].endswith("; OCC(O)CO")
    assert captions[3].startswith("row ") and "probability of 1: " in captions[3] and "true class" in captions[3]
    assert "log-odds of 1" in shown and len(shown) < 6 * 10_000, "a few kB for each row"


def test_examples_have_equal_steps_between_their_ranks(model: Mammal):
    result = evaluated(model, "melting_point")
    shuffled = replace(result, answers=result.answers.sample(frac=1, random_state=0))
    assert list(example_rows(shuffled, 3)["row"]) == [1, 4, 7]
    assert list(example_rows(shuffled, 1)["row"]) == [4] and len(example_rows(shuffled, 6)) == 6
    three = replace(result, kind="classification", labels=["a", "b", "c"])
    # of several labels, OURS is the probability of the predicted one
    answers = pd.DataFrame(
        {"row": [1, 2, 3], "smiles": SMILES[:3], "truth": list("abc"), OURS: [0.9, 0.6, 0.5], "label": list("bbc")}
    )
    assert list(example_rows(replace(three, answers=answers), 3)["row"]) == [2, 3, 1]
    pair = pd.DataFrame(
        {"row": [1, 1, 2, 2], "target_column": list("xyxy"), "truth": [0, 0, 1000, 1], OURS: [100, 0, 1000, 0.5]}
    )
    assert list(example_rows(replace(result, answers=pair), 6)["target_column"])[-1] == "y", "by its own spread"
    assert not len(example_rows(replace(result, answers=pd.DataFrame()), 3))


def test_each_target_is_explained_and_what_cannot_be_is_said(model: Mammal):
    result = evaluated(model, "melting_point")
    lines = result.answers.assign(target_column="tm")
    shown = str(examples_section([replace(result, answers=lines)], model, 2).body)
    assert "row 1, tm (smallest error)" in shown and shown.count("</svg>") == 2
    for wrong, why in (("molecules", "generation task"), ("absent", "unknown task")):
        said = str(examples_section([replace(result, task=wrong)], model, 2).body)
        assert "Not explained" in said and why in said


def test_files_of_explanations_are_drawn(tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    table, output, page = tmp_path / "in.csv", tmp_path / "explained.csv", tmp_path / "page.html"
    pd.DataFrame({"smiles": [*SMILES, *SMILES]}).to_csv(table, index=False)
    words = [f"bundle={tiny_bundle}", "task=bbbp", "method=occlusion"]
    assert main(["explain", *words, f"input={table}", f"output={output}"]) == 0
    assert main(["report", f"run={tmp_path}", f"explanations={output}", f"output={page}"]) == 0
    shown = section(page.read_text(), "Explanations")
    assert shown.count("<figure>") == 12 and "The first 12 explained rows." in shown
    said = mammal.load(tiny_bundle).predict([SMILES[0]], "bbbp")["probability"][0]
    assert f"(probability {said:#.3g} before calibration)" in shown
    assert main(["report", f"run={tmp_path}", f"explanations=[{output}]", f"output={output}"]) == 2
    assert "replace" in capsys.readouterr().err and output.read_text().startswith("smiles")


@pytest.mark.parametrize("long", [False, True])
def test_the_prefix_of_a_file_is_found_and_columns_of_the_user_are_not_taken_for_ours(
    model: Mammal, tmp_path: Path, long: bool
):
    own = {"position": [7], "my_attribution": ["none"], "explained": ["no"]}
    said = model.explain(pd.DataFrame({"smiles": ["CCO"], **own}), "bbbp", prefix="q_", long=long)
    if not long:
        said["q_attribution"] = [cell.tolist() for cell in said["q_attribution"]]
    said.to_json(tmp_path / "explained.jsonl", orient="records", lines=True)
    assert section(report(tmp_path, explanations=[tmp_path / "explained.jsonl"]), "Explanations").count("<figure>") == 1


def test_what_the_report_cannot_explain(run: Path, model: Mammal, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"explain is 7.*mammal explain"):
        report(run, explain=7)
    with pytest.raises(DataError, match=r"no evaluated task is a class.*melting_point: generation"):
        examples_section([replace(evaluated(model, "melting_point"), kind="generation")], model, 3)
    with pytest.raises(DataError, match="no evaluated rows"):
        report(tmp_path, explain=1)
    (tmp_path / "evaluation").symlink_to(run / "evaluation")
    with pytest.raises(DataError, match=r"no model.*explanations="):
        report(tmp_path, explain=1)
    with pytest.raises(DataError, match="has no explanations"):
        report(run, explanations=[run / "evaluation" / "answers_bbbp.csv"])


def test_texts_are_escaped():
    value = DrawnValue("note", "a <b>", "token", ["a", "<b>"], np.array([1.0, -1.0]))
    shown = row_drawings([(DrawnRow(1, "log-odds of <i>", {"output": 0.0}, [value]), "row 1: <i>")])
    assert "<b>" not in shown and "<i>" not in shown and "&lt;b&gt;" in shown
