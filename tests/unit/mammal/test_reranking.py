"""Re-ranking of answers by another task: its likelihoods, round trips, and how users request it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import mammal
from mammal.errors import ConfigError, TaskError
from mammal.generation.question import Generate
from mammal.inference.reranking import rerank_predictions
from mammal.inference.reranking_task import Judge
from mammal.jobs import run_job
from mammal.rows.batched import Refused, Row
from mammal.tasks import build_task, load_task
from mammal.tasks.batches.prediction import Prediction

ANILIDE = "CC(=O)Nc1ccccc1"


@pytest.fixture(scope="session")
def chemist(small_bundle: Callable[..., Path]) -> Path:
    """A bundle with random weights that does both directions of a reaction, and names."""
    short = {"generation": {"num_beams": 3, "max_new_tokens": 24}, "metrics": ["molecule_match"]}
    ways = [(name, short) for name in ("retrosynthesis", "forward_reaction", "iupac_to_smiles")]
    return small_bundle(*ways, ("smiles_to_iupac", {**short, "metrics": ["exact_match"]}))


@pytest.fixture(scope="session")
def model(chemist: Path) -> mammal.Mammal:
    return mammal.load(chemist, device="cpu")


Beams = dict[str, list[tuple[str, float]]]
"""Reactants -> what the judge's beams say, with log-likelihoods."""


@pytest.fixture
def judging(model: mammal.Mammal, monkeypatch: pytest.MonkeyPatch) -> Callable[[Beams], Judge]:
    """Makes forward_reaction a judge that answers from a table, and can't read what is not in it."""

    def make(beams: Beams, weight: float = 1.0) -> Judge:
        judge = Judge(model.model, model.find_task("forward_reaction"), model.pace, weight=weight)
        place = [column.name for column in judge.question.columns]

        def record(text: str, score: float) -> tuple[object, ...]:
            return tuple({"text": text, "score": score}.get(name) for name in place)

        def ask(rows: Sequence[Row]) -> list[object]:
            said = [beams.get(row["reactants"]) for row in rows]
            return [Refused("?") if found is None else [record(*beam) for beam in found] for found in said]

        monkeypatch.setattr(judge.question, "ask", ask)
        return judge

    return make


def proposals(*answers: tuple[str, float]) -> list[Prediction]:
    best, *others = (Prediction(0, text=text, score=score) for text, score in answers)
    return [Prediction(0, text=best.text, score=best.score, runners_up=tuple(others))]


def order(said: Prediction) -> list[str | None]:
    return [answer.text for answer in (said, *said.runners_up)]


@pytest.mark.parametrize("slot", ["smiles", "SMILES"])
def test_answers_that_can_be_spelled_in_many_ways_are_generated(model: mammal.Mammal, slot: str):
    target = {"prompt": {"target": f"<SENTINEL_ID_0> {{product:{slot}}}"}}
    task = build_task(load_task("forward_reaction", target), model.tokenizer)
    assert Judge(model.model, task, model.pace).by_beams
    assert not Judge(model.model, model.find_task("smiles_to_iupac"), model.pace).by_beams


def test_an_answer_that_leads_back_overtakes_a_likelier_one(model: mammal.Mammal, judging):
    judge = judging({"C.N": [("CN", -0.1), ("CC", -9.0)], "CC(=O)Cl.Nc1ccccc1": [("N(C(C)=O)c1ccccc1", -0.3)]})
    task, rows = model.find_task("retrosynthesis"), [{"product": ANILIDE}]
    said = proposals(("C.N", -1.0), ("CC(=O)Cl.Nc1ccccc1", -2.0))
    found, trips = rerank_predictions(judge, task, rows, said)
    assert order(found[0]) == ["CC(=O)Cl.Nc1ccccc1", "C.N"], "-2.3 beats -1 - 10, one nat below the last beam"
    assert (trips.before, trips.after) == (0.0, 1.0)
    light = judging({"C.N": [("CN", -0.1)], "CC(=O)Cl.Nc1ccccc1": [(ANILIDE, -0.3)]}, weight=0.0)
    found, trips = rerank_predictions(light, task, rows, said)
    assert order(found[0]) == ["C.N", "CC(=O)Cl.Nc1ccccc1"] and trips.after == 0.0


