"""Scoring the variants of a file: VCF lines are kept, every allele is reported, resuming gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.errors import ConfigError, DataError, JobError, TaskError
from mammal.jobs.engine import JobReport
from mammal.jobs.variants_job import score_variants_job
from mammal.variants.scores import SCORES, ScoreColumn, VariantScore, VariantScoreOptions, embedding_task

pysam = pytest.importorskip("pysam")

CONTIG = "".join(np.random.default_rng(0).choice(list("ACGT"), 400))
GENOME = {"chr1": CONTIG, "chr2": CONTIG[::-1][:120].lower()}
ASKED = VariantScoreOptions(window=32)
Job = Callable[..., JobReport]


def other(base: str) -> str:
    return {"A": "C", "C": "G", "G": "T", "T": "A"}[base]


def record(pos: int, ref: str, alt: str, info: str = ".", chrom: str = "chr1") -> str:
    return f"{chrom}\t{pos}\trs{pos}\t{ref}\t{alt}\t.\tPASS\t{info}\tGT:DP\t0|1:7\t./.:."


def snv(pos: int, **more: str) -> str:
    return record(pos, CONTIG[pos - 1], other(CONTIG[pos - 1]), **more)


LINES = [
    snv(60, info="DP=31;DB"),
    record(80, CONTIG[79], f"{CONTIG[79]}TT,<DEL>,{other(CONTIG[79])}", "AC=1,2,3"),
    record(99, CONTIG[98:102], CONTIG[98]),
    record(120, CONTIG[119], "<DUP>"),
    record(130, other(CONTIG[129]), CONTIG[129]),
    snv(1),
    snv(60),
]
BAD = [3, 4]
HEADER = [
    "##fileformat=VCFv4.3",
    '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">',
    '##INFO=<ID=DB,Number=0,Type=Flag,Description="Known">',
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="Count">',
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">',
    "##contig=<ID=chr1,length=400>",
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2",
]


def write_vcf(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join([*HEADER, *lines]) + "\n")
    return path


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in GENOME.items()))
    return path


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return write_vcf(tmp_path / "calls.vcf", LINES)


@pytest.fixture
def score(dna_bundle: Path, calls: Path, genome: Path) -> Job:
    def job(output: Path, **changes: Any) -> JobReport:
        settings: dict[str, Any] = {"reference": genome, "asked": ASKED, "shard_rows": 3, **changes}
        return score_variants_job(settings.pop("bundle", dna_bundle), settings.pop("input", calls), output, **settings)

    return job


def added(info: str) -> dict[str, list[str]]:
    pairs = (field.split("=") for field in info.split(";") if field.startswith("MAMMAL_"))
    return {key.removeprefix("MAMMAL_"): value.split(",") for key, value in pairs}


def test_lines_of_a_vcf_are_kept_and_info_gains_fields(score: Job, tmp_path: Path) -> None:
    report = score(tmp_path / "out.vcf")
    lines = report.output.read_text().splitlines()
    head = [line for line in lines if line.startswith("#")]
    assert [line for line in head if "MAMMAL_" not in line] == HEADER and head[-1] == HEADER[-1]
    assert (report.rows, report.ok, report.bad) == (7, 5, 2)
    for line, before in zip(lines[len(head) :], [line for i, line in enumerate(LINES) if i not in BAD], strict=True):
        now, then = line.split("\t"), before.split("\t")
        assert now[:7] + now[8:] == then[:7] + then[8:]
        assert now[7].startswith("MAMMAL_" if then[7] == "." else f"{then[7]};MAMMAL_")
    described = [line for line in head if "MAMMAL_" in line]
    assert len(described) == 8 and all(",Number=A," in line and 'Version="' in line for line in described)


def test_one_more_score_needs_its_entry_alone(score: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gained = VariantScore(
        (ScoreColumn("gained", "GAIN", "Bases that the alternate allele has more", "integer"),),
        lambda tasks, chosen, tokenizer: embedding_task(tasks, chosen, tokenizer),
        lambda model, task, pairs, asked, pace: [len(pair.alt) - len(pair.ref) for pair in pairs],
        lambda strands: (strands[0],),
    )
    monkeypatch.setitem(SCORES, "gain", gained)
    report = score(tmp_path / "out.vcf", asked=VariantScoreOptions("gain", window=64))
    text = report.output.read_text()
    assert '##INFO=<ID=MAMMAL_GAIN,Number=A,Type=Integer,Description="Bases that' in text
    assert "MAMMAL_GAIN=2,.,0" in text and "MAMMAL_DIST" not in text


def test_the_page_describes_every_score() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/dna.md").read_text(encoding="utf-8")
    columns = [column for score in SCORES.values() for column in score.columns]
    missing = [c.name for c in columns if f"`{c.name}`" not in page or f"`MAMMAL_{c.field}`" not in page]
    assert not missing, "docs/dna.md needs a row for these scores"


def test_values_stand_in_the_order_of_the_alleles(score: Job, tmp_path: Path) -> None:
    with pysam.VariantFile(str(score(tmp_path / "out.vcf").output)) as scored:
        records = list(scored)
    several = records[1]
    assert [value is None for value in several.info["MAMMAL_LLR"]] == [False, True, False]
    assert "symbolic_allele_<DEL>" in several.info["MAMMAL_UNSCORED"][1]
    assert several.info["MAMMAL_UNSCORED"][::2] == (".", ".")
    only = score(
        tmp_path / "only.vcf", input=write_vcf(tmp_path / "one.vcf", [record(80, CONTIG[79], other(CONTIG[79]))])
    )
    with pysam.VariantFile(str(only.output)) as scored:
        assert next(scored).info["MAMMAL_LLR"][0] == pytest.approx(several.info["MAMMAL_LLR"][2], rel=1e-4)
    assert "MAMMAL_UNSCORED" not in records[0].info


def test_records_without_a_score_are_set_aside_with_their_reasons(score: Job, tmp_path: Path) -> None:
    errors = score(tmp_path / "out.vcf").errors
    assert errors == tmp_path / "out.errors.tsv"
    refused = pd.read_csv(errors, sep="\t", dtype={"pos": str})
    assert refused.row.tolist() == [i + 1 for i in BAD] and refused.pos.tolist() == ["120", "130"]
    assert "<DUP> has no sequence" in refused.error[0] and "the genome reads" in refused.error[1]


@pytest.mark.parametrize(("name", "place"), [("out.vcf", "MAMMAL_UNSCORED"), ("out.parquet", "unscored")])
def test_alleles_without_scores_beside_others_are_counted(
    score: Job, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, place: str
) -> None:
    score(tmp_path / name)
    assert f"1 allele has no scores, in rows with other alleles that have scores; see {place}" in caplog.text


def test_a_table_has_a_row_for_each_allele(score: Job, tmp_path: Path) -> None:
    frame = pd.read_parquet(score(tmp_path / "out.parquet").output)
    assert frame.pos.tolist() == ["60", "80", "80", "80", "99", "1", "60"]
    assert (
        frame.allele[2] == "<DEL>" and frame.log_likelihood_ratio.isna().tolist() == [False, False, True] + [False] * 4
    )
    assert frame.unscored.notna().tolist() == [False, False, True] + [False] * 4
    ratio = frame.log_likelihood_alt - frame.log_likelihood_ref
    assert np.allclose(ratio.dropna(), frame.log_likelihood_ratio.dropna())
    assert frame.log_likelihood_ratio[0] == pytest.approx(frame.log_likelihood_ratio[6], rel=1e-4)


def test_vcf_and_table_say_the_same(score: Job, tmp_path: Path) -> None:
    table = pd.read_parquet(score(tmp_path / "out.parquet").output).groupby("pos", sort=False)
    lines = [line.split("\t") for line in score(tmp_path / "out.vcf").output.read_text().splitlines() if line[0] != "#"]
    by_pos = {cells[1]: added(cells[7]) for cells in lines}
    for pos, rows in table:
        reported = [None if value == "." else float(value) for value in by_pos[pos]["DIST_SITE"]]
        assert [v for v in reported if v is not None] == pytest.approx(
            rows.distance_site.dropna().tolist()[: len(reported)], rel=1e-4
        )


def test_zipped_files_are_bgzipped_and_indexed(score: Job, tmp_path: Path) -> None:
    lines = [snv(60), snv(61), snv(90), record(5, GENOME["chr2"][4].upper(), "N", chrom="chr2")]
    zipped = tmp_path / "calls.vcf.gz"
    pysam.tabix_compress(str(write_vcf(tmp_path / "sorted.vcf", lines)), str(zipped))
    report = score(tmp_path / "out.vcf.gz", input=zipped)
    with pysam.TabixFile(str(report.output)) as opened:
        assert [line.split("\t")[1] for line in opened.fetch("chr1", 59, 61)] == ["60", "61"]
    plain = score(tmp_path / "out.vcf", input=zipped)
    assert pysam.BGZFile(str(report.output)).read() == plain.output.read_bytes()


def test_unsorted_files_are_not_indexed(score: Job, tmp_path: Path) -> None:
    (tmp_path / "out.vcf.gz.tbi").write_text("of another file")
    score(tmp_path / "out.vcf.gz")
    assert not (tmp_path / "out.vcf.gz.tbi").exists() and (tmp_path / "out.errors.tsv").exists()


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz", "out.parquet"])
def test_a_job_that_goes_on_ends_with_the_same_bytes(
    score: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, interrupted: Callable[..., None]
) -> None:
    straight = score(tmp_path / "straight" / name).output
    interrupted(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        score(tmp_path / name)
    monkeypatch.undo()
    report = score(tmp_path / name)
    assert report.resumed == 6 and report.output.read_bytes() == straight.read_bytes()
    with pytest.raises(JobError, match="window was 32, is 30"):
        score(tmp_path / name, asked=VariantScoreOptions(window=30))


def test_an_empty_file_gives_an_empty_file(score: Job, tmp_path: Path) -> None:
    report = score(tmp_path / "out.vcf", input=write_vcf(tmp_path / "empty.vcf", []))
    assert report.rows == 0 and report.output.read_text().splitlines()[-1] == HEADER[-1]


def test_what_cannot_be_is_reported(score: Job, tmp_path: Path, genome: Path, tiny_bundle: Path) -> None:
    scored = score(tmp_path / "out.vcf").output
    with pytest.raises(JobError, match=r"already has a field MAMMAL_DIST.*prefix="):
        score(tmp_path / "twice.vcf", input=scored)
    assert "OTHER_LLR=" in score(tmp_path / "twice.vcf", input=scored, prefix="OTHER_").output.read_text()
    with pytest.raises(ConfigError, match=r"reference=genome\.fa"):
        score(tmp_path / "none.vcf", reference=None)
    with pytest.raises(TaskError, match=r"bbbp, melting_point, molecules.*what=embedding works"):
        score(tmp_path / "none.vcf", bundle=tiny_bundle)
    table = tmp_path / "places.csv"
    table.write_text("chromosome,position\nchr1,7\n")
    with pytest.raises(DataError, match="the table has chromosome, position"):
        score(tmp_path / "none.csv", input=table)
    with pytest.raises(ConfigError, match="input is a variant file"):
        table.write_text(f"chrom,pos,ref,alt\nchr1,60,{CONTIG[59]},{other(CONTIG[59])}\n")
        score(tmp_path / "none.vcf", input=table)
    assert score(tmp_path / "some.csv", input=table).ok == 1
    assert (
        score(tmp_path / "embedded.vcf", bundle=tiny_bundle, asked=VariantScoreOptions("embedding", window=32)).ok == 5
    )


def test_the_command_line(dna_bundle: Path, calls: Path, genome: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["score", f"bundle={dna_bundle}", "window=32", "what=[likelihood]", "device=cpu"]
    output = tmp_path / "out.vcf"
    assert main([*words, f"input={calls}", f"reference={genome}", f"output={output}", "strands=both"]) == 3
    assert "MAMMAL_LLR=" in output.read_text() and "MAMMAL_DIST=" not in output.read_text()
    table = tmp_path / "in_place.csv"
    table.write_text("name,sequence\nfirst,ACGTTGCA[A/G]TTGACCAA\n")
    assert main([*words, f"input={table}", "variants=true"]) == 0
    assert capsys.readouterr().out.splitlines()[-2].startswith("name,sequence,allele,log_likelihood_ref")
    assert main([*words, f"input={calls}"]) == 2
    assert "reference=genome.fa" in capsys.readouterr().err
    assert main([*words, f"input={table}"]) == 2
    assert "variants=true" in capsys.readouterr().err
    assert main([*words, "variants=true", "prompt=x", f"input={table}"]) == 2


def test_python_reads_what_is_at_hand(dna_bundle: Path, genome: Path, calls: Path) -> None:
    model = mammal.load(dna_bundle, device="cpu")
    from_file = model.score_variants(calls, reference=genome, window=32)
    assert from_file.error.notna().sum() == 2 and len(from_file) == 9
    hgvs = model.score_variants([f"chr1:g.60{CONTIG[59]}>{other(CONTIG[59])}"], reference=genome, window=32)
    tuples = model.score_variants([("chr1", 60, CONTIG[59], other(CONTIG[59]))], reference=genome, window=32)
    text = f"{CONTIG[43:59]}[{CONTIG[59]}/{other(CONTIG[59])}]{CONTIG[60:75]}"
    in_place = model.score_variants(text)
    scores = ["log_likelihood_ratio", "distance", "distance_site"]
    for frame in (hgvs, tuples, in_place):
        assert frame[scores].iloc[0].tolist() == pytest.approx(from_file[scores].iloc[0].tolist(), rel=1e-4)
    with pytest.raises(ConfigError, match="did you mean both"):
        model.score_variants(text, strands="bth")


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ({"chrm": "chrom"}, ConfigError, r"no column 'chrm' is read .did you mean chrom"),
        ({"pos": "postion"}, DataError, r"pos is read from 'postion', which the table lacks \(did you mean position"),
        ({"id": "rs"}, DataError, r"id is read from 'rs', which the table lacks"),
        ({"position": "pos"}, ConfigError, r"\{pos: position\}"),
        ({"pos": 3}, ConfigError, r"pos is 3, not the name of a column"),
        ({"pos": "position", "hgvs": "name"}, ConfigError, r"columns names hgvs, and the variants are read from chrom"),
        ({"pos": "position", "sequence": "name"}, ConfigError, r"columns names sequence"),
        ("position", ConfigError, r"columns is 'position', not names with your columns"),
    ],
)
def test_slips_in_columns_are_refused(
    score: Job, dna_bundle: Path, genome: Path, tmp_path: Path, columns: Any, error: type[Exception], words: str
) -> None:
    base = GENOME["chr1"][9]
    row = {"chrom": "chr1", "position": 10, "ref": base, "alt": other(base), "name": f"chr1:g.10{base}>{other(base)}"}
    frame = pd.DataFrame([row])
    table = tmp_path / "table.csv"
    frame.to_csv(table, index=False)
    with pytest.raises(error, match=words):
        score(tmp_path / "out.csv", input=table, columns=columns)
    with pytest.raises(error, match=words):
        mammal.load(dna_bundle).score_variants(frame, reference=genome, columns=columns)


def test_the_columns_that_are_named_are_read(dna_bundle: Path, genome: Path) -> None:
    base = GENOME["chr1"][9]
    row = {"chrom": "chr1", "position": 10, "pos": 3, "ref": base, "alt": other(base)}
    frame = pd.DataFrame([{**row, "name": f"chr1:g.10{base}>{other(base)}"}])
    model = mammal.load(dna_bundle)
    by_place = model.score_variants(frame, reference=genome, columns={"pos": "position"})
    by_name = model.score_variants(frame, reference=genome, columns={"hgvs": "name"})
    assert by_place["error"].isna().all() and by_name["error"].isna().all()
    assert by_place["log_likelihood_ratio"].tolist() == by_name["log_likelihood_ratio"].tolist()
