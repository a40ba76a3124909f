"""Each format of an input gives the same answers plain and compressed, from a job and in Python."""

from __future__ import annotations

import bz2
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import mammal
from mammal.cli import main
from mammal.jobs import run_job
from mammal.jobs.inputs import open_input

SMILES = ["CCO", "c1ccccc1", "C1CC", "CC(=O)O", "CCN"]
PEPTIDES = ["GLFDIVKKVVGALGSL", "KWKLFKKIEKVGQNIRDGIIKAGPAVAVVGQATQIAK", "AAAA", "GIGKFLHSAKKFGKAFVGEIMNS", "RR"]
PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}


def content_of(form: str, folder: Path) -> bytes:
    from rdkit import Chem

    frame = pd.DataFrame({"smiles": SMILES, "id": range(5)})
    if form == "sdf":
        molecules = [Chem.MolFromSmiles(smiles) for smiles in SMILES if smiles != "C1CC"]
        return "".join(f"{Chem.MolToMolBlock(one)}>  <id>\n1\n\n$$$$\n" for one in molecules).encode()
    if form == "fasta":
        return "".join(f">p{number}\n{text}\n" for number, text in enumerate(PEPTIDES)).encode()
    if form == "vcf":
        rows = "".join(f"1\t{place}\t.\tA\tG\t.\t.\tDP={place}\n" for place in range(1, 6))
        return f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{rows}".encode()
    if form == "parquet":
        frame.to_parquet(folder / "table", index=False)
        return (folder / "table").read_bytes()
    if form == "jsonl":
        return frame.to_json(orient="records", lines=True).encode()
    separator, header = {"csv": (",", True), "tsv": ("\t", True), "smi": (" ", False)}[form]
    return frame.to_csv(index=False, sep=separator, header=header).encode()


@pytest.fixture(scope="module")
def bundle(small_bundle: Callable[..., Path]) -> Path:
    return small_bundle("bbbp", "amp")


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "smi", "sdf", "fasta", "parquet"])
def test_answers_do_not_depend_on_the_compression(bundle: Path, tmp_path: Path, form: str) -> None:
    content = content_of(form, tmp_path)
    plain = tmp_path / f"in.{form}"
    plain.write_bytes(content)
    task = "amp" if form == "fasta" else "bbbp"
    how: dict[str, object] = {"task": task, "shard_rows": 2}
    expected = run_job("predict", bundle, plain, tmp_path / "plain.csv", **how).output.read_bytes()
    assert len(expected.splitlines()) == (5 if form == "sdf" else 6)
    for suffix, pack in PACK.items():
        packed = tmp_path / f"in.{form}{suffix}"
        packed.write_bytes(pack(content))
        assert run_job("predict", bundle, packed, tmp_path / f"out{suffix}.csv", **how).output.read_bytes() == expected
    model = mammal.load(bundle)
    pd.testing.assert_frame_equal(model.predict(packed, task), model.predict(plain, task))


def test_variants_do_not_depend_on_the_compression(tmp_path: Path) -> None:
    content = content_of("vcf", tmp_path)
    (tmp_path / "in.vcf").write_bytes(content)
    expected = [shard.table for shard in open_input(tmp_path / "in.vcf").shards(2)]
    assert sum(len(table) for table in expected) == 5
    for suffix, pack in PACK.items():
        (tmp_path / f"in.vcf{suffix}").write_bytes(pack(content))
        assert [shard.table for shard in open_input(tmp_path / f"in.vcf{suffix}").shards(2)] == expected


def test_a_row_beyond_a_limit_is_in_the_errors_file(bundle: Path, tmp_path: Path) -> None:
    chain = "C" * 10_001
    (tmp_path / "in.csv").write_text(f"smiles,id\nCCO,1\n{chain},2\nCC,{'x' * 1_100_000}\nCCN,4\n")
    report = run_job("predict", bundle, tmp_path / "in.csv", tmp_path / "out.csv", task="bbbp")
    errors = pd.read_csv(report.errors)
    assert (report.rows, report.ok) == (4, 2) and errors["row"].tolist() == [2, 3]
    assert "10,001 characters, and the limit is 10,000" in errors["error"][0]
    assert errors["error"][1] == "line 4: column 'id' has 1,100,000 characters, and the limit is 1,000,000"


def test_several_files_are_answered_on_the_terminal(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("smiles\nCCO\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"smiles\nCC\nCCN,x\n"))
    given = f"[{tmp_path}/a.csv,{tmp_path}/b.csv.gz]"
    assert main(["predict", f"bundle={bundle}", "task=bbbp", f"input={given}", "file_column=source"]) == 3
    shown = pd.read_csv(io.StringIO(capsys.readouterr().out), keep_default_na=False)
    assert (
        shown["smiles"].tolist() == ["CCO", "CC", ""] and [Path(one).name for one in shown["source"]][1] == "b.csv.gz"
    )
    assert "line 3: 2 fields where the header has 1" in shown["error"][2]
