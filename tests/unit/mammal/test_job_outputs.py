"""What a job writes: nothing that is read or that stood is lost, rows keep their places, errors have its format."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mammal.cli import main
from mammal.errors import ConfigError, JobError
from mammal.evaluation.samples import read_samples
from mammal.jobs import JobPlan, JobProgress, run_job
from mammal.jobs.properties_job import properties_job
from mammal.jobs.store import earlier_errors_path, find_errors
from mammal.jobs.windows_job import windows_job
from mammal.report.gather import report as page_of
from mammal.tasks.tables.readers import read_table

SMILES = ["CCO", "C1CC", "c1ccccc1", "", "CC(=O)O", "CCN"]
BAD = [1, 3]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    file = tmp_path / "lib.csv"
    pd.DataFrame({"id": range(6), "smiles": SMILES}).to_csv(file, index=False)
    return file


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def linked(make: Callable[[Path, Path], None]) -> Callable[[Path], tuple[Path, Path]]:
    def places(library: Path) -> tuple[Path, Path]:
        other = library.with_name("other.csv")
        make(library, other)
        return library, other

    return places


def renamed(name: str, output: str) -> Callable[[Path], tuple[Path, Path]]:
    def places(library: Path) -> tuple[Path, Path]:
        file = library.parent / name
        file.parent.mkdir(exist_ok=True)
        return library.rename(file), library.with_name(output)

    return places


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize(
    "places",
    [
        lambda library: (library, library),
        lambda library: (library, Path(os.path.relpath(library))),
        lambda library: (library, library.parent / "." / ".." / library.parent.name / library.name),
        linked(lambda library, other: other.symlink_to(library)),
        linked(lambda library, other: other.hardlink_to(library)),
        renamed("out.errors.csv", "out.csv"),
        renamed("out.csv.parts/000000.csv", "out.csv"),
        renamed("out.csv.parts/mine.csv", "out.csv"),
    ],
    ids=["itself", "relative", "detour", "symlink", "hard link", "errors", "shard", "in the folder of shards"],
)
def test_an_output_that_would_replace_its_input_is_refused(
    library: Path, places: Callable[[Path], tuple[Path, Path]], resume: bool
) -> None:
    given, output = places(library)
    before = contents(library.parent)
    with pytest.raises(ConfigError, match=r"would replace the input.*choose another output"):
        properties_job(given, output, workers=0, resume=resume)
    assert contents(library.parent) == before


def test_a_manifest_that_would_replace_the_input_is_refused(tmp_path: Path) -> None:
    given = tmp_path / "out.csv.manifest.json"
    (tmp_path / "in.jsonl").write_text('{"smiles": "CCO"}\n')
    given.hardlink_to(tmp_path / "in.jsonl")
    with pytest.raises(ConfigError, match=r"the manifest .* would replace the input"):
        properties_job(tmp_path / "in.jsonl", tmp_path / "out.csv", workers=0, resume=False)
    assert given.read_text() == '{"smiles": "CCO"}\n'


@pytest.mark.parametrize(
    ("verb", "more"),
    [
        ("predict", ["task=bbbp"]),
        ("embed", ["entity=smiles", "columns={value: smiles}"]),
        ("score", ["task=bbbp"]),
        ("generate", ["task=molecules"]),
        ("properties", ["workers=0"]),
        ("windows", ["window=4"]),
    ],
)
def test_no_command_destroys_its_input(
    verb: str, more: list[str], tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suffix = "parquet" if verb == "embed" else "csv"
    table, file = (
        pd.DataFrame({"smiles": ["CCO"], "p_np": ["1"], "sequence": ["AC[G/T]TA"]}),
        tmp_path / f"lib.{suffix}",
    )
    table.to_parquet(file) if suffix == "parquet" else table.to_csv(file, index=False)
    before = contents(tmp_path)
    bundle = [] if verb in ("properties", "windows") else [f"bundle={tiny_bundle}", "device=cpu"]
    assert main([verb, *bundle, *more, f"input={file}", f"output={file}", "resume=false"]) == 2
    assert "would replace the input" in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_files_of_the_bundle_and_the_genome_are_inputs_too(tiny_bundle: Path, library: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    output.symlink_to(tiny_bundle / "config.json")
    with pytest.raises(ConfigError, match=r"would replace the bundle \(config.json\)"):
        run_job("predict", tiny_bundle, library, output, task="bbbp", resume=False)
    assert output.is_symlink()
    genome = tmp_path / "g.fa"
    genome.write_text(">chr1\nACGTACGT\n")
    (tmp_path / "sites.csv").write_text("chrom,pos,ref,alt\n1,3,G,T\n")
    (tmp_path / "windows.csv").hardlink_to(genome)
    pytest.importorskip("pysam")
    with pytest.raises(ConfigError, match="would replace the reference"):
        windows_job(tmp_path / "sites.csv", tmp_path / "windows.csv", reference=genome, window=4, resume=False)
    assert genome.read_text() == ">chr1\nACGTACGT\n"


def test_an_earlier_output_stands_until_the_new_one_is_whole(
    library: Path, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
) -> None:
    output = library.with_name("out.csv")
    properties_job(library, output, workers=0, shard_rows=2)
    former = contents(library.parent)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted(patch, 2)
        properties_job(library, output, workers=0, shard_rows=2, properties=["logp"], resume=False)
    now = contents(library.parent)
    assert {name: now[name] for name in former} == former
    with pytest.raises(JobError, match="with other settings"):
        properties_job(library, output, workers=0, shard_rows=2)
    resumed = properties_job(library, output, workers=0, shard_rows=2, properties=["logp"])
    assert resumed.resumed == 4
    assert list(pd.read_csv(output)) == ["id", "smiles", "logp", "error"]
    assert contents(library.parent).keys() == former.keys()


@pytest.mark.parametrize("name", ["out.errors.csv", "out.csv.manifest.json"])
def test_files_of_somebody_else_are_not_replaced(library: Path, name: str) -> None:
    mine = library.with_name(name)
    mine.write_text("mine")
    with pytest.raises(JobError, match="not written by a job"):
        properties_job(library, library.with_name("out.csv"), workers=0)
    assert mine.read_text() == "mine" and not library.with_name("out.csv").exists()


def test_the_folder_of_shards_keeps_what_no_job_wrote(library: Path) -> None:
    mine = library.with_name("out.csv.parts") / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    for resume in (True, False):
        properties_job(library, library.with_name("out.csv"), workers=0, resume=resume)
        assert [path.name for path in mine.parent.iterdir()] == ["notes.txt"] and mine.read_text() == "mine"


def test_shards_without_a_manifest_are_not_taken_over(
    library: Path, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
) -> None:
    output = library.with_name("out.csv")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted(patch, 2)
        properties_job(library, output, workers=0, shard_rows=2, properties=["logp"])
    (output.with_name("out.csv.parts") / "manifest.json").unlink()
    with pytest.raises(JobError, match="not written by a job"):
        properties_job(library, output, workers=0, shard_rows=2, properties=["mw"])
    assert properties_job(library, output, workers=0, shard_rows=2, properties=["mw"], resume=False).resumed == 0


def read(file: Path) -> pd.DataFrame:
    return {
        ".csv": pd.read_csv,
        ".tsv": lambda path: pd.read_csv(path, sep="\t"),
        ".jsonl": lambda path: pd.read_json(path, lines=True),
        ".parquet": pd.read_parquet,
    }[file.suffix](file)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("keep", [None, True, False])
def test_rows_keep_their_places_and_errors_have_the_format_of_the_output(
    library: Path, suffix: str, keep: bool | None
) -> None:
    output = library.with_name(f"out.{suffix}")
    done = properties_job(library, output, workers=0, shard_rows=4, properties=["logp"], keep_rows=keep)
    assert done.errors == library.with_name(f"out.errors.{suffix}")
    errors, rows = read(done.errors), read(output)
    assert list(errors) == ["row", "id", "smiles", "error"] and errors["row"].tolist() == [i + 1 for i in BAD]
    kept = suffix in ("csv", "tsv") if keep is None else keep
    assert (done.rows, done.ok, done.bad, done.exit_code, done.keeps_rows) == (6, 4, 2, 3, kept)
    assert list(rows) == ["id", "smiles", "logp", *(["error"] if kept else [])]
    if kept:
        assert rows["id"].astype(int).tolist() == list(range(6))
        assert rows.index[rows["logp"].isna()].tolist() == BAD == rows.index[rows["error"].notna()].tolist()
        assert rows["error"][BAD].tolist() == errors["error"].tolist()
    else:
        assert rows["id"].astype(int).tolist() == [i for i in range(6) if i not in BAD]


def test_vectors_of_rows_without_an_answer_are_null(tiny_bundle: Path, library: Path) -> None:
    settings: dict[str, Any] = {"columns": {"value": "smiles"}, "options": {"entity": "smiles"}}
    output = library.with_name("vectors.parquet")
    run_job("embed", tiny_bundle, library, output, keep_rows=True, shard_rows=2, **settings)
    rows = pd.read_parquet(output)
    assert rows.index[rows["embedding"].isna()].tolist() == BAD and len(rows["embedding"][0]) == 32


def test_keep_rows_is_a_key_of_the_commands(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["properties", f"input={library}", "workers=0", "properties=[logp]"]
    assert main([*words, f"output={library.with_name('a.csv')}"]) == 3
    assert "6 rows in" in (reported := capsys.readouterr().err) and "they are in the output, too" in reported
    assert main([*words, f"output={library.with_name('b.csv')}", "keep_rows=false"]) == 3
    assert "4 rows in" in capsys.readouterr().err
    assert main([*words, f"output={library.with_name('c.csv')}", "keep_rows=some"]) == 2
    assert "keep_rows must be true, false or null" in capsys.readouterr().err


def test_a_variant_file_keeps_no_rows(dna_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("pysam")
    from mammal.jobs.variants_job import score_variants_job

    (tmp_path / "g.fa").write_text(f">chr1\n{'ACGT' * 20}\n")
    calls = tmp_path / "calls.vcf"
    calls.write_text(
        "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchr1\t41\t.\tA\tC\t.\t.\t.\n"
    )
    how: dict[str, Any] = {"reference": tmp_path / "g.fa", "device": "cpu"}
    with pytest.raises(ConfigError, match="keep_rows=true is for tables"):
        score_variants_job(dna_bundle, calls, tmp_path / "out.vcf", keep_rows=True, **how)
    with pytest.raises(ConfigError, match="would replace the input"):
        score_variants_job(dna_bundle, calls, calls, resume=False, **how)
    assert calls.read_text().startswith("##fileformat")


def test_jobs_that_an_earlier_version_began(
    library: Path, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
) -> None:
    """Its manifest was beside the output, and had no word of `keep_rows`: one goes on, the other is refused."""
    for name in ("out.parquet", "out.csv"):
        output = library.with_name(name)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupted(patch, 2)
            properties_job(library, output, workers=0, shard_rows=2, keep_rows=False)
        (output.with_name(f"{name}.parts") / "manifest.json").rename(output.with_name(f"{name}.manifest.json"))
    report = properties_job(library, library.with_name("out.parquet"), workers=0, shard_rows=2)
    assert report.resumed == 4 and len(pd.read_parquet(report.errors)) == 2
    with pytest.raises(JobError, match="keep_rows was False, is True"):
        properties_job(library, library.with_name("out.csv"), workers=0, shard_rows=2)
    report = properties_job(library, library.with_name("out.csv"), workers=0, shard_rows=2, keep_rows=False)
    assert report.resumed == 4 and pd.read_csv(report.errors)["row"].tolist() == [2, 4]


def test_errors_are_found_under_their_earlier_name(library: Path) -> None:
    output = library.with_name("out.csv")
    report = properties_job(library, output, workers=0, keep_rows=False)
    earlier = earlier_errors_path(output)
    pd.read_csv(report.errors).to_parquet(earlier)
    report.errors.unlink()
    assert find_errors(output) == earlier
    assert properties_job(library, output, workers=0, keep_rows=False).errors == earlier
    pd.DataFrame({"smiles": ["CCO"]}).to_csv(library, index=False)
    properties_job(library, output, workers=0, resume=False)
    assert find_errors(output) is None, "the new job set no row aside"


def test_samples_and_reports_count_kept_rows_once(library: Path, tmp_path: Path) -> None:
    for name, keep in (("kept.csv", True), ("apart.csv", False)):
        file = tmp_path / name
        rows = pd.DataFrame({"sample": [0, 1, 2, 3], "text": ["CCO", "CC", "", "C"], "score": [-1.0, -1, None, -1]})
        failed = rows["text"] == ""
        rows = rows.assign(error=["", "", "no valid sequence", ""]) if keep else rows[~failed]
        rows.to_csv(file, index=False)
        pd.DataFrame({"row": [3], "error": ["no valid sequence"]}).to_csv(file.with_suffix(".errors.csv"), index=False)
    assert read_samples(tmp_path / "kept.csv", "x").smiles == ["CCO", "CC", "C", ""]
    assert read_samples(tmp_path / "apart.csv", "x").smiles == ["CCO", "CC", "C", ""]
    assert read_samples(tmp_path / "kept.csv", "x", limit=3).smiles == ["CCO", "CC", ""]
    for name in ("kept.csv", "apart.csv"):
        html = page_of(tmp_path, predictions=[tmp_path / name], samples=tmp_path / name)
        assert "4 rows read, 3 answered, 1" in html and "3 of 3" in html


def test_the_total_and_the_rows_of_an_earlier_run_are_reported(
    library: Path, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
) -> None:
    output = library.with_name("out.csv")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted(patch, 2)
        properties_job(library, output, workers=0, shard_rows=2)
    seen: list[JobProgress] = []
    properties_job(library, output, workers=0, shard_rows=2, progress=seen.append)
    assert {now.rows for now in seen} == {6}
    assert [(now.done, now.resumed) for now in seen] == [(2, 2), (4, 4), (6, 4), (6, 4)]


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("a.csv", 'smiles,note\nC,plain\n\nC,"two\nlines"\nC,5"\nC,"say ""x""\n\n"\nC,last', 5),
        ("a.csv", "smiles,note\r\nC,a\r\n\r\nC,b\r\n", 2),
        ("a.csv", 'smiles;note\nC;"two\nlines"\nC;b\n', 2),
        ("a.tsv", 'smiles\tnote\nC\t"a\tb"\n', 1),
        ("a.csv", "smiles\n", 0),
        ("a.smi", "CCO ethanol\n\nCC\n", 2),
        ("a.fasta", ">a\nMKT\nAY\n>b\nMK\n", 2),
    ],
)
def test_rows_of_text_files_are_counted_as_they_are_read(tmp_path: Path, name: str, text: str, rows: int) -> None:
    import gzip

    from mammal.jobs.inputs import open_input

    (tmp_path / name).write_text(text, newline="")
    with gzip.open(tmp_path / f"{name}.gz", "wt", newline="") as stream:
        stream.write(text)
    for file in (tmp_path / name, tmp_path / f"{name}.gz"):
        given = open_input(file)
        assert given.count() == rows == sum(shard.rows for shard in given.shards(2))


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_carriage_return_in_a_cell_is_no_end_of_a_line(tmp_path: Path, suffix: str) -> None:
    notes = ["a\rb", "c\r\nd", "e\nf", "plain"]
    lines = [json.dumps({"smiles": "C" if place % 2 else "nonsense", "note": note}) for place, note in enumerate(notes)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    report = properties_job(tmp_path / "in.jsonl", tmp_path / f"out.{suffix}", workers=0, keep_rows=False)
    for file, kept in ((report.output, notes[1::2]), (report.errors, notes[::2])):
        assert read_table(file)["note"].tolist() == kept
        assert b"\r\n" not in Path(file).read_bytes().replace(b"c\r\nd", b""), "lines end with a line feed alone"


def test_keep_rows_of_a_plan_goes_by_the_output(library: Path) -> None:
    from mammal.jobs.inputs import open_input

    plan = JobPlan("x", open_input(library), None, "out.csv")  # type: ignore[arg-type]
    assert plan.keeps_rows and not JobPlan("x", plan.given, plan.question, "out.jsonl").keeps_rows


def test_the_manifest_of_a_job_that_keeps_rows_says_so(library: Path) -> None:
    for suffix, reported in (("csv", True), ("parquet", None)):
        properties_job(library, library.with_name(f"out.{suffix}"), workers=0)
        manifest = json.loads(library.with_name(f"out.{suffix}.manifest.json").read_text())
        assert manifest["options"].get("keep_rows") is reported


def test_a_report_replaces_pages_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.csv").write_text("smiles,text\nC,CCO\n")
    (tmp_path / "notes.txt").write_text("mine")
    words = ["report", f"run={tmp_path}", f"samples={tmp_path / 's.csv'}", f"predictions=[{tmp_path / 's.csv'}]"]
    for output, reported in (("s.csv", "would replace the file of"), ("notes.txt", "is not an HTML page")):
        assert main([*words, f"output={tmp_path / output}"]) == 2
        assert reported in capsys.readouterr().err
    assert (tmp_path / "s.csv").read_text() == "smiles,text\nC,CCO\n"
    assert (tmp_path / "notes.txt").read_text() == "mine"
    for _ in range(2):
        assert main([*words, f"output={tmp_path / 'page.html'}"]) == 0


def test_an_evaluation_replaces_no_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = tmp_path / "samples.csv"
    samples.write_text("smiles\nCCO\n")
    assert main(["evaluate", f"samples={samples}", f"output={tmp_path}"]) == 2
    assert "would replace the file of samples" in capsys.readouterr().err
    other = tmp_path / "other.csv"
    other.write_text("smiles\nCCO\n")
    assert main(["evaluate", f"samples={other}", f"output={tmp_path}"]) == 2
    assert "not written by an evaluation" in capsys.readouterr().err
    assert samples.read_text() == "smiles\nCCO\n"
    for _ in range(2):
        assert main(["evaluate", f"samples={other}", f"output={tmp_path / 'judged'}", "workers=0"]) == 0


def test_a_cell_that_cannot_be_read_in_a_required_column_ends_no_job(tmp_path: Path):
    text = pa.array([b"CCO", b"C\xffC"], pa.binary())
    schema = pa.schema([pa.field("smiles", pa.string(), nullable=False)])
    cells = pa.Array.from_buffers(pa.string(), 2, text.buffers())
    pq.write_table(pa.Table.from_arrays([cells], schema=schema), tmp_path / "in.parquet")
    report = properties_job(tmp_path / "in.parquet", tmp_path / "out.parquet", properties=["logp"], workers=0)
    assert (report.ok, report.bad) == (1, 1)
