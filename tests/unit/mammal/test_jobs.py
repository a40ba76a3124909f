"""Batch jobs: every row is accounted for, columns are copied, resuming gives the same bytes, errors are reported."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mammal
from mammal.errors import ConfigError, DataError, JobError
from mammal.jobs import JobProgress, JobReport, run_job
from mammal.jobs.store import Store

CYCLE = ["CCO", "c1ccccc1", "C1CC", "CC", "", "CCN", "CCO"]
ROWS = 40
BAD = [i for i in range(ROWS) if CYCLE[i % 7] in ("C1CC", "")]
Job = Callable[..., JobReport]


def library() -> pd.DataFrame:
    """Forty rows, twelve of them unreadable, with columns that no task reads."""
    notes = ["plain", "a,b", 'says "x"', "", "é\tü", "two\nlines"]
    return pd.DataFrame(
        {
            "id": [f"{i:03d}" for i in range(ROWS)],
            "smiles": [CYCLE[i % 7] for i in range(ROWS)],
            "note": [notes[i % 6] for i in range(ROWS)],
            "dose": pd.array([None if i % 5 == 0 else i for i in range(ROWS)], dtype="Int64"),
        }
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    library().to_csv(tmp_path / "library.csv", index=False)
    return tmp_path / "library.csv"


@pytest.fixture
def predict(tiny_bundle: Path, table: Path) -> Job:
    def job(output: Path, **changes: Any) -> JobReport:
        settings: dict[str, Any] = {"task": "bbbp", "shard_rows": 9, **changes}
        return run_job("predict", settings.pop("bundle", tiny_bundle), settings.pop("input", table), output, **settings)

    return job


def test_a_table_of_text_has_a_total_from_the_first_batch_on(predict: Job, table: Path, tmp_path: Path) -> None:
    seen: list[JobProgress] = []
    predict(tmp_path / "out.csv", progress=seen.append)
    assert {now.rows for now in seen} == {len(pd.read_csv(table))}, "so that the time left is known"
    assert seen[0].done < seen[-1].done == seen[-1].rows


def test_every_row_is_accounted_for(predict: Job, tmp_path: Path) -> None:
    report = predict(tmp_path / "out.csv", keep_rows=False)
    answered = pd.read_csv(report.output, dtype=str, keep_default_na=False)
    refused = pd.read_csv(report.errors, dtype={"id": str})
    assert (report.rows, report.ok, report.bad, report.exit_code) == (ROWS, ROWS - len(BAD), len(BAD), 3)
    assert answered.id.tolist() == [f"{i:03d}" for i in range(ROWS) if i not in BAD]
    assert refused.row.tolist() == [i + 1 for i in BAD]
    assert refused.id.tolist() == [f"{i:03d}" for i in BAD]
    assert refused.error.str.contains("smiles").all()


def test_columns_pass_through_as_they_were(predict: Job, tmp_path: Path, table: Path) -> None:
    answered = pd.read_csv(predict(tmp_path / "out.csv").output, dtype=str, keep_default_na=False)
    given = pd.read_csv(table, dtype=str, keep_default_na=False)
    assert list(answered.columns) == [*given.columns, "prediction", "probability", "error"]
    pd.testing.assert_frame_equal(answered[given.columns], given)


def test_types_of_a_parquet_file_pass_through(predict: Job, tmp_path: Path) -> None:
    import pyarrow.parquet

    frame = library().assign(when=pd.Timestamp("2020-02-02"), tags=[["a", "b"]] * ROWS)
    frame.to_parquet(tmp_path / "library.parquet", index=False, row_group_size=7)
    report = predict(tmp_path / "out.parquet", input=tmp_path / "library.parquet")
    before = pyarrow.parquet.read_schema(tmp_path / "library.parquet")
    after = pyarrow.parquet.read_schema(report.output)
    assert [after.field(name).type for name in before.names] == list(before.types)
    answered = pd.read_parquet(report.output)
    assert answered.dose.isna().sum() == frame.drop(index=BAD).dose.isna().sum()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_answers_are_those_of_the_python_api(predict: Job, tiny_bundle: Path, tmp_path: Path, suffix: str) -> None:
    report = predict(tmp_path / f"out.{suffix}", keep_rows=False)
    expected = mammal.load(tiny_bundle).predict(CYCLE, task="bbbp").set_index("smiles").probability
    read = {"csv": pd.read_csv, "tsv": lambda f: pd.read_csv(f, sep="\t"), "parquet": pd.read_parquet}
    answered = read.get(suffix, lambda f: pd.read_json(f, lines=True))(report.output)
    wanted = [expected[smiles] if smiles != "CCO" else expected["CCO"].iloc[0] for smiles in answered.smiles]
    np.testing.assert_allclose(answered.probability, wanted, rtol=1e-5)


def test_rows_of_unequal_records(predict: Job, tmp_path: Path) -> None:
    lines = [{"smiles": "CCO", "n": 1}, {"smiles": "CC", "n": 2.5, "who": {"name": "x"}}, {"smiles": "C", "late": True}]
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    report = predict(tmp_path / "out.jsonl", input=tmp_path / "in.jsonl", shard_rows=1)
    answered = [json.loads(line) for line in report.output.read_text().splitlines()]
    assert [line["n"] for line in answered] == [1, 2.5, None]
    assert answered[1]["who"] == {"name": "x"} and answered[2]["late"] is True and answered[0]["late"] is None


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("in.csv", "smiles,id\nCCO,1\nCC,2,x,y\nC,3\nCCC\n", "line 3: 4 fields where the header has 2"),
        ("in.jsonl", '{"smiles": "CCO"}\n{"smiles": \n\n{"smiles": "C"}\n{"smiles": "CCC"}\n', "line 2: not JSON"),
        ("in.jsonl", '{"smiles": "CCO"}\n[1]\n{"smiles": "C"}\n{"smiles": "CCC"}\n', "line 2: a line holds one"),
    ],
)
def test_a_damaged_line_is_a_row_set_aside(predict: Job, tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).write_text(text)
    report = predict(tmp_path / "out.csv", input=tmp_path / name, shard_rows=3)
    refused, kept = pd.read_csv(report.errors), pd.read_csv(report.output, keep_default_na=False)
    assert (report.rows, report.ok, report.exit_code) == (4, 3, 3)
    assert kept.smiles.tolist() == ["CCO", "", "C", "CCC"] and kept.error[1] == refused.error[0]
    assert refused.row.tolist() == [2] and refused.error[0].startswith(reason)


def test_a_quote_that_never_closes_is_reported_by_its_line(predict: Job, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('smiles,note\nCCO,fine\nCC,"broken\nC,more\n')
    with pytest.raises(DataError, match=r"in\.csv:3"):
        predict(tmp_path / "out.csv", input=tmp_path / "in.csv")


def test_an_empty_table_gives_an_empty_table(predict: Job, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("smiles,id\n")
    report = predict(tmp_path / "out.csv", input=tmp_path / "none.csv")
    assert report.rows == 0 and report.exit_code == 0 and report.errors is None
    assert report.output.read_text() == "smiles,id,prediction,probability,error\n"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_resumed_it_ends_with_the_same_bytes(
    predict: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, interrupted: Callable[..., None]
) -> None:
    straight = predict(tmp_path / f"straight.{suffix}")
    target = tmp_path / f"cut.{suffix}"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted(patch, 2, KeyboardInterrupt())
        predict(target)
    assert not target.exists()
    resumed = predict(target)
    assert resumed.resumed == 18 and resumed.rows == ROWS
    assert resumed.output.read_bytes() == straight.output.read_bytes()
    assert resumed.errors.read_bytes() == straight.errors.read_bytes()
    assert not list(tmp_path.glob("*.parts"))


def test_rows_prepared_by_other_processes_give_the_same_bytes(predict: Job, tmp_path: Path) -> None:
    alone, helped = predict(tmp_path / "alone.parquet"), predict(tmp_path / "helped.parquet", workers=2)
    assert helped.output.read_bytes() == alone.output.read_bytes()
    assert helped.errors.read_bytes() == alone.errors.read_bytes()


def test_a_complete_job_is_left_alone(predict: Job, tmp_path: Path) -> None:
    first = predict(tmp_path / "out.csv")
    stamp = first.output.stat().st_mtime_ns
    again = predict(tmp_path / "out.csv")
    assert again.output.stat().st_mtime_ns == stamp
    assert (again.rows, again.ok, again.bad, again.resumed) == (ROWS, first.ok, first.bad, ROWS)


def test_a_job_that_changed_is_refused_and_says_what_changed(
    predict: Job, tiny_bundle: Path, tmp_path: Path, table: Path
) -> None:
    target = tmp_path / "out.csv"
    predict(target)
    retrained = mammal.load(tiny_bundle)
    retrained.model.t5_model.shared.weight.data[0] += 1
    for change, reported in (
        ({"shard_rows": 10}, "shard_rows was 9, is 10"),
        ({"task": "melting_point"}, "task was bbbp"),
        ({"options": {"every_label": True}}, "every_label"),
        ({"dtype": "bfloat16"}, "dtype"),
        ({"bundle": retrained.save(tmp_path / "retrained")}, "the bundle has another content"),
    ):
        with pytest.raises(JobError, match=reported):
            predict(target, **change)
    table.write_text(table.read_text() + "041,CCCC,,1\n")
    with pytest.raises(JobError, match="the input has another content"):
        predict(target)
    assert predict(target, resume=False).rows == ROWS + 1


def test_a_file_of_somebody_else_is_not_overwritten(predict: Job, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("mine")
    with pytest.raises(JobError, match="was not written by a job"):
        predict(target)
    assert target.read_text() == "mine" and not list(tmp_path.glob("*.parts"))
    assert predict(target, resume=False).rows == ROWS


def test_two_runs_on_one_output(predict: Job, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    with Store(target).locked(), pytest.raises(JobError, match="another run"):
        predict(target)


def test_a_full_disk_is_reported_and_survived(
    predict: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
) -> None:
    target = tmp_path / "out.csv"
    with monkeypatch.context() as patch, pytest.raises(JobError, match="No space left"):
        interrupted(patch, 1, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        predict(target)
    assert not target.exists()
    assert predict(target).resumed == 9


def test_places_that_can_not_be_written(predict: Job, tmp_path: Path, table: Path) -> None:
    with pytest.raises(JobError, match="directory"):
        predict(table / "below_a_file.csv")
    with pytest.raises(JobError, match=r"\.parquet, \.csv"):
        predict(tmp_path / "out.xlsx")


def test_wrong_words(predict: Job, tiny_bundle: Path, table: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean structures"):
        predict(tmp_path / "out.csv", columns={"smiles": "structure"}, input=_renamed(table, "structures"))
    with pytest.raises(DataError, match="no such file"):
        predict(tmp_path / "out.csv", input=tmp_path / "librari.csv")
    with pytest.raises(ConfigError, match="every_label"):
        predict(tmp_path / "out.csv", options={"every_labl": True})
    with pytest.raises(ConfigError, match="predict"):
        run_job("predikt", tiny_bundle, table, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def _renamed(table: Path, column: str) -> Path:
    renamed = table.with_name("renamed.csv")
    pd.read_csv(table, dtype=str).rename(columns={"smiles": column}).to_csv(renamed, index=False)
    return renamed


def test_progress_counts_every_row_once(predict: Job, tmp_path: Path) -> None:
    seen: list[int] = []
    predict(tmp_path / "out.csv", progress=lambda now: seen.append(now.done))
    assert seen == sorted(seen) and seen[-1] == ROWS


def test_embeddings_go_to_files_that_hold_lists(tiny_bundle: Path, table: Path, tmp_path: Path) -> None:
    settings = {"columns": {"value": "smiles"}, "options": {"entity": "smiles"}}
    report = run_job("embed", tiny_bundle, table, tmp_path / "vectors.parquet", **settings)
    vectors = np.stack(pd.read_parquet(report.output).embedding)
    assert vectors.shape == (ROWS - len(BAD), 32)
    expected = mammal.load(tiny_bundle).embed(["CCO"], entity="smiles")[0]
    np.testing.assert_allclose(vectors[0], expected, atol=1e-5)
    with pytest.raises(JobError, match="parquet"):
        run_job("embed", tiny_bundle, table, tmp_path / "vectors.csv", **settings)


def test_scores_of_a_file(tiny_bundle: Path, tmp_path: Path) -> None:
    pd.DataFrame({"smiles": ["CCO", "CC"], "p_np": ["1", "what"]}).to_csv(tmp_path / "in.csv", index=False)
    report = run_job("score", tiny_bundle, tmp_path / "in.csv", tmp_path / "out.csv", task="bbbp")
    expected = mammal.load(tiny_bundle).score(["CCO"], ["1"], task="bbbp").log_likelihood[0]
    assert pd.read_csv(report.output).log_likelihood.tolist() == pytest.approx([expected, np.nan], nan_ok=True)
    assert pd.read_csv(report.errors).row.tolist() == [2]


def test_prompts_of_a_file(tiny_bundle: Path, tmp_path: Path) -> None:
    prompt = "<@TOKENIZER-TYPE=SMILES>CCO<EOS>"
    pd.DataFrame({"prompt": [prompt, "no tag"], "id": [1, 2]}).to_csv(tmp_path / "in.csv", index=False)
    options = {"n": 2, "max_new_tokens": 4, "seed": 3}
    report = run_job("generate", tiny_bundle, tmp_path / "in.csv", tmp_path / "out.csv", options=options)
    made = pd.read_csv(report.output)
    assert made["sample"].dropna().tolist() == [0, 1] and made.id.tolist() == [1, 1, 2]
    assert (report.rows, report.ok, report.bad) == (2, 1, 1)


def test_molecules_from_nothing_differ_and_repeat(tiny_bundle: Path, tmp_path: Path) -> None:
    how = {"task": "molecules", "options": {"n": 12, "max_new_tokens": 8, "seed": 5}, "shard_rows": 5}
    first = run_job("generate", tiny_bundle, None, tmp_path / "a.csv", **how)
    again = run_job("generate", tiny_bundle, None, tmp_path / "b.csv", **how)
    assert first.output.read_bytes() == again.output.read_bytes()
    made = pd.read_csv(first.output)
    assert len(made) == 12 and made.text.nunique() == 12


def test_bytes_do_not_depend_on_where_a_job_began(
    small_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
) -> None:
    """In a model of this size, matrix products change to packed weights while it works."""
    sizes = {"d_model": 256, "d_ff": 512, "d_kv": 64, "num_heads": 4, "num_layers": 2}
    bundle = small_bundle(("bbbp", {"standardise": "off"}), **sizes)
    pieces = ["C", "N", "O", "c1ccccc1", "C(=O)N", "S", "CC(C)", "Cl"]
    draws = np.random.default_rng(0).integers(len(pieces), size=(600, 12))
    smiles = ["".join(pieces[i] for i in row) for row in draws]
    pd.DataFrame({"smiles": smiles}).to_csv(tmp_path / "in.csv", index=False)

    def job(name: str) -> bytes:
        return run_job("predict", bundle, tmp_path / "in.csv", tmp_path / name, shard_rows=300).output.read_bytes()

    straight = job("straight.parquet")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted(patch, 1, KeyboardInterrupt())
        job("cut.parquet")
    assert job("cut.parquet") == straight
