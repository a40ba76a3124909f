"""Jobs that write SDF files and folders of Parquet parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from mammal.errors import ConfigError, DataError, JobError
from mammal.jobs import run_job
from mammal.jobs.properties_job import properties_job
from mammal.tasks.tables.readers import read_table

SMILES = ["CCO", "C1CC", "c1ccccc1", "", "CC(=O)O", "CCN"]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    notes = ["plain", "two\nlines", "> <y>\n$$$$", "", "a\n\nb", "é"]
    pd.DataFrame({"id": range(6), "smiles": SMILES, "note": notes}).to_csv(tmp_path / "lib.csv", index=False)
    return tmp_path / "lib.csv"


def run(given: Any, output: Any, **how: Any) -> Any:
    return properties_job(given, output, properties=["heavy_atoms"], workers=0, **{"shard_rows": 2, **how})


# SDF


def test_molecules_of_a_table_become_records_with_fields(library: Path, tmp_path: Path) -> None:
    from rdkit import Chem

    report = run(library, tmp_path / "out.sdf")
    assert (report.ok, report.bad, Path(report.errors).name) == (4, 2, "out.errors.tsv")
    molecules = list(Chem.SDMolSupplier(str(report.output)))
    assert [Chem.MolToSmiles(one) for one in molecules] == ["CCO", "c1ccccc1", "CC(=O)O", "CCN"]
    assert [one.GetProp("heavy_atoms") for one in molecules] == ["3.0", "6.0", "4.0", "3.0"]
    assert [one.GetProp("id") for one in molecules] == ["0", "2", "4", "5"] and molecules[3].GetProp("note") == "é"
    assert molecules[0].GetConformer().GetPositions().any(), "atoms have places in the plane"
    frame = read_table(report.output)
    assert frame["heavy_atoms"].tolist() == ["3.0", "6.0", "4.0", "3.0"] and frame["id"].tolist() == list("0245")
    assert frame["note"].tolist() == ["plain", " > <y>\n $$$$", "a\nb", "é"], "a value can't end its record"


def test_records_of_an_sdf_file_keep_their_blocks(tmp_path: Path) -> None:
    from rdkit import Chem
    from rdkit.Chem import AllChem

    molecule = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    molecule.SetProp("_Name", "ethanol")
    block = Chem.MolToMolBlock(molecule)
    broken = "bad\n  x\n\n  1  0  0  0  0  0            999 V2000\n    0.0    0.0    0.0 Qq  0  0\nM  END\n"
    (tmp_path / "in.sdf").write_text(f"{block}>  <y>\n7\n\n$$$$\n{broken}$$$$\n")
    report = run(tmp_path / "in.sdf", tmp_path / "out.sdf")
    text = Path(report.output).read_text()
    assert text == f"{block}>  <y>\n7\n\n>  <heavy_atoms>\n3.0\n\n$$$$\n"
    errors = pd.read_csv(report.errors, sep="\t")
    assert list(errors.columns) == ["row", "smiles", "name", "y", "error"] and errors["name"].tolist() == ["bad"]
    both = run([tmp_path / "in.sdf"], tmp_path / "two.sdf", file_column="source")
    assert f">  <source>\n{tmp_path / 'in.sdf'}\n" in Path(both.output).read_text()


def test_predictions_are_fields_and_cut_rows_are_marked(small_bundle: Any, tmp_path: Path) -> None:
    bundle = small_bundle("bbbp")
    pd.DataFrame({"drug": ["CCO", "C" * 600, "CCN", "CC"]}).to_csv(tmp_path / "in.csv", index=False)
    how: dict[str, Any] = {"task": "bbbp", "columns": "drug", "shard_rows": 2}
    sdf = run_job("predict", bundle, tmp_path / "in.csv", tmp_path / "out.sdf", **how)
    table = run_job("predict", bundle, tmp_path / "in.csv", tmp_path / "out.csv", **how)
    fields, expected = read_table(sdf.output), read_table(table.output)
    assert sdf.cut == 1 and fields["cut"].tolist() == ["False", "True", "False", "False"]
    assert fields["prediction"].tolist() == expected["prediction"].tolist() and fields["drug"][0] == "CCO"


def test_an_sdf_output_needs_molecules(small_bundle: Any, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("sequence\nMKT\n")
    with pytest.raises(DataError, match="no column 'smiles'"):
        run_job("predict", small_bundle("amp"), tmp_path / "in.csv", tmp_path / "out.sdf", task="amp")
    (tmp_path / "lib.csv").write_text("smiles\nC\n")
    with pytest.raises(ConfigError, match="keep_rows=true is for tables"):
        run(tmp_path / "lib.csv", tmp_path / "out.sdf", keep_rows=True)
    with pytest.raises(JobError, match=r"\.sdf for molecules; FOLDER/ for Parquet parts"):
        run(tmp_path / "lib.csv", tmp_path / "out.docx")


# Parts


def test_each_shard_is_a_part_of_a_folder(library: Path, tmp_path: Path) -> None:
    report = run(library, f"{tmp_path}/out/")
    whole = run(library, tmp_path / "whole.parquet")
    folder = tmp_path / "out"
    names = ["_errors.parquet", "_manifest.json", *(f"part-0000{number}.parquet" for number in range(3))]
    assert sorted(file.name for file in folder.iterdir()) == names and report.output == folder
    assert pa.parquet.read_table(folder).equals(pa.parquet.read_table(whole.output))
    assert pd.read_parquet(report.errors)["row"].tolist() == [2, 4]
    manifest = json.loads((folder / "_manifest.json").read_text())
    assert manifest["complete"] and manifest["counts"] == {"rows": 6, "ok": 4, "bad": 2}
    assert not (tmp_path / "out.parts").exists()
    assert run(library, f"{tmp_path}/out/").resumed == 6, "a complete job does nothing"
    again = run(f"{folder}/", tmp_path / "again.csv", prefix="new_")
    assert again.rows == 4, "a folder of parts is an input"


def test_a_stopped_job_of_parts_goes_on_and_shows_no_folder(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
) -> None:
    interrupted(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        run(library, f"{tmp_path}/out/")
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    assert run(library, f"{tmp_path}/out/").resumed == 4
    assert len(pa.parquet.read_table(tmp_path / "out")) == 4


def test_a_folder_is_replaced_only_on_request_and_only_if_a_job_wrote_it(library: Path, tmp_path: Path) -> None:
    run(library, f"{tmp_path}/out/")
    with pytest.raises(JobError, match="shard_rows was 2, is 100"):
        run(library, f"{tmp_path}/out/", shard_rows=100)
    run(library, f"{tmp_path}/out/", shard_rows=100, resume=False)
    assert len(list((tmp_path / "out").glob("part-*"))) == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    for resume in (True, False):
        with pytest.raises(JobError, match="was not written by a job"):
            run(library, f"{tmp_path}/mine/", resume=resume)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
    with pytest.raises(JobError, match="FOLDER/ for Parquet parts"):
        run(library, tmp_path / "out")


def test_a_table_without_rows_gives_one_part_with_its_columns(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("smiles\n")
    run(tmp_path / "in.csv", f"{tmp_path}/out/")
    assert pa.parquet.read_table(tmp_path / "out").column_names == ["smiles", "heavy_atoms"]
