"""Files that are easily misread: every record is answered as it is meant, or left out with its reason."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from mammal.jobs.inputs import open_input
from mammal.tasks.errors import DataError
from mammal.tasks.molecule_sets.files import molecules_of
from mammal.tasks.tables.lines import DAMAGED
from mammal.tasks.tables.readers import file_format, iter_tables, read_table


def written(file: Path, text: str | bytes) -> Path:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def reasons(file: Path, **how: str) -> list[str | None]:
    return read_table(file, keep_damaged=True, **how)[DAMAGED].tolist()  # type: ignore[arg-type]


# Delimited


@pytest.mark.parametrize("end", [".csv", ".tsv"])
@pytest.mark.parametrize(("wide", "reported"), [("CCO,1,2", "3 fields"), ("CCO,1,", "ends with a delimiter")])
def test_a_wide_first_record_is_set_aside_alone(tmp_path: Path, end: str, wide: str, reported: str) -> None:
    text = f"smiles,y\n{wide}\nCCN,2\nCCC,3\n"
    file = written(tmp_path / f"t{end}", text.replace(",", "\t") if end == ".tsv" else text)
    frame = read_table(file, keep_damaged=True)
    assert frame["smiles"].tolist() == ["", "CCN", "CCC"] and frame["y"].tolist() == ["", "2", "3"]
    assert frame[DAMAGED][1:].tolist() == [None, None]
    assert frame[DAMAGED][0].startswith("line 2: ") and reported in frame[DAMAGED][0]
    shard = next(open_input(file).shards(10))
    assert list(shard.damaged) == [0] and shard.records(["smiles", "y"])[1:] == [
        {"smiles": "CCN", "y": "2"},
        {"smiles": "CCC", "y": "3"},
    ]


def test_a_warning_names_the_row_and_the_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = written(tmp_path / "t.csv", "smiles,y\n\nCCN,2\n\nCCO,1,2\n")
    assert read_table(file)["smiles"].tolist() == ["CCN", ""]
    assert "1 of 2 rows can't be read" in caplog.text and "row 2, line 5: 3 fields" in caplog.text


@pytest.mark.parametrize("chunk", [1, 2, 10])
def test_names_of_rows_need_every_record(tmp_path: Path, chunk: int) -> None:
    def column(text: str) -> list[str]:
        return pd.concat(iter_tables(written(tmp_path / "r.csv", text), chunk, keep_damaged=True))["smiles"].tolist()

    assert column("smiles,y\nm1,CCO,1\nm2,CCN,2\n") == ["CCO", "CCN"]
    assert column("smiles,y\nm1,CCO,1\nm1,CCN,2\n") == ["", ""]  # R's names differ from row to row
    assert column("smiles,y\n,CCO,1\n,CCN,2\n") == ["", ""]
    assert column("smiles,y\nm1,CCO,1\nm2,CCN,2\nCCC,3\n") == ["", "", "CCC"]


def test_a_delimiter_at_the_end_of_every_record_is_no_cell(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = read_table(written(tmp_path / "t.csv", "smiles,y\nCCO,1,\nCCN,2,\n"))
    assert frame.to_dict("list") == {"smiles": ["CCO", "CCN"], "y": ["1", "2"]}
    assert "ends with a delimiter" in caplog.text


def test_semicolons_are_read_with_a_notice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = written(tmp_path / "t.csv", 'smiles;y\nCCO;1,5\n"C;C";2,5\nCCC;1;2\n')
    frame = read_table(file)
    assert frame["smiles"].tolist() == ["CCO", "C;C", ""] and frame["y"].tolist() == ["1,5", "2,5", ""]
    assert "';'" in caplog.text
    assert open_input(file).schema.names == ["smiles", "y"]
    with pytest.raises(DataError, match="can't tell the delimiter"):
        read_table(written(tmp_path / "u.csv", "smiles;y\nCCO\nC;1;2\nN\nO\n"))
    assert list(read_table(written(tmp_path / "v.csv", "notes; all\nplain\nother\n")).columns) == ["notes; all"]
    assert list(read_table(written(tmp_path / "w.csv", "a;b,c\n1,2\n")).columns) == ["a;b", "c"]


def test_blank_lines_move_no_row(tmp_path: Path) -> None:
    csv = written(tmp_path / "t.csv", "smiles,y\n\nCCO,1\n   \n\nCCN,2\n")
    smi = written(tmp_path / "t.smi", "\nCCO a\n\n \nCCN b\n")
    jsonl = written(tmp_path / "t.jsonl", '\n{"smiles": "CCO"}\n \n{"smiles": "CCN"}\n')
    for file in (csv, smi, jsonl):
        assert read_table(file)["smiles"].tolist() == ["CCO", "CCN"]
        assert next(open_input(file).shards(10)).rows == 2


# Names


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    for text in ("smiles,y,smiles\nC,1,N\n", "smiles;y;smiles\nC;1;N\n"):
        with pytest.raises(DataError, match="columns 1 and 3 are both called 'smiles'"):
            read_table(written(tmp_path / "t.csv", text))
        with pytest.raises(DataError, match="columns 1 and 3"):
            open_input(tmp_path / "t.csv")
    pa.parquet.write_table(pa.Table.from_arrays([pa.array(["C"])] * 2, names=["smiles"] * 2), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="columns 1 and 2"):
        read_table(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="columns 1 and 2"):
        open_input(tmp_path / "t.parquet")
    file = written(tmp_path / "t.jsonl", '{"smiles": "C"}\n{"smiles": "C", "smiles": "N"}\n')
    assert reasons(file) == [None, "line 2: the key 'smiles' occurs twice"]
    assert list(read_table(written(tmp_path / "n.csv", ",smiles,\n1,C,2\n"))["smiles"]) == ["C"]


@pytest.mark.parametrize("end", ["fna", "faa", "fas", "ffn", "fa", "fasta", "FNA"])
def test_endings_of_fasta(tmp_path: Path, end: str) -> None:
    assert read_table(written(tmp_path / f"t.{end}", ">a\nAC\nGT\n"))["sequence"].tolist() == ["ACGT"]
    assert read_table(written(tmp_path / f"t.{end}.gz", gzip.compress(b">a\nAC\n")))["sequence"].tolist() == ["AC"]


def test_an_unknown_ending_is_named_with_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"can't tell the format of 'x\.txt'.*csv.*fna"):
        file_format("x.txt")


# Encodings


def test_one_undecodable_byte_sets_aside_one_record(tmp_path: Path) -> None:
    text = "smiles,name\nCCO,a\nCCN,caf\xe9\nCCC,b\n".encode("latin-1")
    csv = written(tmp_path / "t.csv", text)
    assert reasons(csv) == [None, "line 3: not UTF-8 text: byte 0xe9", None]
    assert next(open_input(csv).shards(10)).damaged == {1: "line 3: not UTF-8 text: byte 0xe9"}
    assert read_table(csv, encoding="latin-1")["name"].tolist() == ["a", "café", "b"]
    smi = written(tmp_path / "t.smi", b"CCO a\nCCN \xe9\nCCC b\n")
    fasta = written(tmp_path / "t.fa", b">a\nMK\n>\xe9\nMK\n>b\nMK\n")
    jsonl = written(tmp_path / "t.jsonl", b'{"n": "a"}\n{"n": "\xe9"}\n{"n": "b"}\n')
    for file in (smi, fasta, jsonl):
        found = reasons(file)
        assert [reason is None for reason in found] == [True, False, True] and "0xe9" in str(found[1])
    assert molecules_of(smi) == ["CCO", "", "CCC"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, encoding: str) -> None:
    file = written(tmp_path / "t.csv", "smiles,name\nCCO,é\n".encode(encoding))
    assert read_table(file).to_dict("records") == [{"smiles": "CCO", "name": "é"}]
    zipped = written(tmp_path / "t.csv.gz", gzip.compress(file.read_bytes()))
    assert read_table(zipped)["name"].tolist() == ["é"]
    assert read_table(file, encoding=encoding)["name"].tolist() == ["é"]
    with pytest.raises(DataError, match="no encoding 'utf-9'"):
        read_table(file, encoding="utf-9")


# Molecules


def block(smiles: str, name: str) -> str:
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles)
    molecule.SetProp("_Name", name)
    return str(Chem.MolToMolBlock(molecule))


def test_no_record_of_an_sdf_vanishes(tmp_path: Path) -> None:
    cut = "".join(block("CCCC", "cut").splitlines(keepends=True)[:6])
    bad = block("CCCCC", "bad").replace(" C  ", " Qq ", 1)
    text = (
        block("CCO", "unnamed tag") + ">  <>\nx\n\n$$$$\n"
        + block("CCN", "no blank line") + ">  <y>\n1\n>  <z>\n2\n$$$$\n"
        + cut + ">  <y>\n3\n\n$$$$\n"
        + "$$$$\n"
        + bad + ">  <y>\n4\n\n$$$$\r\n"
        + block("CCC", "last, without an end") + ">  <y>\ntwo\nlines\n"
    )  # fmt: skip
    file = written(tmp_path / "t.sdf", text)
    frame = read_table(file, keep_damaged=True)
    assert frame["smiles"].tolist() == ["CCO", "CCN", "", "", "", "CCC"]
    names = ["unnamed tag", "no blank line", "cut", "", "bad", "last, without an end"]
    assert frame["name"].tolist() == names
    assert frame["y"].fillna("").tolist() == ["", "1", "3", "", "4", "two\nlines"]
    assert frame["z"].tolist()[1] == "2" and frame["tag_1"].tolist()[0] == "x"
    assert [reason is None for reason in frame[DAMAGED]] == [True, True, False, False, False, True]
    assert "EOF hit while reading atoms" in frame[DAMAGED][2]
    assert "empty" in frame[DAMAGED][3] and "Element 'Qq' not found" in frame[DAMAGED][4]
    shard = next(open_input(file).shards(10))
    assert shard.rows == 6 and list(shard.damaged) == [2, 3, 4]
    assert shard.records(["name", "y"])[2] == {"name": "cut", "y": "3"}


def test_a_tag_never_replaces_the_structure(tmp_path: Path) -> None:
    tags = ">  <smiles>\nN\n\n>  <name>\nother\n\n>  <SMILES>\nO\n\n$$$$\n"
    row = read_table(written(tmp_path / "t.sdf", block("CCO", "ethanol") + tags)).to_dict("records")[0]
    assert row == {"smiles": "CCO", "name": "ethanol", "smiles_tag": "N", "name_tag": "other", "SMILES": "O"}
    both = ">  <smiles>\nN\n\n>  <smiles_tag>\nP\n\n$$$$\n"
    row = read_table(written(tmp_path / "u.sdf", block("CCO", "ethanol") + both)).to_dict("records")[0]
    assert row["smiles"] == "CCO" and row["smiles_tag"] == "P" and row["smiles_tag_tag"] == "N"


def test_a_tag_that_occurs_twice_is_not_chosen_from(tmp_path: Path) -> None:
    twice = block("CCO", "a") + ">  <y>\n1\n\n>  <y>\n2\n\n$$$$\n"
    found = reasons(written(tmp_path / "t.sdf", twice + block("CCN", "b") + "$$$$\n"))
    assert found == ["line 1: the tag 'y' occurs twice", None]


def test_stereo_that_a_smiles_cant_say_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from rdkit import Chem

    written_as = ["C[C@H](O)CC |a:1|", "C[C@H](O)CC |&1:1|", "CCO", "C[C@H](O)CC |o1:1|"]
    blocks = [Chem.MolToV3KMolBlock(Chem.MolFromSmiles(smiles)) for smiles in written_as]
    sdf = written(tmp_path / "t.sdf", "".join(f"{text}$$$$\n" for text in blocks))
    smi = written(tmp_path / "t.smi", "".join(f"{smiles} x\n" for smiles in written_as) + "CC(O)C |r| z\nCC race&1:\n")
    assert len(read_table(sdf)) == 4
    assert "2 rows with several stereoisomers" in caplog.text and "rows 2, 4" in caplog.text
    caplog.clear()
    assert len(read_table(smi)) == 6
    assert "3 rows with several stereoisomers" in caplog.text and "rows 2, 4, 5" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        list(open_input(sdf).shards(2))
    assert caplog.text.count("stereoisomers") == 1


def test_undecodable_names_of_columns_of_a_vcf_are_an_error(tmp_path: Path) -> None:
    heading = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    body = b"1\t5\ta\tA\tG\t.\t.\t.\n1\t6\t\xe9\tA\tG\t.\t.\t.\n"
    file = written(tmp_path / "t.vcf", b"##fileformat=VCFv4.2\n" + heading.encode() + body)
    assert [reason is None for reason in reasons(file)] == [True, False]
    named = heading.encode().replace(b"\n", b"\tFORMAT\tJos\xe9\n")
    with pytest.raises(DataError, match=":2: not UTF-8"):
        read_table(written(tmp_path / "u.vcf", b"##fileformat=VCFv4.2\n" + named))


def test_json_values_stay_what_they_are(tmp_path: Path) -> None:
    file = written(tmp_path / "t.jsonl", json.dumps({"a": {"b": [1, 2]}, "c": "\ud83d\ude00"}) + "\n")
    assert read_table(file).to_dict("records") == [{"a": {"b": [1, 2]}, "c": "\U0001f600"}]


# A byte that is not text


def test_one_odd_byte_in_a_tag_sets_its_molecule_aside_alone(tmp_path: Path) -> None:
    atoms = "\n  RDKit          2D\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n"
    atoms += "    0.0000    0.0000    0.0000 {}   0  0  0  0  0  0  0  0  0  0  0  0\nM  END\n"
    parts = [f"{name}{atoms.format(atom)}>  <id>\n{name}\n\n" for name, atom in (("a", "C"), ("b", "N"), ("c", "O"))]
    parts[1] += ">  <t \xb0C>\n5\n\n>  <note>\n25 \xb0C\n\n"
    file = written(tmp_path / "m.sdf", "".join(f"{part}$$$$\n" for part in parts).encode("latin-1"))
    frame = read_table(file, keep_damaged=True)
    assert frame["smiles"].tolist() == ["C", "", "O"] and frame["id"].tolist() == ["a", "b", "c"]
    assert frame["name"][1] == "b" and frame["note"][1] == "" and not any("t " in name for name in frame.columns)
    assert [bool(reason) for reason in frame[DAMAGED]] == [False, True, False] and "0xb0" in frame[DAMAGED][1]
    shard = next(open_input(file).shards(10))
    assert list(shard.damaged) == [1]
    latin = read_table(file, encoding="latin-1")
    assert latin["smiles"].tolist() == ["C", "N", "O"] and latin["note"][1] == "25 \xb0C"


def test_one_odd_byte_in_a_description_of_a_variant_file_refuses_nothing(tmp_path: Path) -> None:
    head = "##fileformat=VCFv4.2\n##source=25 \xb0C\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    text = f"{head}chr1\t10\t.\tA\tC\t.\t.\t.\nchr1\t11\t\xb0\tA\tC\t.\t.\t.\n"
    file = written(tmp_path / "v.vcf", text.encode("latin-1"))
    found = read_table(file, keep_damaged=True)
    assert found["pos"].tolist() == ["10", ""] and [bool(reason) for reason in found[DAMAGED]] == [False, True]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.csv", "\nsmiles,y\nCCO,1\n\n\nCCN,2\n\n", 4),
        ("b.csv", "smiles\nCCO\n \nCCN\n", 3),
        ("c.smi", "\nCCO a\n\nCCN b\n\n", 3),
        ("d.csv", "smiles\nCCO\nCCN\n\n\n", None),
        ("e.csv", "\n\nsmiles\nCCO\nCCN\n", None),
    ],
)
def test_blank_lines_between_records_are_reported(
    name: str, text: str, line: int | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path / name, text)
    assert read_table(file)["smiles"].tolist() == ["CCO", "CCN"]
    assert caplog.text.count("blank lines are not rows") == (line is not None)
    assert line is None or f"the first is line {line}" in caplog.text
    caplog.clear()
    assert sum(shard.rows for shard in open_input(file).shards(1)) == 2
    assert caplog.text.count("blank lines are not rows") == (line is not None)
