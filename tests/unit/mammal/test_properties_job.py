"""`mammal properties`: a column for each property, every row accounted for; shards don't change the output."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mammal import cli
from mammal.jobs import tables
from mammal.jobs.properties_job import properties_job
from mammal.jobs.structures import structure_column
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.molecules.properties import compute


@pytest.fixture
def library(tmp_path: Path) -> Path:
    file = tmp_path / "library.csv"
    smiles = ["CCO", "C1CC", "c1ccccc1", "", "CC(=O)O", "CCN"]
    pd.DataFrame({"id": range(6), "SMILES": smiles}).to_csv(file, index=False)
    return file


def test_properties_stand_beside_the_users_columns(library: Path):
    output = library.with_name("more.csv")
    words = ["properties", f"input={library}", f"output={output}", "properties=[logp,rings]", "workers=0"]
    assert cli.main(words) == cli.BAD_ROWS
    found, errors = pd.read_csv(output), pd.read_csv(library.with_name("more.errors.csv"))
    assert list(found) == ["id", "SMILES", "logp", "rings", "error"] and list(found["id"]) == [*range(6)]
    assert found["logp"].isna().tolist() == found["error"].notna().tolist()
    found = found[found["error"].isna()]
    assert found["logp"].tolist() == pytest.approx([compute(s, "logp") for s in found["SMILES"]])
    assert sorted(map(int, errors["id"])) == [1, 3] and errors["error"].str.contains("is not a molecule").all()


def test_shards_and_processes_change_nothing(library: Path):
    whole = properties_job(library, library.with_name("a.parquet"), workers=0)
    parts = properties_job(library, library.with_name("b.parquet"), workers=2, shard_rows=2)
    assert whole.rows == parts.rows == 6 and whole.ok == parts.ok == 4
    assert pd.read_parquet(whole.output).equals(pd.read_parquet(parts.output))


def test_an_unknown_property_is_reported_before_any_row_is_read(library: Path):
    with pytest.raises(TaskError, match="weight"):
        properties_job(library, library.with_name("c.parquet"), properties=["weight"])


def test_one_more_format_of_tables_is_one_class(library: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(tables.TABLES, ".psv", tables.Delimited(".psv", "|"))
    report = properties_job(library, library.with_name("a.psv"), workers=0, shard_rows=2)
    assert pd.read_csv(report.output, sep="|").mw.notna().all() and report.errors == library.with_name("a.errors.psv")
    assert len(pd.read_csv(report.errors, sep="|")) == report.bad


@pytest.mark.parametrize("verb", ["properties", "names"])
def test_the_column_of_molecules_is_found_by_a_usual_name(verb: str, library: Path, caplog: pytest.LogCaptureFixture):
    pd.DataFrame({"id": [1], "canonical_smiles": ["CCO"]}).to_csv(library, index=False)
    words = [verb, f"input={library}", f"output={library.with_name('out.csv')}", "workers=0"]
    words += ["keep=all"] if verb == "names" else []
    with caplog.at_level("INFO", "mammal"):
        assert cli.main(words) == 0
    assert "column 'canonical_smiles' is read as 'smiles'" in caplog.text
    assert cli.main([*words, "smiles=smiles", "resume=false"]) == 1  # what is named has to be there


def test_of_several_columns_of_molecules_none_is_taken():
    assert structure_column(None, ["Smiles", "smiles"]) == "smiles"
    with pytest.raises(DataError, match=r"smiles=SMILES, or another of canonical_smiles"):
        structure_column(None, ["SMILES", "canonical_smiles"])
    with pytest.raises(DataError, match="did you mean smile"):
        structure_column(None, ["id", "smile"])
