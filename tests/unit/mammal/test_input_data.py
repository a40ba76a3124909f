"""What users hand over in other forms than files and frames of pandas, and what is a path."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import mammal
from mammal.cli import main
from mammal.errors import DataError
from mammal.jobs import run_job
from mammal.rows.input_data import input_data, is_path
from mammal.rows.read_columns import ReadColumns
from mammal.rows.tables import row_table, with_targets
from mammal.tasks import build_task, load_task
from mammal.tokenization import Tokenizer

READING = ReadColumns(("smiles",))


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> mammal.Mammal:
    return mammal.load(tiny_bundle, task="melting_point")


def smiles_of(data: Any) -> list[Any]:
    return [row["smiles"] for row in row_table(data, READING).rows]


def test_molecules_of_rdkit_are_smiles_with_their_stereo(model: mammal.Mammal) -> None:
    from rdkit import Chem

    alanine = Chem.MolFromSmiles("OC(=O)[C@@H](N)C")
    expected = "C[C@H](N)C(=O)O"
    assert smiles_of(alanine) == smiles_of([alanine]) == [expected]
    assert smiles_of([{"smiles": alanine}]) == smiles_of(pd.DataFrame({"smiles": [alanine]})) == [expected]
    assert smiles_of({"smiles": [alanine, "C"]}) == [expected, "C"]
    given = model.predict([alanine, None])
    assert given.prediction[0] == model.predict([expected]).prediction[0]
    assert given.smiles[0] == expected and "empty" in given.error[1]


def test_molecules_of_rdkit_are_targets_too() -> None:
    from rdkit import Chem

    ethanol = Chem.MolFromSmiles("OCC")
    inputs = row_table({"name": ["ethanol", "methane"]}, ReadColumns(("name",)))
    for targets in ([ethanol, "C"], pd.Series([ethanol, "C"])):
        assert [row["smiles"] for row in with_targets(inputs, targets, ("smiles",)).rows] == ["CCO", "C"]
    alone = row_table("ethanol", ReadColumns(("name",)))
    assert with_targets(alone, ethanol, ("smiles",)).rows[0]["smiles"] == "CCO"


def test_a_racemate_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    from rdkit import Chem

    racemate = Chem.MolFromSmiles("C[C@H](O)CC |&1:1|")
    assert smiles_of(racemate) and "1 row with several stereoisomers" in caplog.text
    caplog.clear()
    assert smiles_of([racemate, Chem.MolFromSmiles("C[C@H](O)CC"), racemate])
    assert caplog.text.count("racemic") == 1 and "rows 1, 3" in caplog.text


class Exported:
    """A frame of another library, which hands over its rows through the Arrow interface alone."""

    def __init__(self, data: pa.Table):
        self._data = data
        self.schema = data.schema

    def __arrow_c_stream__(self, requested: object = None) -> object:
        return self._data.__arrow_c_stream__(requested)


def test_arrow_tables_are_frames() -> None:
    arrow = pa.table({"smiles": ["CCO", "C"], "dose": [1, 2]})
    for data in (arrow, arrow.to_batches()[0], Exported(arrow)):
        given = row_table(data, READING)
        assert [row["smiles"] for row in given.rows] == ["CCO", "C"]
        assert given.original is not None and list(given.original.columns) == ["smiles", "dose"]
    assert smiles_of(arrow["smiles"]) == smiles_of(pa.array(["CCO", "C"])) == ["CCO", "C"]
    with pytest.raises(DataError, match="no column 'smiles'"):
        row_table(pa.table({"smile": ["C"]}), READING)


def test_frames_of_polars_are_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """polars has the interface of Arrow and, like pandas, `columns` and `to_dict`."""
    module = ModuleType("polars")
    monkeypatch.setitem(sys.modules, "polars", module)

    class DataFrame(Exported):
        columns = ("smiles",)

        def to_dict(self) -> dict[str, object]:
            raise AssertionError("not the to_dict of pandas")

    class LazyFrame:
        def collect(self) -> DataFrame:
            return DataFrame(pa.table({"smiles": ["CCO"]}))

    DataFrame.__module__ = LazyFrame.__module__ = "polars.dataframe.frame"
    assert smiles_of(DataFrame(pa.table({"smiles": ["CCO", "C"]}))) == ["CCO", "C"]
    assert smiles_of(LazyFrame()) == ["CCO"]


def test_a_dict_of_columns_is_a_frame(model: mammal.Mammal) -> None:
    given = model.predict({"smiles": ["CCO", "C"], "id": [7, 8]})
    assert given.smiles.tolist() == ["CCO", "C"] and given.id.tolist() == [7, 8] and given.error.isna().all()
    assert smiles_of({"smiles": pd.Series(["CCO", "C"], index=[5, 3])}) == ["CCO", "C"]
    assert smiles_of({"smiles": pa.chunked_array([["CCO", "C"]])}) == ["CCO", "C"]
    assert smiles_of({"smiles": "CCO", "id": 7}) == ["CCO"]
    with pytest.raises(DataError, match=r"different numbers of values \(smiles: 2, id: 1\)"):
        model.predict({"smiles": ["CCO", "C"], "id": [7]})
    with pytest.raises(DataError, match="'smiles' holds 2 values, but 'id' holds a single one"):
        model.predict({"smiles": ["CCO", "C"], "id": 7})


def test_two_columns_of_one_name(model: mammal.Mammal) -> None:
    twice = pd.DataFrame([["C", "1", "N"]], columns=["smiles", "y", "smiles"])
    with pytest.raises(DataError, match="columns 1 and 3 are both called 'smiles'"):
        model.predict(twice)
    unread = pd.DataFrame([["C", "1", "2"]], columns=["smiles", "y", "y"])
    assert model.predict(unread).error.isna().all()


@pytest.mark.parametrize(
    "path", ["x.csv", "my x.tsv", "x.TAB", "x.fna", "x.faa.gz", "x.h5ad", "x.smiles", "x.txt", "a/x.xlsx", "x.pdb.gz"]
)
def test_names_of_files_are_paths(path: str) -> None:
    assert is_path(path)


@pytest.mark.parametrize(
    "value", ["CCO", "[Na+].[Cl-]", "CC.C", "NM_1.3:c.35G>T", "see the file.txt", "C." * 500 + "C"]
)
def test_values_are_no_paths(value: str) -> None:
    assert not is_path(value)


def test_a_file_of_unknown_format_is_not_a_value(
    model: mammal.Mammal, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x.txt", "x.data"):
        file = tmp_path / name
        file.write_text("CCO\n")
        with pytest.raises(DataError, match=f"can't tell the format of '{name}'"):
            model.predict(str(file))
        assert main(["predict", f"bundle={tiny_bundle}", "task=melting_point", f"input={file}"]) != 0
        assert "can't tell the format" in capsys.readouterr().err
    with pytest.raises(DataError, match="no such file"):
        model.predict(str(tmp_path / "none.csv"))


def test_records_that_cant_be_read_have_their_reason(model: mammal.Mammal, tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(b"smiles,y\nCCO,1,\n\nCCN,2\nCC\xe9,3\n")
    frame = model.predict(file)
    assert frame.smiles.tolist() == ["", "CCN", ""] and frame.error.isna().tolist() == [False, True, False]
    assert "line 2: 3 fields" in frame.error[0] and "line 5: not UTF-8" in frame.error[2]
    assert list(frame.columns) == ["smiles", "y", "prediction", "error"]
    report = run_job("predict", tiny_bundle, file, tmp_path / "out.parquet", task="melting_point")
    assert report.errors is not None
    bad = pd.read_parquet(report.errors)
    assert bad.row.tolist() == [1, 3] and bad.error.tolist() == frame.error.dropna().tolist()
    vectors = model.embed(file)
    assert [bool(pd.isna(vector).any()) for vector in vectors] == [True, False, True]


def test_residues_in_lower_case_are_upper_case(caplog: pytest.LogCaptureFixture) -> None:
    task = build_task(load_task("protein_solubility"), Tokenizer.load(None))
    upper = task.render({"sequence": "MKTAYI"})
    assert task.render({"sequence": "mktayi"}) == task.render({"sequence": "MKTayi"}) == upper
    assert caplog.text.count("residues in lower case are read as upper case") == 1
    for value in ("mkj", "mk-ta"):
        assert value in task.render({"sequence": value}).input
    amp = build_task(load_task("amp"), Tokenizer.load(None))
    assert amp.render({"sequence": "glfdivkk"}) == amp.render({"sequence": "GLFDIVKK"})


def test_what_has_a_known_form_stays() -> None:
    for data in (["C"], "C", pd.DataFrame({"smiles": ["C"]}), pd.Series(["C"]), {"smiles": "C"}):
        assert input_data(data) is data
