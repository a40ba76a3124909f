"""`mammal windows`: every record is in the output or in the error file, also after interruptions."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pytest

from mammal.cli import main
from mammal.jobs.engine import JobProgress
from mammal.jobs.windows_job import windows_job

pysam = pytest.importorskip("pysam")

RECORDS = 60


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A VCF file of 60 records of which every tenth is symbolic, and its genome."""
    draw = random.Random(0)
    bases = "".join(draw.choices("ACGT", k=2_000))
    (tmp_path / "g.fa").write_text(f">chr1\n{bases}\n")
    lines = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNA1"]
    for number in range(RECORDS):
        ref = bases[20 * number + 99]
        alt = "<DEL>" if number % 10 == 0 else "ACGT"["ACGT".index(ref) - 1]
        lines.append(f"chr1\t{20 * number + 100}\tv{number}\t{ref}\t{alt}\t.\tPASS\t.\tGT\t{number % 2}|0")
    (tmp_path / "calls.vcf").write_text("\n".join(lines) + "\n")
    return tmp_path / "calls.vcf", tmp_path / "g.fa"


def test_every_record_is_in_the_output_or_among_the_errors(files: tuple[Path, Path], tmp_path: Path) -> None:
    calls, genome = files
    output = tmp_path / "windows.parquet"
    assert main(["windows", f"input={calls}", f"reference={genome}", f"output={output}", "window=64"]) == 3
    rows, errors = pd.read_parquet(output), pd.read_parquet(tmp_path / "windows.errors.parquet")
    assert len(rows) == 54
    assert errors["row"].tolist() == list(range(1, 61, 10))
    assert errors["error"].str.contains(r"chr1:\d+ [ACGT]><DEL>: the symbolic allele").all()
    assert rows["sequence"].str.count("/").eq(1).all()
    assert rows["id"].tolist() == [f"v{n}" for n in range(RECORDS) if n % 10]


@pytest.mark.parametrize("rendering", ["alternate", "haplotypes"])
def test_a_job_that_was_cut_off_ends_with_the_same_bytes(
    files: tuple[Path, Path], tmp_path: Path, rendering: str
) -> None:
    calls, genome = files
    how = {"reference": genome, "window": 64, "rendering": rendering, "sample": "NA1", "shard_rows": 7}
    straight = windows_job(calls, tmp_path / "straight.parquet", **how)

    def cut(now: JobProgress) -> None:
        if now.done > 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        windows_job(calls, tmp_path / "cut.parquet", progress=cut, **how)
    resumed = windows_job(calls, tmp_path / "cut.parquet", **how)
    assert resumed.resumed > 0
    assert resumed.output.read_bytes() == straight.output.read_bytes()
    assert (resumed.rows, resumed.ok) == (straight.rows, straight.ok)


def test_a_sorted_file_and_an_indexed_one_give_the_same_haplotypes(files: tuple[Path, Path], tmp_path: Path) -> None:
    calls, genome = files
    pysam.tabix_compress(str(calls), str(tmp_path / "calls.vcf.gz"))
    pysam.tabix_index(str(tmp_path / "calls.vcf.gz"), preset="vcf")
    how = {"reference": genome, "window": 64, "rendering": "haplotypes", "sample": "NA1"}
    plain = windows_job(calls, tmp_path / "plain.csv", **how)
    indexed = windows_job(tmp_path / "calls.vcf.gz", tmp_path / "indexed.csv", **how)
    assert plain.output.read_bytes() == indexed.output.read_bytes()
    part = windows_job(tmp_path / "calls.vcf.gz", tmp_path / "part.csv", region="chr1:120-180", **how)
    assert part.rows == 4


@pytest.mark.parametrize(
    ("table", "windows"),
    [
        ("chrom,pos,ref,alt\n1,3,G,T\nchr1,3,-,T\n", ["AC[G/T]T"]),
        ("hgvs\nchr1:g.3G>T\nchr1:g.3C>T\n", ["AC[G/T]T"]),
        ("left,alleles,right\nac,G/T,ta\nac,G,ta\n", ["AC[G/T]T"]),
    ],
)
def test_tables_of_sites_and_of_flanks(tmp_path: Path, table: str, windows: list[str]) -> None:
    (tmp_path / "table.csv").write_text(table)
    (tmp_path / "g.fa").write_text(">chr1\nACGTACGT\n")
    reference = None if "left" in table else tmp_path / "g.fa"
    report = windows_job(tmp_path / "table.csv", tmp_path / "out.csv", reference=reference, window=4)
    assert (report.rows, report.bad) == (2, 1)
    assert pd.read_csv(report.output)["sequence"].dropna().tolist() == windows


def test_sections_of_a_manifest_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "array.csv").write_text(
        "Illumina, Inc.\n[Heading]\nLoci Count,2\n[Assay]\nName,SNP,Chr,MapInfo,SourceSeq\n"
        "rs1,[A/G],1,5,acgt[A/G]TTC\nrs2,[A/G],1,9,acgt\n[Controls]\n1,2,3\n"
    )
    report = windows_job(tmp_path / "array.csv", tmp_path / "loci.csv", window=4)
    assert (report.rows, report.bad) == (2, 1)
    row = pd.read_csv(report.output).iloc[0]
    assert (row["sequence"], row["oriented"]) == ("GT[A/G]T", "no")