def test_any_spelling_and_any_beam_counts_but_only_the_first_is_a_round_trip(model: mammal.Mammal, judging):
    judge = judging({"A": [("CC", -0.1), ("c1ccccc1NC(C)=O", -1.5), (ANILIDE, -1.0)]})
    ((verdict,),) = judge.verdicts([{"product": ANILIDE}], "reactants", [["A"]])
    assert verdict.log_likelihood == -1.0 and verdict.returned is False


def test_what_the_judge_cannot_read_comes_last(model: mammal.Mammal, judging):
    judge = judging({"C.N": [("CC", -50.0)]})
    rows, said = [{"product": ANILIDE}], proposals(("C(", -0.5), ("C.N", -1.0))
    found, trips = rerank_predictions(judge, model.find_task("retrosynthesis"), rows, said)
    assert order(found[0]) == ["C.N", "C("] and trips.after == 0.0


def test_rows_without_an_answer_stay_so(model: mammal.Mammal, judging):
    rows, said = [{"product": "C("}], [Prediction(0, error="bad")]
    found, trips = rerank_predictions(judging({}), model.find_task("retrosynthesis"), rows, said)
    assert found == said and trips.after != trips.after


def test_generated_answers_are_ranked_by_both_models(
    model: mammal.Mammal, judging: Callable[[Beams], Judge], monkeypatch: pytest.MonkeyPatch
):
    table = pd.DataFrame({"product": [ANILIDE, "C("]})
    plain = model.generate(table, "retrosynthesis", n=3, num_beams=3)
    first, second, third = plain["text"][0]
    judge = judging({second: [("OCC", -99.0)], third: [(ANILIDE, -0.5)]}, weight=2.0)
    monkeypatch.setattr("mammal.inference.generate_api.judge_of", lambda *asked: judge)
    found = model.generate(table, "retrosynthesis", n=3, num_beams=3, rerank="forward_reaction")
    assert found["text"][0].tolist() == [third, second, first], "what the judge can't read comes last"
    assert found["sample"][0].tolist() == [0, 1, 2]
    theirs = plain["score"][0].tolist()[::-1]
    assert found["score"][0].tolist() == pytest.approx(theirs, abs=1e-3), "scores stay those of the answers"
    assert found["judged"][0].tolist()[:2] == [-0.5, -100.0] and pd.isna(found["judged"][0].tolist()[2])
    assert found["round_trip"][0].tolist() == [1, 0, 0]
    assert "invalid SMILES" in found["error"][1]


def test_a_column_that_the_file_calls_otherwise_is_what_was_asked(
    model: mammal.Mammal, judging: Callable[[Beams], Judge], monkeypatch: pytest.MonkeyPatch
):
    judge = judging({"C.N": [(ANILIDE, -0.5)]})
    task = model.find_task("retrosynthesis", {"product": "wanted"})
    _, trips = rerank_predictions(judge, task, [{"wanted": ANILIDE}], proposals(("C.N", -1.0)))
    assert trips.after == 1.0
    answers = model.generate([ANILIDE], "retrosynthesis", n=3, num_beams=3)["text"]
    every: Beams = {text: [(ANILIDE, -0.5)] for text in answers}
    monkeypatch.setattr("mammal.inference.generate_api.judge_of", lambda *asked: judging(every))
    table = pd.DataFrame({"wanted": [ANILIDE]})
    how = {"columns": {"product": "wanted"}, "rerank": "forward_reaction"}
    assert model.generate(table, "retrosynthesis", n=3, num_beams=3, **how)["round_trip"].tolist() == [1, 1, 1]


