"""Rows beyond a limit are set aside with a reason, and compressed files give the same rows as plain ones."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from mammal.tasks import limits
from mammal.tasks.errors import DataError
from mammal.tasks.molecules.chemistry import standardise
from mammal.tasks.tables import delimited, lines, molecule_files, parquet_files, readers
from mammal.tasks.tables.lines import DAMAGED
from mammal.tasks.tables.readers import read_table

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bgz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda text: pa.compress(text, "zstd", asbytes=True),
}
VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n1\t7\t.\tA\tG\t.\t.\tDP=1\n"


def sdf_of(*smiles: str) -> str:
    from rdkit import Chem

    return "".join(f"{Chem.MolToMolBlock(Chem.MolFromSmiles(one))}>  <y>\n1\n\n$$$$\n" for one in smiles)


def plain_files(folder: Path) -> dict[str, bytes]:
    frame = pd.DataFrame({"smiles": ["CCO", "c1ccccc1"], "id": ["007", "é"]})
    frame.to_parquet(folder / "plain.parquet", index=False)
    return {
        "csv": frame.to_csv(index=False).encode(),
        "tsv": frame.to_csv(index=False, sep="\t").encode(),
        "jsonl": frame.to_json(orient="records", lines=True).encode(),
        "smi": b"CCO ethanol\nC methane\n",
        "sdf": sdf_of("CCO", "CC").encode(),
        "fasta": b">a one\nMKT\n>b\nGG\n",
        "vcf": VCF.encode(),
        "parquet": (folder / "plain.parquet").read_bytes(),
    }


@pytest.mark.parametrize("suffix", [suffix for suffix in PACK if suffix])
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "smi", "sdf", "fasta", "vcf", "parquet"])
def test_a_compressed_file_has_the_rows_of_the_plain_one(tmp_path: Path, form: str, suffix: str) -> None:
    content = plain_files(tmp_path)[form]
    plain, packed = tmp_path / f"t.{form}", tmp_path / f"t.{form}{suffix}"
    plain.write_bytes(content)
    packed.write_bytes(PACK[suffix](content))
    assert len(read_table(plain)) > 0
    pd.testing.assert_frame_equal(read_table(packed), read_table(plain))


def test_several_compressed_members_are_one_file(tmp_path: Path) -> None:
    for suffix in (".gz", ".bz2", ".zst"):
        file = tmp_path / f"t.csv{suffix}"
        file.write_bytes(PACK[suffix](b"smiles\nCCO\n") + PACK[suffix](b"CC\n"))
        assert read_table(file)["smiles"].tolist() == ["CCO", "CC"]


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zst"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_damaged_compression_names_the_file_and_the_remedy(tmp_path: Path, form: str, suffix: str) -> None:
    whole = PACK[suffix](plain_files(tmp_path)[form] * 50)
    for content in (b"this is not compressed", whole[: len(whole) // 2]):
        file = tmp_path / f"t.{form}{suffix}"
        file.write_bytes(content)
        with pytest.raises(DataError, match=rf"t\.{form}\{suffix}.*damaged {suffix[1:].replace('gz', 'gzip')} file"):
            read_table(file)


def test_no_copy_of_a_compressed_parquet_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "t.parquet.zst"
    file.write_bytes(PACK[".zst"](plain_files(tmp_path)["parquet"]))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(tmp_path.iterdir())
    read_table(file)
    assert sorted(tmp_path.iterdir()) == before


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of 200 characters, a cell of 50."""
    for module in (limits, lines, delimited, molecule_files, readers, parquet_files):
        for name, value in (("LONGEST_LINE", 200), ("LONGEST_CELL", 50)):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)


def over(what: str, length: int, limit: int) -> str:
    return f"{what} has {length} characters, and the limit is {limit}"


LONG, VERY = "C" * 60, "C" * 900


