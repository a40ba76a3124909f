"""Tables without conditions, or with misspelled ones, are refused before the model runs."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from mammal.errors import DataError
from mammal.rows.read_columns import ReadColumns
from mammal.rows.tables import row_table
from mammal.tasks import build_task, load_task
from mammal.tokenization import Tokenizer


@pytest.fixture(scope="module")
def reading() -> ReadColumns:
    """Of a task with the conditions mw, logp, qed and tpsa, which are computed from a column of molecules."""
    return ReadColumns.of_task(build_task(load_task("moses"), Tokenizer.load(None)))


def reported(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "no column is a condition" in record.getMessage()]


@pytest.mark.parametrize("name", ["logP", "log_p", "LogP ", "logpp"])
def test_a_misspelt_condition_is_refused_with_its_name(reading: ReadColumns, name: str):
    with pytest.raises(DataError, match="is not the condition 'logp'") as refused:
        row_table(pd.DataFrame({name: [2.5], "qed": [0.9]}), reading)
    assert f"columns={{logp: {name}}}" in str(refused.value.hint)
    with pytest.raises(DataError, match="is not the condition 'logp'"):
        row_table([{name: 2.5}], reading)


def test_a_column_that_is_named_for_a_condition_is_read_as_it(reading: ReadColumns, caplog: pytest.LogCaptureFixture):
    renamed = replace(reading, aliases={"logp": "logP"})
    assert row_table(pd.DataFrame({"logP": [2.5]}), renamed).rows[0]["logp"] == 2.5
    assert row_table([{"logp": 2.5, "LogP": 7.0}], reading).rows == [{"logp": 2.5, "LogP": 7.0}]
    assert not reported(caplog)


def test_a_table_without_conditions_is_reported_once(reading: ReadColumns, caplog: pytest.LogCaptureFixture):
    row_table(pd.DataFrame({"id": [1, 2, 3], "logd": [1.0, 2.0, 3.0]}), reading)
    (line,) = reported(caplog)
    assert "mw, logp, qed, tpsa" in line and "id, logd" in line


@pytest.mark.parametrize("columns", [["qed", "id"], ["smiles"], []])
def test_a_table_that_asks_for_something_or_holds_nothing_passes(
    reading: ReadColumns, columns: list[str], caplog: pytest.LogCaptureFixture
):
    row_table(pd.DataFrame({name: ["1"] for name in columns}), reading)
    assert not reported(caplog)


def test_what_is_asked_of_all_rows_is_asked(reading: ReadColumns, caplog: pytest.LogCaptureFixture):
    row_table(pd.DataFrame({"id": [1]}), replace(reading, steered=True))
    assert not reported(caplog)