def test_the_likelihood_of_a_name_is_scored_outright(model: mammal.Mammal):
    found = model.generate(["ethanol"], "iupac_to_smiles", n=3, num_beams=3, rerank="smiles_to_iupac", prefix="m_")
    asked = pd.DataFrame({"smiles": found["m_text"], "iupac": "ethanol"})
    scored = model.score(asked, task="smiles_to_iupac")["log_likelihood"]
    assert found["m_judged"].tolist() == pytest.approx(scored.tolist(), abs=1e-4)
    assert found["m_round_trip"].isna().all()


def test_a_job_gives_what_python_gives_and_another_bundle_may_judge(
    model: mammal.Mammal, chemist: Path, tmp_path: Path
):
    given = tmp_path / "products.csv"
    pd.DataFrame({"id": [1, 2], "product": [ANILIDE, "c1ccccc1N"]}).to_csv(given, index=False)
    options = {"n": 2, "num_beams": 2, "rerank": "forward_reaction", "rerank_bundle": str(chemist)}
    report = run_job("generate", chemist, given, tmp_path / "out.parquet", task="retrosynthesis", options=options)
    assert report.exit_code == 0
    found = pd.read_parquet(tmp_path / "out.parquet")
    expected = model.generate(given, "retrosynthesis", n=2, num_beams=2, rerank="forward_reaction")
    assert found["text"].tolist() == expected["text"].tolist()
    assert found["round_trip"].tolist() == expected["round_trip"].tolist()
    mine, theirs = (pd.to_numeric(frame["judged"]).tolist() for frame in (found, expected))
    assert mine == pytest.approx(theirs, abs=1e-4, nan_ok=True)


def test_answers_of_another_name_are_read_by_a_task_that_predicts_the_input(model: mammal.Mammal):
    declared = load_task("iupac_to_smiles")
    prompt = replace(declared.prompt, target="<SENTINEL_ID_0> {smiles_by_name:smiles}")
    task = build_task(replace(declared, prompt=prompt), model.tokenizer)
    judge = Judge(model.model, model.find_task("smiles_to_iupac"), model.pace)
    assert judge.reads(task) == "smiles" and judge.fits(task)
    row = {"iupac": "ethanol", "smiles": "CCO", "smiles_by_name": "CCO"}  # the column of the right molecule is not read
    (found,), trips = rerank_predictions(judge, task, [row], proposals(("CCN", -1.0), ("CCCl", -1.5)))
    asked = pd.DataFrame({"smiles": ["CCN", "CCCl"], "iupac": "ethanol"})
    scored = model.score(asked, task="smiles_to_iupac")["log_likelihood"] + [-1.0, -1.5]
    assert order(found) == (["CCN", "CCCl"] if scored[0] >= scored[1] else ["CCCl", "CCN"])
    assert trips.before != trips.before
    assert Judge(model.model, task, model.pace).reads(model.find_task("smiles_to_iupac")) == "iupac"
    assert judge.reads(model.find_task("retrosynthesis")) is None


def test_judges_that_can_not_judge_are_refused(model: mammal.Mammal):
    with pytest.raises(TaskError, match="smiles_to_iupac reads smiles, but retrosynthesis answers with reactants"):
        model.generate(ANILIDE, "retrosynthesis", rerank="smiles_to_iupac")
    with pytest.raises(TaskError, match="bbbp does not answer with one text"):
        model.generate(ANILIDE, "retrosynthesis", rerank="bbbp")
    with pytest.raises(ConfigError, match="weight must be 0 or more"):
        model.generate(ANILIDE, "retrosynthesis", rerank="forward_reaction", rerank_weight=-1.0)
    with pytest.raises(ConfigError, match="without a re-ranking task"):
        model.generate(ANILIDE, "retrosynthesis", rerank_weight=2.0)
    asked = Generate(model.model, model.tokenizer, None, model.pace)
    with pytest.raises(ConfigError, match="prompts without a task"):
        from mammal.inference.reranking import Reranked

        Reranked(asked, Judge(model.model, model.find_task("forward_reaction"), model.pace))