@pytest.mark.parametrize(
    ("name", "text", "reasons"),
    [
        ("t.csv", f"s,y\nC,1\n{LONG},2\nC,3\n", [None, over("line 3: column 's'", 60, 50), None]),
        ("t.csv", f"s,y\nC,1\n{VERY},2\nC,3\n", [None, over("line 3: the line", 903, 200), None]),
        ("t.csv", f'y,s\n1,"C\n{VERY}"\n2,C\n', [over("line 2: the line", 902, 200), None]),
        ("t.csv", f'y,s\n1,"{VERY}\nC"\n2,C\n', [over("line 2: the line", 904, 200), None]),
        ("t.tsv", f"s\ty\nC\t{LONG}\nC\t3\n", [over("line 2: column 'y'", 60, 50), None]),
        ("t.smi", f"C a\n{LONG}\nCC b", [None, over("line 2: the line", 61, 50), None]),
        ("t.jsonl", f'{{"s": "{LONG}"}}\n{{"s": "C"}}\n', [over("line 1: column 's'", 60, 50), None]),
        ("t.jsonl", f'{{"s": "{VERY}"}}\n{{"s": "C"}}\n', [over("line 1: the line", 910, 200), None]),
        ("t.fasta", ">a\nMK\n>b\n" + "MK\n" * 40 + ">c\nG\n", [None, over("line 3: the sequence", 80, 50), None]),
        ("t.vcf", f"{VCF}1\t9\t{LONG}\tA\tG\t.\t.\t.\n", [None, over("line 4: column 'id'", 60, 50)]),
    ],
)
def test_a_row_beyond_a_limit_is_set_aside_alone(
    tmp_path: Path, small_limits: None, name: str, text: str, reasons: list[str | None]
) -> None:
    (tmp_path / name).write_text(text)
    assert read_table(tmp_path / name, keep_damaged=True)[DAMAGED].tolist() == reasons


def test_an_sdf_record_beyond_a_limit_is_set_aside_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(molecule_files, "LONGEST_LINE", 2000)
    monkeypatch.setattr(molecule_files, "LONGEST_CELL", 1000)
    monkeypatch.setattr(molecule_files, "MOST_ATOMS", 5)
    tag = ">  <note>\n" + "x" * 1500 + "\n\n$$$$\n"
    records = [sdf_of("C"), sdf_of("C" * 6), sdf_of("C" * 15), sdf_of("C").replace("$$$$\n", tag), sdf_of("C" * 90)]
    (tmp_path / "t.sdf").write_text("".join([*records, sdf_of("CC")]))
    frame = read_table(tmp_path / "t.sdf", keep_damaged=True)
    assert frame["smiles"].tolist() == ["C", "", "", "", "", "CC"]
    found = [None if reason is None else reason.partition(": ")[2] for reason in frame[DAMAGED]]
    assert found[0] is None and found[-1] is None
    assert found[1] == "the molecule has 6 atoms, and the limit is 5"
    assert found[2].startswith("the mol block has") and found[3].startswith("the tag 'note' has 1,500 characters")
    assert found[4].startswith("the record has") and found[4].endswith("the limit is 2,000")


def test_a_long_cell_of_a_parquet_file_is_set_aside(tmp_path: Path, small_limits: None) -> None:
    for kind in (pa.string(), pa.large_string(), pa.binary()):
        cells = pa.array([b"C", b"x" * 60, None, b"CC"], pa.binary()).cast(kind)
        pa.parquet.write_table(pa.table({"s": cells, "n": [1, 2, 3, 4]}), tmp_path / "t.parquet")
        for chunk in (2, 10):
            frame = pd.concat(readers.iter_tables(tmp_path / "t.parquet", chunk, keep_damaged=True))
            assert frame["n"].tolist() == [1, 2, 3, 4] and frame["s"].isna().tolist() == [False, True, True, False]
            reason = "row 2: column 's' has 60 bytes, and the limit is 50"
            assert frame[DAMAGED].tolist() == [None, reason, None, None]
        with pytest.raises(DataError, match=r"t\.parquet.*row 2"):
            next(readers.iter_tables(tmp_path / "t.parquet"))


def test_cells_of_a_parquet_file_that_can_not_be_read_are_set_aside(tmp_path: Path) -> None:
    texts = pa.array([b"C", b"C\xff", None, b"CC"], pa.binary())
    nested = pa.StructArray.from_arrays([_unchecked(texts)], ["inside"])
    times = pa.array([0, 1, 2**62, None], pa.int64()).cast(pa.timestamp("us"))
    for column, bad, reason in [
        (_unchecked(texts), 1, "row 2: column 's' is not UTF-8 text: byte 0xff"),
        (nested, 1, "row 2: column 's' is not UTF-8 text: byte 0xff"),
        (times, 2, "row 3: column 's' is a time outside the years 1 to 9999"),
    ]:
        pa.parquet.write_table(pa.table({"s": column, "n": [1, 2, 3, 4]}), tmp_path / "t.parquet")
        for chunk in (2, 10):
            frame = pd.concat(readers.iter_tables(tmp_path / "t.parquet", chunk, keep_damaged=True), ignore_index=True)
            assert frame["n"].tolist() == [1, 2, 3, 4]
            assert frame[DAMAGED].tolist() == [reason if row == bad else None for row in range(4)]


