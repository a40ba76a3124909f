"""The key `encoding`: files in other encodings than UTF-8, for jobs, the Python API and the data of tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import mammal
from mammal.cli import main
from mammal.errors import ConfigError, DataError, JobError, TaskError
from mammal.evaluation.sample_files import evaluate_samples
from mammal.jobs import run_job
from mammal.jobs.names_job import names_job
from mammal.jobs.properties_job import properties_job
from mammal.jobs.windows_job import windows_job
from mammal.tasks.data import load_data
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.sources import variants
from mammal.tasks.tables.encodings import codec_name

NOTES = ["5 µg/ml", "naïve", "plain"]
BAD_WITHOUT = 2
"""Rows with a byte that is not UTF-8."""


@pytest.fixture
def latin(tmp_path: Path) -> Path:
    file = tmp_path / "library.csv"
    rows = [f"{smiles},{note}" for smiles, note in zip(["CCO", "CCN", "CCC"], NOTES, strict=True)]
    file.write_text("\n".join(["smiles,note", *rows]) + "\n", encoding="latin-1")
    return file


def reported(output: Path) -> dict[str, object]:
    return json.loads(output.with_name(f"{output.name}.manifest.json").read_text())["options"]


@pytest.mark.parametrize("verb", ["predict", "embed", "score"])
def test_a_job_reads_its_input_in_the_encoding_that_is_given(
    tiny_bundle: Path, latin: Path, tmp_path: Path, verb: str
) -> None:
    if verb == "score":
        frame = pd.read_csv(latin, encoding="latin-1").assign(p_np="1")
        frame.to_csv(latin, index=False, encoding="latin-1")
    how = {"task": "bbbp", "prefix": "my_"}
    output = tmp_path / "out.parquet"
    report = run_job(verb, tiny_bundle, latin, output, encoding="latin1", **how)
    assert report.bad == 0
    assert pd.read_parquet(output)["note"].tolist() == NOTES
    assert reported(output)["encoding"] == "iso8859-1"
    without = run_job(verb, tiny_bundle, latin, tmp_path / "without.parquet", **how)
    assert without.bad == BAD_WITHOUT
    assert "encoding" not in reported(tmp_path / "without.parquet")


def test_another_name_of_the_encoding_continues_and_another_encoding_does_not(
    tiny_bundle: Path, latin: Path, tmp_path: Path
) -> None:
    first = run_job("predict", tiny_bundle, latin, tmp_path / "out.csv", task="bbbp", encoding="latin-1")
    again = run_job("predict", tiny_bundle, latin, tmp_path / "out.csv", task="bbbp", encoding="ISO-8859-1")
    assert (first.resumed, again.resumed) == (0, 3)
    with pytest.raises(JobError, match="encoding was iso8859-1, is cp1252"):
        run_job("predict", tiny_bundle, latin, tmp_path / "out.csv", task="bbbp", encoding="cp1252")


def test_jobs_on_molecules_read_it_too(latin: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    report = properties_job(latin, output, encoding="latin-1", workers=0, properties=["mw"])
    assert (report.bad, pd.read_parquet(output)["note"].tolist()) == (0, NOTES)
    with pytest.raises(DataError, match=r"no encoding 'latin-11'.*did you mean"):
        properties_job(latin, tmp_path / "no.csv", encoding="latin-11")
    with pytest.raises(ConfigError, match="encoding is for a file"):
        properties_job("chemicals", tmp_path / "no.csv", encoding="latin-1")


def test_names_are_read_in_the_encoding(tmp_path: Path) -> None:
    pytest.importorskip("openclatura")
    file = tmp_path / "named.csv"
    file.write_text("smiles,note\nCCO,naïve\n", encoding="cp1252")
    report = names_job(file, tmp_path / "out.csv", encoding="cp1252", workers=0, keep="unverified")
    assert report.ok == 1
    assert "naïve" in (tmp_path / "out.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("form", ["jsonl", "smi", "csv.gz"])
def test_every_text_format_and_the_row_count(tiny_bundle: Path, tmp_path: Path, form: str) -> None:
    import gzip

    text = {"jsonl": '{"smiles": "CCO", "note": "µ"}\n', "smi": "CCO µ\n", "csv.gz": "smiles,note\nCCO,µ\n"}[form]
    raw = text.encode("utf-16-le")
    (tmp_path / f"in.{form}").write_bytes(gzip.compress(raw) if form.endswith("gz") else raw)
    seen: list[int | None] = []
    report = run_job(
        *("predict", tiny_bundle, tmp_path / f"in.{form}", tmp_path / "out.parquet"),
        task="bbbp",
        encoding="utf-16-le",
        progress=lambda now: seen.append(now.rows),
    )
    assert (report.ok, report.bad) == (1, 0)
    assert seen[-1] == 1
    assert "µ" in pd.read_parquet(tmp_path / "out.parquet").iloc[0].tolist()


def test_a_slip_is_refused_before_the_model_is_opened(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path, latin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("the model was opened")

    monkeypatch.setattr("mammal.jobs.model_job.open_model", opened)
    monkeypatch.setattr("mammal.jobs.loaded_model.open_model", opened)
    line = [f"bundle={tiny_bundle}", f"input={latin}", "encoding=lattin-1"]
    for extra in ([], [f"output={tmp_path / 'out.csv'}"]):
        assert main(["predict", *line, *extra]) == 1
        assert "did you mean latin-1" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"no encoding 'rot13'"):
        run_job("predict", tiny_bundle, latin, tmp_path / "out.csv", encoding="rot13")
    with pytest.raises(DataError, match="parquet has none to choose"):
        run_job("predict", tiny_bundle, tmp_path / "in.parquet", tmp_path / "out.csv", encoding="latin-1")
    with pytest.raises(ConfigError, match="there is none"):
        run_job("generate", tiny_bundle, None, tmp_path / "out.csv", encoding="latin-1")


def test_the_command_prints_answers_of_such_a_file(
    tiny_bundle: Path, latin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", f"bundle={tiny_bundle}", f"input={latin}", "task=bbbp", "encoding=latin-1"]) == 0
    assert "naïve" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["predict", "embed"])
def test_the_python_api_reads_it(tiny_bundle: Path, latin: Path, method: str) -> None:
    answer: Callable[..., object] = getattr(mammal.load(tiny_bundle), method)
    assert len(answer(latin, "bbbp", encoding="latin-1")) == 3
    with pytest.raises(ConfigError, match="encoding is for a file"):
        answer(["CCO"], "bbbp", encoding="latin-1")
    with pytest.raises(DataError, match="no encoding"):
        answer(latin, "bbbp", encoding="latine")


def test_the_data_of_a_task_are_read_in_their_encoding(latin: Path) -> None:
    pd.read_csv(latin, encoding="latin-1").assign(lipophilicity=[0.5, 1.5, 2.5]).to_csv(
        latin, index=False, encoding="latin-1"
    )
    data = {"source": "file", "name": None, "path": str(latin), "columns": {}, "encoding": "latin-1"}
    assert load_data(load_task("lipophilicity", {"data": data})).frame["note"].tolist() == NOTES


def test_an_evaluation_reads_labelled_rows_in_their_encoding(tiny_bundle: Path, latin: Path) -> None:
    frame = pd.read_csv(latin, encoding="latin-1").assign(p_np=["0", "1", "1"])
    frame.to_csv(latin, index=False, encoding="latin-1")
    how = {"baselines": False, "sensitivity": 0, "neighbours": False}
    found = mammal.evaluate(mammal.load(tiny_bundle), "bbbp", data=latin, encoding="latin-1", **how)
    assert len(found.results[0].answers) == 3
    with pytest.raises(DataError, match="no encoding"):
        mammal.evaluate(tiny_bundle, "bbbp", data=latin, encoding="latin-one-more", **how)
    with pytest.raises(ConfigError, match="labelled rows"):
        mammal.evaluate(tiny_bundle, "bbbp", encoding="latin-1", **how)


def test_a_declared_encoding_is_checked_with_the_declaration(latin: Path) -> None:
    with pytest.raises(TaskError, match=r"data.encoding: there is no encoding 'latni-1'.*did you mean"):
        load_task("lipophilicity", {"data": {"source": "file", "path": str(latin), "encoding": "latni-1"}})
    with pytest.raises(TaskError, match=r"data.source is moleculenet"):
        load_task("bbbp", {"data": {"encoding": "latin-1"}})


@pytest.mark.parametrize(("given", "name"), [("latin1", "iso8859-1"), ("UTF8", "utf-8"), ("cp1252", "cp1252")])
def test_names_of_encodings(given: str, name: str) -> None:
    assert codec_name(given) == name


SITES = "chrom,pos,ref,alt,note\nchr1,5,A,C,5 µg\nchr1,9,A,G,plain\n"


@pytest.mark.parametrize("manifest", [False, True])
def test_windows_read_a_table_in_its_encoding(manifest: bool, tmp_path: Path) -> None:
    text, how = SITES, ["reference=g.fa"]
    if manifest:
        text = "[Heading]\n[Assay]\nName,SourceSeq,SNP,Chr,MapInfo,note\n"
        text, how = text + "a,ACGT[A/C]TTGC,[A/C],1,5,5 µg\nb,ACGA[A/G]TTGA,[A/G],1,9,plain\n", []
    (tmp_path / "in.csv").write_text(text, encoding="latin-1")
    (tmp_path / "g.fa").write_text(">chr1\nAAAAAAAAAAAAAAAAAAAAAAAA\n")
    for name, encoding, code in (("without", "null", 3), ("with", "latin1", 0)):
        words = [
            f"input={tmp_path / 'in.csv'}",
            f"output={tmp_path / name}.parquet",
            f"encoding={encoding}",
            "window=8",
        ]
        assert main(["windows", *words, *(word.replace("g.fa", str(tmp_path / "g.fa")) for word in how)]) == code
    assert pd.read_parquet(tmp_path / "with.parquet")["note"].tolist() == ["5 µg", "plain"]
    assert pd.read_parquet(tmp_path / "without.parquet")["note"].tolist() == ["plain"]
    assert reported(tmp_path / "with.parquet")["encoding"] == "iso8859-1"


def test_windows_of_a_variant_file_have_no_encoding(tmp_path: Path) -> None:
    (tmp_path / "v.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    with pytest.raises(DataError, match="none to choose"):
        windows_job(tmp_path / "v.vcf", tmp_path / "out.csv", encoding="latin-1")


def test_a_task_reads_variants_in_their_encoding(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("sequence,y,note\nACGT[A/C]TTGC,1,5 µg\nACGA[A/G]TTGA,0,plain\n", "latin-1")
    declared = {
        "name": "v",
        "kind": "classification",
        "labels": ["0", "1"],
        "prompt": {"input": "<SENTINEL_ID_0> {sequence:dna}", "target": "<SENTINEL_ID_0> {y:label}"},
        "data": {"source": "variants", "path": str(tmp_path / "in.csv"), "encoding": "latin-1", "split": "random"},
    }
    assert variants.load(load_task(declared).data, None)["note"].tolist() == ["5 µg", "plain"]


def test_sets_of_molecules_are_read_in_their_encoding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.csv").write_text("smiles,note\nCCO,5 µg\nCCN,plain\n", encoding="latin-1")
    (tmp_path / "t.csv").write_text("smiles,note\nCCO,µ\nCCC,plain\n", encoding="latin-1")
    words = [f"samples={tmp_path / 's.csv'}", f"train={tmp_path / 't.csv'}", f"test={tmp_path / 't.csv'}"]
    words += [f"output={tmp_path / 'judged'}", "workers=0"]
    assert main(["evaluate", *words, "encoding=latin-1"]) == 0
    held = pd.read_csv(tmp_path / "judged" / "molecules_s.csv")
    assert held.iloc[:, 0].size == 2 and "CCO" in held.to_string()
    assert json.loads((tmp_path / "judged" / "samples.json").read_text())
    assert main(["evaluate", *words, "encoding=latn-1"]) == 1 and "did you mean" in capsys.readouterr().err
    (tmp_path / "judged" / "molecules_s.csv").unlink()
    (one,) = evaluate_samples(tmp_path / "s.csv", encoding="latin-1", workers=0)
    assert one.samples == one.valid == 2
