from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from mammal.tasks.errors import DataError
from mammal.tasks.tables.readers import iter_rows, iter_tables, read_table

ROWS = [
    {"smiles": "CCO", "id": "007", "y": "1.50"},
    {"smiles": "NA", "id": "x,y", "y": ""},
    {"smiles": "C", "id": "é", "y": "0"},
]


def write(file: Path, text: str) -> Path:
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "wt", encoding="utf-8") as stream:
        stream.write(text)
    return file


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "T.TAB"])
def test_delimited_cells_stay_as_written(tmp_path: Path, name: str):
    separator = "," if ".csv" in name else "\t"
    text = pd.DataFrame(ROWS).to_csv(index=False, sep=separator)
    assert read_table(write(tmp_path / name, text)).to_dict("records") == ROWS


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path):
    file = tmp_path / "excel.csv"
    file.write_bytes(b"\xef\xbb\xbfsmiles,y\nCCO,1\n")
    assert list(read_table(file).columns) == ["smiles", "y"]


def test_jsonl_and_parquet_keep_types(tmp_path: Path):
    rows = [{"smiles": "CCO", "y": 1.5}, {"smiles": "C", "y": None}]
    write(tmp_path / "t.jsonl", "".join(json.dumps(row) + "\n\n" for row in rows))
    assert read_table(tmp_path / "t.jsonl")["y"].iloc[0] == 1.5
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")["smiles"].tolist() == ["CCO", "C"]


def test_smi_and_fasta(tmp_path: Path):
    smi = write(tmp_path / "t.smi", "CCO ethyl alcohol\nC\tmethane\nN\n\n")
    assert list(iter_rows(smi)) == [
        {"smiles": "CCO", "name": "ethyl alcohol"},
        {"smiles": "C", "name": "methane"},
        {"smiles": "N", "name": ""},
    ]
    fasta = write(tmp_path / "t.fa.gz", ">a first one\nMKT\nAYI\n>b\nGG\n")
    assert list(iter_rows(fasta)) == [
        {"id": "a", "description": "first one", "sequence": "MKTAYI"},
        {"id": "b", "description": "", "sequence": "GG"},
    ]


def test_sdf_gives_every_record_a_row(tmp_path: Path):
    from rdkit import Chem

    good = Chem.MolFromSmiles("OCC")
    good.SetProp("_Name", "ethanol")
    good.SetProp("melting", "159")
    block = Chem.MolToMolBlock(good) + ">  <melting>\n159\n\n$$$$\n"
    broken = "bad\n  x\n\n  1  0  0  0  0  0            999 V2000\n    0.0    0.0    0.0 Qq  0  0\nM  END\n$$$$\n"
    file = write(tmp_path / "t.sdf", block + broken + block)
    rows = list(iter_rows(file))
    assert [row["smiles"] for row in rows] == ["CCO", "", "CCO"]
    assert rows[0]["name"] == "ethanol" and rows[2]["melting"] == "159"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "smi"])
def test_chunks_keep_the_order_of_the_file(tmp_path: Path, suffix: str):
    frame = pd.DataFrame({"smiles": ["C" * (i + 1) for i in range(25)], "name": [str(i) for i in range(25)]})
    file = tmp_path / f"t.{suffix}"
    if suffix == "csv":
        frame.to_csv(file, index=False)
    elif suffix == "jsonl":
        frame.to_json(file, orient="records", lines=True)
    elif suffix == "smi":
        frame.to_csv(file, index=False, header=False, sep=" ")
    else:
        frame.to_parquet(file)
    chunks = list(iter_tables(file, 10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert pd.concat(chunks)["smiles"].tolist() == frame["smiles"].tolist()
    assert len(read_table(file, limit=12)) == 12


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_header_without_rows_still_has_its_columns(tmp_path: Path, name: str):
    frame = pd.DataFrame({"smiles": pd.Series(dtype=str)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    assert list(read_table(tmp_path / name).columns) == ["smiles"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "empty"),
        ("t.csv", b"a,b\n1,2,3\n1,2,3,4\n", "no row can be read; row 1, line 2: 3 fields where the header has 2"),
        ("t.csv", b"a\n\xff\xfe\n", "UTF-8"),
        ("t.csv", b"\xe9,b\n1,2\n", ":1: not UTF-8 text: byte 0xe9"),
        ("t.csv.gz", b"not gzip", "gzip"),
        ("t.csv.gz", gzip.compress(b"a,b", mtime=0)[:10] + b"\xff" * 20, "damaged gzip file"),
        ("t.parquet", b"PAR?", "Parquet"),
        ("t.jsonl", b'{"a": \n', "line 1: not JSON"),
        ("t.jsonl", b"[1]\n", "one JSON object"),
        ("t.fasta", b"MKT\n", "begins with"),
        ("t.docx", b"", "format"),
        ("t", b"", "format"),
    ],
)
def test_unreadable_files_say_why(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / name)


def test_a_missing_file_names_those_spelt_like_it(tmp_path: Path):
    (tmp_path / "molecules.csv").write_text("a\n")
    with pytest.raises(DataError, match=r"did you mean molecules\.csv"):
        read_table(tmp_path / "molecule.csv")
    with pytest.raises(DataError, match="no such folder"):
        read_table(tmp_path / "none" / "molecule.csv")
    with pytest.raises(DataError, match="folder"):
        read_table(tmp_path)
