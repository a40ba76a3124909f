"""Jobs: what a plan declares is read, written and recorded; nothing expensive runs before it is needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mammal.errors import ConfigError, DataError, JobError
from mammal.inference.questions import Embed, Predict, Score
from mammal.jobs import JobPlan, run_job, run_plan
from mammal.jobs.inputs import open_input
from mammal.jobs.names_job import names_job
from mammal.jobs.properties_job import properties_job
from mammal.jobs.variants_job import score_variants_job
from mammal.jobs.windows_job import windows_job
from mammal.rows.answer_columns import AnswerColumn, Record
from mammal.rows.batched import Pace, Refused, Row
from mammal.rows.question import Computed, Question, UsedModel
from mammal.rows.read_columns import ReadColumns
from mammal.variants.scoring import VariantScoreOptions
from mammal.version import __version__


class Lengths(Computed):
    """The length of a text; an empty one has none."""

    def __init__(self) -> None:
        self.reading = ReadColumns(("text",))
        self.columns = [AnswerColumn("length", "integer")]
        self.recorded_options = {"unit": "characters"}
        self.seen: list[Row] = []

    def answers(self, rows: Sequence[Row]) -> list[list[Record] | Refused]:
        self.seen += rows
        return [[(len(row["text"]),)] if row["text"] else Refused("empty") for row in rows]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    pd.DataFrame({"id": [7, 8, 9], "text": ["abc", "", "de"]}).to_csv(tmp_path / "in.csv", index=False)
    return tmp_path / "in.csv"


@pytest.fixture
def plan(table: Path, tmp_path: Path) -> JobPlan:
    return JobPlan("lengths", open_input(table), Lengths(), tmp_path / "out.csv", shard_rows=2)


def manifest(output: Path) -> dict[str, Any]:
    return json.loads(output.with_name(f"{output.name}.manifest.json").read_text())


def test_a_question_and_a_plan_are_a_whole_job(plan: JobPlan) -> None:
    done: list[int] = []
    report = run_plan(plan, progress=lambda now: done.append(now.done))
    assert (report.rows, report.ok, report.bad, report.exit_code) == (3, 2, 1, 3)
    assert report.output.read_text() == "id,text,length,error\n7,abc,3,\n8,,,empty\n9,de,2,\n"
    assert report.errors.read_text() == "row,id,text,error\n2,8,,empty\n"
    assert plan.question.seen == [{"text": "abc"}, {"text": ""}, {"text": "de"}], "only what is read is handed over"
    assert done == sorted(done) and done[-1] == 3
    again = run_plan(plan)
    assert again.resumed == 3 and len(plan.question.seen) == 3


def test_the_manifest_holds_what_plan_and_question_declare(plan: JobPlan) -> None:
    declared = {"options": {"limit": 5}, "hashes": {"lexicon": lambda: "abc"}, "bundle": lambda: "def"}
    plan = replace(plan, keep_rows=False)
    run_plan(replace(plan, versions={"other": "2"}, **declared))
    found = manifest(Path(plan.output))
    assert (found["verb"], found["bundle"]) == ("lengths", "def")
    assert found["options"] == {"limit": 5, "lexicon": "abc", "unit": "characters", "prefix": "", "shard_rows": 2}
    assert found["versions"] == {"mammal": __version__, "other": "2"}
    with pytest.raises(JobError, match="lexicon was abc, is xyz"):
        run_plan(replace(plan, versions={"other": "2"}, **{**declared, "hashes": {"lexicon": lambda: "xyz"}}))


def test_options_under_their_former_name_are_recorded_too(plan: JobPlan) -> None:
    with pytest.warns(DeprecationWarning, match=r"Question\.told is now Question\.recorded_options"):
        plan.question.told = {"unit": "bytes"}
    assert manifest(run_plan(plan).output)["options"]["unit"] == "bytes"
    with pytest.warns(DeprecationWarning, match="recorded_options"):
        assert plan.question.told == {"unit": "bytes"}


def test_cheap_mistakes_are_reported_before_files_are_hashed(plan: JobPlan, table: Path) -> None:
    def hashed() -> str:
        raise AssertionError("hashed")

    dear = replace(plan, bundle=hashed)
    with pytest.raises(JobError, match=r"\.parquet, \.csv"):
        run_plan(replace(dear, output="out.xlsx"))
    with pytest.raises(ConfigError, match="shard_rows"):
        run_plan(replace(dear, shard_rows=0))
    for columns, what in (
        (["id", "txt"], r"in\.csv: no column 'text'"),
        (["length", "text"], "already has a column 'length'"),
    ):
        pd.DataFrame([[1, "a"]], columns=columns).to_csv(table, index=False)
        with pytest.raises(DataError, match=what):
            run_plan(replace(dear, given=open_input(table)))
    with pytest.raises(AssertionError, match="hashed"):
        run_plan(dear)


def test_models_and_workers_are_ready_before_the_first_row_and_only_if_there_is_one(
    plan: JobPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mammal.jobs import warm_up

    events: list[str] = []

    class Asked(Lengths):
        uses: Sequence[Any] = ("model",)

        def answers(self, rows: Sequence[Row]) -> list[list[Record] | Refused]:
            events.append("rows")
            return super().answers(rows)

    @contextmanager
    def workers() -> Iterator[None]:
        events.append("workers")
        yield
        events.append("ended")

    monkeypatch.setattr(warm_up, "warm_up", lambda used: events.append(f"warm {used}"))
    asked = replace(plan, question=Asked(), workers=workers)
    run_plan(asked)
    assert events == ["workers", "warm model", "rows", "rows", "ended"]
    run_plan(asked)
    assert len(events) == 5, "a complete job asks nobody"


def test_a_question_says_which_parts_of_a_model_it_uses(tiny_bundle: Path, dna_bundle: Path) -> None:
    import mammal
    from mammal.variants.question import VariantQuestion
    from mammal.variants.scoring import Scorer
    from mammal.variants.source import allele_source

    tiny, dna = mammal.load(tiny_bundle), mammal.load(dna_bundle)
    task, molecules = tiny.tasks["bbbp"], tiny.tasks["molecules"]

    def parts(question: Question) -> list[tuple[bool, bool]]:
        assert all(used.model in (tiny.model, dna.model) for used in question.uses)
        return [(used.decodes, used.vocabulary) for used in question.uses]

    def variants(what: str) -> Question:
        asked = VariantScoreOptions(what)
        scorer = Scorer(dna.model, dna.tokenizer, dna.tasks, asked, dna.pace)
        return VariantQuestion(scorer, allele_source(["sequence"], None, 32))

    assert parts(Embed(tiny.model, molecules, Pace())) == [(False, False)]
    assert parts(Predict(tiny.model, task, Pace())) == [(True, task.candidates_V is None)]
    assert parts(Score(tiny.model, tiny.tokenizer, None, Pace())) == [(True, True)]
    assert parts(variants("embedding")) == [(False, False)]
    assert parts(variants("likelihood")) == [tuple(UsedModel.for_task(dna.model, dna.tasks["dna_denoising"]))[1:]]
    assert parts(Lengths()) == []


SHARED = {"prefix", "shard_rows"}
OF_MODEL = {*SHARED, "task", "batch_tokens", "device", "dtype"}
ASKED = {"what", "strands", "window", "flank"}


@pytest.mark.parametrize(
    ("name", "verb", "options", "versions"),
    [
        ("predict", "predict", OF_MODEL, {"torch"}),
        ("variants", "score variants", {*OF_MODEL, *ASKED, "columns", "reference"}, {"torch"}),
        ("names", "names", {*SHARED, "smiles", "names", "keep"}, {"rdkit", "py2opsin"}),
        ("properties", "properties", {*SHARED, "smiles", "properties"}, {"rdkit"}),
        ("windows", "windows", {*SHARED, "window", "rendering", "sample", "region", "neighbours"}, set()),
    ],
)
def test_manifests_hold_what_earlier_versions_wrote(
    name: str,
    verb: str,
    options: set[str],
    versions: set[str],
    tiny_bundle: Path,
    dna_bundle: Path,
    tmp_path: Path,
) -> None:
    """A key more or less, and a job that an earlier version began would be refused (csv: `keep_rows` is new)."""
    if name == "names":
        from mammal.tasks.names import opsin

        if opsin.why_missing() is not None:
            pytest.skip(f"names can't be read here: {opsin.why_missing()}")
    table, output = tmp_path / "in.csv", tmp_path / "out.parquet"
    pd.DataFrame({"smiles": ["CCO"], "name": ["ethanol"], "sequence": ["ACGT[A/G]TTCA"]}).to_csv(table, index=False)
    job: dict[str, Callable[[], object]] = {
        "predict": lambda: run_job("predict", tiny_bundle, table, output, task="bbbp"),
        "variants": lambda: score_variants_job(dna_bundle, table, output),
        "names": lambda: names_job(table, output, names="name", workers=0),
        "properties": lambda: properties_job(table, output, workers=0),
        "windows": lambda: windows_job(table, output, prefix="w_"),
    }
    job[name]()
    found = manifest(output)
    assert found["verb"] == verb and bool(found["bundle"]) == (name in ("predict", "variants"))
    assert set(found["options"]) == options
    assert set(found["versions"]) == {"mammal", *versions}