def _unchecked(values: pa.Array) -> pa.Array:
    """The bytes as texts, without a check that they are."""
    return pa.Array.from_buffers(pa.string(), len(values), values.buffers(), values.null_count)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-20], "not a Parquet file"),  # a copy that was cut
        (lambda content: content[:-40] + b"\xff" * 32 + content[-8:], "Parquet file"),  # metadata that are no metadata
        (lambda content: content.replace(b"smiles", b"smile\xff"), "not a Parquet file: 'utf-8' codec"),
        (lambda content: content.replace(b"\x16\x06\x19", b"\x16\x08\x19"), "it has 3 rows, and 4 by its footer"),
    ],
    ids=["cut", "metadata", "name", "rows"],
)
def test_a_damaged_parquet_file_is_refused_by_name(
    tmp_path: Path, damage: Callable[[bytes], bytes], reason: str
) -> None:
    file = tmp_path / "t.parquet"
    pa.parquet.write_table(pa.table({"smiles": ["C", "CC", "CO"]}), file, store_schema=False)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=rf"t\.parquet: .*{reason}.*\(copy or write the file again\)"):
        read_table(file)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            pa.ArrowNotImplementedError("half floats"),
            "damaged, or a kind of Parquet that pyarrow can't read: half floats",
        ),
        (pa.ArrowMemoryError("malloc failed"), "damaged Parquet file, or the memory is too small: malloc failed"),
        (OSError("Couldn't deserialize\n thrift"), "damaged Parquet file: Couldn't deserialize thrift"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_pyarrow_raises_in_the_middle_of_a_file_is_reported_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def failing(*_: object, **__: object) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"s": ["C"]})
        raise error

    pa.parquet.write_table(pa.table({"s": ["C", "CC"]}), tmp_path / "t.parquet")
    monkeypatch.setattr(pa.parquet.ParquetFile, "iter_batches", failing)
    with pytest.raises(DataError, match=rf"t\.parquet: {reason}"):
        read_table(tmp_path / "t.parquet")


def test_a_quote_that_never_closes_does_not_read_the_whole_file(tmp_path: Path, small_limits: None) -> None:
    (tmp_path / "t.csv").write_text('s,y\nC,"1\n' + "CC,2\n" * 1000)
    with pytest.raises(DataError, match=r"t\.csv:2.*not closed within 200 characters"):
        read_table(tmp_path / "t.csv")


def test_a_record_that_json_can_not_parse_is_set_aside(tmp_path: Path) -> None:
    rows = ['{"s": "C"}', '{"s": ' + "[" * 100_000 + "]" * 100_000 + "}", '{"s": ' + "1" * 5000 + "}", '{"s": "CC"}']
    (tmp_path / "t.jsonl").write_text("\n".join(rows))
    frame = read_table(tmp_path / "t.jsonl", keep_damaged=True)
    assert "nested too deeply" in frame[DAMAGED][1] and "line 3: not JSON" in frame[DAMAGED][2]
    assert frame["s"].tolist()[::3] == ["C", "CC"] and json.loads(rows[0]) == {"s": "C"}


def test_rdkit_never_reads_a_smiles_beyond_the_limit() -> None:
    chain = "C" * (limits.LONGEST_SMILES + 1)
    with pytest.raises(DataError, match=r"it has 10,001 characters, and the limit is 10,000"):
        standardise(chain, "canonical")


def test_a_required_column_and_an_unknown_time_zone(tmp_path: Path) -> None:
    text = pa.array([b"CCO", b"C\xffC", b"CN"], pa.binary())
    required = pa.schema([pa.field("s", pa.string(), nullable=False), pa.field("t", pa.timestamp("us", "No/Where"))])
    cells = [pa.Array.from_buffers(pa.string(), 3, text.buffers()), pa.array([None, None, 0], required.field("t").type)]
    pa.parquet.write_table(pa.Table.from_arrays(cells, schema=required), tmp_path / "t.parquet")
    tables = list(parquet_files.parquet_tables(tmp_path / "t.parquet", 2))
    assert [table.schema.field("s").nullable for table, _ in tables] == [True, True], "an empty cell can be written"
    first, second = (reasons for _, reasons in tables)
    assert first == [None, "row 2: column 's' is not UTF-8 text: byte 0xff"]
    assert second[0] is not None and "time zone is not known" in second[0]
