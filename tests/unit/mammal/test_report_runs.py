"""A report that compares runs, and files in it: requested properties, and numbers next to empty cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mammal.errors import DataError
from mammal.evaluation.results import OURS, Contender, Estimate, TaskResult, save_results
from mammal.report.gather import report
from mammal.report.molecules import requested_captions
from mammal.report.runs_section import runs_section


def evaluated(rmse: float) -> TaskResult:
    """Melting points with two baselines; the worse one on the test rows is the better one on the validation rows."""
    return TaskResult(
        task="melting_point",
        about="Melting points",
        kind="regression",
        part="test",
        split="scaffold",
        split_hash="0123456789abcdef",
        rows={"test": 40},
        metrics=["rmse"],
        contenders=[
            Contender(OURS, {"rmse": Estimate(rmse, rmse - 4, rmse + 4)}),
            Contender("forest_morgan", {"rmse": Estimate(64.0, 60.0, 68.0)}, valid=63.0, note="50 trees"),
            Contender("mean", {"rmse": Estimate(44.0, 40.0, 48.0)}, valid=110.0),
        ],
        answers=pd.DataFrame(),
        unit="K",
    )


def run_folder(folder: Path, result: TaskResult, init: str | None, **training: object) -> Path:
    """A folder as training and evaluation leave it."""
    save_results([result], folder / "evaluation")
    (folder / "config").mkdir()
    adapt = {"method": "probe" if init else "full"}
    (folder / "config/config.yaml").write_text(yaml.safe_dump({"init": init, "adapt": adapt}), encoding="utf-8")
    (folder / "bundle").mkdir()
    (folder / "bundle/metrics.json").write_text(pd.Series({"training": training or None}).to_json(), encoding="utf-8")
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return run_folder(tmp_path / "demo", evaluated(55.2), "mammal-tiny")


def test_runs_are_named_by_what_they_start_from(weights: Path, tmp_path: Path):
    nothing = run_folder(tmp_path / "nothing", evaluated(71.3), None, steps=1234, seconds=60)
    body = runs_section([weights, nothing]).body
    assert "from mammal-tiny" in body and "from nothing" in body and "1,234 steps in 1:00" in body
    assert "probe on frozen states" in body and "71.3" in body and "(67.3 to 75.3)" in body
    assert "the best baseline; 50 trees" in body and "64.0" in body
    assert "44.0" not in body, "the best baseline is the one on the validation rows"
    assert body.count("<svg") == 1 and body.count("<table>") == 1


def test_runs_with_one_start_are_named_by_their_folder(weights: Path, tmp_path: Path):
    other = run_folder(tmp_path / "other", evaluated(60.0), "mammal-tiny")
    body = runs_section([weights, other]).body
    assert "demo <small>from mammal-tiny; probe" in body and "other <small>from mammal-tiny; probe" in body


def test_runs_on_other_rows_are_refused(weights: Path, tmp_path: Path):
    other = run_folder(tmp_path / "other", replace(evaluated(60.0), split_hash="fedcba9876543210"), None)
    with pytest.raises(DataError, match="no evaluated rows in common"):
        report(weights, compare=[other])
    with pytest.raises(DataError, match="contains no evaluation") as raised:
        report(weights, compare=[tmp_path])
    assert f"mammal evaluate bundle={tmp_path / 'bundle'}" in str(raised.value)


def test_page_has_the_section_after_the_overview(weights: Path, tmp_path: Path):
    nothing = run_folder(tmp_path / "nothing", evaluated(71.3), None)
    html = report(weights, compare=[nothing])
    assert html.index('id="at-a-glance"') < html.index('id="compared-runs"') < html.index('id="melting-point"')
    assert "compared-runs" not in report(weights)


def test_captions_have_computed_and_requested_properties():
    asked = pd.DataFrame({"mw": [46.0, 50.0, None], "logp": [0.5, 1.0, 2.0]})
    assert requested_captions(asked, ["CCO", "C1CC", "CCO"]) == [
        "mw 46.1 (requested 46.0), logp -0.00140 (requested 0.500)",
        "",
        "logp -0.00140 (requested 2.00)",
    ]


def test_files_of_jobs_show_numbers_in_spite_of_refused_rows(weights: Path, tmp_path: Path):
    file, samples = tmp_path / "answers.csv", tmp_path / "samples.csv"
    file.write_text(
        "smiles,esol_prediction,esol_error,error\nCCO,-0.123456789,,\nC1CC,,,unclosed ring\n", encoding="utf-8"
    )
    samples.write_text("logp,sample,draws,text,score,error\n0.5,0,1,CCO,-2.5,\n", encoding="utf-8")
    html = report(weights, predictions=[file], samples=samples)
    assert ">-0.123<" in html and "-0.123456789" not in html
    assert "esol_error" not in html, "a column without a value is not shown"
    assert "logp -0.00140 (requested 0.500)" in html
