"""A job on several files: one schema, rows in the order of the files, each error with its file, resuming, changes."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from mammal.cli import main
from mammal.errors import ConfigError, DataError, JobError
from mammal.jobs.input_files import input_files
from mammal.jobs.inputs import open_input
from mammal.jobs.properties_job import properties_job
from mammal.jobs.store import Store


@pytest.fixture
def lib(tmp_path: Path) -> Path:
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "b.csv").write_text("smiles,id\nCC,b1\nC1CC,b2\nCCC,b3,x\n")
    (folder / "a.csv.gz").write_bytes(gzip.compress(b"id,smiles\na1,CCO\na2,C\n"))
    (folder / "README.md").write_text("about")
    (folder / ".hidden.csv").write_text("nothing\n")
    (folder / "old.csv.manifest.json").write_text("{}")
    (folder / "old.errors.csv").write_text("row,error\n")
    return folder


def run(given: object, output: Path, **how: object) -> pd.DataFrame:
    report = properties_job(given, output, properties=["heavy_atoms"], workers=0, shard_rows=2, **how)  # type: ignore[arg-type]
    return pd.read_csv(report.output, dtype=str, keep_default_na=False)


ORDER = ["a1", "a2", "b1", "b2", ""]


@pytest.mark.parametrize("form", ["folder", "pattern", "list", "strings"])
def test_rows_are_in_the_order_of_the_files(lib: Path, tmp_path: Path, form: str) -> None:
    files = [lib / "a.csv.gz", lib / "b.csv"]
    given = {"folder": lib, "pattern": str(lib / "*.csv*"), "list": files, "strings": list(map(str, files))}[form]
    frame = run(given, tmp_path / "out.csv")
    assert frame["id"].tolist() == ORDER and list(frame.columns) == ["id", "smiles", "heavy_atoms", "error"]
    assert frame["heavy_atoms"].tolist() == ["3.0", "1.0", "2.0", "", ""]
    turned = run(files[::-1], tmp_path / "turned.csv")
    assert turned["id"].tolist() == ["b1", "b2", "", "a1", "a2"], "a list keeps its order"


def test_an_error_says_from_which_file_and_row_it_is(lib: Path, tmp_path: Path) -> None:
    run([lib / "a.csv.gz", lib / "b.csv"], tmp_path / "out.csv")
    errors = pd.read_csv(tmp_path / "out.errors.csv", dtype=str)
    assert errors["row"].tolist() == ["4", "5"] and errors["row_in_file"].tolist() == ["2", "3"]
    assert errors["from_file"].tolist() == [str(lib / "b.csv")] * 2
    assert errors["error"][1].startswith(f"{lib / 'b.csv'}, line 4: 3 fields where the header has 2")


def test_the_file_is_a_column_on_request(lib: Path, tmp_path: Path) -> None:
    frame = run(lib, tmp_path / "out.csv", file_column="source")
    assert frame["source"].map(lambda name: Path(name).name).tolist() == ["a.csv.gz"] * 2 + ["b.csv"] * 3
    single = run(lib / "a.csv.gz", tmp_path / "one.csv", file_column="source")
    assert single["source"].tolist() == [str(lib / "a.csv.gz")] * 2
    with pytest.raises(ConfigError, match=r"already has a column 'id'"):
        run(lib, tmp_path / "two.csv", file_column="id")


def test_unequal_columns_name_the_file_the_columns_and_the_remedy(lib: Path, tmp_path: Path) -> None:
    (lib / "c.csv").write_text("SMILES,id\nC,1\n")
    with pytest.raises(DataError) as caught:
        run(lib, tmp_path / "out.csv")
    assert str(caught.value.where) == str(lib / "c.csv")
    what = f"other columns than in {lib / 'a.csv.gz'}: it lacks 'smiles'; it has 'SMILES', which that lacks"
    assert caught.value.what == what
    assert "did you mean SMILES?" in str(caught.value.hint) and "rename" in str(caught.value.hint)


def test_types_of_parquet_files_are_joined_or_refused(tmp_path: Path) -> None:
    for name, values in (("a", [1]), ("b", [2.5]), ("c", ["x"])):
        pd.DataFrame({"smiles": ["C"], "n": values}).to_parquet(tmp_path / f"{name}.parquet")
    shard = next(open_input([tmp_path / "a.parquet", tmp_path / "b.parquet"]).shards(10))
    assert shard.table.column("n").to_pylist() == [1.0, 2.5]
    with pytest.raises(DataError, match=r"c\.parquet: column 'n' is (large_)?string here and int64 in .*a\.parquet"):
        open_input([tmp_path / "a.parquet", tmp_path / "c.parquet"])


def test_records_of_json_lines_can_have_other_keys(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"smiles": "C", "n": 1}\n')
    (tmp_path / "b.jsonl").write_text('{"smiles": "CC", "m": "x", "n": 2.5}\n')
    rows = [row for shard in open_input(str(tmp_path / "*.jsonl")).shards(1) for row in shard.table.to_pylist()]
    assert rows == [{"smiles": "C", "n": 1.0, "m": None}, {"smiles": "CC", "n": 2.5, "m": "x"}]


def test_a_stopped_job_goes_on_and_a_changed_file_is_named(
    lib: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(lib, tmp_path / "whole.csv")
    write = Store.write
    monkeypatch.setattr(Store, "write", lambda self, shard, *rest: None if shard else write(self, shard, *rest))
    with pytest.raises(Exception):  # noqa: B017 - the second shard is not there
        run(lib, tmp_path / "out.csv")
    monkeypatch.undo()
    report = properties_job(lib, tmp_path / "out.csv", properties=["heavy_atoms"], workers=0, shard_rows=2)
    assert report.resumed == 2 and (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len(whole) == 5
    (lib / "b.csv").write_text("smiles,id\nCC,b1\n")
    with pytest.raises(JobError, match=r"the input file .*b\.csv has another content"):
        run(lib, tmp_path / "out.csv")
    (lib / "c.csv").write_text("smiles,id\nCC,b1\n")
    with pytest.raises(JobError, match=r"the input file .*c\.csv is new"):
        run(lib, tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("given", "reported"),
    [
        ("lib/a.cvs*", r"no file has such a name.*did you mean a\.csv\.gz"),
        ("none/*.csv", "does not exist"),
        ("lib/b.cvs", r"no such file.*did you mean b\.csv"),
        (["lib/b.csv", "./lib/b.csv"], "named twice"),
        ("empty", "no file of a known format.*csv"),
        ([], r"empty.*input=\[a\.csv,b\.csv\]"),
    ],
)
def test_a_missing_file_is_named_with_the_nearest(
    lib: Path, monkeypatch: pytest.MonkeyPatch, given: str | list[str], reported: str
) -> None:
    monkeypatch.chdir(lib.parent)
    Path("empty").mkdir()
    with pytest.raises((DataError, ConfigError), match=f"(?s){reported}"):
        input_files(given)


def test_the_output_in_the_folder_that_is_read_is_refused(lib: Path) -> None:
    (lib / "out.csv").write_text("smiles,id\n")
    with pytest.raises(ConfigError, match="would replace the input"):
        run(lib, lib / "out.csv")


def test_the_command_takes_lists_and_patterns(lib: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, given in enumerate([f"[{lib}/a.csv.gz,{lib}/b.csv]", f"{lib}/[ab].csv*", str(lib)]):
        output = tmp_path / f"{number}.csv"
        words = [f"input={given}", f"output={output}", "workers=0", "file_column=source"]
        assert main(["properties", *words]) == 3, capsys.readouterr().err
        assert pd.read_csv(output, keep_default_na=False)["id"].tolist() == ORDER
