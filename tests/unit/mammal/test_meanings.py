"""What predictions mean: the unit of a number and the positive class, in every place that shows them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import mammal
from mammal.cli import main
from mammal.jobs import run_job
from mammal.rows.answer_columns import column_meanings, column_units, meaning_lines


@pytest.fixture
def table(tmp_path: Path) -> Path:
    pd.DataFrame({"smiles": ["CCO", "c1ccccc1", "C1CC"]}).to_csv(tmp_path / "in.csv", index=False)
    return tmp_path / "in.csv"


def metadata(file: Path, column: str) -> dict[bytes, bytes]:
    return dict(pq.read_schema(file).field(column).metadata or {})


def test_a_unit_is_in_the_manifest_the_file_and_the_report(tiny_bundle: Path, table: Path, tmp_path: Path) -> None:
    model = mammal.load(tiny_bundle)
    task = next(name for name in model.task_names if model.find_task(name).kind == "regression")
    unit = model.find_task(task).config.unit
    assert unit
    output = tmp_path / "out.parquet"
    report = run_job("predict", tiny_bundle, table, output, task=task, prefix="my_")
    assert report.meanings["my_prediction"] == unit
    assert json.loads((tmp_path / "out.parquet.manifest.json").read_text())["meanings"]["my_prediction"] == unit
    found = metadata(output, "my_prediction")
    assert found[b"unit"] == found[b"meaning"] == unit.encode()
    assert metadata(output, "smiles") == {}
    assert list(pd.read_parquet(output)) == ["smiles", *(name for name in report.meanings)]


def test_the_positive_class_is_in_the_file_and_has_no_unit(tiny_bundle: Path, table: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    run_job("predict", tiny_bundle, table, output, task="bbbp", keep_rows=True)
    assert metadata(output, "probability") == {b"meaning": b"probability of the positive class, '1'"}
    assert metadata(output, "prediction") == metadata(output, "error") == {}


def test_a_csv_output_keeps_its_columns(tiny_bundle: Path, table: Path, tmp_path: Path) -> None:
    run_job("predict", tiny_bundle, table, tmp_path / "out.csv", task="bbbp")
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "smiles,prediction,probability,error"


@pytest.mark.parametrize("to_file", [True, False])
def test_the_command_says_what_the_numbers_are(
    tiny_bundle: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, to_file: bool
) -> None:
    output = [f"output={tmp_path / 'out.csv'}"] if to_file else []
    assert main(["predict", f"bundle={tiny_bundle}", f"input={table}", "task=bbbp", *output]) == 3
    reported = capsys.readouterr()
    assert "probability: of the positive class, '1'\n" in reported.err
    assert "positive class" not in reported.out


def test_units_of_several_targets(tiny_bundle: Path) -> None:
    model = mammal.load(tiny_bundle)
    task = model.find_task("lipophilicity")
    task.config.unit = {"lipophilicity": "log D"}
    assert column_units(task, "p_") == column_meanings(task, "p_") == {"p_prediction": "log D"}
    task.config.unit = None
    assert column_units(task) == column_meanings(task) == {}


def test_columns_of_one_meaning_share_a_line() -> None:
    positive = "probability of the positive class, '1'"
    same = {f"t{i}_probability": positive for i in range(5)}
    lines = meaning_lines(same | {"a_prediction": "°C", "a_low": "°C", "a_high": "°C"})
    assert lines == [
        "t0_probability, t1_probability, t2_probability and 2 more: of the positive class, '1'",
        "a_prediction: °C",
    ]
